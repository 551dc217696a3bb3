// An open .thimble file: the validated header (a private copy) and the read-only mapping with the weights behind it.
// Knows nothing about arenas or kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/container.h"
#include "format/header.h"
#include "runtime/core/progress.h"
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
  // The same for the `length` bytes (0: all) from `offset`, a multiple of 64, of a descriptor, which stays the caller's and
  // is not needed any more.
  Status OpenFd(int fd, uint64_t offset, uint64_t length);
  // The same over memory that the caller keeps; `bytes` is 64-byte aligned.
  Status OpenMemory(const void* bytes, size_t size);
  void Close();

  const Header& header() const { return header_; }
  uint64_t file_bytes() const { return size_; }
  size_t header_copy_bytes() const { return header_bytes_; }
  // The whole file, as it is mapped.
  const uint8_t* bytes() const { return base_; }
  bool in_memory() const { return mapping_ == nullptr; }

  // First byte of a segment, 64-byte aligned. `segment` < header().segments().
  const uint8_t* Segment(uint32_t segment) const;
  const void* TensorData(uint32_t tensor) const;
  // null where the type has no scales.
  const void* TensorScales(uint32_t tensor) const;

 private:
  Status ReadHeader(int fd, uint64_t offset, uint64_t file_bytes);
  Status Map(int fd, uint64_t offset, uint64_t file_bytes);
  Status AdoptHeader(const Prefix& prefix, uint64_t file_bytes);

  const uint8_t* base_ = nullptr;
  uint64_t size_ = 0;
  void* mapping_ = nullptr;   // from the page on which the file starts; null over the caller's memory
  size_t mapping_bytes_ = 0;
  void* header_copy_ = nullptr;
  size_t header_bytes_ = 0;
  Header header_;
};

// Reads every byte: segment checksums, zero padding, finite f32 weights and scales. `progress` counts bytes of the file.
Status VerifyPayload(const ModelFile& file, const Progress& progress = {});

}  // namespace thimble
