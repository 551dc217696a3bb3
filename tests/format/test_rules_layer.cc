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
using L = LayerSpec;

// `base` is a model of the zoo; the change is made in its last layer.
struct Case {
  const char* base;
  const char* name;
  void (*change)(D&, L&);
  const char* field;
  Code code = Code::kInvalidModel;
};

int32_t Vector(D& d, uint32_t n, uint32_t rows = 1) {
  d.tensors.push_back({"extra", {.rows = rows, .cols = n}});
  return static_cast<int32_t>(d.tensors.size()) - 1;
}

// Separate keys and values, 4 heads over 2 kv heads of width 8, rotated when written, all norms: "post_norms".
// One row, 4 heads over 1, rotated when read, half of the head interleaved: "gain_and_sinks".
const Case kCases[] = {
    {"post_norms", "no heads", [](D&, L& l) { l.attention.heads = 0; }, "attention.heads"},
    {"post_norms", "too many heads", [](D&, L& l) { l.attention.heads = kMaxHeads + 2; }, "attention.heads"},
    {"post_norms", "no kv heads", [](D&, L& l) { l.attention.kv_heads = 0; }, "attention.kv_heads"},
    {"post_norms", "more kv heads than heads", [](D&, L& l) { l.attention.kv_heads = 8; }, "attention.kv_heads"},
    {"post_norms", "heads not divisible", [](D&, L& l) { l.attention.kv_heads = 3; }, "attention.heads"},
    {"post_norms", "no head width", [](D&, L& l) { l.attention.head_width = 0; }, "attention.head_width"},
    {"post_norms", "head width too large", [](D&, L& l) { l.attention.head_width = kMaxHeadWidth + 1; },
     "attention.head_width"},
    {"post_norms", "all heads too wide", [](D&, L& l) { l.attention.heads = 1024, l.attention.head_width = 1024; },
     "attention.heads"},
    {"post_norms", "heads do not fit q", [](D&, L& l) { l.attention.heads = 2; }, "attention.q"},
    {"post_norms", "scale NaN", [](D&, L& l) { l.attention.scale = kNan; }, "attention.scale"},
    {"post_norms", "softcap negative", [](D&, L& l) { l.attention.softcap = -1; }, "attention.softcap"},
    {"post_norms", "softcap infinite", [](D&, L& l) { l.attention.softcap = kInfinity; }, "attention.softcap"},
    {"post_norms", "window too large", [](D&, L& l) { l.attention.window = kMaxPositions + 1; }, "attention.window"},
    {"post_norms", "not causal among causal layers", [](D&, L& l) { l.attention.causal = false; }, "attention.causal"},
    {"post_norms", "unknown sharing", [](D&, L& l) { l.attention.sharing = static_cast<Sharing>(4); }, "attention.sharing",
     Code::kUnsupported},
    {"post_norms", "unknown rotation", [](D&, L& l) { l.attention.rotation = static_cast<KeyRotation>(4); },
     "attention.rotation", Code::kUnsupported},

    {"post_norms", "rotary width without rotation", [](D&, L& l) { l.attention.rotation = KeyRotation::kNone; },
     "attention.rope.width"},
    {"post_norms", "rotation without rotary width", [](D&, L& l) { l.attention.rope.width = 0; }, "attention.rope.width"},
    {"post_norms", "rotary width odd", [](D&, L& l) { l.attention.rope.width = 5; }, "attention.rope.width"},
    {"post_norms", "rotary width above the head", [](D&, L& l) { l.attention.rope.width = 10; }, "attention.rope.width"},
    {"post_norms", "rotary offset past the head", [](D&, L& l) { l.attention.rope.offset = 9; }, "attention.rope.offset"},
    {"post_norms", "rotary end past the head", [](D&, L& l) { l.attention.rope.offset = 2; }, "attention.rope.offset"},
    {"gain_and_sinks", "interleaved end past the head", [](D&, L& l) { l.attention.rope.offset = 6; },
     "attention.rope.offset"},
    {"post_norms", "partners overlap", [](D&, L& l) { l.attention.rope.pair_stride = 3; }, "attention.rope.pair_stride"},
    {"post_norms", "partners too far", [](D&, L& l) { l.attention.rope.pair_stride = UINT32_MAX; },
     "attention.rope.pair_stride"},
    {"post_norms", "partners past the head", [](D&, L& l) { l.attention.rope.pair_stride = 5; }, "attention.rope.offset"},
    {"post_norms", "denominator 0", [](D&, L& l) { l.attention.rope.denominator = 0; }, "attention.rope.denominator"},
    {"post_norms", "theta 0", [](D&, L& l) { l.attention.rope.theta = 0; }, "attention.rope.theta"},
    {"post_norms", "theta negative", [](D&, L& l) { l.attention.rope.theta = -1e4; }, "attention.rope.theta"},
    {"post_norms", "theta NaN", [](D&, L& l) { l.attention.rope.theta = kNan; }, "attention.rope.theta"},
    {"post_norms", "theta below 1", [](D&, L& l) { l.attention.rope.theta = 1e-300; }, "attention.rope.theta"},
    {"post_norms", "theta absurd", [](D&, L& l) { l.attention.rope.theta = 1e300; }, "attention.rope.theta"},
    {"post_norms", "position scale 0", [](D&, L& l) { l.attention.rope.position_scale = 0; },
     "attention.rope.position_scale"},
    {"post_norms", "position scale infinite", [](D&, L& l) { l.attention.rope.position_scale = kInfinity; },
     "attention.rope.position_scale"},
    {"post_norms", "position scale absurd", [](D&, L& l) { l.attention.rope.position_scale = 1e20; },
     "attention.rope.position_scale"},
    {"post_norms", "magnitude negative", [](D&, L& l) { l.attention.rope.magnitude = -1; }, "attention.rope.magnitude"},
    {"gain_and_sinks", "divisors of another length", [](D& d, L& l) { l.attention.rope.freq_divisors = Vector(d, 4); },
     "attention.rope.freq_divisors"},
    {"gain_and_sinks", "divisors below -1", [](D&, L& l) { l.attention.rope.freq_divisors = -2; },
     "attention.rope.freq_divisors"},
    {"post_norms", "unknown pairing", [](D&, L& l) { l.attention.rope.pairing = static_cast<RopePairing>(2); },
     "attention.rope.pairing", Code::kUnsupported},

    {"post_norms", "q missing", [](D&, L& l) { l.attention.q = {}; }, "attention.q"},
    {"post_norms", "k missing", [](D&, L& l) { l.attention.k = {}; }, "attention.k"},
    {"post_norms", "v missing", [](D&, L& l) { l.attention.v = {}; }, "attention.v"},
    {"post_norms", "o missing", [](D&, L& l) { l.attention.o = {}; }, "attention.o"},
    {"post_norms", "k has the shape of q", [](D&, L& l) { l.attention.k = l.attention.q; }, "attention.k"},
    {"post_norms", "o has the shape of q", [](D&, L& l) { l.attention.o = l.attention.q; }, "attention.o"},
    {"post_norms", "bias of another length", [](D& d, L& l) { l.attention.v.bias = Vector(d, 15); }, "attention.v"},
    {"post_norms", "bias past the tensors", [](D&, L& l) { l.attention.q.bias = 9999; }, "attention.q"},
    {"post_norms", "q where q is k", [](D&, L& l) { l.attention.sharing = Sharing::kQK; }, "attention.q"},
    {"post_norms", "q where all are one", [](D&, L& l) { l.attention.sharing = Sharing::kQKV; }, "attention.q"},
    {"post_norms", "v where v is k", [](D&, L& l) { l.attention.sharing = Sharing::kKV; }, "attention.v"},
    {"gain_and_sinks", "v bias where v is k", [](D& d, L& l) { l.attention.v.bias = Vector(d, 8); }, "attention.v"},
    {"gain_and_sinks", "v norm where v is k", [](D&, L& l) { l.attention.v_norm.kind = NormKind::kRmsNorm; },
     "attention.v_norm"},

    {"post_norms", "q norm of another length",
     [](D&, L& l) { l.attention.q_norm.scope = NormScope::kRow; }, "attention.q_norm"},
    {"post_norms", "k norm eps negative", [](D&, L& l) { l.attention.k_norm.eps = -1; }, "attention.k_norm"},
    {"post_norms", "v norm eps NaN", [](D&, L& l) { l.attention.v_norm.eps = kNan; }, "attention.v_norm"},
    {"post_norms", "norm kind unknown", [](D&, L& l) { l.attention.k_norm.kind = static_cast<NormKind>(3); },
     "attention.k_norm", Code::kUnsupported},
    {"post_norms", "norm scope unknown", [](D&, L& l) { l.attention.q_norm.scope = static_cast<NormScope>(2); },
     "attention.q_norm", Code::kUnsupported},
    {"post_norms", "layer norm per head", [](D&, L& l) { l.attention_norm.scope = NormScope::kHead; }, "attention_norm"},
    {"post_norms", "RMSNorm with a bias", [](D& d, L& l) { l.attention_norm.bias = Vector(d, 16); }, "attention_norm"},
    {"post_norms", "LayerNorm with 1 + w",
     [](D&, L& l) { l.attention_post_norm.kind = NormKind::kLayerNorm; }, "attention_post_norm"},
    {"post_norms", "weight offset infinite", [](D&, L& l) { l.ffn_post_norm.weight_offset = kInfinity; }, "ffn_post_norm"},
    {"post_norms", "norm weight of another length", [](D& d, L& l) { l.ffn_norm.weight = Vector(d, 17); }, "ffn_norm"},
    {"post_norms", "norm weight as a column", [](D& d, L& l) { l.ffn_norm.weight = Vector(d, 1, 16); }, "ffn_norm"},
    {"post_norms", "norm weight that is int8", [](D&, L& l) { l.ffn_norm.weight = l.attention.o.weight; }, "ffn_norm"},

    {"post_norms", "gain on rotated keys", [](D& d, L& l) { l.attention.key_gain = Vector(d, 8); }, "attention.key_gain"},
    {"gain_and_sinks", "gain of another length", [](D& d, L& l) { l.attention.key_gain = Vector(d, 32); },
     "attention.key_gain"},
    {"gain_and_sinks", "sinks of another length", [](D& d, L& l) { l.attention.sinks = Vector(d, 1); }, "attention.sinks"},
    {"gain_and_sinks", "score bias of another length", [](D& d, L& l) { l.attention.score_bias = Vector(d, 23); },
     "attention.score_bias"},
    {"gain_and_sinks", "score bias below -1", [](D&, L& l) { l.attention.score_bias = INT32_MIN; }, "attention.score_bias"},

    {"post_norms", "cache source is itself", [](D&, L& l) { l.attention.cache_source = 2; }, "attention.cache_source"},
    {"post_norms", "cache source is later", [](D&, L& l) { l.attention.cache_source = 3; }, "attention.cache_source"},
    {"post_norms", "cache source below -1", [](D&, L& l) { l.attention.cache_source = -2; }, "attention.cache_source"},
    {"post_norms", "cache source and k", [](D&, L& l) { l.attention.cache_source = 0; }, "attention.k"},
    {"post_norms", "cache source and v", [](D&, L& l) { l.attention.cache_source = 0, l.attention.k = {}; }, "attention.v"},
    {"post_norms", "cache source and k norm",
     [](D&, L& l) { l.attention.cache_source = 0, l.attention.k = {}, l.attention.v = {}; }, "attention.k_norm"},
    {"q_k_on_write", "cache source where q is k", [](D&, L& l) { l.attention.cache_source = 0; }, "attention.cache_source"},
    {"cache_source", "cache source of another sharing", [](D&, L& l) { l.attention.cache_source = 0; },
     "attention.cache_source"},
    {"cache_source", "cache source that has none",
     [](D& d, L& l) {
       l = d.layers[1];
       l.attention.cache_source = 1;
     },
     "attention.cache_source"},

    {"post_norms", "no feed-forward width", [](D&, L& l) { l.ffn.width = 0; }, "ffn.width"},
    {"post_norms", "feed-forward too wide", [](D&, L& l) { l.ffn.width = kMaxFfnWidth + 1; }, "ffn.width"},
    {"post_norms", "feed-forward of another width", [](D&, L& l) { l.ffn.width = 41; }, "ffn.up"},
    {"post_norms", "down has the shape of up", [](D&, L& l) { l.ffn.down = l.ffn.up; }, "ffn.down"},
    {"post_norms", "gated without gate", [](D&, L& l) { l.ffn.gate = {}; }, "ffn.gate"},
    {"post_norms", "plain with gate", [](D&, L& l) { l.ffn.kind = FfnKind::kPlain; }, "ffn.gate"},
    {"post_norms", "unknown feed-forward", [](D&, L& l) { l.ffn.kind = static_cast<FfnKind>(3); }, "ffn.kind",
     Code::kUnsupported},
    {"post_norms", "unknown activation", [](D&, L& l) { l.ffn.activation = static_cast<Activation>(kActivationCount); },
     "ffn.activation", Code::kUnsupported},
    {"post_norms", "output scale NaN", [](D&, L& l) { l.output_scale = kNan; }, "output_scale"},
};

}  // namespace

