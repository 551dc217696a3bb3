// Saved states: a session goes on elsewhere as if nothing had happened, and a block that is not right changes nothing.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "format/checksum.h"
#include "runtime/saved_state.h"
#include "tests/runtime/runner.h"
#include "tests/support/model_zoo.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

using Bytes = std::vector<uint8_t>;

Bytes Save(thimble_session* session) {
  const size_t need = static_cast<size_t>(thimble_state_bytes(session));
  std::vector<char> block;
  Check(SaveState(session, &block));
  if (block.size() != need) throw std::runtime_error("not as many bytes as it said");
  return {block.begin(), block.end()};
}

thimble_error Load(thimble_session* session, const Bytes& block) {
  // Of exactly its size, for AddressSanitizer.
  const std::unique_ptr<uint8_t[]> copy(new uint8_t[block.size()]);
  if (!block.empty()) std::memcpy(copy.get(), block.data(), block.size());
  return LoadState(session, copy.get(), block.size());
}

std::vector<int32_t> Part(const std::vector<int32_t>& all, size_t begin, size_t end) {
  return {all.begin() + static_cast<long>(begin), all.begin() + static_cast<long>(end)};
}

ApiOptions Options(int32_t keys, int32_t values, uint32_t window, uint32_t sinks) {
  ApiOptions o = ApiOptions();
  o.context_tokens = kWindowContext;
  o.chunk_tokens = 16;
  o.key_cache = keys;
  o.value_cache = values;
  o.window_tokens = window;
  o.sink_tokens = sinks;
  return o;
}

StateHeader HeaderOf(const Bytes& block) {
  StateHeader h;
  std::memcpy(&h, block.data(), sizeof h);
  return h;
}

// A header with checksums that are right, whatever it says.
Bytes WithHeader(Bytes block, StateHeader h) {
  const uint64_t payload = ChecksumOf(block.data() + sizeof h, block.size() - sizeof h - sizeof payload);
  std::memcpy(block.data() + block.size() - sizeof payload, &payload, sizeof payload);
  h.header_checksum = ChecksumOf(&h, offsetof(StateHeader, header_checksum));
  std::memcpy(block.data(), &h, sizeof h);
  return block;
}

}  // namespace

