// Safetensors: one file, or several with an index. The header of each file is checked in full before any
// number is read: its length against the file, every range against its shape and type, and the ranges against
// each other, which must cover the data without overlaps or holes. It must not know what the tensors are for.
//
//   bytes 0..7   u64 little-endian: N
//   8..8+N       JSON: {"name": {"dtype": "F32", "shape": [3, 4], "data_offsets": [begin, end]}, ...}
//   8+N..        data; offsets count from here
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "targets/convert/checkpoint.h"
#include "targets/convert/source_file.h"

namespace thimble {

class SafetensorsCheckpoint : public Checkpoint {
 public:
  // One file.
  static std::unique_ptr<SafetensorsCheckpoint> OpenFile(const std::filesystem::path& path);
  // The shards that model.safetensors.index.json names, which lie beside it.
  static std::unique_ptr<SafetensorsCheckpoint> OpenIndex(const std::filesystem::path& path);
  // model.safetensors or model.safetensors.index.json of a directory; both or neither are refused.
  static std::unique_ptr<SafetensorsCheckpoint> OpenDirectory(const std::filesystem::path& directory);

  uint64_t bytes() const override;
  const std::string& FileOf(size_t tensor) const override { return files_[places_[tensor].file]->name(); }
  void ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const override;
  void ReadBytes(size_t tensor, uint64_t first, uint64_t count, uint8_t* out) const override;

 private:
  struct Place {
    size_t file;
    uint64_t offset;  // in the file
    size_t element_bytes;
  };

  // Returns the indices of the tensors added.
  std::vector<size_t> AddFile(const std::filesystem::path& path);

  std::vector<std::unique_ptr<SourceFile>> files_;
  std::vector<Place> places_;
};

}  // namespace thimble
