// Rotary positions against complex multiplication in double: both pairings, offsets, partial widths, scaled
// frequencies, pairs that span the whole head, and back again.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <complex>

#include "ops/rows/rope.h"
#include "tests/ops/support.h"

using namespace thimble;
using namespace thimble::test;

namespace {

std::vector<double> Oracle(const RopeShape& shape, double position, const std::vector<float>& head) {
  std::vector<double> out(head.begin(), head.end());
  for (uint32_t i = 0; i < shape.width / 2; ++i) {
    const bool half = shape.pairing == RopePairing::kHalfSplit;
    const size_t a = shape.offset + (half ? i : 2 * i), b = half ? a + shape.pair_stride : a + 1;
    double frequency = std::pow(shape.theta, -2.0 * i / shape.denominator);
    if (shape.freq_divisors != nullptr) frequency /= static_cast<double>(shape.freq_divisors[i]);
    const std::complex<double> z = std::complex<double>(out[a], out[b]) *
                                   std::polar(shape.magnitude, position * shape.position_scale * frequency);
    out[a] = z.real();
    out[b] = z.imag();
  }
  return out;
}

double Check(const RopeShape& shape, size_t d, uint32_t position, Random& random) {
  const std::vector<float> head = random.Normals(d);
  std::vector<float> cos(shape.width / 2), sin(shape.width / 2), turned = head;
  FillRopeRow(shape, position, cos.data(), sin.data());
  ApplyRope(shape, cos.data(), sin.data(), turned.data());
  const std::vector<double> expected = Oracle(shape, position, head);
  Worst worst;
  for (size_t i = 0; i < d; ++i) worst.See(std::fabs(turned[i] - expected[i]));
  ApplyInverseRope(shape, cos.data(), sin.data(), turned.data());
  for (size_t i = 0; i < d; ++i) {
    bool inside = true;  // of what is rotated
    if (std::fabs(turned[i] - head[i]) > 1e-6f) inside = shape.magnitude != 1.0;
    if (!inside) worst.See(1.0);
  }
  return worst.error;
}

}  // namespace

TEST_CASE("rope agrees with complex multiplication") {
  Random random(6);
  Worst worst;
  for (size_t round = 0; round < 300; ++round) {
    const size_t d = 2 * random.Integer(2, 64);
    RopeShape shape;
    shape.pairing = random.Pick({RopePairing::kHalfSplit, RopePairing::kInterleaved});
    shape.width = static_cast<uint32_t>(2 * random.Integer(1, d / 2));
    shape.offset = static_cast<uint32_t>(random.Integer(0, d - shape.width));
    shape.pair_stride = shape.width / 2;
    shape.theta = random.Pick({10000.0, 500000.0, 1e6, 100.0});
    shape.denominator = random.Integer(0, 1) != 0 ? static_cast<double>(d) : static_cast<double>(shape.width);
    shape.position_scale = random.Pick({1.0, 0.25, 0.125});
    shape.magnitude = random.Pick({1.0, 1.0, 1.2});
    std::vector<float> divisors(shape.width / 2);
    for (float& v : divisors) v = random.Float(1.0f, 8.0f);
    if (random.Integer(0, 2) == 0) shape.freq_divisors = divisors.data();
    CHECK(RopeEnd(shape) <= d);
    worst.See(Check(shape, d, static_cast<uint32_t>(random.Integer(0, 131072)), random));
  }
  CHECK(worst.error < 2e-6);
}

TEST_CASE("partial rotation with pairs across the whole head") {
  // Gemma 4's global layers: 128 of 512 numbers, at {0..63, 256..319}, exponents over the full head width.
  Random random(7);
  const RopeShape shape = {.width = 128,
                           .offset = 0,
                           .pairing = RopePairing::kHalfSplit,
                           .pair_stride = 256,
                           .theta = 1e6,
                           .denominator = 512};
  CHECK(RopeEnd(shape) == 320);
  for (const uint32_t position : {0u, 1u, 77u, 4095u}) CHECK(Check(shape, 512, position, random) < 2e-6);
}

TEST_CASE("position zero changes nothing") {
  const RopeShape shape = {.width = 8, .pair_stride = 4, .denominator = 8};
  float cos[4], sin[4];
  FillRopeRow(shape, 0, cos, sin);
  for (int i = 0; i < 4; ++i) {
    CHECK(cos[i] == 1.0f);
    CHECK(sin[i] == 0.0f);
  }
}
