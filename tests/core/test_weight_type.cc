// Sizes of the portable weight layout, and that they refuse to wrap.
#include <catch2/catch_test_macros.hpp>
#include <string_view>

#include "runtime/core/weight_type.h"

using namespace thimble;

TEST_CASE("blocks that a weight type knows") {
  for (uint32_t block = 0; block <= 256; ++block) {
    CHECK(IsWeightBlock(WeightType::kF32, block) == (block == 0));
    CHECK(IsWeightBlock(WeightType::kQ8, block) == (block == 0));
    CHECK(IsWeightBlock(WeightType::kQ4, block) == (block == 32 || block == 64 || block == 128));
  }
}

TEST_CASE("weight types have a row of the table each") {
  CHECK(std::string_view(WeightTypeName(WeightType::kF32)) == "f32");
  CHECK(std::string_view(WeightTypeName(WeightType::kQ8)) == "q8");
  CHECK(std::string_view(WeightTypeName(WeightType::kQ4)) == "q4");
  CHECK(IsWeightType(static_cast<WeightType>(kWeightTypeCount - 1)));
  CHECK_FALSE(IsWeightType(static_cast<WeightType>(kWeightTypeCount)));
  CHECK(std::string_view(WeightTypeName(static_cast<WeightType>(kWeightTypeCount))).empty());
}

TEST_CASE("weight bytes") {
  uint64_t data = 0, scales = 0;
  REQUIRE(WeightDataBytes(WeightType::kF32, 3, 5, 0, &data));
  REQUIRE(WeightScaleBytes(WeightType::kF32, 3, 5, 0, &scales));
  CHECK(data == 60);
  CHECK(scales == 0);
  REQUIRE(WeightDataBytes(WeightType::kQ8, 3, 5, 0, &data));
  REQUIRE(WeightScaleBytes(WeightType::kQ8, 3, 5, 0, &scales));
  CHECK(data == 15);
  CHECK(scales == 12);
  // Two blocks a row, the second with 1 of its 32 elements.
  REQUIRE(WeightDataBytes(WeightType::kQ4, 3, 33, 32, &data));
  REQUIRE(WeightScaleBytes(WeightType::kQ4, 3, 33, 32, &scales));
  CHECK(data == 3 * 2 * 16);
  CHECK(scales == 3 * 2 * 2);
  REQUIRE(WeightDataBytes(WeightType::kQ4, 1, 128, 128, &data));
  CHECK(data == 64);
}

TEST_CASE("weight bytes refuse to wrap") {
  uint64_t bytes = 0;
  const uint64_t big = uint64_t{1} << 62;
  CHECK_FALSE(WeightDataBytes(WeightType::kF32, 1, big, 0, &bytes));
  CHECK_FALSE(WeightDataBytes(WeightType::kF32, big, 1, 0, &bytes));
  CHECK_FALSE(WeightDataBytes(WeightType::kQ8, big, 8, 0, &bytes));
  CHECK_FALSE(WeightDataBytes(WeightType::kQ4, big, 32, 32, &bytes));
  CHECK_FALSE(WeightScaleBytes(WeightType::kQ8, big, 1, 0, &bytes));
  CHECK_FALSE(WeightScaleBytes(WeightType::kQ4, big, 64, 32, &bytes));
  CHECK_FALSE(WeightDataBytes(static_cast<WeightType>(7), 1, 1, 0, &bytes));
  CHECK_FALSE(WeightScaleBytes(static_cast<WeightType>(7), 1, 1, 0, &bytes));
  REQUIRE(WeightDataBytes(WeightType::kQ8, uint64_t{1} << 32, (uint64_t{1} << 32) - 1, 0, &bytes));
  CHECK(bytes == 0xffffffff00000000u);
}
