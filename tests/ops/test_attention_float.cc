// Every float kernel that this CPU runs gives the bits of the portable one: whole attention over rows of every
// type, and the kernel's own functions at their edges.
#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "ops/lanes/half4.h"
#include "ops/tables/kernel_table.h"
#include "tests/ops/attention_case.h"
#include "tests/ops/attention_oracle.h"

using namespace thimble;
using namespace thimble::test;

namespace {

std::vector<const AttentionKernel*> Kernels() {
  std::vector<const AttentionKernel*> kernels;
  const CpuFeatures cpu = DetectCpu();
  for (const KernelTable* table : AllKernelTables()) {
    if (table->supported(cpu)) kernels.push_back(table->attention);
  }
  return kernels;
}

size_t Different(AttentionCase& c) {
  c.SetKernel(&kAttentionScalar);
  const std::vector<float> portable = c.Run(nullptr);
  size_t different = 0;
  for (const AttentionKernel* kernel : Kernels()) {
    c.SetKernel(kernel);
    different += !SameBits(portable, c.Run(nullptr));
  }
  return different;
}

size_t Different(Random& random, const AttentionOptions& options) {
  AttentionCase c(random, options);
  return Different(c);
}

AttentionOptions Rows(CacheType keys, CacheType values, size_t t, size_t group, size_t d, size_t positions) {
  AttentionOptions o = {.t = t, .heads = group, .kv_heads = 1, .d = d, .positions = positions};
  o.key_type = keys;
  o.value_type = values;
  return o;
}

}  // namespace

TEST_CASE("float kernels give the same bits on random problems") {
  Random random(60);
  size_t different = 0;
  for (size_t round = 0; round < 200; ++round) {
    AttentionOptions o = RandomAttention(random, 500);
    // At least one side is in float.
    (o.one_row || random.Integer(0, 1) != 0 ? o.key_type : o.value_type) =
        random.Pick({CacheType::kF32, CacheType::kF16});
    different += Different(random, o);
  }
  CHECK(different == 0);
}

TEST_CASE("float kernels give the same bits for every head width and group") {
  Random random(61);
  size_t different = 0;
  for (size_t d = 1; d <= 256; d += d < 70 ? 1 : 13) {
    different += Different(random, Rows(CacheType::kF16, CacheType::kF32, 1, 3, d, 37));
    different += Different(random, Rows(CacheType::kF32, CacheType::kQ8, 1, 1, d, 37));
  }
  for (size_t group = 1; group <= 33; ++group) {
    different += Different(random, Rows(CacheType::kF16, CacheType::kF16, 3, group, 48, 70));
  }
  CHECK(different == 0);
}

TEST_CASE("float kernels give the same bits for every length") {
  Random random(62);
  size_t different = 0;
  for (size_t positions = 1; positions <= 300; positions += positions < 70 ? 1 : 7) {
    different += Different(random, Rows(CacheType::kF16, CacheType::kQ8, 1, 4, 16, positions));
  }
  CHECK(different == 0);
}

TEST_CASE("float kernels give the same bits for extreme scores") {
  Random random(63);
  size_t different = 0;
  for (const CacheType type : {CacheType::kF32, CacheType::kF16}) {
    for (const float factor : {0.0f, 1e-30f, 300.0f, 1e6f}) {
      for (const bool equal : {false, true}) {
        AttentionOptions o = Rows(type, type, 3, 4, 64, 300);
        o.query_factor = factor;
        o.equal_keys = equal;
        o.zero_rows = !equal;
        o.position_bias = true;
        AttentionCase c(random, o);
        float* bias = const_cast<float*>(c.args().position_bias);
        for (size_t j = 0; j < 300; ++j) {
          // All of a tile, most of another.
          if (j < 40 || j % 5 == 0) bias[j] = -std::numeric_limits<float>::infinity();
        }
        different += Different(c);
      }
    }
  }
  CHECK(different == 0);
}

