// Second moments of inputs: against their definition, through the file and back, and what quantisers make of them.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <random>

#include "ops/linear/turn.h"
#include "targets/convert/quantiser/input_moments.h"
#include "targets/convert/quantiser/matrix_quantiser.h"
#include "tests/convert/import_testing.h"

using namespace thimble;

namespace {

std::vector<float> Rows(size_t n, size_t k, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> rows(n * k);
  for (size_t t = 0; t < n; ++t) {
    float before = 0;
    for (size_t i = 0; i < k; ++i) {
      before = 0.8f * before + static_cast<float>(static_cast<int>(random() % 2001) - 1000) * 0.001f;
      rows[t * k + i] = before * (i % 37 == 5 ? 20.0f : 1.0f);
    }
  }
  return rows;
}

double Loss(const std::vector<float>& moments, const float* e, size_t k) {
  double loss = 0;
  for (size_t i = 0; i < k; ++i) {
    double sum = 0;
    for (size_t j = 0; j < k; ++j) sum += static_cast<double>(moments[i * k + j]) * e[j];
    loss += sum * e[i];
  }
  return loss;
}

}  // namespace

TEST_CASE("sums of rows are weighed second moments, the same for every number of threads", "[threads]") {
  constexpr size_t kRows = 131, kCols = 70;
  const std::vector<float> rows = Rows(kRows, kCols, 1);
  std::vector<float> weights(kRows);
  double total = 0;
  for (size_t t = 0; t < kRows; ++t) total += weights[t] = 0.5f + static_cast<float>(t % 3);
  InputSums one(kCols, 1), three(kCols, 3);
  one.Add(rows.data(), weights.data(), kRows);
  three.Add(rows.data(), weights.data(), kRows);
  const std::vector<float> moments = one.Moments();
  const std::vector<float> same = three.Moments();
  CHECK(std::memcmp(moments.data(), same.data(), moments.size() * sizeof(float)) == 0);
  CHECK(one.Noise().plain == three.Noise().plain);
  CHECK(one.Noise().turned == three.Noise().turned);
  for (size_t i = 0; i < kCols; ++i) {
    for (size_t j = 0; j < kCols; ++j) {
      double want = 0, size = 0;
      for (size_t t = 0; t < kRows; ++t) {
        const double product = static_cast<double>(weights[t]) * rows[t * kCols + i] * rows[t * kCols + j];
        want += product;
        size += std::fabs(product);
      }
      CHECK(std::fabs(moments[i * kCols + j] - want / total) <= 1e-5 * size / total);
    }
  }
}

TEST_CASE("what int8 inputs cost is what their rounding costs, turned and not") {
  constexpr size_t kRows = 400, kCols = 128;
  const std::vector<float> rows = Rows(kRows, kCols, 2);
  const std::vector<float> weights(kRows, 1.0f);
  InputSums sums(kCols, 1);
  sums.Add(rows.data(), weights.data(), kRows);
  const InputNoise noise = sums.Noise();
  std::vector<float> turned(rows);
  Turn(turned.data(), turned.size(), TurnBlock(kCols));
  for (const auto& [list, found] : {std::pair{rows, &noise.plain}, std::pair{turned, &noise.turned}}) {
    std::vector<double> want(kCols / 32);
    for (size_t at = 0; at < list.size(); at += 32) {
      float largest = 0;
      for (size_t i = at; i < at + 32; ++i) largest = std::max(largest, std::fabs(list[i]));
      const float step = largest / 127;
      for (size_t i = at; i < at + 32; ++i) want[at % kCols / 32] += std::pow(list[i] - std::round(list[i] / step) * step, 2);
    }
    for (size_t g = 0; g < want.size(); ++g) {
      INFO(g << ": " << (*found)[g] << " against " << want[g] / (32 * kRows));
      CHECK(std::fabs((*found)[g] / (want[g] / (32 * kRows)) - 1) < 0.1);
    }
  }
}

TEST_CASE("moments go through the file, by what tensors read") {
  InputMoments moments(test::FreshFolder("moments"));
  std::vector<std::vector<float>> want;
  for (const size_t k : {size_t{5}, size_t{64}, size_t{3}}) {
    InputSums sums(k, 1);
    const std::vector<float> rows = Rows(20, k, static_cast<uint32_t>(k)), weights(20, 1.0f);
    sums.Add(rows.data(), weights.data(), 20);
    want.push_back(sums.Moments());
    moments.Add(sums, {static_cast<int32_t>(k), static_cast<int32_t>(k + 100)});
  }
  CHECK(moments.SiteOf(7) == -1);
  CHECK(moments.SiteOf(5) == moments.SiteOf(105));
  for (const auto& [tensor, place] : {std::pair{164, 1}, std::pair{3, 2}, std::pair{5, 0}})
    CHECK(moments.Moments(moments.SiteOf(tensor)) == want[static_cast<size_t>(place)]);
}

TEST_CASE("turned rows lose what turned moments say, and less than plain rounding of them") {
  constexpr size_t kRows = 24, kCols = 192;
  const uint32_t turn = TurnBlock(kCols);
  InputMoments moments(test::FreshFolder("moments"));
  InputSums sums(kCols, 2);
  const std::vector<float> inputs = Rows(600, kCols, 4), weights(600, 1.0f), w = Rows(kRows, kCols, 5);
  sums.Add(inputs.data(), weights.data(), 600);
  moments.Add(sums, {0});
  const BlockGrid grid{32, 0, 15, nullptr, true};
  MatrixQuantiser with(&moments, 2), without(nullptr, 2);
  double losses[2] = {};
  for (const bool known : {false, true}) {
    std::vector<float> back(w.size());
    MatrixQuantiser& quantiser = known ? with : without;
    const double own = quantiser.Quantise(grid, turn, w.data(), kRows, kCols, {known ? 0 : -1, nullptr}, [&](size_t r, const GridRow& row) {
      DecodeGridRow(grid, row, kCols, back.data() + r * kCols);
      Turn(back.data() + r * kCols, kCols, turn);
    });
    double loss = 0;
    for (size_t i = 0; i < w.size(); ++i) back[i] -= w[i];
    for (size_t r = 0; r < kRows; ++r) loss += Loss(sums.Moments(), back.data() + r * kCols, kCols);
    losses[known ? 1 : 0] = loss;
    if (!known) continue;
    INFO(own / loss);
    CHECK(own > loss);
    CHECK(own < 1.3 * loss);
    // All rows, and a third of them.
    CHECK(std::fabs(with.Loss(grid, turn, w.data(), kRows, kCols, {0, nullptr}, kRows) / own - 1) < 0.1);
    CHECK(std::fabs(with.Loss(grid, turn, w.data(), kRows, kCols, {0, nullptr}, kRows / 3) / own - 1) < 0.4);
  }
  INFO(losses[1] / losses[0]);
  CHECK(losses[1] < 0.5 * losses[0]);
}
