// The forward pass of every layer kind against the double-precision oracle, as one pass, in chunks and token by token.
#include <catch2/catch_test_macros.hpp>
#include <sstream>

#include "ops/tables/kernel_table.h"
#include "tests/runtime/oracle.h"
#include "tests/runtime/runner.h"
#include "tests/support/model_zoo.h"
#include "tests/support/shared_work.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr double kTolerance = 1e-4;

// More than the 64 newest, which are read in int8 beside int4 rows, and than the ring of 256 that holds them.
constexpr uint32_t kCacheTokens = 600;

std::vector<int32_t> Ids(size_t count, uint32_t vocabulary, uint64_t seed = 7) {
  std::mt19937_64 random(seed);
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % vocabulary);
  return ids;
}

ApiOptions ExactOptions(uint32_t context) {
  ApiOptions o = ApiOptions();
  o.context_tokens = context;
  o.key_cache = o.value_cache = THIMBLE_CACHE_F32;
  o.chunk_tokens = 5;
  o.logits_rows = 3;
  return o;
}

RopeSpec Rope(uint32_t width, uint32_t offset, RopePairing pairing, uint32_t stride, uint32_t denominator) {
  RopeSpec r;
  r.width = width;
  r.offset = offset;
  r.pairing = pairing;
  r.pair_stride = stride;
  r.denominator = denominator;
  r.theta = 500.0;
  return r;
}

AttentionSpec Heads(uint32_t heads, uint32_t kv_heads, uint32_t d, Sharing sharing = Sharing::kNone,
                    KeyRotation rotation = KeyRotation::kNone) {
  AttentionSpec a;
  a.heads = heads;
  a.kv_heads = kv_heads;
  a.head_width = d;
  a.sharing = sharing;
  a.rotation = rotation;
  if (rotation != KeyRotation::kNone) a.rope = Rope(d / 2 * 2, 0, RopePairing::kHalfSplit, d / 2, d / 2 * 2);
  return a;
}

// One pass, chunks of 5, token by token, and after a rewind: all against the oracle.
void CheckModel(ModelBuilder& m, const std::string& what, size_t tokens = 17) {
  INFO(what);
  const std::vector<int32_t> ids = Ids(tokens, m.description().spec.vocabulary);
  const auto expected = OracleLogits(m, ids);
  const auto bytes = m.Bytes();
  ApiOptions options = ExactOptions(m.description().spec.max_positions);
  Runner chunks(bytes, options);
  const auto in_chunks = chunks.Prefill(ids);
  CHECK(MaxDifference(in_chunks, expected) < kTolerance);

  const ShareAllWork share;
  options.chunk_tokens = 64;
  options.threads = 2;
  Runner whole(bytes, options);
  const auto at_once = whole.Prefill(ids);
  CHECK(MaxDifference(at_once, expected) < kTolerance);

  Runner single(bytes, options);
  const auto one_by_one = single.DecodeEach(ids);
  CHECK(MaxDifference(one_by_one, expected) < kTolerance);

  // Going back and taking the same way again gives the same bits.
  Check(Call(thimble_rewind, single.session(), 4));
  const auto again = single.DecodeEach({ids.begin() + 4, ids.end()});
  CHECK(MaxDifference(again, std::vector<std::vector<float>>(one_by_one.begin() + 4, one_by_one.end())) == 0.0);
  CHECK(share.TasksOfOthers() > 0);
}

}  // namespace

TEST_CASE("every sharing mode, head grouping and key rotation agrees with the oracle") {
  const uint32_t groups[] = {6, 2, 1};
  for (const Sharing sharing : {Sharing::kNone, Sharing::kQK, Sharing::kKV, Sharing::kQKV}) {
    for (const uint32_t kv_heads : groups) {
      for (const KeyRotation rotation : {KeyRotation::kNone, KeyRotation::kOnWrite, KeyRotation::kOnRead,
                                         KeyRotation::kOnWriteInverseOutput}) {
        ModelBuilder m(24, 31, 32, 100 + kv_heads);
        for (int layer = 0; layer < 2; ++layer) {
          m.AddLayer(Heads(6, kv_heads, 10, sharing, rotation), FfnKind::kPlain, Activation::kGeluErf, 29, NormKind::kLayerNorm, true);
        }
        m.Finish(true, true, NormKind::kLayerNorm);
        std::ostringstream what;
        what << "sharing " << int(sharing) << " kv heads " << kv_heads << " rotation " << int(rotation);
        CheckModel(m, what.str());
      }
    }
  }
}

