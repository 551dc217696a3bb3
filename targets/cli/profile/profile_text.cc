#include "targets/cli/profile/profile_text.h"

#include <algorithm>
#include <cmath>

#include "targets/cli/output.h"
#include "targets/cli/profile/operation_sums.h"

namespace thimble::cli {
namespace {

constexpr int kCells = 24;
constexpr size_t kShownOperations = 8;

double Share(uint64_t part, uint64_t whole) { return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole); }

uint64_t Number(const Json& json, std::string_view key) { return json[key].as_unsigned(); }

std::string MemoryRow(const std::string& name, uint64_t planned, uint64_t touched) {
  return Format("  %-14s %12s %12s  %s %5.1f %%\n", name.c_str(), HumanBytes(planned).c_str(), HumanBytes(touched).c_str(),
                Bar(Share(touched, planned), kCells).c_str(), 100 * Share(touched, planned));
}

std::string MemoryTable(const Json& report) {
  const Json &measured = report["measured"], &plan = report["plan"];
  std::string text = Format("memory         %12s %12s   in memory of what is planned\n", "planned", "in memory");
  text += MemoryRow("arena", Number(plan, "arena_bytes"), Number(measured, "arena_touched_bytes"));
  for (const Json& region : report["regions"].items()) {
    if (Number(region, "bytes") == 0) continue;
    text += MemoryRow("  " + region["name"].as_text(), Number(region, "bytes"), Number(region, "touched_bytes"));
  }
  text += MemoryRow("model file", Number(plan, "file_backed_bytes"), std::min(Number(measured, "model_resident_bytes"), Number(plan, "file_backed_bytes")));
  text += Format("  planned to be touched by %s tokens: %s anonymous; the process at its peak: %s anonymous\n",
                 Thousands(Number(report["run"], "tokens")).c_str(), HumanBytes(Number(measured, "planned_touched_anonymous_bytes")).c_str(),
                 HumanBytes(Number(measured, "peak_anonymous_bytes")).c_str());
  text += Format("  (%s of them the program's own before it loaded, %s the profiler's buffers), %s file-backed\n",
                 HumanBytes(Number(measured, "program_anonymous_bytes")).c_str(), HumanBytes(Number(report["profiler"], "program_bytes")).c_str(),
                 HumanBytes(Number(measured, "peak_file_backed_bytes")).c_str());
  text += Format("  faults: %s minor, %s major, loading included\n", Thousands(Number(measured, "minor_faults")).c_str(),
                 Thousands(Number(measured, "major_faults")).c_str());
  return text;
}

std::string OperationRow(const OperationSum& sum, const PhaseSum& phase) {
  const double share = Share(sum.ns, phase.ns);
  std::string text = Format("  %-28s %s %5.1f %%  %8.3f ms", sum.name.c_str(), Bar(share, kCells).c_str(), 100 * share,
                            static_cast<double>(sum.ns) * 1e-6 / static_cast<double>(std::max<uint64_t>(phase.tokens, 1)));
  if (sum.bytes != 0 && sum.ns != 0) text += Format("  %6.2f GB/s", static_cast<double>(sum.bytes) / static_cast<double>(sum.ns));
  if (sum.others_tasks != 0) text += Format("  %4.0f %% by other threads", 100 * Share(sum.others_tasks, sum.shared_tasks));
  return text + "\n";
}

std::string PhaseTable(const Json& report, const std::string& name) {
  const PhaseSum phase = SumOfPhase(report, name);
  if (phase.passes == 0) return {};
  std::string text = Format("\n%-10s %s tokens in %s passes, %.3f ms a token, %.2f processors busy, %s minor and %s major faults\n", name.c_str(),
                            Thousands(phase.tokens).c_str(), Thousands(phase.passes).c_str(), phase.NsPerToken() * 1e-6,
                            Share(phase.cpu_ns, phase.ns), Thousands(phase.minor_faults).c_str(), Thousands(phase.major_faults).c_str());
  const std::vector<OperationSum> sums = SumsByOperation(report, name);
  uint64_t told = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    if (i < kShownOperations) text += OperationRow(sums[i], phase);
    told += sums[i].name == "sample" || i < kShownOperations ? sums[i].ns : 0;
  }
  OperationSum rest;
  rest.name = "everything else";
  rest.ns = phase.ns - std::min(told, phase.ns);
  text += OperationRow(rest, phase);
  const std::vector<OperationSum> layers = SumsByLayer(report, name);
  const auto longer = [](const OperationSum& a, const OperationSum& b) { return a.ns < b.ns; };
  const auto longest = std::max_element(layers.begin(), layers.end(), longer), shortest = std::min_element(layers.begin(), layers.end(), longer);
  if (layers.size() > 1) {
    const double passes = static_cast<double>(phase.passes) * 1e6;
    text += Format("  %s takes longest, %.3f ms a pass; %s shortest, %.3f ms\n", longest->name.c_str(), static_cast<double>(longest->ns) / passes,
                   shortest->name.c_str(), static_cast<double>(shortest->ns) / passes);
  }
  return text;
}

// The last number of a column that has one.
const Json* Last(const Json& column) {
  for (size_t i = column.size(); i > 0; --i) {
    if (!column[i - 1].is_null()) return &column[i - 1];
  }
  return nullptr;
}

std::string MachineText(const Json& report) {
  const Json& samples = report["samples"];
  std::string text;
  if (const Json* temperature = Last(samples["temperature_c"])) text += Format("  %.1f degrees", temperature->as_double());
  if (const Json* clock = Last(samples["frequency_khz"])) text += Format("  %.2f GHz", static_cast<double>(clock->as_unsigned()) * 1e-6);
  if (const Json* bits = Last(samples["throttled"])) {
    text += bits->as_unsigned() == 0 ? "  not throttled" : Format("  throttled: 0x%llx", static_cast<unsigned long long>(bits->as_unsigned()));
  }
  if (const Json* count = Last(samples["throttle_count"])) text += "  throttled " + Thousands(count->as_unsigned()) + " times since the system started";
  return text.empty() ? std::string() : "machine  " + text + "\n";
}

}  // namespace

std::string Bar(double share, int cells) {
  const int full = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * cells));
  return "[" + std::string(static_cast<size_t>(full), '#') + std::string(static_cast<size_t>(cells - full), '.') + "]";
}

std::string ProfileText(const Json& report) {
  const Json &run = report["run"], &profiler = report["profiler"];
  std::string text = Format("%s: %s tokens read, %s written; kernels %s, %s thread%s, cache %s\n\n", run["model"].as_text().c_str(),
                            Thousands(Number(run, "prompt_tokens")).c_str(), Thousands(Number(run, "generated_tokens")).c_str(),
                            run["kernels"].as_text().c_str(), Thousands(Number(run, "threads")).c_str(), Number(run, "threads") == 1 ? "" : "s",
                            run["cache"].as_text().c_str());
  text += MemoryTable(report);
  text += PhaseTable(report, "prefill") + PhaseTable(report, "decode");
  text += "\n" + MachineText(report);
  text += Format("profiler   %s samples between passes took %.2f %% of their time; pages by %s; %s of buffers in the arena, %s outside\n",
                 Thousands(Number(profiler, "samples")).c_str(), 100 * profiler["sampling_share"].as_double(),
                 report["measured"]["pages_from"].as_text().empty() ? "nobody" : report["measured"]["pages_from"].as_text().c_str(),
                 HumanBytes(Number(profiler, "arena_bytes")).c_str(), HumanBytes(Number(profiler, "program_bytes")).c_str());
  return text;
}

}  // namespace thimble::cli
