// What a description says is what the reader gives back: every field of every table, for every kind of model.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>

#include "format/container.h"
#include "format/decode.h"
#include "format/model_file.h"
#include "tests/format/header_image.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// Every field by name, floats by their bits.
class Dump {
 public:
  template <typename T>
  Dump& Field(const char* name, T value) {
    out_ << name << '=';
    if constexpr (std::is_enum_v<T>) {
      out_ << static_cast<int>(value);
    } else if constexpr (std::is_floating_point_v<T>) {
      out_ << std::hexfloat << value << std::defaultfloat;
    } else {
      out_ << value;
    }
    out_ << ' ';
    return *this;
  }
  Dump& Linear(const char* name, const LinearSpec& l) {
    return Open(name).Field("weight", l.weight).Field("bias", l.bias).Field("stack", l.stack).Close();
  }
  Dump& Norm(const char* name, const NormSpec& n) {
    return Open(name)
        .Field("kind", n.kind)
        .Field("scope", n.scope)
        .Field("eps", n.eps)
        .Field("weight_offset", n.weight_offset)
        .Field("weight", n.weight)
        .Field("bias", n.bias)
        .Close();
  }
  Dump& Rope(const RopeSpec& r) {
    return Open("rope")
        .Field("width", r.width)
        .Field("offset", r.offset)
        .Field("pair_stride", r.pair_stride)
        .Field("denominator", r.denominator)
        .Field("pairing", r.pairing)
        .Field("theta", r.theta)
        .Field("position_scale", r.position_scale)
        .Field("magnitude", r.magnitude)
        .Field("freq_divisors", r.freq_divisors)
        .Field("long_divisors", r.long_divisors)
        .Field("long_from", r.long_from)
        .Close();
  }
  Dump& Mixer(const AttentionSpec& a) {
    Open("attention")
        .Field("heads", a.heads)
        .Field("kv_heads", a.kv_heads)
        .Field("head_width", a.head_width)
        .Field("value_width", a.value_width)
        .Field("sharing", a.sharing)
        .Field("rotation", a.rotation)
        .Field("norm_order", a.norm_order)
        .Field("causal", a.causal)
        .Field("window", a.window)
        .Field("scale", a.scale)
        .Field("softcap", a.softcap)
        .Rope(a.rope);
    Linear("q", a.q).Linear("k", a.k).Linear("v", a.v).Linear("o", a.o).Linear("gate", a.gate);
    Norm("q_norm", a.q_norm).Norm("k_norm", a.k_norm).Norm("v_norm", a.v_norm);
    return Field("key_gain", a.key_gain)
        .Field("sink_logits", a.sink_logits)
        .Field("score_bias", a.score_bias)
        .Field("cache_source", a.cache_source)
        .Field("query_growth", a.query_growth)
        .Field("query_period", a.query_period)
        .Norm("out_norm", a.out_norm)
        .Linear("q_low", a.q_low)
        .Norm("q_low_norm", a.q_low_norm)
        .Field("latent", a.latent)
        .Close();
  }
  Dump& Mixer(const FfnSpec& f) {
    return Open("ffn")
        .Field("kind", f.kind)
        .Field("activation", f.activation)
        .Field("width", f.width)
        .Linear("gate", f.gate)
        .Linear("up", f.up)
        .Linear("down", f.down)
        .Field("shape", f.shape)
        .Norm("norm", f.norm)
        .Field("row", f.row)
        .Field("sparse", f.sparse)
        .Field("deviations", f.deviations)
        .Close();
  }
  Dump& Mixer(const ExpertsSpec& e) {
    Open("experts")
        .Field("experts", e.experts)
        .Field("chosen", e.chosen)
        .Field("score", e.score)
        .Field("normalise", e.normalise)
        .Field("normalise_eps", e.normalise_eps)
        .Field("scale", e.scale)
        .Linear("router", e.router)
        .Field("selection_bias", e.selection_bias);
    return Mixer(e.ffn).Mixer(e.shared).Linear("shared_gate", e.shared_gate).Field("groups", e.groups).Field("chosen_groups", e.chosen_groups).Close();
  }
  Dump& Mixer(const ShortConvSpec& c) {
    return Open("short_conv")
        .Field("taps", c.taps)
        .Field("channels", c.channels)
        .Linear("before", c.before)
        .Linear("after", c.after)
        .Linear("value", c.value)
        .Linear("out", c.out)
        .Field("weight", c.weight)
        .Field("bias", c.bias)
        .Close();
  }
  Dump& Mixer(const StateSpaceSpec& s) {
    return Open("state_space")
        .Field("heads", s.heads)
        .Field("head_width", s.head_width)
        .Field("groups", s.groups)
        .Field("states", s.states)
        .Field("taps", s.taps)
        .Field("min_step", s.min_step)
        .Field("max_step", s.max_step)
        .Linear("gate", s.gate)
        .Linear("input", s.input)
        .Linear("step", s.step)
        .Linear("out", s.out)
        .Field("conv_weight", s.conv_weight)
        .Field("conv_bias", s.conv_bias)
        .Field("decay", s.decay)
        .Field("step_bias", s.step_bias)
        .Field("skip", s.skip)
        .Norm("norm", s.norm)
        .Field("norm_groups", s.norm_groups)
        .Field("gate_after_norm", s.gate_after_norm)
        .Field("rule", s.rule)
        .Linear("beta", s.beta)
        .Field("beta_scale", s.beta_scale)
        .Close();
  }
  Dump& Mixer(const StreamsSpec& s) {
    return Open("streams")
        .Field("projected", s.projected)
        .Field("like", s.like)
        .Field("least_square", s.least_square)
        .Linear("projection", s.projection)
        .Field("modes", s.modes)
        .Linear("router", s.router)
        .Field("factors", s.factors)
        .Field("constants", s.constants)
        .Close();
  }
  Dump& Block(const BlockSpec& block) {
    Open("block").Field("form", block.form).Norm("norm", block.norm);
    VisitAlternative(block.mixer, [this](const auto& mixer) { Mixer(mixer); });
    return Norm("post_norm", block.post_norm)
        .Field("scale", block.scale)
        .Field("output_scale", block.output_scale)
        .Norm("sum_norm", block.sum_norm)
        .Field("carry", block.carry)
        .Field("repeats", block.repeats)
        .Close();
  }
  Dump& Model(const ModelSpec& m) {
    Field("role", m.role)
        .Field("width", m.width)
        .Field("first_layer", m.first_layer)
        .Field("layers", m.layers)
        .Field("first_block", m.first_block)
        .Field("blocks", m.blocks)
        .Field("outputs", m.outputs)
        .Field("vocabulary", m.vocabulary)
        .Field("max_positions", m.max_positions)
        .Field("tokenizer_segment", m.tokenizer_segment);
    Open("input")
        .Field("kind", m.input.kind)
        .Field("table", m.input.table)
        .Field("scale", m.input.scale)
        .Field("positions", m.input.positions)
        .Field("image_height", m.input.image_height)
        .Field("image_width", m.input.image_width)
        .Field("image_channels", m.input.image_channels)
        .Field("patch", m.input.patch)
        .Linear("patch_projection", m.input.patch_projection)
        .Field("cls", m.input.cls)
        .Norm("norm", m.input.norm)
        .Field("layer_rows.width", m.input.layer_rows.width)
        .Field("count", m.input.layer_rows.count)
        .Field("table", m.input.layer_rows.table)
        .Field("table_scale", m.input.layer_rows.table_scale)
        .Linear("projection", m.input.layer_rows.projection)
        .Norm("rows_norm", m.input.layer_rows.norm)
        .Field("rows_scale", m.input.layer_rows.scale)
        .Field("streams", m.input.streams)
        .Field("stream_start", m.input.stream_start)
        .Close();
    return Open("output")
        .Norm("norm", m.output.norm)
        .Linear("head", m.output.head)
        .Field("tied", m.output.tied)
        .Field("scale", m.output.scale)
        .Field("softcap", m.output.softcap)
        .Field("rows", m.output.rows)
        .Close();
  }
  Dump& Tensor(const TensorSpec& t) {
    return Open("tensor")
        .Field("type", t.type)
        .Field("rows", t.rows)
        .Field("cols", t.cols)
        .Field("block", t.block)
        .Field("turn", t.turn)
        .Field("fine_inputs", t.fine_inputs)
        .Field("data_segment", t.data_segment)
        .Field("scale_segment", t.scale_segment)
        .Field("packed_bytes", t.packed_bytes)
        .Field("packer", t.packing.packer)
        .Field("version", t.packing.version)
        .Field("nr", t.packing.nr)
        .Field("kr", t.packing.kr)
        .Field("sr", t.packing.sr)
        .Field("planes", t.packing.planes)
        .Close();
  }
  std::string Text() const { return out_.str(); }

