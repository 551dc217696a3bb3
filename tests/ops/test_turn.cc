// The turn against the Walsh-Hadamard matrix written down; it keeps lengths, undoes itself, and spreads what is large.
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>

#include "ops/linear/turn.h"
#include "ops/tables/kernel_table.h"
#include "tests/ops/support.h"

using namespace thimble;
using namespace thimble::test;

TEST_CASE("a turn is the product with the orthonormal Walsh-Hadamard matrix, block by block") {
  Random random(6);
  for (size_t block = 2; block <= 1024; block *= 2) {
    for (const size_t blocks : {1, 3}) {
      const std::vector<float> x = random.Normals(block * blocks);
      std::vector<float> y = x;
      Turn(y.data(), y.size(), block);
      double worst = 0;
      for (size_t i = 0; i < y.size(); ++i) {
        double sum = 0;
        for (size_t j = 0; j < block; ++j) {
          const double v = static_cast<double>(x[i / block * block + j]);
          sum += std::popcount(i % block & j) % 2 == 0 ? v : -v;
        }
        worst = std::max(worst, std::fabs(static_cast<double>(y[i]) - sum / std::sqrt(static_cast<double>(block))));
      }
      INFO(block);
      CHECK(worst < 2e-6);
      Turn(y.data(), y.size(), block);
      for (size_t i = 0; i < y.size(); ++i) worst = std::max(worst, std::fabs(static_cast<double>(y[i]) - static_cast<double>(x[i])));
      CHECK(worst < 3e-6);
    }
  }
}

TEST_CASE("every table turns with the portable bits") {
  Random random(8);
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->supported(DetectCpu())) continue;
    for (size_t block = 2; block <= 4096; block *= 2) {
      const std::vector<float> x = random.Normals(block * 3);
      std::vector<float> portable = x, own = x;
      Turn(portable.data(), x.size(), block);
      table->turn(own.data(), x.size(), block);
      INFO(table->name << ", blocks of " << block);
      CHECK(std::memcmp(portable.data(), own.data(), x.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("a turn spreads an outlier of a thousand times the rest over its block") {
  Random random(7);
  std::vector<float> x = random.Normals(512);
  x[77] = 1000.0f;
  Turn(x.data(), x.size(), 512);
  float largest = 0, smallest = INFINITY;
  for (const float v : x) largest = std::max(largest, std::fabs(v)), smallest = std::min(smallest, std::fabs(v));
  CHECK(largest < 50.0f);  // 1000 / sqrt(512) is 44.2
  CHECK(smallest > 38.0f);
}

TEST_CASE("the block of a width is the largest power of two that divides it") {
  CHECK(TurnBlock(576) == 64);
  CHECK(TurnBlock(2048) == 2048);
  CHECK(TurnBlock(5632) == 512);
  CHECK(TurnBlock(1) == 1);
  CHECK(TurnBlock(33) == 1);
}
