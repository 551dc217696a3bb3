#include "tests/support/conversation.h"
#include "tests/support/model_zoo.h"

#include <stdexcept>

#include "tests/support/tiny_tokenizer.h"

namespace thimble::test {
namespace {

constexpr uint32_t kWidth = 16, kVocabulary = 44, kPositions = 24, kHeadWidth = 8;

AttentionSpec Heads(uint32_t heads, uint32_t kv_heads, Sharing sharing = Sharing::kNone,
                    KeyRotation rotation = KeyRotation::kNone) {
  AttentionSpec a;
  a.heads = heads;
  a.kv_heads = kv_heads;
  a.head_width = kHeadWidth;
  a.sharing = sharing;
  a.rotation = rotation;
  if (rotation == KeyRotation::kNone) return a;
  a.rope.width = kHeadWidth;
  a.rope.pair_stride = kHeadWidth / 2;
  a.rope.denominator = kHeadWidth;
  a.rope.theta = 100.0;
  return a;
}

class Zoo {
 public:
  ModelBuilder Start() { return ModelBuilder(kWidth, kVocabulary, kPositions, ++seed_); }

  void Add(const std::string& name, ModelBuilder builder, bool learned_positions, bool tied, NormKind norm) {
    builder.Finish(learned_positions, tied, norm);
    builder.description().tokenizer = TinyTokenizer(kVocabulary);
    AddFinished(name, std::move(builder));
  }
  void AddFinished(const std::string& name, ModelBuilder builder) {
    builder.description().name = name;
    builder.description().chat_formats = {Compiled("{{ messages }}")};
    builder.description().metadata = {{"source", "random"}, {"seed", std::to_string(seed_)}};
    models_.push_back({name, std::move(builder)});
  }
  std::vector<ZooModel> Take() { return std::move(models_); }

