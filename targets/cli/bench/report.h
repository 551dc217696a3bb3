// Rows of `thimble bench` as a table, JSON, lines of JSON, or CSV. Measures nothing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "targets/cli/bench/machine_limits.h"
#include "targets/cli/bench/measure.h"
#include "targets/cli/output.h"

namespace thimble::cli {

enum class BenchFormat { kMarkdown, kJson, kJsonLines, kCsv };

// All that one row of the report shows.
struct BenchRow {
  const ModelWork* work = nullptr;
  std::string model_path;
  EngineOptions options;
  Plan plan;
  double load_ms = 0;
  std::optional<double> first_token_ms;
  ProcessMemory before;
  BenchResult result;
  MachineLimits limits;
  std::string cpu_mask = "0x0";
  bool cpu_strict = false;
  std::optional<double> huge_pages;  // share of the mapped file
};

// A figure of the row is above what the machine was measured to do at most: that was measured while something else ran and
// should be measured again; or the processor's caches give more than the memory.
bool IsAboveLimits(const BenchRow& row);

// What the table shows.
struct BenchColumns {
  bool wide = false;      // everything, instead of 80 columns
  bool sessions = false;  // of 80 columns: how much several sessions gain
};

// Rows come one by one and are printed at once, so that an interrupted run has shown what it had.
class BenchReport {
 public:
  // `before`: the machine before anything was measured.
  BenchReport(BenchFormat format, const BenchColumns& columns, const MachineState& before)
    : format_(format), columns_(columns), before_(before), after_(before) {}
  void Add(const BenchRow& row);
  void Finish();

 private:
  void AddToTable(const BenchRow& row);

  BenchFormat format_;
  BenchColumns columns_;
  MachineState before_, after_;
  size_t rows_ = 0;
  bool above_limits_ = false;
  std::optional<double> huge_pages_;
  std::map<uint32_t, MachineLimits> limits_;  // by threads
};

}  // namespace thimble::cli
