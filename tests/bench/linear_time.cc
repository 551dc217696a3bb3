// One linear layer again and again: what a weight costs in each type, with each kernel table. Under instructions.py --layers it is counted,
// on a machine that does nothing else the printed time says something.
//   bench_linear TABLE TYPE ROWS REPEATS
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ops/tables/kernel_table.h"
#include "tests/ops/weights.h"

using namespace thimble;
using namespace thimble::test;

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "use: bench_linear TABLE TYPE ROWS REPEATS, such as: bench_linear neon q4_k 1 100\n");
    return 2;
  }
  const CpuFeatures cpu = DetectCpu();
  const KernelTable* table = nullptr;
  for (const KernelTable* each : AllKernelTables()) {
    if (std::strcmp(each->name, argv[1]) == 0 && each->supported(cpu)) table = each;
  }
  const WeightType* type = nullptr;
  const std::vector<WeightType> types = AllWeightTypes();
  for (const WeightType& each : types) {
    if (std::strcmp(WeightTypeName(each), argv[2]) == 0) type = &each;
  }
  const size_t rows = std::strtoul(argv[3], nullptr, 10), repeats = std::strtoul(argv[4], nullptr, 10);
  if (table == nullptr || type == nullptr || rows == 0) {
    std::fprintf(stderr, "no table %s on this CPU, or no type %s, or no rows\n", argv[1], argv[2]);
    return 2;
  }
  constexpr uint32_t kN = 64, kK = 1024;
  Random random(1);
  const Weights weights(random, *type, kN, kK, 32);
  const Layer layer(table->Kernel(*type), weights, nullptr);
  Rows x(random.Normals(rows * kK), rows, kK);
  std::vector<float> y(rows * kN);
  const RowBatch& batch = x.For(table->Kernel(*type));
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < repeats; ++i) RunLinear(layer.op(), batch, y.data(), kN, nullptr);
  const double ns = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
  const double products = double{kN} * kK * static_cast<double>(rows * repeats);
  std::printf("%s, %zu rows: %.4f ns for a weight and row\n", table->Kernel(*type)->name, rows, ns / products);
  return 0;
}
