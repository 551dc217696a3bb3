// Reading expectations: JSON files, models converted into the tests' temporary folder, perplexity.
#pragma once

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "targets/convert/convert.h"
#include "tests/runtime/runner.h"
#include "tests/support/json_values.h"

namespace thimble::test {

// Emulated and instrumented runs do the same checks over less text.
inline bool IsSlowRun() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return std::getenv("QEMU_CPU") != nullptr;
#endif
}

// As the program does with `--recipe recipe --block block`.
inline std::string ConvertByRecipe(const std::string& name, const std::filesystem::path& source, const std::string& recipe,
                                   uint32_t block = 32, const std::filesystem::path& tokenizer = {}, bool turn = true) {
  ConvertOptions options;
  options.source = source;
  options.output = TemporaryPath(name + "-" + recipe + "-" + std::to_string(block) + (turn ? "" : "-plain") + ".thimble");
  ApplyRecipe(*FindWeightRecipe(recipe), &options);
  options.block = block;
  options.turn = turn;
  options.tokenizer = tokenizer;
  Convert(options);
  return options.output.string();
}

// As the program does with `--weights weights`.
inline std::string ConvertTo(const std::string& name, const std::filesystem::path& source, WeightType weights,
                             const std::filesystem::path& tokenizer = {}) {
  const char* recipe = weights == WeightType::kQ4 ? "balanced" : weights == WeightType::kQ8 ? "rows" : "exact";
  return ConvertByRecipe(name, source, recipe, 32, tokenizer);
}

inline ApiOptions CacheOptions(int32_t cache, uint32_t context = 0) {
  ApiOptions o = ApiOptions();
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

// A JSON list of ids, or an object that has one.
inline std::vector<int32_t> ReadIds(const std::filesystem::path& path) {
  const Json ids = ReadJson(path);
  return As<std::vector<int32_t>>(ids.is_array() ? ids : ids["ids"]);
}

// Over windows of options.context_tokens ids from position 0, each position scoring the id that comes next, also where that
// is the first of the next window: as `thimble perplexity` does.
inline double Perplexity(const std::string& path, const std::vector<int32_t>& ids, const ApiOptions& options,
                         size_t most_windows = SIZE_MAX) {
  Runner runner(path, options);
  const size_t window = options.context_tokens;
  double total = 0;
  size_t count = 0, windows = 0;
  for (size_t begin = 0; begin + 1 < ids.size() && windows < most_windows; begin += window, ++windows) {
    const size_t inputs = std::min(window, ids.size() - 1 - begin);
    const auto from = ids.begin() + static_cast<long>(begin), to = from + static_cast<long>(inputs);
    const std::vector<int32_t> in(from, to), targets(from + 1, to + 1);
    NegativeLogLikelihood nll(targets, runner.outputs());
    runner.Rewind(0);
    Check(Call(thimble_prefill_each, runner.session(), in.data(), in.size(), &NegativeLogLikelihood::Take, &nll));
    total += nll.total();
    count += nll.count();
  }
  return std::exp(total / static_cast<double>(count));
}

inline double PercentAbove(double value, double reference) { return 100.0 * (value / reference - 1.0); }

}  // namespace thimble::test
