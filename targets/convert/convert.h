// Brings a model in: finds out what the source is, plans it, and writes the .thimble file tensor by tensor in
// bounded memory. The one entry point of targets/convert for programs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "targets/convert/import_error.h"
#include "runtime/core/weight_type.h"

namespace thimble {

struct ConvertProgress {
  const std::string& tensor;  // being written
  size_t index, count;        // of `count` tensors
  uint64_t done_weights, total_weights;
};

struct ConvertOptions {
  // A directory with config.json and model.safetensors (or its index), one of these files, a GGUF file,
  // or a llama2.c .bin.
  std::filesystem::path source;
  std::filesystem::path output;
  // A tokenizer file or directory; empty: the one in the source directory, if there is one.
  std::filesystem::path tokenizer;
  bool no_tokenizer = false;  // take none, also where the source directory has one
  // One of our own texts by its name, or a file of Jinja, in place of the source's chat templates; "none": none.
  std::string chat_template;

  // Matrices that the source has quantised keep their blocks; `weights` is for sources without any. Where blocks cannot be kept,
  // and for the other matrices of such a source: kUnkeptWeights.
  bool as_is = false;
  WeightType weights = WeightType::kF32;  // of linears and the embedding
  uint32_t block = 32;                    // of kQ4: 32, 64 or 128
  std::optional<WeightType> head;         // of the output head, which is the embedding where the two are tied
  std::optional<WeightType> kv;           // of the projections to keys and values
  bool search_scales = true;              // least squared error instead of full range
  bool turn = true;                       // rows of quantised weights, and so the inputs of their layers (ops/linear/turn.h)

  uint32_t i2s_block = 0;  // weights in a block of I2_S, 128 or 64 (gguf_i2s.h); 0: as published, of files that are known to be

  std::string name;                        // empty: the source's file name
  std::vector<std::string> ignore_fields;  // of config.json: the caller vouches that they do not matter
  // Called before the output is created and before each block of rows; false stops with kCancelled and leaves no file.
  std::function<bool(const ConvertProgress&)> progress;
};

inline constexpr WeightType kUnkeptWeights = WeightType::kQ8_0;

struct ConvertedTensor {
  std::string name;
  WeightType type = WeightType::kF32;
  uint32_t rows = 0, cols = 0;
  uint64_t bytes = 0;         // data and scales
  double relative_error = 0;  // RMS of the error over RMS of the weights
  double largest_error = 0;   // absolute
  std::string source_type;    // "F32", "Q4_K", ...; empty where the numbers were computed
  uint64_t source_bytes = 0;  // that these rows take there
  bool quantised_source = false;  // some of them are in blocks there
  bool kept = false;              // in these very blocks here
  std::string unkept = {};        // with as_is: why they are not
};

struct ConvertReport {
  std::string name, family;
  std::vector<ConvertedTensor> tensors;
  uint64_t weights = 0;       // numbers in all tensors
  uint64_t source_bytes = 0;  // of the weights, as stored there
  uint64_t file_bytes = 0;
  uint64_t peak_buffer_bytes = 0;  // largest sum of the buffers for weights at one time
  uint32_t vocabulary = 0;         // ids that may be sampled
  bool has_tokenizer = false;
  std::vector<std::string> chat_templates;  // for people: which were taken, "default from tokenizer_config.json, chat_template"
  std::vector<std::string> no_calls = {};   // for each: why tool calls cannot be read from its answers; empty where they can
  bool quantised_source = false;  // some of its matrices are
  std::vector<std::string> without_effect = {};  // fields of config.json that stand there and change nothing
  std::map<std::string, size_t> left_out;  // parts that are no text ("model.visual"), and how many tensors they have
};

// Throws ImportError (its code gives the exit code); then there is no output file, and an older one of that
// name is as it was. Weights that are not finite are refused, naming the tensor and the element.
ConvertReport Convert(const ConvertOptions& options);

// What the file of a conversion would begin with, and its length: enough to plan with.
struct ConvertedHeader {
  std::vector<uint8_t> bytes;
  uint64_t file_bytes = 0;
  bool gives_vectors = false;     // its outputs are hidden rows, or one vector for all of them
  bool quantised_source = false;  // as in ConvertReport
};
// Reads no weights, and of a folder needs none: config.json is enough. Writes nothing; `options.output` is not used. Throws as Convert() does.
ConvertedHeader ConvertHeader(const ConvertOptions& options);

// A named choice of the types above.
struct WeightRecipe {
  const char* name;
  WeightType weights, head, kv;
  const char* summary;
};
// exact, quality, balanced, small: from the largest file to the smallest. "balanced" is what 4 bits should
// mean: keys and values, and the head, suffer most from them and are small.
std::span<const WeightRecipe> WeightRecipes();
const WeightRecipe* FindWeightRecipe(const std::string& name);  // null for other texts
void ApplyRecipe(const WeightRecipe& recipe, ConvertOptions* options);

// The block of a tensor of this type: `q4` of kQ4, whose blocks come in three sizes.
constexpr uint32_t BlockOf(WeightType type, uint32_t q4) {
  return type == WeightType::kQ4 ? q4 : FormatOf(type) != nullptr ? kBlockColumns : 0;
}

// "f32", "q8", "q4_k"; nothing for other texts.
std::optional<WeightType> WeightTypeFromName(const std::string& name);
std::string WeightTypeNames();  // all, for people

}  // namespace thimble
