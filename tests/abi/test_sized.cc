// Structs of any size the caller may have: what is read, what is written, what is refused.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/api/error.h"
#include "runtime/api/sized.h"

using namespace thimble;

namespace {

struct Options {
  uint32_t struct_bytes;
  int32_t a;
  uint64_t b;
  const char* c;
};
const Options kDefaults = {sizeof(Options), 1, 2, "three"};

// A caller's struct of `bytes` bytes, with something behind it that must stay.
struct Caller {
  explicit Caller(uint32_t bytes, const Options& fields = {0, 10, 20, "thirty"}) {
    std::memset(block, 0xAA, sizeof block);
    std::memset(block, 0, bytes);
    std::memcpy(block, &fields, bytes < sizeof fields ? bytes : sizeof fields);
    std::memcpy(block, &bytes, sizeof bytes);
  }
  Options* get() { return reinterpret_cast<Options*>(block); }
  size_t untouched_from() const {
    size_t end = sizeof block;
    while (end > 0 && block[end - 1] == 0xAA) --end;
    return end;
  }
  alignas(8) unsigned char block[kMaxStructBytes + 64];
};

}  // namespace

TEST_CASE("sized: what a shorter struct lacks has its default") {
  Options ours;
  REQUIRE(ReadStruct(Caller(4).get(), kDefaults, "options", &ours).ok());
  CHECK((ours.a == 1 && ours.b == 2 && std::string(ours.c) == "three"));
  REQUIRE(ReadStruct(Caller(8).get(), kDefaults, "options", &ours).ok());
  CHECK((ours.a == 10 && ours.b == 2 && std::string(ours.c) == "three"));
  REQUIRE(ReadStruct(Caller(16).get(), kDefaults, "options", &ours).ok());
  CHECK((ours.a == 10 && ours.b == 20 && std::string(ours.c) == "three"));
  REQUIRE(ReadStruct(Caller(24).get(), kDefaults, "options", &ours).ok());
  CHECK((ours.a == 10 && ours.b == 20 && std::string(ours.c) == "thirty"));
  CHECK(ours.struct_bytes == sizeof ours);
  REQUIRE(ReadStruct<Options>(nullptr, kDefaults, "options", &ours).ok());
  CHECK((ours.a == 1 && ours.b == 2 && std::string(ours.c) == "three"));
}

TEST_CASE("sized: an unknown tail must be zero") {
  Options ours;
  for (const uint32_t bytes : {32u, 64u, kMaxStructBytes}) {
    Caller caller(bytes);
    REQUIRE(ReadStruct(caller.get(), kDefaults, "options", &ours).ok());
    CHECK(ours.b == 20);
    for (const uint32_t at : {24u, 25u, bytes - 1}) {
      caller.block[at] = 1;
      const Status status = ReadStruct(caller.get(), kDefaults, "options", &ours);
      CHECK(status.code == Code::kUnknownField);
      CHECK(status.offset == at);
      CHECK(std::string(status.section) == "options");
      caller.block[at] = 0;
    }
  }
}

TEST_CASE("sized: sizes that no struct has") {
  Options ours;
  for (const uint32_t bytes : {0u, 1u, 3u, 5u, 9u, 12u, 20u, 31u, kMaxStructBytes + 8, 0xAAAAAAAAu, 0xFFFFFFF8u}) {
    INFO(bytes);
    Caller caller(4);
    std::memcpy(caller.block, &bytes, 4);
    const Status status = ReadStruct(caller.get(), kDefaults, "options", &ours);
    CHECK(status.code == Code::kInvalidArgument);
    CHECK(std::string(status.field) == "struct_bytes");
    CHECK(CheckSize(caller.get(), "options").code == Code::kInvalidArgument);
  }
  CHECK(CheckSize<Options>(nullptr, "options").code == Code::kInvalidArgument);
}

TEST_CASE("sized: no more is written than the caller has, and what it has beyond is zeroed") {
  for (const uint32_t bytes : {4u, 8u, 16u, 24u, 32u, 256u}) {
    INFO(bytes);
    Caller caller(bytes);
    std::memset(caller.block + 4, 0x55, bytes - 4);
    WriteStruct(Options{sizeof(Options), 7, 8, "nine"}, caller.get());
    CHECK(caller.untouched_from() <= bytes);
    CHECK(caller.get()->struct_bytes == bytes);
    if (bytes >= 8) CHECK(caller.get()->a == 7);
    if (bytes >= 16) CHECK(caller.get()->b == 8);
    for (size_t i = sizeof(Options); i < bytes; ++i) CHECK(caller.block[i] == 0);
  }
}

TEST_CASE("sized: elements of an array are as far apart as they are long") {
  for (const uint32_t bytes : {8u, 24u, 40u}) {
    std::vector<uint64_t> memory(bytes / 8 * 3);
    for (uint32_t i = 0; i < 3; ++i) {
      const uint32_t element[2] = {bytes, i};
      std::memcpy(reinterpret_cast<char*>(memory.data()) + i * bytes, element, sizeof element);
    }
    Options* first = reinterpret_cast<Options*>(memory.data());
    const Result<StructArray<Options>> all = StructArray<Options>::Of(first, 3, "list");
    REQUIRE(all.ok());
    for (int i = 0; i < 3; ++i) CHECK(all.value()[static_cast<size_t>(i)].a == i);
    all.value()[2].struct_bytes = bytes + 8;
    const Status mixed = StructArray<Options>::Of(first, 3, "list").status();
    CHECK(mixed.code == Code::kInvalidArgument);
    CHECK(mixed.index == 2);
  }
  CHECK(StructArray<Options>::Of(nullptr, 0, "list").value().size() == 0);
  CHECK(StructArray<Options>::Of(nullptr, 1, "list").status().code == Code::kInvalidArgument);
}

TEST_CASE("sized: an error of any size has as much of the message as it has room for") {
  const Status status = Status::Error(Code::kOutOfRange, "a message that is not short");
  for (uint32_t bytes = 0; bytes < 400; ++bytes) {
    alignas(8) unsigned char block[512];
    std::memset(block, 0xAA, sizeof block);
    std::memcpy(block, &bytes, 4);
    thimble_error* error = reinterpret_cast<thimble_error*>(block);
    CHECK(Return(status, error) == THIMBLE_OUT_OF_RANGE);
    const bool legal = bytes >= 4 && bytes % 4 == 0;
    for (size_t i = legal ? bytes : 4; i < sizeof block; ++i) {
      if (block[i] != 0xAA) FAIL("byte " << i << " of " << bytes);
    }
    if (!legal) continue;
    if (bytes >= 8) CHECK(error->code == THIMBLE_OUT_OF_RANGE);
    if (bytes > 8) CHECK(std::string(error->message) == std::string("argument: a message that is not short").substr(0, bytes - 9));
    for (size_t i = sizeof(thimble_error); i < bytes; ++i) {
      if (block[i] != 0) FAIL("byte " << i << " of " << bytes << " is not zeroed");
    }
  }
  thimble_error error = {sizeof error, 77, "old"};
  CHECK(Return(Status::Ok(), &error) == THIMBLE_OK);
  CHECK(error.code == 0);
  CHECK(error.message[0] == 0);
  CHECK(Return(status, nullptr) == THIMBLE_OUT_OF_RANGE);
}