TEST_CASE("rotary shapes: pairing, partial width, offset, stride, denominator, scaling, divisors") {
  struct Case { const char* name; uint32_t width, offset; RopePairing pairing; uint32_t stride, denominator; };
  const Case cases[] = {
      {"interleaved", 12, 0, RopePairing::kInterleaved, 0, 12},
      {"interleaved, last elements", 6, 6, RopePairing::kInterleaved, 0, 6},
      {"partial half-split", 8, 0, RopePairing::kHalfSplit, 4, 8},
      {"partial with offset", 6, 3, RopePairing::kHalfSplit, 3, 6},
      {"pairs across the head, own denominator", 4, 0, RopePairing::kHalfSplit, 6, 12},
  };
  for (const Case& c : cases) {
    for (const KeyRotation rotation : {KeyRotation::kOnWrite, KeyRotation::kOnRead, KeyRotation::kOnWriteInverseOutput}) {
      ModelBuilder m(24, 31, 32, 5);
      AttentionSpec a = Heads(4, 2, 12, Sharing::kKV, rotation);
      a.rope = Rope(c.width, c.offset, c.pairing, c.stride, c.denominator);
      a.rope.position_scale = 0.25;
      a.rope.freq_divisors = m.AddVector("divisors", c.width / 2, 2.0f, 1.0f);
      m.AddLayer(a, FfnKind::kGated, Activation::kSilu, 30, NormKind::kRmsNorm, false);
      // A second layer with another rotation: its table must not be mixed up with the first.
      m.AddLayer(Heads(4, 2, 12, Sharing::kNone, KeyRotation::kOnWrite), FfnKind::kGated, Activation::kSilu, 30, NormKind::kRmsNorm, false);
      m.Finish(false, false, NormKind::kRmsNorm);
      CheckModel(m, c.name);
    }
  }
}

TEST_CASE("norms of queries, keys and values, key gain, post norms, softcaps, scales, windows, sinks") {
  ModelBuilder m(20, 37, 32, 9);
  AttentionSpec a = Heads(4, 2, 8, Sharing::kNone, KeyRotation::kOnWrite);
  a.q_norm = m.AddNorm(NormKind::kRmsNorm, 8, NormScope::kHead, 1.0f);
  a.k_norm = m.AddNorm(NormKind::kRmsNorm, 8, NormScope::kHead, 1.0f);
  a.v_norm = {.kind = NormKind::kRmsNorm, .scope = NormScope::kHead, .eps = 1e-6f};
  a.window = 6;
  a.softcap = 3.0f;
  a.sink_logits = m.AddVector("sinks", 4, 0, 1);
  LayerSpec& first = m.AddLayer(a, FfnKind::kGated, Activation::kGeluTanh, 18, NormKind::kRmsNorm, true);
  first.blocks[0].post_norm = m.AddNorm(NormKind::kRmsNorm, 20, NormScope::kRow, 1.0f);
  first.blocks[1].post_norm = m.AddNorm(NormKind::kRmsNorm, 20, NormScope::kRow, 1.0f);
  first.blocks[1].output_scale = 0.7f;
  // Norms over all heads together, none before the block.
  AttentionSpec b = Heads(5, 5, 4, Sharing::kNone, KeyRotation::kOnWrite);
  b.q_norm = m.AddNorm(NormKind::kRmsNorm, 20);
  b.k_norm = m.AddNorm(NormKind::kRmsNorm, 20);
  m.AddLayer(b, FfnKind::kPlain, Activation::kRelu, 22, NormKind::kNone, false);
  // Over each head, each with weights of its own.
  AttentionSpec each = Heads(4, 2, 8, Sharing::kNone, KeyRotation::kOnWrite);
  each.q_norm = m.AddNorm(NormKind::kLayerNorm, 32, NormScope::kEachHead);
  each.k_norm = m.AddNorm(NormKind::kRmsNorm, 16, NormScope::kEachHead);
  m.AddLayer(each, FfnKind::kPlain, Activation::kRelu, 22, NormKind::kNone, false);
  // One normed row, the key alone with a gain, rotated partly when read.
  AttentionSpec c = Heads(4, 1, 16, Sharing::kKV, KeyRotation::kOnRead);
  c.rope = Rope(4, 0, RopePairing::kHalfSplit, 8, 16);
  c.k_norm = {.kind = NormKind::kRmsNorm, .scope = NormScope::kHead, .eps = 1e-6f};
  c.key_gain = m.AddVector("gain", 16, 1, 0.5f);
  c.score_bias = m.AddVector("beta", 32, 0, 1.0f);
  c.scale = 1.0f;
  m.AddLayer(c, FfnKind::kPlain, Activation::kSilu, 22, NormKind::kLayerNorm, true);
  m.AddLayer(Heads(4, 4, 5), std::nullopt, Activation::kIdentity, 0, NormKind::kLayerNorm, true);
  m.Finish(false, false, NormKind::kRmsNorm);
  m.description().spec.input.scale = 4.5f;
  m.description().spec.output.softcap = 5.0f;
  m.description().spec.output.scale = 1.5f;
  CheckModel(m, "kinds mixed in one model", 23);
}

