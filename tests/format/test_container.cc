// The prefix: what each of its fields may be, and which error names it.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <functional>

#include "format/checksum.h"
#include "format/container.h"
#include "tests/format/header_image.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr uint64_t kFileBytes = 20000, kHeaderBytes = 300;

Prefix Good() { return MakePrefix(kFileBytes, kHeaderBytes, 0x1234); }

Status Parse(Prefix p, uint64_t file_bytes = kFileBytes) {
  p.prefix_checksum = ChecksumOf(&p, offsetof(Prefix, prefix_checksum));
  return ParsePrefix(&p, sizeof p, file_bytes).status();
}

struct Case {
  const char* name;
  void (*change)(Prefix&);
  Code code;
  const char* field;
};

const Case kCases[] = {
    {"version 0", [](Prefix& p) { p.version = 0; }, Code::kUnsupportedVersion, "version"},
    {"next version", [](Prefix& p) { p.version = kContainerVersion + 1; }, Code::kUnsupportedVersion,
     "version"},
    {"flag", [](Prefix& p) { p.flags = 1; }, Code::kUnsupportedFeature, "flags"},
    {"highest flag", [](Prefix& p) { p.flags = 0x80000000u; }, Code::kUnsupportedFeature, "flags"},
    {"reserved", [](Prefix& p) { p.reserved = 1; }, Code::kUnsupportedFeature, "flags"},
    {"header before", [](Prefix& p) { p.header_offset = 0; }, Code::kInvalidModel, "header_offset"},
    {"header behind", [](Prefix& p) { p.header_offset = 128; }, Code::kInvalidModel, "header_offset"},
    {"header tiny", [](Prefix& p) { p.header_bytes = 15; }, Code::kInvalidModel, "header_bytes"},
    {"header empty", [](Prefix& p) { p.header_bytes = 0; }, Code::kInvalidModel, "header_bytes"},
    {"header huge", [](Prefix& p) { p.header_bytes = kMaxHeaderBytes + 1; }, Code::kInvalidModel,
     "header_bytes"},
    {"header wraps", [](Prefix& p) { p.header_bytes = UINT64_MAX; }, Code::kInvalidModel, "header_bytes"},
    {"header past the end", [](Prefix& p) { p.header_bytes = kFileBytes - 63; }, Code::kInvalidModel,
     "file_bytes"},
    {"length 0", [](Prefix& p) { p.file_bytes = 0; }, Code::kInvalidModel, "file_bytes"},
    {"length below the header", [](Prefix& p) { p.file_bytes = 64 + kHeaderBytes - 1; }, Code::kInvalidModel,
     "file_bytes"},
    {"length negative", [](Prefix& p) { p.file_bytes = UINT64_MAX; }, Code::kInvalidModel, "file_bytes"},
    {"length one more", [](Prefix& p) { p.file_bytes = kFileBytes + 1; }, Code::kTruncated, "file_bytes"},
    {"length one less", [](Prefix& p) { p.file_bytes = kFileBytes - 1; }, Code::kTrailingBytes, "file_bytes"},
};

}  // namespace

TEST_CASE("prefix: what is made is what is read") {
  const Prefix made = Good();
  const Result<Prefix> read = ParsePrefix(&made, sizeof made, kFileBytes);
  REQUIRE(read.ok());
  CHECK(std::memcmp(&read.value(), &made, sizeof made) == 0);
  CHECK(made.file_bytes == kFileBytes);
  CHECK(made.header_bytes == kHeaderBytes);
  CHECK(made.header_checksum == 0x1234);
}

TEST_CASE("prefix: the bytes are where format/README.md says") {
  const Prefix made = Good();
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&made);
  CHECK(std::memcmp(bytes, "THIMBLE\x1a", 8) == 0);
  const auto u64 = [bytes](size_t at) {
    uint64_t v = 0;
    for (size_t i = 0; i < 8; ++i) v |= uint64_t{bytes[at + i]} << (8 * i);
    return v;
  };
  CHECK(u64(8) == kContainerVersion);  // version u32, flags u32
  CHECK(u64(16) == kFileBytes);
  CHECK(u64(24) == 64);
  CHECK(u64(32) == kHeaderBytes);
  CHECK(u64(40) == 0x1234);
  CHECK(u64(48) == 0);
  CHECK(u64(56) == ChecksumOf(bytes, 56));
}

TEST_CASE("prefix: every field out of its bounds is refused by name") {
  for (const Case& c : kCases) {
    INFO(c.name);
    Prefix p = Good();
    c.change(p);
    const Status status = Parse(p);
    CHECK(status.code == c.code);
    CHECK(std::string(status.field) == c.field);
    CHECK(std::string(status.section) == "prefix");
  }
}

TEST_CASE("prefix: any flipped bit is noticed") {
  const Prefix made = Good();
  for (size_t bit = 0; bit < sizeof made * 8; ++bit) {
    uint8_t bytes[sizeof made];
    std::memcpy(bytes, &made, sizeof made);
    bytes[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    const Status status = ParsePrefix(bytes, sizeof bytes, kFileBytes).status();
    INFO("bit " << bit);
    CHECK(status.code == (bit < 64 ? Code::kNotAModel : Code::kCorrupt));
  }
}

TEST_CASE("prefix: short files") {
  const Prefix made = Good();
  for (size_t size = 0; size < sizeof made; ++size) {
    INFO(size);
    const Status status = ParsePrefix(&made, size, size).status();
    CHECK(status.code == (size == 0 ? Code::kNotAModel : Code::kTruncated));
    CHECK(status.has_wanted == (size != 0));
  }
  CHECK(ParsePrefix("GGUF", 4, 4).status().code == Code::kNotAModel);
  CHECK(ParsePrefix(nullptr, 0, 0).status().code == Code::kNotAModel);
}

TEST_CASE("prefix: the file's real length is compared with the announced one") {
  CHECK(Parse(Good(), kFileBytes).ok());
  CHECK(Parse(Good(), kFileBytes - 1).code == Code::kTruncated);
  CHECK(Parse(Good(), 64).code == Code::kTruncated);
  const Status longer = Parse(Good(), kFileBytes + 1);
  CHECK(longer.code == Code::kTrailingBytes);
  CHECK(longer.got == kFileBytes + 1);
  CHECK(longer.wanted == kFileBytes);
}
