// The rules of a layer: each is broken once and must be named, with the layer that breaks it.
#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "tests/format/header_image.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

using D = ModelDescription;

// What a case may change: the last layer, its attention, and the description it is part of.
struct In {
  D& d;
  LayerSpec& l;
  AttentionSpec& a;
};

// `base` is a model of the zoo.
struct Case {
  const char* base;
  const char* name;
  void (*change)(In);
  const char* field;
  Code code = Code::kInvalidModel;
};

int32_t Vector(D& d, uint32_t n, uint32_t rows = 1) {
  d.tensors.push_back({"extra", {.rows = rows, .cols = n}});
  return static_cast<int32_t>(d.tensors.size()) - 1;
}

LinearSpec Matrix(D& d, uint32_t rows, uint32_t cols, WeightType type = WeightType::kF32) {
  d.tensors.push_back({"extra", {.type = type, .rows = rows, .cols = cols}});
  return {static_cast<int32_t>(d.tensors.size()) - 1, kNoTensor};
}

ExpertsSpec& Experts(In c) { return std::get<ExpertsSpec>(c.l.blocks[1].mixer); }
StateSpaceSpec& Space(In c) { return std::get<StateSpaceSpec>(c.l.blocks[0].mixer); }
// A block more, in the last layer.
StreamsSpec& Mixes(In c) {
  if (c.l.blocks.back().form != BlockForm::kStreams) c.l.blocks.push_back(c.d.layers.front().blocks.front());
  return std::get<StreamsSpec>(c.l.blocks.back().mixer);
}
ShortConvSpec& Conv(In c) { return std::get<ShortConvSpec>(c.l.blocks[0].mixer); }

