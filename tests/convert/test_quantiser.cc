// The quantiser of block types: searched scales against plain rounding, weights that lie on a grid already, error feedback against
// its definition, and independence of threads.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "runtime/core/float16.h"
#include "targets/convert/quantiser/group_search.h"
#include "targets/convert/quantiser/quantise_matrix.h"

using namespace thimble;

namespace {

constexpr BlockGrid::Scales kSuper = BlockGrid::Scales::kSuper;
constexpr int8_t kCodebook[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct NamedGrid {
  const char* name;
  BlockGrid grid;
  double plain_factor;  // the error over that of plain rounding must be below this, on normally distributed weights
};

// The factors are measured: 0.02 above what was found.
const NamedGrid kGrids[] = {
    {"q8_0", {32, -127, 127}, 0.94},
    {"q6_k", {16, -32, 31, nullptr, false, kSuper}, 0.89},
    {"q5_0", {32, -16, 15}, 0.90},
    {"q5_1", {32, 0, 31, nullptr, true}, 0.915},
    {"q5_k", {32, 0, 31, nullptr, true, kSuper}, 0.915},
    {"q4_0", {32, -8, 7}, 0.86},
    {"q4_1", {32, 0, 15, nullptr, true}, 0.90},
    {"q4_k", {32, 0, 15, nullptr, true, kSuper}, 0.90},
    {"q3_k", {16, -4, 3, nullptr, false, kSuper}, 0.745},
    {"q2_k", {16, 0, 3, nullptr, true, kSuper}, 0.80},
};

// Sum of 12 uniforms: the same on every standard library.
float Normal(std::mt19937& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += (random() >> 8) * 0x1p-24;
  return static_cast<float>(sum);
}

std::vector<float> Gaussian(size_t n, uint32_t seed, float size = 0.02f) {
  std::mt19937 random(seed);
  std::vector<float> w(n);
  for (float& v : w) v = size * Normal(random);
  return w;
}

std::vector<float> Quantised(const BlockGrid& grid, const std::vector<float>& w, size_t k, const ColumnCosts& costs = {},
                             size_t threads = 2, double* loss = nullptr) {
  std::vector<float> back(w.size());
  const double found = QuantiseMatrix(grid, w.data(), w.size() / k, k, costs, threads,
                                      [&](size_t r, const GridRow& row) { DecodeGridRow(grid, row, k, back.data() + r * k); });
  if (loss != nullptr) *loss = found;
  return back;
}

double SquaredError(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
  return sum;
}

// Each group's range over its levels, nothing searched, scales in single precision.
std::vector<float> PlainlyRounded(const BlockGrid& grid, const std::vector<float>& w) {
  std::vector<float> back(w.size());
  for (size_t at = 0; at < w.size(); at += grid.group) {
    const auto [low, high] = std::minmax_element(w.begin() + static_cast<long>(at), w.begin() + static_cast<long>(at + grid.group));
    GroupFit fit;
    fit.scale = grid.minimum ? (*high - *low) / static_cast<float>(grid.high)
                             : std::max(std::fabs(*low), std::fabs(*high)) / static_cast<float>(grid.high);
    fit.minimum = grid.minimum ? *low : 0;
    for (size_t i = at; i < at + grid.group; ++i) back[i] = LevelWeight(grid, fit, NearestLevel(grid, fit, w[i]));
  }
  return back;
}

// [k, k] of inputs that share some of what they say.
std::vector<float> Moments(size_t k, size_t tokens, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> moments(k * k), x(k);
  for (size_t t = 0; t < tokens; ++t) {
    float common[8];
    for (float& v : common) v = Normal(random);
    for (size_t j = 0; j < k; ++j) x[j] = (0.5f * Normal(random) + common[j % 8]) * (j % 50 == 7 ? 30.0f : 1.0f);
    for (size_t i = 0; i < k; ++i)
      for (size_t j = 0; j < k; ++j) moments[i * k + j] += x[i] * x[j];
  }
  return moments;
}

double Loss(const std::vector<float>& moments, const std::vector<float>& w, const std::vector<float>& back, size_t k) {
  double loss = 0;
  for (size_t row = 0; row < w.size(); row += k) {
    for (size_t i = 0; i < k; ++i) {
      double sum = 0;
      for (size_t j = 0; j < k; ++j) sum += static_cast<double>(moments[i * k + j]) * (w[row + j] - back[row + j]);
      loss += sum * (w[row + i] - back[row + i]);
    }
  }
  return loss;
}

}  // namespace

TEST_CASE("searched scales lose less than plain rounding, by type") {
  constexpr size_t kRows = 24, kCols = 512;
  const std::vector<float> w = Gaussian(kRows * kCols, 5);
  for (const NamedGrid& named : kGrids) {
    const double searched = SquaredError(w, Quantised(named.grid, w, kCols)), plain = SquaredError(w, PlainlyRounded(named.grid, w));
    INFO(named.name << ": root mean square " << std::sqrt(searched / plain) << " of plain rounding's");
    CHECK(std::sqrt(searched / plain) < named.plain_factor);
  }
}

TEST_CASE("a codebook's levels: the nearest, below four uniform bits on normally distributed weights") {
  constexpr size_t kRows = 24, kCols = 512;
  const std::vector<float> w = Gaussian(kRows * kCols, 6);
  const BlockGrid uniform{32, -8, 7};
  for (const BlockGrid::Scales scales : {BlockGrid::Scales::kHalf, kSuper}) {
    const BlockGrid grid{32, 0, 15, kCodebook, false, scales};
    CHECK(SquaredError(w, Quantised(grid, w, kCols)) < 0.86 * SquaredError(w, Quantised(uniform, w, kCols)));
    const GroupFit fit{0.01f, 0, 0};
    for (int32_t level = 0; level < 16; ++level) CHECK(NearestLevel(grid, fit, LevelWeight(grid, fit, level) + 0.02f) == level);
  }
}

TEST_CASE("weights that lie on the grid come back bit for bit", "[slow]") {
  std::mt19937 random(7);
  const auto below = [&](uint32_t n) { return static_cast<int32_t>(random() % n); };
  for (const NamedGrid& named : kGrids) {
    const BlockGrid& grid = named.grid;
    for (const size_t k : {size_t{256}, size_t{576}, size_t{80}}) {
      constexpr size_t kRows = 20;
      std::vector<float> w(kRows * k);
      for (size_t r = 0; r < kRows; ++r) {
        float d = 0, dmin = 0;
        for (size_t at = 0; at < k; at += grid.group) {
          const size_t count = std::min<size_t>(grid.group, k - at);
          const bool super = grid.scales == kSuper;
          const auto half = [&](float size) { return HalfToFloat(FloatToHalf(size * static_cast<float>(500 + below(1000)))); };
          if (!super || at % 256 == 0) {
            d = half(1e-5f);
            dmin = -half(1e-5f);
          }
          GroupFit fit{d, grid.minimum ? 20 * dmin : 0, 0};
          if (super) {  // some group has the largest byte that GGUF's six bits allow
            fit.scale = d * static_cast<float>(at % 256 == 0 ? 63 : 20 + below(43));
            fit.minimum = grid.minimum ? dmin * static_cast<float>(at % 256 == 0 ? 63 : below(63)) : 0;
          } else if (grid.minimum) {
            fit.minimum = HalfToFloat(FloatToHalf(fit.minimum));
          }
          // Without a minimum any levels; with one the lowest and the highest are there, or (plain scales) a few are missing.
          const int32_t missing = grid.minimum && !super && grid.high > 7 ? below(4) : 0;
          for (size_t i = 0; i < count; ++i)
            w[r * k + at + i] = LevelWeight(grid, fit, grid.low + missing + below(static_cast<uint32_t>(grid.high - grid.low + 1 - missing)));
          w[r * k + at] = LevelWeight(grid, fit, grid.minimum ? missing : grid.high);
          w[r * k + at + 1] = LevelWeight(grid, fit, grid.minimum ? grid.high : 1);
          w[r * k + at + 2] = LevelWeight(grid, fit, grid.minimum ? missing + 1 : grid.low);
        }
      }
      INFO(named.name << ", " << k << " columns");
      CHECK(SquaredError(w, Quantised(grid, w, k)) == 0);
      // Nor does feedback move what needs no moving.
      const ErrorFeedback feedback(Moments(k, 64, 3), k, 0.01, 1);
      CHECK(SquaredError(w, Quantised(grid, w, k, {nullptr, &feedback})) == 0);
    }
  }
}

TEST_CASE("what weighs more is met better") {
  constexpr size_t kRows = 16, kCols = 256;
  const std::vector<float> w = Gaussian(kRows * kCols, 8);
  std::vector<float> costs(kCols);
  for (size_t j = 0; j < kCols; ++j) costs[j] = j % 16 == 0 ? 100.0f : 1.0f;
  const BlockGrid grid{32, 0, 15, nullptr, true, kSuper};
  const std::vector<float> even = Quantised(grid, w, kCols), weighed = Quantised(grid, w, kCols, {costs.data(), nullptr});
  double before = 0, after = 0;
  for (size_t i = 0; i < w.size(); i += 16) {
    before += std::pow(w[i] - even[i], 2);
    after += std::pow(w[i] - weighed[i], 2);
  }
  INFO(after / before);
  CHECK(after < 0.5 * before);
}

TEST_CASE("feedback's factor multiplied out gives the moments again") {
  for (const size_t k : {size_t{1}, size_t{63}, size_t{64}, size_t{200}}) {
    const std::vector<float> moments = Moments(k, 2 * k, 9);
    const ErrorFeedback feedback(moments, k, 0.01, 3);
    const auto r = [&](size_t i, size_t j) { return i == j ? 1.0 : static_cast<double>(feedback.Row(i)[j]); };
    double worst = 0;
    for (size_t i = 0; i < k; ++i) {
      for (size_t j = i; j < k; ++j) {
        double sum = 0;
        for (size_t l = j; l < k; ++l) sum += r(i, l) * feedback.costs()[l] * r(j, l);
        const double want = moments[i * k + j] * (i == j ? 1.01 : 1.0);
        worst = std::max(worst, std::fabs(sum - want) / std::sqrt(static_cast<double>(moments[i * k + i]) * moments[j * k + j]));
      }
    }
    INFO("k " << k << ": off by " << worst);
    CHECK(worst < 2e-5);
  }
}

TEST_CASE("error feedback loses a quarter of what rounding loses on inputs that share what they say", "[slow]") {
  constexpr size_t kRows = 32, kCols = 320;
  const std::vector<float> w = Gaussian(kRows * kCols, 10), moments = Moments(kCols, 1000, 11);
  const ErrorFeedback feedback(moments, kCols, 0.01, 2);
  for (const NamedGrid& named : kGrids) {
    double own = 0;
    const double without = Loss(moments, w, Quantised(named.grid, w, kCols), kCols);
    const double with = Loss(moments, w, Quantised(named.grid, w, kCols, {nullptr, &feedback}, 2, &own), kCols);
    INFO(named.name << ": " << with / without << ", own account " << own / with);
    CHECK(with < 0.3 * without);
    CHECK(own > with);  // its moments are damped
    CHECK(own < 1.1 * with);
  }
}

TEST_CASE("channels that are never used, and no inputs at all, are no trouble") {
  constexpr size_t kRows = 3, kCols = 96;
  std::vector<float> moments = Moments(kCols, 50, 12);
  for (size_t j = 0; j < kCols; ++j) moments[40 * kCols + j] = moments[j * kCols + 40] = 0;
  const std::vector<float> w = Gaussian(kRows * kCols, 13);
  const BlockGrid grid{32, -8, 7};
  for (const std::vector<float>& h : {moments, std::vector<float>(kCols * kCols)}) {
    const ErrorFeedback feedback(h, kCols, 0.01, 1);
    CHECK(SquaredError(w, Quantised(grid, w, kCols, {nullptr, &feedback})) < 0.05 * SquaredError(w, std::vector<float>(w.size())));
  }
}

TEST_CASE("zeros, tiny and huge weights stay finite") {
  for (const NamedGrid& named : kGrids) {
    for (const float size : {0.0f, 1e-38f, 1e-7f, 1e4f, 1e30f}) {
      std::vector<float> w = Gaussian(2 * 80, 14, size);
      w[3] = 0;
      const std::vector<float> back = Quantised(named.grid, w, 80);
      INFO(named.name << " " << size);
      for (const float v : back) CHECK(std::isfinite(v));
      if (size == 0) CHECK(SquaredError(w, back) == 0);
    }
  }
}

TEST_CASE("the same codes for every number of threads", "[slow][threads]") {
  constexpr size_t kRows = 70, kCols = 320;
  const std::vector<float> w = Gaussian(kRows * kCols, 15), moments = Moments(kCols, 300, 16);
  const ErrorFeedback one(moments, kCols, 0.01, 1), three(moments, kCols, 0.01, 3);
  CHECK(std::memcmp(one.costs(), three.costs(), kCols * sizeof(float)) == 0);
  for (const NamedGrid& named : kGrids) {
    double loss_one = 0, loss_three = 0;
    const std::vector<float> a = Quantised(named.grid, w, kCols, {nullptr, &one}, 1, &loss_one);
    const std::vector<float> b = Quantised(named.grid, w, kCols, {nullptr, &three}, 3, &loss_three);
    CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
    CHECK(loss_one == loss_three);
  }
}
