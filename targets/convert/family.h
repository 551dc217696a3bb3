// The families of models that can be brought in: each is one function from a configuration and a checkpoint
// to a plan. Adding a family is a new family_*.cc and a line in family.cc.
#pragma once

#include <span>
#include <string>

#include "targets/convert/checkpoint.h"
#include "targets/convert/config.h"
#include "targets/convert/plan.h"

namespace thimble {

struct Family {
  const char* name;        // as stored in the file
  const char* model_type;  // what config.json calls it
  const char* summary;     // one line for people
  ModelPlan (*plan)(Config& config, const Checkpoint& checkpoint);
};

// Those with a config.json; for `thimble convert --list`.
std::span<const Family> Families();

// The family of a configuration: by model_type; without one, the shape of the paper's configurations is
// known. Throws ImportError that names the field.
const Family& FindFamily(const Json& config, const std::string& file);

ModelPlan PlanPaper(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanPaperEncoder(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGpt2(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanLlama(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanMistral(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanQwen2(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanQwen3(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanQwen3Vl(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanQwen3Moe(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanMixtral(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanOlmoe(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanLfm2(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanLfm2Moe(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanMamba2(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanBert(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanXlmRoberta(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanNomicBert(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanEuroBert(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanModernBert(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanPhi3(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanOlmo2(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanStableLm(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanStarCoder2(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGemma(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGemma2(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGemma3(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanSmolLm3(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGranite(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGraniteSwa(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGraniteMoe(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGlm(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGlm4(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanCohere(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanCohere2(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanExaone4(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanHelium(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanErnie(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanSeedOss(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanArcee(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanApertus(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanNanoChat(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanHunyuan(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanOlmo3(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanMinistral3(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanVaultGemma(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGraniteHybrid(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanFalconH1(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanNemotronH(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGptOss(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanBitNet(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanDeepSeek(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanYoutu(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanMiniCpm3(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanLfm3(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanEmbeddingGemma2(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanQwen35(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanQwen3Next(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanOlmoHybrid(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGemma4(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanGemma3n(Config& config, const Checkpoint& checkpoint);
ModelPlan PlanHrmText(Config& config, const Checkpoint& checkpoint);

// Names of activations in configurations, as transformers has them.
Activation ReadActivation(Config& config, const std::string& field, const std::string& fallback);

// "h.3.attn.bias" [1, 1, n, n] and "h.3.attn.masked_bias": buffers of the causal mask, not weights.
bool IsMaskBuffer(const std::string& name, const std::vector<uint64_t>& shape);

// D / H, which must divide.
uint32_t HeadWidth(const Config& config, const std::string& field, uint32_t width, uint32_t heads);

}  // namespace thimble
