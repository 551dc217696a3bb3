// Sessions in blocks that were painted before: which bytes they use, and that nothing depends on what lay
// there.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "ops/cache/cache_row.h"
#include "tests/memory/combinations.h"
#include "tests/support/conversation.h"
#include "tests/support/model_zoo.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// Everything that a session said, as bytes.
class Transcript {
 public:
  void Logits(const float* logits, size_t count) { Bytes(logits, count * sizeof(float)); }
  void Bytes(const void* data, size_t size) {
    const char* p = static_cast<const char*>(data);
    text_.append(p, size);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct Emit {
  Transcript* transcript;
  size_t outputs;
  size_t rows = 0;
  static int32_t Row(void* user, size_t position, const float* logits) {
    Emit* e = static_cast<Emit*>(user);
    e->transcript->Bytes(&position, sizeof position);
    e->transcript->Logits(logits, e->outputs);
    ++e->rows;
    return 1;
  }
  static int32_t Text(void* user, const char* text, size_t bytes) {
    static_cast<Emit*>(user)->transcript->Bytes(text, bytes);
    return 1;
  }
};

void RunDecoder(thimble_session* session, const thimble_model_info& info, Emit& emit) {
  Transcript& t = *emit.transcript;
  const size_t capacity = thimble_capacity(session);
  const int32_t v = static_cast<int32_t>(info.vocabulary);
  std::vector<int32_t> ids;
  for (size_t i = 0; i < capacity; ++i) ids.push_back(static_cast<int32_t>(i * 7 + 3) % v);

  // Token by token to the end of the context, sampled all along.
  Require(Call(thimble_prefill, session, ids.data(), 2));
  while (thimble_position(session) < capacity) {
    int32_t id = 0;
    Require(Call(thimble_sample, session, &id));
    t.Bytes(&id, sizeof id);
    Require(DecodeId(session, id));
    t.Logits(LogitsOf(session), emit.outputs);
  }
  CHECK(DecodeId(session, 0).code == 600);
  thimble_sampling warm = ApiOptions().sampling;
  warm.top_k = 5;
  warm.repeat_last_n = 0;
  Require(Call(thimble_set_sampling, session, &warm));
  // Whole passes, every row.
  Require(Call(thimble_rewind, session, 0));
  Require(Call(thimble_prefill_each, session, ids.data(), capacity, &Emit::Row, &emit));
  CHECK(emit.rows == capacity);
  // Text, from as far back as the state goes.
  Require(Call(thimble_rewind, session, std::max<size_t>(1, thimble_rewind_limit(session))));
  int32_t out[16];
  size_t count = 0;
  Require(Call(thimble_tokenize, nullptr, session, "ab cd ab", 8, THIMBLE_PARSE_SPECIAL, out, 16, &count));
  t.Bytes(out, count * sizeof(int32_t));
  thimble_event generated;
  Require(GenerateText(session, "ab abc", 6, 0, &Emit::Text, &emit, &generated));
  t.Bytes(&generated.generated_tokens, sizeof generated.generated_tokens);
  // A conversation, where there is room for one.
  const std::vector<uint8_t> short_template = chat::CompileTemplate(KnownTemplate("mistral-v3-tekken"));
  const Messages messages = {{"user", "b"}};
  const Conversation conversation(messages, &short_template);
  thimble_generation chat = Sized<thimble_generation>();
  chat.conversation = conversation.get();
  const auto each = [](void* to, const thimble_event* event) -> int32_t {
    static_cast<Emit*>(to)->transcript->Bytes(&event->id, sizeof event->id);
    return 1;
  };
  const thimble_error said = Call(thimble_generate, session, &chat, each, &emit);
  if (said.code != THIMBLE_CONTEXT_FULL && said.code != THIMBLE_TEXT_TOO_LONG) Require(said);
}

void RunEncoder(thimble_session* session, const thimble_model_info& info, Emit& emit) {
  if (info.image_height > 0) {
    std::vector<float> pixels(size_t{info.image_channels} * info.image_height * info.image_width);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i % 17) / 8.0f - 1.0f;
    Require(Call(thimble_encode_image, session, pixels.data(), pixels.size(), &Emit::Row, &emit));
  } else {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < thimble_capacity(session); ++i)
      ids.push_back(static_cast<int32_t>(i * 5 % info.vocabulary));
    Require(Call(thimble_encode_rows, session, ids.data(), ids.size(), &Emit::Row, &emit));
  }
  CHECK(emit.rows > 0);
  // No memory is planned for what only decoders do.
  const int32_t id = 0;
  CHECK(Call(thimble_prefill, session, &id, 1).code == 601);
  CHECK(GenerateText(session, "a", 1, 1, nullptr, nullptr, nullptr).code == 601);
}

