// The full scan: every byte of the payload that changes is noticed, and so are weights that are no numbers.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>

#include "format/model_file.h"
#include "tests/format/header_image.h"
#include "tests/support/call.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// Sets the segment's checksum to what its bytes now give, and seals the header.
void SealSegment(std::vector<uint8_t>& file, uint32_t segment) {
  AlignedBytes copy(file);
  ModelFile model;
  REQUIRE(model.OpenMemory(copy.data(), copy.size()).ok());
  const SegmentSpec s = model.header().segment(segment);
  const uint64_t checksum = ChecksumOf(file.data() + s.offset, s.bytes);
  // The old checksum occurs once in the header: in its segment's entry.
  uint8_t* at = nullptr;
  for (size_t i = 64; i + 8 <= 64 + model.header_copy_bytes(); i += 8) {
    if (std::memcmp(file.data() + i, &s.checksum, 8) == 0) at = file.data() + i;
  }
  REQUIRE(at != nullptr);
  std::memcpy(at, &checksum, 8);
  Seal(file);
  // So does the id of the content, which follows from the checksums.
  AlignedBytes resealed(file);
  const uint64_t old_id = model.header().content_id();
  REQUIRE(model.OpenMemory(resealed.data(), resealed.size()).ok());
  const uint64_t id = model.header().ComputeContentId();
  for (size_t i = 64; i + 8 <= 64 + model.header_copy_bytes(); i += 4) {
    if (std::memcmp(file.data() + i, &old_id, 8) == 0) std::memcpy(file.data() + i, &id, 8);
  }
  Seal(file);
}

}  // namespace

TEST_CASE("verify: the caller hears how far it is and can end it") {
  const AlignedBytes bytes(ZooEntry("k_v_on_read").Bytes());
  ModelFile model;
  REQUIRE(model.OpenMemory(bytes.data(), bytes.size()).ok());
  struct Heard {
    size_t calls = 0, last = SIZE_MAX;
    uint64_t done = 0, total = 0;
  } heard;
  const auto hear = [](void* user, uint64_t done, uint64_t total) -> int32_t {
    Heard& h = *static_cast<Heard*>(user);
    if (done < h.done) FAIL_CHECK("went back");
    h.done = done, h.total = total;
    return ++h.calls <= h.last;
  };
  REQUIRE(VerifyPayload(model, {hear, &heard}).ok());
  CHECK(heard.calls > model.header().tensors());
  CHECK(heard.done == bytes.size());
  CHECK(heard.total == bytes.size());
  for (size_t last = 0; last < heard.calls; ++last) {
    Heard stopped;
    stopped.last = last;
    if (VerifyPayload(model, {hear, &stopped}).code != Code::kCancelled) FAIL("not after " << last);
    if (stopped.calls != last + 1) FAIL(stopped.calls << " calls after " << last);
  }
}

TEST_CASE("verify: an id of the content that is not the header's") {
  std::vector<uint8_t> file = ZooEntry("k_v_on_read").Bytes();
  AlignedBytes bytes(file);
  ModelFile model;
  REQUIRE(model.OpenMemory(bytes.data(), bytes.size()).ok());
  CHECK(model.header().content_id() == model.header().ComputeContentId());
  // It occurs once.
  const uint64_t id = model.header().content_id();
  size_t places = 0;
  for (size_t i = 64; i + 8 <= 64 + model.header_copy_bytes(); i += 4) {
    if (std::memcmp(file.data() + i, &id, 8) != 0) continue;
    ++places;
    file[i] ^= 1;
  }
  CHECK(places == 1);
  Seal(file);
  AlignedBytes changed(file);
  REQUIRE(model.OpenMemory(changed.data(), changed.size()).ok());
  CHECK(PlaceOf(VerifyPayload(model)) == "header content_id");
}

TEST_CASE("verify: every changed byte behind the header is found") {
  std::vector<uint8_t> file = ZooEntry("k_v_on_read").Bytes();
  AlignedBytes bytes(file);
  ModelFile model;
  REQUIRE(model.OpenMemory(bytes.data(), bytes.size()).ok());
  REQUIRE(VerifyPayload(model).ok());
  std::vector<bool> in_segment(file.size());
  std::vector<uint32_t> segment_of(file.size());
  for (uint32_t i = 0; i < model.header().segments(); ++i) {
    const SegmentSpec s = model.header().segment(i);
    for (uint64_t b = 0; b < s.bytes; ++b) in_segment[s.offset + b] = true, segment_of[s.offset + b] = i;
  }
  size_t padding = 0, payload = 0;
  for (size_t i = 64 + model.header_copy_bytes(); i < file.size(); ++i) {
    // All of the padding around the first and between the other segments; of the 16 KiB in front every 16th
    // byte.
    const bool first_padding = !in_segment[i] && i < model.header().segment(0).offset - 64;
    if (first_padding && i % 16 != 0) continue;
    bytes.data()[i] ^= static_cast<uint8_t>(1u << (i % 8));
    const Status status = VerifyPayload(model);
    bytes.data()[i] ^= static_cast<uint8_t>(1u << (i % 8));
    if (status.code != Code::kCorrupt) FAIL("byte " << i << ": " << CodeName(status.code));
    if (in_segment[i]) {
      ++payload;
      if (PlaceOf(status) != "segment " + std::to_string(segment_of[i]) + " checksum")
        FAIL("byte " << i << ": " << PlaceOf(status));
    } else {
      ++padding;
      if (std::string(status.section) != "padding" || status.offset != static_cast<int64_t>(i))
        FAIL("byte " << i);
    }
  }
  CHECK(padding > 500);
  CHECK(payload > 3000);
  CHECK(VerifyPayload(model).ok());
}

