// The layouts of packed weights, of every instruction set on any machine: back and forth without loss, the same bytes
// everywhere, from one to another, and rows read out of them.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "ops/linear/embed.h"
#include "ops/linear/packing/layouts.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

namespace {

struct Shape {
  uint32_t n, k, block;
};

constexpr Shape kShapes[] = {{1, 1, 32}, {16, 64, 64}, {33, 195, 32}, {17, 130, 128}, {50, 31, 64}, {18, 700, 32}};

std::vector<uint8_t> Pack(const PackedLayout& layout, const WeightRows& rows, const float* bias,
                          ThreadPool* pool = nullptr) {
  // What lay there before must not matter.
  std::vector<uint8_t> packed(PackedBytes(layout, rows.n, rows.k, rows.block), 0xa5);
  PackRows(layout, rows, bias, packed.data(), pool);
  return packed;
}

template <typename F>
void ForEveryLayout(F f) {
  for (const PackedLayout* layout : AllPackedLayouts()) {
    INFO(layout->key.packer << " " << layout->key.nr << "x" << layout->key.kr << "s" << layout->key.sr);
    f(*layout);
  }
}

bool Equal(const void* a, const void* b, size_t bytes) { return bytes == 0 || std::memcmp(a, b, bytes) == 0; }

// FNV-1a: enough to pin bytes.
uint64_t Hash(const std::vector<uint8_t>& bytes) {
  uint64_t h = 0xcbf29ce484222325;
  for (const uint8_t byte : bytes) h = (h ^ byte) * 0x100000001b3;
  return h;
}

}  // namespace

TEST_CASE("packing: keys and tables are complete, and named once") {
  for (const PackedLayout* a : AllPackedLayouts()) {
    CHECK(std::strlen(a->key.packer) <= 31);
    for (const PackedLayout* b : AllPackedLayouts()) CHECK((a == b) == (a->type == b->type && a->key == b->key));
  }
  for (const TablePacking& table : AllTablePackings()) {
    CHECK(FindTablePacking(table.name) == &table);
    for (const WeightType type : AllWeightTypes()) {
      const PackedLayout* layout = table.Layout(type);
      if (FormatOf(type) == nullptr) CHECK((layout == nullptr) == (std::strcmp(table.name, "portable") == 0));
      if (layout == nullptr) continue;
      CHECK(layout->type == type);
      CHECK(std::find(AllPackedLayouts().begin(), AllPackedLayouts().end(), layout) != AllPackedLayouts().end());
    }
  }
  CHECK(FindTablePacking("scalar") == FindTablePacking("portable"));
  CHECK(FindTablePacking("avx") == nullptr);
}

TEST_CASE("packing: rows come back as they were, and rows are read in place") {
  Pool pool(3);
  Random random(31);
  ForEveryLayout([&](const PackedLayout& layout) {
    for (const Shape& shape : kShapes) {
      const Weights weights(random, layout.type, shape.n, shape.k, shape.block);
      const WeightRows rows = weights.rows();
      INFO(rows.n << " " << rows.k << " " << rows.block);
      const std::vector<float> bias = random.Normals(rows.n);
      const std::vector<uint8_t> packed = Pack(layout, rows, bias.data());
      CHECK(packed == Pack(layout, rows, bias.data(), pool.get()));

      uint64_t data_bytes = 0, scale_bytes = 0;
      REQUIRE(WeightDataBytes(rows.type, rows.n, rows.k, rows.block, &data_bytes));
      REQUIRE(WeightScaleBytes(rows.type, rows.n, rows.k, rows.block, &scale_bytes));
      std::vector<uint8_t> data(data_bytes), scales(scale_bytes);
      std::vector<float> bias_out(rows.n);
      const WeightRows described = {.type = rows.type, .n = rows.n, .k = rows.k, .block = rows.block};
      std::fill(scales.begin(), scales.end(), uint8_t{0xa5});
      UnpackRows(layout, described, packed.data(), 0, rows.n, {data.data(), scales.data(), bias_out.data()}, pool.get());
      CHECK(Equal(data.data(), rows.data, data_bytes));
      CHECK(Equal(scales.data(), rows.scales, scale_bytes));
      CHECK(bias_out == bias);

      const LinearKernel kernel = {.name = "", .type = layout.type, .layout = &layout, .input = {nullptr}, .row_tile = 1,
                                   .column_tile = 1, .run = nullptr};
      const Linear op = {.kernel = &kernel, .rows = described, .bias = nullptr, .packed = packed.data()};
      std::vector<float> in_place(rows.k), expected(rows.k);
      for (uint32_t row = 0; row < rows.n; ++row) {
        DecodeLinearRow(op, row, 1.5f, in_place.data());
        DecodeWeightRow(rows, row, 1.5f, expected.data());
        CHECK(in_place == expected);
      }
    }
  });
}

