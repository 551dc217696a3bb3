// The portable operations give the same bits on every machine: checksums of their results, committed. A
// change of an algorithm changes its number here on purpose; a compiler or a CPU must not.
#include <catch2/catch_test_macros.hpp>

#include "ops/rows/activation.h"
#include "ops/rows/norm.h"
#include "ops/linear/linear_scalar.h"
#include "ops/rows/softmax.h"
#include "tests/ops/attention_case.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

namespace {

class Checksum {
 public:
  void Add(const void* data, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) {
      value_ = (value_ ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001b3u;
    }
  }
  void Add(const std::vector<float>& v) { Add(v.data(), v.size() * sizeof(float)); }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325u;  // FNV-1a
};

}  // namespace

TEST_CASE("activations have the same bits everywhere") {
  Random random(40);
  Checksum sum;
  for (uint8_t a = 0; a < kPlainActivations; ++a) {
    std::vector<float> x = random.Normals(1001, 4.0f);
    ActivatePortable(static_cast<Activation>(a), x.data(), nullptr, x.data(), x.size());
    sum.Add(x);
  }
  std::vector<float> x = random.Normals(1001, 40.0f);
  Softcap(30.0f, x.data(), x.size());
  sum.Add(x);
  Softmax(x.data(), x.size());
  sum.Add(x);
  CHECK(sum.value() == 0x26ad0c75d28abbfdu);
}

TEST_CASE("norms have the same bits everywhere") {
  Random random(41);
  Checksum sum;
  for (const size_t width : std::vector<size_t>{7, 64, 333}) {
    const std::vector<float> x = random.Normals(width), w = random.Normals(width), b = random.Normals(width);
    std::vector<float> y(width);
    LayerNorm(x.data(), width, 1, width, w.data(), b.data(), 1e-5f, y.data(), width);
    sum.Add(y);
    RmsNorm(x.data(), width, 1, width, w.data(), 1.0f, 1e-6f, y.data(), width);
    sum.Add(y);
  }
  CHECK(sum.value() == 0x87851ae037ffab4u);
}

TEST_CASE("position tables have the same bits everywhere") {
  Checksum sum;
  const RopeShape shape = {
      .width = 64, .pair_stride = 32, .theta = 500000.0, .denominator = 64, .magnitude = 1.1};
  std::vector<float> cos(32), sin(32);
  for (uint32_t position = 0; position < 100000; position += 997) {
    FillRopeRow(shape, position, cos.data(), sin.data());
    sum.Add(cos);
    sum.Add(sin);
  }
  CHECK(sum.value() == 0x74be21800022f10eu);
}

TEST_CASE("cache rows have the same bits everywhere") {
  Random random(42);
  Checksum sum;
  for (size_t round = 0; round < 50; ++round) {
    for (uint8_t type = 0; type < kCacheTypeCount; ++type) {
      const size_t d = random.Integer(1, 130);
      const std::vector<float> x = random.Normals(d);
      const CacheType cache = static_cast<CacheType>(type);
      std::vector<uint8_t> rows(CacheRowsTaken(cache, 3) * CacheRowBytes(cache, d));
      StoreCacheRow(cache, x.data(), d, 1, rows.data());
      sum.Add(rows.data(), rows.size());
      std::vector<float> y(d);
      LoadCacheRow(cache, rows.data(), 1, d, y.data());
      sum.Add(y);
    }
  }
  CHECK(sum.value() == 0x547742dfc0bfabfcu);
}

TEST_CASE("the scalar layers have the same bits everywhere") {
  Random random(43);
  Checksum sum;
  for (const LinearKernel* kernel : {&kLinearF32Scalar, &kLinearQ8Scalar, &kLinearQ4Scalar}) {
    const uint32_t n = 50, k = 201;
    const size_t t = 19;
    const Weights weights(random, kernel->type, n, k, 32);
    const std::vector<float> bias = random.Normals(n);
    const Layer layer(kernel, weights, bias.data());
    const Rows rows(random.Normals(t * k), t, k);
    std::vector<float> y(t * n);
    RunLinear(layer.op(), rows.batch(), y.data(), n, nullptr);
    sum.Add(rows.batch().q, QuantisedRowsBytes(t, k));
    sum.Add(y);
  }
  CHECK(sum.value() == 0x9f95fd4df99d73a8u);
}

TEST_CASE("the scalar ternary layer has the same bits everywhere") {
  Random random(47);
  Checksum sum;
  const uint32_t n = 50, k = 201;
  const size_t t = 19;
  const Weights weights(random, WeightType::kTernary, n, k, 0);
  const std::vector<float> bias = random.Normals(n);
  const Layer layer(&kLinearTernaryScalar, weights, bias.data());
  Rows rows(random.Normals(t * k), t, k);
  std::vector<float> y(t * n);
  RunLinear(layer.op(), rows.For(&kLinearTernaryScalar), y.data(), n, nullptr);
  sum.Add(rows.batch().q, QuantisedRowsBytes(t, k));
  sum.Add(y);
  CHECK(sum.value() == 0x18e83761ab472558u);
}

TEST_CASE("the scalar layers of block types have the same bits everywhere") {
  Random random(46);
  Checksum sum;
  for (const LinearKernel& kernel : kLinearBlocksScalar) {
    const uint32_t n = 50, k = 301;
    const size_t t = 19;
    const Weights weights(random, kernel.type, n, k, 32);
    const std::vector<float> bias = random.Normals(n);
    const Layer layer(&kernel, weights, bias.data());
    Rows rows(random.Normals(t * k), t, k);
    std::vector<float> y(t * n);
    RunLinear(layer.op(), rows.For(&kernel), y.data(), n, nullptr);
    for (size_t row = 0; row < t; ++row) sum.Add(rows.batch().q + row * BlockRowBytes(k), BlockInputsAt(k) + CeilDiv(k, 32) * sizeof(BlockInput));
    sum.Add(y);
  }
  CHECK(sum.value() == 0x84172fcaae9e9afdu);
}

TEST_CASE("attention has the same bits everywhere") {
  Random random(44);
  Checksum sum;
  for (size_t round = 0; round < 12; ++round)
    sum.Add(AttentionCase(random, RandomAttention(random, 400)).Run(nullptr));
  CHECK(sum.value() == 0x1d9a967411629e4cu);
}
