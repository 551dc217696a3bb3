// Where a row is key and value, exactly one row exists for each token, layer and kv head: decoding a token writes it into the
// region of the cache, and nothing else.
#include <catch2/catch_test_macros.hpp>

#include "ops/cache/cache_row.h"
#include "runtime/core/checked.h"
#include "runtime/core/poison.h"
#include "tests/memory/combinations.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr uint32_t kContext = 20;

// Which bytes of the arena the token at `position` changes. The blocks are painted before the session is
// created, and with two paints, so that a byte cannot be written with what already lies there in both.
std::vector<bool> WrittenByToken(const OpenModel& model, const ApiOptions& options, size_t need,
                                 size_t position) {
  std::vector<bool> written(need);
  for (const uint8_t paint : {0xa5, 0x5a}) {
    PaintedBlock block(need, paint);
    thimble_session* session = nullptr;
    Require(CreateSession(model.get(), &options, block.data(), need, &session));
    for (size_t i = 0; i < position; ++i) Require(DecodeId(session, static_cast<int32_t>(i * 3 % 40)));
    const std::vector<uint8_t> before = block.Snapshot();
    Require(DecodeId(session, 5));
    const std::vector<uint8_t> after = block.Snapshot();
    thimble_session_close(session);
    for (size_t i = 0; i < need; ++i) {
      if (before[i] != after[i]) written[i] = true;
    }
  }
  return written;
}

// By enum thimble_cache_type.
constexpr CacheType kTypes[] = {CacheType::kF16, CacheType::kF32, CacheType::kQ8, CacheType::kQ4};

ApiOptions Options(int32_t cache, const char* kernels) {
  ApiOptions o = ApiOptions();
  o.context_tokens = kContext;
  o.key_cache = o.value_cache = cache;
  o.kernels = kernels;
  o.chunk_tokens = 2;
  return o;
}

// Where the rows of all layers must lie in the region: keys, then values where they are separate, layer after layer, one row
// behind the other for each head; what stands before a layer's rows takes whole words.
struct Strip {
  size_t layer, heads, width, before;
};

std::vector<Strip> Strips(const ModelDescription& d, CacheType type) {
  std::vector<Strip> strips;
  size_t before = 0;
  for (size_t layer = 0; layer < d.layers.size(); ++layer) {
    const AttentionSpec& a = d.layers[layer].attention();
    if (a.cache_source != -1) continue;
    const bool shared = a.sharing == Sharing::kKV || a.sharing == Sharing::kQKV;
    for (int rows = 0; rows < (shared ? 1 : 2); ++rows) {
      strips.push_back({layer, a.kv_heads, a.head_width, before});
      before += RoundUp(a.kv_heads * CacheRowBytes(type, a.head_width), 4);
    }
  }
  return strips;
}

// The bytes of the region that the token wrote must be one row for each strip and kv head, where the layout says.
void CheckRows(const PlanLine& line, const std::vector<bool>& written, CacheType type, const std::vector<Strip>& strips,
               size_t position) {
  const size_t rows = static_cast<size_t>(CacheRowsTaken(type, kContext));  // one chunk
  size_t count = 0, expected = 0;
  for (size_t i = 0; i < line.bytes; ++i) count += written[line.offset + i];
  for (const Strip& strip : strips) {
    const size_t row = CacheRowBytes(type, strip.width), head_bytes = rows * row;
    expected += row * strip.heads;
    // Which bytes of a head's rows a row has: those that storing it changes.
    std::vector<uint8_t> before(head_bytes, 0xa5), after = before;
    StoreCacheRow(type, std::vector<float>(strip.width, 1.0f).data(), strip.width, position, after.data());
    for (size_t g = 0; g < strip.heads; ++g) {
      for (size_t i = 0; i < head_bytes; ++i) {
        if (before[i] != after[i]) REQUIRE(written[line.offset + rows * strip.before + g * head_bytes + i]);
      }
    }
  }
  CHECK(count == expected);
}

}  // namespace

