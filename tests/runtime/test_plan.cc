// The plan of the paper's models at their real sizes: header-only files (the weights are a hole), so that a plan that
// read more than the header would show.
#include <catch2/catch_test_macros.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "format/writer.h"
#include "tests/support/call.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

struct Size { const char* name; uint32_t L, D, H, F; };
struct Variant { const char* name; Sharing sharing; uint32_t kv_heads; uint64_t bytes_per_token; };

constexpr uint32_t kHeadWidth = 64, kPositions = 2048, kRows = 50304, kVocabulary = 50257;

// GPT-2 blocks as in the paper, described only: tensors have shapes, no values.
class Paper {
 public:
  Paper(const Size& size, const Variant& variant) : size_(size) {
    d_.name = std::string(size.name) + " " + variant.name;
    d_.family = "paper";
    for (uint32_t i = 0; i < size.L; ++i) AddLayer(variant);
    ModelSpec& m = d_.spec;
    m.width = size.D;
    m.outputs = kRows;
    m.vocabulary = kVocabulary;
    m.max_positions = kPositions;
    m.input.table = Tensor(kRows, size.D);
    m.input.positions = Tensor(kPositions, size.D);
    m.output.norm = Norm();
    m.output.tied = true;
  }

  uint64_t parameters() const { return parameters_; }

  std::string Write() {
    uint64_t file_bytes = 0;
    const std::vector<SegmentSpec> segments = LayOut(d_, &file_bytes);
    const std::vector<uint8_t> header = HeaderBytes(d_, segments, file_bytes);
    const std::string path = TemporaryPath("paper.thimble");
    std::FILE* f = std::fopen(path.c_str(), "wb");
    REQUIRE(f != nullptr);
    REQUIRE(std::fwrite(header.data(), 1, header.size(), f) == header.size());
    REQUIRE(std::fclose(f) == 0);
    REQUIRE(truncate(path.c_str(), static_cast<off_t>(file_bytes)) == 0);
    return path;
  }

 private:
  int32_t Tensor(uint32_t rows, uint32_t cols) {
    d_.tensors.push_back({"t", {.type = WeightType::kF32, .rows = rows, .cols = cols}});
    parameters_ += uint64_t{rows} * cols;
    return static_cast<int32_t>(d_.tensors.size()) - 1;
  }
  LinearSpec Linear(uint32_t n, uint32_t k) { return {Tensor(n, k), Tensor(1, n)}; }
  NormSpec Norm() {
    return {.kind = NormKind::kLayerNorm, .eps = 1e-5f, .weight = Tensor(1, size_.D), .bias = Tensor(1, size_.D)};
  }
  void AddLayer(const Variant& variant) {
    const uint32_t D = size_.D, kv_width = variant.kv_heads * kHeadWidth;
    BlockSpec attention, ffn;
    attention.norm = Norm();
    AttentionSpec a;
    a.heads = size_.H;
    a.kv_heads = variant.kv_heads;
    a.head_width = kHeadWidth;
    a.sharing = variant.sharing;
    a.scale = 0.125f;
    if (a.sharing == Sharing::kNone || a.sharing == Sharing::kKV) a.q = Linear(D, D);
    a.k = Linear(kv_width, D);
    if (a.sharing == Sharing::kNone || a.sharing == Sharing::kQK) a.v = Linear(kv_width, D);
    a.o = Linear(D, D);
    attention.mixer = a;
    ffn.norm = Norm();
    FfnSpec f;
    f.activation = Activation::kGeluErf;
    f.width = size_.F;
    f.up = Linear(size_.F, D);
    f.down = Linear(D, size_.F);
    ffn.mixer = f;
    d_.layers.push_back({{attention, ffn}});
  }

  Size size_;
  ModelDescription d_;
  uint64_t parameters_ = 0;
};

struct KvLines {
  uint64_t count = 0, bytes = 0;
  static void Count(void* user, const thimble_plan_line* line) {
    KvLines* lines = static_cast<KvLines*>(user);
    if (std::string(line->name).substr(0, 3) != "kv_") return;
    ++lines->count;
    lines->bytes += line->bytes;
  }
};

