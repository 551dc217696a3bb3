// An open .thimble file: the validated header (a private copy) and the read-only mapping with the weights behind it.
// Knows nothing about arenas or kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/container.h"
#include "format/header.h"
#include "runtime/core/result.h"

namespace thimble {

class ModelFile {
 public:
  ModelFile() = default;
  ~ModelFile() { Close(); }
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  // Reads and validates the header; maps the rest without touching it. The file must not be changed in place while it
  // is open (replacing it by rename is safe). Takes header_copy_bytes() from malloc.
  Status Open(const char* path);
  // The same over memory that the caller keeps; `bytes` is 64-byte aligned.
  Status OpenMemory(const void* bytes, size_t size);
  void Close();

  const Header& header() const { return header_; }
  uint64_t file_bytes() const { return size_; }
  size_t header_copy_bytes() const { return header_bytes_; }
  // Of the header, which holds the checksums of all segments: equal for equal files only.
  uint64_t header_checksum() const { return header_checksum_; }
  bool in_memory() const { return !mapped_; }

  // First byte of a segment, 64-byte aligned. `segment` < header().segments().
  const uint8_t* Segment(uint32_t segment) const;
  const void* TensorData(uint32_t tensor) const;
  // null where the type has no scales.
  const void* TensorScales(uint32_t tensor) const;

 private:
  Status AdoptHeader(const Prefix& prefix, uint64_t file_bytes);

  const uint8_t* base_ = nullptr;
  uint64_t size_ = 0;
  bool mapped_ = false;
  void* header_copy_ = nullptr;
  size_t header_bytes_ = 0;
  uint64_t header_checksum_ = 0;
  Header header_;
};

// Reads every byte: segment checksums, zero padding, finite f32 weights and scales.
Status VerifyPayload(const ModelFile& file);

}  // namespace thimble
