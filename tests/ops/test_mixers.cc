// Operations of mixers beside attention: the choice of experts and short convolutions, against plain double arithmetic.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "ops/rows/choose_experts.h"
#include "ops/rows/short_conv.h"
#include "ops/rows/state_space.h"
#include "ops/tables/kernel_table.h"

using namespace thimble;

namespace {

float Uniform(std::mt19937_64& random) { return static_cast<float>(random() >> 40) * 0x1p-23f - 1.0f; }

struct Choice {
  std::vector<uint32_t> experts;
  std::vector<double> weights;
};

Choice Oracle(const ExpertRule& rule, const std::vector<float>& logits) {
  std::vector<double> s(logits.begin(), logits.end());
  double sum = 0;
  for (double& v : s) sum += v = rule.sigmoid ? 1 / (1 + std::exp(-v)) : std::exp(v);
  if (!rule.sigmoid) for (double& v : s) v /= sum;
  std::vector<uint32_t> order(rule.experts);
  std::iota(order.begin(), order.end(), 0u);
  const auto rank = [&](uint32_t e) { return s[e] + (rule.selection_bias == nullptr ? 0.0 : static_cast<double>(rule.selection_bias[e])); };
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return rank(a) > rank(b); });
  Choice out;
  out.experts.assign(order.begin(), order.begin() + rule.chosen);
  std::sort(out.experts.begin(), out.experts.end());
  sum = rule.normalise_eps;
  for (const uint32_t e : out.experts) sum += s[e];
  for (const uint32_t e : out.experts) out.weights.push_back(s[e] * rule.scale / (rule.normalise ? sum : 1.0));
  return out;
}

}  // namespace

TEST_CASE("experts: the largest are chosen, with the weights of the rule") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 400; ++round) {
    ExpertRule rule;
    rule.experts = 1 + random() % 40;
    rule.chosen = 1 + random() % std::min(rule.experts, 9u);
    rule.sigmoid = random() % 2 == 0;
    rule.normalise = random() % 2 == 0;
    rule.normalise_eps = random() % 2 == 0 ? 0.0f : 0.125f;
    rule.scale = random() % 2 == 0 ? 1.0f : 2.5f;
    std::vector<float> logits(rule.experts), bias(rule.experts);
    for (float& v : logits) v = 4 * Uniform(random);
    for (float& v : bias) v = Uniform(random);
    if (random() % 2 == 0) rule.selection_bias = bias.data();
    const Choice wanted = Oracle(rule, logits);
    std::vector<uint32_t> chosen(rule.chosen);
    std::vector<float> weights(rule.chosen);
    ChooseExperts(rule, logits.data(), chosen.data(), weights.data());
    CHECK(chosen == wanted.experts);
    for (size_t i = 0; i < rule.chosen; ++i) CHECK(std::fabs(weights[i] - wanted.weights[i]) < 1e-6);
  }
}

TEST_CASE("experts: the lower one wins a tie, and what is no number still gives experts that exist") {
  ExpertRule rule;
  rule.experts = 5;
  rule.chosen = 2;
  std::vector<float> logits = {1, 2, 2, 2, 1};
  uint32_t chosen[2];
  float weights[2];
  ChooseExperts(rule, logits.data(), chosen, weights);
  CHECK((chosen[0] == 1 && chosen[1] == 2));
  for (const bool sigmoid : {false, true}) {
    rule.sigmoid = sigmoid;
    logits.assign(5, std::nanf(""));
    ChooseExperts(rule, logits.data(), chosen, weights);
    CHECK((chosen[0] == 0 && chosen[1] == 1));
  }
}

TEST_CASE("short convolution: each channel sums its last rows") {
  std::mt19937_64 random(4);
  for (int round = 0; round < 60; ++round) {
    const size_t taps = 1 + random() % 8, width = 1 + random() % 70;
    std::vector<float> weight(taps * width), bias(width), y(width + 1, 7.0f);
    std::vector<std::vector<float>> stored(taps, std::vector<float>(width));
    for (float& v : weight) v = Uniform(random);
    for (float& v : bias) v = Uniform(random);
    std::vector<const float*> rows;
    for (std::vector<float>& row : stored) {
      for (float& v : row) v = Uniform(random);
      rows.push_back(random() % 4 == 0 ? nullptr : row.data());
    }
    const bool with_bias = random() % 2 == 0;
    ShortConvRow(rows.data(), taps, width, weight.data(), with_bias ? bias.data() : nullptr, y.data());
    for (size_t c = 0; c < width; ++c) {
      double sum = with_bias ? static_cast<double>(bias[c]) : 0.0;
      for (size_t j = 0; j < taps; ++j) sum += rows[j] == nullptr ? 0.0 : static_cast<double>(weight[j * width + c]) * static_cast<double>(rows[j][c]);
      CHECK(std::fabs(static_cast<double>(y[c]) - sum) < 1e-6);
    }
    CHECK(y[width] == 7.0f);
  }
}

