// Rows of `thimble bench` as a table, JSON, lines of JSON, or CSV. Measures nothing.
#pragma once

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
};

// Rows come one by one and are printed at once, so that an interrupted run has shown what it had.
class BenchReport {
 public:
  explicit BenchReport(BenchFormat format) : format_(format) {}
  void Add(const BenchRow& row);
  void Finish();

 private:
  BenchFormat format_;
  size_t rows_ = 0;
};

}  // namespace thimble::cli
