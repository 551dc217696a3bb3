#include "targets/cli/profile/system_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <utility>

namespace thimble::cli {
namespace {

constexpr size_t kMostFiles = 64;

}  // namespace

SystemFile::SystemFile(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}

SystemFile::~SystemFile() {
  if (fd_ >= 0) close(fd_);
}

SystemFile& SystemFile::operator=(SystemFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

std::string_view SystemFile::Read(std::span<char> buffer, uint64_t offset) const {
  size_t size = 0;
  while (fd_ >= 0 && size < buffer.size()) {
    const ssize_t n = pread(fd_, buffer.data() + size, buffer.size() - size, static_cast<off_t>(offset + size));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  return {buffer.data(), size};
}

std::optional<uint64_t> SystemFile::Number(int base) const {
  char buffer[64];
  std::string_view text = Read(buffer);
  if (base == 16 && text.starts_with("0x")) text.remove_prefix(2);
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (parsed.ec != std::errc()) return std::nullopt;
  return number;
}

std::vector<SystemFile> OpenNumbered(const std::string& folder, std::string_view prefix, const std::string& file) {
  std::vector<SystemFile> files;
  std::error_code failed;
  using Iterator = std::filesystem::directory_iterator;
  for (Iterator it(folder, failed); !failed && it != Iterator() && files.size() < kMostFiles; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix) || name.size() == prefix.size() || name[prefix.size()] < '0' || name[prefix.size()] > '9') continue;
    SystemFile opened((it->path() / file).string());
    if (opened.there()) files.push_back(std::move(opened));
  }
  return files;
}

uint64_t NumberBehind(std::string_view text, std::string_view key) {
  for (size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
    const size_t end = at + key.size();
    const bool whole = at == 0 || text[at - 1] == '\n' || text[at - 1] == ' ';
    if (!whole || end >= text.size() || (text[end] != ':' && text[end] != '=')) continue;
    std::string_view rest = text.substr(end + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    uint64_t number = 0;
    const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (parsed.ec != std::errc()) return 0;
    rest.remove_prefix(static_cast<size_t>(parsed.ptr - rest.data()));
    return rest.starts_with(" kB") ? number * 1024 : number;
  }
  return 0;
}

}  // namespace thimble::cli