TEST_CASE("float kernels against the oracle") {
  Random random(64);
  for (const AttentionKernel* kernel : Kernels()) {
    for (const size_t d : std::vector<size_t>{16, 40, 256}) {
      AttentionCase c(random, Rows(CacheType::kF16, CacheType::kF32, 2, 9, d, 1000));
      c.SetKernel(kernel);
      const std::vector<float> out = c.Run(nullptr);
      const std::vector<double> expected = AttentionOracle(c.args());
      Worst worst;
      for (size_t i = 0; i < out.size(); ++i) worst.See(std::fabs(out[i] - expected[i]), i);
      CHECK(worst.error < 3e-6);
    }
  }
}

TEST_CASE("a masked tile leaves no trace") {
  for (const AttentionKernel* kernel : Kernels()) {
    const AttentionFloatKernel& k = *kernel->floats;
    const float nothing = -std::numeric_limits<float>::infinity();
    std::vector<float> scores(kFloatTileRows, nothing), state(kStateHead + 16, 3.0f);
    state[0] = nothing;
    state[1] = 0.0f;
    const AttentionStates states = {.states = state.data(), .stride = state.size(), .rows = 1};
    k.softmax(scores.data(), 19, 16, &states);
    CHECK(state[0] == nothing);
    CHECK(state[1] == 0.0f);
    for (size_t j = 0; j < 19; ++j) CHECK(scores[j] == 0.0f);
    scores.assign(kFloatTileRows, nothing);
    scores[4] = 2.0f;
    k.softmax(scores.data(), 19, 16, &states);
    CHECK(state[0] == 2.0f);
    CHECK(state[1] == 1.0f);
    for (size_t j = 0; j < 19; ++j) CHECK(scores[j] == (j == 4 ? 1.0f : 0.0f));
    for (size_t i = 0; i < 16; ++i) CHECK(state[kStateHead + i] == 0.0f);
  }
}

TEST_CASE("float kernels decode halves exactly") {
  for (const AttentionKernel* kernel : Kernels()) {
    size_t different = 0;
    for (const size_t d : std::vector<size_t>{1, 15, 16, 17, 64}) {
      const size_t d16 = (d + 15) / 16 * 16, rows = 3;
      for (uint32_t first = 0; first < 0x10000; first += static_cast<uint32_t>(rows * d)) {
        Block halves(rows * d * 2);
        std::vector<float> tile(rows * d16, 5.0f);
        const auto half = [&](size_t i) { return static_cast<uint16_t>(first + i); };
        for (size_t i = 0; i < rows * d; ++i) halves.As<uint16_t>()[i] = half(i);
        kernel->floats->decode_f16(halves.As<uint8_t>(), d, rows, tile.data());
        for (size_t j = 0; j < rows; ++j) {
          for (size_t i = 0; i < d16; ++i) {
            const float expected = i < d ? HalfToFloat(half(j * d + i)) : 0.0f, got = tile[j * d16 + i];
            if (expected == expected) {
              different += std::bit_cast<uint32_t>(expected) != std::bit_cast<uint32_t>(got);
            } else {
              different += got == got;
            }
          }
        }
        if (d < 15) first += 7;  // not every half for the narrowest
      }
    }
    CHECK(different == 0);
  }
}

TEST_CASE("four halves at a time are the halves of one at a time") {
  size_t different = 0;
  for (uint64_t bits = 0; bits < 0x100000000u; bits += 4093) {
    float x[5];
    uint16_t half[5];
    for (uint32_t i = 0; i < 5; ++i) x[i] = std::bit_cast<float>(static_cast<uint32_t>(bits) + 97 * i);
    FloatsToHalves(x, 5, half);
    for (size_t i = 0; i < 5; ++i) different += half[i] != FloatToHalf(x[i]);
  }
  for (uint32_t h = 0; h < 0x10000; ++h) {
    // Around every tie.
    const uint32_t middle = std::bit_cast<uint32_t>(HalfToFloat(static_cast<uint16_t>(h))) + 0x1000;
    float x[4];
    uint16_t half[4];
    for (uint32_t i = 0; i < 4; ++i) x[i] = std::bit_cast<float>(middle - 1 + i);
    FloatsToHalves(x, 4, half);
    for (size_t i = 0; i < 4; ++i) different += half[i] != FloatToHalf(x[i]);
  }
  CHECK(different == 0);
}
