#include "targets/convert/config.h"

#include <cmath>

#include "targets/convert/import_error.h"

namespace thimble {
namespace {

// What transformers writes into every configuration and what does not enter the forward pass.
const std::vector<std::string> kCommon = {
    // origin and storage
    "_name_or_path", "_commit_hash", "architectures", "model_type", "transformers_version", "torch_dtype",
    "dtype", "name", "tokenizer_class", "task_specific_params", "unsloth_fixed", "unsloth_version",
    "transformers.js_config", "is_composition",
    // ids, which the tokenizer or the caller decides on
    "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "sep_token_id", "cls_token_id",
    "mask_token_id", "decoder_start_token_id", "id2label", "label2id", "num_labels", "problem_type",
    "finetuning_task", "prefix",
    // training
    "initializer_range", "attention_dropout", "hidden_dropout", "resid_dropout", "residual_dropout",
    "embd_pdrop", "resid_pdrop", "attn_pdrop", "embedding_dropout", "dropout", "classifier_dropout",
    "drop_path", "gradient_checkpointing", "neftune_noise_alpha", "pretraining_tp", "use_reentrant",
    // how it is computed, not what
    "use_cache", "use_flash_attention", "attn_implementation", "_attn_implementation",
    "_attn_implementation_autoset", "_flash_attn_2_enabled", "cache_implementation", "torchscript",
    "use_bfloat16", "tf_legacy_loss", "chunk_size_feed_forward", "keys_to_ignore_at_inference", "return_dict",
    "output_hidden_states", "output_attentions",
    // text generation defaults
    "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
    "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty",
    "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences",
    "output_scores", "return_dict_in_generate", "forced_bos_token_id", "forced_eos_token_id",
    "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens"};

// What some families have and others write down as absent: at this value it does nothing. A family that has it asks
// for it by itself.
struct Neutral {
  const char* field;
  Json value;
};
const std::vector<Neutral>& NeutralFields() {
  static const std::vector<Neutral> fields = {
      // which positions see which
      {"is_causal", true},
      {"use_bidirectional_attention", false},
      {"attention_sinks", false},
      {"use_attention_sinks", false},
      // positions
      {"alibi", false},
      {"use_alibi", false},
      {"use_mrope", false},
      // blocks
      {"use_parallel_residual", false},
      {"parallel_attn", false},
      {"full_attn_mod", 1},
      {"interpolate_factor", 1},
      // mixtures of experts
      {"num_experts", 0},
      {"num_local_experts", 0},
      {"n_routed_experts", 0},
      {"enable_moe_block", false},
      // factors
      {"logit_scale", 1},
      {"logits_scaling", 1},
      {"residual_multiplier", 1},
      {"embedding_multiplier", 1},
  };
  return fields;
}

}  // namespace

Config::Config(const Json& object, std::string file, std::string prefix)
    : json_(object), file_(std::move(file)), prefix_(std::move(prefix)) {}

void Config::Refuse(Code code, const std::string& field, const std::string& text) const {
  const auto name = names_.find(field);
  throw ImportError(code, "field '" + (name != names_.end() ? name->second : prefix_ + field) + "': " + text, file_);
}

bool Config::Has(const std::string& field) const {
  const Json* value = json_.Find(field);
  return value != nullptr && !value->is_null();
}

const Json* Config::Find(const std::string& field) {
  known_.insert(field);
  read_.insert(field);
  return Has(field) ? json_.Find(field) : nullptr;
}

uint32_t Config::Count(const std::string& field, std::optional<uint32_t> fallback, uint32_t most) {
  const Json* value = Find(field);
  if (value == nullptr) {
    if (fallback) return *fallback;
    Refuse(Code::kInvalidModel, field, "is missing");
  }
  return CountOf(*value, field, most);
}

uint32_t Config::CountOf(const Json& value, const std::string& field, uint32_t most) const {
  if (!value.is_unsigned() || value.as_unsigned() == 0 || value.as_unsigned() > most) {
    Refuse(Code::kInvalidModel, field,
           "found " + Shown(value) + ", expected a whole number from 1 to " + std::to_string(most));
  }
  return static_cast<uint32_t>(value.as_unsigned());
}

std::vector<uint32_t> Config::Counts(const std::string& field, uint32_t size, std::optional<uint32_t> fallback,
                                     uint32_t most) {
  const Json* value = Find(field);
  if (value == nullptr || !value->is_array()) return std::vector<uint32_t>(size, Count(field, fallback, most));
  if (value->size() != size) {
    Refuse(Code::kInvalidModel, field,
           "has " + std::to_string(value->size()) + " numbers, expected one for each of " + std::to_string(size) + " layers");
  }
  std::vector<uint32_t> counts;
  for (const Json& item : value->items()) counts.push_back(CountOf(item, field, most));
  return counts;
}

std::optional<std::vector<bool>> Config::Flags(const std::string& field, uint32_t size) {
  const Json* value = Find(field);
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<bool> flags;
  for (const Json& item : value->items()) {
    if (!item.is_bool()) Refuse(Code::kInvalidModel, field, "holds " + Shown(item) + ", expected true or false");
    flags.push_back(item.as_bool());
  }
  if (flags.size() != size) {
    Refuse(Code::kInvalidModel, field,
           "has " + std::to_string(flags.size()) + " values, expected one for each of " + std::to_string(size) + " layers");
  }
  return flags;
}

double Config::Positive(const std::string& field, std::optional<double> fallback) {
  const Json* value = Find(field);
  if (value == nullptr) {
    if (fallback) return *fallback;
    Refuse(Code::kInvalidModel, field, "is missing");
  }
  if (!value->is_number() || !std::isfinite(value->as_double()) || !(value->as_double() > 0)) {
    Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected a finite number above 0");
  }
  return value->as_double();
}

double Config::NotNegative(const std::string& field, double fallback) {
  const Json* value = Find(field);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !std::isfinite(value->as_double()) || value->as_double() < 0) {
    Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected a finite number from 0 on");
  }
  return value->as_double();
}