TEST_CASE("a layer reads the rows of an earlier layer") {
  for (const KeyRotation rotation : {KeyRotation::kNone, KeyRotation::kOnWrite, KeyRotation::kOnRead}) {
    ModelBuilder m(24, 31, 32, 3);
    m.AddLayer(Heads(4, 2, 6, Sharing::kKV, rotation), FfnKind::kPlain, Activation::kGeluErf, 20, NormKind::kRmsNorm, false);
    AttentionSpec reader = Heads(8, 2, 6, Sharing::kKV, rotation);
    reader.cache_source = 0;
    m.AddLayer(reader, FfnKind::kPlain, Activation::kGeluErf, 20, NormKind::kRmsNorm, false);
    m.Finish(true, true, NormKind::kRmsNorm);
    CheckModel(m, "cache source");
  }
}

TEST_CASE("an encoder sees every row, of tokens and of images") {
  ModelBuilder m(24, 31, 40, 4);
  AttentionSpec a = Heads(4, 4, 6, Sharing::kQKV);
  a.causal = false;
  a.score_bias = m.AddVector("beta", 40, 0, 1.0f);
  m.AddLayer(a, FfnKind::kPlain, Activation::kGeluErf, 20, NormKind::kLayerNorm, true);
  m.AddLayer(a, FfnKind::kPlain, Activation::kGeluErf, 20, NormKind::kLayerNorm, true);
  m.Finish(true, false, NormKind::kLayerNorm);
  const std::vector<int32_t> ids = Ids(19, 31);
  ApiOptions options = ExactOptions(40);
  options.chunk_tokens = 0;
  Runner runner(m.Bytes(), options);
  CHECK(MaxDifference(runner.EncodeRows(ids), OracleLogits(m, ids)) < kTolerance);
  const thimble_error status = Call(thimble_prefill, runner.session(), ids.data(), ids.size());
  CHECK(status.code == 601);

  // 3 x 13 x 10 pixels in patches of 4: 4 x 3 patches, padded at the right and the bottom.
  InputSpec& in = m.description().spec.input;
  in.kind = InputKind::kPatches;
  in.table = kNoTensor;
  in.image_height = 13;
  in.image_width = 10;
  in.image_channels = 3;
  in.patch = 4;
  in.patch_projection = m.AddLinear("patch", 24, 48, true);
  in.cls = m.AddVector("cls", 24, 0, 1);
  m.description().spec.output.rows = OutputRows::kFirst;
  std::mt19937_64 random(8);
  std::vector<float> pixels(3 * 13 * 10);
  for (float& p : pixels) p = static_cast<float>(random() % 1000) / 500.0f - 1.0f;
  std::vector<std::vector<double>> rows(13, std::vector<double>(24));
  for (size_t c = 0; c < 24; ++c) rows[0][c] = m.values(in.cls)[c];
  for (size_t p = 0; p < 12; ++p) {
    for (size_t n = 0; n < 24; ++n) {
      double sum = m.values(in.patch_projection.bias)[n];
      for (size_t k = 0; k < 48; ++k) {
        const size_t channel = k / 16, y = p / 3 * 4 + k % 16 / 4, x = p % 3 * 4 + k % 4;
        if (y < 13 && x < 10) sum += m.values(in.patch_projection.weight)[n * 48 + k] * pixels[(channel * 13 + y) * 10 + x];
      }
      rows[p + 1][n] = sum;
    }
  }
  for (size_t i = 0; i < 13; ++i) for (size_t c = 0; c < 24; ++c) rows[i][c] += m.values(in.positions)[i * 24 + c];
  auto expected = OracleFromRows(m, rows);
  expected.resize(1);
  Runner vision(m.Bytes(), options);
  CHECK(MaxDifference(vision.EncodeImage(pixels), expected) < kTolerance);
}