// Separate keys and values, 4 heads over 2 kv heads of width 8, rotated when written, all norms:
// "post_norms". One row, 4 heads over 1, rotated when read, half of the head interleaved: "gain_and_sinks".
const Case kCases[] = {
    {"post_norms", "no heads", [](In c) { c.a.heads = 0; }, "attention.heads"},
    {"post_norms", "too many heads", [](In c) { c.a.heads = kMaxHeads + 2; }, "attention.heads"},
    {"post_norms", "no kv heads", [](In c) { c.a.kv_heads = 0; }, "attention.kv_heads"},
    {"post_norms", "more kv heads than heads", [](In c) { c.a.kv_heads = 8; }, "attention.kv_heads"},
    {"post_norms", "heads not divisible", [](In c) { c.a.kv_heads = 3; }, "attention.heads"},
    {"post_norms", "no head width", [](In c) { c.a.head_width = 0; }, "attention.head_width"},
    {"post_norms", "head width too large", [](In c) { c.a.head_width = kMaxHeadWidth + 1; },
     "attention.head_width"},
    {"post_norms", "all heads too wide", [](In c) { c.a.heads = 1024, c.a.head_width = 1024; },
     "attention.heads"},
    {"post_norms", "heads do not fit q", [](In c) { c.a.heads = 2; }, "attention.q"},
    {"post_norms", "scale NaN", [](In c) { c.a.scale = kNan; }, "attention.scale"},
    {"post_norms", "softcap negative", [](In c) { c.a.softcap = -1; }, "attention.softcap"},
    {"post_norms", "softcap infinite", [](In c) { c.a.softcap = kInfinity; }, "attention.softcap"},
    {"post_norms", "window too large", [](In c) { c.a.window = kMaxPositions + 1; }, "attention.window"},
    {"post_norms", "not causal among causal layers", [](In c) { c.a.causal = false; }, "attention.causal"},
    {"post_norms", "unknown sharing", [](In c) { c.a.sharing = static_cast<Sharing>(4); },
     "attention.sharing", Code::kUnsupported},
    {"post_norms", "unknown rotation", [](In c) { c.a.rotation = static_cast<KeyRotation>(4); },
     "attention.rotation", Code::kUnsupported},

    {"post_norms", "rotary width without rotation", [](In c) { c.a.rotation = KeyRotation::kNone; },
     "attention.rope.width"},
    {"post_norms", "rotation without rotary width", [](In c) { c.a.rope.width = 0; }, "attention.rope.width"},
    {"post_norms", "rotary width odd", [](In c) { c.a.rope.width = 5; }, "attention.rope.width"},
    {"post_norms", "rotary width above the head", [](In c) { c.a.rope.width = 10; }, "attention.rope.width"},
    {"post_norms", "rotary offset past the head", [](In c) { c.a.rope.offset = 9; }, "attention.rope.offset"},
    {"post_norms", "rotary end past the head", [](In c) { c.a.rope.offset = 2; }, "attention.rope.offset"},
    {"gain_and_sinks", "interleaved end past the head", [](In c) { c.a.rope.offset = 6; },
     "attention.rope.offset"},
    {"post_norms", "partners overlap", [](In c) { c.a.rope.pair_stride = 3; }, "attention.rope.pair_stride"},
    {"post_norms", "partners too far", [](In c) { c.a.rope.pair_stride = UINT32_MAX; },
     "attention.rope.pair_stride"},
    {"post_norms", "partners past the head", [](In c) { c.a.rope.pair_stride = 5; }, "attention.rope.offset"},
    {"post_norms", "denominator 0", [](In c) { c.a.rope.denominator = 0; }, "attention.rope.denominator"},
    {"post_norms", "theta 0", [](In c) { c.a.rope.theta = 0; }, "attention.rope.theta"},
    {"post_norms", "theta negative", [](In c) { c.a.rope.theta = -1e4; }, "attention.rope.theta"},
    {"post_norms", "theta NaN", [](In c) { c.a.rope.theta = kNan; }, "attention.rope.theta"},
    {"post_norms", "theta below 1", [](In c) { c.a.rope.theta = 1e-300; }, "attention.rope.theta"},
    {"post_norms", "theta absurd", [](In c) { c.a.rope.theta = 1e300; }, "attention.rope.theta"},
    {"post_norms", "position scale 0", [](In c) { c.a.rope.position_scale = 0; },
     "attention.rope.position_scale"},
    {"post_norms", "position scale infinite", [](In c) { c.a.rope.position_scale = kInfinity; },
     "attention.rope.position_scale"},
    {"post_norms", "position scale absurd", [](In c) { c.a.rope.position_scale = 1e20; },
     "attention.rope.position_scale"},
    {"post_norms", "magnitude negative", [](In c) { c.a.rope.magnitude = -1; }, "attention.rope.magnitude"},
    {"gain_and_sinks", "divisors of another length", [](In c) { c.a.rope.freq_divisors = Vector(c.d, 4); },
     "attention.rope.freq_divisors"},
    {"gain_and_sinks", "divisors below -1", [](In c) { c.a.rope.freq_divisors = -2; },
     "attention.rope.freq_divisors"},
    {"post_norms", "unknown pairing", [](In c) { c.a.rope.pairing = static_cast<RopePairing>(2); },
     "attention.rope.pairing", Code::kUnsupported},

    {"post_norms", "q missing", [](In c) { c.a.q = {}; }, "attention.q"},
    {"post_norms", "k missing", [](In c) { c.a.k = {}; }, "attention.k"},
    {"post_norms", "v missing", [](In c) { c.a.v = {}; }, "attention.v"},
    {"post_norms", "o missing", [](In c) { c.a.o = {}; }, "attention.o"},
    {"post_norms", "k has the shape of q", [](In c) { c.a.k = c.a.q; }, "attention.k"},
    {"post_norms", "o has the shape of q", [](In c) { c.a.o = c.a.q; }, "attention.o"},
    {"post_norms", "bias of another length", [](In c) { c.a.v.bias = Vector(c.d, 15); }, "attention.v"},
    {"post_norms", "bias past the tensors", [](In c) { c.a.q.bias = 9999; }, "attention.q"},
    {"post_norms", "q where q is k", [](In c) { c.a.sharing = Sharing::kQK; }, "attention.q"},
    {"post_norms", "q where all are one", [](In c) { c.a.sharing = Sharing::kQKV; }, "attention.q"},
    {"post_norms", "v where v is k", [](In c) { c.a.sharing = Sharing::kKV; }, "attention.v"},
    {"gain_and_sinks", "v bias where v is k", [](In c) { c.a.v.bias = Vector(c.d, 8); }, "attention.v"},
    {"gain_and_sinks", "v norm where v is k", [](In c) { c.a.v_norm.kind = NormKind::kRmsNorm; },
     "attention.v_norm"},

    {"post_norms", "q norm of another length", [](In c) { c.a.q_norm.scope = NormScope::kRow; },
     "attention.q_norm"},
    {"post_norms", "k norm eps negative", [](In c) { c.a.k_norm.eps = -1; }, "attention.k_norm"},
    {"post_norms", "v norm eps NaN", [](In c) { c.a.v_norm.eps = kNan; }, "attention.v_norm"},
    {"post_norms", "norm kind unknown", [](In c) { c.a.k_norm.kind = static_cast<NormKind>(3); },
     "attention.k_norm", Code::kUnsupported},
    {"post_norms", "norm scope unknown", [](In c) { c.a.q_norm.scope = static_cast<NormScope>(3); },
     "attention.q_norm", Code::kUnsupported},
    {"post_norms", "q norm of each head, weights of one", [](In c) { c.a.q_norm.scope = NormScope::kEachHead; }, "attention.q_norm"},
    {"post_norms", "layer norm of each head", [](In c) { c.l.blocks[0].norm.scope = NormScope::kEachHead; }, "norm"},
    {"post_norms", "layer norm per head", [](In c) { c.l.blocks[0].norm.scope = NormScope::kHead; },
     "norm"},
    {"post_norms", "RMSNorm with a bias", [](In c) { c.l.blocks[0].norm.bias = Vector(c.d, 16); },
     "norm"},
    {"post_norms", "LayerNorm with 1 + w", [](In c) { c.l.blocks[0].post_norm.kind = NormKind::kLayerNorm; },
     "post_norm"},
    {"post_norms", "weight offset infinite", [](In c) { c.l.blocks[1].post_norm.weight_offset = kInfinity; },
     "post_norm"},
    {"post_norms", "norm weight of another length", [](In c) { c.l.blocks[1].norm.weight = Vector(c.d, 17); },
     "norm"},
    {"post_norms", "norm weight as a column", [](In c) { c.l.blocks[1].norm.weight = Vector(c.d, 1, 16); },
     "norm"},
    {"post_norms", "norm weight that is int8", [](In c) { c.l.blocks[1].norm.weight = c.a.o.weight; }, "norm"},

    {"post_norms", "gain on rotated keys", [](In c) { c.a.key_gain = Vector(c.d, 8); }, "attention.key_gain"},
    {"gain_and_sinks", "gain of another length", [](In c) { c.a.key_gain = Vector(c.d, 32); },
     "attention.key_gain"},
    {"gain_and_sinks", "sinks of another length", [](In c) { c.a.sink_logits = Vector(c.d, 1); },
     "attention.sink_logits"},
    {"gain_and_sinks", "score bias of another length", [](In c) { c.a.score_bias = Vector(c.d, 23); },
     "attention.score_bias"},
    {"gain_and_sinks", "score bias below -1", [](In c) { c.a.score_bias = INT32_MIN; },
     "attention.score_bias"},

    {"post_norms", "cache source is itself", [](In c) { c.a.cache_source = 4; }, "attention.cache_source"},
    {"post_norms", "cache source is later", [](In c) { c.a.cache_source = 5; }, "attention.cache_source"},
    {"post_norms", "cache source is no attention", [](In c) { c.a.cache_source = 1; }, "attention.cache_source"},
    {"post_norms", "cache source below -1", [](In c) { c.a.cache_source = -2; }, "attention.cache_source"},
    {"post_norms", "cache source and k", [](In c) { c.a.cache_source = 0; }, "attention.k"},
    {"post_norms", "cache source and v", [](In c) { c.a.cache_source = 0, c.a.k = {}; }, "attention.v"},
    {"post_norms", "cache source and k norm", [](In c) { c.a.cache_source = 0, c.a.k = {}, c.a.v = {}; },
     "attention.k_norm"},
    {"q_k_on_write", "cache source where q is k", [](In c) { c.a.cache_source = 0; },
     "attention.cache_source"},
    {"cache_source", "cache source of another sharing", [](In c) { c.a.cache_source = 0; },
     "attention.cache_source"},
    {"cache_source", "cache source that has none",
     [](In c) {
       c.l = c.d.layers[1];
       c.l.attention().cache_source = 2;
     },
     "attention.cache_source"},

    {"post_norms", "no feed-forward width", [](In c) { c.l.ffn().width = 0; }, "ffn.width"},
    {"post_norms", "feed-forward too wide", [](In c) { c.l.ffn().width = kMaxFfnWidth + 1; }, "ffn.width"},
    {"post_norms", "feed-forward of another width", [](In c) { c.l.ffn().width = 41; }, "ffn.up"},
    {"post_norms", "down has the shape of up", [](In c) { c.l.ffn().down = c.l.ffn().up; }, "ffn.down"},
    {"post_norms", "gated without gate", [](In c) { c.l.ffn().gate = {}; }, "ffn.gate"},
    {"post_norms", "plain with gate", [](In c) { c.l.ffn().kind = FfnKind::kPlain; }, "ffn.gate"},
    {"post_norms", "unknown feed-forward", [](In c) { c.l.ffn().kind = static_cast<FfnKind>(3); }, "ffn.kind",
     Code::kUnsupported},
    {"post_norms", "unknown activation",
     [](In c) { c.l.ffn().activation = static_cast<Activation>(kActivationCount); }, "ffn.activation",
     Code::kUnsupported},
    {"post_norms", "int8 weights whose sums could overflow",
     [](In c) {
       c.l.ffn().width = kMaxQuantisedColumns + 1;
       c.l.ffn().up = c.l.ffn().gate = Matrix(c.d, kMaxQuantisedColumns + 1, 16);
       c.l.ffn().down = Matrix(c.d, 16, kMaxQuantisedColumns + 1, WeightType::kQ8);
     },
     "ffn.down", Code::kUnsupported},
    {"gates_and_shapes", "gate of another shape", [](In c) { c.a.gate = Matrix(c.d, 3, 16); }, "attention.gate"},
    {"gates_and_shapes", "gate's bias without a gate", [](In c) { c.a.gate.weight = kNoTensor; }, "attention.gate"},
    {"gates_and_shapes", "norm of heads of another width", [](In c) { c.a.out_norm.weight = Vector(c.d, 31); }, "attention.out_norm"},
    {"gates_and_shapes", "growth NaN", [](In c) { c.a.query_growth = kNan; }, "attention.query_growth"},
    {"gates_and_shapes", "growth without a period", [](In c) { c.a.query_period = 0; }, "attention.query_growth"},
    {"gates_and_shapes", "unknown order of norms", [](In c) { c.a.norm_order = static_cast<NormOrder>(2); }, "attention.norm_order",
     Code::kUnsupported},
    {"q_k_on_write", "norms behind the rotation of a query that is a key", [](In c) { c.a.norm_order = NormOrder::kAfterRotation; },
     "attention.norm_order"},
    {"gates_and_shapes", "xIELU without its numbers", [](In c) { c.l.ffn().shape = kNoTensor; }, "ffn.shape"},
    {"gates_and_shapes", "three numbers of xIELU", [](In c) { c.l.ffn().shape = Vector(c.d, 3); }, "ffn.shape"},
    {"post_norms", "numbers of no activation", [](In c) { c.l.ffn().shape = Vector(c.d, 4); }, "ffn.shape"},
    {"post_norms", "xIELU with a gate", [](In c) { c.l.ffn().activation = Activation::kXielu, c.l.ffn().shape = Vector(c.d, 4); }, "ffn.shape"},
    {"gates_and_shapes", "inner norm of another width", [](In c) { c.l.ffn().norm.weight = Vector(c.d, 23); }, "ffn.norm"},
    {"gates_and_shapes", "parallel with a norm", [](In c) { c.l.blocks[1].norm = c.l.blocks[0].norm; }, "norm"},
    {"gates_and_shapes", "parallel to nothing", [](In c) { c.l.blocks[0].norm = {}; }, "form"},
    {"gates_and_shapes", "unknown form", [](In c) { c.l.blocks[1].form = static_cast<BlockForm>(7); }, "form", Code::kUnsupported},
    {"latent", "latent beyond the row", [](In c) { c.a.latent = 9; }, "attention.latent"},
    {"latent", "latent without a norm", [](In c) { c.a.k_norm = {}; }, "attention.latent"},
    {"latent", "norm of another width", [](In c) { c.a.latent = 6; }, "attention.k_norm"},
    {"latent", "q of another rank", [](In c) { c.a.q_low = Matrix(c.d, 6, 16); }, "attention.q_low_norm"},
    {"latent", "low norm without low rows", [](In c) { c.a.q_low = {}; }, "attention.q_low_norm"},
    {"latent", "long divisors of another length", [](In c) { c.a.rope.long_divisors = Vector(c.d, 2); }, "attention.rope.long_divisors"},
    {"latent", "long contexts from 0", [](In c) { c.a.rope.long_from = 0; }, "attention.rope.long_from"},
    {"experts", "groups that do not divide", [](In c) { Experts(c).groups = 2, Experts(c).chosen_groups = 1; }, "experts.groups"},
    {"experts", "groups of one", [](In c) { Experts(c).groups = 5, Experts(c).chosen_groups = 5; }, "experts.groups"},
    {"experts", "chosen groups without groups", [](In c) { Experts(c).chosen_groups = 1; }, "experts.chosen_groups"},
    {"experts", "too many groups", [](In c) { Experts(c).groups = kMaxExpertGroups + 1; }, "experts.groups"},
    {"experts", "no experts", [](In c) { Experts(c).experts = 0; }, "experts.experts"},
    {"experts", "too many experts", [](In c) { Experts(c).experts = kMaxExperts + 1; }, "experts.experts"},
    {"experts", "none chosen", [](In c) { Experts(c).chosen = 0; }, "experts.chosen"},
    {"experts", "more chosen than there are", [](In c) { Experts(c).chosen = 6; }, "experts.chosen"},
    {"experts", "unknown score", [](In c) { Experts(c).score = static_cast<ExpertScore>(2); }, "experts.score",
     Code::kUnsupported},
    {"experts", "normalise eps negative", [](In c) { Experts(c).normalise_eps = -1; }, "experts.normalise_eps"},
    {"experts", "experts' scale NaN", [](In c) { Experts(c).scale = kNan; }, "experts.scale"},
    {"experts", "no router", [](In c) { Experts(c).router = {}; }, "experts.router"},
    {"experts", "selection bias of another length", [](In c) { Experts(c).selection_bias = Vector(c.d, 6); },
     "experts.selection_bias"},
    {"experts", "experts without width", [](In c) { Experts(c).ffn.width = 0; }, "experts.ffn.width"},
    {"experts", "experts of another width", [](In c) { Experts(c).ffn.width = 15; }, "experts.ffn.up"},
    {"experts", "fewer experts than weights", [](In c) { Experts(c).ffn.up = Matrix(c.d, 4 * 16, 16); }, "experts.ffn.up"},
    {"experts", "down of one expert", [](In c) { Experts(c).ffn.down = Matrix(c.d, 16, 16); }, "experts.ffn.down"},
    {"experts", "gate where experts have none", [](In c) { Experts(c).ffn.gate = Experts(c).ffn.up; }, "experts.ffn.gate"},
    {"experts", "shared gate of another shape", [](In c) { Experts(c).shared_gate = Matrix(c.d, 2, 16); },
     "experts.shared_gate"},
    {"experts", "shared expert of another width", [](In c) { ++Experts(c).shared.width; }, "experts.shared.up"},
    {"experts", "shared gate without a shared expert", [](In c) { Experts(c).shared = {}; }, "experts.shared_gate"},
    {"experts", "packed so that experts share a tile",
     [](In c) {
       TensorSpec& t = c.d.tensors[static_cast<size_t>(Experts(c).ffn.up.weight)].spec;
       std::strcpy(t.packing.packer, "x");
       t.packing.nr = 12;
       t.packed_bytes = 640;
     },
     "experts.ffn.up"},
    {"short_conv", "no taps", [](In c) { Conv(c).taps = 0; }, "short_conv.taps"},
    {"short_conv", "too many taps", [](In c) { Conv(c).taps = kMaxTaps + 1; }, "short_conv.taps"},
    {"short_conv", "no channels", [](In c) { Conv(c).channels = 0; }, "short_conv.channels"},
    {"short_conv", "other channels", [](In c) { ++Conv(c).channels; }, "short_conv.before"},
    {"short_conv", "after missing", [](In c) { Conv(c).after = {}; }, "short_conv.after"},
    {"short_conv", "value missing", [](In c) { Conv(c).value = {}; }, "short_conv.value"},
    {"short_conv", "out has the shape of value", [](In c) { Conv(c).out = Conv(c).value; }, "short_conv.out"},
    {"short_conv", "taps of another number", [](In c) { Conv(c).weight = Vector(c.d, 12, 2); }, "short_conv.weight"},
    {"short_conv", "conv bias of another length", [](In c) { Conv(c).bias = Vector(c.d, 13); }, "short_conv.bias"},
    {"state_space", "no taps", [](In c) { Space(c).taps = 0; }, "state_space.taps"},
    {"state_space", "no heads", [](In c) { Space(c).heads = 0; }, "state_space.heads"},
    {"state_space", "heads that wrap", [](In c) { Space(c).heads = 1u << 17, Space(c).groups = 1; }, "state_space.heads"},
    {"state_space", "no head width", [](In c) { Space(c).head_width = 0; }, "state_space.head_width"},
    {"state_space", "too many states", [](In c) { Space(c).states = kMaxHeadWidth + 1; }, "state_space.states"},
    {"state_space", "no groups", [](In c) { Space(c).groups = 0; }, "state_space.groups"},
    {"state_space", "groups that do not divide", [](In c) { Space(c).groups = 2; }, "state_space.groups"},
    {"state_space", "negative step", [](In c) { Space(c).min_step = -1; }, "state_space.min_step"},
    {"state_space", "steps from nowhere", [](In c) { Space(c).max_step = NAN; }, "state_space.max_step"},
    {"state_space", "no room for steps", [](In c) { Space(c).min_step = Space(c).max_step = 1; }, "state_space.max_step"},
    {"state_space", "gate missing", [](In c) { Space(c).gate = {}; }, "state_space.gate"},
    {"state_space", "input of another width", [](In c) { Space(c).input = Space(c).gate; }, "state_space.input"},
    {"state_space", "step missing", [](In c) { Space(c).step = {}; }, "state_space.step"},
    {"state_space", "out has the shape of gate", [](In c) { Space(c).out = Space(c).input; }, "state_space.out"},
    {"state_space", "taps of another number", [](In c) { Space(c).conv_weight = Vector(c.d, 44, 2); }, "state_space.conv_weight"},
    {"state_space", "conv bias of another length", [](In c) { Space(c).conv_bias = Vector(c.d, 3); }, "state_space.conv_bias"},
    {"state_space", "no decay", [](In c) { Space(c).decay = kNoTensor; }, "state_space.decay"},
    {"state_space", "no step bias", [](In c) { Space(c).step_bias = kNoTensor; }, "state_space.step_bias"},
    {"state_space", "no skip", [](In c) { Space(c).skip = kNoTensor; }, "state_space.skip"},
    {"state_space", "a LayerNorm", [](In c) { Space(c).norm.kind = NormKind::kLayerNorm; }, "state_space.norm"},
    {"state_space", "a norm per head", [](In c) { Space(c).norm = {.kind = NormKind::kRmsNorm, .scope = NormScope::kHead}; }, "state_space.norm"},
    {"state_space", "norm groups that do not divide", [](In c) { Space(c).norm_groups = 5; }, "state_space.norm_groups"},
    {"state_space", "no norm groups", [](In c) { Space(c).norm_groups = 0; }, "state_space.norm_groups"},

    {"post_norms", "value width", [](In c) { c.a.value_width = 8; }, "attention.value_width", Code::kUnsupported},
    {"post_norms", "form that is not run", [](In c) { c.l.blocks[1].form = static_cast<BlockForm>(5); }, "form", Code::kUnsupported},
    {"post_norms", "form of streams", [](In c) { c.l.blocks[1].form = BlockForm::kStreams; }, "form"},
    {"post_norms", "rows carried to nowhere", [](In c) { c.l.blocks[1].form = BlockForm::kReplace, c.l.blocks[1].carry = 1; }, "carry"},
    {"post_norms", "carry NaN", [](In c) { c.l.blocks[1].carry = kNan; }, "carry"},
    {"post_norms", "deviations NaN", [](In c) { c.l.ffn().deviations = kNan; }, "ffn.deviations"},
    {"experts", "sparse experts", [](In c) { Experts(c).ffn.sparse = true; }, "experts.ffn.activation", Code::kUnsupported},
    {"streams", "repeats itself", [](In c) { c.l.blocks[1].repeats = 7; }, "repeats"},
    {"streams", "repeats what repeats", [](In c) { c.l.blocks[1].repeats = 6; }, "repeats"},
    {"streams", "repeats nothing", [](In c) { c.l.blocks[1].repeats = -2; }, "repeats"},
    {"streams", "sparse without a gate", [](In c) { c.l.blocks[2].repeats = -1, c.l.ffn().sparse = true, c.l.ffn().kind = FfnKind::kPlain, c.l.ffn().gate = {}; },
     "ffn.sparse"},
    {"streams", "a stream that is not there", [](In c) { Mixes(c).projected = 3; }, "streams.projected"},
    {"streams", "like one that is not there", [](In c) { Mixes(c).like = 3; }, "streams.like"},
    {"streams", "like itself", [](In c) { Mixes(c).like = 2; }, "streams.like"},
    {"streams", "no least square", [](In c) { Mixes(c).least_square = 0; }, "streams.least_square"},
    {"streams", "projection of another shape", [](In c) { Mixes(c).projection = Matrix(c.d, 16, 15); }, "streams.projection"},
    {"streams", "constants of fewer streams", [](In c) { Mixes(c).constants = Vector(c.d, 4); }, "streams.constants"},
    {"streams", "nothing to do", [](In c) { Mixes(c).projection = {}, Mixes(c).constants = kNoTensor; }, "streams.constants"},
    {"streams", "modes without a router", [](In c) { Mixes(c).modes = 1; }, "streams.router"},
    {"streams", "too many modes", [](In c) { Mixes(c).modes = kMaxStreams + 1; }, "streams.modes"},
    {"streams", "factors without modes", [](In c) { Mixes(c).factors = Vector(c.d, 1, 9); }, "streams.factors"},
    {"streams", "router without constants", [](In c) { Mixes(c).modes = 1, Mixes(c).constants = kNoTensor; }, "streams.constants"},
    {"streams", "factors of another shape", [](In c) { Mixes(c).modes = 1, Mixes(c).router = Matrix(c.d, 1, 16), Mixes(c).factors = Vector(c.d, 9); },
     "streams.factors"},
    {"streams", "a scale behind streams", [](In c) { Mixes(c), c.l.blocks.back().scale = 2; }, "post_norm"},
    {"post_norms", "scale infinite", [](In c) { c.l.blocks[0].scale = kInfinity; }, "scale"},
    {"post_norms", "output scale NaN", [](In c) { c.l.blocks[1].output_scale = kNan; }, "output_scale"},
};

}  // namespace

