// A file of /proc or /sys that is read again and again while something is measured: opened once, read without allocating. Knows what
// "Name:   12 kB" and "name=12" mean, and no file by name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace thimble::cli {

class SystemFile {
 public:
  SystemFile() = default;
  explicit SystemFile(const std::string& path);
  ~SystemFile();
  SystemFile(SystemFile&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  SystemFile& operator=(SystemFile&& other) noexcept;

  bool there() const { return fd_ >= 0; }
  // As much of it as the buffer holds, from byte `offset` on; empty where there is none.
  std::string_view Read(std::span<char> buffer, uint64_t offset = 0) const;
  // The number that it begins with, in this base.
  std::optional<uint64_t> Number(int base = 10) const;

 private:
  int fd_ = -1;
};

// `file` of every folder in `folder` whose name begins with `prefix` and goes on with a digit, where it can be opened.
std::vector<SystemFile> OpenNumbered(const std::string& folder, std::string_view prefix, const std::string& file);

// The number behind `key` and its ':' or '=', in a text of lines; 0 where there is none. "kB" counts 1,024.
uint64_t NumberBehind(std::string_view text, std::string_view key);

}  // namespace thimble::cli