bool Config::Flag(const std::string& field, bool fallback) {
  const Json* value = Find(field);
  if (value == nullptr) return fallback;
  if (!value->is_bool())
    Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected true or false");
  return value->as_bool();
}

std::string Config::Text(const std::string& field, const std::string& fallback) {
  const Json* value = Find(field);
  if (value == nullptr) return fallback;
  if (!value->is_text()) Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected a text");
  return value->as_text();
}

std::vector<double> Config::PositiveNumbers(const std::string& field) {
  const Json* value = Find(field);
  if (value == nullptr) Refuse(Code::kInvalidModel, field, "is missing");
  std::vector<double> numbers;
  if (!value->is_array()) Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected a list of numbers");
  for (const Json& item : value->items()) {
    if (!item.is_number() || !std::isfinite(item.as_double()) || !(item.as_double() > 0))
      Refuse(Code::kInvalidModel, field, "holds " + Shown(item) + ", expected numbers above 0");
    numbers.push_back(item.as_double());
  }
  return numbers;
}

std::optional<std::vector<double>> Config::Numbers(const std::string& field, uint32_t size) {
  const Json* value = Find(field);
  if (value == nullptr) return std::nullopt;
  std::vector<double> numbers;
  if (!value->is_array() || value->size() != size)
    Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected one number for each of " + std::to_string(size) + " layers");
  for (const Json& item : value->items()) {
    if (!item.is_number() || !std::isfinite(item.as_double())) Refuse(Code::kInvalidModel, field, "holds " + Shown(item) + ", expected finite numbers");
    numbers.push_back(item.as_double());
  }
  return numbers;
}

