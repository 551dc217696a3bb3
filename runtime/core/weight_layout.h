// How packed weights lie: the byte order that a kernel reads, as files name it and as layouts are looked up. One
// struct for both. Knows neither files nor kernels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble {

// What makes two packed blocks interchangeable: every field equal, together with type, n, k and block. `packer` names
// the byte order inside a tile of nr channels and is never reused for another one; empty: portable rows.
struct WeightLayout {
  static constexpr size_t kMaxPacker = 31;
  char packer[kMaxPacker + 1] = {};  // zeros behind the name
  uint32_t version = 0, nr = 0, kr = 0, sr = 0, planes = 0;

  bool packed() const { return packer[0] != 0; }
  friend bool operator==(const WeightLayout&, const WeightLayout&) = default;
};

}  // namespace thimble