 private:
  Dump& Open(const char* name) {
    out_ << name << "{ ";
    return *this;
  }
  Dump& Close() {
    out_ << "} ";
    return *this;
  }
  std::ostringstream out_;
};

// A different value in every field, whether or not it means anything.
struct Distinct {
  int32_t next = 1;
  int32_t I() { return next++; }
  uint32_t U() { return static_cast<uint32_t>(next++); }
  float F() { return static_cast<float>(next++) + 0.5f; }
  LinearSpec Linear() { return {I(), I(), 1}; }
  NormSpec Norm() {
    NormSpec n;
    n.kind = I() % 2 == 0 ? NormKind::kLayerNorm : NormKind::kRmsNorm;
    n.scope = I() % 2 == 0 ? NormScope::kRow : NormScope::kEachHead;
    n.eps = F();
    n.weight_offset = F();
    n.weight = I();
    n.bias = I();
    return n;
  }
  LayerSpec Layer() {
    AttentionSpec a;
    BlockSpec attention, ffn;
    attention.norm = Norm();
    a.heads = U(), a.kv_heads = U(), a.head_width = U();
    a.sharing = Sharing::kQK;
    a.rotation = KeyRotation::kOnWriteInverseOutput;
    a.causal = I() % 2 == 0;
    a.window = U(), a.scale = F(), a.softcap = F();
    a.rope = {U(), U(), U(), U(), RopePairing::kInterleaved, F(), F(), F(), I(), I(), U()};
    a.norm_order = NormOrder::kAfterRotation;
    a.query_growth = F(), a.query_period = U(), a.latent = U();
    a.out_norm = Norm(), a.q_low_norm = Norm();
    a.q = Linear(), a.k = Linear(), a.v = Linear(), a.o = Linear(), a.gate = Linear(), a.q_low = Linear();
    a.q_norm = Norm(), a.k_norm = Norm(), a.v_norm = Norm();
    a.key_gain = I(), a.sink_logits = I(), a.score_bias = I(), a.cache_source = I();
    attention.mixer = a;
    attention.post_norm = Norm();
    ffn.form = BlockForm::kPostNorm;
    ffn.norm = Norm();
    ffn.mixer = FfnSpec{FfnKind::kLayerRow, Activation::kGeluQuick, U(), Linear(), Linear(), Linear(), I(), Norm(), U(), true, F()};
    ffn.post_norm = Norm();
    ffn.scale = F(), ffn.output_scale = F();
    ffn.sum_norm = Norm();
    ffn.carry = F(), ffn.repeats = I();  // behind the last block, so that the mixer is its own
    BlockSpec experts, conv, state_space, streams;
    ExpertsSpec e;
    e.experts = U(), e.chosen = U();
    e.score = ExpertScore::kSigmoid;
    e.normalise = true, e.normalise_eps = F(), e.scale = F();
    e.router = Linear();
    e.selection_bias = I();
    e.groups = U(), e.chosen_groups = U();
    e.ffn = {FfnKind::kGated, Activation::kSilu, U(), Linear(), Linear(), Linear(), I(), {}, 0, false, 0};
    for (LinearSpec* stacked : {&e.ffn.gate, &e.ffn.up, &e.ffn.down}) stacked->stack = e.experts;
    e.shared = {FfnKind::kPlain, Activation::kRelu, U(), Linear(), Linear(), Linear(), I(), {}, 0, false, 0};
    e.shared_gate = Linear();
    experts.mixer = e;
    conv.mixer = ShortConvSpec{U(), U(), Linear(), Linear(), Linear(), Linear(), I(), I()};
    state_space.mixer = StateSpaceSpec{U(), U(), U(), U(), U(), F(), F(), Linear(), Linear(), Linear(), Linear(), I(), I(), I(), I(), I(), Norm(), U(), true, StateRule::kDelta, Linear(), F()};
    streams.mixer = StreamsSpec{U(), U(), F(), Linear(), U(), Linear(), I(), I()};
    return {{attention, ffn, experts, conv, state_space, streams}};
  }
};