std::pair<double, double> Config::Interval(const std::string& field, std::pair<double, double> fallback) {
  const Json* value = Find(field);
  if (value == nullptr) return fallback;
  double ends[2] = {NAN, NAN};
  for (size_t i = 0; i < 2 && value->is_array() && value->size() == 2; ++i) {
    const Json& item = (*value)[i];
    const Json* infinity = item.Find("__float__");
    if (item.is_number()) ends[i] = item.as_double();
    if (infinity != nullptr && *infinity == Json("Infinity")) ends[i] = INFINITY;
  }
  if (ends[0] >= 0 && ends[0] < ends[1]) return {ends[0], ends[1]};
  Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected two rising numbers from 0 on");
}

uint32_t Config::WholeNumber(const std::string& field) {
  const Json* value = Find(field);
  if (value == nullptr) Refuse(Code::kInvalidModel, field, "is missing");
  if (!value->is_unsigned() || value->as_unsigned() > INT32_MAX)
    Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected a whole number from 0 to 2147483647");
  return static_cast<uint32_t>(value->as_unsigned());
}

std::vector<uint32_t> Config::WholeNumbers(const std::string& field) {
  const Json* value = Find(field);
  std::vector<uint32_t> numbers;
  if (value == nullptr) return numbers;
  if (!value->is_array()) Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected a list of numbers");
  for (const Json& item : value->items()) {
    if (!item.is_unsigned() || item.as_unsigned() > INT32_MAX)
      Refuse(Code::kInvalidModel, field, "holds " + Shown(item) + ", expected whole numbers from 0 on");
    numbers.push_back(static_cast<uint32_t>(item.as_unsigned()));
  }
  return numbers;
}

std::optional<std::vector<std::string>> Config::Texts(const std::string& field) {
  const Json* value = Find(field);
  if (value == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  const auto refuse = [&] { Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected a list of texts"); };
  if (!value->is_array()) refuse();
  for (const Json& entry : value->items()) {
    if (!entry.is_text()) refuse();
    texts.push_back(entry.as_text());
  }
  return texts;
}

std::optional<Config> Config::Object(const std::string& field) {
  const Json* value = Find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object())
    Refuse(Code::kInvalidModel, field, "found " + Shown(*value) + ", expected an object");
  Config inner(*value, file_, prefix_ + field + ".");
  inner.without_effect_ = without_effect_;
  return inner;
}

size_t Config::Choice(const std::string& field, const std::vector<std::string>& known,
                      const std::string& fallback) {
  const std::string text = Text(field, fallback);
  std::string list;
  for (size_t i = 0; i < known.size(); ++i) {
    if (known[i] == text) return i;
    list += (i > 0 ? ", " : "") + known[i];
  }
  Refuse(Code::kUnsupported, field, "'" + text + "' is not supported, expected one of: " + list);
}

void Config::Only(const std::string& field, const Json& value) {
  const Json* found = Find(field);
  if (found == nullptr || *found == value) return;
  Refuse(
      Code::kUnsupported, field,
      "found " + Shown(*found) + ", which changes the mathematics; only " + Shown(value) + " is supported");
}

void Config::Ignore(const std::vector<std::string>& fields) { known_.insert(fields.begin(), fields.end()); }

void Config::IgnoreCommon() {
  Ignore(kCommon);
  for (const char* field : {"is_encoder_decoder", "add_cross_attention", "tie_encoder_decoder"})
    Only(field, false);
  for (const auto& [field, value] : NeutralFields()) {
    if (Has(field) && json_[field] == value) known_.insert(field);
  }
  Only("pruned_heads", Json::Object());
  Ignore({"is_decoder", "cross_attention_hidden_size"});
  if (Has("quantization_config") && !known_.contains("quantization_config")) {
    Refuse(Code::kUnsupported, "quantization_config",
           "weights that are quantised already are not supported; convert the "
           "original checkpoint");
  }
}

void Config::Finish() const {
  for (const auto& [field, value] : json_.members()) {
    if (value.is_null() || read_.contains(field)) continue;
    if (known_.contains(field)) {
      without_effect_->push_back(prefix_ + field);
      continue;
    }
    Refuse(
        Code::kUnsupported, field,
        "unknown field with value " + Shown(value) + "; it may change the mathematics, so it is not ignored");
  }
}

}  // namespace thimble
