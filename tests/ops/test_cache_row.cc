// Cache rows: sizes, error bounds, odd widths, extremes, neighbours untouched.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "ops/cache/cache_row.h"
#include "runtime/core/float16.h"
#include "tests/ops/support.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr CacheType kTypes[] = {CacheType::kF32, CacheType::kF16, CacheType::kQ8, CacheType::kQ4};

// As the row before last of a few; the block ends with the last. The others must not change.
std::vector<float> RoundTrip(CacheType type, const std::vector<float>& x) {
  const size_t d = x.size(), row_bytes = CacheRowBytes(type, d);
  const size_t rows = static_cast<size_t>(CacheRowsTaken(type, 18)), position = rows - 2;
  const Block block(rows * row_bytes), before(rows * row_bytes);
  StoreCacheRow(type, x.data(), d, position, block.As<void>());
  std::vector<float> y(d);
  LoadCacheRow(type, block.As<void>(), position, d, y.data());
  size_t changed = 0;
  for (size_t i = 0; i < rows * row_bytes; ++i) {
    changed += block.As<uint8_t>()[i] != before.As<uint8_t>()[i];
  }
  CHECK(changed <= row_bytes);
  for (const size_t other : {position - 1, position + 1}) {
    std::vector<float> a(d), b(d);
    LoadCacheRow(type, block.As<void>(), other, d, a.data());
    LoadCacheRow(type, before.As<void>(), other, d, b.data());
    CHECK(SameBits(a, b));
  }
  return y;
}

}  // namespace

TEST_CASE("cache rows have the stated sizes") {
  CHECK(CacheRowBytes(CacheType::kF32, 64) == 256);
  CHECK(CacheRowBytes(CacheType::kF16, 64) == 128);
  CHECK(CacheRowBytes(CacheType::kQ8, 64) == 68);
  CHECK(CacheRowBytes(CacheType::kQ8, 65) == 72);
  CHECK(CacheRowsTaken(CacheType::kQ8, 0) == 0);
  CHECK(CacheRowsTaken(CacheType::kQ8, 17) == 32);
  CHECK(CacheRowsTaken(CacheType::kQ4, 17) == 32);
  CHECK(CacheRowBytes(CacheType::kQ4, 64) == 36);
  CHECK(CacheRowBytes(CacheType::kQ4, 7) == 7);
  CHECK(CacheRowBytes(CacheType::kQ4, 33) == 24);
}

TEST_CASE("cache rows come back within their error bounds") {
  Random random(8);
  Worst f16, q8, q4;
  double q4_error = 0, q4_power = 0;
  for (size_t d = 1; d <= 260; d += random.Integer(1, 5)) {
    const float factor = random.Pick({1.0f, 1e-3f, 300.0f});
    const std::vector<float> x = random.Normals(d, factor);
    float largest = 0;
    for (const float v : x) largest = std::fmax(largest, std::fabs(v));
    CHECK(SameBits(RoundTrip(CacheType::kF32, x), x));
    const std::vector<float> half = RoundTrip(CacheType::kF16, x), eight = RoundTrip(CacheType::kQ8, x),
                             four = RoundTrip(CacheType::kQ4, x);
    for (size_t i = 0; i < d; ++i) {
      f16.See(std::fabs(half[i] - x[i]) / (std::fabs(x[i]) * 0x1p-11 + 3e-8));
      q8.See(std::fabs(eight[i] - x[i]) / (largest / 127.0));
      const size_t group = i / kCacheQ4Group * kCacheQ4Group;
      float group_largest = 0;
      for (size_t j = group; j < d && j < group + kCacheQ4Group; ++j) {
        group_largest = std::fmax(group_largest, std::fabs(x[j]));
      }
      // Clipping an extreme may cost more than half a step.
      q4.See(std::fabs(four[i] - x[i]) / group_largest);
      q4_error += std::pow((four[i] - x[i]) / factor, 2);
      q4_power += std::pow(x[i] / factor, 2);
    }
  }
  CHECK(f16.error <= 1.0);
  CHECK(q8.error <= 0.5 * 127 / 112 + 0.001);  // narrow rows may take larger steps
  CHECK(q4.error <= 0.22);
  // Root mean square of the error against that of normal numbers.
  CHECK(std::sqrt(q4_error / q4_power) < 0.085);
}

TEST_CASE("every half comes back as the one that core knows") {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  std::vector<float> x(halves.size());
  LoadCacheRow(CacheType::kF16, halves.data(), 0, x.size(), x.data());
  size_t wrong = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const float expected = HalfToFloat(halves[i]);
    wrong += std::memcmp(&x[i], &expected, sizeof expected) != 0;
  }
  CHECK(wrong == 0);
}