ModelSpec Part(Distinct& d) {
  ModelSpec s;
  s.width = d.U(), s.outputs = d.U(), s.vocabulary = d.U(), s.max_positions = d.U();
  s.input = {InputKind::kPatches, d.I(), d.F(), d.I(), d.U(), d.U(), d.U(), d.U(), d.Linear(), d.I(), d.Norm(), {}, d.U(), d.I()};
  s.input.layer_rows = {d.U(), d.U(), d.I(), d.F(), d.Linear(), d.Norm(), d.F()};
  s.output.norm = d.Norm();
  s.output.head = d.Linear();
  s.output.tied = true;
  s.output.scale = d.F(), s.output.softcap = d.F();
  s.output.rows = OutputRows::kFirst;
  return s;
}

ModelDescription DistinctDescription() {
  Distinct d;
  ModelDescription m;
  m.name = "name";
  m.tensors = {{"t", {.rows = 3, .cols = 5}},
               {"u", {.type = WeightType::kQ4, .rows = 2, .cols = 70, .block = 64, .turn = 2, .fine_inputs = true}},
               {"p",
                {.type = WeightType::kQ8,
                 .rows = 2,
                 .cols = 70,
                 .packing = {"some packer", 1, 2, 3, 4, 5},
                 .packed_bytes = 9}}};
  m.layers = {d.Layer(), d.Layer(), d.Layer()};
  m.spec = Part(d);
  m.more_parts = {Part(d)};
  m.more_parts[0].role = PartRole::kDraft;
  m.more_parts[0].layers = 1;
  m.tokenizer = {1, 2, 3};
  return m;
}

}  // namespace

