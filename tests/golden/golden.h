// Reading expectations: JSON files, and models converted into the tests' temporary folder.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "targets/convert/convert.h"
#include "tests/runtime/runner.h"

namespace thimble::test {

inline nlohmann::json ReadJson(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return nlohmann::json::parse(in);
}

// Emulated and instrumented runs do the same checks over less text.
inline bool IsSlowRun() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return std::getenv("QEMU_CPU") != nullptr;
#endif
}

inline std::string ConvertTo(const std::string& name, const std::filesystem::path& source, WeightType weights,
                             const std::filesystem::path& tokenizer = {}) {
  ConvertOptions options;
  options.source = source;
  options.output = TemporaryPath(name + "-" + WeightTypeName(weights) + ".thimble");
  // What the program does for --weights.
  ApplyRecipe(*FindWeightRecipe(weights == WeightType::kQ4 ? "balanced" : weights == WeightType::kQ8 ? "quality" : "exact"),
              &options);
  options.tokenizer = tokenizer;
  Convert(options);
  return options.output.string();
}

inline thimble_options CacheOptions(int32_t cache, uint32_t context = 0) {
  thimble_options o = thimble_default_options();
  o.context_tokens = context;
  o.key_cache = o.value_cache = cache;
  o.logits_rows = 16;
  return o;
}

// -log p of every next id: ids[i + 1] from the logits at position i, in nats.
class NegativeLogLikelihood {
 public:
  NegativeLogLikelihood(const std::vector<int32_t>& targets, size_t outputs) : targets_(targets), outputs_(outputs) {}

  static int32_t Take(void* user, size_t position, const float* logits) {
    NegativeLogLikelihood* self = static_cast<NegativeLogLikelihood*>(user);
    if (position >= self->targets_.size()) return 1;
    double largest = logits[0], sum = 0;
    for (size_t i = 0; i < self->outputs_; ++i) largest = std::max(largest, static_cast<double>(logits[i]));
    for (size_t i = 0; i < self->outputs_; ++i) sum += std::exp(logits[i] - largest);
    self->total_ += largest + std::log(sum) - logits[self->targets_[position]];
    ++self->count_;
    return 1;
  }
  double total() const { return total_; }
  size_t count() const { return count_; }

 private:
  const std::vector<int32_t>& targets_;
  size_t outputs_;
  double total_ = 0;
  size_t count_ = 0;
};

}  // namespace thimble::test
