// What `thimble run` and `thimble chat` both take, and what both say at their end.
#pragma once

#include <optional>
#include <string>

#include "targets/cli/generation.h"
#include "targets/cli/memory_report.h"
#include "targets/cli/options.h"
#include "targets/cli/output_file.h"
#include "targets/json/json.h"

namespace thimble::cli {

struct RunArguments {
  std::string model, memory_report;
  TextArguments text;
  AnswerEnds ends;
  ContextOptions context;
  Sampling sampling;
  int64_t top_k = 40, repeat_last_n = 64, seed = -1;
  bool json = false, force = false;

  void AddSampling(CLI::App* app);
  void AddMemoryReport(CLI::App* app);
  // A seed is drawn where none was given. Pointers in the result refer to this object.
  EngineOptions ForModel(const Model& model) const;
  // The text of -p or -f.
  std::string PromptText() const;
};

std::optional<OutputFile> CheckMemoryReport(OutputFiles* files, const RunArguments& arguments);

// ", 12.3 tokens/s", or nothing where there was no step to measure.
std::string RateText(uint64_t tokens, uint64_t ns);
// Lines for standard error, and members of the JSON object.
std::string StatisticsText(const RunArguments& arguments, const thimble_sampling& sampling, const Generation& result, const Plan& plan,
                           const MemoryUse& use, size_t prompt_tokens);
Json FiguresJson(const Generation& result, const Plan& plan, uint64_t seed, const MemoryUse& use);

}  // namespace thimble::cli
