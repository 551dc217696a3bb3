// Packed files that are wrong: every field of the description, sizes, truncations, bytes. Each gives a named error
// or a model that works.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "format/header.h"
#include "format/model_file.h"
#include "ops/linear/packing/layouts.h"
#include "runtime/core/status.h"
#include "tests/packing/packed_file.h"
#include "tests/support/call.h"
#include "tests/support/exercise.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// One packed layer in the description of a model; the payload is left zero.
struct Described {
  ModelDescription d;
  uint32_t tensor = 0;
};

Described Describe(WeightType type, const PackedLayout& layout) {
  ModelBuilder m(32, 44, 16, 9);
  m.Weights(type, TraitsOf(type).blocks ? 32 : 0);
  AttentionSpec a;
  a.heads = a.kv_heads = 1;
  a.head_width = 32;
  m.AddLayer(a, std::nullopt, Activation::kIdentity, 0, NormKind::kRmsNorm, true);
  m.Finish(false, true, NormKind::kRmsNorm);
  Described out{m.description(), 0};
  out.tensor = static_cast<uint32_t>(out.d.layers[0].attention().q.weight);
  TensorSpec& t = out.d.tensors[out.tensor].spec;
  t.packing = layout.key;
  t.packed_bytes = PackedBytes(layout, t.rows, t.cols, t.block) + kLinearSlackBytes;
  return out;
}

thimble_error Open(ModelDescription d) {
  uint64_t file_bytes = 0;
  const std::vector<SegmentSpec> segments = LayOut(d, &file_bytes);
  std::vector<uint8_t> file(file_bytes);
  const std::vector<uint8_t> header = HeaderBytes(d, segments, file_bytes);
  std::memcpy(file.data(), header.data(), header.size());
  const AlignedBytes bytes(file);
  thimble_model* model = nullptr;
  const thimble_error status = Call(thimble_model_open_memory, bytes.data(), bytes.size(), &model);
  thimble_model_close(model);
  return status;
}

bool Names(const thimble_error& status, int32_t code, const char* text) {
  INFO(status.code << " " << status.message);
  CHECK(status.code == code);
  CHECK(std::strstr(status.message, text) != nullptr);
  return status.code == code && std::strstr(status.message, text) != nullptr;
}

// The first packed tensor of a file: where its bytes are.
struct Place {
  size_t offset, bytes;
  uint32_t tensor;
};

Place FirstPacked(const std::vector<uint8_t>& file) {
  const AlignedBytes bytes(file);
  ModelFile model;
  REQUIRE(model.OpenMemory(bytes.data(), bytes.size()).ok());
  for (uint32_t i = 0; i < model.header().tensors(); ++i) {
    const TensorSpec t = model.header().tensor(i);
    if (!t.packing.packed()) continue;
    const SegmentSpec s = model.header().segment(static_cast<uint32_t>(t.data_segment));
    return {static_cast<size_t>(s.offset), static_cast<size_t>(s.bytes), i};
  }
  FAIL("no packed tensor");
  return {};
}

// What verify says of `file`, a changed copy of `good`, when its checksums are right again.
thimble_error VerifySealed(const std::vector<uint8_t>& good, const Place& place, std::vector<uint8_t> file) {
  const AlignedBytes original(good);
  ModelFile described;
  REQUIRE(described.OpenMemory(original.data(), original.size()).ok());
  const SegmentSpec s =
      described.header().segment(static_cast<uint32_t>(described.header().tensor(place.tensor).data_segment));
  const uint64_t sum = ChecksumOf(file.data() + s.offset, static_cast<size_t>(s.bytes));
  uint8_t* at = file.data();
  for (size_t h = 64; h + 8 <= place.offset; h += 8) {
    if (std::memcmp(at + h, &s.checksum, 8) == 0) std::memcpy(at + h, &sum, 8);
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, at + 32, 8);
  const uint64_t header_sum = ChecksumOf(at + 64, header_bytes);
  std::memcpy(at + 40, &header_sum, 8);
  const uint64_t prefix_sum = ChecksumOf(at, 56);
  std::memcpy(at + 56, &prefix_sum, 8);
  const AlignedBytes bytes(file);
  thimble_model* model = nullptr;
  REQUIRE(Call(thimble_model_open_memory, bytes.data(), bytes.size(), &model).code == 0);
  const thimble_error verified = Call(thimble_model_verify, model, nullptr, nullptr);
  thimble_model_close(model);
  return verified;
}

}  // namespace

TEST_CASE("hostile packing: every field of the description is checked, and named") {
  for (const PackedLayout* layout : AllPackedLayouts()) {
    const WeightType type = layout->type;
    const Described good = Describe(type, *layout);
    INFO(layout->key.packer << " " << layout->key.nr << "x" << layout->key.kr);
    CHECK(Open(good.d).code == 0);
    const auto broken = [&](auto change) {
      ModelDescription d = good.d;
      change(d.tensors[good.tensor].spec);
      return Open(d);
    };
    const int32_t unknown = static_cast<int32_t>(Code::kUnsupported), invalid = static_cast<int32_t>(Code::kInvalidModel);
    Names(broken([](TensorSpec& t) { std::strcpy(t.packing.packer, "kernel_of_tomorrow"); }), unknown, "kernel_of_tomorrow");
    Names(broken([](TensorSpec& t) { t.packing.version = 2; }), unknown, "packing.version");
    Names(broken([](TensorSpec& t) { t.packing.version = 0; }), unknown, "packing.version");
    for (const uint32_t wrong : {0u, 1u << 31, 3u}) {
      Names(broken([&](TensorSpec& t) { t.packing.nr = wrong; }), unknown, "packing.nr");
      Names(broken([&](TensorSpec& t) { t.packing.kr = wrong; }), unknown, "packing.kr");
      Names(broken([&](TensorSpec& t) { t.packing.sr = wrong; }), unknown, "packing.sr");
      Names(broken([&](TensorSpec& t) { t.packing.planes = wrong; }), unknown, "packing.planes");
    }
    for (const int64_t off : {-65, -64, -1, 1, 64}) {
      Names(broken([&](TensorSpec& t) { t.packed_bytes += static_cast<uint64_t>(off); }), invalid, "data_segment");
    }
    // The type of another packer.
    for (const PackedLayout* other : AllPackedLayouts()) {
      if (other->type == type || std::strcmp(other->key.packer, layout->key.packer) == 0) continue;
      Names(broken([&](TensorSpec& t) { std::strcpy(t.packing.packer, other->key.packer); }), unknown, "type");
    }
  }
}

