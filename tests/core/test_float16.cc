// Half precision and bfloat16: every value, every neighbour, and random floats against rounding done in
// double.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "runtime/core/float16.h"

using namespace thimble;

namespace {

uint32_t Bits(float f) { return std::bit_cast<uint32_t>(f); }
float Float(uint32_t bits) { return std::bit_cast<float>(bits); }

// A format of 1 sign bit, `exponent_bits` and `mantissa_bits`, as IEEE 754 defines it, in double arithmetic.
double ValueOf(uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = (bits & 0x8000u) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) return mantissa != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

// Nearest value of the format, ties to the even mantissa; found by scaling so that one unit is 1, where the
// rounding of the default mode of nearbyint is exactly what is wanted.
uint16_t Nearest(double x, int exponent_bits, int mantissa_bits) {
  const uint16_t sign = std::signbit(x) ? 0x8000u : 0;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double magnitude = std::fabs(x);
  const uint16_t infinity = static_cast<uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
  if (std::isinf(x)) return sign | infinity;
  if (magnitude == 0) return sign;
  int exponent = std::ilogb(magnitude);
  if (exponent < 1 - bias) exponent = 1 - bias;
  const double units = std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent));
  // units == 2^(mantissa_bits + 1) carries into the exponent by itself.
  const double encoded = units + static_cast<double>(exponent + bias - 1) * (1 << mantissa_bits);
  return encoded >= infinity ? static_cast<uint16_t>(sign | infinity)
                             : static_cast<uint16_t>(sign | static_cast<uint16_t>(encoded));
}

struct Format {
  const char* name;
  int exponent_bits, mantissa_bits;
  float (*to_float)(uint16_t);
  uint16_t (*from_float)(float);
};

const Format kFormats[] = {{"half", 5, 10, HalfToFloat, FloatToHalf},
                           {"bfloat16", 8, 7, Bfloat16ToFloat, FloatToBfloat16}};

void CheckFloat(const Format& f, float x) {
  const uint16_t got = f.from_float(x);
  if (std::isnan(x)) {
    REQUIRE(std::isnan(f.to_float(got)));
    REQUIRE(std::signbit(f.to_float(got)) == std::signbit(x));
  } else if (got != Nearest(x, f.exponent_bits, f.mantissa_bits)) {
    FAIL(f.name << " of " << x << " (bits " << Bits(x) << "): got " << got << ", nearest is "
                << Nearest(x, f.exponent_bits, f.mantissa_bits));
  }
}

}  // namespace

TEST_CASE("every 16-bit float has its value and comes back") {
  for (const Format& f : kFormats) {
    INFO(f.name);
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      const uint16_t h = static_cast<uint16_t>(bits);
      const float value = f.to_float(h);
      const double expected = ValueOf(h, f.exponent_bits, f.mantissa_bits);
      if (std::isnan(expected)) {
        if (!std::isnan(value) || !std::isnan(f.to_float(f.from_float(value)))) FAIL("NaN lost: " << bits);
        continue;
      }
      if (static_cast<double>(value) != expected || std::signbit(value) != std::signbit(expected)) {
        FAIL(bits << " is " << value << ", expected " << expected);
      }
      if (f.from_float(value) != h) FAIL(bits << " comes back as " << f.from_float(value));
    }
  }
}

TEST_CASE("floats around every 16-bit value round to nearest even") {
  for (const Format& f : kFormats) {
    const uint16_t infinity = static_cast<uint16_t>(((1 << f.exponent_bits) - 1) << f.mantissa_bits);
    for (uint16_t h = 0; h < infinity; ++h) {
      const float low = f.to_float(h);
      const double next = h + 1 == infinity ? std::ldexp(1.0, 1 << (f.exponent_bits - 1)) : f.to_float(h + 1);
      const float middle = static_cast<float>((static_cast<double>(low) + next) / 2);
      for (const float x : {low, middle}) {
        for (const float y : {std::nextafter(x, -1.0f), x, std::nextafter(x, INFINITY)}) {
          CheckFloat(f, y);
          CheckFloat(f, -y);
        }
      }
    }
  }
}

TEST_CASE("random floats round to nearest even") {
  std::mt19937_64 random(11);
  for (const Format& f : kFormats) {
    for (int i = 0; i < 200000; ++i) {
      CheckFloat(f, Float(static_cast<uint32_t>(random())));
      // Exponents where half precision has its range.
      const uint32_t exponent = 90 + static_cast<uint32_t>(random() % 60);
      CheckFloat(f, Float((static_cast<uint32_t>(random()) & 0x807fffffu) | exponent << 23));
    }
  }
}

TEST_CASE("16-bit floats at the ends") {
  CHECK(FloatToHalf(65504.0f) == 0x7bff);
  CHECK(FloatToHalf(65519.99f) == 0x7bff);
  CHECK(FloatToHalf(65520.0f) == 0x7c00);
  CHECK(FloatToHalf(-INFINITY) == 0xfc00);
  CHECK(FloatToHalf(0x1p-24f) == 1);
  CHECK(FloatToHalf(0x1p-25f) == 0);  // a tie, to even
  CHECK(FloatToHalf(0x1.000002p-25f) == 1);
  CHECK(FloatToHalf(-0.0f) == 0x8000);
  CHECK(FloatToBfloat16(0x1.fep127f) == 0x7f7f);
  CHECK(FloatToBfloat16(0x1.ffp127f) == 0x7f80);
  // A NaN whose payload is all in the lower half stays one.
  CHECK(std::isnan(Bfloat16ToFloat(FloatToBfloat16(Float(0x7f800001u)))));
  CHECK(std::isnan(HalfToFloat(FloatToHalf(Float(0xff800001u)))));
}
