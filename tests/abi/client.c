/* A program compiled against another header than the library: check.cmake gives it one whose structs are a field shorter, or
 * longer (then THIMBLE_LONGER is defined and every struct ends with `added`). Prints nothing and ends with 0 where all works. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <thimble/thimble.h>

static int failures = 0;

#define CHECK(condition)                                                             \
  do {                                                                               \
    if (!(condition)) {                                                              \
      fprintf(stderr, "client.c:%d: %s: %s\n", __LINE__, #condition, error.message); \
      ++failures;                                                                    \
    }                                                                                \
  } while (0)

/* As an uninitialised struct with its size set: nothing of it may be left where the library writes. */
#define DIRTY(type, name)               \
  type name;                            \
  memset(&name, 0xAA, sizeof name);     \
  name.struct_bytes = (uint32_t)sizeof name

/* What lies behind a struct, so that writing too far is seen. */
#define GUARDED(type, name)             \
  struct {                              \
    type it;                            \
    unsigned char guard[64];            \
  } name;                               \
  memset(&name, 0xAA, sizeof name);     \
  name.it.struct_bytes = (uint32_t)sizeof name.it

static int IsIntact(const unsigned char* guard) {
  for (int i = 0; i < 64; ++i) {
    if (guard[i] != 0xAA) return 0;
  }
  return 1;
}

#ifdef THIMBLE_LONGER
#define ADDED_IS_ZERO(name) CHECK((name).added == 0)
#define REFUSES_ADDED(name, call)                                        \
  do {                                                                   \
    char place[32];                                                      \
    (name).added = 7;                                                    \
    CHECK((call) == THIMBLE_UNKNOWN_FIELD);                              \
    snprintf(place, sizeof place, "at byte %zu", sizeof(name) - 8);      \
    CHECK(strstr(error.message, place) != NULL);                         \
    (name).added = 0;                                                    \
  } while (0)
#else
#define ADDED_IS_ZERO(name) (void)0
#define REFUSES_ADDED(name, call) (void)0
#endif

struct story {
  char text[4096];
  size_t bytes;
  int ends;
};

static int32_t on_event(void* user, const thimble_event* event) {
  struct story* story = user;
  if (story->bytes + event->text_bytes < sizeof story->text) {
    memcpy(story->text + story->bytes, event->text, event->text_bytes);
    story->bytes += event->text_bytes;
  }
  story->ends += event->end == THIMBLE_END_MAX_TOKENS;
  return 1;
}

