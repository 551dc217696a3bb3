// What linear layers promise besides being right: the same bits for any threads and any batch, nothing
// written beside y, rows decoded from packed blocks, several layers in one region.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "ops/tables/kernel_table.h"
#include "ops/linear/packing/layouts.h"
#include "tests/ops/weights.h"
#include "tests/support/shared_work.h"

using namespace thimble;
using namespace thimble::test;

namespace {

template <typename F>
void ForEveryKernel(F f) {
  const CpuFeatures cpu = DetectCpu();
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->supported(cpu)) continue;
    for (const WeightType type : AllWeightTypes()) {
      INFO("kernel " << table->Kernel(type)->name);
      f(table->Kernel(type), type);
    }
  }
}

}  // namespace

TEST_CASE("layers give the same bits for every thread count", "[threads]") {
  const ShareAllWork share;
  Pool two(2), four(4);
  ForEveryKernel([&](const LinearKernel* kernel, WeightType type) {
    Random random(14);
    for (const size_t t : std::vector<size_t>{1, 3, 17}) {
      const uint32_t n = 1501, k = 195;  // enough work for one row to be shared
      const Weights weights(random, type, n, k, 32);
      const std::vector<float> bias = random.Normals(n);
      const Layer layer(kernel, weights, bias.data());
      Rows rows(random.Normals(t * k), t, k);
      std::vector<float> one(t * n), other(t * n);
      RunLinear(layer.op(), rows.For(kernel), one.data(), n, nullptr);
      for (const Pool* pool : {&two, &four}) {
        RunLinear(layer.op(), rows.For(kernel), other.data(), n, pool->get());
        CHECK(SameBits(one, other));
      }
    }
  });
  CHECK(share.TasksOfOthers() > 0);
}

