// What the first of GGUF's architectures are in terms of the one decoder that they share, as a table; all others are read as what
// they were made from (gguf_architectures.h). Against the Hugging Face checkpoints that they were made from:
//   llama       rows of q and k are reordered, so that rotary pairs lie side by side
//   gemma       norms store w, the 1 of (1 + w) added
//   gpt2        linears are [out, in]
// There is no field for tied heads: a file without output.weight has one.
#include "targets/convert/family_gguf.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "format/header.h"
#include "format/metadata_keys.h"
#include "targets/convert/config.h"
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/gguf_architectures.h"
#include "targets/convert/gguf_fields.h"
#include "targets/convert/import_error.h"
#include "targets/convert/sentence_modules.h"

namespace thimble {
namespace {

enum class Rotation : uint8_t { kNone, kSideBySide, kHalves };

struct Architecture {
  const char* name;
  const char* summary;
  Rotation rotation;
  NormKind norm;
  Activation activation;
  bool plain_ffn = false;         // down(act(up x))
  bool fused_qkv = false;         // attn_qkv
  bool head_norms = false;        // attn_q_norm, attn_k_norm
  bool post_norms = false;        // post_attention_norm, post_ffw_norm
  bool scaled_embedding = false;  // times sqrt(D)
  uint32_t window = 0;            // where the file does not say
  uint32_t period = 1;  // with a window: the last of `period` layers sees everything; 1: every layer slides
  double attention_cap = 0, logit_cap = 0;  // where the file does not say
  uint32_t wide_layers = 0;    // with so many layers the scale is 1 / sqrt(D / H) instead of 1 / sqrt(d)
  bool sliding_theta = false;  // sliding layers have their own theta and no scaling
};

constexpr Architecture kArchitectures[] = {
    {.name = "llama",
     .summary = "Llama 2 and 3, Mistral, TinyLlama, SmolLM2",
     .rotation = Rotation::kSideBySide,
     .norm = NormKind::kRmsNorm,
     .activation = Activation::kSilu},
    {.name = "qwen2",
     .summary = "Qwen 2 and 2.5",
     .rotation = Rotation::kHalves,
     .norm = NormKind::kRmsNorm,
     .activation = Activation::kSilu},
    {.name = "gemma",
     .summary = "Gemma",
     .rotation = Rotation::kHalves,
     .norm = NormKind::kRmsNorm,
     .activation = Activation::kGeluTanh,
     .scaled_embedding = true},
    {.name = "gemma2",
     .summary = "Gemma 2",
     .rotation = Rotation::kHalves,
     .norm = NormKind::kRmsNorm,
     .activation = Activation::kGeluTanh,
     .post_norms = true,
     .scaled_embedding = true,
     .window = 4096,
     .period = 2,
     .attention_cap = 50,
     .logit_cap = 30,
     .wide_layers = 46},
    {.name = "gemma3",
     .summary = "Gemma 3 text",
     .rotation = Rotation::kHalves,
     .norm = NormKind::kRmsNorm,
     .activation = Activation::kGeluTanh,
     .head_norms = true,
     .post_norms = true,
     .scaled_embedding = true,
     .period = 6,
     .wide_layers = 62,
     .sliding_theta = true},
    {.name = "gpt2",
     .summary = "GPT-2",
     .rotation = Rotation::kNone,
     .norm = NormKind::kLayerNorm,
     .activation = Activation::kGeluTanh,
     .plain_ffn = true,
     .fused_qkv = true},
    {.name = "starcoder2",
     .summary = "StarCoder 2",
     .rotation = Rotation::kHalves,
     .norm = NormKind::kLayerNorm,
     .activation = Activation::kGeluTanh,
     .plain_ffn = true},
};

// Stored names and what the decoder calls them; the norms have no other names.
using Name = std::array<const char*, 2>;
constexpr Name kNames[] = {{"attn_q", "self_attn.q_proj"},
                           {"attn_k", "self_attn.k_proj"},
                           {"attn_v", "self_attn.v_proj"},
                           {"attn_qkv", "self_attn.qkv_proj"},
                           {"attn_output", "self_attn.o_proj"},
                           {"attn_q_norm", "self_attn.q_norm"},
                           {"attn_k_norm", "self_attn.k_norm"},
                           {"ffn_gate", "mlp.gate_proj"},
                           {"ffn_up", "mlp.up_proj"},
                           {"ffn_down", "mlp.down_proj"},
                           {"token_embd", "embed_tokens"},
                           {"output_norm", "norm"},
                           {"output", "lm_head"}};

// "blk.3.attn_q.weight" to "layers.3.self_attn.q_proj.weight" and back: `from` and `to` are columns of the table.
std::string Translated(const std::string& name, size_t from, size_t to) {
  const size_t end = name.rfind('.');
  if (end == std::string::npos) return {};
  std::string prefix, part = name.substr(0, end);
  const std::string blocks = from == 0 ? "blk." : "layers.";
  if (part.starts_with(blocks)) {
    const size_t number_end = part.find('.', blocks.size());
    if (number_end == std::string::npos) return {};
    prefix = (to == 0 ? "blk." : "layers.") + part.substr(blocks.size(), number_end + 1 - blocks.size());
    part.erase(0, number_end + 1);
  }
  const auto found = std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return part == n[from]; });
  if (found != std::end(kNames)) part = (*found)[to];
  return prefix + part + name.substr(end);
}