TEST_CASE("round trip: every field by itself, before its meaning is checked") {
  ModelDescription d = DistinctDescription();
  const HeaderImage image(d);
  uint64_t file_bytes;
  (void)LayOut(d, &file_bytes);  // as the writer does: fills in segments and the number of layers
  for (uint32_t i = 0; i < 2; ++i) {
    ModelSpec part;
    REQUIRE(DecodePart(image.root(), i, &part).ok());
    CHECK(Dump().Model(part).Text() == Dump().Model(i == 0 ? d.spec : d.more_parts[0]).Text());
  }
  uint32_t number = 0;
  for (uint32_t i = 0; i < 3; ++i) {
    const LayerRange range = DecodeLayer(image.root(), i);
    CHECK(range.first_block == number);
    CHECK(range.blocks == 6);
    for (const BlockSpec& expected : d.layers[i].blocks) {
      BlockSpec block;
      REQUIRE(DecodeBlock(image.root(), number++, &block).ok());
      CHECK(Dump().Block(block).Text() == Dump().Block(expected).Text());
    }
  }
  for (uint32_t i = 0; i < 3; ++i) {
    TensorSpec tensor;
    REQUIRE(DecodeTensor(image.root(), i, &tensor).ok());
    CHECK(Dump().Tensor(tensor).Text() == Dump().Tensor(d.tensors[i].spec).Text());
  }
}

