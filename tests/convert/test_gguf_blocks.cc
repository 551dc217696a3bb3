// Blocks of GGUF's types against formulas written out element by element, each operation rounded to single
// precision; and blocks made by hand whose numbers can be worked out on paper.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <random>

#include "targets/convert/gguf_blocks.h"
#include "runtime/core/float16.h"

using namespace thimble;

namespace {

using Block = std::vector<uint8_t>;

double Half(const Block& b, size_t at) { return HalfToFloat(static_cast<uint16_t>(b[at] | b[at + 1] << 8)); }
// Products and sums of two floats are exact enough in double that one rounding gives the float operation's
// result.
double Round(double value) { return static_cast<float>(value); }
int Bits(const Block& b, size_t byte, size_t first, size_t count) {
  return (b[byte] >> first) & ((1 << count) - 1);
}

// The element of a block of 32: five-bit types have their fifth bits from byte `high` on.
double Simple(const Block& b, size_t e, size_t quants, size_t high, int offset, bool has_minimum) {
  int q = Bits(b, quants + e % 16, e < 16 ? 0 : 4, 4);
  if (high != 0) q += 16 * Bits(b, high + e / 8, e % 8, 1);
  const double product = Round(Half(b, 0) * (q - offset));
  return has_minimum ? Round(product + Half(b, 2)) : product;
}

double Q2(const Block& b, size_t e) {
  const size_t half = e / 128, pair = e % 128 / 32;
  const int q = Bits(b, 16 + half * 32 + e % 32, 2 * pair, 2);
  return Round(Round(Round(Half(b, 80) * Bits(b, e / 16, 0, 4)) * q) -
               Round(Half(b, 82) * Bits(b, e / 16, 4, 4)));
}

double Q3(const Block& b, size_t e) {
  const size_t half = e / 128, pair = e % 128 / 32, g = e / 16;
  const int q = Bits(b, 32 + half * 32 + e % 32, 2 * pair, 2) + 4 * Bits(b, e % 32, half * 4 + pair, 1) - 4;
  const int scale = Bits(b, 96 + g % 8, g < 8 ? 0 : 4, 4) + 16 * Bits(b, 96 + 8 + g % 4, g / 4 * 2, 2) - 32;
  return Round(Round(Half(b, 108) * scale) * q);
}

int KScale(const Block& b, size_t g, bool minimum) {
  const size_t s = 4;
  if (g < 4) return Bits(b, s + g + (minimum ? 4 : 0), 0, 6);
  return Bits(b, s + 4 + g, minimum ? 4 : 0, 4) + 16 * Bits(b, s + g - (minimum ? 0 : 4), 6, 2);
}

double Q45(const Block& b, size_t e, bool five) {
  const size_t g = e / 32;
  int q = Bits(b, (five ? 48 : 16) + e / 64 * 32 + e % 32, e % 64 < 32 ? 0 : 4, 4);
  if (five) q += 16 * Bits(b, 16 + e % 32, g, 1);
  return Round(Round(Round(Half(b, 0) * KScale(b, g, false)) * q) - Round(Half(b, 2) * KScale(b, g, true)));
}

double Q6(const Block& b, size_t e) {
  const size_t half = e / 128, r = e % 128;
  const int low = Bits(b, half * 64 + r % 64, r < 64 ? 0 : 4, 4),
            high = Bits(b, 128 + half * 32 + r % 32, r / 32 * 2, 2);
  return Round(Round(Half(b, 208) * static_cast<int8_t>(b[192 + e / 16])) * (low + 16 * high - 32));
}

double Expected(const std::string& type, const Block& b, size_t e) {
  if (type == "Q4_0") return Simple(b, e, 2, 0, 8, false);
  if (type == "Q4_1") return Simple(b, e, 4, 0, 0, true);
  if (type == "Q5_0") return Simple(b, e, 6, 2, 16, false);
  if (type == "Q5_1") return Simple(b, e, 8, 4, 0, true);
  if (type == "Q8_0") return Round(Half(b, 0) * static_cast<int8_t>(b[2 + e]));
  if (type == "Q2_K") return Q2(b, e);
  if (type == "Q3_K") return Q3(b, e);
  if (type == "Q4_K") return Q45(b, e, false);
  if (type == "Q5_K") return Q45(b, e, true);
  if (type == "Q6_K") return Q6(b, e);
  FAIL("no formula for " << type);
  return 0;
}

// Where the half-precision scales of a type lie.
std::vector<size_t> ScalesOf(const std::string& type) {
  if (type == "Q2_K") return {80, 82};
  if (type == "Q3_K") return {108};
  if (type == "Q6_K") return {208};
  if (type == "Q4_0" || type == "Q5_0" || type == "Q8_0") return {0};
  return {0, 2};
}

}  // namespace