std::string Ours(const std::string& name) { return Translated(name, 0, 1); }
std::string Theirs(const std::string& name) { return Translated(name, 1, 0); }

[[noreturn]] void Refuse(const GgufCheckpoint& checkpoint, const std::string& field,
                         const std::string& text) {
  throw ImportError(Code::kUnsupported, "field '" + field + "': " + text, checkpoint.file());
}

std::string KnownArchitectures() {
  std::string known;
  for (const GgufFamily& family : GgufFamilies()) known += (known.empty() ? "" : ", ") + std::string(family.architecture);
  return known;
}

// The name of the file's architecture, which need not be known.
std::string ReadArchitecture(const GgufCheckpoint& checkpoint) {
  const Json& metadata = checkpoint.metadata();
  const Json* type = metadata.Find("general.type");
  if (type != nullptr && *type != "model") {
    Refuse(checkpoint, "general.type", "found " + Shown(*type) + ", expected \"model\"");
  }
  const Json* name = metadata.Find("general.architecture");
  if (name == nullptr || !name->is_text()) {
    throw ImportError(Code::kInvalidModel,
                      "field 'general.architecture': is missing, expected one of: " + KnownArchitectures(),
                      checkpoint.file());
  }
  return name->as_text();
}

const Architecture& FindArchitecture(const GgufCheckpoint& checkpoint, const std::string& name) {
  for (const Architecture& a : kArchitectures) {
    if (name == a.name) return a;
  }
  Refuse(checkpoint, "general.architecture",
         "'" + name.substr(0, 80) + "' is not supported, expected one of: " + KnownArchitectures());
}

// The architecture's own values without their prefix. Others are known not to matter, or refused.
Json OwnFields(const GgufCheckpoint& checkpoint, const std::string& prefix,
               const std::vector<std::string>& ignored) {
  // Zeros that mean "none".
  static constexpr const char* kNone[] = {"attention.sliding_window", "rope.scaling.factor", "rope.scale_linear",
                                          "rope.freq_base"};
  std::vector<Json::Member> fields;
  for (const auto& [key, value] : checkpoint.metadata().members()) {
    if (key.starts_with(prefix)) {
      const std::string own = key.substr(prefix.size());
      const bool none = value == 0 && std::find(std::begin(kNone), std::end(kNone), own) != std::end(kNone);
      fields.push_back({own, none ? Json() : value});
    } else if (key.starts_with("xielu.")) {  // of an activation, whoever has it
      fields.push_back({key, value});
    } else if (key == "general.quantization_version") {
      if (value != 2) Refuse(checkpoint, key, "found " + Shown(value) + ", expected 2");
    } else if (key == "split.count") {
      if (value != 0 && value != 1)
        Refuse(checkpoint, key, "the model is in several files; merge them first");
    } else if (!key.starts_with("general.") && !key.starts_with("tokenizer.") && !key.starts_with("split.") &&
               !key.starts_with("quantize.") &&
               std::find(ignored.begin(), ignored.end(), key) == ignored.end()) {
      Refuse(checkpoint, key, "is unknown; it may change the mathematics, so it is not ignored");
    }
  }
  return Json::Object(std::move(fields));
}

// What a file may say of all layers at once or of each.
struct LayerCounts {
  std::vector<uint32_t> H, G, F;
};

