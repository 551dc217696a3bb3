// What `thimble inspect` shows. Kinds are written by name; a part that a model does not have is left out.
#include "targets/cli/inspect_report.h"

#include <cmath>

#include "format/container.h"
#include "format/model_file.h"
#include "format/tokenizer_data.h"
#include "targets/cli/error.h"
#include "targets/cli/kind_names.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

void Throw(const Status& status, const std::string& path) {
  char text[248];
  FormatStatus(status, text, sizeof text);
  throw Error(static_cast<int>(status.code), path + ": " + text);
}

std::string TypeName(const TensorSpec& tensor) {
  std::string name = WeightTypeName(tensor.type);
  return tensor.type != WeightType::kQ4 ? name : name + " block " + std::to_string(tensor.block);
}

class Inspector {
 public:
  explicit Inspector(const Header& header) : header_(header) {}

  Json Tensor(int32_t index) const { return std::string(header_.tensor_name(static_cast<uint32_t>(index))); }

  void AddLinear(Json* out, const char* name, const LinearSpec& linear) const {
    if (linear.weight == kNoTensor) return;
    (*out)[name] = TypeName(header_.tensor(static_cast<uint32_t>(linear.weight)));
    if (linear.bias != kNoTensor) (*out)[std::string(name) + "_bias"] = true;
  }

  void AddNorm(Json* out, const char* name, const NormSpec& norm) const {
    if (norm.kind == NormKind::kNone) return;
    Json value = {{"kind", KindName(norm.kind)}, {"eps", Short(norm.eps)}};
    if (norm.scope != NormScope::kRow) value["scope"] = KindName(norm.scope);
    if (norm.weight_offset != 0) value["weight_offset"] = norm.weight_offset;
    if (norm.weight == kNoTensor) value["weight"] = false;
    if (norm.bias != kNoTensor) value["bias"] = true;
    (*out)[name] = std::move(value);
  }

  Json Layer(const LayerRange& layer) const {
    Json out = Json::Array();
    for (uint32_t i = 0; i < layer.blocks; ++i) out.Push(Block(header_.block(layer.first_block + i)));
    return out;
  }

  Json Block(const BlockSpec& block) const {
    Json out;
    if (block.form != BlockForm::kResidual) out["form"] = KindName(block.form);
    AddNorm(&out, "norm", block.norm);
    VisitAlternative(block.mixer, [&](const auto& mixer) { out[KindName(KindOf(block.mixer))] = Mixer(mixer); });
    AddNorm(&out, "post_norm", block.post_norm);
    if (block.scale != 1.0f) out["scale"] = block.scale;
    if (block.output_scale != 1.0f) out["output_scale"] = block.output_scale;
    if (block.carry != 0) out["carry"] = block.carry;
    if (block.repeats != -1) out["repeats"] = block.repeats;
    return out;
  }

  Json Mixer(const FfnSpec& f) const {
    Json out = {{"kind", KindName(f.kind)},
                {"activation", KindName(f.activation)},
                {"width", f.width}};
    if (f.sparse) out["sparse_from_deviations"] = Short(f.deviations);
    AddLinear(&out, "gate", f.gate);
    AddLinear(&out, "up", f.up);
    AddLinear(&out, "down", f.down);
    return out;
  }

  Json Mixer(const ExpertsSpec& e) const {
    Json out = {{"experts", e.experts}, {"chosen", e.chosen}, {"score", KindName(e.score)}};
    if (e.normalise) out["normalised"] = true;
    if (e.scale != 1.0f) out["scale"] = Short(e.scale);
    if (e.selection_bias != kNoTensor) out["selection_bias"] = true;
    AddLinear(&out, "router", e.router);
    out.Update(Mixer(e.ffn));
    if (e.shared.width > 0) {
      out["shared"] = Mixer(e.shared);
      AddLinear(&out["shared"], "factor", e.shared_gate);
    }
    return out;
  }

