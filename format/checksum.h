// XXH64 (Yann Collet's 64-bit xxHash, seed 0), whole or in pieces: the checksum of headers and segments. It guards
// against damage, not against an attacker; the validator is what makes a file safe.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble {

class Checksum {
 public:
  void Update(const void* bytes, size_t size);
  uint64_t Digest() const;

 private:
  uint64_t lanes_[4] = {0x60ea27eeadc0b5d6ull, 0xc2b2ae3d27d4eb4full, 0, 0x61c8864e7a143579ull};
  uint8_t pending_[32] = {};
  size_t pending_bytes_ = 0;
  uint64_t total_bytes_ = 0;
};

inline uint64_t ChecksumOf(const void* bytes, size_t size) {
  Checksum c;
  c.Update(bytes, size);
  return c.Digest();
}

}  // namespace thimble
