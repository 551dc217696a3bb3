// Headers that nobody would write: seeded random changes, sealed again, so that only the verifier and the
// validator stand between them and the runtime. Also headers built to make checking slow.
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstring>
#include <random>

#include "format/container.h"
#include "tests/format/header_image.h"
#include "tests/support/exercise.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// -DTHIMBLE_TEST_EVERYTHING takes many minutes.
#if defined(THIMBLE_TEST_EVERYTHING)
constexpr int kRounds = 100000;
#elif defined(__aarch64__) || defined(__SANITIZE_ADDRESS__)
constexpr int kRounds = 300;
#else
constexpr int kRounds = 3000;
#endif

template <typename T>
void Put(std::vector<uint8_t>& file, size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof value);
}

// One change inside [begin, end).
void Change(std::vector<uint8_t>& file, size_t begin, size_t end, std::mt19937_64& random) {
  const size_t at = begin + random() % (end - begin - 8);
  const size_t aligned = at / 4 * 4;
  const uint32_t interesting[] = {0,          1,          2,          3,          7,          8,
                                  16,         0x7f,       0x80,       0xff,       0x7fff,     0x8000,
                                  0xffff,     0x10000,    0x7fffffff, 0x80000000, 0xffffffff, 0x7f800000,
                                  0x7fc00000, 0xff800000, 0x00000001, 0x7f7fffff};
  switch (random() % 8) {
    case 0:
      file[at] = static_cast<uint8_t>(random());
      break;
    case 1:
      file[at] = static_cast<uint8_t>(file[at] + 1 - 2 * (random() % 2));
      break;
    case 2:
      Put(file, aligned, interesting[random() % std::size(interesting)]);
      break;
    case 3:
      Put(file, at / 2 * 2, static_cast<uint16_t>(interesting[random() % std::size(interesting)]));
      break;
    case 4:
      Put(file, aligned, static_cast<uint32_t>(random() % 64));
      break;
    case 5: {  // another place's four bytes
      const size_t from = (begin + random() % (end - begin - 8)) / 4 * 4;
      std::memmove(file.data() + aligned, file.data() + from, 4);
      break;
    }
    case 6: {  // a stretch moves
      const size_t size = std::min<size_t>(1 + random() % 40, end - at);
      const size_t from = begin + random() % (end - begin - size + 1);
      std::memmove(file.data() + at, file.data() + from, size);
      break;
    }
    default: {
      uint64_t value;
      std::memcpy(&value, file.data() + at, 8);
      Put(file, at, value + random() % 16);
      break;
    }
  }
}

double Milliseconds(const std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("hostile headers: random changes") {
  size_t opened = 0, ran = 0;
  for (const char* name :
       {"k_v_inverse", "gain_and_sinks", "post_norms", "cache_source", "encoder_rows", "image"}) {
    const std::vector<uint8_t> good = ZooEntry(name).Bytes();
    Prefix prefix;
    std::memcpy(&prefix, good.data(), sizeof prefix);
    const size_t end = kPrefixBytes + prefix.header_bytes;
    for (int round = 0; round < kRounds; ++round) {
      std::mt19937_64 random(static_cast<uint64_t>(round) * 977 + good.size());
      std::vector<uint8_t> file = good;
      for (uint64_t changes = 1 + random() % 3; changes > 0; --changes)
        Change(file, kPrefixBytes, end, random);
      Seal(file);
      const Exercised e = ExerciseModel(file, static_cast<uint32_t>(round), size_t{16} << 20);
      if (!e.fault.empty()) FAIL(name << " round " << round << ": " << e.fault);
      opened += e.open_code == 0;
      ran += e.ran;
    }
  }
  CHECK(opened > 0);
  CHECK(ran > 0);
}

TEST_CASE("hostile headers: random bytes") {
  std::mt19937_64 random(9);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<uint8_t> file(64 + 16 + random() % 400);
    for (uint8_t& b : file) b = static_cast<uint8_t>(random() % 5 == 0 ? random() : random() % 8);
    const Prefix prefix = MakePrefix(file.size(), file.size() - 64, 0);
    std::memcpy(file.data(), &prefix, sizeof prefix);
    std::memcpy(file.data() + 64 + 4, "THMB", 4);
    Seal(file);
    const Exercised e = ExerciseModel(file, 0);
    if (!e.fault.empty()) FAIL("round " << round << ": " << e.fault);
    CHECK(e.open_code != 0);
  }
}

TEST_CASE("hostile headers: a segment table at an odd place") {
  // FlatBuffers checks the alignment of the count, not of the 8-byte values behind it.
  for (size_t shift = 4; shift < 8; shift += 4) {
    HeaderImage image(ZooEntry("none_unrotated").description());
    AlignedBytes moved(image.size() + 64);
    std::memset(moved.data(), 0, moved.size());
    std::memcpy(moved.data() + shift, image.data(), image.size());
    const Status status = Header::Parse(moved.data() + shift, image.size(), image.file_bytes).status();
    CHECK(status.code == Code::kCorrupt);
  }
}

TEST_CASE("hostile headers: checking takes time in proportion to the size") {
  // One table that a million entries share.
  flatbuffers::FlatBufferBuilder b(16 << 20);
  const auto text = b.CreateString("x");
  const auto entry = fb::CreateMetadata(b, text, text);
  const std::vector<flatbuffers::Offset<fb::Metadata>> metadata(3000000, entry);
  const auto vector = b.CreateVector(metadata);
  fb::HeaderBuilder h(b);
  h.add_metadata(vector);
  fb::FinishHeaderBuffer(b, h.Finish());
  AlignedBytes bytes(b.GetSize());
  std::memcpy(bytes.data(), b.GetBufferPointer(), b.GetSize());
  REQUIRE(bytes.size() < kMaxHeaderBytes);
  const auto start = std::chrono::steady_clock::now();
  const Status status = Header::Parse(bytes.data(), bytes.size(), uint64_t{1} << 40).status();
  CHECK_FALSE(status.ok());
  CHECK(Milliseconds(start) < 3000);
}

TEST_CASE("hostile headers: the most layers that share everything") {
  ModelDescription d = ZooEntry("none_on_write").description();
  d.layers.resize(kMaxLayers, d.layers[0]);
  for (size_t i = 0; i < d.layers.size(); ++i)
    d.layers[i].attention().rope.theta = 100.0 + static_cast<double>(i);
  const HeaderImage image(d);
  const auto start = std::chrono::steady_clock::now();
  CHECK(image.Parse().ok());
  CHECK(Milliseconds(start) < 3000);
}
