// A packed file is the same model: bit by bit the logits of the unpacked one with the same kernels, whether it is used
// in place or repacked, on the machine it was packed for or on another.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <sstream>

#include "format/model_file.h"
#include "ops/linear/packing/layouts.h"
#include "tests/packing/packed_file.h"
#include "tests/runtime/runner.h"

using namespace thimble;
using namespace thimble::test;

namespace {

using Logits = std::vector<std::vector<float>>;

struct Outcome {
  Logits logits;
  thimble_plan plan = Sized<thimble_plan>();
};

Outcome Run(const std::vector<uint8_t>& bytes, const char* kernels, uint32_t threads = 1) {
  ApiOptions options = ApiOptions();
  options.context_tokens = 0;  // encoders take an input at once
  options.kernels = kernels;
  options.threads = threads;
  options.logits_rows = 3;
  Runner runner(bytes, options);
  Outcome out;
  Check(Call(thimble_plan_memory, runner.model(), &options, &out.plan, nullptr, nullptr));
  const thimble_model_info info = InfoOf(runner.model());
  const std::vector<int32_t> ids = {1, 0, 3, 2, 4, 1};
  if (info.is_decoder) {
    out.logits = runner.Prefill(ids);
    const Logits more = runner.DecodeEach({2, 0});
    out.logits.insert(out.logits.end(), more.begin(), more.end());
  } else if (info.image_height > 0) {
    out.logits = runner.EncodeImage(
        std::vector<float>(size_t{info.image_height} * info.image_width * info.image_channels, 0.25f));
  } else {
    out.logits = runner.EncodeRows(ids);
  }
  return out;
}

bool SameBits(const Logits& a, const Logits& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size() || std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) return false;
  }
  return true;
}

std::vector<std::string> Tables() {
  std::istringstream names(thimble_kernel_tables());
  std::vector<std::string> tables;
  for (std::string name; names >> name;) tables.push_back(name);
  return tables;
}

// Where an emulator makes them expensive, a part of the models.
bool Skipped(size_t index) {
#if defined(__aarch64__)
  return index % 5 != 0;
#else
  (void)index;
  return false;
#endif
}

}  // namespace

TEST_CASE("packed files: they keep the id of what they were packed from") {
  const std::vector<uint8_t> plain = ZooEntry("none_on_write").Bytes();
  const auto id_of = [](const std::vector<uint8_t>& bytes) {
    const AlignedBytes copy(bytes);
    ModelFile file;
    REQUIRE(file.OpenMemory(copy.data(), copy.size()).ok());
    CHECK(VerifyPayload(file).ok());
    return file.header().content_id();
  };
  const std::vector<uint8_t> packed = Packed(plain, "avx2"), again = Packed(packed, "scalar");
  CHECK(packed != plain);
  CHECK(id_of(packed) == id_of(plain));
  CHECK(again == plain);
  // Another model has another.
  CHECK(id_of(ZooEntry("q_k_on_write").Bytes()) != id_of(plain));
}

TEST_CASE("packed files: every model in every packing with every kernel table") {
  size_t index = 0;
  for (const ZooModel& z : ModelZoo()) {
    if (Skipped(index++)) continue;
    const std::vector<uint8_t> plain = z.builder.Bytes();
    std::vector<std::vector<uint8_t>> packed;
    for (const TablePacking& packing : AllTablePackings()) packed.push_back(Packed(plain, packing.name));
    CHECK(packed[0] == plain);
    for (const std::string& table : Tables()) {
      const Outcome expected = Run(plain, table.c_str());
      for (size_t i = 0; i < packed.size(); ++i) {
        INFO(z.name << " packed for " << AllTablePackings()[i].name << ", kernels " << table);
        const Outcome got = Run(packed[i], table.c_str(), i % 3 + 1);
        CHECK(SameBits(got.logits, expected.logits));
        const TablePacking &there = AllTablePackings()[i], &here = *FindTablePacking(table.c_str());
        const bool portable = i == 0, same = !portable && std::equal(std::begin(there.layouts), std::end(there.layouts), std::begin(here.layouts));
        // Experts that fit no tile stay rows, which are packed at load.
        const bool some_rows = z.name == "experts" || z.name == "short_conv" || z.name == "turned";
        if (same) {
          if (!some_rows) CHECK(got.plan.packed_weight_bytes == 0);
          CHECK(got.plan.repacked_weight_bytes == 0);
          CHECK(got.plan.in_place_weight_bytes > 0);
          CHECK((some_rows || got.plan.file_packing == table));
        } else if (portable) {
          CHECK(got.plan.repacked_weight_bytes == 0);
          CHECK(got.plan.arena_bytes >= expected.plan.arena_bytes);
        } else {
          if (!some_rows) CHECK(got.plan.repacked_weight_bytes == got.plan.packed_weight_bytes);
        }
      }
    }
  }
}

TEST_CASE("packed files: from any packing to any other, and back to the same file") {
  size_t index = 0;
  for (const ZooModel& z : ModelZoo()) {
    if (Skipped(index++)) continue;
    const std::vector<uint8_t> plain = z.builder.Bytes();
    std::vector<uint8_t> wandering = plain;
    for (const TablePacking& packing : AllTablePackings()) {
      INFO(z.name << " " << packing.name);
      wandering = Packed(wandering, packing.name);
      CHECK(wandering == Packed(plain, packing.name));
      AlignedBytes aligned(wandering);
      thimble_model* model = nullptr;
      Check(Call(thimble_model_open_memory, aligned.data(), aligned.size(), &model));
      const thimble_error verified = Call(thimble_model_verify, model, nullptr, nullptr);
      INFO(verified.message);
      CHECK(verified.code == 0);
      thimble_model_close(model);
    }
    CHECK(Packed(wandering, "portable") == plain);
  }
}

TEST_CASE("packed files: the table that is chosen") {
  const std::vector<uint8_t> plain = ZooEntry("post_norms").Bytes();  // int8
  const auto chosen = [&](const std::string& packing) { return std::string(Run(Packed(plain, packing), nullptr).plan.kernels); };
  const std::vector<std::string> tables = Tables();
  const std::string best = tables.back();
  CHECK(chosen("portable") == best);
  CHECK(chosen(best == "scalar" ? "portable" : best) == best);
  // Files for machines of another kind are repacked for the best table.
#if defined(__x86_64__)
  CHECK(chosen("neondot") == best);
  if (best == "avx512vnni" || best == "amx") {
    // avx2 is much slower than what the CPU has; its layout is avxvnni's, too, where the CPU has that.
    const bool avxvnni = std::find(tables.begin(), tables.end(), "avxvnni") != tables.end();
    CHECK(chosen("avx2") == (avxvnni ? "avxvnni" : best));
  }
#elif defined(__aarch64__)
  CHECK(chosen("avx2") == best);
  if (best == "neondot" || best == "neoni8mm") CHECK(chosen("neon") == best);
  if (best == "neoni8mm") CHECK(chosen("neondot") == best);
#endif
}
