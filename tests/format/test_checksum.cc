// XXH64 against published values and against the specification written down plainly, and in pieces.
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "format/checksum.h"

using namespace thimble;

namespace {

uint64_t Of(const std::string& text) { return ChecksumOf(text.data(), text.size()); }

// doc/xxhash_spec.md of the xxHash repository, section XXH64, seed 0, step by step.
uint64_t Specification(const std::vector<uint8_t>& input) {
  const uint64_t p1 = 11400714785074694791ull, p2 = 14029467366897019727ull, p3 = 1609587929392839161ull,
                 p4 = 9650029242287828579ull, p5 = 2870177450012600261ull;
  const auto read = [&input](size_t at, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; ++i) v |= uint64_t{input[at + static_cast<size_t>(i)]} << (8 * i);
    return v;
  };
  const auto round = [&](uint64_t acc, uint64_t lane) { return std::rotl(acc + lane * p2, 31) * p1; };
  size_t at = 0;
  uint64_t acc = p5;
  if (input.size() >= 32) {
    uint64_t a[4] = {p1 + p2, p2, 0, 0 - p1};
    for (; at + 32 <= input.size(); at += 32) {
      for (size_t i = 0; i < 4; ++i) a[i] = round(a[i], read(at + 8 * i, 8));
    }
    acc = std::rotl(a[0], 1) + std::rotl(a[1], 7) + std::rotl(a[2], 12) + std::rotl(a[3], 18);
    for (const uint64_t lane : a) acc = (acc ^ round(0, lane)) * p1 + p4;
  }
  acc += input.size();
  for (; at + 8 <= input.size(); at += 8) acc = std::rotl(acc ^ round(0, read(at, 8)), 27) * p1 + p4;
  for (; at + 4 <= input.size(); at += 4) acc = std::rotl(acc ^ read(at, 4) * p1, 23) * p2 + p3;
  for (; at < input.size(); ++at) acc = std::rotl(acc ^ read(at, 1) * p5, 11) * p1;
  acc = (acc ^ (acc >> 33)) * p2;
  acc = (acc ^ (acc >> 29)) * p3;
  return acc ^ (acc >> 32);
}

std::vector<uint8_t> RandomBytes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t> out(count);
  for (uint8_t& b : out) b = static_cast<uint8_t>(random());
  return out;
}

}  // namespace

TEST_CASE("checksum: published values of XXH64") {
  CHECK(Of("") == 0xef46db3751d8e999u);
  CHECK(Of("a") == 0xd24ec4f1a98c6e5bu);
  CHECK(Of("abc") == 0x44bc2cf5ad770999u);
  CHECK(Of("Nobody inspects the spammish repetition") == 0xfbcea83c8a378bf1u);
}

TEST_CASE("checksum: every length to 200 is what the specification says") {
  for (size_t size = 0; size <= 200; ++size) {
    const std::vector<uint8_t> bytes = RandomBytes(size, size + 1);
    REQUIRE(ChecksumOf(bytes.data(), size) == Specification(bytes));
  }
}

TEST_CASE("checksum: pieces give what the whole gives") {
  for (size_t size = 0; size <= 100; ++size) {
    const std::vector<uint8_t> bytes = RandomBytes(size, size + 1000);
    const uint64_t whole = ChecksumOf(bytes.data(), size);
    for (size_t cut = 0; cut <= size; ++cut) {
      Checksum c;
      c.Update(bytes.data(), cut);
      c.Update(bytes.data() + cut, size - cut);
      REQUIRE(c.Digest() == whole);
      REQUIRE(c.Digest() == whole);  // asking does not change it
    }
  }
  std::mt19937_64 random(3);
  const std::vector<uint8_t> bytes = RandomBytes(5000, 4);
  for (int i = 0; i < 200; ++i) {
    Checksum c;
    for (size_t at = 0; at < bytes.size();) {
      const size_t size = std::min<size_t>(random() % 90, bytes.size() - at);
      c.Update(bytes.data() + at, size);
      at += size;
    }
    REQUIRE(c.Digest() == ChecksumOf(bytes.data(), bytes.size()));
  }
  // Alignment does not matter.
  std::vector<uint8_t> shifted(bytes.size() + 8);
  for (size_t shift = 0; shift < 8; ++shift) {
    std::memcpy(shifted.data() + shift, bytes.data(), bytes.size());
    REQUIRE(ChecksumOf(shifted.data() + shift, bytes.size()) == ChecksumOf(bytes.data(), bytes.size()));
  }
}

TEST_CASE("checksum: an update of nothing may have no address") {
  Checksum c;
  c.Update(nullptr, 0);
  c.Update("abc", 3);
  c.Update(nullptr, 0);
  CHECK(c.Digest() == 0x44bc2cf5ad770999u);
}