TEST_CASE("hostile packing: only linear layers, and tables that are tied, may be packed") {
  const Described good = Describe(WeightType::kF32, kF32x16);
  const auto pack = [](ModelDescription d, int32_t tensor) {
    TensorSpec& t = d.tensors[static_cast<size_t>(tensor)].spec;
    t.packing = kF32x16.key;
    t.packed_bytes = PackedBytes(kF32x16, t.rows, t.cols, 0) + kLinearSlackBytes;
    return Open(d);
  };
  CHECK(pack(good.d, good.d.spec.input.table).code == 0);
  CHECK(pack(good.d, good.d.layers[0].attention().q.bias).code == static_cast<int32_t>(Code::kInvalidModel));
  CHECK(pack(good.d, good.d.layers[0].blocks[0].norm.weight).code == static_cast<int32_t>(Code::kInvalidModel));
  // Of the largest sizes that a header can state, the packed size does not wrap into something small.
  ModelDescription d = good.d;
  TensorSpec& t = d.tensors[good.tensor].spec;
  t.rows = t.cols = 1u << 24;
  CHECK(Open(d).code != 0);
}

TEST_CASE("hostile packing: truncations and flipped bytes of a packed file", "[slow]") {
  for (const char* name : {"k_v_on_read", "post_norms", "cache_source"}) {
    for (const char* table : {"avx512vnni", "neon"}) {
      INFO(name << " " << table);
      const std::vector<uint8_t> file = Packed(ZooEntry(name).Bytes(), table);
      for (size_t size = 0; size < file.size(); size += 997) {
        const Exercised e = ExerciseModel(std::vector<uint8_t>(file.begin(), file.begin() + static_cast<ptrdiff_t>(size)), 0);
        CHECK(e.fault == "");
        CHECK(e.open_code != 0);
      }
      AlignedBytes bytes(file);
      const Place place = FirstPacked(file);
      size_t ran = 0;
      for (size_t i = place.offset; i < file.size(); i += 53) {
        bytes.data()[i] ^= static_cast<uint8_t>(1u << (i % 8));
        const Exercised e = ExerciseModel(bytes.data(), file.size(), static_cast<uint32_t>(i));
        bytes.data()[i] = file[i];
        CHECK(e.fault == "");
        if (e.open_code == 0) CHECK(e.verify_code != 0);
        ran += e.ran;
      }
      CHECK(ran > 0);
    }
  }
}

TEST_CASE("hostile packing: verify looks into packed tensors") {
  for (const char* name : {"k_v_on_read", "q_k_on_write", "q_k_on_read"}) {
    for (const TablePacking& table : AllTablePackings()) {
      if (table.Layout(WeightType::kQ8) == nullptr) continue;
      INFO(name << " " << table.name);
      const std::vector<uint8_t> good = Packed(ZooEntry(name).Bytes(), table.name);
      const Place place = FirstPacked(good);
      // Bytes of the first packed tensor, sealed again: either it means other weights (which are then legal), or
      // verify says what is wrong.
      const uint8_t patterns[] = {0xff, 0x7f};
      size_t refused = 0;
      for (size_t i = place.offset; i < place.offset + place.bytes; i += 7) {
        std::vector<uint8_t> file = good;
        file[i] ^= patterns[i % 2];
        const thimble_error verified = VerifySealed(good, place, file);
        refused += verified.code == static_cast<int32_t>(Code::kInvalidModel);
        CHECK(verified.code != static_cast<int32_t>(Code::kCorrupt));
      }
      // int8 and int4: sums, biases, padding, and weights, whose sums no longer fit. Other floats are legal floats.
      CHECK(refused > 0);
      if (std::strcmp(name, "q_k_on_read") != 0) CHECK(refused * 4 > place.bytes / 7 * 3);
    }
  }
}

TEST_CASE("hostile packing: a packed scale that is no number, a wrong sum, a wrong bias, bytes in the slack") {
  const std::vector<uint8_t> good = Packed(ZooEntry("k_v_on_read").Bytes(), "avx512vnni");  // int8, 16 channels a tile
  const Place place = FirstPacked(good);
  const size_t tile_end = place.offset + place.bytes - kLinearSlackBytes;
  const auto changed = [&](size_t offset, uint32_t bits) {
    std::vector<uint8_t> file = good;
    std::memcpy(file.data() + offset, &bits, sizeof bits);
    return VerifySealed(good, place, std::move(file));
  };
  const int32_t invalid = static_cast<int32_t>(Code::kInvalidModel);
  CHECK(VerifySealed(good, place, good).code == 0);
  Names(changed(tile_end - 2 * 16 * 4, 0x7fc00000), invalid, "finite");
  Names(changed(tile_end - 16 * 4, 0xff800000), invalid, "finite");
  Names(changed(tile_end - 16 * 4, 0x3f800000), invalid, "bias");
  Names(changed(place.offset, 12345), invalid, "sums");
  Names(changed(tile_end + 60, 1), invalid, "zero");
}
