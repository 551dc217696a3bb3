// What `thimble quality` measured: as a table, JSON and a plot. Measures nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "targets/cli/quality_layers.h"
#include "targets/cli/quality_statistics.h"
#include "targets/json/json.h"

namespace thimble::cli {

// Positions [begin, end) of every window.
struct QualityRange {
  size_t begin = 0, end = 0;
  QualityFigures figures;
};

struct QualityResult {
  std::string reference, model;  // for people: path and cache
  Json facts;                    // what JSON says about the run beside the figures
  size_t windows = 0, window = 0, first = 0;
  bool cancelled = false;
  std::optional<TensorLosses> losses;
  QualityRange all;
  std::vector<QualityRange> ranges;  // of equal length, one behind the other
  std::vector<double> kl_by_position;  // means over the windows, of positions from `first` on
};

// `scores` window behind window, at least one; `result` has its members up to `losses`.
void FillResult(const std::vector<PositionScore>& scores, QualityResult* result);

std::string QualityText(const QualityResult& result);
std::string QualityJson(const QualityResult& result);
// An SVG, starting with what output_file knows it by.
std::string QualityPlot(const QualityResult& result);

}  // namespace thimble::cli