DecoderShape ReadShape(Config& config, const Architecture& a, const GgufCheckpoint& checkpoint, LayerCounts& counts) {
  DecoderShape s;
  GatedLayer& l = s.layer;
  s.L = config.Count("block_count", std::nullopt, kMaxLayers);
  s.positions = config.Count("context_length");
  l.D = config.Count("embedding_length");
  counts.H = config.Counts("attention.head_count", s.L, std::nullopt, kMaxHeads);
  counts.G = config.Has("attention.head_count_kv") ? config.Counts("attention.head_count_kv", s.L) : counts.H;
  counts.F = config.Counts("feed_forward_length", s.L);
  l.H = counts.H[0];
  for (uint32_t i = 0; i < s.L; ++i) {
    const uint32_t H = counts.H[i], G = counts.G[i];
    if (H % G != 0) {
      config.Refuse(Code::kInvalidModel, "attention.head_count_kv",
                    "found " + std::to_string(G) + ", which does not divide " + std::to_string(H) + " heads");
    }
    if (H != l.H && !config.Has("attention.key_length"))
      config.Refuse(Code::kInvalidModel, "attention.key_length", "is missing, and layers differ in heads");
  }
  l.d = config.Has("attention.key_length") ? config.Count("attention.key_length")
                                           : HeadWidth(config, "attention.head_count", l.D, l.H);
  config.Only("attention.value_length", l.d);
  l.norm = a.norm;
  const bool rms = a.norm == NormKind::kRmsNorm;
  l.eps = config.Positive(rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon");
  const std::optional<size_t> table = checkpoint.Find("token_embd.weight");
  const std::vector<uint64_t> shape = table ? checkpoint.tensors()[*table].shape : std::vector<uint64_t>();
  // A missing or misshapen table is an error of the tensor, later.
  s.V = shape.size() == 2 && shape[0] <= INT32_MAX ? static_cast<uint32_t>(shape[0]) : 1;
  config.Only("vocab_size", s.V);
  config.Only("attention.causal", true);
  config.Only("expert_count", 0);
  config.Only("expert_used_count", 0);
  config.Ignore({"tensor_data_layout"});
  return s;
}

// longrope: one set of divisors for texts up to the original context and another for longer ones. As in rotary.h the
// first is taken, and *positions lowered to where it is exact.
void ReadLongRope(Config& config, RopeSpec& rope, uint32_t* positions, PlanBuilder& b) {
  rope.freq_divisors = b.Vector("rope.freq_divisors", "rope_factors_short.weight", rope.width / 2);
  b.Drop("rope_factors_long.weight");
  *positions = std::min(*positions, config.Count("rope.scaling.original_context_length", *positions));
}

RopeSpec ReadRope(Config& config, const Architecture& a, uint32_t head_width, uint32_t* positions, PlanBuilder& b) {
  RopeSpec rope;
  const uint32_t width = config.Count("rope.dimension_count", head_width);
  if (width > head_width || width % 2 != 0) {
    config.Refuse(Code::kInvalidModel, "rope.dimension_count",
                  "found " + std::to_string(width) + ", expected an even number, at most the head width " +
                      std::to_string(head_width));
  }
  rope.width = rope.denominator = width;
  rope.pairing = a.rotation == Rotation::kHalves ? RopePairing::kHalfSplit : RopePairing::kInterleaved;
  rope.pair_stride = a.rotation == Rotation::kHalves ? width / 2 : 0;
  rope.theta = config.Positive("rope.freq_base", 10000.0);
  const bool has_factors = b.Has("rope_factors_short.weight");
  const size_t kind = has_factors ? config.Choice("rope.scaling.type", {"longrope"}, "longrope") + 2
                                  : config.Choice("rope.scaling.type", {"none", "linear"}, "linear");
  const double factor = config.Positive("rope.scaling.factor", config.Positive("rope.scale_linear", 1.0));
  if (kind == 1) rope.position_scale = 1 / factor;
  rope.magnitude = static_cast<float>(config.Positive("rope.scaling.attn_factor", 1.0));
  if (has_factors) ReadLongRope(config, rope, positions, b);
  // They matter to the kinds of scaling that are refused.
  config.Ignore({"rope.scaling.original_context_length", "rope.scaling.finetuned"});
  if (b.Has("rope_freqs.weight"))
    rope.freq_divisors = b.Vector("rope.freq_divisors", "rope_freqs.weight", width / 2);
  return rope;
}

Bias BiasOf(const PlanBuilder& b, const std::string& source) {
  return b.Has("layers.0." + source + ".bias") ? Bias::kRequired : Bias::kAbsent;
}

void SetKnobs(const Architecture& a, const PlanBuilder& b, uint32_t layers, GatedLayer& l) {
  l.attention_norm = "attn_norm";
  l.ffn_norm = "ffn_norm";
  if (a.post_norms) {
    l.attention_post_norm = "post_attention_norm";
    l.ffn_post_norm = "post_ffw_norm";
  }
  l.activation = a.activation;
  l.plain_ffn = a.plain_ffn;
  if (a.fused_qkv) l.fused_qkv = "qkv_proj";
  l.qk_norm = a.head_norms ? HeadNorm::kPerHead : HeadNorm::kNone;
  l.qkv_bias = BiasOf(b, a.fused_qkv ? "self_attn.qkv_proj" : "self_attn.q_proj");
  l.o_bias = BiasOf(b, "self_attn.o_proj");
  l.mlp_bias = BiasOf(b, "mlp.down_proj");
  if (a.rotation == Rotation::kNone) l.rotation = KeyRotation::kNone;
  if (a.wide_layers != 0 && layers == a.wide_layers) l.scale = 1 / std::sqrt(static_cast<double>(l.D / l.H));
}

}  // namespace

