#include "tests/fuzz/small_sessions.h"

#include <array>
#include <cstring>
#include <memory>

#include "tests/fuzz/fuzz.h"
#include "tests/support/model_builder.h"
#include "tests/support/tiny_tokenizer.h"

namespace thimble::fuzz {
namespace {

using test::AlignedBytes;
using test::ModelBuilder;

struct Setup {
  Sharing sharing;
  uint32_t kv_heads, window;
  thimble_cache_type cache;
  uint32_t window_tokens, sink_tokens;
};
constexpr Setup kAll[kSetups] = {
    {Sharing::kNone, 2, 0, THIMBLE_CACHE_F16, 0, 0}, {Sharing::kKV, 1, 0, THIMBLE_CACHE_Q8, 0, 0},
    {Sharing::kNone, 1, 6, THIMBLE_CACHE_Q8, 0, 2},  {Sharing::kKV, 1, 0, THIMBLE_CACHE_Q4, 0, 0},
    {Sharing::kQKV, 2, 0, THIMBLE_CACHE_F32, 8, 1},  {Sharing::kQK, 2, 5, THIMBLE_CACHE_F16, 0, 0},
};

struct Opened {
  std::unique_ptr<AlignedBytes> bytes;
  thimble_model* model = nullptr;
};

Opened Open(const Setup& setup, uint64_t seed) {
  ModelBuilder builder(16, kOutputs, 32, seed);
  for (int layer = 0; layer < 2; ++layer) {
    AttentionSpec attention;
    attention.heads = 2;
    attention.kv_heads = setup.kv_heads;
    attention.head_width = 8;
    attention.sharing = setup.sharing;
    attention.window = layer == 0 ? setup.window : 0;
    attention.scale = 0.35f;
    builder.AddLayer(attention, FfnKind::kPlain, Activation::kGeluTanh, 16, NormKind::kRmsNorm, false);
  }
  builder.Finish(true, true, NormKind::kRmsNorm);
  builder.description().tokenizer = test::TinyTokenizer(kOutputs);
  Opened opened;
  opened.bytes = std::make_unique<AlignedBytes>(builder.Bytes());
  const void* bytes = opened.bytes->data();
  if (!Good(thimble_model_open_memory, bytes, opened.bytes->size(), &opened.model)) Found("a model of ours does not open");
  return opened;
}

}  // namespace

const thimble_model* Model(size_t setup) {
  static std::array<Opened, kSetups> models;
  Opened& opened = models[setup];
  if (opened.model == nullptr) opened = Open(kAll[setup], 1 + setup);
  return opened.model;
}

thimble_engine* NewEngine(size_t setup) {
  thimble_sampling sampling = THIMBLE_SAMPLING_DEFAULTS;
  thimble_engine_options options = {};
  options.struct_bytes = sizeof options;
  options.context_tokens = kContextTokens;
  options.max_sessions = 2;
  options.chunk_tokens = 4;
  options.top_tokens = 3;
  options.key_cache = options.value_cache = kAll[setup].cache;
  options.window_tokens = kAll[setup].window_tokens;
  options.sink_tokens = kAll[setup].sink_tokens;
  options.kernels = "scalar";
  options.sampling = &sampling;
  thimble_engine* engine = nullptr;
  const thimble_engine_options* given = &options;
  if (!Good(thimble_engine_create, Model(setup), given, &engine)) Found("an engine of ours cannot be made");
  return engine;
}

thimble_session* NewSession(size_t setup) {
  thimble_session* session = nullptr;
  if (!Good(thimble_session_open, NewEngine(setup), &session)) Found("a session of ours cannot be opened");
  return session;
}

bool Good(thimble_code code, const thimble_error& error) {
  if (code != static_cast<thimble_code>(error.code)) Found("a code that is not its error's", error.message);
  const bool good = code == THIMBLE_OK, silent = error.message[0] == 0;
  if (good != silent) Found(good ? "a success with a message" : "an error without a message", error.message);
  if (!good && std::strcmp(thimble_code_name(code), "unknown") == 0) Found("an error without a name", error.message);
  return good;
}

std::string Saved(thimble_session* session) {
  std::string state;
  const thimble_write_fn append = [](void* user, const void* bytes, size_t count) {
    static_cast<std::string*>(user)->append(static_cast<const char*>(bytes), count);
    return int32_t{1};
  };
  const uint64_t bytes = thimble_state_bytes(session);
  if (!Good(thimble_state_save, session, append, static_cast<void*>(&state))) Found("a state cannot be saved");
  if (state.size() != bytes) Found("a state that has not the length it said");
  return state;
}

bool Load(thimble_session* session, const void* bytes, size_t size) {
  struct Bytes {
    const char* data;
    size_t size;
  } block = {static_cast<const char*>(bytes), size};
  const thimble_read_fn read = [](void* user, uint64_t offset, void* out, size_t count) {
    const Bytes& from = *static_cast<const Bytes*>(user);
    if (offset > from.size || count > from.size - offset) Found("a state is read outside its bytes");
    std::memcpy(out, from.data + offset, count);
    return int32_t{1};
  };
  return Good(thimble_state_load, session, uint64_t{size}, read, static_cast<void*>(&block));
}

}  // namespace thimble::fuzz
