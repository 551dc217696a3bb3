// What a packed file costs beside its mapping: nothing in the plan, no dirty page, no page touched before the first
// token. Read from the kernel's own accounts.
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <sstream>

#include "ops/linear/packing/layouts.h"
#include "tests/packing/packed_file.h"
#include "tests/runtime/runner.h"

using namespace thimble;
using namespace thimble::test;

namespace {

std::string BestTable() {
  const std::string names = thimble_kernel_tables();
  return names.substr(names.rfind(' ') + 1);
}

// Sums over the mappings of one file, or over all: kB of smaps.
struct Pages {
  uint64_t resident = 0, private_dirty = 0, private_clean = 0;
};

Pages PagesOf(const std::string& file) {
  std::ifstream smaps("/proc/self/smaps");
  Pages pages;
  bool counts = false;
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::string first;
    uint64_t kb = 0;
    words >> first;
    if (first.find('-') != std::string::npos && first.back() != ':') {
      counts = file.empty() || line.find(file) != std::string::npos;
    } else if (counts && words >> kb) {
      if (first == "Rss:") pages.resident += kb * 1024;
      if (first == "Private_Dirty:") pages.private_dirty += kb * 1024;
      if (first == "Private_Clean:") pages.private_clean += kb * 1024;
    }
  }
  return pages;
}

// Some twenty megabytes of int4, tied.
std::string LargeModel(const std::string& table) {
  ModelBuilder m(512, 4096, 64, 77);
  m.Weights(WeightType::kQ4, 32);
  AttentionSpec a;
  a.heads = 8;
  a.kv_heads = 2;
  a.head_width = 64;
#if defined(__aarch64__)
  const int layers = 1;
#else
  const int layers = 8;
#endif
  for (int i = 0; i < layers; ++i) m.AddLayer(a, FfnKind::kGated, Activation::kSilu, 1536, NormKind::kRmsNorm, i % 2 == 0);
  m.Finish(true, true, NormKind::kRmsNorm);
  const std::string plain = TemporaryPath("large.thimble"), packed = TemporaryPath("large." + table + ".thimble");
  m.WriteFile(plain);
  PackOptions options;
  options.source = plain;
  options.output = packed;
  options.table = table;
  const PackReport report = PackFile(options);
  CHECK(report.packed_tensors > 0);
  // A few rows at a time, whatever the model's size.
  CHECK(report.peak_buffer_bytes < (size_t{8} << 20));
  return packed;
}

bool Measurable() {
#if defined(__SANITIZE_ADDRESS__) || defined(__aarch64__)
  return false;  // shadow memory, an emulator's own pages
#else
  return PagesOf("").resident > 0;
#endif
}

}  // namespace

TEST_CASE("packed files: nothing is copied, dirtied or touched before it is used") {
  const std::string best = BestTable();
  if (best == "scalar") SKIP("only portable kernels here");
  const std::string path = LargeModel(best);
  ApiOptions options = ApiOptions();
  options.context_tokens = 32;
  options.chunk_tokens = 8;
  const uint64_t private_before = PagesOf("").private_dirty;
  const auto start = std::chrono::steady_clock::now();
  Runner runner(path, options);
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  thimble_plan plan = Sized<thimble_plan>();
  Check(Call(thimble_plan_memory, runner.model(), &options, &plan, nullptr, nullptr));
  CHECK(plan.packed_weight_bytes == 0);
  CHECK(plan.file_packing == best);
  CHECK(plan.kernels == best);
  CHECK(plan.in_place_weight_bytes + (1u << 20) > plan.mapped_bytes - (plan.mapped_bytes >> 3));
  WARN("open and create: " << ms << " ms for " << plan.mapped_bytes << " bytes");
  if (!Measurable()) return;
  // Norm weights and the like are looked at by nobody yet either; the kernel maps a few pages around what is touched.
  CHECK(PagesOf(path).resident <= (1u << 20));

  (void)runner.Prefill({1, 2, 3, 4, 5, 6, 7, 8});
  (void)runner.DecodeEach({9, 10});
  const Pages file = PagesOf(path);
  CHECK(file.private_dirty == 0);
  CHECK(file.resident > plan.mapped_bytes / 2);
  // All of this process's new private memory: the arena, what lies outside, and the pages that the test itself takes.
  const uint64_t grown = PagesOf("").private_dirty - private_before;
  // 32 bits are emulated here, and what the emulator translates is memory of the process, too.
  if (sizeof(void*) == 8) CHECK(grown <= plan.arena_bytes + plan.outside_bytes + (size_t{1} << 20));
  // Beyond cache and activations: less than 4 MiB. Activations are what the arena has beside the cache.
  CHECK(plan.outside_bytes < (size_t{4} << 20));
}

TEST_CASE("packed files: a tied table is stored once, in every packing") {
  for (const TablePacking& table : AllTablePackings()) {
    INFO(table.name);
    ModelBuilder m(64, 500, 16, 5);
    m.Weights(WeightType::kQ8);
    AttentionSpec a;
    a.heads = a.kv_heads = 2;
    a.head_width = 32;
    m.AddLayer(a, std::nullopt, Activation::kIdentity, 0, NormKind::kRmsNorm, false);
    m.Finish(false, true, NormKind::kRmsNorm);
    const std::vector<uint8_t> bytes = Packed(m.Bytes(), table.name);
    CHECK(bytes.size() < 500 * 64 + 4 * 64 * 64 + 40000);
    ApiOptions options = ApiOptions();
    options.kernels = "scalar";
    Runner runner(bytes, options);
    thimble_plan plan = Sized<thimble_plan>();
    Check(Call(thimble_plan_memory, runner.model(), &options, &plan, nullptr, nullptr));
    // Unpacked once, for the head and for looking up.
    CHECK(plan.packed_weight_bytes < 500 * 64 + 4 * 64 * 64 + 8000);
    (void)runner.Prefill({1, 2, 3});
  }
}