TEST_CASE("layer rules: each is broken once, and named") {
  for (const Case& c : kCases) {
    INFO(c.base << ": " << c.name);
    D d = ZooEntry(c.base).description();
    REQUIRE(StatusOf(d).ok());
    c.change(d, d.layers.back());
    const Status status = StatusOf(d);
    CHECK(CodeName(status.code) == std::string(CodeName(c.code)));
    CHECK(PlaceOf(status) == "layer " + std::to_string(d.layers.size() - 1) + " " + c.field);
    CHECK(status.what[0] != 0);
  }
}

TEST_CASE("layer rules: what the writer leaves out of an absent part") {
  // The description's mirror image drops these fields, so the header itself is changed.
  const D d = ZooEntry("cache_source").description();
  const auto changed = [&d](auto&& change) {
    HeaderImage image(d);
    REQUIRE(image.Parse().ok());
    change(image, image.root().layers()->Get(0));
    return PlaceOf(image.Parse().status());
  };
  CHECK(changed([](HeaderImage& i, const fb::Layer* l) { i.Set<uint8_t>(l->ffn(), fb::Ffn::VT_KIND, 0); }) ==
        "layer 0 ffn.width");
  CHECK(changed([](HeaderImage& i, const fb::Layer* l) {
          i.Set<uint8_t>(l->ffn(), fb::Ffn::VT_KIND, 0);
          i.Set<uint32_t>(l->ffn(), fb::Ffn::VT_WIDTH, 0);
        }) == "layer 0 ffn.up");
  CHECK(changed([](HeaderImage& i, const fb::Layer* l) { i.Set<uint8_t>(l->attention_norm(), fb::Norm::VT_KIND, 0); }) ==
        "layer 0 attention_norm");
}

