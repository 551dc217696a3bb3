// What a run planned beside what it took.
#include "targets/cli/memory_report.h"

#include <algorithm>

#include "targets/cli/error.h"
#include "targets/cli/output.h"
#include "targets/cli/plan_report.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

std::string Measured(const char* name, uint64_t bytes, const char* what) {
  if (bytes == 0) return Format("  %-18s not measured here\n", name);
  return Format("  %-18s %16s  %s\n", name, Thousands(bytes).c_str(), what);
}

}  // namespace

uint64_t MemoryUse::PeakAnonymousBytes() const { return std::max(loaded.anonymous_bytes, after.anonymous_bytes); }
uint64_t MemoryUse::PeakFileBytes() const { return std::max(loaded.resident_file_bytes, after.resident_file_bytes); }

std::string TruthText(const Plan& plan, uint64_t peak_anonymous_bytes, uint64_t peak_file_bytes) {
  std::string text = Format("memory     planned %s anonymous, %s file-backed", HumanBytes(plan.totals.anonymous_bytes).c_str(),
                            HumanBytes(plan.totals.file_backed_bytes).c_str());
  if (peak_anonymous_bytes == 0) return text + "; not measured here\n";
  return text + Format("; peak of the whole process %s anonymous, %s file-backed\n", HumanBytes(peak_anonymous_bytes).c_str(),
                       HumanBytes(peak_file_bytes).c_str());
}

std::string MemoryText(const Plan& plan, const MemoryUse& use) {
  return Format("arena      %s bytes planned, %s of them touched (%s)\n", Thousands(plan.totals.arena_bytes).c_str(),
                Thousands(std::min(use.arena_resident_bytes, plan.totals.arena_bytes)).c_str(),
                HumanBytes(use.arena_resident_bytes).c_str()) +
         TruthText(plan, use.PeakAnonymousBytes(), use.PeakFileBytes());
}

std::string FileReadText(const MemoryUse& use, uint64_t ns) {
  if (use.file_without_room == 0) return {};
  const uint64_t bytes = use.after.disk_bytes_read - use.loaded.disk_bytes_read;
  const double seconds = static_cast<double>(ns) * 1e-9;
  return Format("file       larger than memory by %s: %s read from the disk meanwhile, %.0f MB/s\n", HumanBytes(use.file_without_room).c_str(),
                HumanBytes(bytes).c_str(), seconds == 0 ? 0.0 : static_cast<double>(bytes) * 1e-6 / seconds);
}

Json MemoryJson(const MemoryUse& use) {
  return {{"peak_resident_bytes", use.after.peak_resident_bytes},
          {"peak_anonymous_bytes", use.PeakAnonymousBytes()},
          {"peak_file_bytes", use.PeakFileBytes()},
          {"private_dirty_bytes", use.after.private_dirty_bytes},
          {"resident_anonymous_bytes", use.after.resident_anonymous_bytes},
          {"resident_file_bytes", use.after.resident_file_bytes},
          {"arena_resident_bytes", use.arena_resident_bytes},
          {"file_without_room_bytes", use.file_without_room},
          {"disk_bytes_read", use.after.disk_bytes_read - use.loaded.disk_bytes_read},
          {"program_resident_bytes", use.before.peak_resident_bytes},
          {"program_anonymous_bytes", use.before.anonymous_bytes},
          {"program_private_dirty_bytes", use.before.private_dirty_bytes}};
}

OutputKind MemoryReportKind(const std::string& path) {
  return path.ends_with(".json") ? OutputKind::kMemoryJson : OutputKind::kMemoryText;
}

void WriteMemoryReport(const OutputFile& file, const Model& model, const EngineOptions& options,
                       const Plan& plan, const MemoryUse& use) {
  std::string text;
  if (file.kind() == OutputKind::kMemoryJson) {
    Json report = {{"report", "thimble memory"}};
    report.Update(PlanJson(model, options, plan));
    report["measured"] = MemoryJson(use);
    text = JsonText(report, 1) + "\n";
  } else {
    text = "thimble memory report: " + PlanText(model, options, plan);
    text += "\nmeasured, in bytes\n";
    text += Measured("arena touched", use.arena_resident_bytes, "of it in memory, in whole pages");
    text += Measured("peak anonymous", use.PeakAnonymousBytes(), "of the whole process: what Android's limiter counts");
    text += Measured("peak file-backed", use.PeakFileBytes(), "of the whole process: pages that the system can drop");
    text += Measured("peak resident", use.after.peak_resident_bytes,
                     "everything: arena, model file, program, stacks");
    text +=
        Measured("private dirty", use.after.private_dirty_bytes, "at the end: what no other process shares");
    text +=
        Measured("model and program", use.after.resident_file_bytes, "at the end: resident pages of files");
    text += Measured("before the arena", use.before.peak_resident_bytes,
                     "resident: the program itself, header read");
    text += "\nevery line of the plan\n";
    static constexpr const char* kLifetimes[] = {"mapped", "arena", "outside"};
    text += Format("  %-8s %-12s %16s %16s  %s\n", "lifetime", "kind", "offset", "bytes", "name");
    for (const thimble_plan_line& line : plan.lines) {
      std::string name = line.name;
      if (line.index >= 0) name += " " + std::to_string(line.index);
      if (line.scratch) name += " (scratch)";
      text += Format("  %-8s %-12s %16s %16s  %s\n", kLifetimes[line.lifetime], LineKind(line), Thousands(line.offset).c_str(),
                     Thousands(line.bytes).c_str(), name.c_str());
    }
  }
  file.Write(text);
}

}  // namespace thimble::cli