// On a processor without a table's instructions (emulated ones in the configurations a53, a76 and a7) a test that got this wrong would die.
TEST_CASE("every kernel table that is asked for runs, or is refused by name") {
  ModelBuilder m(72, 61, 32, 12);
  m.Weights(WeightType::kQ8);
  m.AddLayer(Heads(9, 3, 8), FfnKind::kGated, Activation::kSilu, 100, NormKind::kRmsNorm, false);
  m.Finish(false, true, NormKind::kRmsNorm);
  const std::vector<uint8_t> bytes = m.Bytes();
  const AlignedBytes aligned(bytes);
  const std::string runs = std::string(" ") + thimble_kernel_tables() + " ";
  size_t ran = 0;
  for (const KernelTable* table : AllKernelTables()) {
    INFO(table->name);
    ApiOptions options = ExactOptions(32);
    options.kernels = table->name;
    if (runs.find(std::string(" ") + table->name + " ") != std::string::npos) {
      CHECK(!Runner(bytes, options).Prefill(Ids(3, 61)).empty());
      ++ran;
      continue;
    }
    thimble_model* model = nullptr;
    thimble_session* session = nullptr;
    REQUIRE(Call(thimble_model_open_memory, aligned.data(), aligned.size(), &model).code == THIMBLE_OK);
    const thimble_error error = CreateSession(model, &options, nullptr, 0, &session);
    CHECK(error.code == THIMBLE_UNSUPPORTED_CPU);
    CHECK(std::string(error.message).find(table->name) != std::string::npos);
    thimble_model_close(model);
  }
  CHECK(ran >= 1);
}

TEST_CASE("quantised weights stay near the oracle over the same weights, for every kernel table of this CPU", "[threads]") {
  const ShareAllWork share;
  std::istringstream tables(thimble_kernel_tables());
  for (std::string table; tables >> table;) {
    for (uint8_t t = 0; t < kWeightTypeCount; ++t) {
      const WeightType type = static_cast<WeightType>(t);
      INFO(table << " weights " << int(type));
      ModelBuilder m(72, 61, 32, 12);
      m.Weights(type, TraitsOf(type).blocks ? 32 : 0);
      m.AddLayer(Heads(9, 3, 8, Sharing::kKV, KeyRotation::kOnRead), FfnKind::kGated, Activation::kSilu, 100, NormKind::kRmsNorm, false);
      m.AddLayer(Heads(9, 1, 8), FfnKind::kPlain, Activation::kGeluErf, 91, NormKind::kLayerNorm, true);
      m.Finish(false, true, NormKind::kRmsNorm);
      const std::vector<int32_t> ids = Ids(12, 61);
      ApiOptions options = ExactOptions(32);
      options.kernels = table.c_str();
      Runner runner(m.Bytes(), options);
      const auto got = runner.Prefill(ids);
      // Rows are quantised to 8 bits on the way in, weights are exact: an error of the order of 1% of the logits' spread. Ternary
      // weights of one scale are larger, and rows for them have one for all of their numbers.
      CHECK(MaxDifference(got, OracleLogits(m, ids)) < (type == WeightType::kF32 ? kTolerance : type == WeightType::kTernary ? 0.6 : 0.25));

      // The same bits for every number of threads and every way of cutting the prompt.
      for (const uint32_t threads : {2u, 3u, 4u}) {
        options.threads = threads;
        options.chunk_tokens = threads == 3 ? 1 : 64;
        Runner other(m.Bytes(), options);
        CHECK(MaxDifference(other.Prefill(ids), got) == 0.0);
      }
    }
  }
  CHECK(share.TasksOfOthers() > 0);
}