TEST_CASE("cache rows of zeros, of one value and of extremes") {
  for (const CacheType type : kTypes) {
    for (const size_t d : std::vector<size_t>{1, 5, 32, 64, 100}) {
      const std::vector<float> zeros(d, 0.0f);
      CHECK(SameBits(RoundTrip(type, zeros), zeros));
      for (const float value : {1.0f, -3.5f, 1e4f, -1e-3f}) {
        const std::vector<float> y = RoundTrip(type, std::vector<float>(d, value));
        for (const float v : y) CHECK(std::fabs(v / value - 1.0f) < (type == CacheType::kQ4 ? 4e-3f : 2e-3f));
      }
      // Nothing that a broken model may produce is undefined, whatever comes back.
      const float infinity = std::numeric_limits<float>::infinity();
      RoundTrip(type, std::vector<float>(d, std::numeric_limits<float>::quiet_NaN()));
      RoundTrip(type, std::vector<float>(d, infinity));
      RoundTrip(type, std::vector<float>(d, -infinity));
      RoundTrip(type, std::vector<float>(d, std::numeric_limits<float>::max()));
      RoundTrip(type, std::vector<float>(d, std::numeric_limits<float>::denorm_min()));
    }
  }
}

TEST_CASE("narrow int8 rows are closer than the plain scale makes them, wide ones take it") {
  Random random(10);
  for (const size_t d : std::vector<size_t>{8, 16, 64}) {
    double searched = 0, plain = 0;
    for (size_t round = 0; round < 300; ++round) {
      const std::vector<float> x = random.Normals(d);
      const std::vector<float> y = RoundTrip(CacheType::kQ8, x);
      float largest = 0;
      for (const float v : x) largest = std::fmax(largest, std::fabs(v));
      for (size_t i = 0; i < d; ++i) {
        const float scale = largest / 127.0f;
        searched += std::pow(y[i] - x[i], 2);
        plain += std::pow(std::nearbyint(x[i] / scale) * scale - x[i], 2);
      }
    }
    INFO("d " << d);
    CHECK(searched < (d == 8 ? 0.7 : d == 16 ? 0.85 : 1.001) * plain);
  }
}

TEST_CASE("the search of int4 scales beats the plain scale") {
  Random random(9);
  double searched = 0, plain = 0;
  for (size_t round = 0; round < 200; ++round) {
    const std::vector<float> x = random.Normals(kCacheQ4Group);
    const std::vector<float> y = RoundTrip(CacheType::kQ4, x);
    float largest = 0;
    for (const float v : x) largest = std::fmax(largest, std::fabs(v));
    for (size_t i = 0; i < x.size(); ++i) {
      const float scale = largest / 7.0f;
      searched += std::pow(y[i] - x[i], 2);
      plain += std::pow(std::nearbyint(x[i] / scale) * scale - x[i], 2);
    }
  }
  CHECK(searched < 0.8 * plain);
}

TEST_CASE("a cache row taken out and put in elsewhere is the same row, and no other changes") {
  Random random(9);
  size_t wrong = 0;
  for (const CacheType type : kTypes) {
    for (const size_t d : std::vector<size_t>{1, 5, 16, 33, 64, 129}) {
      const size_t row_bytes = CacheRowBytes(type, d), rows = static_cast<size_t>(CacheRowsTaken(type, 48));
      const Block from(rows * row_bytes), to(rows * row_bytes), before(rows * row_bytes), bytes(row_bytes), again(row_bytes);
      const std::vector<float> x = random.Normals(d);
      const size_t source = random.Integer(0, 47), target = random.Integer(1, 46);
      StoreCacheRow(type, x.data(), d, source, from.As<void>());
      TakeOutCacheRow(type, from.As<void>(), source, d, bytes.As<void>());
      PutInCacheRow(type, bytes.As<void>(), d, target, to.As<void>());
      TakeOutCacheRow(type, to.As<void>(), target, d, again.As<void>());
      wrong += std::memcmp(bytes.As<void>(), again.As<void>(), row_bytes) != 0;
      std::vector<float> a(d), b(d);
      LoadCacheRow(type, from.As<void>(), source, d, a.data());
      LoadCacheRow(type, to.As<void>(), target, d, b.data());
      wrong += !SameBits(a, b);
      size_t changed = 0;
      for (size_t i = 0; i < rows * row_bytes; ++i) changed += to.As<uint8_t>()[i] != before.As<uint8_t>()[i];
      wrong += changed > row_bytes;
      for (const size_t other : {target - 1, target + 1}) {
        LoadCacheRow(type, to.As<void>(), other, d, a.data());
        LoadCacheRow(type, before.As<void>(), other, d, b.data());
        wrong += !SameBits(a, b);
      }
    }
  }
  CHECK(wrong == 0);
}