  Json Mixer(const ShortConvSpec& c) const {
    Json out = {{"taps", c.taps}, {"channels", c.channels}};
    AddLinear(&out, "before", c.before);
    AddLinear(&out, "after", c.after);
    AddLinear(&out, "value", c.value);
    AddLinear(&out, "out", c.out);
    if (c.bias != kNoTensor) out["bias"] = true;
    return out;
  }

  Json Mixer(const StateSpaceSpec& s) const {
    Json out = {{"heads", s.heads}, {"head_width", s.head_width}, {"groups", s.groups}, {"states", s.states}, {"taps", s.taps}};
    if (s.min_step != 0) out["min_step"] = Short(s.min_step);
    if (!std::isinf(s.max_step)) out["max_step"] = Short(s.max_step);
    AddLinear(&out, "gate", s.gate);
    AddLinear(&out, "input", s.input);
    AddLinear(&out, "step", s.step);
    AddLinear(&out, "out", s.out);
    if (s.conv_bias != kNoTensor) out["conv_bias"] = true;
    AddNorm(&out, "norm", s.norm);
    if (s.norm_groups != 1) out["norm_groups"] = s.norm_groups;
    if (s.gate_after_norm) out["gate_after_norm"] = true;
    return out;
  }

  Json Mixer(const StreamsSpec& s) const {
    Json out = {{"mixes", s.constants != kNoTensor}};
    if (s.modes != 0) out["modes"] = s.modes;
    AddLinear(&out, "router", s.router);
    if (s.projection.weight == kNoTensor) return out;
    out["projected"] = s.projected;
    out["like"] = s.like;
    AddLinear(&out, "projection", s.projection);
    return out;
  }

  Json Mixer(const AttentionSpec& a) const {
    Json out = {{"heads", a.heads},
                {"kv_heads", a.kv_heads},
                {"head_width", a.head_width},
                {"sharing", KindName(a.sharing)},
                {"rotation", KindName(a.rotation)},
                {"causal", a.causal},
                {"scale", Short(a.scale)}};
    if (a.window != 0) out["window"] = a.window;
    if (a.softcap != 0) out["softcap"] = a.softcap;
    if (a.rope.width != 0) {
      Json rope = {{"width", a.rope.width},
                   {"offset", a.rope.offset},
                   {"pairing", KindName(a.rope.pairing)},
                   {"theta", a.rope.theta},
                   {"denominator", a.rope.denominator}};
      if (a.rope.pairing == RopePairing::kHalfSplit) rope["pair_stride"] = a.rope.pair_stride;
      if (a.rope.position_scale != 1.0) rope["position_scale"] = a.rope.position_scale;
      if (a.rope.magnitude != 1.0f) rope["magnitude"] = a.rope.magnitude;
      if (a.rope.freq_divisors != kNoTensor) rope["freq_divisors"] = true;
      if (a.rope.long_divisors != kNoTensor) rope["long_from"] = a.rope.long_from;
      out["rope"] = std::move(rope);
    }
    AddLinear(&out, "q", a.q);
    AddLinear(&out, "k", a.k);
    AddLinear(&out, "v", a.v);
    AddLinear(&out, "gate", a.gate);
    AddLinear(&out, "o", a.o);
    AddLinear(&out, "q_low", a.q_low);
    if (a.latent != 0) out["latent"] = a.latent;
    if (a.query_period != 0) out["query_growth"] = {{"growth", Short(a.query_growth)}, {"period", a.query_period}};
    AddNorm(&out, "out_norm", a.out_norm);
    if (a.value_width != 0) out["value_width"] = a.value_width;
    if (a.q_norm.kind != NormKind::kNone || a.k_norm.kind != NormKind::kNone) out["norm_order"] = KindName(a.norm_order);
    AddNorm(&out, "q_norm", a.q_norm);
    AddNorm(&out, "k_norm", a.k_norm);
    AddNorm(&out, "v_norm", a.v_norm);
    if (a.key_gain != kNoTensor) out["key_gain"] = true;
    if (a.sink_logits != kNoTensor) out["sink_logits"] = true;
    if (a.score_bias != kNoTensor) out["score_bias"] = true;
    if (a.cache_source >= 0) out["cache_source"] = a.cache_source;
    return out;
  }