TEST_CASE("verify: weights and scales that are no finite numbers are found behind right checksums") {
  struct Target {
    const char* model;
    WeightType type;
    const char* field;
  };
  for (const Target& t : {Target{"none_unrotated", WeightType::kF32, "data"},
                          Target{"none_on_write", WeightType::kQ8, "scales"},
                          Target{"none_on_read", WeightType::kQ4, "scales"}}) {
    INFO(t.model);
    const std::vector<uint8_t> good = ZooEntry(t.model).Bytes();
    AlignedBytes bytes(good);
    ModelFile model;
    REQUIRE(model.OpenMemory(bytes.data(), bytes.size()).ok());
    uint32_t tensor = 0;
    while (model.header().tensor(tensor).type != t.type) ++tensor;
    const TensorSpec spec = model.header().tensor(tensor);
    const uint32_t segment =
        static_cast<uint32_t>(t.type == WeightType::kF32 ? spec.data_segment : spec.scale_segment);
    const SegmentSpec s = model.header().segment(segment);
    const size_t element = t.type == WeightType::kQ4 ? 2 : 4;
    for (const float value : {NAN, INFINITY, -INFINITY}) {
      for (const uint64_t at : {uint64_t{0}, s.bytes - element}) {
        std::vector<uint8_t> file = good;
        uint32_t bits;
        std::memcpy(&bits, &value, 4);
        if (element == 2) {
          const uint16_t upper = static_cast<uint16_t>(bits >> 16);
          std::memcpy(file.data() + s.offset + at, &upper, 2);
        } else {
          std::memcpy(file.data() + s.offset + at, &bits, 4);
        }
        SealSegment(file, segment);
        AlignedBytes changed(file);
        ModelFile damaged;
        REQUIRE(damaged.OpenMemory(changed.data(), changed.size()).ok());
        const Status status = VerifyPayload(damaged);
        CHECK(status.code == Code::kInvalidModel);
        CHECK(PlaceOf(status) == "tensor " + std::to_string(tensor) + " " + t.field);
        CHECK(status.offset == static_cast<int64_t>(s.offset + at));
      }
    }
    // The largest finite number is one.
    std::vector<uint8_t> file = good;
    const uint32_t largest = 0x7f7fffffu;
    std::memcpy(file.data() + s.offset, reinterpret_cast<const uint8_t*>(&largest) + (4 - element), element);
    SealSegment(file, segment);
    AlignedBytes changed(file);
    ModelFile fine;
    REQUIRE(fine.OpenMemory(changed.data(), changed.size()).ok());
    CHECK(VerifyPayload(fine).ok());
  }
}

TEST_CASE("verify: through the public header, with the tokenizer's order") {
  std::vector<uint8_t> file = ZooEntry("byte_level").Bytes();
  const AlignedBytes good(file);
  thimble_model* model = nullptr;
  REQUIRE(Call(thimble_model_open_memory, good.data(), good.size(), &model).code == 0);
  CHECK(Call(thimble_model_verify, model, nullptr, nullptr).code == 0);
  thimble_model_close(model);
  CHECK(Call(thimble_model_verify, nullptr, nullptr, nullptr).code == static_cast<int32_t>(Code::kInvalidArgument));

  // Two entries of the sorted index change places: still a model that opens, no longer one that verifies.
  ModelFile opened;
  REQUIRE(opened.OpenMemory(good.data(), good.size()).ok());
  const uint32_t segment = static_cast<uint32_t>(opened.header().model().tokenizer_segment);
  const SegmentSpec s = opened.header().segment(segment);
  const uint32_t pieces = 261;
  uint8_t* index = file.data() + s.offset + 64 + 4 + 4 * 256 + 4 * (pieces + 1) + 4 * pieces;
  std::swap_ranges(index, index + 4, index + 4);
  SealSegment(file, segment);
  const AlignedBytes swapped(file);
  REQUIRE(Call(thimble_model_open_memory, swapped.data(), swapped.size(), &model).code == 0);
  const thimble_error status = Call(thimble_model_verify, model, nullptr, nullptr);
  CHECK(status.code == static_cast<int32_t>(Code::kInvalidModel));
  CHECK(std::string(status.message).find("tokenizer") != std::string::npos);
  thimble_model_close(model);
}
