// All names that llama.cpp knows (src/llama-vocab.cpp). What the
// name does not say, and the model's own tokenizer does, is here, too: normal form C (Qwen, Command R, GPT-NeoX and what
// has its vocabulary, StableLM 2), and that a word which is a piece is taken whole.
#include "targets/convert/tokenizers/gguf_splits.h"

namespace thimble {
namespace {

constexpr uint32_t kDigits = kTokenizerSplitDigits;
constexpr uint32_t kNfc = kTokenizerNfc;
constexpr uint32_t kWhole = kTokenizerIgnoreMerges;
constexpr uint32_t kBos = kTokenizerAddBos;

constexpr GgufSplit kSplits[] = {
    {"default", SplitPattern::kLlamaCppDefault, 0},
    {"gpt-2", SplitPattern::kGpt2, 0},
    {"phi-2", SplitPattern::kGpt2, 0},
    {"jina-es", SplitPattern::kGpt2, 0},
    {"jina-de", SplitPattern::kGpt2, 0},
    {"jina-v2-es", SplitPattern::kGpt2, 0},
    {"jina-v2-de", SplitPattern::kGpt2, 0},
    {"jina-v1-en", SplitPattern::kGpt2, 0},
    {"jina-v2-code", SplitPattern::kGpt2, 0},
    {"roberta-bpe", SplitPattern::kGpt2, 0},
    {"gigachat", SplitPattern::kGpt2, 0},
    {"a.x-4.0", SplitPattern::kGpt2, 0},
    {"mellum", SplitPattern::kGpt2, 0},
    {"exaone4", SplitPattern::kGpt2, 0},
    {"jais", SplitPattern::kGpt2, 0},
    {"trillion", SplitPattern::kGpt2, 0},
    {"granite-docling", SplitPattern::kGpt2, 0},
    {"gpt-neox", SplitPattern::kGpt2, kNfc},
    {"mpt", SplitPattern::kGpt2, kNfc},
    {"olmo", SplitPattern::kGpt2, kNfc},
    {"modern-bert", SplitPattern::kGpt2, kNfc},
    {"starcoder", SplitPattern::kGpt2, kDigits},
    {"refact", SplitPattern::kGpt2, kDigits},
    {"smollm", SplitPattern::kGpt2, kDigits},
    {"codeshell", SplitPattern::kGpt2, kDigits},
    {"exaone", SplitPattern::kGpt2, kDigits},
    {"minerva-7b", SplitPattern::kGpt2, kDigits},
    {"mellum2", SplitPattern::kGpt2, kDigits},
    {"command-r", SplitPattern::kGpt2, kDigits | kNfc},
    {"llama-bpe", SplitPattern::kLlama3, kWhole | kBos},
    {"llama3", SplitPattern::kLlama3, kWhole | kBos},
    {"llama-v3", SplitPattern::kLlama3, kWhole | kBos},
    {"falcon3", SplitPattern::kLlama3, kWhole | kBos},
    {"falcon-h1", SplitPattern::kLlama3, kWhole | kBos},
    {"pixtral", SplitPattern::kLlama3, kWhole | kBos},
    {"midm-2.0", SplitPattern::kLlama3, kWhole | kBos},
    {"lfm2", SplitPattern::kLlama3, kWhole | kBos},
    {"jina-v5-nano", SplitPattern::kLlama3, kWhole | kBos},
    {"dbrx", SplitPattern::kLlama3, 0},
    {"smaug-bpe", SplitPattern::kLlama3, 0},
    {"glm4", SplitPattern::kLlama3, 0},
    {"chatglm-bpe", SplitPattern::kLlama3, 0},
    {"minicpm5", SplitPattern::kMiniCpm5, kWhole},
    {"jais-2", SplitPattern::kJais2, 0},
    {"qwen2", SplitPattern::kQwen2, kNfc},
    {"deepseek-r1-qwen", SplitPattern::kQwen2, kNfc},
    {"f2llmv2", SplitPattern::kQwen2, kNfc},
    {"kormo", SplitPattern::kQwen2, 0},
    {"megrez", SplitPattern::kQwen2, kNfc},
    {"stablelm2", SplitPattern::kQwen2, kNfc},
    {"hunyuan", SplitPattern::kQwen2, 0},
    {"solar-open", SplitPattern::kQwen2, 0},
    {"grok-2", SplitPattern::kQwen2, 0},
    {"bailingmoe", SplitPattern::kQwen2, 0},
    {"bailingmoe2", SplitPattern::kQwen2, 0},
    {"llada-moe", SplitPattern::kQwen2, 0},
    {"qwen35", SplitPattern::kQwen35, kNfc},
    {"seed-coder", SplitPattern::kSeedCoder, 0},
    {"ufakzeka", SplitPattern::kUfakzeka, 0},
    {"laguna", SplitPattern::kLaguna, 0},
    {"exaone-moe", SplitPattern::kExaoneMoe, 0},
    {"gpt-4o", SplitPattern::kO200k, kWhole},
    {"llama4", SplitPattern::kO200k, kWhole},
    {"kanana2", SplitPattern::kO200k, 0},
    {"talkie", SplitPattern::kO200k, 0},
    {"minimax-m2", SplitPattern::kO200k, 0},
    {"granite-embed-multi-97m", SplitPattern::kO200k, kWhole},
    {"tekken", SplitPattern::kTekken, kWhole | kBos},
    {"kimi-k2", SplitPattern::kKimiK2, 0},
    {"tiny_aya", SplitPattern::kTinyAya, 0},
    {"cohere2moe", SplitPattern::kTinyAya, 0},
    {"youtu", SplitPattern::kYoutu, kWhole},
    {"deepseek-llm", SplitPattern::kDeepSeekLlm, 0},
    {"deepseek-coder", SplitPattern::kDeepSeekCoder, 0},
    {"deepseek-v3", SplitPattern::kDeepSeek3, 0},
    {"hunyuan-dense", SplitPattern::kDeepSeek3, 0},
    {"joyai-llm", SplitPattern::kDeepSeek3, 0},
    {"hy_v4", SplitPattern::kDeepSeek3, 0},
    {"spark2_5", SplitPattern::kSpark25, 0},
    {"afmoe", SplitPattern::kAfmoe, 0},
    {"falcon", SplitPattern::kFalcon, 0},
    {"bloom", SplitPattern::kBloom, 0},
    {"poro-chat", SplitPattern::kBloom, 0},
    {"gpt3-finnish", SplitPattern::kBloom, 0},
    {"viking", SplitPattern::kViking, 0},
    {"superbpe", SplitPattern::kSuperBpe, 0},
    {"chameleon", SplitPattern::kChameleon, kBos},
    {"gemma4", SplitPattern::kNone, kBos},
    {"granite-embed-multi-311m", SplitPattern::kNone, kBos},
    {"sarvam-moe", SplitPattern::kNone, 0},
    {"whitespace", SplitPattern::kNone, kTokenizerSpaceIsCut | kTokenizerRemoveExtraWhitespaces | kTokenizerEachUnknown},
};

}  // namespace

const GgufSplit* FindGgufSplit(const std::string& name) {
  for (const GgufSplit& split : kSplits) {
    if (split.name == name) return &split;
  }
  return nullptr;
}

std::string GgufSplitNames() {
  std::string names;
  for (const GgufSplit& split : kSplits) names += (names.empty() ? "" : ", ") + std::string(split.name);
  return names;
}

}  // namespace thimble