TEST_CASE("one row: shared keys and values are one row per token, layer and kv head") {
  size_t checked = 0;
  for (const ZooModel& z : ModelZoo()) {
    const ModelDescription d = ModelBuilder(z.builder).description();
    const bool all_same =
        z.name.substr(0, 4) == "k_v_" || z.name.substr(0, 6) == "q_k_v_" || z.name == "gain_and_sinks";
    if (!all_same) continue;
    const Sharing sharing = d.layers[0].attention().sharing;
    REQUIRE((sharing == Sharing::kKV || sharing == Sharing::kQKV));
    const OpenModel model(z.builder.Bytes());
    for (int32_t cache = 0; cache < kCacheTypeCount; ++cache) {
      INFO(z.name << ", cache " << cache);
      const CacheType type = kTypes[cache];
      const ApiOptions options = Options(cache, cache % 2 == 0 ? "scalar" : nullptr);
      const Plan plan = model.PlanFor(options);
      const std::vector<PlanLine> lines = plan.Named("kv_cache");
      REQUIRE(lines.size() == 1);
      const std::vector<Strip> strips = Strips(d, type);
      CHECK(strips.size() == d.layers.size());
      const size_t position = 7;
      CheckRows(lines[0], WrittenByToken(model, options, plan.totals.arena_bytes, position), type, strips, position);
      uint64_t bytes_per_token = 0;
      for (const Strip& strip : strips) bytes_per_token += CacheRowBytes(type, strip.width) * strip.heads;
      CHECK(plan.totals.kv_bytes_per_token == bytes_per_token);
      ++checked;
    }
  }
  CHECK(checked == 9 * kCacheTypeCount);
}

TEST_CASE("one row: separate keys and values are two rows, layers that read another's write none") {
  for (const char* name : {"none_on_write", "q_k_inverse", "cache_source"}) {
    const ModelDescription d = ZooEntry(name).description();
    const OpenModel model(ZooEntry(name).Bytes());
    for (int32_t cache = 0; cache < kCacheTypeCount; ++cache) {
      INFO(name << ", cache " << cache);
      const CacheType type = kTypes[cache];
      const ApiOptions options = Options(cache, nullptr);
      const Plan plan = model.PlanFor(options);
      const size_t position = 3;
      const std::vector<Strip> strips = Strips(d, type);
      // Two for a layer with rows of its own; the last layer of "cache_source" is a shared one.
      CHECK(strips.size() == (std::string(name) == "cache_source" ? 3 : 2 * d.layers.size()));
      const std::vector<PlanLine> lines = plan.Named("kv_cache");
      REQUIRE(lines.size() == 1);
      CheckRows(lines[0], WrittenByToken(model, options, plan.totals.arena_bytes, position), type, strips, position);
    }
  }
}

TEST_CASE("one row: keys and values of different types are refused where they are one row") {
  const OpenModel shared(ZooEntry("k_v_on_write").Bytes()), separate(ZooEntry("none_on_write").Bytes());
  ApiOptions options = Options(THIMBLE_CACHE_Q8, nullptr);
  options.value_cache = THIMBLE_CACHE_Q4;
  thimble_plan plan = Sized<thimble_plan>();
  const thimble_error refused = Call(thimble_plan_memory, shared.get(), &options, &plan, nullptr, nullptr);
  CHECK(refused.code == 100);
  CHECK(std::string(refused.message).find("value_cache") != std::string::npos);
  CHECK(Call(thimble_plan_memory, separate.get(), &options, &plan, nullptr, nullptr).code == 0);
}

TEST_CASE("one row: a shared row halves the cache of the same model with two") {
  for (int32_t cache = 0; cache < kCacheTypeCount; ++cache) {
    uint64_t bytes[2];
    for (const Sharing sharing : {Sharing::kNone, Sharing::kKV}) {
      ModelBuilder m(16, 44, kContext);
      AttentionSpec a;
      a.heads = 4;
      a.kv_heads = 1;
      a.head_width = 8;
      a.sharing = sharing;
      m.AddLayer(a, FfnKind::kPlain, Activation::kGeluErf, 24, NormKind::kLayerNorm, true);
      m.Finish(true, true, NormKind::kLayerNorm);
      bytes[sharing == Sharing::kKV] =
          OpenModel(m.Bytes()).PlanFor(Options(cache, nullptr)).totals.kv_bytes_per_token;
    }
    CHECK(bytes[0] == 2 * bytes[1]);
  }
}
