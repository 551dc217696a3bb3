// A file of somebody else's, read by position. Nothing is mapped, so that a file that shrinks while it is
// read is an error and not a signal, and memory stays what the caller's buffers are. It must not know any
// format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace thimble {

class SourceFile {
 public:
  // Throws ImportError (kIo) unless it is a regular file that can be opened.
  explicit SourceFile(const std::filesystem::path& path);
  ~SourceFile();
  SourceFile(const SourceFile&) = delete;
  SourceFile& operator=(const SourceFile&) = delete;

  uint64_t bytes() const { return bytes_; }
  const std::string& name() const { return name_; }
  // Exactly `size` bytes, or ImportError (kTruncated, kIo). May be called from several threads.
  void ReadAt(uint64_t offset, void* out, size_t size) const;

 private:
  std::string name_;
  int fd_ = -1;
  uint64_t bytes_ = 0;
};

}  // namespace thimble
