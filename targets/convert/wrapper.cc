#include "targets/convert/wrapper.h"

#include "targets/convert/config.h"
#include "targets/convert/import_error.h"

namespace thimble {
namespace {

struct Wrapper {
  const char* model_type;
  const char* text_type;  // where text_config does not say it
  bool tied;              // the same of tie_word_embeddings
};

constexpr Wrapper kWrappers[] = {
    {"embedding_gemma2", "embedding_gemma2_text", true},
    {"gemma3", "gemma3_text", true},
    {"gemma3n", "gemma3n_text", true},
    {"gemma4", "gemma4_text", true},
    {"gemma4_unified", "gemma4_unified_text", true},
    {"idefics3", "llama", false},
    {"lfm2_vl", "lfm2", true},
    {"lfm3_vl", "lfm3", true},
    {"mistral3", "mistral", true},
    {"qwen3_5", "qwen3_5_text", false},
    {"qwen3_vl", "qwen3_vl_text", false},
    {"smolvlm", "llama", false},
};

// What pictures, sounds and their places among the ids are.
const std::vector<std::string> kOtherSenses = {
    "vision_config", "audio_config", "image_token_id", "image_token_index", "video_token_id", "audio_token_id", "audio_token_index",
    "boi_token_id", "boi_token_index", "eoi_token_id", "eoi_token_index", "boa_token_id", "eoa_token_id", "eoa_token_index",
    "vision_start_token_id", "vision_end_token_id", "vision_soft_tokens_per_image", "audio_soft_tokens_per_image", "mm_tokens_per_image", "_pad_token_id",
    // projectors between these and the text model
    "projector_hidden_act", "projector_bias", "projector_hidden_size", "projector_use_layernorm", "multimodal_projector_bias",
    "spatial_merge_size", "vision_feature_layer", "vision_feature_select_strategy", "downsample_factor", "scale_factor",
    // how pictures are cut
    "do_image_splitting", "encoder_patch_size", "max_image_tokens", "max_num_patches", "max_pixels_tolerance", "max_tiles",
    "min_image_tokens", "min_tiles", "tile_size", "use_image_special_tokens", "use_thumbnail", "vision_aspect_ratio"};

// Behind "model.", or in front of everything.
constexpr const char* kOtherParts[] = {"visual.", "vision_tower.", "vision_model.", "vision_embedder.", "embed_vision.", "audio_tower.",
                                       "embed_audio.", "multi_modal_projector.", "connector.", "mtp."};

const Wrapper* FindWrapper(const Json& config) {
  const Json* type = config.Find("model_type");
  if (type == nullptr || !type->is_text() || !config.Has("text_config")) return nullptr;
  for (const Wrapper& wrapper : kWrappers) {
    if (type->as_text() == wrapper.model_type) return &wrapper;
  }
  return nullptr;
}

}  // namespace

std::optional<Json> UnwrapText(const Json& config, const std::string& file) {
  const Wrapper* wrapper = FindWrapper(config);
  if (wrapper == nullptr) return std::nullopt;
  Config outer(config, file);
  std::optional<Config> object = outer.Object("text_config");
  if (!object) outer.Refuse(Code::kInvalidModel, "text_config", "must be an object");
  const bool tied = outer.Flag("tie_embedding", outer.Flag("tie_word_embeddings", wrapper->tied));
  (void)object->Flag("tie_word_embeddings", tied);  // what it says there does not count, but for its kind
  outer.Ignore(kOtherSenses);
  outer.IgnoreCommon();
  outer.Finish();
  Json text = *config.Find("text_config");
  text["tie_word_embeddings"] = tied;
  text.Erase("tie_embedding");
  if (std::string(wrapper->model_type) == "gemma3") text.Erase("final_logit_softcapping");  // the reference's wrapper has no cap
  if (const Json* type = text.Find("model_type"); type == nullptr || type->is_null()) text["model_type"] = wrapper->text_type;
  return text;
}

std::string OtherPart(const std::string& tensor) {
  const size_t begin = tensor.starts_with("model.") ? 6 : 0;
  for (const std::string part : kOtherParts) {
    if (tensor.compare(begin, part.size(), part) == 0) return tensor.substr(0, begin + part.size() - 1);
  }
  return {};
}

}  // namespace thimble
