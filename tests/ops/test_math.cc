// Our exp, tanh, distribution function, log, sine and cosine against libm in double.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "ops/lanes/double_math.h"
#include "ops/lanes/float_math.h"
#include "ops/lanes/vec4.h"
#include "tests/ops/support.h"

using namespace thimble;
using namespace thimble::test;

namespace {

template <typename F>
float One(F f, float x) {
  return f(Splat4(x))[0];
}

double Ulp(double reference) {
  const float f = std::fabs(static_cast<float>(reference));
  return static_cast<double>(std::nextafter(f, std::numeric_limits<float>::infinity())) -
         static_cast<double>(f);
}

}  // namespace

TEST_CASE("exp in float is within two units in the last place") {
  Worst worst;
  for (double x = -87.0; x < 88.7; x += 0.00731) {
    const float f = static_cast<float>(x);
    const double reference = std::exp(static_cast<double>(f));
    worst.See(std::fabs(One(Exp<Vec4>, f) - reference) / Ulp(reference));
  }
  CHECK(worst.error <= 2.0);
  CHECK(One(Exp<Vec4>, 0.0f) == 1.0f);
  CHECK(One(Exp<Vec4>, -200.0f) == 0.0f);
  CHECK(One(Exp<Vec4>, -std::numeric_limits<float>::infinity()) == 0.0f);
  CHECK(One(Exp<Vec4>, 100.0f) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(One(Exp<Vec4>, std::numeric_limits<float>::quiet_NaN())));
  // Gradual underflow.
  CHECK(std::fabs(static_cast<double>(One(Exp<Vec4>, -95.0f)) - std::exp(-95.0)) < 2e-45);
}

TEST_CASE("tanh in float is within three units in the last place") {
  Worst worst;
  for (double x = -12.0; x < 12.0; x += 0.00077) {
    const float f = static_cast<float>(x);
    const double reference = std::tanh(static_cast<double>(f));
    worst.See(std::fabs(One(Tanh<Vec4>, f) - reference) / Ulp(reference));
  }
  CHECK(worst.error <= 3.0);
  CHECK(One(Tanh<Vec4>, 0.0f) == 0.0f);
  CHECK(One(Tanh<Vec4>, 100.0f) == 1.0f);
  CHECK(One(Tanh<Vec4>, -100.0f) == -1.0f);
  CHECK(std::isnan(One(Tanh<Vec4>, std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("the normal distribution function is right in both tails") {
  Worst absolute, relative;
  for (double x = -13.0; x < 13.0; x += 0.00091) {
    const float f = static_cast<float>(x);
    const double reference = 0.5 * std::erfc(-static_cast<double>(f) / std::sqrt(2.0));
    const double error = std::fabs(One(NormalCdf<Vec4>, f) - reference);
    absolute.See(error);
    if (reference > 1e-30) relative.See(error / reference);
  }
  CHECK(absolute.error <= 1.5e-7);
  CHECK(relative.error <= 3e-5);
  CHECK(One(NormalCdf<Vec4>, -100.0f) == 0.0f);
  CHECK(One(NormalCdf<Vec4>, 100.0f) == 1.0f);
  CHECK(std::isnan(One(NormalCdf<Vec4>, std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("double functions agree with libm") {
  Worst exponential, logarithm, circle;
  Random random(1);
  for (size_t i = 0; i < 20000; ++i) {
    const double x = random.Unit() * 1400.0 - 700.0;
    exponential.See(std::fabs(ExpDouble(x) / std::exp(x) - 1.0));
    const double y = std::exp(random.Unit() * 80.0 - 40.0);
    logarithm.See(std::fabs(LogDouble(y) - std::log(y)));
    const double angle = (random.Unit() - 0.5) * std::exp(random.Unit() * 15.0);
    double sine, cosine;
    SinCosDouble(angle, &sine, &cosine);
    circle.See(std::fabs(sine - std::sin(angle)) + std::fabs(cosine - std::cos(angle)));
  }
  CHECK(exponential.error < 1e-14);
  CHECK(logarithm.error < 2e-14);
  CHECK(circle.error < 2e-15);
  CHECK(ExpDouble(-1000.0) == 0.0);
}
