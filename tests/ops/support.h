// Random numbers that are the same everywhere, and buffers of exactly the bytes asked for, so that
// AddressSanitizer sees the first byte read too many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "ops/pool/thread_pool.h"

namespace thimble::test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint64_t Next() {
    // splitmix64
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [low, high].
  size_t Integer(size_t low, size_t high) { return low + Next() % (high - low + 1); }
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  float Float(float low, float high) { return low + (high - low) * static_cast<float>(Unit()); }
  // Roughly normal, variance 1.
  float Normal() {
    double sum = 0;
    for (int i = 0; i < 12; ++i) sum += Unit();
    return static_cast<float>(sum - 6.0);
  }
  std::vector<float> Normals(size_t count, float factor = 1.0f) {
    std::vector<float> v(count);
    for (float& x : v) x = Normal() * factor;
    return v;
  }
  template <typename T>
  T Pick(std::initializer_list<T> values) {
    return values.begin()[Integer(0, values.size() - 1)];
  }

 private:
  uint64_t state_;
};

// `bytes` bytes at a 64-byte boundary, filled with 0xa5.
class Block {
 public:
  explicit Block(size_t bytes) : data_(::operator new (bytes, std::align_val_t{64})) {
    std::memset(data_, 0xa5, bytes);
  }
  ~Block() { ::operator delete (data_, std::align_val_t{64}); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  template <typename T>
  T* As() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
};

class Pool {
 public:
  explicit Pool(size_t threads) : pool_(CreateThreadPool(threads).value()) {}
  ~Pool() { DestroyThreadPool(pool_); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ThreadPool* get() const { return pool_; }

 private:
  ThreadPool* pool_;
};

inline bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// Catch2 counts every assertion; loops keep the worst case and check it once.
struct Worst {
  double error = 0;
  size_t where = 0;
  void See(double e, size_t at = 0) {
    // A NaN must not pass.
    if (!(e <= error)) {
      error = e;
      where = at;
    }
  }
};

}  // namespace thimble::test