int main(int argc, char** argv) {
  thimble_error error;
  memset(&error, 0, sizeof error);
  error.struct_bytes = sizeof error;
  thimble_model* model = NULL;
  thimble_engine* engine = NULL;
  thimble_session *session = NULL, *other = NULL;
  CHECK(argc == 2 && thimble_model_open(argv[1], &model, &error) == THIMBLE_OK);
  if (model == NULL) return 1;
  ADDED_IS_ZERO(error);

  GUARDED(thimble_model_info, info);
  CHECK(thimble_model_get_info(model, &info.it, &error) == THIMBLE_OK);
  CHECK(info.it.layers > 0 && info.it.vocabulary > 0 && info.it.file_bytes > 0);
  CHECK(IsIntact(info.guard));
  ADDED_IS_ZERO(info.it);

  thimble_sampling sampling = THIMBLE_SAMPLING_DEFAULTS;
  sampling.temperature = 0;
  thimble_engine_options options;
  memset(&options, 0, sizeof options);
  options.struct_bytes = sizeof options;
  options.context_tokens = 64;
  options.max_sessions = 2;
  options.sampling = &sampling;
  GUARDED(thimble_plan, plan);
  CHECK(thimble_plan_memory(model, &options, &plan.it, NULL, NULL, &error) == THIMBLE_OK);
  CHECK(plan.it.arena_bytes > 0 && plan.it.context_tokens == 64);
  CHECK(IsIntact(plan.guard));
  ADDED_IS_ZERO(plan.it);
  REFUSES_ADDED(options, thimble_plan_memory(model, &options, &plan.it, NULL, NULL, &error));
  REFUSES_ADDED(sampling, thimble_plan_memory(model, &options, &plan.it, NULL, NULL, &error));
  REFUSES_ADDED(options, thimble_engine_create(model, &options, &engine, &error));

  CHECK(thimble_engine_create(model, &options, &engine, &error) == THIMBLE_OK);
  CHECK(thimble_session_open(engine, &session, &error) == THIMBLE_OK);
  CHECK(thimble_session_open(engine, &other, &error) == THIMBLE_OK);
  if (failures > 0) return 1;

  struct story story;
  memset(&story, 0, sizeof story);
  thimble_generation generation;
  memset(&generation, 0, sizeof generation);
  generation.struct_bytes = sizeof generation;
  generation.text = "Once upon a time";
  generation.text_bytes = 16;
  generation.max_tokens = 8;
  REFUSES_ADDED(generation, thimble_generate(session, &generation, on_event, &story, &error));
  CHECK(thimble_generate(session, &generation, on_event, &story, &error) == THIMBLE_OK);
  CHECK(story.bytes > 0 && story.ends == 1);
  ADDED_IS_ZERO(error);

  /* The same, event by event, gives the same text. */
  size_t bytes = 0;
  CHECK(thimble_generation_start(other, &generation, &error) == THIMBLE_OK);
  for (int end = THIMBLE_END_NOT_YET; end == THIMBLE_END_NOT_YET && failures == 0;) {
    GUARDED(thimble_event, event);
    CHECK(thimble_generation_next(other, &event.it, &error) == THIMBLE_OK);
    CHECK(IsIntact(event.guard));
    ADDED_IS_ZERO(event.it);
    if (failures > 0) break;
    CHECK(bytes + event.it.text_bytes <= story.bytes && memcmp(story.text + bytes, event.it.text, event.it.text_bytes) == 0);
    bytes += event.it.text_bytes;
    end = event.it.end;
  }
  CHECK(bytes == story.bytes);

  /* Two sessions in one step: an array, whose elements have the caller's size. */
  int32_t ids[16];
  size_t count = 0;
  CHECK(thimble_tokenize(model, NULL, "a time", 6, 0, ids, 16, &count, &error) == THIMBLE_OK);
  DIRTY(thimble_span, first);
  first.session = session;
  first.ids = ids;
  first.count = count;
#ifdef THIMBLE_LONGER
  first.added = 0;
#endif
  thimble_span spans[2];
  spans[0] = spans[1] = first;
  spans[1].session = other;
  spans[1].count = 1;
  const size_t before = thimble_position(other);
  CHECK(thimble_step(engine, spans, 2, &error) == THIMBLE_OK);
  CHECK(spans[0].code == THIMBLE_OK && spans[1].code == THIMBLE_OK);
  CHECK(thimble_position(other) == before + 1);
  REFUSES_ADDED(spans[1], thimble_step(engine, spans, 2, &error));

  GUARDED(thimble_profile, profile);
  CHECK(thimble_get_profile(engine, 0, &profile.it, &error) == THIMBLE_OK);
  CHECK(profile.it.steps > 0);
  CHECK(IsIntact(profile.guard));
  ADDED_IS_ZERO(profile.it);

  /* A size that was never set. */
  info.it.struct_bytes = 0xAAAAAAAAu;
  CHECK(thimble_model_get_info(model, &info.it, &error) == THIMBLE_INVALID_ARGUMENT);
  CHECK(IsIntact(info.guard));

  CHECK(thimble_session_close(session) == THIMBLE_OK);
  CHECK(thimble_model_close(model) == THIMBLE_BUSY);
  CHECK(thimble_engine_close(engine) == THIMBLE_OK);
  CHECK(thimble_model_close(model) == THIMBLE_OK);
  return failures > 0;
}
