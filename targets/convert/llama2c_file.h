// llama2.c's model file (legacy version 0): seven int32, then all weights as f32 in a fixed order. Exposed as
// tensors "layers.<i>.wq" and so on. It must not know how the model computes.
#pragma once

#include <filesystem>
#include <memory>

#include "targets/convert/checkpoint.h"
#include "targets/convert/source_file.h"

namespace thimble {

struct Llama2cHeader {
  uint32_t width, ffn_width, layers, heads, kv_heads, vocabulary, positions;
  bool own_head;  // the file has a negative vocabulary size
};

class Llama2cCheckpoint : public Checkpoint {
 public:
  // Throws ImportError unless the header is sane and the file has exactly the bytes that it implies.
  static std::unique_ptr<Llama2cCheckpoint> Open(const std::filesystem::path& path);

  const Llama2cHeader& header() const { return header_; }
  uint64_t bytes() const override { return file_->bytes(); }
  const std::string& FileOf(size_t) const override { return file_->name(); }
  void ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const override;

 private:
  std::unique_ptr<SourceFile> file_;
  Llama2cHeader header_{};
  std::vector<uint64_t> offsets_;
};

}  // namespace thimble