TEST_CASE("layers as wide as those of real models wake a second worker, and give the oracle's numbers", "[threads]") {
  ModelBuilder m(320, 1000, 64, 21);
  m.AddLayer(Heads(10, 1, 32, Sharing::kKV), FfnKind::kGated, Activation::kSilu, 900, NormKind::kRmsNorm, false);
  m.Finish(false, true, NormKind::kRmsNorm);
  const auto bytes = m.Bytes();
  const std::vector<int32_t> ids = Ids(40, 1000);
  ApiOptions options = ExactOptions(64);
  options.chunk_tokens = 40;
  Runner one(bytes, options);
  const auto expected = one.Prefill(ids);
  CHECK(MaxDifference(expected, OracleLogits(m, ids)) < kTolerance);
  options.threads = 2;
  Runner two(bytes, options);
  size_t wrong = 0;
  CHECK(OthersComeToWork([&] {
    two.Rewind(0);
    wrong += MaxDifference(two.Prefill(ids), expected) != 0.0;
  }));
  // One token at a time: its linear layers are wide enough, too.
  two.Rewind(0);
  CHECK(OthersComeToWork([&] {
    two.Rewind(0);
    wrong += MaxDifference(two.DecodeEach({ids[0]}), std::vector<std::vector<float>>{expected[0]}) != 0.0;
  }));
  CHECK(wrong == 0);
}

TEST_CASE("rows are turned where every block that reads them can turn") {
  const std::vector<uint8_t> bytes = ZooEntry("turned_rows").Bytes();
  const std::vector<int32_t> ids = Ids(20, 20);
  const auto rows = [&](int32_t keys) {
    ApiOptions options = ApiOptions();
    options.key_cache = options.value_cache = keys;
    return Runner(bytes, options).Prefill(ids);
  };
  const double difference = MaxDifference(rows(THIMBLE_CACHE_Q8), rows(THIMBLE_CACHE_F32));
  CAPTURE(difference);
  CHECK(difference < 0.17);  // 0.116 measured; 3.8 where rows that are rotated when read are turned as well
}

TEST_CASE("one number of a head that is a hundred times the others costs little in small rows") {
  // What keys of trained models look like. The bias is the same for all positions, so that softmax does not see it; the rows do.
  ModelBuilder m(64, 90, 64, 9);
  AttentionSpec a = m.AddAttention(Heads(2, 1, 64), true);
  const size_t bias = static_cast<size_t>(a.k.bias), value_bias = static_cast<size_t>(a.v.bias);
  m.SetValue(static_cast<int32_t>(bias), 5, 60.0f);
  m.SetValue(static_cast<int32_t>(value_bias), 40, 60.0f);
  m.AddLayer(a, m.AddFfn(FfnKind::kGated, Activation::kSilu, 64, false));
  m.Finish(false, true, NormKind::kRmsNorm);
  std::vector<int32_t> ids(60);
  std::mt19937_64 random(2);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % 90);
  const auto bytes = m.Bytes();
  const auto rows = [&](int32_t type) {
    ApiOptions options = ApiOptions();
    options.key_cache = options.value_cache = type;
    return Runner(bytes, options).Prefill(ids);
  };
  const auto exact = rows(THIMBLE_CACHE_F32);
  // 0.084 measured; 0.329 where rows are not turned.
  CHECK(MaxDifference(rows(THIMBLE_CACHE_Q8), exact) < 0.11);
}

TEST_CASE("cache types: close to exact rows, and the same bits for every number of threads", "[threads]") {
  const ShareAllWork share;
  ModelBuilder m(48, 61, kCacheTokens, 13);
  m.AddLayer(Heads(8, 1, 32, Sharing::kKV), FfnKind::kPlain, Activation::kGeluErf, 64, NormKind::kLayerNorm, true);
  m.AddLayer(Heads(8, 2, 32), FfnKind::kPlain, Activation::kGeluErf, 64, NormKind::kLayerNorm, true);
  m.Finish(true, true, NormKind::kLayerNorm);
  const std::vector<int32_t> ids = Ids(kCacheTokens, 61);
  const auto expected = OracleLogits(m, ids);
  // f16, f32, q8, q4; 1.5 times what was measured: 0.0021, 7.9e-6, 0.10, 0.35.
  const double bound[] = {3.2e-3, 1.2e-5, 0.15, 0.53};
  for (int32_t type = 0; type < 4; ++type) {
    INFO("cache type " << type);
    ApiOptions options = ExactOptions(kCacheTokens);
    options.key_cache = options.value_cache = type;
    Runner one(m.Bytes(), options);
    const auto got = one.Prefill(ids);
    CHECK(MaxDifference(got, expected) < bound[type]);
    options.threads = 4;
    options.chunk_tokens = 64;
    Runner four(m.Bytes(), options);
    CHECK(MaxDifference(four.Prefill(ids), got) == 0.0);
    Runner single(m.Bytes(), options);
    CHECK(MaxDifference(single.DecodeEach(ids), got) == 0.0);
  }
  CHECK(share.TasksOfOthers() > 0);
}
