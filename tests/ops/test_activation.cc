// Activations against double formulas, plain and gated, every tail, and extremes.
#include <catch2/catch_test_macros.hpp>
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "ops/rows/activation.h"
#include "ops/tables/kernel_table.h"
#include "tests/ops/support.h"

using namespace thimble;
using namespace thimble::test;

namespace {

double Reference(Activation activation, double x) {
  switch (activation) {
    case Activation::kIdentity:
      return x;
    case Activation::kGeluErf:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::kGeluTanh: {
      const double u = std::sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
      return x / (1.0 + std::exp(-2.0 * u));
    }
    case Activation::kSilu:
      return x / (1.0 + std::exp(-x));
    case Activation::kRelu:
      return x > 0 ? x : 0;
    case Activation::kReluSquared:
      return x > 0 ? x * x : 0;
    case Activation::kGeluQuick:
      return x / (1.0 + std::exp(-1.702 * x));
    case Activation::kXielu:
    case Activation::kClampedSwish: break;  // have a test of their own
  }
  return 0;
}

constexpr Activation kAll[] = {Activation::kIdentity, Activation::kGeluErf, Activation::kGeluTanh,
                               Activation::kSilu,     Activation::kRelu,    Activation::kReluSquared,
                               Activation::kGeluQuick};

}  // namespace

TEST_CASE("activations agree with their formulas") {
  Random random(2);
  for (const Activation activation : kAll) {
    Worst plain, gated;
    for (size_t count = 0; count < 40; ++count) {
      const std::vector<float> x = random.Normals(count, count % 3 == 0 ? 8.0f : 1.5f);
      const std::vector<float> up = random.Normals(count);
      std::vector<float> y = x, z(count);
      ActivatePortable(activation, y.data(), nullptr, y.data(), count);
      ActivatePortable(activation, x.data(), up.data(), z.data(), count);
      for (size_t i = 0; i < count; ++i) {
        const double reference = Reference(activation, static_cast<double>(x[i]));
        plain.See(std::fabs(y[i] - reference) / (1e-3 + std::fabs(reference)));
        gated.See(std::fabs(z[i] - reference * static_cast<double>(up[i])) /
                  (1e-3 + std::fabs(reference * up[i])));
      }
    }
    INFO("activation " << static_cast<int>(activation));
    CHECK(plain.error < 2e-6);
    CHECK(gated.error < 2e-6);
  }
}

TEST_CASE("activations with a shape agree with their formulas") {
  Random random(5);
  const float shape[4] = {0.7f, 0.9f, 0.5f, -1e-6f}, clamp[4] = {1.702f, 1.5f, 1.0f, 0.0f};
  std::vector<float> gate = random.Normals(37, 3.0f), up = random.Normals(37, 2.0f), y(37);
  gate[0] = 0, gate[1] = -1e-4f, gate[2] = -90;
  ActivateByShape(Activation::kXielu, shape, gate.data(), nullptr, y.data(), y.size());
  for (size_t i = 0; i < y.size(); ++i) {
    const double x = gate[i], least = std::min(x, static_cast<double>(shape[3]));
    const double want = x > 0 ? 0.7f * x * x + 0.5 * x : (std::expm1(least) - x) * 0.9f + 0.5 * x;
    CHECK(std::abs(y[i] - want) < 1e-6 * (1 + std::abs(want)));
  }
  y = up;  // in place
  ActivateByShape(Activation::kClampedSwish, clamp, gate.data(), y.data(), y.data(), y.size());
  for (size_t i = 0; i < y.size(); ++i) {
    const double g = std::min(static_cast<double>(gate[i]), 1.5), u = std::clamp(static_cast<double>(up[i]), -1.5, 1.5);
    CHECK(std::abs(y[i] - g / (1 + std::exp(-1.702 * g)) * (u + 1)) < 1e-5);
  }
}

TEST_CASE("activations of large numbers are finite") {
  for (const Activation activation : kAll) {
    std::vector<float> x = {-1e4f, 1e4f, -300.0f, 300.0f, -0.0f};
    ActivatePortable(activation, x.data(), nullptr, x.data(), x.size());
    for (const float v : x) CHECK(std::isfinite(v));
    std::vector<float> nan = {std::numeric_limits<float>::quiet_NaN()};
    ActivatePortable(activation, nan.data(), nullptr, nan.data(), 1);
    CHECK(std::isnan(nan[0]));
  }
}

TEST_CASE("activations of every table have the portable bits, in place or not") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Random random(5);
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->supported(DetectCpu())) continue;
    INFO("table " << table->name);
    for (const Activation activation : kAll) {
      for (size_t count = 0; count < 70; ++count) {
        std::vector<float> x = random.Normals(count, count % 2 == 0 ? 60.0f : 3.0f);
        const std::vector<float> up = random.Normals(count);
        const float extremes[] = {-kInfinity, kInfinity, -0.0f, 1e-40f, -3e38f, 88.8f, -103.9f};
        for (size_t i = 0; i < std::size(extremes) && 3 * i < count; ++i) x[3 * i] = extremes[i];
        for (const bool gated : {false, true}) {
          std::vector<float> expected(count), y(count);
          ActivatePortable(activation, x.data(), gated ? up.data() : nullptr, expected.data(), count);
          table->activate(activation, x.data(), gated ? up.data() : nullptr, y.data(), count);
          CHECK(SameBits(y, expected));
          std::vector<float> as_gate = x, as_up = up;
          table->activate(activation, as_gate.data(), gated ? up.data() : nullptr, as_gate.data(), count);
          CHECK(SameBits(as_gate, expected));
          if (!gated) continue;
          table->activate(activation, x.data(), as_up.data(), as_up.data(), count);
          CHECK(SameBits(as_up, expected));
        }
      }
    }
  }
}

TEST_CASE("softcap is cap * tanh(x / cap)") {
  Random random(3);
  for (const float cap : {0.5f, 30.0f, 50.0f}) {
    const std::vector<float> x = random.Normals(101, 60.0f);
    std::vector<float> y = x;
    Softcap(cap, y.data(), y.size());
    Worst worst;
    for (size_t i = 0; i < x.size(); ++i) {
      worst.See(std::fabs(y[i] - static_cast<double>(cap) * std::tanh(static_cast<double>(x[i] / cap))) /
                cap);
    }
    CHECK(worst.error < 5e-7);
  }
}
