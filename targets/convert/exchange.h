// A model with some of its tensors taken from another file of the same network, in memory: what such tensors cost can be
// measured by running it. Knows no kernels and measures nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "format/model_file.h"

namespace thimble {

// The same tensor in two files.
struct TensorPair {
  uint32_t base = 0, other = 0;
};

// Those that the two hold in different types, packings or values, by name. Throws ImportError naming the first tensor that
// only one of them has, or in another shape.
std::vector<TensorPair> DifferingTensors(const ModelFile& base, const ModelFile& other);

// The bytes of a file, aligned as ModelFile::OpenMemory wants them.
class FileImage {
 public:
  explicit FileImage(uint64_t bytes) : lines_((bytes + 63) / 64), bytes_(bytes) {}
  uint8_t* data() { return lines_.data()->bytes; }
  const uint8_t* data() const { return lines_.data()->bytes; }
  uint64_t bytes() const { return bytes_; }

 private:
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  std::vector<Line> lines_;
  uint64_t bytes_;
};

// `base` with `taken` from `other`. To be run, not kept: the segments' checksums are 0. Throws ImportError.
FileImage ExchangeTensors(const ModelFile& base, const ModelFile& other, const std::vector<TensorPair>& taken);

}  // namespace thimble
