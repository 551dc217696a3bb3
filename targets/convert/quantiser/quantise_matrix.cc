#include "targets/convert/quantiser/quantise_matrix.h"

#include <algorithm>
#include <vector>

#include "runtime/core/float16.h"
#include "targets/convert/quantiser/group_search.h"
#include "targets/convert/quantiser/in_parallel.h"

namespace thimble {
namespace {

constexpr size_t kTile = 16;     // rows that share what is read of R
constexpr size_t kColumns = 32;  // whose errors are fed on together
constexpr size_t kChunk = 512;   // columns of a target that stay in the first cache meanwhile

// Some rows from their first to their last column.
class Tile {
 public:
  Tile(const BlockGrid& grid, const float* weights, size_t rows, size_t k, const ColumnCosts& costs)
      : grid_(grid), weights_(weights), rows_(rows), k_(k), feedback_(costs.feedback), targets_(weights, weights + rows * k),
        errors_(rows * kColumns), codes_(rows), losses_(rows), costs_(k, 1.0f) {
    const float* columns = feedback_ != nullptr ? feedback_->costs() : costs.columns;
    if (columns != nullptr) std::copy_n(columns, k, costs_.begin());
    const bool super = grid.scales == BlockGrid::Scales::kSuper;
    const size_t groups = grid.Groups(k), halves = super ? grid.Supers(k) : groups;
    for (GridRow& row : codes_) {
      row.levels.assign(k, 0);
      row.d.assign(halves, 0);
      row.dmin.assign(grid.minimum ? halves : 0, 0);
      row.s.assign(super ? groups : 0, 0);
      row.m.assign(super && grid.minimum ? groups : 0, 0);
      row.scale.assign(groups, 0);
      row.minimum.assign(groups, 0);
    }
  }

  void Run() {
    for (size_t first = 0; first < k_; first += kColumns) {
      const size_t count = std::min(kColumns, k_ - first);
      for (size_t r = 0; r < rows_; ++r) Columns(r, first, count);
      if (feedback_ != nullptr) FeedOn(first, count);
    }
  }

  const GridRow& codes(size_t r) const { return codes_[r]; }
  double loss(size_t r) const { return losses_[r]; }

 private:
  GroupFit Fit(size_t r, size_t at, size_t count) {
    const float *w = targets_.data() + r * k_ + at, *h = costs_.data() + at;
    GridRow& row = codes_[r];
    const size_t g = at / grid_.group;
    GroupFit fit;
    if (grid_.scales == BlockGrid::Scales::kHalf) {
      fit = SearchGroup(grid_, w, h, count, ScaleRounding::kHalf);
      row.d[g] = FloatToHalf(fit.scale);
      if (grid_.minimum) row.dmin[g] = FloatToHalf(fit.minimum);
    } else {
      const size_t super = at / BlockGrid::kSuperWeights;
      SuperFit chosen{row.d[super], grid_.minimum ? row.dmin[super] : uint16_t{0}};
      if (at % BlockGrid::kSuperWeights == 0) {
        chosen = SearchSuper(grid_, w, h, std::min(BlockGrid::kSuperWeights, k_ - at));
        row.d[super] = chosen.d;
        if (grid_.minimum) row.dmin[super] = chosen.dmin;
      }
      const SubFit sub = SearchSub(grid_, chosen, w, h, count);
      row.s[g] = sub.s;
      if (grid_.minimum) row.m[g] = sub.m;
      fit = sub.fit;
    }
    row.scale[g] = fit.scale;
    row.minimum[g] = fit.minimum;
    return fit;
  }

  void Columns(size_t r, size_t first, size_t count) {
    const float* original = weights_ + r * k_;
    float* target = targets_.data() + r * k_;
    float* errors = errors_.data() + r * kColumns;
    GroupFit fit;
    for (size_t j = first; j < first + count; ++j) {
      if (j % grid_.group == 0) fit = Fit(r, j, std::min<size_t>(grid_.group, k_ - j));
      const int32_t level = NearestLevel(grid_, fit, target[j]);
      const float weight = LevelWeight(grid_, fit, level);
      codes_[r].levels[j] = static_cast<int16_t>(level);
      const double off = static_cast<double>(target[j]) - weight;
      losses_[r] += costs_[j] * off * off;
      if (feedback_ == nullptr) continue;
      const float e = original[j] - weight, *row = feedback_->Row(j);
      errors[j - first] = e;
      for (size_t i = j + 1; i < first + count; ++i) target[i] += e * row[i];
    }
  }

  // The errors of these columns into the targets of all columns behind them.
  void FeedOn(size_t first, size_t count) {
    for (size_t at = first + count; at < k_; at += kChunk) {
      const size_t n = std::min(kChunk, k_ - at);
      for (size_t r = 0; r < rows_; ++r) {
        float* target = targets_.data() + r * k_ + at;
        const float* e = errors_.data() + r * kColumns;
        size_t j = 0;
        for (; j + 4 <= count; j += 4) {
          const float e0 = e[j], e1 = e[j + 1], e2 = e[j + 2], e3 = e[j + 3];
          const float *r0 = feedback_->Row(first + j) + at, *r1 = r0 + k_, *r2 = r1 + k_, *r3 = r2 + k_;
          for (size_t i = 0; i < n; ++i) target[i] += (e0 * r0[i] + e1 * r1[i]) + (e2 * r2[i] + e3 * r3[i]);
        }
        for (; j < count; ++j) {
          const float* row = feedback_->Row(first + j) + at;
          for (size_t i = 0; i < n; ++i) target[i] += e[j] * row[i];
        }
      }
    }
  }

  const BlockGrid& grid_;
  const float* weights_;
  size_t rows_, k_;
  const ErrorFeedback* feedback_;
  std::vector<float> targets_, errors_;
  std::vector<GridRow> codes_;
  std::vector<double> losses_;
  std::vector<float> costs_;
};

}  // namespace

void DecodeGridRow(const BlockGrid& grid, const GridRow& row, size_t k, float* weights) {
  for (size_t j = 0; j < k; ++j)
    weights[j] = LevelWeight(grid, {row.scale[j / grid.group], row.minimum[j / grid.group], 0}, row.levels[j]);
}

double QuantiseMatrix(const BlockGrid& grid, const float* weights, size_t rows, size_t k, const ColumnCosts& costs, size_t threads,
                      const RowSink& sink) {
  std::vector<double> losses(rows);
  InParallel((rows + kTile - 1) / kTile, QuantiserThreads(threads), [&](size_t i) {
    const size_t first = i * kTile, count = std::min(kTile, rows - first);
    Tile tile(grid, weights + first * k, count, k, costs);
    tile.Run();
    for (size_t r = 0; r < count; ++r) {
      losses[first + r] = tile.loss(r);
      sink(first + r, tile.codes(r));
    }
  });
  double loss = 0;
  for (const double row : losses) loss += row;
  return loss;
}

}  // namespace thimble