TEST_CASE("packing: from every layout to every other") {
  Pool pool(3);
  Random random(32);
  ForEveryLayout([&](const PackedLayout& from) {
    const Shape shape = {41, 195, 32};
    const Weights weights(random, from.type, shape.n, shape.k, shape.block);
    const WeightRows rows = weights.rows();
    const std::vector<float> bias = random.Normals(rows.n);
    const std::vector<uint8_t> packed = Pack(from, rows, bias.data());
    for (const PackedLayout* to : AllPackedLayouts()) {
      if (to->type != from.type) continue;
      const WeightRows described = {.type = rows.type, .n = rows.n, .k = rows.k, .block = rows.block};
      for (ThreadPool* threads : {static_cast<ThreadPool*>(nullptr), pool.get()}) {
        std::vector<uint8_t> out(PackedBytes(*to, rows.n, rows.k, rows.block), 0x5a);
        std::vector<uint8_t> scratch(WorkerCount(threads) * RepackScratchBytes(from, *to, rows.k, rows.block));
        RepackRows(from, packed.data(), *to, described, bias.data(), out.data(), scratch.data(), threads);
        CHECK(out == Pack(*to, rows, bias.data()));
      }
    }
  });
}

TEST_CASE("packing: the bytes of a layout never change") {
  // Files carry them. A kernel that wants other bytes gets another layout.
  struct Pinned {
    const PackedLayout* layout;
    uint64_t hash;
  };
  const Pinned all[] = {
      {&kF32x8, 0x8aa8e82a0c23c2a0},
      {&kF32x16, 0x5a5a8322f52aa7a4},
      {&kQ8x8c2s4, 0xd5581a9995428c81},
      {&kQ8x8c8, 0xac9d71733da50ba1},
      {&kQ8x16c4, 0x19e73367bdb96635},
      {&kQ4x8c8, 0xe796ba47eea9da8f},
      {&kQ4x16c1, 0xff94774a56bd41c0},
      {&kQ4x16c4, 0xdf121e569d5d6ecf},
      {&kTernary16, 0xbdb564a87068c33a},
      {&kBlocks16c4<WeightType::kQ8_0>, 0x252e38ed4deafc34},
      {&kBlocks16c4<WeightType::kQ4_0>, 0xce661f56bd1f258d},
      {&kBlocks16c4<WeightType::kQ4_1>, 0x1a692abbe6e582dc},
      {&kBlocks16c4<WeightType::kQ5_0>, 0x1d21ee61902eb32c},
      {&kBlocks16c4<WeightType::kQ5_1>, 0x198c6332d6908ec6},
      {&kBlocks16c4<WeightType::kQ2_K>, 0x9ef1b28ab582a3d8},
      {&kBlocks16c4<WeightType::kQ3_K>, 0x274d2203c25c263},
      {&kBlocks16c4<WeightType::kQ4_K>, 0x3193642beb076b1f},
      {&kBlocks16c4<WeightType::kQ5_K>, 0xd4d191946e6a8adb},
      {&kBlocks16c4<WeightType::kQ6_K>, 0x74468db9ed83e8fa},
      {&kBlocks16c4<WeightType::kIQ4_NL>, 0xd8b772bf9fb2425},
      {&kBlocks16c4<WeightType::kIQ4_XS>, 0x96f751849e2e6cdf},
      {&kBlocks16c4<WeightType::kMXFP4>, 0x5be2d548f9948bd6},
      {&kBlocks16c4<WeightType::kTQ2_0>, 0x64f4b4eb8d3317ef},
  };
  ForEveryLayout([&](const PackedLayout& layout) {
    Random random(33);
    const Weights weights(random, layout.type, 37, 195, 64);
    std::vector<float> bias(37);
    for (float& b : bias) b = random.Float(-1.0f, 1.0f);
    const uint64_t hash = Hash(Pack(layout, weights.rows(), bias.data()));
    INFO("0x" << std::hex << hash);
    const Pinned* pinned = std::find_if(std::begin(all), std::end(all), [&](const Pinned& p) { return p.layout == &layout; });
    REQUIRE(pinned != std::end(all));
    CHECK(hash == pinned->hash);
  });
}