TEST_CASE("layer rules: a layer without attention") {
  flatbuffers::FlatBufferBuilder b;
  b.ForceDefaults(true);
  const std::vector<flatbuffers::Offset<fb::Layer>> layers = {fb::CreateLayer(b)};
  const std::vector<flatbuffers::Offset<fb::Tensor>> tensors = {
      fb::CreateTensor(b, 0, 0, 1, 4, 0, 0, -1), fb::CreateTensor(b, 0, 0, 1, 4, 0, 0, -1)};
  const std::vector<fb::Segment> segments = {fb::Segment(16384, 16, 0)};
  const fb::Linear head(0, -1);
  const auto input = fb::CreateInput(b, 0, 0);
  const auto output = fb::CreateOutput(b, 0, &head);
  const auto layer_vector = b.CreateVector(layers);
  const auto tensor_vector = b.CreateVector(tensors);
  const auto segment_vector = b.CreateVectorOfStructs(segments);
  fb::FinishHeaderBuffer(b, fb::CreateHeader(b, 0, 0, 4, 1, 1, 1, input, output, layer_vector, tensor_vector, segment_vector));
  AlignedBytes bytes(b.GetSize());
  std::memcpy(bytes.data(), b.GetBufferPointer(), b.GetSize());
  const Status status = Header::Parse(bytes.data(), bytes.size(), 16400).status();
  CHECK(status.code == Code::kInvalidModel);
  CHECK(PlaceOf(status) == "layer 0 attention");
}