struct Outcome {
  std::string transcript;
  std::vector<uint8_t> arena;
};

Outcome Run(const OpenModel& model, const ApiOptions& options, size_t need, uint8_t paint) {
  PaintedBlock block(need, paint);
  thimble_session* session = nullptr;
  Require(CreateSession(model.get(), &options, block.data(), need, &session));
  Transcript transcript;
  Emit emit{&transcript, model.info().outputs};
  if (model.info().is_decoder) {
    RunDecoder(session, model.info(), emit);
  } else {
    RunEncoder(session, model.info(), emit);
  }
  CHECK(block.GuardsUntouched());
  thimble_session_close(session);
  CHECK(block.GuardsUntouched());
  return {transcript.text(), block.Snapshot()};
}

}  // namespace

TEST_CASE("painted arena: used to its last byte and not beyond, whatever lay in it") {
  std::vector<Combination> combinations = Combinations();
  for (Combination& c : Combinations(1)) combinations.push_back(std::move(c));
  CHECK(combinations.size() >= 50);
  for (const Combination& c : combinations) {
    INFO(c.name);
    const OpenModel model(c.builder.Bytes());
    const Plan plan = model.PlanFor(c.options);
    const size_t need = plan.totals.arena_bytes;
    // As floats the paints are NaN, a number near one, and zero.
    const Outcome a = Run(model, c.options, need, 0xff), b = Run(model, c.options, need, 0x3f),
                  z = Run(model, c.options, need, 0);
    CHECK(a.transcript.size() > 20);
    CHECK(a.transcript == b.transcript);
    CHECK(a.transcript == z.transcript);

    // A byte was written if not all of the paints are still there.
    std::vector<bool> used(need);
    for (size_t i = 0; i < need; ++i) used[i] = a.arena[i] != 0xff || b.arena[i] != 0x3f;
    size_t high_water = need;
    while (high_water > 0 && !used[high_water - 1]) --high_water;
    CHECK(high_water == need);

    // Every line is there because somebody writes to it, to its end: up to the alignment, or a kernel's
    // padding.
    for (const PlanLine& line : plan.Of(THIMBLE_ARENA)) {
      INFO(line.name << " " << line.index << ", " << line.bytes << " bytes");
      size_t touched = 0, last = 0;
      for (size_t i = 0; i < line.bytes; ++i) {
        if (used[line.offset + i]) ++touched, last = i + 1;
      }
      UNSCOPED_INFO("touched " << touched << ", last " << last);
      // Written only while a character is not complete, or text is held back.
      if (line.name != "detokenizer" && line.name != "held text") CHECK(touched > 0);
      if (line.name == "kv_cache") {
        // Rows up to the end of the context; the last block of int8 rows may have room for more.
        const size_t context = plan.totals.context_tokens, room = RoundUp(context, kCacheBlockRows);
        // The last layer's rows may be followed by one word, and by the alignment.
        CHECK(last + 64 + (room - context) * (sizeof(float) + plan.totals.kv_bytes_per_context_token) > line.bytes);
        // A position of a layer takes whole words: of int4 rows of 7 bytes an eighth more.
        CHECK(touched * 20 * room > (line.bytes * 17 - 1280) * context);
      }
    }
  }
}

