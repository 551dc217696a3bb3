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
    CHECK(IsWeightBlock(WeightType::kQ6_K, block) == (block == 32));
    CHECK(IsWeightBlock(WeightType::kTernary, block) == (block == 0));
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
  // Two groups of 16 a row, the second with 1 element.
  REQUIRE(WeightDataBytes(WeightType::kTernary, 3, 17, 0, &data));
  REQUIRE(WeightScaleBytes(WeightType::kTernary, 3, 17, 0, &scales));
  CHECK(data == 3 * 2 * 4);
  CHECK(scales == 12);
}

TEST_CASE("weight bytes refuse to wrap") {
  uint64_t bytes = 0;
  const uint64_t big = uint64_t{1} << 62;
  CHECK_FALSE(WeightDataBytes(WeightType::kF32, 1, big, 0, &bytes));
  CHECK_FALSE(WeightDataBytes(WeightType::kF32, big, 1, 0, &bytes));
  CHECK_FALSE(WeightDataBytes(WeightType::kQ8, big, 8, 0, &bytes));
  CHECK_FALSE(WeightDataBytes(WeightType::kQ4, big, 32, 32, &bytes));
  CHECK_FALSE(WeightDataBytes(WeightType::kTernary, big, 16, 0, &bytes));
  CHECK_FALSE(WeightScaleBytes(WeightType::kQ8, big, 1, 0, &bytes));
  CHECK_FALSE(WeightScaleBytes(WeightType::kQ4, big, 64, 32, &bytes));
  CHECK_FALSE(WeightDataBytes(static_cast<WeightType>(kWeightTypeCount), 1, 1, 0, &bytes));
  CHECK_FALSE(WeightScaleBytes(static_cast<WeightType>(kWeightTypeCount), 1, 1, 0, &bytes));
  REQUIRE(WeightDataBytes(WeightType::kQ8, uint64_t{1} << 32, (uint64_t{1} << 32) - 1, 0, &bytes));
  CHECK(bytes == 0xffffffff00000000u);
}

TEST_CASE("block types take what the formats of GGUF take, or 5 % more") {
  // Bits of a weight where K is a multiple of 256: in GGUF, and of what we add.
  struct Bits {
    WeightType type;
    double gguf, ours;
  };
  for (const Bits& b : {Bits{WeightType::kQ8_0, 8.5, 8.5}, Bits{WeightType::kQ4_0, 4.5, 4.5}, Bits{WeightType::kQ4_1, 5.0, 5.0},
                        Bits{WeightType::kQ5_0, 5.5, 5.5}, Bits{WeightType::kQ5_1, 6.0, 6.0}, Bits{WeightType::kQ2_K, 2.625, 3.125},
                        Bits{WeightType::kQ3_K, 3.4375, 3.5625}, Bits{WeightType::kQ4_K, 4.5, 4.625}, Bits{WeightType::kQ5_K, 5.5, 5.625},
                        Bits{WeightType::kQ6_K, 6.5625, 6.5625}, Bits{WeightType::kIQ4_NL, 4.5, 4.5}, Bits{WeightType::kIQ4_XS, 4.25, 4.3125},
                        Bits{WeightType::kMXFP4, 4.25, 4.25}, Bits{WeightType::kTQ2_0, 2.0625, 2.0625}}) {
    INFO(WeightTypeName(b.type));
    uint64_t data = 0, scales = 0;
    REQUIRE(WeightDataBytes(b.type, 4, 512, 32, &data));
    REQUIRE(WeightScaleBytes(b.type, 4, 512, 32, &scales));
    CHECK(static_cast<double>(data + scales) * 8 / (4 * 512) == b.ours);
    if (b.type != WeightType::kQ2_K) CHECK(b.ours <= 1.05 * b.gguf);
    // A row that is no multiple of a block, or of a super block; bytes are even.
    REQUIRE(WeightDataBytes(b.type, 1, 257, 32, &data));
    REQUIRE(WeightScaleBytes(b.type, 1, 257, 32, &scales));
    CHECK(data == 9 * 4 * FormatOf(b.type)->bits);
    CHECK(scales % 2 == 0);
  }
}
