// XXH64 as its specification describes it: four lanes of 8 bytes, then the tail, then the avalanche.
#include "format/checksum.h"

#include <bit>
#include <cstring>

namespace thimble {
namespace {

constexpr uint64_t kPrime1 = 0x9e3779b185ebca87ull;
constexpr uint64_t kPrime2 = 0xc2b2ae3d27d4eb4full;
constexpr uint64_t kPrime3 = 0x165667b19e3779f9ull;
constexpr uint64_t kPrime4 = 0x85ebca77c2b2ae63ull;
constexpr uint64_t kPrime5 = 0x27d4eb2f165667c5ull;

// The lanes start at seed + p1 + p2, seed + p2, seed, seed - p1, written out in the header.
static_assert(kPrime1 + kPrime2 == 0x60ea27eeadc0b5d6ull && 0 - kPrime1 == 0x61c8864e7a143579ull);
static_assert(std::endian::native == std::endian::little, "the .thimble format is little-endian");

template <typename T>
T Load(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

uint64_t Round(uint64_t lane, uint64_t input) { return std::rotl(lane + input * kPrime2, 31) * kPrime1; }

void Block(uint64_t lanes[4], const uint8_t* p) {
  for (int i = 0; i < 4; ++i) lanes[i] = Round(lanes[i], Load<uint64_t>(p + 8 * i));
}

}  // namespace

void Checksum::Update(const void* bytes, size_t size) {
  const uint8_t* p = static_cast<const uint8_t*>(bytes);
  total_bytes_ += size;
  if (pending_bytes_ > 0) {
    const size_t take = size < 32 - pending_bytes_ ? size : 32 - pending_bytes_;
    if (take > 0) std::memcpy(pending_ + pending_bytes_, p, take);
    pending_bytes_ += take;
    p += take;
    size -= take;
    if (pending_bytes_ < 32) return;
    Block(lanes_, pending_);
    pending_bytes_ = 0;
  }
  for (; size >= 32; p += 32, size -= 32) Block(lanes_, p);
  if (size > 0) std::memcpy(pending_, p, size);
  pending_bytes_ = size;
}

uint64_t Checksum::Digest() const {
  uint64_t h = kPrime5;
  if (total_bytes_ >= 32) {
    h = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (uint64_t lane : lanes_) h = (h ^ Round(0, lane)) * kPrime1 + kPrime4;
  }
  h += total_bytes_;
  const uint8_t* p = pending_;
  const uint8_t* end = pending_ + pending_bytes_;
  for (; end - p >= 8; p += 8) h = std::rotl(h ^ Round(0, Load<uint64_t>(p)), 27) * kPrime1 + kPrime4;
  for (; end - p >= 4; p += 4) h = std::rotl(h ^ Load<uint32_t>(p) * kPrime1, 23) * kPrime2 + kPrime3;
  for (; p < end; ++p) h = std::rotl(h ^ *p * kPrime5, 11) * kPrime1;
  h = (h ^ (h >> 33)) * kPrime2;
  h = (h ^ (h >> 29)) * kPrime3;
  return h ^ (h >> 32);
}

}  // namespace thimble