TEST_CASE("painted arena: rings of rows use what is planned for them, whatever lay there") {
  const OpenModel model(WindowModel().Bytes());
  const std::vector<int32_t> ids = WindowIds(kWindowContext);
  for (int32_t type = 0; type < 4; ++type) {
    ApiOptions options = ApiOptions();
    options.key_cache = options.value_cache = type;
    options.chunk_tokens = 11;
    options.window_tokens = 50;
    options.sink_tokens = 20;
    options.threads = 1 + static_cast<uint32_t>(type % 2);
    const Plan plan = model.PlanFor(options);
    CHECK(plan.totals.kv_ring_bytes + plan.totals.kv_recent_bytes == plan.totals.kv_bytes);
    CHECK((plan.totals.kv_recent_bytes != 0) == (type == THIMBLE_CACHE_Q4));
    const size_t need = plan.totals.arena_bytes;
    std::vector<Outcome> outcomes;
    for (const uint8_t paint : {0xff, 0x3f, 0}) {
      PaintedBlock block(need, paint);
      thimble_session* session = nullptr;
      Require(CreateSession(model.get(), &options, block.data(), need, &session));
      Transcript transcript;
      Emit emit{&transcript, model.info().outputs};
      Require(Call(thimble_prefill_each, session, ids.data(), ids.size(), &Emit::Row, &emit));
      Require(Call(thimble_rewind, session, thimble_rewind_limit(session)));
      Require(Call(thimble_prefill_each, session, ids.data(), 30, &Emit::Row, &emit));
      thimble_session_close(session);
      CHECK(block.GuardsUntouched());
      outcomes.push_back({transcript.text(), block.Snapshot()});
    }
    CHECK(outcomes[0].transcript == outcomes[1].transcript);
    CHECK(outcomes[0].transcript == outcomes[2].transcript);
    // Every row of every ring is written, in the end.
    for (const PlanLine& line : plan.Of(THIMBLE_ARENA)) {
      if (line.name != "kv_ring") continue;
      INFO(line.name << " " << line.index << ", " << line.bytes << " bytes, cache type " << type);
      size_t last = 0, touched = 0;
      for (size_t i = line.offset; i < line.offset + line.bytes; ++i) {
        if (outcomes[0].arena[i] != 0xff || outcomes[1].arena[i] != 0x3f) ++touched, last = i + 1 - line.offset;
      }
      CHECK(last + 64 > line.bytes);
      CHECK(touched * 20 > line.bytes * 18);  // all but the end of the block of sinks
    }
  }
}

TEST_CASE("painted arena: a context filled with random rows is whole, whatever lay there") {
  for (const ZooModel& z : ModelZoo()) {
    const OpenModel model(z.builder.Bytes());
    if (!model.info().is_decoder) continue;
    for (int32_t type = 0; type < 4; ++type) {
      INFO(z.name << ", cache " << type);
      ApiOptions options = ApiOptions();
      options.context_tokens = 16;
      options.chunk_tokens = 3;
      options.key_cache = options.value_cache = type;
      const size_t need = model.PlanFor(options).totals.arena_bytes;
      std::vector<std::string> said;
      for (const uint8_t paint : {0xff, 0x3f}) {
        PaintedBlock block(need, paint);
        thimble_session* session = nullptr;
        Require(CreateSession(model.get(), &options, block.data(), need, &session));
        CHECK(Call(thimble_fill_context, session, 17, 1).code == 600);
        CHECK(thimble_position(session) == 0);
        Require(Call(thimble_fill_context, session, 10, 1));
        CHECK(thimble_position(session) == 10);
        CHECK(LogitsOf(session) == nullptr);
        Require(DecodeId(session, 3));
        Transcript transcript;
        transcript.Logits(LogitsOf(session), model.info().outputs);
        thimble_session_close(session);
        CHECK(block.GuardsUntouched());
        said.push_back(transcript.text());
      }
      CHECK((said[0] == said[1]));
    }
  }
}
