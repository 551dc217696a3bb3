#include "targets/convert/quantiser/group_search.h"

#include <algorithm>
#include <cmath>

#include "runtime/core/float16.h"

namespace thimble {
namespace {

constexpr size_t kMax = BlockGrid::kMaxGroup;
constexpr size_t kLanes = 8;
constexpr float kLargestHalf = 65504.0f;

// Round to nearest even for |x| < 2^22: adding 1.5 * 2^23 leaves no bits behind the point. Vectorises everywhere.
constexpr float kRoundMagic = 12582912.0f;
inline float Round(float x) { return (x + kRoundMagic) - kRoundMagic; }
inline float Clamp(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

float Add(const float (&sums)[kLanes]) {
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

// The levels nearest to t, as numbers.
void Levels(const BlockGrid& grid, const float* t, size_t padded, float* levels) {
  if (grid.codebook == nullptr) {
    const float low = static_cast<float>(grid.low), high = static_cast<float>(grid.high);
    for (size_t i = 0; i < padded; ++i) levels[i] = Round(Clamp(t[i], low, high));
    return;
  }
  for (size_t i = 0; i < padded; ++i) levels[i] = static_cast<float>(grid.codebook[0]);
  for (int32_t c = 0; c < grid.high; ++c) {
    const float here = static_cast<float>(grid.codebook[c]), next = static_cast<float>(grid.codebook[c + 1]);
    const float middle = 0.5f * (here + next), step = next - here;
    for (size_t i = 0; i < padded; ++i) levels[i] += t[i] > middle ? step : 0.0f;
  }
}

// A group scaled by powers of two such that neither tiny nor huge weights leave the range of float; padded with weights
// that do not count.
struct Group {
  alignas(32) float x[kMax], h[kMax];
  size_t padded = 0;
  float unit = 1;    // w = x * unit, a power of two
  double weight = 1; // h there = h here * weight
  double sum_h = 0, sum_hx = 0;
  float low = 0, high = 0, largest = 0;

  // False where all weights are zero.
  bool Set(const float* w, const float* importance, size_t n) {
    float most = 0;
    largest = 0;
    for (size_t i = 0; i < n; ++i) {
      largest = std::max(largest, std::fabs(w[i]));
      most = std::max(most, importance[i]);
    }
    if (!(largest > 0) || !(most > 0)) return false;
    int exponent = 0;
    (void)std::frexp(largest, &exponent);
    unit = std::ldexp(1.0f, std::clamp(exponent, -120, 120));
    weight = most;
    padded = (n + kLanes - 1) / kLanes * kLanes;
    for (size_t i = 0; i < padded; ++i) {
      x[i] = i < n ? w[i] / unit : 0.0f;
      h[i] = i < n ? importance[i] / most : 0.0f;
    }
    largest /= unit;
    low = *std::min_element(x, x + n);
    high = *std::max_element(x, x + n);
    sum_h = sum_hx = 0;
    for (size_t i = 0; i < n; ++i) {
      sum_h += h[i];
      sum_hx += static_cast<double>(h[i]) * x[i];
    }
    return true;
  }
};

// What the levels of one scale and minimum cost, and what least squares makes of these levels.
struct Trial {
  double error = 0, hq = 0, hqq = 0, hxq = 0;
};

Trial Evaluate(const BlockGrid& grid, const Group& group, float scale, float minimum) {
  alignas(32) float t[kMax], q[kMax];
  const float inverse = 1.0f / scale;
  for (size_t i = 0; i < group.padded; ++i) t[i] = (group.x[i] - minimum) * inverse;
  Levels(grid, t, group.padded, q);
  float error[kLanes] = {}, hq[kLanes] = {}, hqq[kLanes] = {}, hxq[kLanes] = {};
  for (size_t i = 0; i < group.padded; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) {
      const float x = group.x[i + j], h = group.h[i + j], level = q[i + j];
      const float e = x - (scale * level + minimum), weighed = h * level;
      error[j] += h * e * e;
      hq[j] += weighed;
      hqq[j] += weighed * level;
      hxq[j] += weighed * x;
    }
  }
  return {Add(error), Add(hq), Add(hqq), Add(hxq)};
}

// The best so far of the scales that were tried.
class Search {
 public:
  Search(const BlockGrid& grid, const Group& group, ScaleRounding rounding) : grid_(grid), group_(group), rounding_(rounding) {}

  bool found() const { return found_; }
  double error() const { return error_; }
  float scale() const { return scale_; }
  float minimum() const { return minimum_; }

  // Rounds, evaluates, and keeps it where it is better. False where it cannot be stored.
  bool Try(double scale, double minimum, Trial* trial) {
    float s = static_cast<float>(scale), m = static_cast<float>(minimum);
    if (grid_.minimum && grid_.scales == BlockGrid::Scales::kSuper && m > 0) m = 0;  // bytes that dmin < 0 multiplies
    if (rounding_ == ScaleRounding::kHalf) {
      s = HalfToFloat(FloatToHalf(Clamp(s * group_.unit, -kLargestHalf, kLargestHalf))) / group_.unit;
      m = HalfToFloat(FloatToHalf(Clamp(m * group_.unit, -kLargestHalf, kLargestHalf))) / group_.unit;
    }
    if (!(std::fabs(s) > 0x1p-60f)) return false;
    *trial = Evaluate(grid_, group_, s, m);
    if (!found_ || trial->error < error_) {
      found_ = true;
      error_ = trial->error;
      scale_ = s;
      minimum_ = m;
      best_ = *trial;
    }
    return true;
  }

  // The scale and minimum that fit the levels of a trial best; then levels follow them.
  bool Refit(const Trial& trial, Trial* next) {
    if (!(trial.hqq > 0)) return false;
    double scale = trial.hxq / trial.hqq, minimum = 0;
    if (grid_.minimum) {
      const double determinant = trial.hqq * group_.sum_h - trial.hq * trial.hq;
      if (determinant > 1e-9 * trial.hqq * group_.sum_h) {
        const double s = (trial.hxq * group_.sum_h - trial.hq * group_.sum_hx) / determinant;
        const double m = (trial.hqq * group_.sum_hx - trial.hq * trial.hxq) / determinant;
        if (m <= 0 || grid_.scales != BlockGrid::Scales::kSuper) {
          scale = s;
          minimum = m;
        }
      }
    }
    return Try(scale, minimum, next);
  }

  void TryAndRefit(double scale, double minimum) {
    Trial trial, next;
    if (Try(scale, minimum, &trial)) (void)Refit(trial, &next);
  }

  // Until it stands.
  void Settle() {
    for (int round = 0; round < 4 && found_; ++round) {
      const double before = error_;
      Trial next;
      if (!Refit(best_, &next) || !(error_ < before)) return;
    }
  }

 private:
  const BlockGrid& grid_;
  const Group& group_;
  ScaleRounding rounding_;
  bool found_ = false;
  double error_ = 0;
  float scale_ = 0, minimum_ = 0;
  Trial best_;
};

// Weights that lie on such a grid already differ by multiples of its step, the smallest of which is mostly the step itself.
// Tries that; false where the weights are not of that kind.
bool TryOwnGrid(const BlockGrid& grid, const Group& group, size_t n, Search& search) {
  if (grid.codebook != nullptr) return false;
  float sorted[kMax];
  size_t values = n;
  std::copy_n(group.x, n, sorted);
  if (!grid.minimum) {  // zero is a level, too
    if (n < kMax) sorted[values++] = 0;
    for (size_t i = 0; i < n; ++i) sorted[i] = std::fabs(sorted[i]);
  }
  std::sort(sorted, sorted + values);
  const double noise = 1e-6 * group.largest;
  double step = grid.minimum ? 2 * group.largest : (sorted[0] > noise ? sorted[0] : 2 * group.largest);
  for (size_t i = 1; i < values; ++i) {
    const double gap = static_cast<double>(sorted[i]) - sorted[i - 1];
    if (gap > noise) step = std::min(step, gap);
  }
  const double origin = grid.minimum ? group.low : 0;
  const int32_t most = std::max(grid.high, -grid.low);
  for (int part = 1; part <= 2; ++part) {
    // The step from the largest distance is exact to the last bits.
    const double reach = grid.minimum ? static_cast<double>(group.high) - group.low : group.largest;
    const double steps = std::nearbyint(reach * part / step);
    if (!(steps >= 1) || steps > most) continue;
    const double scale = reach / steps;
    bool all = true;
    for (size_t i = 0; i < n && all; ++i) {
      const double level = (group.x[i] - origin) / scale;
      all = std::fabs(level - std::nearbyint(level)) < 1e-3 && std::fabs(level) < most + 0.5;
    }
    if (!all) continue;
    Trial trial;
    (void)search.Try(scale, origin, &trial);
    if (!grid.minimum) (void)search.Try(-scale, 0, &trial);
    // The lowest weight need not have the lowest level.
    for (int32_t lowest = 1; grid.minimum && search.error() > 0 && lowest + static_cast<int32_t>(steps) <= grid.high; ++lowest)
      (void)search.Try(scale, origin - lowest * scale, &trial);
    return search.found() && search.error() < 1e-12 * static_cast<double>(n);
  }
  return false;
}

// How far from the end of the levels the largest weight may lie, in parts of them.
struct Reach {
  float nearest, farthest;
  int steps;
};
Reach ReachOf(const BlockGrid& grid) {
  if (grid.codebook != nullptr) return {0.70f, 1.35f, 14};
  const int32_t levels = grid.high - grid.low;
  if (levels <= 3) return {0.50f, 1.60f, 12};
  if (levels <= 7) return {0.65f, 1.50f, 12};
  if (levels <= 15) return {0.75f, 1.35f, 12};
  if (levels <= 31) return {0.84f, 1.20f, 8};
  if (levels <= 63) return {0.92f, 1.10f, 6};
  return {0.97f, 1.03f, 4};
}

void SearchSymmetric(const BlockGrid& grid, const Group& group, Search& search) {
  const float end = grid.codebook != nullptr ? static_cast<float>(-grid.codebook[0]) : static_cast<float>(grid.high);
  const bool lopsided = grid.codebook != nullptr || grid.low != -grid.high;
  const auto at = [&](float reach) {
    search.TryAndRefit(group.largest / reach, 0);
    if (lopsided) search.TryAndRefit(-group.largest / reach, 0);
  };
  at(end);
  if (lopsided && grid.codebook == nullptr) at(static_cast<float>(-grid.low));
  const Reach reach = ReachOf(grid);
  for (int i = 0; i <= reach.steps; ++i)
    at(end * (reach.nearest + (reach.farthest - reach.nearest) * static_cast<float>(i) / static_cast<float>(reach.steps)));
}

void SearchAffine(const BlockGrid& grid, const Group& group, Search& search) {
  const float levels = static_cast<float>(grid.high);
  float low = group.low, high = std::max(group.high, group.low);
  if (grid.scales == BlockGrid::Scales::kSuper) low = std::min(low, 0.0f);
  if (!(high > low)) {  // all alike
    search.TryAndRefit(std::fabs(low) > 0 ? std::fabs(low) : 1.0f, grid.scales == BlockGrid::Scales::kSuper ? std::min(low, 0.0f) : low);
    if (low < 0) search.TryAndRefit(-low, low);
    return;
  }
  const float step = (high - low) / levels;
  search.TryAndRefit(step, low);
  // Both ends moved in by parts of a step: what lies beyond is clipped.
  for (const float below : {-0.25f, 0.3f, 0.8f, 1.4f}) {
    for (const float above : {-0.25f, 0.3f, 0.8f, 1.4f}) {
      const float from = low + below * step, to = high - above * step;
      if (to > from) search.TryAndRefit((to - from) / levels, from);
    }
  }
}

}  // namespace

GroupFit SearchGroup(const BlockGrid& grid, const float* w, const float* h, size_t n, ScaleRounding rounding) {
  Group group;
  if (!group.Set(w, h, n)) return {};
  Search search(grid, group, rounding);
  if (!TryOwnGrid(grid, group, n, search)) {
    if (grid.minimum) {
      SearchAffine(grid, group, search);
    } else {
      SearchSymmetric(grid, group, search);
    }
    search.Settle();
  }
  if (!search.found()) return {};
  return {search.scale() * group.unit, search.minimum() * group.unit, search.error() * group.weight * group.unit * group.unit};
}

SuperFit SearchSuper(const BlockGrid& grid, const float* w, const float* h, size_t n) {
  constexpr size_t kGroups = BlockGrid::kSuperWeights / 16;
  double scale[kGroups], minimum[kGroups], scale_weight[kGroups], minimum_weight[kGroups];
  double largest_scale = 0, lowest = 0;
  size_t groups = 0;
  for (size_t at = 0; at < n; at += grid.group, ++groups) {
    const size_t count = std::min<size_t>(grid.group, n - at);
    const GroupFit fit = SearchGroup(grid, w + at, h + at, count, ScaleRounding::kNone);
    scale[groups] = fit.scale;
    minimum[groups] = fit.minimum;
    scale_weight[groups] = minimum_weight[groups] = 0;
    for (size_t i = 0; i < count; ++i) {
      const double level = fit.scale != 0 ? (static_cast<double>(w[at + i]) - fit.minimum) / fit.scale : 0;
      scale_weight[groups] += h[at + i] * level * level;
      minimum_weight[groups] += h[at + i];
    }
    largest_scale = std::max(largest_scale, std::fabs(scale[groups]));
    lowest = std::min(lowest, minimum[groups]);
  }
  // The largest gets each byte in turn: the finest step is mostly best, but where the scales are multiples of a step already
  // it is that one.
  const auto choose = [&](const double* values, const double* weights, double largest, int most) {
    double least = INFINITY;
    uint16_t best = 0;
    for (int byte = most; byte >= 1; --byte) {
      const uint16_t half = FloatToHalf(Clamp(static_cast<float>(largest / byte), -kLargestHalf, kLargestHalf));
      const double d = HalfToFloat(half);
      if (d == 0) continue;
      double error = 0;
      for (size_t g = 0; g < groups; ++g) {
        const double code = std::clamp(std::nearbyint(values[g] / d), -static_cast<double>(most), static_cast<double>(most));
        error += weights[g] * (values[g] - code * d) * (values[g] - code * d);
      }
      if (!(error < least)) continue;
      least = error;
      best = half;
    }
    return best;
  };
  SuperFit fit;
  if (largest_scale > 0) fit.d = choose(scale, scale_weight, largest_scale, 127);
  if (grid.minimum && lowest < 0) fit.dmin = choose(minimum, minimum_weight, lowest, 255);
  return fit;
}

SubFit SearchSub(const BlockGrid& grid, const SuperFit& super, const float* w, const float* h, size_t n) {
  SubFit best;
  Group group;
  const bool any = group.Set(w, h, n);
  const float d = HalfToFloat(super.d), dmin = HalfToFloat(super.dmin);
  if (!any || d == 0) return best;
  const GroupFit free = SearchGroup(grid, w, h, n, ScaleRounding::kNone);
  // Numbers so small that their squares vanish have no fit.
  if (!std::isfinite(free.scale) || !std::isfinite(free.minimum)) return best;
  const int s = static_cast<int>(std::nearbyint(Clamp(free.scale / d, -127, 127)));
  const int m = dmin != 0 ? static_cast<int>(std::nearbyint(Clamp(free.minimum / dmin, 0, 255))) : 0;
  double least = INFINITY;
  const auto attempt = [&](int s_code, int m_code) {
    if (s_code < -127 || s_code > 127 || s_code == 0 || m_code < 0 || m_code > 255) return;
    const float scale = d * static_cast<float>(s_code), minimum = dmin * static_cast<float>(m_code);
    const double error = Evaluate(grid, group, scale / group.unit, minimum / group.unit).error;
    if (!(error < least)) return;
    least = error;
    best.s = static_cast<int8_t>(s_code);
    best.m = static_cast<uint8_t>(m_code);
    best.fit = {scale, minimum, error * group.weight * group.unit * group.unit};
  };
  attempt(s, m);
  for (int ds = -1; ds <= 1 && least > 0; ++ds)
    for (int dm = -1; dm <= 1; ++dm)
      if ((ds != 0 || dm != 0) && (dm == 0 || dmin != 0)) attempt(s + ds, m + dm);
  return best;
}

int32_t NearestLevel(const BlockGrid& grid, const GroupFit& fit, float w) {
  if (fit.scale == 0) return grid.codebook != nullptr || grid.low >= 0 ? grid.low : 0;
  const float t = (w - fit.minimum) / fit.scale;
  if (grid.codebook == nullptr) return static_cast<int32_t>(Round(Clamp(t, static_cast<float>(grid.low), static_cast<float>(grid.high))));
  int32_t level = 0;
  while (level < grid.high && t > 0.5f * (static_cast<float>(grid.codebook[level]) + static_cast<float>(grid.codebook[level + 1]))) ++level;
  return level;
}

float LevelWeight(const BlockGrid& grid, const GroupFit& fit, int32_t level) {
  const float value = static_cast<float>(grid.codebook != nullptr ? grid.codebook[level] : level);
  const float product = fit.scale * value;
  return grid.minimum ? product + fit.minimum : product;
}

}  // namespace thimble
