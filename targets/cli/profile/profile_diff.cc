#include "targets/cli/profile/profile_diff.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "targets/cli/output.h"
#include "targets/cli/profile/operation_sums.h"

namespace thimble::cli {
namespace {

constexpr size_t kShown = 12;
constexpr int kHalfCells = 12;

Json Change(double before, double after) { return before == 0 ? Json() : Json(after / before - 1); }

Json Figure(const char* name, const char* unit, const Json& before, const Json& after) {
  return {{"name", name}, {"unit", unit}, {"before", before}, {"after", after}, {"change", Change(before.as_double(), after.as_double())}};
}

Json Figures(const Json& before, const Json& after) {
  struct Place {
    const char* name;
    const char* unit;
    const char* group;
    const char* key;
  };
  constexpr Place kPlaces[] = {{"arena planned", "bytes", "plan", "arena_bytes"},
                               {"anonymous planned", "bytes", "plan", "anonymous_bytes"},
                               {"file-backed planned", "bytes", "plan", "file_backed_bytes"},
                               {"arena in memory", "bytes", "measured", "arena_touched_bytes"},
                               {"anonymous at the peak", "bytes", "measured", "peak_anonymous_bytes"},
                               {"file-backed at the peak", "bytes", "measured", "peak_file_backed_bytes"},
                               {"minor faults", "", "measured", "minor_faults"},
                               {"major faults", "", "measured", "major_faults"}};
  Json figures = Json::Array();
  for (const Place& place : kPlaces) figures.Push(Figure(place.name, place.unit, before[place.group][place.key], after[place.group][place.key]));
  for (const char* phase : {"prefill", "decode"}) {
    const PhaseSum was = SumOfPhase(before, phase), is = SumOfPhase(after, phase);
    figures.Push(Figure((std::string(phase) + ", a token").c_str(), "ns", was.NsPerToken(), is.NsPerToken()));
  }
  return figures;
}

// What two maps have of one name each, where that differs; the largest difference first.
Json Differences(const std::map<std::string, double>& before, const std::map<std::string, double>& after) {
  std::map<std::string, std::pair<double, double>> both;
  for (const auto& [name, value] : before) both[name].first = value;
  for (const auto& [name, value] : after) both[name].second = value;
  std::vector<std::pair<std::string, std::pair<double, double>>> list;
  for (const auto& entry : both) {
    if (entry.second.first != entry.second.second) list.push_back(entry);
  }
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
    return std::fabs(a.second.second - a.second.first) > std::fabs(b.second.second - b.second.first);
  });
  Json differences = Json::Array();
  for (const auto& [name, values] : list) {
    differences.Push({{"name", name}, {"before", values.first}, {"after", values.second}, {"change", Change(values.first, values.second)}});
  }
  return differences;
}

std::map<std::string, double> LinesByName(const Json& report) {
  std::map<std::string, double> lines;
  for (const Json& line : report["lines"].items()) lines[line["name"].as_text()] += line["bytes"].as_double();
  return lines;
}

// Nanoseconds a token.
std::map<std::string, double> Operations(const Json& report) {
  std::map<std::string, double> operations;
  for (const char* phase : {"prefill", "decode"}) {
    const PhaseSum sum = SumOfPhase(report, phase);
    for (const OperationSum& operation : SumsByOperation(report, phase)) {
      operations[std::string(phase) + ", " + operation.name] = static_cast<double>(operation.ns) / static_cast<double>(std::max<uint64_t>(sum.tokens, 1));
    }
  }
  return operations;
}

std::string Amount(double value, const std::string& unit) {
  if (unit == "bytes") return HumanBytes(static_cast<uint64_t>(value));
  if (unit == "ns") return Format("%.3f ms", value * 1e-6);
  return Thousands(static_cast<uint64_t>(value));
}

// Less to the left, more to the right, full at twice as much or nothing.
std::string ChangeBar(const Json& change) {
  const double share = change.is_null() ? 1 : std::clamp(change.as_double(), -1.0, 1.0);
  const size_t cells = static_cast<size_t>(std::lround(std::fabs(share) * kHalfCells)), rest = kHalfCells - cells;
  const std::string full(cells, share < 0 ? '-' : '+');
  return share < 0 ? std::string(rest, ' ') + full + "|" + std::string(kHalfCells, ' ') : std::string(kHalfCells, ' ') + "|" + full + std::string(rest, ' ');
}

std::string Row(const Json& entry, const std::string& unit) {
  const std::string change = entry["change"].is_null() ? entry["after"].as_double() == 0 ? "" : "new" : Format("%+.1f %%", 100 * entry["change"].as_double());
  return Format("  %-38s %14s %14s  %9s  %s\n", entry["name"].as_text().c_str(), Amount(entry["before"].as_double(), unit).c_str(),
                Amount(entry["after"].as_double(), unit).c_str(), change.c_str(),
                entry["before"] == entry["after"] ? "" : ChangeBar(entry["change"]).c_str());
}

std::string Rows(const char* title, const Json& entries, const char* unit) {
  if (entries.size() == 0) return {};
  std::string text = std::string("\n") + title + "\n";
  for (size_t i = 0; i < entries.size() && i < kShown; ++i) text += Row(entries[i], unit);
  if (entries.size() > kShown) text += Format("  and %zu more, which differ less\n", entries.size() - kShown);
  return text;
}

Json Name(const Json& report) {
  const Json& run = report["run"];
  return {{"model", run["model"]},       {"cache", run["cache"]},   {"context_tokens", run["context_tokens"]},
          {"threads", run["threads"]},   {"kernels", run["kernels"]}, {"prompt_tokens", run["prompt_tokens"]},
          {"generated_tokens", run["generated_tokens"]}};
}

std::string NameText(const Json& name) {
  return Format("%s, cache %s, context %s, %s threads, kernels %s, %s tokens read, %s written", name["model"].as_text().c_str(), name["cache"].as_text().c_str(),
                Thousands(name["context_tokens"].as_unsigned()).c_str(), Thousands(name["threads"].as_unsigned()).c_str(), name["kernels"].as_text().c_str(),
                Thousands(name["prompt_tokens"].as_unsigned()).c_str(), Thousands(name["generated_tokens"].as_unsigned()).c_str());
}

}  // namespace

Json ProfileDiffJson(const Json& before, const Json& after) {
  return {{"report", "thimble profile difference"},
          {"before", Name(before)},
          {"after", Name(after)},
          {"figures", Figures(before, after)},
          {"lines", Differences(LinesByName(before), LinesByName(after))},
          {"operations", Differences(Operations(before), Operations(after))}};
}

std::string ProfileDiffText(const Json& diff) {
  std::string text = "before  " + NameText(diff["before"]) + "\nafter   " + NameText(diff["after"]) + "\n\n";
  text += Format("  %-38s %14s %14s  %9s\n", "", "before", "after", "change");
  for (const Json& figure : diff["figures"].items()) text += Row(figure, figure["unit"].as_text());
  text += Rows("lines of the arena that differ, planned", diff["lines"], "bytes");
  text += Rows("operations, a token", diff["operations"], "ns");
  return text;
}

}  // namespace thimble::cli