TEST_CASE("layer rules: each is broken once, and named") {
  for (const Case& c : kCases) {
    INFO(c.base << ": " << c.name);
    D d = ZooEntry(c.base).description();
    REQUIRE(StatusOf(d).ok());
    AttentionSpec none;
    AttentionSpec* a = const_cast<AttentionSpec*>(d.layers.back().Find<AttentionSpec>());
    c.change({d, d.layers.back(), a != nullptr ? *a : none});
    const Status status = StatusOf(d);
    CHECK(CodeName(status.code) == std::string(CodeName(c.code)));
    CHECK(PlaceOf(status) == "layer " + std::to_string(d.layers.size() - 1) + " " + c.field);
    CHECK(status.what[0] != 0);
  }
}

TEST_CASE("layer rules: what the writer never writes") {
  const D d = ZooEntry("post_norms").description();
  const auto changed = [&d](auto&& change) {
    HeaderImage image(d);
    REQUIRE(image.Parse().ok());
    change(image, image.root());
    const Status status = image.Parse().status();
    return PlaceOf(status) + ", " + CodeName(status.code);
  };
  const auto mixer = [](HeaderImage& i, const fb::Block* block, fb::Mixer value) {
    std::memcpy(const_cast<fb::Mixer*>(block->mixer()), &value, sizeof value);
    (void)i;
  };
  const auto layer = [](const fb::Header& h, uint32_t i, fb::Layer value) {
    std::memcpy(const_cast<fb::Layer*>(h.layers()->Get(i)), &value, sizeof value);
  };
  CHECK(changed([](HeaderImage& i, const fb::Header& h) {
          i.Set<uint8_t>(h.blocks()->Get(0)->norm(), fb::Norm::VT_KIND, 0);
        }) == "layer 0 norm, invalid-model");
  CHECK(changed([&](HeaderImage& i, const fb::Header& h) { mixer(i, h.blocks()->Get(3), fb::Mixer(7, 1)); }) ==
        "layer 1 mixer.kind, unsupported");
  CHECK(changed([&](HeaderImage& i, const fb::Header& h) { mixer(i, h.blocks()->Get(3), fb::Mixer(6, 0)); }) ==
        "layer 1 mixer.kind, unsupported");
  CHECK(changed([&](HeaderImage& i, const fb::Header& h) { mixer(i, h.blocks()->Get(3), fb::Mixer(1, 3)); }) ==
        "layer 1 mixer.index, invalid-model");
  // Used twice; not used.
  CHECK(changed([&](HeaderImage& i, const fb::Header& h) { mixer(i, h.blocks()->Get(3), fb::Mixer(1, 0)); }) ==
        "layer 1 mixer.index, invalid-model");
  CHECK(changed([&](HeaderImage& i, const fb::Header& h) { mixer(i, h.blocks()->Get(5), fb::Mixer(0, 2)); }) ==
        "layer 2 mixer.index, invalid-model");
  CHECK(changed([&](HeaderImage&, const fb::Header& h) { layer(h, 1, fb::Layer(3, 1)); }) ==
        "layer 1 first_block, invalid-model");
  CHECK(changed([&](HeaderImage&, const fb::Header& h) { layer(h, 1, fb::Layer(2, 0)); }) == "layer 1 blocks, invalid-model");
  CHECK(changed([&](HeaderImage&, const fb::Header& h) { layer(h, 2, fb::Layer(4, 3)); }) == "layer 2 blocks, invalid-model");
  CHECK(changed([&](HeaderImage&, const fb::Header& h) { layer(h, 2, fb::Layer(4, 1)); }) == "header blocks, invalid-model");
  CHECK(changed([](HeaderImage& i, const fb::Header& h) {
          i.Set<uint32_t>(h.parts()->Get(0), fb::Part::VT_LAYERS, 2);
        }) == "header layers, invalid-model");
  CHECK(changed([](HeaderImage& i, const fb::Header& h) {
          i.Set<uint32_t>(h.parts()->Get(0), fb::Part::VT_FIRST_LAYER, 1);
        }) == "part 0 first_layer, invalid-model");
}

TEST_CASE("layer rules: a block without a mixer") {
  flatbuffers::FlatBufferBuilder b;
  b.ForceDefaults(true);
  const fb::Linear head(0, -1);
  const auto input = fb::CreateInput(b, 0, 0);
  const auto output = fb::CreateOutput(b, 0, &head);
  FinishSmallHeader(b, input, output, {fb::CreateTensor(b, 0, 0, 1, 4, 0, 0, -1)}, {fb::Segment(16384, 16, 0)});
  AlignedBytes bytes(b.GetSize());
  std::memcpy(bytes.data(), b.GetBufferPointer(), b.GetSize());
  const Status status = Header::Parse(bytes.data(), bytes.size(), 16400).status();
  CHECK(status.code == Code::kInvalidModel);
  CHECK(PlaceOf(status) == "layer 0 mixer");
}
