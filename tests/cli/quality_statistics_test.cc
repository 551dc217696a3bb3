// The arithmetic of `thimble quality` against values worked out by hand.
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <vector>

#include "targets/cli/quality_statistics.h"

namespace thimble::cli {
namespace {

using Catch::Approx;

PositionScore Score(const std::vector<float>& reference, const std::vector<float>& other, int32_t target = 0) {
  return ScorePosition(reference.data(), other.data(), reference.size(), target);
}

TEST_CASE("KL of known distributions, whatever constant the logits carry") {
  // p = (1/2, 1/2), q = (3/4, 1/4): KL = 1/2 ln(2/3) + 1/2 ln 2 = 1/2 ln(4/3).
  const float ln3 = std::log(3.0f);
  for (const float shift : {0.0f, 16.0f, 10000.0f}) {
    const PositionScore score = Score({shift, shift}, {ln3, 0}, 1);
    CHECK(score.kl == Approx(0.5 * std::log(4.0 / 3)).epsilon(1e-7));
    CHECK(score.nll_reference == Approx(std::log(2.0)));
    CHECK(score.nll_other == Approx(std::log(4.0)).epsilon(1e-7));
  }
  // The other way round it is another number: 3/4 ln(3/2) + 1/4 ln(1/2).
  CHECK(Score({ln3, 0}, {0, 0}).kl == Approx(0.75 * std::log(1.5) - 0.25 * std::log(2.0)).epsilon(1e-7));
  // What the reference holds for impossible adds nothing: exp(-1000) is 0.
  CHECK(Score({0, -1000}, {0, 1000}).kl == Approx(1000));
  CHECK(Score({-1000, 0}, {-3000, 0}).kl == 0);
}

TEST_CASE("KL of equal logits is exactly 0, and never less") {
  std::vector<float> logits(1000), close(1000);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = 9 * std::sin(static_cast<float>(i * i));
    close[i] = std::nextafter(logits[i], i % 2 == 0 ? 100.0f : -100.0f);
  }
  CHECK(Score(logits, logits).kl == 0);
  CHECK(Score(logits, close).kl >= 0);
  CHECK(Score(logits, close).kl < 1e-12);
}

TEST_CASE("the best id is the lowest of equal ones, and five best are shared by id") {
  CHECK(Score({1, 1, 0}, {1, 0, 0}).same_best);
  CHECK_FALSE(Score({1, 1, 0}, {1, 2, 0}).same_best);
  CHECK(Score({6, 5, 4, 3, 2, 1}, {1, 2, 3, 4, 5, 6}).shared_best == 0.8);   // 1 to 4 in both, 0 and 5 change places
  CHECK(Score({6, 5, 4, 3, 2, 1}, {2, 3, 4, 5, 6, 1}).shared_best == 1);
  CHECK(Score({0, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 2}).shared_best == 0.8);   // 0 to 4; 5, 0, 1, 2, 3
  CHECK(Score({9, 8, 7, 6, 5, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 5, 6, 7, 8, 9}).shared_best == 0);
  CHECK(Score({2, 1, 0}, {0, 1, 2}).shared_best == 1);  // fewer than five
}

PositionScore Position(double kl, double difference, bool same_best = true, double shared_best = 1) {
  return {.kl = kl, .nll_reference = 2, .nll_other = 2 + difference, .same_best = same_best, .shared_best = shared_best};
}

TEST_CASE("means, percentiles and standard errors of four positions in two windows") {
  const std::vector<PositionScore> scores = {Position(3, 0.1), Position(0, 0.1, false), Position(2, 0.3),
                                             Position(1, 0.3, false, 0.4)};
  const QualityFigures f = Summarise(scores, 2);
  CHECK(f.count == 4);
  CHECK(f.kl_mean == 1.5);
  CHECK(f.kl_mean_se == Approx(std::sqrt(5.0 / 3 / 4)));  // (1.5^2 + 0.5^2) * 2 = 5
  CHECK(f.kl_median == 1.5);
  CHECK(f.kl_p99 == Approx(2.97));
  CHECK(f.kl_max == 3);
  CHECK(f.top1 == 0.5);
  CHECK(f.top5 == Approx(0.85));
  CHECK(f.perplexity_reference == Approx(std::exp(2.0)));
  CHECK(f.perplexity == Approx(std::exp(2.2)));
  CHECK(f.ratio == Approx(std::exp(0.2)));
  // Differences lie 0.1 below and above their mean: sqrt(4 * 0.01 / 3 / 4). Window means are 0.1 and 0.3: sqrt(0.02 / 2).
  CHECK(f.ratio_se == Approx(std::exp(0.2) * std::sqrt(0.01 / 3)));
  CHECK(f.ratio_se_windows == Approx(std::exp(0.2) * 0.1));
}

TEST_CASE("one window has no spread of windows, one position none at all") {
  const std::vector<PositionScore> scores = {Position(1, 0.5), Position(1, -0.5)};
  CHECK(std::isnan(Summarise(scores, 2).ratio_se_windows));
  CHECK(Summarise(scores, 2).ratio == 1);
  CHECK(Summarise(scores, 2).kl_mean_se == 0);
  const std::vector<PositionScore> one = {Position(4, 0)};
  CHECK(Summarise(one, 1).kl_median == 4);
  CHECK(Summarise(one, 1).kl_p99 == 4);
  CHECK(Summarise(one, 1).ratio_se == 0);
}

TEST_CASE("a slice takes the same positions of every window") {
  std::vector<PositionScore> scores;
  for (int i = 0; i < 12; ++i) scores.push_back(Position(i, 0));
  const std::vector<PositionScore> part = Slice(scores, 4, 1, 3);
  REQUIRE(part.size() == 6);
  for (size_t i = 0; i < 6; ++i) CHECK(part[i].kl == std::vector<double>{1, 2, 5, 6, 9, 10}[i]);
}

}  // namespace
}  // namespace thimble::cli