std::vector<GgufFamily> GgufFamilies() {
  std::vector<GgufFamily> families;
  for (const Architecture& a : kArchitectures) families.push_back({a.name, a.summary});
  for (const GgufArchitecture& a : GgufArchitectures()) families.push_back({a.name, a.summary});
  return families;
}

namespace {

DenseLayer ReadDense(const GgufCheckpoint& file, const std::string& name) {
  const size_t tensor = file.Find(name).value();
  const SourceTensor& stored = file.tensors()[tensor];
  if (stored.shape.size() != 2 || stored.elements > kMostDenseElements)
    throw ImportError(Code::kInvalidModel, "tensor '" + name + "': shape " + ShapeText(stored.shape) + ", expected a matrix of a dense layer", file.file());
  std::vector<float> values(stored.elements);
  file.ReadFloats(tensor, 0, values.size(), values.data());
  return {stored.shape[0], stored.shape[1], {values.begin(), values.end()}, {}};
}

// As what it was made from.
GgufModel PlanAsPublished(std::unique_ptr<GgufCheckpoint> checkpoint, const GgufArchitecture& a, const std::vector<std::string>& ignore_fields) {
  const std::string prefix = std::string(a.name) + ".", path = checkpoint->file();
  const Json own = OwnFields(*checkpoint, prefix, ignore_fields);
  GgufTranslation fields(*checkpoint, prefix, own);
  for (const std::string& key : ignore_fields) fields.Ignore(key.starts_with(prefix) ? key.substr(prefix.size()) : key);
  fields.Set("model_type", a.model_type);
  std::vector<TensorName> names = a.names;
  std::vector<uint32_t> heads, kv_heads;
  NamePrefixes prefixes = a.prefixes;
  if (!a.own_fields) {
    TranslateDecoderFields(fields, a.own_widths);
    names.insert(names.end(), DecoderTensorNames().begin(), DecoderTensorNames().end());
    heads = fields.Layers("attention.head_count");
    kv_heads = fields.Has("attention.head_count_kv") ? fields.Layers("attention.head_count_kv") : heads;
    // A model below the head: its names have nothing in front.
    if (fields.Has("pooling_type") && !fields.HasTensor("output.weight")) prefixes = {"layers.", ""};
  }
  if (a.fields != nullptr) a.fields(fields);
  if (!fields.Asked("attention.causal")) fields.Only("attention.causal", true);
  if (!fields.Asked("attention.value_length") && fields.Has("attention.key_length"))
    fields.Only("attention.value_length", fields.Count("attention.key_length"));
  const Json json = fields.Configuration();
  const std::map<std::string, std::string> field_names = fields.field_names();
  GgufModel model;
  std::set<std::string> aside = GgufFieldTensors();
  std::vector<DenseLayer> dense;
  for (const std::string& tensor : fields.dense) {
    dense.push_back(ReadDense(*checkpoint, tensor));
    aside.insert(tensor);
  }
  model.checkpoint = TranslateTensors(std::move(checkpoint), std::move(names), prefixes, heads, kv_heads, fields.tiled, aside);
  Config config(json, path);
  config.NameFields(field_names);
  model.plan = FindFamily(json, path).plan(config, *model.checkpoint);
  if (!fields.pooling.empty()) model.plan.model.metadata.emplace_back(kPoolingKey, fields.pooling);
  if (!dense.empty()) SetDenseHead(model.plan, dense, path);
  return model;
}

ModelPlan PlanDescribed(const GgufCheckpoint& checkpoint, const Architecture& a, const std::vector<std::string>& ignore_fields);

}  // namespace