constexpr Size k300M = {"300M", 20, 1024, 16, 4096};
constexpr Size k1200M = {"1.2B", 22, 2048, 32, 8192};

void CheckPlan(const Size& size, const Variant& variant) {
  INFO(size.name << " " << variant.name);
  Paper paper(size, variant);
  const std::string path = paper.Write();
  thimble_model* model = nullptr;
  thimble_error status = Call(thimble_model_open, path.c_str(), &model);
  INFO(status.message);
  if (paper.parameters() * sizeof(float) > PTRDIFF_MAX) {  // with 32 bits
    CHECK(status.code == THIMBLE_SIZE_OVERFLOW);
    CHECK(std::strstr(status.message, "does not fit this address space") != nullptr);
    return;
  }
  REQUIRE(status.code == 0);
  const ApiOptions options = ApiOptions();
  thimble_plan plan = Sized<thimble_plan>();
  KvLines lines;
  status = Call(thimble_plan_memory, model, &options, &plan, &KvLines::Count, &lines);
  REQUIRE(status.code == 0);
  CHECK(plan.kv_bytes_per_token == variant.bytes_per_token);
  CHECK(plan.baseline_kv_bytes_per_token == uint64_t{size.L} * 2 * size.D * 2);
  CHECK(plan.kv_bytes == variant.bytes_per_token * kPositions);
  // cut = 1 - G/(2H) for K=V, 1 - G/H otherwise.
  const bool shared = variant.sharing == Sharing::kKV || variant.sharing == Sharing::kQKV;
  const double cut = 1.0 - static_cast<double>(plan.kv_bytes_per_token) / static_cast<double>(plan.baseline_kv_bytes_per_token);
  CHECK(cut == 1.0 - static_cast<double>(variant.kv_heads) / (size.H * (shared ? 2.0 : 1.0)));
  // One region for the rows of all layers, and nothing beside it.
  CHECK(lines.count == 1);
  CHECK(lines.bytes == plan.kv_bytes);
  thimble_model_close(model);
  unlink(path.c_str());
}

}  // namespace

TEST_CASE("cache bytes per token of the paper's 300M models") {
  for (const Variant& v : {Variant{"QKV", Sharing::kNone, 16, 81920}, Variant{"Q=K-V", Sharing::kQK, 16, 81920},
                           Variant{"Q-K=V", Sharing::kKV, 16, 40960}, Variant{"Q=K=V", Sharing::kQKV, 16, 40960},
                           Variant{"GQA-4", Sharing::kNone, 4, 20480}, Variant{"MQA", Sharing::kNone, 1, 5120},
                           Variant{"Q-GQA-4", Sharing::kKV, 4, 10240}, Variant{"Q-MQA", Sharing::kKV, 1, 2560}}) {
    CheckPlan(k300M, v);
  }
}

TEST_CASE("cache bytes per token of the paper's 1.2B models") {
  for (const Variant& v : {Variant{"QKV", Sharing::kNone, 32, 180224}, Variant{"Q=K-V", Sharing::kQK, 32, 180224},
                           Variant{"Q-K=V", Sharing::kKV, 32, 90112}, Variant{"Q=K=V", Sharing::kQKV, 32, 90112},
                           Variant{"GQA-8", Sharing::kNone, 8, 45056}, Variant{"MQA", Sharing::kNone, 1, 5632},
                           Variant{"Q-GQA-8", Sharing::kKV, 8, 22528}, Variant{"Q-MQA", Sharing::kKV, 1, 2816}}) {
    CheckPlan(k1200M, v);
  }
}

TEST_CASE("the described models have the paper's parameter counts") {
  CHECK(Paper(k300M, {"QKV", Sharing::kNone, 16, 0}).parameters() / 10000 == 30553);
  CHECK(Paper(k300M, {"Q-MQA", Sharing::kKV, 1, 0}).parameters() / 10000 == 26486);
}
