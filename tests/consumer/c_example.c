/* The smallest C program: the size first, then a model in a block of one's own, then text as it comes. */
#include <stdio.h>
#include <stdlib.h>

#include <thimble/thimble.h>

static int32_t print(void* user, const char* text, size_t bytes) {
  (void)user;
  return fwrite(text, 1, bytes, stdout) == bytes;
}

int main(int argc, char** argv) {
  thimble_model* model = NULL;
  thimble_session* session = NULL;
  void* block = NULL;
  thimble_plan plan;
  thimble_options options = thimble_default_options();
  options.context_tokens = 128;
  options.sampling.temperature = 0.0f;
  thimble_status status = thimble_model_open(argc > 1 ? argv[1] : "model.thimble", &model);
  if (status.code == 0) status = thimble_plan_memory(model, &options, &plan, NULL, NULL);
  if (status.code == 0) {
    block = aligned_alloc(64, (plan.arena_bytes + 63) / 64 * 64);
    status = thimble_session_create(model, &options, block, plan.arena_bytes, &session);
  }
  if (status.code == 0) status = thimble_generate(session, "Once upon a time", 16, 40, print, NULL, NULL);
  printf("\n");
  if (status.code != 0) fprintf(stderr, "%s\n", status.message);
  thimble_session_close(session);
  thimble_model_close(model);
  free(block);
  return status.exit_code;
}
