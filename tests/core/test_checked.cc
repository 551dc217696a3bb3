// Checked arithmetic at the edges of 64 bits, against the room that is left: compilers for 32 bits have no wider numbers.
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <random>
#include <vector>

#include "runtime/core/checked.h"

using namespace thimble;

namespace {

constexpr uint64_t kMax = UINT64_MAX;

// Values around every power of two, and a few random ones.
std::vector<uint64_t> Edges() {
  std::vector<uint64_t> out = {0, 1, 2, 3, kMax, kMax - 1, kMax - 63, kMax - 64, kMax / 2, kMax / 3};
  for (int bit = 2; bit < 64; bit += 3) {
    const uint64_t power = uint64_t{1} << bit;
    out.insert(out.end(), {power - 1, power, power + 1});
  }
  std::mt19937_64 random(5);
  for (int i = 0; i < 20; ++i) out.push_back(random() >> (random() % 64));
  return out;
}

}  // namespace

TEST_CASE("checked add and multiply give what fits, and refuse the rest") {
  for (const uint64_t a : Edges()) {
    for (const uint64_t b : Edges()) {
      uint64_t out = 0;
      const bool sum_fits = b <= kMax - a, product_fits = a == 0 || b <= kMax / a;
      REQUIRE(CheckedAdd(a, b, &out) == sum_fits);
      if (sum_fits) REQUIRE(out == a + b);
      REQUIRE(CheckedMul(a, b, &out) == product_fits);
      if (product_fits) REQUIRE(out == a * b);
    }
  }
}

TEST_CASE("checked align-up rounds up or refuses") {
  for (const uint64_t value : Edges()) {
    for (int bit = 0; bit < 64; ++bit) {
      const uint64_t alignment = uint64_t{1} << bit;
      uint64_t out = 0;
      const uint64_t missing = value % alignment == 0 ? 0 : alignment - value % alignment;
      REQUIRE(CheckedAlignUp(value, alignment, &out) == (missing <= kMax - value));
      if (missing <= kMax - value) REQUIRE(out == value + missing);
    }
  }
}

TEST_CASE("range checks never wrap") {
  for (const uint64_t offset : Edges()) {
    for (const uint64_t size : Edges()) {
      for (const uint64_t total :
           {uint64_t{0}, uint64_t{1}, uint64_t{64}, uint64_t{1} << 40, kMax - 1, kMax}) {
        REQUIRE(RangeFits(offset, size, total) == (offset <= total && size <= total - offset));
      }
    }
  }
}

TEST_CASE("sizes fit size_t or are refused") {
  size_t out = 0;
  CHECK(CheckedSize(0, &out));
  CHECK(CheckedSize(SIZE_MAX, &out));
  CHECK(out == SIZE_MAX);
  if constexpr (SIZE_MAX < UINT64_MAX) CHECK_FALSE(CheckedSize(uint64_t{SIZE_MAX} + 1, &out));
}

TEST_CASE("rounding of checked dimensions") {
  CHECK(RoundUp(0, 64) == 0);
  CHECK(RoundUp(1, 64) == 64);
  CHECK(RoundUp(64, 64) == 64);
  CHECK(RoundUp(65, 3) == 66);
  CHECK(CeilDiv(0, 7) == 0);
  CHECK(CeilDiv(7, 7) == 1);
  CHECK(CeilDiv(8, 7) == 2);
}