 private:
  std::vector<ZooModel> models_;
  uint64_t seed_ = 100;
};

void AddSharingAndRotation(Zoo& zoo) {
  const char* sharing_names[] = {"none", "q_k", "k_v", "q_k_v"};
  const char* rotation_names[] = {"unrotated", "on_write", "on_read", "inverse"};
  const uint32_t kv_heads[] = {4, 2, 1};
  for (int i = 0; i < 16; ++i) {
    const Sharing sharing = static_cast<Sharing>(i / 4);
    const KeyRotation rotation = static_cast<KeyRotation>(i % 4);
    ModelBuilder m = zoo.Start();
    m.Weights(static_cast<WeightType>(i % 3), i % 3 == 2 ? 32 : 0);
    const FfnKind kind = i % 2 == 0 ? FfnKind::kPlain : FfnKind::kGated;
    const std::optional<FfnKind> ffn = i % 5 == 4 ? std::nullopt : std::optional(kind);
    const NormKind norm = i % 2 == 0 ? NormKind::kLayerNorm : NormKind::kRmsNorm;
    const Activation activation = static_cast<Activation>(i % kPlainActivations);
    for (int layer = 0; layer < 2; ++layer) {
      m.AddLayer(Heads(4, kv_heads[i % 3], sharing, rotation), ffn, activation, 24, norm, i % 4 < 2);
    }
    zoo.Add(std::string(sharing_names[i / 4]) + "_" + rotation_names[i % 4], std::move(m),
            rotation == KeyRotation::kNone, i % 3 != 0, norm);
  }
}

// Factors on what heads give, norms inside of both mixers, norms behind the rotation, queries that grow, two networks on the same
// normed rows, activations with a shape, and a block that replaces the rows.
void AddGatesAndShapes(ModelBuilder& m) {
  AttentionSpec per_head = m.AddAttention(Heads(4, 1, Sharing::kKV, KeyRotation::kOnRead), false);
  per_head.gate = m.AddLinear("gate", 4, kWidth, false);
  ExpertsSpec e = m.AddExperts(6, 3, 16);
  e.groups = 3;
  e.chosen_groups = 2;
  e.score = ExpertScore::kSigmoid;
  e.ffn.activation = Activation::kClampedSwish;
  e.ffn.shape = m.AddVector("clamp", 4, 1.0f, 0.2f);
  m.AddLayer(per_head, e).blocks[1].form = BlockForm::kReplace;
  AttentionSpec a = Heads(4, 4, Sharing::kNone, KeyRotation::kOnWrite);
  a.norm_order = NormOrder::kAfterRotation;
  a.query_growth = 0.4f;
  a.query_period = 5;
  a = m.AddAttention(a, true);
  a.q_norm = m.AddNorm(NormKind::kRmsNorm, kHeadWidth, NormScope::kHead);
  a.k_norm = m.AddNorm(NormKind::kRmsNorm, kHeadWidth, NormScope::kHead);
  a.gate = m.AddLinear("gate", 4 * kHeadWidth, kWidth, true);
  a.out_norm = m.AddNorm(NormKind::kRmsNorm, 4 * kHeadWidth);
  FfnSpec f = m.AddFfn(FfnKind::kPlain, Activation::kXielu, 24, true);
  f.shape = m.AddVector("xielu", 4, 0.3f, 0.2f);
  f.norm = m.AddNorm(NormKind::kRmsNorm, 24);
  LayerSpec& parallel = m.AddLayer(a, f);
  parallel.blocks[1].form = BlockForm::kParallel;
  parallel.blocks[1].norm = {};
}

// A row of 8 numbers, of which 5 are normed and 2 turned, is key and value of all heads; queries come from rows of 7. Long contexts
// turn by other divisors.
void AddLatent(ModelBuilder& m) {
  AttentionSpec a = Heads(4, 1, Sharing::kKV, KeyRotation::kOnWrite);
  a.rope.width = a.rope.denominator = 2;
  a.rope.pairing = RopePairing::kInterleaved;
  a.rope.offset = 5;
  a.rope.long_from = 1;
  a.rope.freq_divisors = m.AddVector("divisors", 1, 2.0f, 0.0f);
  a.rope.long_divisors = m.AddVector("long_divisors", 1, 3.0f, 0.0f);
  a.latent = 5;
  a = m.AddAttention(a, false);
  a.k_norm = m.AddNorm(NormKind::kRmsNorm, 5);
  a.q = m.AddLinear("q", 4 * kHeadWidth, 7, false);
  a.q_low = m.AddLinear("q_low", 7, kWidth, true);
  a.q_low_norm = m.AddNorm(NormKind::kRmsNorm, 7);
  m.AddLayer(a, m.AddFfn(FfnKind::kGated, Activation::kSilu, 24, false));
}

// A delta rule; rows that the input makes for the layers; and attention and experts that are summed before one norm.
void AddDeltaAndRows(ModelBuilder& m) {
  StateSpaceSpec delta = m.AddStateSpace(4, 6, 2, 5, 3, false);
  delta.rule = StateRule::kDelta;
  delta.skip = kNoTensor;
  delta.beta = m.AddLinear("beta", 4, kWidth, false);
  delta.beta_scale = 1.5f;
  delta.gate_after_norm = true;
  FfnSpec row = m.AddFfn(FfnKind::kGated, Activation::kGeluTanh, 6, false);
  row.kind = FfnKind::kLayerRow;
  row.row = 1;
  row.up = {};
  LayerRowsSpec& rows = m.description().spec.input.layer_rows;
  rows.width = 6;
  rows.count = 2;
  rows.projection = m.AddLinear("row_projection", 12, kWidth, false);
  rows.norm = m.AddNorm(NormKind::kRmsNorm, 6);
  rows.table = m.AddMatrix("row_table", kVocabulary - 3, 12, 0.7f);
  rows.table_scale = 1.3f;
  rows.scale = 0.7f;
  m.AddLayer(delta, row);
  LayerSpec& sum = m.AddLayer(m.AddAttention(Heads(4, 2, Sharing::kNone, KeyRotation::kOnWrite), false), m.AddExperts(3, 2, 16));
  sum.blocks[0].form = sum.blocks[1].form = BlockForm::kBranches;
  sum.blocks[0].post_norm = m.AddNorm(NormKind::kRmsNorm, kWidth);
  sum.blocks[1].sum_norm = m.AddNorm(NormKind::kRmsNorm, kWidth);
  sum.blocks[1].output_scale = 0.8f;
}

// Three residual streams, one of which is projected; they are mixed by what a router says, and by numbers alone. Mixers of both kinds
// that keep something are applied again in later layers; normed rows are added, gates keep their largest numbers, and a norm stands
// on both sides of a block.
void AddStreams(ModelBuilder& m) {
  InputSpec& in = m.description().spec.input;
  in.streams = 3;
  StreamsSpec first;
  first.projected = 2;
  first.like = 1;
  first.least_square = 0.01f;
  first.projection = m.AddLinear("projection", kWidth, kWidth, false);
  first.constants = m.AddVector("constants", 9, 0.3f, 0.5f);
  StreamsSpec routed;
  routed.modes = 2;
  routed.router = m.AddLinear("router", 2, kWidth, false);
  routed.constants = first.constants;
  const auto streams = [](const StreamsSpec& s) {
    BlockSpec block;
    block.form = BlockForm::kStreams;
    block.mixer = s;
    return block;
  };
  FfnSpec low = m.AddFfn(FfnKind::kPlain, Activation::kIdentity, 5, false);
  FfnSpec sparse = m.AddFfn(FfnKind::kGated, Activation::kGeluTanh, 24, false);
  sparse.sparse = true;
  sparse.deviations = 0.4f;
  LayerSpec& a = m.AddLayer(m.AddAttention(Heads(4, 2, Sharing::kNone, KeyRotation::kOnWrite), false), low);
  a.blocks[1].form = BlockForm::kParallel;
  a.blocks[1].norm = {};
  a.blocks[1].carry = 0.5f;
  a.blocks[1].post_norm = m.AddNorm(NormKind::kRmsNorm, kWidth);
  a.blocks.insert(a.blocks.begin(), streams(first));
  const BlockSpec attention = a.blocks[1];
  LayerSpec& b = m.AddLayer(m.AddShortConv(3, kWidth, false), sparse);
  b.blocks[1].form = BlockForm::kPostNorm;
  b.blocks[1].post_norm = m.AddNorm(NormKind::kRmsNorm, kWidth);
  const BlockSpec convolution = b.blocks[0];
  m.Weights(WeightType::kF32);
  routed.factors = m.AddMatrix("factors", 9, 2, 0.5f);
  in.stream_start = m.AddMatrix("stream_start", 2, kWidth, 0.8f);
  b.blocks.push_back(streams(routed));
  b.blocks.back().norm = m.AddNorm(NormKind::kRmsNorm, kWidth);
  BlockSpec again[] = {attention, convolution, b.blocks[1]};
  again[0].repeats = 1, again[1].repeats = 3, again[2].repeats = 4;
  again[0].scale = 0.7f;
  again[2].form = BlockForm::kResidual;
  again[2].post_norm = {};
  m.description().layers.push_back({{again[0], again[1], again[2]}});
}

struct PartsModel {
  const char* name;
  void (*add)(ModelBuilder& m);
};
constexpr PartsModel kPartsModels[] = {{"gates_and_shapes", AddGatesAndShapes}, {"latent", AddLatent}, {"delta_and_rows", AddDeltaAndRows}, {"streams", AddStreams}};

void AddFeatures(Zoo& zoo) {
  {
    // Everything that Gemma-like models have, layers of two kinds.
    ModelBuilder m = zoo.Start();
    m.Weights(WeightType::kQ8);
    for (int layer = 0; layer < 3; ++layer) {
      AttentionSpec a = Heads(4, 2, Sharing::kNone, KeyRotation::kOnWrite);
      a.softcap = 20.0f;
      a.window = layer == 2 ? 0 : 5;
      a.rope.theta = layer == 2 ? 1000.0 : 100.0;
      a.q_norm = m.AddNorm(NormKind::kRmsNorm, kHeadWidth, NormScope::kHead, 1.0f);
      a.k_norm = m.AddNorm(NormKind::kRmsNorm, kHeadWidth, NormScope::kHead, 1.0f);
      a.v_norm = m.AddNorm(NormKind::kRmsNorm, 2 * kHeadWidth);
      LayerSpec& l = m.AddLayer(a, FfnKind::kGated, Activation::kGeluTanh, 40, NormKind::kRmsNorm, false);
      l.blocks[0].post_norm = m.AddNorm(NormKind::kRmsNorm, kWidth, NormScope::kRow, 1.0f);
      l.blocks[1].post_norm = m.AddNorm(NormKind::kRmsNorm, kWidth, NormScope::kRow, 1.0f);
      l.blocks[1].output_scale = 0.75f;
    }
    m.description().spec.input.scale = 4.0f;
    m.description().spec.output.softcap = 30.0f;
    m.description().spec.output.scale = 0.5f;
    zoo.Add("post_norms", std::move(m), false, true, NormKind::kRmsNorm);
  }
  {
    ModelBuilder m = zoo.Start();
    AttentionSpec a = Heads(4, 1, Sharing::kKV, KeyRotation::kOnRead);
    a.key_gain = m.AddVector("key_gain", kHeadWidth, 1.0f, 0.5f);
    a.sink_logits = m.AddVector("sinks", 4, 0, 1.0f);
    a.score_bias = m.AddVector("score_bias", kPositions, 0, 1.0f);
    a.rope.width = 4;
    a.rope.offset = 2;
    a.rope.pairing = RopePairing::kInterleaved;
    a.rope.pair_stride = 0;
    a.rope.magnitude = 1.2f;
    a.rope.position_scale = 0.25;
    a.rope.freq_divisors = m.AddVector("freq_divisors", 2, 2.0f, 0.5f);
    m.AddLayer(a, FfnKind::kGated, Activation::kSilu, 24, NormKind::kRmsNorm, true);
    zoo.Add("gain_and_sinks", std::move(m), false, false, NormKind::kRmsNorm);
  }
  {
    ModelBuilder m = zoo.Start();
    m.Weights(WeightType::kQ4, 64);
    AttentionSpec a = Heads(2, 1, Sharing::kNone, KeyRotation::kOnWrite);
    m.AddLayer(a, FfnKind::kPlain, Activation::kRelu, 24, NormKind::kLayerNorm, true);
    a.cache_source = 0;
    m.AddLayer(a, FfnKind::kPlain, Activation::kReluSquared, 48, NormKind::kLayerNorm, true);
    AttentionSpec own = Heads(1, 1, Sharing::kKV);
    m.AddLayer(own, std::nullopt, Activation::kIdentity, 0, NormKind::kNone, false);
    zoo.Add("cache_source", std::move(m), true, true, NormKind::kNone);
  }
  for (const bool cls : {false, true}) {
    ModelBuilder m = zoo.Start();
    AttentionSpec a = Heads(4, cls ? 1 : 4, cls ? Sharing::kQKV : Sharing::kQK);
    a.causal = false;
    m.AddLayer(a, FfnKind::kPlain, Activation::kGeluErf, 24, NormKind::kLayerNorm, true);
    m.description().spec.output.rows = cls ? OutputRows::kFirst : OutputRows::kEvery;
    zoo.Add(cls ? "encoder_first_row" : "encoder_rows", std::move(m), true, !cls, NormKind::kLayerNorm);
  }
  {
    // As BERT: a norm of the embedded rows, norms behind the sums, no head.
    ModelBuilder m = zoo.Start();
    m.Weights(WeightType::kQ8);
    AttentionSpec a = Heads(4, 2);
    a.causal = false;
    for (int layer = 0; layer < 2; ++layer) {
      LayerSpec& l = m.AddLayer(a, FfnKind::kPlain, Activation::kGeluErf, 24, NormKind::kNone, true);
      for (BlockSpec& block : l.blocks) {
        block.form = BlockForm::kPostNorm;
        block.post_norm = m.AddNorm(NormKind::kLayerNorm, kWidth);
      }
    }
    ModelSpec& s = m.description().spec;
    s.input.norm = m.AddNorm(NormKind::kLayerNorm, kWidth);
    s.input.table = m.AddMatrix("embedding", kVocabulary, kWidth, 1.0f);
    m.Weights(WeightType::kF32);
    s.input.positions = m.AddMatrix("positions", kPositions, kWidth, 0.5f);
    s.outputs = kWidth;
    m.description().tokenizer = TinyTokenizer(kVocabulary);
    zoo.AddFinished("encoder_post_norm", std::move(m));
  }
  {
    // Experts of 14 fit no tile, those of 16 fit some.
    ModelBuilder m = zoo.Start();
    m.Weights(WeightType::kQ8);
    for (const uint32_t width : {14u, 16u}) {
      const AttentionSpec a = m.AddAttention(Heads(4, 2, Sharing::kNone, KeyRotation::kOnWrite), false);
      ExpertsSpec e = m.AddExperts(5, 2, width, width == 14 ? FfnKind::kGated : FfnKind::kPlain);
      e.normalise = width == 14;
      e.scale = 1.5f;
      if (width == 16) {
        e.score = ExpertScore::kSigmoid;
        e.selection_bias = m.AddVector("selection_bias", 5, 0, 0.5f);
        e.shared = m.AddFfn(FfnKind::kGated, Activation::kSilu, 20, false);
        e.shared_gate = m.AddLinear("shared_gate", 1, kWidth, false);
      }
      m.AddLayer(a, e);
    }
    zoo.Add("experts", std::move(m), false, true, NormKind::kRmsNorm);
  }
  {
    ModelBuilder m = zoo.Start();
    m.Weights(WeightType::kQ4, 32);
    m.AddLayer(m.AddShortConv(3, kWidth, false), m.AddFfn(FfnKind::kGated, Activation::kSilu, 24, false));
    m.AddLayer(m.AddAttention(Heads(4, 1, Sharing::kKV, KeyRotation::kOnRead), false), m.AddShortConv(5, 2 * kWidth, true));
    m.AddLayer(m.AddShortConv(1, 12, true), m.AddExperts(3, 3, 8));
    zoo.Add("short_conv", std::move(m), false, false, NormKind::kRmsNorm);
  }
  {
    ModelBuilder m = zoo.Start();
    m.Weights(WeightType::kQ8);
    m.AddLayer(m.AddStateSpace(4, 6, 2, 5, 4, true));
    m.AddLayer(m.AddAttention(Heads(4, 1, Sharing::kKV, KeyRotation::kOnRead), false), m.AddFfn(FfnKind::kGated, Activation::kSilu, 24, false));
    StateSpaceSpec plain = m.AddStateSpace(3, 8, 1, 16, 2, false);
    plain.norm = {};
    plain.max_step = 0.5f;
    m.AddLayer(plain, m.AddFfn(FfnKind::kPlain, Activation::kRelu, 24, false));
    zoo.Add("state_space", std::move(m), false, false, NormKind::kRmsNorm);
  }
  {
    // Heads wide enough that int8 and int4 rows of theirs are stored turned, one block of which reads another's; and one that is not.
    ModelBuilder m = zoo.Start();
    const auto wide = [](uint32_t kv_heads, Sharing sharing, KeyRotation rotation) {
      AttentionSpec a = Heads(4, kv_heads, sharing, rotation);
      a.head_width = 32;
      if (rotation != KeyRotation::kNone) a.rope.width = a.rope.denominator = 32, a.rope.pair_stride = 16;
      return a;
    };
    m.AddLayer(m.AddAttention(wide(2, Sharing::kNone, KeyRotation::kOnWrite), true), m.AddFfn(FfnKind::kGated, Activation::kSilu, 24, false));
    AttentionSpec reader = wide(2, Sharing::kNone, KeyRotation::kOnWrite);
    reader.cache_source = 0;
    m.AddLayer(m.AddAttention(reader, false), m.AddAttention(wide(1, Sharing::kKV, KeyRotation::kNone), false));
    m.AddLayer(m.AddAttention(wide(1, Sharing::kKV, KeyRotation::kOnRead), false), m.AddFfn(FfnKind::kPlain, Activation::kRelu, 24, false));
    zoo.Add("turned_rows", std::move(m), false, true, NormKind::kRmsNorm);
  }
  {
    // Turned weights of both types, by blocks of 16, 8 and 4 columns, beside plain ones; the tied table is turned, too.
    ModelBuilder m = zoo.Start();
    m.Weights(WeightType::kQ8);
    m.AddLayer(m.AddAttention(Heads(4, 2, Sharing::kNone, KeyRotation::kOnWrite), true), m.AddFfn(FfnKind::kGated, Activation::kSilu, 24, false));
    m.Turned();
    m.AddLayer(m.AddAttention(Heads(4, 2, Sharing::kNone, KeyRotation::kOnWrite), true), m.AddFfn(FfnKind::kGated, Activation::kSilu, 40, false));
    m.Weights(WeightType::kQ4, 32);
    AttentionSpec mixed = m.AddAttention(Heads(4, 1, Sharing::kKV, KeyRotation::kOnRead), false);
    m.Weights(WeightType::kF32);
    mixed.q = m.AddLinear("q", 4 * kHeadWidth, kWidth, false);
    m.Weights(WeightType::kQ4, 32);
    m.AddLayer(mixed, m.AddExperts(3, 2, 12));
    m.Weights(WeightType::kQ8);
    zoo.Add("turned", std::move(m), false, true, NormKind::kRmsNorm);
  }
  for (const PartsModel& parts : kPartsModels) {
    ModelBuilder m = zoo.Start();
    m.Weights(WeightType::kQ8);
    parts.add(m);
    zoo.Add(parts.name, std::move(m), false, true, NormKind::kRmsNorm);
  }
  {
    // The image is no multiple of the patch.
    ModelBuilder m(kWidth, 5, 13, 300);
    m.Weights(WeightType::kQ8);
    AttentionSpec a = Heads(4, 1, Sharing::kKV);
    a.causal = false;
    m.AddLayer(a, FfnKind::kPlain, Activation::kGeluQuick, 24, NormKind::kLayerNorm, true);
    ModelSpec& s = m.description().spec;
    s.input.kind = InputKind::kPatches;
    s.input.image_height = 11;
    s.input.image_width = 14;
    s.input.image_channels = 3;
    s.input.patch = 4;
    s.input.patch_projection = m.AddLinear("patch", kWidth, 3 * 4 * 4, true);
    s.input.cls = m.AddVector("cls", kWidth, 0, 1.0f);
    m.Weights(WeightType::kF32);
    s.input.positions = m.AddMatrix("positions", 13, kWidth, 0.5f);
    s.output.norm = m.AddNorm(NormKind::kLayerNorm, kWidth);
    s.output.head = m.AddLinear("head", 5, kWidth, true);
    s.output.rows = OutputRows::kFirst;
    zoo.AddFinished("image", std::move(m));
  }
  {
    // Rows behind the vocabulary, as tables that were padded have them; a byte-level tokenizer.
    ModelBuilder m(kWidth, 272, kPositions, 301);
    m.Weights(WeightType::kQ8);
    m.description().spec.vocabulary = 261;
    m.AddLayer(Heads(2, 2), FfnKind::kPlain, Activation::kGeluTanh, 24, NormKind::kLayerNorm, true);
    m.Finish(true, true, NormKind::kLayerNorm);
    m.description().tokenizer = TinyTokenizer(261, TokenizerKind::kByteLevelBpe);
    zoo.AddFinished("byte_level", std::move(m));
  }
}

}  // namespace

std::vector<ZooModel> ModelZoo() {
  Zoo zoo;
  AddSharingAndRotation(zoo);
  AddFeatures(zoo);
  return zoo.Take();
}

std::vector<ZooModel> PartsInFloats() {
  std::vector<ZooModel> models;
  for (const PartsModel& parts : kPartsModels) {
    ModelBuilder m(kWidth, kVocabulary, kPositions, 400 + models.size());
    parts.add(m);
    m.Finish(false, true, NormKind::kRmsNorm);
    models.push_back({parts.name, std::move(m)});
  }
  return models;
}

ModelBuilder ZooEntry(const std::string& name) {
  for (ZooModel& m : ModelZoo()) {
    if (m.name == name) return std::move(m.builder);
  }
  throw std::runtime_error("no model " + name);
}

}  // namespace thimble::test