  Json Input(const InputSpec& input) const {
    if (input.kind == InputKind::kPatches) {
      Json out = {{"kind", KindName(input.kind)},
                  {"image", Json::Array({input.image_channels, input.image_height, input.image_width})},
                  {"patch", input.patch}};
      AddLinear(&out, "patch_projection", input.patch_projection);
      out["cls"] = input.cls != kNoTensor;
      AddNorm(&out, "norm", input.norm);
      return out;
    }
    Json out = {{"kind", KindName(input.kind)}};
    if (input.table != kNoTensor) out["table"] = TypeName(header_.tensor(static_cast<uint32_t>(input.table)));
    if (input.scale != 1.0f) out["scale"] = input.scale;
    out["learned_positions"] = input.positions != kNoTensor;
    if (const LayerRowsSpec& rows = input.layer_rows; rows.width != 0) {
      out["layer_rows"] = {{"width", rows.width}, {"count", rows.count}, {"table", rows.table != kNoTensor}};
      AddLinear(&out, "layer_rows_projection", rows.projection);
    }
    if (input.streams != 1) out["streams"] = input.streams;
    AddNorm(&out, "norm", input.norm);
    return out;
  }

  Json Output(const OutputSpec& output) const {
    Json out;
    AddNorm(&out, "norm", output.norm);
    out["tied"] = output.tied;
    AddLinear(&out, "head", output.head);
    if (output.scale != 1.0f) out["scale"] = output.scale;
    if (output.softcap != 0) out["softcap"] = output.softcap;
    out["rows"] = KindName(output.rows);
    return out;
  }

  Json Part(const ModelSpec& part) const {
    Json out = {{"dimensions",
                 {{"kind", part.decoder ? "decoder" : "encoder"},
                  {"layers", part.layers},
                  {"width", part.width},
                  {"outputs", part.outputs},
                  {"vocabulary", part.vocabulary},
                  {"max_positions", part.max_positions}}},
                {"input", Input(part.input)},
                {"output", Output(part.output)}};
    if (part.role != PartRole::kMain) out["role"] = KindName(part.role);
    Json layers = Json::Array();
    for (uint32_t i = 0; i < part.layers; ++i) layers.Push(Layer(header_.layer(part.first_layer + i)));
    out["layers"] = std::move(layers);
    return out;
  }

  Json Tensors() const {
    Json out = Json::Array();
    for (uint32_t i = 0; i < header_.tensors(); ++i) {
      const TensorSpec tensor = header_.tensor(i);
      uint64_t data_bytes = 0, scale_bytes = 0;
      if (tensor.data_segment >= 0)
        data_bytes = header_.segment(static_cast<uint32_t>(tensor.data_segment)).bytes;
      if (tensor.scale_segment >= 0)
        scale_bytes = header_.segment(static_cast<uint32_t>(tensor.scale_segment)).bytes;
      Json entry = {{"name", std::string(header_.tensor_name(i))},
                    {"type", WeightTypeName(tensor.type)},
                    {"shape", Json::Array({tensor.rows, tensor.cols})},
                    {"bytes", data_bytes + scale_bytes},
                    {"data_segment", tensor.data_segment}};
      if (tensor.block != 0) entry["block"] = tensor.block;
      if (tensor.turn != 0) entry["turn"] = tensor.turn;
      if (tensor.fine_inputs) entry["fine_inputs"] = true;
      if (tensor.scale_segment >= 0) entry["scale_segment"] = tensor.scale_segment;
      if (const WeightLayout& p = tensor.packing; p.packed()) {
        entry["packing"] = {{"packer", p.packer}, {"version", p.version}, {"nr", p.nr},
                            {"kr", p.kr},         {"sr", p.sr},           {"planes", p.planes}};
      }
      out.Push(std::move(entry));
    }
    return out;
  }

