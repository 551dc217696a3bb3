// GGUF files, versions 2 and 3: named values about a model, and its tensors as a checkpoint. Both are read
// strictly: every count and length is checked against the bytes that remain before anything is taken for it.
// It must not know what any name means, but for general.alignment.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "targets/convert/checkpoint.h"
#include "targets/convert/gguf_blocks.h"
#include "targets/convert/gguf_i2s.h"
#include "targets/convert/json_file.h"
#include "targets/convert/source_file.h"

namespace thimble {

// Does the file start with "GGUF"? Throws ImportError when it cannot be read.
bool IsGgufFile(const std::filesystem::path& path);

class GgufCheckpoint : public Checkpoint {
 public:
  // Throws ImportError that names the key or the tensor for anything malformed, for a type of tensor that
  // cannot be read, and for tensors that overlap or leave the file. A file without tensors is legal.
  static std::unique_ptr<GgufCheckpoint> Open(const std::filesystem::path& path);

  // The file's key-value pairs: an object of numbers, truth values, texts (any bytes) and arrays of one of
  // these.
  const Json& metadata() const { return metadata_; }
  const std::string& file() const { return file_->name(); }

  uint64_t bytes() const override { return file_->bytes(); }
  const std::string& FileOf(size_t) const override { return file_->name(); }
  // Shapes have the slowest dimension first, the other way round than in the file. Quantised tensors are read
  // like floats; a range may start and end inside a block.
  void ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const override;
  const GgufBlockType* BlocksOf(size_t tensor) const override;
  // Those of I2_S.
  bool IsTernary(size_t tensor) const override { return places_[tensor].type->type == kGgufI2s; }
  // How many weights their blocks have (gguf_i2s.h), which must be said before they are read. Throws where rows have no multiple of it.
  void SetI2sBlock(uint32_t weights);
  void ReadBlocks(size_t tensor, uint64_t first, uint64_t count, uint8_t* out) const override;

 private:
  void CheckRange(size_t tensor, uint64_t first, uint64_t count, uint64_t multiple) const;

  struct Place {
    uint64_t offset;  // in the file
    const GgufBlockType* type;
    float scale = 0;  // of I2_S
  };
  void ReadI2s(size_t tensor, uint64_t first, uint64_t count, float* out) const;

  class Parser;

  std::unique_ptr<SourceFile> file_;
  Json metadata_ = Json::Object();
  std::vector<Place> places_;
  uint32_t i2s_block_ = 0;
};

}  // namespace thimble
