// Where segments must lie: in order, aligned, without gaps, inside the file and up to its end.
#include <catch2/catch_test_macros.hpp>

#include "format/container.h"
#include "format/model_file.h"
#include "tests/format/header_image.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

struct Case {
  const char* name;
  void (*change)(HeaderImage&);
  const char* place;
};

void Move(HeaderImage& h, uint32_t i, int64_t by) {
  SegmentSpec s = h.Segment(i);
  s.offset += static_cast<uint64_t>(by);
  h.SetSegment(i, s);
}
void Resize(HeaderImage& h, uint32_t i, uint64_t bytes) {
  SegmentSpec s = h.Segment(i);
  s.bytes = bytes;
  h.SetSegment(i, s);
}
uint32_t Last(const HeaderImage& h) { return h.root().segments()->size() - 1; }

const Case kCases[] = {
    {"first not at 16 KiB", [](HeaderImage& h) { Move(h, 0, 64); }, "segment 0 offset"},
    {"first over the header", [](HeaderImage& h) { Move(h, 0, -16384); }, "segment 0 offset"},
    {"first far away", [](HeaderImage& h) { Move(h, 0, int64_t{1} << 62); }, "segment 0 offset"},
    {"misaligned", [](HeaderImage& h) { Move(h, 1, 1); }, "segment 1 offset"},
    {"overlap", [](HeaderImage& h) { Move(h, 2, -64); }, "segment 2 offset"},
    {"gap", [](HeaderImage& h) { Move(h, 2, 64); }, "segment 2 offset"},
    {"offset wraps", [](HeaderImage& h) { Move(h, 2, -static_cast<int64_t>(h.Segment(2).offset) - 64); },
     "segment 2 offset"},
    {"same as the one before", [](HeaderImage& h) { h.SetSegment(2, h.Segment(1)); }, "segment 2 offset"},
    {"empty", [](HeaderImage& h) { Resize(h, 1, 0); }, "segment 1 bytes"},
    {"past the end", [](HeaderImage& h) { Resize(h, 1, h.file_bytes); }, "segment 1 bytes"},
    {"size wraps", [](HeaderImage& h) { Resize(h, 1, UINT64_MAX); }, "segment 1 bytes"},
    {"size wraps to the right place",
     [](HeaderImage& h) { Resize(h, 1, h.Segment(1).bytes + (uint64_t{1} << 63)); }, "segment 1 bytes"},
    {"one byte smaller than its tensor", [](HeaderImage& h) { Resize(h, 0, h.Segment(0).bytes - 1); },
     "tensor 0 data_segment"},
    {"last one byte shorter", [](HeaderImage& h) { Resize(h, Last(h), h.Segment(Last(h)).bytes - 1); },
     "prefix file_bytes"},
    {"file one byte longer", [](HeaderImage& h) { ++h.file_bytes; }, "prefix file_bytes"},
    {"file one alignment longer", [](HeaderImage& h) { h.file_bytes += 64; }, "prefix file_bytes"},
};

// Two tensors whose sizes are multiples of 64, so that every case above fails for its own reason alone.
ModelDescription Description() {
  ModelBuilder m(16, 64, 8);
  m.AddVector("unused", 64, 0, 1);
  AttentionSpec a;
  a.heads = a.kv_heads = 2;
  a.head_width = 8;
  m.AddLayer(a, std::nullopt, Activation::kIdentity, 0, NormKind::kNone, false);
  m.Finish(false, true, NormKind::kNone);
  return m.description();
}

}  // namespace

TEST_CASE("segments: the description itself is valid") {
  const HeaderImage image(Description());
  CHECK(PlaceOf(image.Parse().status()) == "");
  CHECK(image.Parse().ok());
}

TEST_CASE("segments: every wrong place is refused by name") {
  for (const Case& c : kCases) {
    INFO(c.name);
    HeaderImage image(Description());
    c.change(image);
    const Status status = image.Parse().status();
    CHECK(status.code == Code::kInvalidModel);
    CHECK(PlaceOf(status) == c.place);
  }
}

TEST_CASE("segments: trailing bytes, with and without the prefix knowing of them") {
  const std::vector<uint8_t> good = ZooEntry("k_v_on_read").Bytes();
  for (const size_t extra : {size_t{1}, size_t{64}, size_t{16384}}) {
    std::vector<uint8_t> file = good;
    file.resize(good.size() + extra);
    const AlignedBytes silent(file);
    ModelFile model;
    CHECK(model.OpenMemory(silent.data(), silent.size()).code == Code::kTrailingBytes);
    const uint64_t announced = file.size();
    std::memcpy(file.data() + offsetof(Prefix, file_bytes), &announced, sizeof announced);
    Seal(file);
    const AlignedBytes sealed(file);
    const Status status = model.OpenMemory(sealed.data(), sealed.size());
    CHECK(status.code == Code::kInvalidModel);
    CHECK(PlaceOf(status) == "prefix file_bytes");
  }
}

TEST_CASE("segments: several tensors may be one segment") {
  // What the rules allow must work: two norms with the same weights stored once.
  HeaderImage image(ZooEntry("none_unrotated").description());
  const Result<Header> before = image.Parse();
  REQUIRE(before.ok());
  int32_t first = -1, second = -1;
  for (uint32_t i = 0; i < before.value().tensors(); ++i) {
    const TensorSpec t = before.value().tensor(i);
    if (t.rows == 1 && t.cols == 16) (first < 0 ? first : second) = static_cast<int32_t>(i);
  }
  REQUIRE(second >= 0);
  const fb::Tensor* t = image.root().tensors()->Get(static_cast<uint32_t>(second));
  image.Set<int32_t>(t, fb::Tensor::VT_DATA_SEGMENT,
                     before.value().tensor(static_cast<uint32_t>(first)).data_segment);
  CHECK(image.Parse().ok());
}

TEST_CASE("segments: many tensors over one segment would be work without end, and are refused") {
  for (const uint32_t sharers : {10u, 40u, 60000u}) {
    ModelDescription d = ZooEntry("none_unrotated").description();
    const uint32_t big = static_cast<uint32_t>(d.tensors.size());
    for (uint32_t i = 0; i <= sharers; ++i) {
      d.tensors.push_back({"extra", {.type = WeightType::kF32, .rows = 1, .cols = i == 0 ? 1u << 22 : 1u}});
    }
    HeaderImage image(d);
    const fb::Tensor* first = image.root().tensors()->Get(big);
    for (uint32_t i = 1; i <= sharers; ++i) {
      const fb::Tensor* t = image.root().tensors()->Get(big + i);
      image.Set<int32_t>(t, fb::Tensor::VT_DATA_SEGMENT, first->data_segment());
      image.Set<uint32_t>(t, fb::Tensor::VT_COLS, first->cols());
    }
    INFO(sharers << " sharers");
    const Status status = image.Parse().status();
    CHECK(status.ok() == (sharers < 16));
    if (!status.ok()) CHECK(PlaceOf(status) == "tensor " + std::to_string(big + 16) + " data_segment");
  }
}