GgufModel PlanGguf(std::unique_ptr<GgufCheckpoint> checkpoint, const std::vector<std::string>& ignore_fields) {
  const std::string name = ReadArchitecture(*checkpoint);
  if (const GgufArchitecture* published = FindGgufArchitecture(name, *checkpoint); published != nullptr && !checkpoint->tensors().empty())
    return PlanAsPublished(std::move(checkpoint), *published, ignore_fields);
  const Architecture& a = FindArchitecture(*checkpoint, name);
  GgufModel model;
  model.plan = PlanDescribed(*checkpoint, a, ignore_fields);
  model.checkpoint = std::move(checkpoint);
  return model;
}

namespace {

ModelPlan PlanDescribed(const GgufCheckpoint& checkpoint, const Architecture& a, const std::vector<std::string>& ignore_fields) {
  if (checkpoint.tensors().empty()) {
    throw ImportError(Code::kInvalidModel, "holds no tensors; it is a tokenizer, not a model",
                      checkpoint.file());
  }
  const std::string prefix = std::string(a.name) + ".";
  const Json fields = OwnFields(checkpoint, prefix, ignore_fields);
  Config config(fields, checkpoint.file(), prefix);
  for (const std::string& key : ignore_fields) {
    config.Ignore({key.starts_with(prefix) ? key.substr(prefix.size()) : key});
  }
  LayerCounts counts;
  DecoderShape shape = ReadShape(config, a, checkpoint, counts);
  GatedLayer& l = shape.layer;
  PlanBuilder b(checkpoint, checkpoint.file(), Ours, Theirs);
  SetKnobs(a, b, shape.L, l);

  RopeSpec rope, sliding_rope;
  if (a.rotation != Rotation::kNone) rope = sliding_rope = ReadRope(config, a, l.d, &shape.positions, b);
  if (a.sliding_theta) {
    sliding_rope.theta = config.Positive("rope.freq_base_swa", 10000.0);
    sliding_rope.position_scale = 1;
    sliding_rope.freq_divisors = kNoTensor;
  }
  const uint32_t window = a.window != 0 ? config.Count("attention.sliding_window", a.window)
                          : config.Has("attention.sliding_window") ? config.Count("attention.sliding_window")
                                                                   : 0;
  const auto sliding = config.Flags("attention.sliding_window_pattern", shape.L);
  const uint32_t period = a.period > 1 && !sliding ? config.Count("attention.sliding_window_pattern", a.period) : 1;
  if (a.sliding_theta && window == 0)
    config.Refuse(Code::kInvalidModel, "attention.sliding_window", "is missing");
  const auto cap = [&](const char* field, double fallback) {
    if (fields.Has(field) && fields[field] == 0) {
      config.Ignore({field});
      return 0.0;
    }
    return config.Has(field) || fallback > 0 ? config.Positive(field, fallback) : 0.0;
  };
  ModelSpec spec;
  if (a.post_norms) {
    l.softcap = cap("attn_logit_softcapping", a.attention_cap);
    spec.output.softcap = static_cast<float>(cap("final_logit_softcapping", a.logit_cap));
  }
  if (a.scaled_embedding) spec.input.scale = static_cast<float>(std::sqrt(static_cast<double>(l.D)));
  if (a.rotation == Rotation::kNone) {
    spec.input.positions =
        b.Matrix("input.positions", "position_embd.weight", shape.positions, l.D, TensorRole::kExact);
  }
  config.Finish();

  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) {
    const bool slides = window != 0 && (sliding ? (*sliding)[i] : period == 1 || (i + 1) % period != 0);
    l.H = counts.H[i];
    l.G = counts.G[i];
    l.F = counts.F[i];
    l.window = slides ? window : 0;
    l.rope = slides ? sliding_rope : rope;
    layers.push_back(ReadGatedLayer(b, i, l));
  }
  return FinishDecoder(b, a.name, shape, !b.Has("lm_head.weight"), spec, std::move(layers));
}

}  // namespace
}  // namespace thimble
