// Layers that read the same rows, of kernels that want them in different forms: each gets what it gets alone.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <deque>

#include "ops/linear/turn.h"
#include "ops/tables/kernel_table.h"
#include "runtime/forward.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

TEST_CASE("the input of turned weights is turned, once for all that want it so") {
  Random random(4);
  const Pool three(3);
  for (const KernelTable* table : {FindKernelTable("scalar"), BestKernelTable(DetectCpu())}) {
    for (size_t round = 0; round < 40; ++round) {
      const size_t t = random.Integer(1, 40), k = 32 * random.Integer(1, 24), n = random.Integer(1, 40);
      const uint32_t turn = TurnBlock(static_cast<uint32_t>(k));
      const WeightType type = random.Pick({WeightType::kQ8, WeightType::kQ4, WeightType::kQ8_0, WeightType::kQ4_K});
      const Weights weights(random, type, static_cast<uint32_t>(n), static_cast<uint32_t>(k), 32);
      const Layer layer(table->Kernel(type), weights, nullptr);
      Linear turned = layer.op();
      turned.rows.turn = turn;

      ThreadPool* pool = round % 3 == 0 ? three.get() : nullptr;
      const size_t floats = WorkerCount(pool) * TurnedRowFloats(k);
      const std::vector<float> x = random.Normals(t * k);
      Network network;
      const Block q(t * std::max(QuantisedRowBytes(k), BlockRowBytes(k))), quantisation(QuantisedParameterCount(t) * sizeof(RowQuantisation)), rows(x.size() * sizeof(float));
      const Block scratch(floats * sizeof(float));
      std::memcpy(rows.As<void>(), x.data(), x.size() * sizeof(float));
      network.buffers.quantised = q.As<int8_t>();
      network.buffers.quantisation = quantisation.As<RowQuantisation>();
      network.buffers.turned = scratch.As<float>();
      network.options.kernels = table;
      Profiler profiler;
      const Step step = {&network, pool, &profiler, t, nullptr};
      std::vector<float> first(t * n), plain(t * n), second(t * n), expected(t * n);
      const Linear& not_turned = layer.op();
      const LinearJob jobs[] = {{&turned, first.data(), n}, {&not_turned, plain.data(), n}, {&turned, second.data(), n}};
      RunJobs(step, jobs, 3, rows.As<float>(), t, k);
      CHECK(std::memcmp(rows.As<void>(), x.data(), x.size() * sizeof(float)) == 0);  // others read it, too
      RunJob(step, not_turned, rows.As<float>(), t, k, expected.data(), n);
      CHECK(plain == expected);
      Turn(rows.As<float>(), t * k, turn);
      RunJob(step, not_turned, rows.As<float>(), t, k, expected.data(), n);
      CHECK((first == expected && second == expected));

      // A row that is read as a table turns back.
      std::vector<float> row(k), stored(k);
      DecodeLinearRow(turned, static_cast<uint32_t>(n) - 1, 2.0f, row.data());
      DecodeLinearRow(not_turned, static_cast<uint32_t>(n) - 1, 2.0f, stored.data());
      Turn(stored.data(), k, turn);
      CHECK(row == stored);
    }
  }
}

TEST_CASE("jobs of several kinds over the same rows have the bits of each alone") {
  Random random(3);
  const KernelTable *scalar = FindKernelTable("scalar"), *best = BestKernelTable(DetectCpu());
  const LinearKernel* kernels[] = {scalar->Kernel(WeightType::kF32), scalar->Kernel(WeightType::kQ8), scalar->Kernel(WeightType::kQ4),
                                   best->Kernel(WeightType::kF32), best->Kernel(WeightType::kQ8), best->Kernel(WeightType::kQ4),
                                   best->Kernel(WeightType::kQ6_K), scalar->Kernel(WeightType::kQ4_1)};
  for (size_t round = 0; round < 60; ++round) {
    const size_t t = random.Integer(1, 9), k = 32 * random.Integer(1, 6), count = random.Integer(1, kMaxLinearJobs);
    const std::vector<float> x = random.Normals(t * k);
    Network network;
    const Block q(t * std::max(QuantisedRowBytes(k), BlockRowBytes(k))), quantisation(QuantisedParameterCount(t) * sizeof(RowQuantisation)), rows(x.size() * sizeof(float));
    std::memcpy(rows.As<void>(), x.data(), x.size() * sizeof(float));
    network.buffers.quantised = q.As<int8_t>();
    network.buffers.quantisation = quantisation.As<RowQuantisation>();
    Profiler profiler;
    const Step step = {&network, nullptr, &profiler, t, nullptr};

    std::deque<Weights> weights;
    std::deque<Layer> layers;
    std::vector<std::vector<float>> together(count), alone(count);
    LinearJob jobs[kMaxLinearJobs];
    for (size_t i = 0; i < count; ++i) {
      const LinearKernel* kernel = kernels[random.Integer(0, std::size(kernels) - 1)];
      const uint32_t n = static_cast<uint32_t>(random.Integer(1, 40));
      weights.emplace_back(random, kernel->type, n, static_cast<uint32_t>(k), 32u);
      layers.emplace_back(kernel, weights.back(), nullptr);
      together[i].assign(t * n, -1.0f);
      alone[i].assign(t * n, -2.0f);
      RunJob(step, layers[i].op(), rows.As<float>(), t, k, alone[i].data(), n);
      jobs[i] = {&layers[i].op(), together[i].data(), n};
    }
    RunJobs(step, jobs, count, rows.As<float>(), t, k);
    CHECK(together == alone);
  }
}
