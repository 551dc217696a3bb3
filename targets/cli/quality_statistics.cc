#include "targets/cli/quality_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "targets/cli/log_probability.h"

namespace thimble::cli {
namespace {

constexpr size_t kBest = 5;

struct Best {
  std::array<size_t, kBest> ids{};
  size_t count = 0;
};

// The likeliest ids, best first; of equal ones the lowest.
Best FindBest(const float* logits, size_t outputs) {
  Best best;
  for (size_t i = 0; i < outputs; ++i) {
    if (best.count == kBest && !(logits[i] > logits[best.ids[kBest - 1]])) continue;
    size_t at = best.count < kBest ? best.count++ : kBest - 1;
    for (; at > 0 && logits[i] > logits[best.ids[at - 1]]; --at) best.ids[at] = best.ids[at - 1];
    best.ids[at] = i;
  }
  return best;
}

// `sorted` is not empty; `part` from 0 to 1.
double Percentile(const std::vector<double>& sorted, double part) {
  const double place = part * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

PositionScore ScorePosition(const float* reference, const float* other, size_t outputs, int32_t target) {
  const double reference_sum = LogSum(reference, outputs), other_sum = LogSum(other, outputs);
  double kl = 0;
  for (size_t i = 0; i < outputs; ++i) {
    const double p = static_cast<double>(reference[i]) - reference_sum;
    kl += std::exp(p) * (p - (static_cast<double>(other[i]) - other_sum));
  }
  const Best a = FindBest(reference, outputs), b = FindBest(other, outputs);
  const auto shared = std::count_if(a.ids.begin(), a.ids.begin() + a.count, [&](size_t id) {
    return std::find(b.ids.begin(), b.ids.begin() + b.count, id) != b.ids.begin() + b.count;
  });
  const size_t t = static_cast<size_t>(target);
  return {.kl = std::max(kl, 0.0),  // it cannot be less; rounding of almost equal rows can
          .nll_reference = reference_sum - static_cast<double>(reference[t]),
          .nll_other = other_sum - static_cast<double>(other[t]),
          .same_best = a.ids[0] == b.ids[0],
          .shared_best = static_cast<double>(shared) / static_cast<double>(a.count)};
}

QualityFigures Summarise(std::span<const PositionScore> scores, size_t per_window) {
  QualityFigures figures{.count = scores.size()};
  if (scores.empty()) return figures;
  const double n = static_cast<double>(scores.size());
  std::vector<double> sorted;
  sorted.reserve(scores.size());
  double kl = 0, best = 0, shared = 0, nll_reference = 0, nll_other = 0;
  for (const PositionScore& score : scores) {
    sorted.push_back(score.kl);
    kl += score.kl;
    best += score.same_best ? 1 : 0;
    shared += score.shared_best;
    nll_reference += score.nll_reference;
    nll_other += score.nll_other;
  }
  std::sort(sorted.begin(), sorted.end());
  figures.kl_mean = kl / n;
  figures.kl_median = Percentile(sorted, 0.5);
  figures.kl_p99 = Percentile(sorted, 0.99);
  figures.kl_max = sorted.back();
  figures.top1 = best / n;
  figures.top5 = shared / n;
  figures.perplexity_reference = std::exp(nll_reference / n);
  figures.perplexity = std::exp(nll_other / n);
  const double difference = (nll_other - nll_reference) / n;
  figures.ratio = std::exp(difference);

  double kl_squares = 0, squares = 0, window_squares = 0, window = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const double from_mean = scores[i].nll_other - scores[i].nll_reference - difference;
    squares += from_mean * from_mean;
    kl_squares += (scores[i].kl - figures.kl_mean) * (scores[i].kl - figures.kl_mean);
    window += from_mean;
    if ((i + 1) % per_window != 0) continue;
    window_squares += window * window;
    window = 0;
  }
  if (scores.size() > 1) {
    figures.kl_mean_se = std::sqrt(kl_squares / (n - 1) / n);
    figures.ratio_se = figures.ratio * std::sqrt(squares / (n - 1) / n);
  }
  // Windows as the units that are drawn: their sums' spread, W / (W - 1) for the mean that was taken from them.
  const double windows = n / static_cast<double>(per_window);
  figures.ratio_se_windows = windows < 2 ? std::numeric_limits<double>::quiet_NaN()
                                         : figures.ratio * std::sqrt(window_squares * windows / (windows - 1)) / n;
  return figures;
}

std::vector<PositionScore> Slice(std::span<const PositionScore> scores, size_t per_window, size_t begin, size_t end) {
  std::vector<PositionScore> part;
  part.reserve(scores.size() / per_window * (end - begin));
  for (size_t window = 0; window < scores.size(); window += per_window) {
    const auto from = scores.begin() + static_cast<std::ptrdiff_t>(window);
    part.insert(part.end(), from + static_cast<std::ptrdiff_t>(begin), from + static_cast<std::ptrdiff_t>(end));
  }
  return part;
}

}  // namespace thimble::cli
