// A reference's logits in a file, so that it has to run once only, and on another machine if need be. Floats as the model
// gave them: what is measured against the file has the bits of what is measured against the model, and a reference in fewer
// bits would hide what an instrument for small differences is to show. The text is in the file, as ids.
//
//   prefix, 64 bytes     LogitsPrefix
//   ids                  int32[ids]
//   rows                 of each judged position: float[outputs], XXH64 of these bytes
//
// Little-endian. Knows no session and no command.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace thimble::cli {

struct LogitsPrefix {
  char magic[8] = {'T', 'H', 'I', 'M', 'L', 'O', 'G', '\x1a'};
  uint32_t version = 1;
  uint32_t outputs = 0;
  uint32_t window = 0;          // ids of a window
  uint32_t first = 0;           // positions from here on have rows
  uint32_t windows = 0;         // ids are windows * window + 1: the last position has a next id, too
  uint32_t reserved = 0;
  uint64_t vocabulary = 0;      // XXH64 of all pieces, each with its length in front; 0: the model had no tokenizer
  uint64_t ids_checksum = 0;    // XXH64
  uint64_t reserved_too = 0;
  uint64_t prefix_checksum = 0; // XXH64 of the 56 bytes before
};
static_assert(sizeof(LogitsPrefix) == 64);

// Writes to a descriptor that somebody else makes a file of. False with errno set.
class LogitsWriter {
 public:
  // The checksums of prefix and ids are filled in.
  static bool Begin(int fd, LogitsPrefix prefix, const std::vector<int32_t>& ids);
  static bool Append(int fd, const float* row, size_t outputs);
};

class LogitsReader {
 public:
  // Everything but the rows is checked here, each row when it is read. Throws Error with the path in front.
  explicit LogitsReader(const std::string& path);

  const std::string& path() const { return path_; }
  const LogitsPrefix& prefix() const { return prefix_; }
  const std::vector<int32_t>& ids() const { return ids_; }

  // The next row -> row[outputs].
  void Read(float* row);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void Take(void* bytes, size_t size);
  [[noreturn]] void Damaged(const std::string& what) const;

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  LogitsPrefix prefix_;
  std::vector<int32_t> ids_;
  uint64_t rows_read_ = 0;
};

}  // namespace thimble::cli
