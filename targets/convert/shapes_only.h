// A checkpoint without weights, for plans from a configuration alone: every tensor that is asked for is there, in the shape in which it
// is asked for, and holds zeros. It must not know any family.
#pragma once

#include <string>

#include "targets/convert/checkpoint.h"

namespace thimble {

class ShapesOnlyCheckpoint : public Checkpoint {
 public:
  // `file`: for messages.
  explicit ShapesOnlyCheckpoint(std::string file) : file_(std::move(file)) {}

  uint64_t bytes() const override { return 0; }
  const std::string& FileOf(size_t) const override { return file_; }
  void ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const override;
  std::optional<size_t> Invent(const std::string& name, const std::vector<uint64_t>& shape) const override;

 private:
  std::string file_;
};

}  // namespace thimble
