#include "targets/cli/kind_names.h"

#pragma GCC diagnostic error "-Wswitch"

namespace thimble::cli {

// Files are opened through the validator, which has refused what is none of these.
namespace {
constexpr const char* kNoKind = "?";
}

const char* KindName(NormKind kind) {
  switch (kind) {
    case NormKind::kNone: return "none";
    case NormKind::kLayerNorm: return "layer_norm";
    case NormKind::kRmsNorm: return "rms_norm";
  }
  return kNoKind;
}

const char* KindName(NormOrder kind) {
  switch (kind) {
    case NormOrder::kBeforeRotation: return "before_rotation";
    case NormOrder::kAfterRotation: return "after_rotation";
  }
  return kNoKind;
}

const char* KindName(NormScope kind) {
  switch (kind) {
    case NormScope::kRow: return "row";
    case NormScope::kHead: return "head";
    case NormScope::kEachHead: return "each_head";
  }
  return kNoKind;
}

const char* KindName(Sharing kind) {
  switch (kind) {
    case Sharing::kNone: return "none";
    case Sharing::kQK: return "q_k";
    case Sharing::kKV: return "k_v";
    case Sharing::kQKV: return "q_k_v";
  }
  return kNoKind;
}

const char* KindName(KeyRotation kind) {
  switch (kind) {
    case KeyRotation::kNone: return "none";
    case KeyRotation::kOnWrite: return "on_write";
    case KeyRotation::kOnRead: return "on_read";
    case KeyRotation::kOnWriteInverseOutput: return "on_write_inverse_output";
  }
  return kNoKind;
}

const char* KindName(RopePairing kind) {
  switch (kind) {
    case RopePairing::kHalfSplit: return "half_split";
    case RopePairing::kInterleaved: return "interleaved";
  }
  return kNoKind;
}

const char* KindName(PartRole kind) {
  switch (kind) {
    case PartRole::kMain: return "main";
    case PartRole::kEncoder: return "encoder";
    case PartRole::kDraft: return "draft";
  }
  return kNoKind;
}

const char* KindName(BlockForm kind) {
  switch (kind) {
    case BlockForm::kResidual: return "residual";
    case BlockForm::kPostNorm: return "post_norm";
    case BlockForm::kParallel: return "parallel";
    case BlockForm::kBranches: return "branches";
    case BlockForm::kStreams: return "streams";
    case BlockForm::kReplace: return "replace";
  }
  return kNoKind;
}

const char* KindName(InputKind kind) {
  switch (kind) {
    case InputKind::kTokens: return "tokens";
    case InputKind::kPatches: return "patches";
  }
  return kNoKind;
}

const char* KindName(OutputRows kind) {
  switch (kind) {
    case OutputRows::kEvery: return "every";
    case OutputRows::kFirst: return "first";
  }
  return kNoKind;
}

const char* KindName(MixerKind kind) {
  switch (kind) {
    case MixerKind::kAttention: return "attention";
    case MixerKind::kFeedForward: return "feed_forward";
    case MixerKind::kExperts: return "experts";
    case MixerKind::kShortConvolution: return "short_convolution";
    case MixerKind::kStateSpace: return "state_space";
    case MixerKind::kStreams: return "streams";
  }
  return kNoKind;
}

const char* KindName(FfnKind kind) {
  switch (kind) {
    case FfnKind::kPlain: return "plain";
    case FfnKind::kGated: return "gated";
    case FfnKind::kLayerRow: return "layer_row";
  }
  return kNoKind;
}

const char* KindName(ExpertScore kind) {
  switch (kind) {
    case ExpertScore::kSoftmax: return "softmax";
    case ExpertScore::kSigmoid: return "sigmoid";
  }
  return kNoKind;
}

const char* KindName(Activation kind) {
  switch (kind) {
    case Activation::kIdentity: return "identity";
    case Activation::kGeluErf: return "gelu";
    case Activation::kGeluTanh: return "gelu_tanh";
    case Activation::kSilu: return "silu";
    case Activation::kRelu: return "relu";
    case Activation::kReluSquared: return "relu_squared";
    case Activation::kGeluQuick: return "gelu_quick";
    case Activation::kXielu: return "xielu";
    case Activation::kClampedSwish: return "clamped_swish";
  }
  return kNoKind;
}

const char* KindName(TokenizerKind kind) {
  switch (kind) {
    case TokenizerKind::kSpmBpe: return "sentencepiece_bpe";
    case TokenizerKind::kByteLevelBpe: return "byte_level_bpe";
    case TokenizerKind::kUnigram: return "sentencepiece_unigram";
    case TokenizerKind::kWordPiece: return "wordpiece";
  }
  return kNoKind;
}

const char* KindName(SplitPattern kind) {
  switch (kind) {
    case SplitPattern::kNone: return "none";
    case SplitPattern::kGpt2: return "gpt2";
    case SplitPattern::kLlama3: return "llama3";
    case SplitPattern::kQwen2: return "qwen2";
    case SplitPattern::kFalcon: return "falcon";
    case SplitPattern::kDeepSeekCoder: return "deepseek_coder";
    case SplitPattern::kDeepSeek3: return "deepseek3";
    case SplitPattern::kO200k: return "o200k";
    case SplitPattern::kDeepSeekLlm: return "deepseek_llm";
    case SplitPattern::kQwen35: return "qwen3.5";
    case SplitPattern::kTekken: return "tekken";
    case SplitPattern::kKimiK2: return "kimi_k2";
    case SplitPattern::kTinyAya: return "tiny_aya";
    case SplitPattern::kYoutu: return "youtu";
    case SplitPattern::kSeedCoder: return "seed_coder";
    case SplitPattern::kUfakzeka: return "ufakzeka";
    case SplitPattern::kLaguna: return "laguna";
    case SplitPattern::kMiniCpm5: return "minicpm5";
    case SplitPattern::kJais2: return "jais2";
    case SplitPattern::kExaoneMoe: return "exaone_moe";
    case SplitPattern::kBloom: return "bloom";
    case SplitPattern::kViking: return "viking";
    case SplitPattern::kSuperBpe: return "superbpe";
    case SplitPattern::kSpark25: return "spark2.5";
    case SplitPattern::kAfmoe: return "afmoe";
    case SplitPattern::kChameleon: return "chameleon";
    case SplitPattern::kLlamaCppDefault: return "llama.cpp_default";
  }
  return kNoKind;
}

}  // namespace thimble::cli