  Json Segments() const {
    Json out = Json::Array();
    for (uint32_t i = 0; i < header_.segments(); ++i) {
      const SegmentSpec segment = header_.segment(i);
      char checksum[20];
      std::snprintf(checksum, sizeof checksum, "%016llx", static_cast<unsigned long long>(segment.checksum));
      out.Push({{"offset", segment.offset}, {"bytes", segment.bytes}, {"checksum", checksum}});
    }
    return out;
  }

 private:
  // 1e-5f as 1e-05 and not as the double behind it.
  static double Short(float value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.7g", static_cast<double>(value));
    return std::stod(digits);
  }

  const Header& header_;
};

Json Tokenizer(const ModelFile& file, const std::string& path) {
  const int32_t index = file.header().model().tokenizer_segment;
  if (index < 0) return nullptr;
  const SegmentSpec segment = file.header().segment(static_cast<uint32_t>(index));
  const Result<TokenizerData> parsed =
      ParseTokenizerData(file.Segment(static_cast<uint32_t>(index)), static_cast<size_t>(segment.bytes));
  if (!parsed.ok()) Throw(parsed.status(), path);
  const TokenizerData& data = parsed.value();
  const auto id = [](uint32_t value) { return value == kNoToken ? Json(nullptr) : Json(value); };
  Json ends = Json::Array();
  for (uint32_t i = 0; i < data.eog_count; ++i) ends.Push(data.eog_ids[i]);
  return {{"kind", KindName(data.kind)},
          {"split", KindName(data.split)},
          {"pieces", data.piece_count},
          {"merges", data.merge_count},
          {"special_pieces", data.special_count},
          {"bos", id(data.bos)},
          {"eos", id(data.eos)},
          {"unk", id(data.unk)},
          {"end_of_text", std::move(ends)},
          {"adds_bos", data.Has(kTokenizerAddBos)},
          {"adds_space_in_front", data.Has(kTokenizerAddDummyPrefix)},
          {"byte_fallback", data.Has(kTokenizerByteFallback)},
          {"segment", index},
          {"bytes", segment.bytes}};
}

}  // namespace

Json InspectJson(const std::string& path) {
  ModelFile file;
  if (const Status status = file.Open(path.c_str()); !status.ok()) Throw(status, path);
  const Header& header = file.header();
  const Inspector inspector(header);
  char content_id[20];
  std::snprintf(content_id, sizeof content_id, "%016llx", static_cast<unsigned long long>(header.content_id()));
  Json report = {{"file", path},
                 {"name", std::string(header.name())},
                 {"family", std::string(header.family())},
                 {"container",
                  {{"version", kContainerVersion},
                   {"file_bytes", file.file_bytes()},
                   {"header_bytes", file.header_copy_bytes()},
                   {"segments", header.segments()},
                   {"tensors", header.tensors()},
                   {"content_id", content_id}}}};
  report.Update(inspector.Part(header.model()));
  if (header.parts() > 1) {
    Json others = Json::Array();
    for (uint32_t i = 1; i < header.parts(); ++i) others.Push(inspector.Part(header.part(i)));
    report["other_parts"] = std::move(others);
  }
  report["tensors"] = inspector.Tensors();
  report["segments"] = inspector.Segments();
  report["tokenizer"] = Tokenizer(file, path);
  Json chat_formats = Json::Array();
  for (uint32_t i = 0; i < header.chat_formats(); ++i) {
    const ChatFormatView format = header.chat_format(i);
    chat_formats.Push({{"name", std::string(format.name)}, {"text", std::string(format.text)}, {"program_bytes", format.program_bytes},
                       {"answer_bytes", format.answer_bytes}});
  }
  report["chat_templates"] = std::move(chat_formats);
  std::vector<Json::Member> metadata;
  for (uint32_t i = 0; i < header.metadata(); ++i)
    metadata.push_back({std::string(header.metadata_key(i)), header.metadata_value(i)});
  report["metadata"] = Json::Object(std::move(metadata), Json::Repeated::kLastCounts);
  return report;
}

}  // namespace thimble::cli