TEST_CASE("a saved state goes on with the same bits, in a ring and in all rows") {
  const Bytes model = WindowModel().Bytes();
  const std::vector<int32_t> ids = WindowIds(kWindowContext);
  for (int32_t type = 0; type < 4; ++type) {
    for (const uint32_t window : {0u, 33u}) {
      for (const uint32_t sinks : {0u, 5u}) {
        for (const size_t position : {size_t{0}, size_t{3}, size_t{100}, size_t{530}}) {
          INFO("cache type " << type << ", window " << window << ", sinks " << sinks << ", position " << position);
          ApiOptions options = Options(type, type, window, sinks);
          Runner first(model, options);
          if (position > 0) first.Prefill(Part(ids, 0, position));
          const Bytes block = Save(first.session());
          const size_t limit = thimble_rewind_limit(first.session());
          CHECK((limit != 0) == (position == 530));
          const auto expected = first.DecodeEach(Part(ids, position, position + 20));
          for (const uint32_t chunk : {1u, 16u, kWindowContext}) {
            options.chunk_tokens = chunk;
            options.threads = chunk == 1 ? 3 : 1;
            Runner other(model, options);
            other.Prefill(Part(ids, 50, 80));  // something else was there
            Check(Load(other.session(), block));
            CHECK(thimble_position(other.session()) == position);
            CHECK(thimble_rewind_limit(other.session()) >= limit);
            CHECK((LogitsOf(other.session()) == nullptr) == (position == 0));
            // With a smaller ring it goes back less far.
            if (chunk != 1) CHECK(Save(other.session()) == block);
            CHECK(MaxDifference(other.DecodeEach(Part(ids, position, position + 20)), expected) == 0.0);
            const size_t back = thimble_rewind_limit(other.session());
            if (position > 0 && back < position) {
              Check(Call(thimble_rewind, other.session(), position));
              CHECK(MaxDifference(other.DecodeEach(Part(ids, position, position + 20)), expected) == 0.0);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("a context filled with random rows forgets how far a loaded state goes back") {
  const Bytes model = WindowModel().Bytes();
  const ApiOptions options = Options(THIMBLE_CACHE_F16, THIMBLE_CACHE_F16, 33, 5);
  Runner runner(model, options);
  runner.Prefill(WindowIds(530));
  const Bytes block = Save(runner.session());
  Check(Load(runner.session(), block));
  CHECK(thimble_rewind_limit(runner.session()) > 40);
  Check(Call(thimble_fill_context, runner.session(), 40, 1));
  CHECK(thimble_rewind_limit(runner.session()) == 0);
  Check(Call(thimble_rewind, runner.session(), 1));
}

TEST_CASE("a saved state holds the used rows and little else") {
  const Bytes model = WindowModel().Bytes();
  const std::vector<int32_t> ids = WindowIds(kWindowContext);
  // Row bytes per token: two kv heads of 8 with keys and values apart, twice, and one row that is both.
  for (const int32_t type : {THIMBLE_CACHE_F32, THIMBLE_CACHE_F16, THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q4}) {
    ApiOptions options = Options(type, type, 0, 0);
    options.sampling.repeat_last_n = 0;
    Runner runner(model, options);
    thimble_plan plan = Sized<thimble_plan>();
    Check(Call(thimble_plan_memory, runner.model(), &options, &plan, nullptr, nullptr));
    const size_t empty = thimble_state_bytes(runner.session());
    CHECK(empty <= sizeof(StateHeader) + sizeof(uint64_t) + 10 * sizeof(StateRecord));
    runner.Prefill(Part(ids, 0, 30));
    const size_t logits = runner.outputs() * sizeof(float), id = sizeof(int32_t);
    // Beside int4 rows, those of at most 64 tokens in int8.
    ApiOptions int8 = options;
    int8.key_cache = int8.value_cache = THIMBLE_CACHE_Q8;
    thimble_plan in_int8 = Sized<thimble_plan>();
    Check(Call(thimble_plan_memory, runner.model(), &int8, &in_int8, nullptr, nullptr));
    const uint64_t newest = type == THIMBLE_CACHE_Q4 ? in_int8.kv_bytes_per_token : 0;
    CHECK(thimble_state_bytes(runner.session()) == empty + logits + 30 * (id + plan.kv_bytes_per_token + newest));
    runner.Prefill(Part(ids, 30, 700));
    CHECK(thimble_state_bytes(runner.session()) < empty + logits + 700 * id + 256 * plan.kv_bytes_per_token + 444 * plan.kv_bytes_per_context_token + 64 * newest);
  }
}

TEST_CASE("keys and values of different types, and other kernels") {
  ModelBuilder m(16, 44, 64, 3);
  m.AddLayer(WindowLayer(Sharing::kNone, KeyRotation::kOnWrite, 0), FfnKind::kPlain, Activation::kSilu, 20, NormKind::kRmsNorm, false);
  m.Finish(true, true, NormKind::kRmsNorm);
  const std::vector<int32_t> ids = WindowIds(60);
  for (int32_t type = 0; type < 16; ++type) {
    ApiOptions options = Options(type / 4, type % 4, 0, 0);
    options.context_tokens = 64;
    Runner first(m.Bytes(), options);
    first.Prefill(Part(ids, 0, 41));
    const Bytes block = Save(first.session());
    const auto expected = first.DecodeEach(Part(ids, 41, 60));
    options.context_tokens = 60;
    Runner second(m.Bytes(), options);
    Check(Load(second.session(), block));
    CHECK(MaxDifference(second.DecodeEach(Part(ids, 41, 60)), expected) == 0.0);
    options.kernels = "scalar";
    Runner scalar(m.Bytes(), options);
    Check(Load(scalar.session(), block));
    CHECK(MaxDifference(scalar.DecodeEach(Part(ids, 41, 60)), expected) < 0.05);
  }
}

TEST_CASE("sampling goes on where it was: recent tokens, and random numbers of the same seed") {
  const Bytes model = WindowModel().Bytes();
  ApiOptions options = Options(THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q8, 0, 0);
  options.sampling.temperature = 1.5f;
  options.sampling.repeat_penalty = 1.5f;
  options.sampling.repeat_last_n = 7;
  options.sampling.seed = 11;
  const auto generate = [](thimble_session* session, size_t count) {
    std::vector<int32_t> out;
    for (size_t i = 0; i < count; ++i) {
      int32_t id = 0;
      Check(Call(thimble_sample, session, &id));
      Check(DecodeId(session, id));
      out.push_back(id);
    }
    return out;
  };
  for (const size_t before : {size_t{2}, size_t{25}}) {
    Runner first(model, options);
    Check(DecodeId(first.session(), 3));
    generate(first.session(), before);
    const Bytes block = Save(first.session());
    const std::vector<int32_t> expected = generate(first.session(), 40);
    Runner second(model, options);
    Check(Load(second.session(), block));
    CHECK(generate(second.session(), 40) == expected);
    // Another seed: its own numbers from there.
    options.sampling.seed = 12;
    Runner third(model, options);
    Check(Load(third.session(), block));
    CHECK(generate(third.session(), 40) != expected);
    options.sampling.seed = 11;
    // A sampler that remembers less takes the last ones.
    options.sampling.repeat_last_n = 0;
    Runner forgetful(model, options);
    Check(Load(forgetful.session(), block));
    generate(forgetful.session(), 5);
    options.sampling.repeat_last_n = 7;
  }
}

TEST_CASE("a state that does not belong here is refused by name, and nothing changes") {
  const Bytes model = WindowModel().Bytes();
  const std::vector<int32_t> ids = WindowIds(100);
  const ApiOptions options = Options(THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q8, 33, 4);
  Runner first(model, options);
  first.Prefill(ids);
  const Bytes block = Save(first.session());
  const auto refused = [&](const Bytes& file, ApiOptions other, int32_t code, const char* field) {
    Runner runner(file, other);
    runner.Prefill(Part(ids, 0, 9));
    const Bytes before = Save(runner.session());
    const thimble_error status = Load(runner.session(), block);
    INFO(status.message);
    CHECK(status.code == code);
    CHECK(std::string(status.message).find(field) != std::string::npos);
    CHECK(std::string(thimble_code_name(status.code)) != "unknown");
    CHECK(Save(runner.session()) == before);
  };
  ApiOptions other = options;
  other.key_cache = other.value_cache = THIMBLE_CACHE_F16;
  refused(model, other, 106, "key_cache");
  other = options;
  other.window_tokens = 34;
  refused(model, other, 106, "window_tokens");
  other = options;
  other.sink_tokens = 5;
  refused(model, other, 106, "sink_tokens");
  other = options;
  other.context_tokens = 99;
  refused(model, other, 600, "position");
  ModelBuilder m = WindowModel();
  m.description().name = "another";
  refused(m.Bytes(), options, 106, "model");

  CHECK(Call(thimble_state_save, first.session(), nullptr, nullptr).code == 100);
  CHECK(Call(thimble_state_load, first.session(), 100, nullptr, nullptr).code == 100);
  CHECK(LoadState(nullptr, block.data(), block.size()).code == 100);
  CHECK(thimble_state_bytes(nullptr) == 0);
  Runner encoder(ZooEntry("encoder_rows").Bytes(), ApiOptions());
  CHECK(thimble_state_bytes(encoder.session()) == 0);
  std::vector<char> none;
  CHECK(SaveState(encoder.session(), &none).code == 601);
  CHECK(none.empty());
  CHECK(Load(encoder.session(), block).code == 601);
}

TEST_CASE("damaged states: every byte and every length is noticed") {
  const Bytes model = WindowModel().Bytes();
  const std::vector<int32_t> ids = WindowIds(100);
  const ApiOptions options = Options(THIMBLE_CACHE_Q4, THIMBLE_CACHE_Q4, 33, 4);
  Runner first(model, options);
  first.Prefill(ids);
  const Bytes block = Save(first.session());
  Runner runner(model, options);
  runner.Prefill(Part(ids, 0, 9));
  const Bytes before = Save(runner.session());
  size_t accepted = 0, changed = 0;
  const auto attempt = [&](const Bytes& damaged) {
    const thimble_error status = Load(runner.session(), damaged);
    accepted += status.code == 0 || status.message[0] == 0;
    return status.code;
  };
  for (size_t i = 0; i < block.size(); ++i) {
    Bytes damaged = block;
    damaged[i] ^= static_cast<uint8_t>(1 + i % 255);
    const int32_t code = attempt(damaged);
    accepted += code != (i < 8 ? 104 : 105);
    if (i % 100 == 0) changed += Save(runner.session()) != before;
  }
  for (size_t size = 0; size < block.size(); size += size < 300 ? 1 : 37) {
    accepted += attempt({block.begin(), block.begin() + static_cast<long>(size)}) != (size == 0 ? 104 : 105);
  }
  Bytes longer = block;
  longer.push_back(0);
  CHECK(attempt(longer) == 105);
  CHECK(attempt(Bytes(200, 0xff)) == 104);
  CHECK(accepted == 0);
  CHECK(changed == 0);
  CHECK(Save(runner.session()) == before);
  Check(Load(runner.session(), block));
  CHECK(Save(runner.session()) == block);
}

TEST_CASE("made-up states with right checksums: a named error, or a session that works") {
  const Bytes model = WindowModel().Bytes();
  const std::vector<int32_t> ids = WindowIds(600);
  const ApiOptions options = Options(THIMBLE_CACHE_F32, THIMBLE_CACHE_F32, 33, 4);
  Runner first(model, options);
  first.Prefill(ids);
  const Bytes block = Save(first.session());
  size_t loaded = 0, refused = 0, nameless = 0;
  Runner runner(model, options);
  const auto attempt = [&](const Bytes& made) {
    const thimble_error status = Load(runner.session(), made);
    if (status.code != 0) {
      ++refused;
      nameless += status.message[0] == 0 || std::string(thimble_code_name(status.code)) == "unknown";
      return status.code;
    }
    ++loaded;
    int32_t id = 0;
    (void)Call(thimble_sample, runner.session(), &id);  // NaN has a name, too
    (void)Call(thimble_rewind, runner.session(), thimble_rewind_limit(runner.session()));
    if (thimble_position(runner.session()) < kWindowContext) Check(DecodeId(runner.session(), 1));
    Save(runner.session());
    return 0;
  };
  CHECK(attempt(block) == 0);
  for (size_t at = 8; at < offsetof(StateHeader, header_checksum); ++at) {
    for (const uint8_t value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      StateHeader h = HeaderOf(block);
      reinterpret_cast<uint8_t*>(&h)[at] = value;
      attempt(WithHeader(block, h));
    }
  }
  StateHeader h = HeaderOf(block);
  h.version = kStateVersion + 1;
  CHECK(attempt(WithHeader(block, h)) == 302);
  h = HeaderOf(block);
  h.position = h.oldest_query = UINT64_MAX;
  CHECK(attempt(WithHeader(block, h)) == 600);
  h = HeaderOf(block);
  h.oldest_query = h.position + 1;
  CHECK(attempt(WithHeader(block, h)) == 105);
  // Any rows, logits and tokens.
  Bytes garbage = block;
  const size_t records = sizeof h + h.lines * sizeof(StateRecord);
  for (size_t i = records; i < garbage.size(); ++i) garbage[i] = static_cast<uint8_t>(i * 37 + i / 256 * 11);
  CHECK(attempt(WithHeader(garbage, HeaderOf(block))) == 0);
  std::memset(garbage.data() + records, 0xff, garbage.size() - records);
  CHECK(attempt(WithHeader(garbage, HeaderOf(block))) == 0);
  CHECK(nameless == 0);
  CHECK(refused > 100);
  // Nothing of it stays: a right one, and a new start.
  Check(Load(runner.session(), block));
  CHECK(Save(runner.session()) == block);
}