TEST_CASE("step sizes are softplus between two bounds, also where one of its terms is lost in the other") {
  for (const float x : {-100.0f, -40.0f, -15.5f, -14.5f, -1.0f, 0.0f, 0.3f, 5.0f, 29.5f, 30.5f, 200.0f}) {
    const double exact = x > 50 ? static_cast<double>(x) : std::log1p(std::exp(static_cast<double>(x)));
    INFO(x);
    CHECK(std::fabs(static_cast<double>(StateSpaceStep(x, 0.0f, INFINITY)) - exact) <= exact * 3e-7 + 1e-38);
    CHECK(static_cast<double>(StateSpaceStep(x, 0.25f, 4.0f)) == std::clamp(static_cast<double>(StateSpaceStep(x, 0.0f, INFINITY)), 0.25, 4.0));
  }
}

TEST_CASE("state space: a row decays the state, adds to it and reads it") {
  std::mt19937_64 random(5);
  for (int round = 0; round < 60; ++round) {
    const size_t width = 1 + random() % 9, states = 1 + random() % 50;
    const bool delta = random() % 2 == 0, first = random() % 4 == 0;
    std::vector<float> before(width * states), v(width), b(states), c(states);
    for (std::vector<float>* values : {&before, &v, &b, &c}) for (float& x : *values) x = Uniform(random);
    const auto run = [&](const StateKernel& kernel, const float* from, float* to, const float* in, float* out) {
      if (delta) {
        kernel.delta(from, to, width, states, 0.75f, 0.3f, in, b.data(), c.data(), out);
      } else {
        kernel.step(from, to, width, states, 0.75f, 0.3f, 1.5f, in, b.data(), c.data(), out);
      }
    };
    std::vector<float> after(width * states + 1, 7.0f), y(width + 1, 7.0f);
    run(kStatePortable, first ? nullptr : before.data(), after.data(), v.data(), y.data());
    for (size_t p = 0; p < width; ++p) {
      const auto old = [&](size_t n) { return first ? 0.0 : static_cast<double>(before[p * states + n]); };
      double known = 0, sum = delta ? 0.0 : 1.5 * static_cast<double>(v[p]);
      for (size_t n = 0; n < states; ++n) known += old(n) * static_cast<double>(b[n]);
      const double in = static_cast<double>(0.3f) * (static_cast<double>(v[p]) - (delta ? 0.75 * known : 0.0));
      for (size_t n = 0; n < states; ++n) {
        const double state = 0.75 * old(n) + in * static_cast<double>(b[n]);
        CHECK(std::fabs(static_cast<double>(after[p * states + n]) - state) < 4e-6);
        sum += state * static_cast<double>(c[n]);
      }
      CHECK(std::fabs(static_cast<double>(y[p]) - sum) < 2e-5);
    }
    CHECK((after.back() == 7.0f && y.back() == 7.0f));
    for (const KernelTable* table : AllKernelTables()) {
      if (!table->supported(DetectCpu())) continue;
      INFO(table->name << ", " << states << " states");
      std::vector<float> its_after(width * states + 1, 7.0f), its_y(width + 1, 7.0f);
      run(*table->state, first ? nullptr : before.data(), its_after.data(), v.data(), its_y.data());
      CHECK((its_after == after && its_y == y));
    }
    if (first) continue;
    // In place, as the rows of a pass go on.
    std::vector<float> in_place = before, out = v;
    run(kStatePortable, in_place.data(), in_place.data(), out.data(), out.data());
    CHECK((std::equal(in_place.begin(), in_place.end(), after.begin()) && std::equal(out.begin(), out.end(), y.begin())));
  }
}
