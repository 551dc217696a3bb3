// Phi-3 and Phi-4-mini: Llama with q, k, v in one matrix and gate, up in another, a sliding window, and (Phi-4-mini) a
// rotation of part of each head.
#include "targets/convert/family.h"
#include "targets/convert/gated_decoder.h"
#include "targets/convert/rotary.h"

namespace thimble {
namespace {

// Where the published code of this very family lies, perhaps as "REPOSITORY--..."; other code may compute something
// else. Tokenizers and other heads say nothing about these numbers.
void CheckAutoMap(Config& outer) {
  std::optional<Config> map = outer.Object("auto_map");
  if (!map) return;
  for (const auto& [field, known] : {std::pair{"AutoConfig", "configuration_phi3.Phi3Config"},
                                     std::pair{"AutoModel", "modeling_phi3.Phi3Model"},
                                     std::pair{"AutoModelForCausalLM", "modeling_phi3.Phi3ForCausalLM"}}) {
    const std::string value = map->Text(field, known);
    const size_t repository = value.find("--");
    if (value.substr(repository == std::string::npos ? 0 : repository + 2) != known)
      map->Refuse(Code::kUnsupported, field, "'" + value + "' is not supported, expected " + known);
  }
  map->Ignore({"AutoTokenizer", "AutoProcessor", "AutoModelForSequenceClassification", "AutoModelForTokenClassification"});
  map->Finish();
}

}  // namespace

ModelPlan PlanPhi3(Config& config, const Checkpoint& checkpoint) {
  DecoderShape shape = ReadDecoderShape(config);
  GatedLayer& l = shape.layer;
  l.eps = config.Positive("rms_norm_eps", 1e-5);
  l.activation = ReadActivation(config, "hidden_act", "silu");
  l.fused_qkv = l.fused_gate_up = true;
  if (config.Has("sliding_window")) l.window = config.Count("sliding_window");
  const bool tied = config.Flag("tie_word_embeddings", false);
  CheckForeignFields(config, l);
  config.Only("use_sliding_window", l.window != 0);
  config.Only("lm_head_bias", false);
  CheckAutoMap(config);
  config.Ignore({"original_max_position_embeddings"});  // matters to yarn and longrope alone, which ask for it

  PlanBuilder b(checkpoint, config.file(), DecoderPrefixes());
  l.rope = ReadRotary(config, l.d, b, &shape.positions);
  config.Finish();
  std::vector<LayerSpec> layers;
  for (uint32_t i = 0; i < shape.L; ++i) layers.push_back(ReadGatedLayer(b, i, l));
  return FinishDecoder(b, "phi3", shape, tied, {}, std::move(layers));
}

}  // namespace thimble