TEST_CASE("quantised blocks: every type and element is the formula's number, bit by bit") {
  std::mt19937 random(5);
  for (const uint32_t number : {2u, 3u, 6u, 7u, 8u, 10u, 11u, 12u, 13u, 14u}) {
    const GgufBlockType* type = FindGgufBlockType(number);
    REQUIRE(type != nullptr);
    INFO(type->name);
    constexpr size_t kBlocks = 40;
    std::vector<uint8_t> bytes;
    std::vector<float> out(kBlocks * type->elements);
    for (size_t i = 0; i < kBlocks * type->bytes; ++i) bytes.push_back(static_cast<uint8_t>(random()));
    for (size_t i = 0; i < kBlocks; ++i) {
      for (const size_t at : ScalesOf(type->name)) {
        uint8_t& top = bytes[i * type->bytes + at + 1];
        if ((top & 0x7c) == 0x7c) top &= 0xbf;  // neither infinite nor NaN
      }
    }
    DecodeGgufBlocks(*type, bytes.data(), kBlocks, out.data());
    size_t wrong = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(i / type->elements * type->bytes);
      const Block block(begin, begin + type->bytes);
      const float expected = static_cast<float>(Expected(type->name, block, i % type->elements));
      wrong += out[i] != expected;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("blocks made by hand") {
  float out[256];
  // Scale 2 (0x4000), bytes 0x80: low halves 0 - 8, high halves 8 - 8.
  Block q4_0(18, 0x80);
  q4_0[0] = 0x00, q4_0[1] = 0x40;
  DecodeGgufBlocks(*FindGgufBlockType(2), q4_0.data(), 1, out);
  CHECK((out[0] == -16 && out[15] == -16 && out[16] == 0 && out[31] == 0));
  // Scale 0.5 (0x3800), values -3, -2, ...
  Block q8_0(34);
  q8_0[1] = 0x38;
  for (int i = 0; i < 32; ++i) q8_0[static_cast<size_t>(2 + i)] = static_cast<uint8_t>(i - 3);
  DecodeGgufBlocks(*FindGgufBlockType(8), q8_0.data(), 1, out);
  CHECK((out[0] == -1.5f && out[3] == 0 && out[31] == 14));
  // Q6_K: scale 1, one group with scale -2 and all bits set: (63 - 32) * -2.
  Block q6(210, 0xff);
  q6[208] = 0x00, q6[209] = 0x3c;
  for (size_t g = 0; g < 16; ++g) q6[192 + g] = g == 5 ? static_cast<uint8_t>(-2) : 1;
  DecodeGgufBlocks(*FindGgufBlockType(14), q6.data(), 1, out);
  CHECK((out[79] == 31 && out[80] == -62 && out[95] == -62 && out[96] == 31));
  // Q4_K: d 1, dmin 1/2; group 6 has scale 63 and minimum 63, the others 0.
  Block q4(144);
  q4[1] = 0x3c, q4[3] = 0x38;
  q4[4 + 2] = 0xc0, q4[4 + 6] = 0xc0, q4[4 + 10] = 0xff;
  for (size_t i = 16; i < 144; ++i) q4[i] = 0x12;
  DecodeGgufBlocks(*FindGgufBlockType(12), q4.data(), 1, out);
  CHECK((out[191] == 0 && out[192] == 2 * 63 - 31.5f && out[223] == 2 * 63 - 31.5f && out[224] == 0));
  // Q3_K without third bits and with scales of 33 - 32: 1 * (2 - 4).
  Block q3(110);
  for (size_t i = 32; i < 96; ++i) q3[i] = 0xaa;
  for (size_t i = 0; i < 8; ++i) q3[96 + i] = 0x11;
  for (size_t i = 8; i < 12; ++i) q3[96 + i] = 0xaa;
  q3[109] = 0x3c;
  DecodeGgufBlocks(*FindGgufBlockType(11), q3.data(), 1, out);
  CHECK((out[0] == -2 && out[255] == -2));
}

TEST_CASE("plain types, and types that are known but not read") {
  float out = 0;
  const uint8_t half[] = {0x00, 0xbc}, brain[] = {0x80, 0x3f};
  DecodeGgufBlocks(*FindGgufBlockType(1), half, 1, &out);
  CHECK(out == -1);
  DecodeGgufBlocks(*FindGgufBlockType(30), brain, 1, &out);
  CHECK(out == 1);
  const double number = 0.1;
  DecodeGgufBlocks(*FindGgufBlockType(28), reinterpret_cast<const uint8_t*>(&number), 1, &out);
  CHECK(out == 0.1f);
  CHECK(FindGgufBlockType(17) == nullptr);
  CHECK(GgufTypeName(17) == "IQ2_XS");
  CHECK(GgufTypeName(14) == "Q6_K");
  CHECK(GgufTypeName(4) == "number 4");
}