TEST_CASE("round trip: every model of the zoo through a file") {
  for (const ZooModel& z : ModelZoo()) {
    INFO(z.name);
    ModelBuilder m = z.builder;
    const std::string path = TemporaryPath("round_trip.thimble");
    m.WriteFile(path);

    // The writer's file is byte for byte what the tests build in memory.
    std::ifstream in(path, std::ios::binary);
    const std::vector<uint8_t> on_disk{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const std::vector<uint8_t> bytes = m.Bytes();
    REQUIRE(on_disk == bytes);

    ModelFile file;
    const Status opened = file.Open(path.c_str());
    REQUIRE(PlaceOf(opened) == "");
    REQUIRE(opened.ok());
    CHECK(VerifyPayload(file).ok());
    CHECK_FALSE(file.in_memory());
    CHECK(file.file_bytes() == bytes.size());

    ModelDescription d = m.description();
    uint64_t file_bytes;
    const std::vector<SegmentSpec> segments = LayOut(d, &file_bytes);
    CHECK(file_bytes == bytes.size());
    const Header& h = file.header();
    CHECK(h.name() == d.name);
    CHECK(h.family() == d.family);
    REQUIRE(h.chat_formats() == d.chat_formats.size());
    for (uint32_t i = 0; i < h.chat_formats(); ++i) {
      const ChatFormatView format = h.chat_format(i);
      CHECK((format.name == d.chat_formats[i].name && format.text == d.chat_formats[i].text));
      CHECK(std::vector<uint8_t>(format.program, format.program + format.program_bytes) == d.chat_formats[i].program);
      CHECK(format.answer_bytes == d.chat_formats[i].answer.size());
    }
    REQUIRE(h.metadata() == d.metadata.size());
    for (uint32_t i = 0; i < h.metadata(); ++i) {
      CHECK(h.metadata_key(i) == d.metadata[i].first);
      CHECK(h.metadata_value(i) == d.metadata[i].second);
    }
    if (d.spec.output.norm.kind == NormKind::kNone) d.spec.output.norm = {};
    CHECK(Dump().Model(h.model()).Text() == Dump().Model(d.spec).Text());
    uint32_t number = 0;
    for (const LayerSpec& layer : d.layers) {
      for (BlockSpec expected : layer.blocks) {
        // What is absent has no fields.
        if (expected.norm.kind == NormKind::kNone) expected.norm = {};
        CHECK(Dump().Block(h.block(number++)).Text() == Dump().Block(expected).Text());
      }
    }
    CHECK(number == h.model().blocks);
    REQUIRE(h.tensors() == d.tensors.size());
    for (uint32_t i = 0; i < h.tensors(); ++i) {
      CHECK(h.tensor_name(i) == d.tensors[i].name);
      CHECK(Dump().Tensor(h.tensor(i)).Text() == Dump().Tensor(d.tensors[i].spec).Text());
    }
    REQUIRE(h.segments() == segments.size());
    uint64_t end = 0;
    for (uint32_t i = 0; i < h.segments(); ++i) {
      CHECK(h.segment(i).offset == segments[i].offset);
      CHECK(h.segment(i).bytes == segments[i].bytes);
      CHECK(h.segment(i).offset % (i == 0 ? kFirstSegmentAlignment : kSegmentAlignment) == 0);
      CHECK(h.segment(i).offset >= end);
      end = h.segment(i).offset + h.segment(i).bytes;
    }
    CHECK(end == bytes.size());
    CHECK(h.is_decoder() == (z.name != "image" && z.name.substr(0, 7) != "encoder"));
    if (h.model().tokenizer_segment >= 0) {
      const uint32_t s = static_cast<uint32_t>(h.model().tokenizer_segment);
      REQUIRE(h.segment(s).bytes == d.tokenizer.size());
      CHECK(std::memcmp(file.Segment(s), d.tokenizer.data(), d.tokenizer.size()) == 0);
    }
  }
}

TEST_CASE("round trip: a description without names, tokenizer or metadata") {
  ModelBuilder m = ZooEntry("none_unrotated");
  ModelDescription& d = m.description();
  d.name = d.family = "";
  d.chat_formats.clear();
  d.metadata.clear();
  d.tokenizer.clear();
  for (NamedTensor& t : d.tensors) t.name = "";
  const AlignedBytes bytes(m.Bytes());
  ModelFile file;
  REQUIRE(file.OpenMemory(bytes.data(), bytes.size()).ok());
  CHECK(file.in_memory());
  CHECK(file.header().name().empty());
  CHECK(file.header().metadata() == 0);
  CHECK(file.header().tensor_name(0).empty());
  CHECK(file.header().model().tokenizer_segment == -1);
  CHECK(VerifyPayload(file).ok());
}

TEST_CASE("opening: arguments") {
  const std::vector<uint8_t> raw = ZooEntry("none_unrotated").Bytes();
  std::vector<uint8_t> shifted(raw.size() + 128);
  uint8_t* aligned = shifted.data() + (64 - reinterpret_cast<uintptr_t>(shifted.data()) % 64) % 64;
  std::memcpy(aligned + 1, raw.data(), raw.size());
  ModelFile file;
  const Status misaligned = file.OpenMemory(aligned + 1, raw.size());
  CHECK(misaligned.code == Code::kInvalidArgument);
  CHECK(std::string(misaligned.field) == "bytes");
  CHECK(file.OpenMemory(nullptr, 100).code == Code::kInvalidArgument);
  CHECK(file.Open(nullptr).code == Code::kInvalidArgument);
  CHECK(file.Open("").code == Code::kInvalidArgument);
  const Status missing = file.Open(TemporaryPath("not-there").c_str());
  CHECK(missing.code == Code::kIo);
  CHECK(missing.system_error == ENOENT);
  CHECK(file.Open(TemporaryPath(".").c_str()).code == Code::kNotAModel);
  // A failed opening leaves a file that can be opened.
  const AlignedBytes bytes(raw);
  CHECK(file.OpenMemory(bytes.data(), bytes.size()).ok());
  CHECK(file.OpenMemory(bytes.data(), bytes.size()).ok());
}
