#include "targets/cli/device_classes.h"

#include "targets/cli/output.h"
#include "targets/cli/plan_budget.h"

namespace thimble::cli {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20, kGiB = uint64_t{1} << 30;

// Phones: what Google Play calls excessive from February 2027 on (anonymous memory and swap, 90th percentile of a day), in the
// foreground and in the background. The file's pages do not count there.
constexpr DeviceClass Phone(const char* name, uint64_t gib, uint64_t hundredths) {
  return {name, gib * kGiB, {sizeof(thimble_budget), 0, hundredths * kGiB / 100, 0}, "Google Play, 2027"};
}
// Boards without swap: an assumption of ours. What the system needs is left to it, 192 MiB and a tenth; the rest has to hold the
// model file, too, as reading it again from a card for every token is no way to run.
constexpr DeviceClass Board(const char* name, uint64_t mib) {
  return {name, mib * kMiB, {sizeof(thimble_budget), 0, 0, (mib - 192 - mib / 10) * kMiB}, "all but 192 MiB and a tenth"};
}

constexpr DeviceClass kClasses[] = {
    Board("Raspberry Pi Zero 2 W, 512 MB", 512),
    Board("Raspberry Pi 4 or 5, 1 GB", 1024),
    Board("Raspberry Pi 4 or 5, 2 GB", 2048),
    Board("Raspberry Pi 4 or 5, 4 GB", 4096),
    Board("Raspberry Pi 4 or 5, 8 GB", 8192),
    Board("Raspberry Pi 5, 16 GB", 16384),
    Phone("phone 4 GB, foreground", 4, 200),
    Phone("phone 4 GB, background", 4, 100),
    Phone("phone 6 GB, foreground", 6, 225),
    Phone("phone 6 GB, background", 6, 125),
    Phone("phone 8 GB, foreground", 8, 225),
    Phone("phone 8 GB, background", 8, 150),
    Phone("phone 12 GB, foreground", 12, 325),
    Phone("phone 12 GB, background", 12, 175),
    Phone("phone 16 GB, foreground", 16, 425),
    Phone("phone 16 GB, background", 16, 200),
};

struct Verdict {
  bool fits, fits_otherwise;
  std::string arguments;  // with which it fits otherwise
  thimble_solution nearest = {};
  bool file_stays;  // in memory, beside the rest
};

Verdict Judge(const Model& model, const EngineOptions& options, const thimble_plan& plan, const DeviceClass& device) {
  const uint64_t total = plan.anonymous_bytes + plan.file_backed_bytes;
  const thimble_budget& budget = device.budget;
  Verdict verdict = {};
  verdict.fits = (budget.anonymous_bytes == 0 || plan.anonymous_bytes <= budget.anonymous_bytes) &&
                 (budget.total_bytes == 0 || total <= budget.total_bytes);
  verdict.file_stays = total <= device.memory_bytes / 2 || (budget.total_bytes != 0 && total <= budget.total_bytes);
  if (verdict.fits) return verdict;
  verdict.nearest = SolveBudget(model, options, budget).front();
  verdict.fits_otherwise = verdict.nearest.fits != 0;
  if (verdict.fits_otherwise) verdict.arguments = SolutionArguments(verdict.nearest);
  return verdict;
}

}  // namespace

std::span<const DeviceClass> DeviceClasses() { return kClasses; }

std::string DevicesText(const Model& model, const EngineOptions& options, const Plan& plan) {
  const thimble_plan& totals = plan.totals;
  std::string text = Format("%s: %s bytes anonymous, %s file-backed, context %s, cache %s\n\n", model.path().c_str(),
                            Thousands(totals.anonymous_bytes).c_str(), Thousands(totals.file_backed_bytes).c_str(),
                            Thousands(totals.context_tokens).c_str(), CacheName(options).c_str());
  for (const DeviceClass& device : DeviceClasses()) {
    const bool anonymous = device.budget.anonymous_bytes != 0;
    const std::string allowed = HumanBytes(anonymous ? device.budget.anonymous_bytes : device.budget.total_bytes) + (anonymous ? " anonymous" : " in all");
    const Verdict verdict = Judge(model, options, totals, device);
    std::string said = verdict.fits             ? "fits"
                       : verdict.fits_otherwise ? "fits with " + verdict.arguments
                                                : "does not: " + HumanBytes(verdict.nearest.over_bytes) + " too many with a context of " +
                                                      Thousands(verdict.nearest.context_tokens) + "; largest line: " + verdict.nearest.largest_line + ", " +
                                                      HumanBytes(verdict.nearest.largest_line_bytes);
    if (verdict.fits && !verdict.file_stays) said += "; the file takes more than half of the memory and may be read again and again";
    text += Format("  %-30s %-20s %s\n", device.name, allowed.c_str(), said.c_str());
  }
  return text + "\nphones: what Google Play counts from 2027, anonymous memory and swap, foreground and background;\n"
                "boards: all but 192 MiB and a tenth, the model file included\n";
}

Json DevicesJson(const Model& model, const EngineOptions& options, const Plan& plan) {
  Json devices = Json::Array();
  for (const DeviceClass& device : DeviceClasses()) {
    const Verdict verdict = Judge(model, options, plan.totals, device);
    Json entry = {{"device", device.name},
                  {"memory_bytes", device.memory_bytes},
                  {"budget_anonymous_bytes", device.budget.anonymous_bytes},
                  {"budget_total_bytes", device.budget.total_bytes},
                  {"budget_from", device.whose},
                  {"fits", verdict.fits},
                  {"fits_with", verdict.fits_otherwise ? Json(verdict.arguments) : Json()},
                  {"over_bytes", verdict.nearest.over_bytes}};
    if (!verdict.fits && !verdict.fits_otherwise) entry["largest_line"] = verdict.nearest.largest_line;
    devices.Push(std::move(entry));
  }
  return {{"model", model.path()},
          {"anonymous_bytes", plan.totals.anonymous_bytes},
          {"file_backed_bytes", plan.totals.file_backed_bytes},
          {"devices", std::move(devices)}};
}

}  // namespace thimble::cli
