// Blocks beside attention and feed-forward in random shapes: against the oracle, and with the same bits however a text is cut and
// whoever helps.
#include <catch2/catch_test_macros.hpp>

#include "tests/runtime/oracle.h"
#include "tests/runtime/runner.h"
#include "tests/support/model_zoo.h"
#include "tests/support/shared_work.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr double kTolerance = 1e-4;
constexpr uint32_t kVocabulary = 37, kPositions = 40;

ApiOptions Options(uint32_t chunk, uint32_t threads, const char* kernels) {
  ApiOptions o;
  o.key_cache = o.value_cache = THIMBLE_CACHE_F32;
  o.chunk_tokens = chunk;
  o.logits_rows = 3;
  o.threads = threads;
  o.kernels = kernels;
  return o;
}

AttentionSpec Heads() {
  AttentionSpec a;
  a.heads = 4;
  a.kv_heads = 2;
  a.head_width = 8;
  return a;
}

void CheckFinished(ModelBuilder& m, std::mt19937_64& random) {
  std::vector<int32_t> ids(21);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % m.description().spec.vocabulary);
  const auto expected = OracleLogits(m, ids);
  const std::vector<uint8_t> bytes = m.Bytes();
  const ShareAllWork share;
  for (const char* kernels : {static_cast<const char*>(nullptr), "scalar"}) {
    Runner whole(bytes, Options(64, 2, kernels));
    const auto at_once = whole.Prefill(ids);
    CHECK(MaxDifference(at_once, expected) < kTolerance);
    Runner chunks(whole, Options(1 + static_cast<uint32_t>(random() % 9), 1, kernels));
    CHECK(MaxDifference(chunks.Prefill(ids), at_once) == 0);
    // Back into the text and on again.
    chunks.Rewind(6);
    CHECK(MaxDifference(chunks.DecodeEach({ids.begin() + 6, ids.end()}),
                        std::vector<std::vector<float>>(at_once.begin() + 6, at_once.end())) == 0);
  }
}

void CheckDecoder(ModelBuilder& m, std::mt19937_64& random) {
  m.Finish(true, true, NormKind::kRmsNorm);
  CheckFinished(m, random);
}

}  // namespace

TEST_CASE("what only few published families have agrees with the oracle") {
  std::mt19937_64 random(17);
  for (ZooModel& model : PartsInFloats()) {
    INFO(model.name);
    CheckFinished(model.builder, random);
  }
}

TEST_CASE("mixtures of experts agree with the oracle") {
  std::mt19937_64 random(11);
  for (int round = 0; round < 12; ++round) {
    INFO("round " << round);
    ModelBuilder m(8 + static_cast<uint32_t>(random() % 30), kVocabulary, kPositions, 50 + static_cast<uint64_t>(round));
    for (int layer = 0; layer < 2; ++layer) {
      const uint32_t experts = 1 + static_cast<uint32_t>(random() % 9), chosen = 1 + static_cast<uint32_t>(random() % experts);
      ExpertsSpec e = m.AddExperts(experts, chosen, 1 + static_cast<uint32_t>(random() % 40),
                                   random() % 2 == 0 ? FfnKind::kGated : FfnKind::kPlain);
      e.score = random() % 2 == 0 ? ExpertScore::kSoftmax : ExpertScore::kSigmoid;
      e.normalise = random() % 2 == 0;
      e.normalise_eps = random() % 2 == 0 ? 0.0f : 0.25f;
      e.scale = random() % 2 == 0 ? 1.0f : 0.75f;
      if (random() % 2 == 0) e.selection_bias = m.AddVector("bias", experts, 0, 0.5f);
      if (random() % 2 == 0) {
        e.shared = m.AddFfn(FfnKind::kGated, Activation::kGeluTanh, 1 + static_cast<uint32_t>(random() % 50), true);
        if (random() % 2 == 0) e.shared_gate = m.AddLinear("shared_gate", 1, m.description().spec.width, true);
      }
      m.AddLayer(m.AddAttention(Heads(), false), e);
    }
    CheckDecoder(m, random);
  }
}

TEST_CASE("short convolutions agree with the oracle") {
  std::mt19937_64 random(12);
  for (int round = 0; round < 12; ++round) {
    INFO("round " << round);
    ModelBuilder m(8 + static_cast<uint32_t>(random() % 30), kVocabulary, kPositions, 80 + static_cast<uint64_t>(round));
    for (int layer = 0; layer < 3; ++layer) {
      const ShortConvSpec c = m.AddShortConv(1 + static_cast<uint32_t>(random() % 8), 1 + static_cast<uint32_t>(random() % 60), random() % 2 == 0);
      if (layer == 1) {
        m.AddLayer(m.AddAttention(Heads(), true), c);
      } else {
        m.AddLayer(c, m.AddFfn(FfnKind::kGated, Activation::kSilu, 19, false));
      }
    }
    CheckDecoder(m, random);
  }
}

TEST_CASE("state spaces agree with the oracle") {
  std::mt19937_64 random(14);
  for (int round = 0; round < 12; ++round) {
    INFO("round " << round);
    ModelBuilder m(8 + static_cast<uint32_t>(random() % 30), kVocabulary, kPositions, 120 + static_cast<uint64_t>(round));
    for (int layer = 0; layer < 2; ++layer) {
      const uint32_t groups = 1 + static_cast<uint32_t>(random() % 3), heads = groups * (1 + static_cast<uint32_t>(random() % 3));
      StateSpaceSpec s = m.AddStateSpace(heads, 1 + static_cast<uint32_t>(random() % 9), groups, 1 + static_cast<uint32_t>(random() % 18),
                                         1 + static_cast<uint32_t>(random() % 5), random() % 2 == 0);
      if (random() % 4 == 0) s.norm_groups = 1;
      if (random() % 4 == 0) s.norm = {};
      if (random() % 3 == 0) s.min_step = 0.2f, s.max_step = 0.6f;
      s.gate_after_norm = random() % 2 == 0;
      if (layer == 1) {
        m.AddLayer(m.AddAttention(Heads(), true), s);
      } else {
        m.AddLayer(s);
      }
    }
    CheckDecoder(m, random);
  }
}

TEST_CASE("norms behind the sums and scales agree with the oracle") {
  std::mt19937_64 random(13);
  for (const NormKind kind : {NormKind::kLayerNorm, NormKind::kRmsNorm}) {
    ModelBuilder m(24, kVocabulary, kPositions, 90);
    for (int layer = 0; layer < 2; ++layer) {
      LayerSpec& l = m.AddLayer(Heads(), FfnKind::kPlain, Activation::kGeluErf, 29, NormKind::kNone, true);
      l.blocks[0].form = BlockForm::kPostNorm;
      for (BlockSpec& block : l.blocks) {
        block.post_norm = m.AddNorm(kind, 24);
        block.scale = 0.5f;
        block.output_scale = 1.25f;
      }
    }
    m.description().spec.input.norm = m.AddNorm(kind, 24);
    CheckDecoder(m, random);
  }
}