TEST_CASE("a row's result does not depend on its batch") {
  ForEveryKernel([](const LinearKernel* kernel, WeightType type) {
    for (const uint32_t block : {32u, 64u}) {
      Random random(15);
      const uint32_t n = 77, k = 200;
      const size_t most = 130;
      const Weights weights(random, type, n, k, block);
      const Layer layer(kernel, weights, nullptr);
      const std::vector<float> x = random.Normals(most * k);
      Rows all(x, most, k);
      std::vector<float> together(most * n);
      RunLinear(layer.op(), all.For(kernel), together.data(), n, nullptr);
      size_t wrong = 0;
      for (size_t begin = 0; begin < most;) {
        const size_t t = std::min(random.Integer(1, 23), most - begin);
        Rows part(std::vector<float>(x.begin() + begin * k, x.begin() + (begin + t) * k), t, k);
        std::vector<float> y(t * n);
        RunLinear(layer.op(), part.For(kernel), y.data(), n, nullptr);
        wrong += std::memcmp(y.data(), &together[begin * n], y.size() * sizeof(float)) != 0;
        begin += t;
      }
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("layers write their columns and nothing else") {
  ForEveryKernel([](const LinearKernel* kernel, WeightType type) {
    Random random(16);
    for (const uint32_t n : {1u, 7u, 15u, 17u, 64u, 65u, 127u}) {
      const uint32_t k = 33;
      const size_t t = 11, stride = n + 5;
      const Weights weights(random, type, n, k, 32);
      const Layer layer(kernel, weights, nullptr);
      Rows rows(random.Normals(t * k), t, k);
      std::vector<float> y(t * stride, 12345.0f);
      RunLinear(layer.op(), rows.For(kernel), y.data(), stride, nullptr);
      size_t wrong = 0;
      for (size_t r = 0; r < t; ++r) {
        for (size_t i = 0; i < stride; ++i) wrong += (y[r * stride + i] == 12345.0f) != (i >= n);
      }
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("rows of packed weights are decoded exactly") {
  ForEveryKernel([](const LinearKernel* kernel, WeightType type) {
    Random random(17);
    for (const uint32_t k : {1u, 8u, 63u, 130u, 257u}) {
      const uint32_t n = 37;
      const Weights weights(random, type, n, k, random.Pick({32u, 64u, 128u}));
      const Layer layer(kernel, weights, nullptr);
      std::vector<float> out(k);
      Worst worst;
      for (uint32_t row = 0; row < n; ++row) {
        DecodeLinearRow(layer.op(), row, 3.0f, out.data());
        for (uint32_t i = 0; i < k; ++i) {
          const double value = 3.0 * weights.Value(row, i);
          worst.See(std::fabs(out[i] - value) / (1e-6 + std::fabs(value)));
        }
      }
      CHECK(worst.error < 3e-7);
    }
  });
}

TEST_CASE("layers in one region give what they give alone") {
  Pool pool(3);
  const CpuFeatures cpu = DetectCpu();
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->supported(cpu)) continue;
    Random random(18);
    const uint32_t k = 96, sizes[] = {130, 16, 257};
    const WeightType types[] = {WeightType::kQ8, WeightType::kF32, WeightType::kQ4};
    for (const size_t t : std::vector<size_t>{1, 150}) {
      Rows rows(random.Normals(t * k), t, k);
      std::vector<std::unique_ptr<Weights>> weights;
      std::vector<std::unique_ptr<Layer>> layers;
      std::vector<std::vector<float>> together, alone;
      LinearJob jobs[3];
      for (int i = 0; i < 3; ++i) {
        weights.push_back(std::make_unique<Weights>(random, types[i], sizes[i], k, 32));
        layers.push_back(std::make_unique<Layer>(table->Kernel(types[i]), *weights[i], nullptr));
        together.emplace_back(t * sizes[i]);
        alone.emplace_back(t * sizes[i]);
        jobs[i] = {.op = &layers[i]->op(), .y = together[i].data(), .y_stride = sizes[i]};
        RunLinear(layers[i]->op(), rows.For(table->Kernel(WeightType::kQ8)), alone[i].data(), sizes[i], nullptr);
      }
      RunLinears(jobs, 3, rows.For(table->Kernel(WeightType::kQ8)), pool.get());
      for (int i = 0; i < 3; ++i) CHECK(SameBits(together[i], alone[i]));
    }
  }
}

TEST_CASE("packed blocks have the sizes that the layouts say") {
  // N and K rounded up: qc8w N * (K + 12), qb4w N * (K / 2 + 2 K / block + 8), f32 N * (K + 1) * 4, ternary N * (K / 4 + 8).
  for (const PackedLayout* layout : AllPackedLayouts()) {
    switch (layout->type) {
      case WeightType::kF32:
        CHECK(PackedBytes(*layout, 128, 256, 0) == 128 * 257 * 4);
        break;
      case WeightType::kQ8:
        CHECK(PackedBytes(*layout, 128, 256, 0) == 128 * (256 + 12));
        break;
      case WeightType::kQ4:
        CHECK(PackedBytes(*layout, 128, 256, 32) == 128 * (128 + 16 + 8));
        CHECK(PackedBytes(*layout, 128, 256, 128) == 128 * (128 + 4 + 8));
        CHECK(PackedBytes(*layout, 1, 1, 32) == PackedBytes(*layout, layout->key.nr, 32, 32));
        break;
      case WeightType::kTernary:
        CHECK(PackedBytes(*layout, 128, 256, 0) == 128 * (64 + 8));
        CHECK(PackedBytes(*layout, 1, 17, 0) == 16 * (8 + 8));
        break;
      default: {
        // Codes, and scales of 16 channels and 256 columns rounded up to 64 bytes; a bias.
        const BlockFormat& f = *FormatOf(layout->type);
        const uint64_t scales = 16 * BlockScaleBytes(f, 256);
        CHECK(PackedBytes(*layout, 128, 512, 32) == 8 * (64 + 2 * (16 * 32 * f.bits + RoundUp(scales, 64))));
        break;
      }
    }
  }
}
