#include "targets/cli/run_arguments.h"

#include <random>

#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

uint64_t RandomSeed() {
  std::random_device device;
  return device();
}

const char* StopText(StopReason reason) {
  switch (reason) {
    case StopReason::kEnd:
      return "end of text";
    case StopReason::kLimit:
      return "-n reached";
    case StopReason::kContextFull:
      return "context full";
    case StopReason::kCancelled:
      return "cancelled";
    case StopReason::kPipeClosed:
      return "the reader went away";
  }
  return "?";
}

double PerSecond(uint64_t tokens, uint64_t ns) {
  return ns == 0 ? 0 : static_cast<double>(tokens) * 1e9 / static_cast<double>(ns);
}

}  // namespace

void RunArguments::AddSampling(CLI::App* app) {
  const char* kGroup = "Sampling";
  AddReal(app, "--temp,--temperature", &sampling.temperature, 0, 1000,
          "Temperature; 0 = always the best token")
      ->default_str("0.8")
      ->group(kGroup);
  AddInteger(app, "--top-k", &top_k, 0, INT32_MAX, "Keep the k best; 0 = off")
      ->default_str("40")
      ->group(kGroup);
  AddReal(app, "--top-p", &sampling.top_p, 0, 1, "Keep the best that make up this probability; 1 = off")
      ->default_str("0.95")
      ->group(kGroup);
  AddReal(app, "--min-p", &sampling.min_p, 0, 1,
          "Keep what is at least this fraction of the best; 0 = off")
      ->default_str("0.05")
      ->group(kGroup);
  AddReal(app, "--repeat-penalty", &sampling.repeat_penalty, 0.01, 100, "Against repetition; 1 = off")
      ->default_str("1")
      ->group(kGroup);
  AddInteger(app, "--repeat-last-n", &repeat_last_n, -1, 1 << 20,
             "Tokens that it looks back; 0 = off, -1 = the context")
      ->default_str("64")
      ->group(kGroup);
  AddInteger(app, "-s,--seed", &seed, -1, UINT32_MAX, "Seed of the sampler; -1 = a random one")
      ->default_str("-1")
      ->group(kGroup);
}

void RunArguments::AddMemoryReport(CLI::App* app) {
  app->add_option("--memory-report", memory_report,
                  "Write the plan in full and the measured peaks (JSON if it ends in .json)")
      ->type_name("FILE");
}

EngineOptions RunArguments::ForModel(const Model& model) const {
  EngineOptions options = context.ForModel(model);
  options.sampling = sampling;
  options.sampling.top_k = static_cast<int32_t>(top_k);
  options.sampling.repeat_last_n = static_cast<int32_t>(repeat_last_n);
  options.sampling.seed = seed < 0 ? RandomSeed() : static_cast<uint64_t>(seed);
  if (options.sampling.repeat_last_n < 0) {
    options.sampling.repeat_last_n = static_cast<int32_t>(
        options.context_tokens != 0 ? options.context_tokens : model.info().max_positions);
  }
  return options;
}

std::string RunArguments::PromptText() const {
  std::string prompt = text.Read();
  // As llama.cpp: editors end a file with a line break that nobody meant.
  if (!text.file.empty() && !prompt.empty() && prompt.back() == '\n') prompt.pop_back();
  return prompt;
}

std::optional<OutputFile> CheckMemoryReport(OutputFiles* files, const RunArguments& arguments) {
  if (arguments.memory_report.empty()) return std::nullopt;
  return files->Writes("--memory-report", arguments.memory_report, MemoryReportKind(arguments.memory_report));
}

std::string RateText(uint64_t tokens, uint64_t ns) {
  if (tokens == 0 || ns == 0) return {};
  return Format(", %.1f tokens/s", static_cast<double>(tokens) * 1e9 / static_cast<double>(ns));
}

std::string StatisticsText(const RunArguments& arguments, const thimble_sampling& sampling,
                           const Generation& result, const Plan& plan, const MemoryUse& use,
                           size_t prompt_tokens) {
  std::string text = "\n";
  text += Format("prompt     %zu tokens%s%s\n", result.prompt_tokens_done,
                 RateText(result.prompt_tokens_done, result.prefill_ns).c_str(),
                 result.prompt_tokens_done < prompt_tokens ? Format(" (of %zu)", prompt_tokens).c_str() : "");
  text += Format("generated  %zu tokens%s, %s", result.ids.size(),
                 RateText(result.ids.size(), result.decode_ns).c_str(), StopText(result.stop));
  text += sampling.temperature > 0 ? Format(", seed %llu\n", static_cast<unsigned long long>(sampling.seed))
                                   : "\n";
  text += MemoryText(plan, use);
  text += FileReadText(use, result.prefill_ns + result.decode_ns);
  if (!arguments.memory_report.empty()) text += "report     " + arguments.memory_report + "\n";
  return text;
}

Json FiguresJson(const Generation& result, const Plan& plan, uint64_t seed, const MemoryUse& use) {
  return {{"seed", seed},
          {"prompt_tokens", result.prompt_tokens_done},
          {"generated_tokens", result.ids.size()},
          {"prompt_tokens_per_second", PerSecond(result.prompt_tokens_done, result.prefill_ns)},
          {"generated_tokens_per_second", PerSecond(result.ids.size(), result.decode_ns)},
          {"arena_bytes", plan.totals.arena_bytes},
          {"mapped_bytes", plan.totals.mapped_bytes},
          {"outside_bytes", plan.totals.outside_bytes},
          {"kv_bytes_per_token", plan.totals.kv_bytes_per_token},
          {"context_tokens", plan.totals.context_tokens},
          {"threads", plan.totals.threads},
          {"kernels", plan.totals.kernels},
          {"measured", MemoryJson(use)}};
}

}  // namespace thimble::cli
