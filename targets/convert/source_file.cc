#include "targets/convert/source_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "targets/convert/import_error.h"
#include "runtime/core/checked.h"

namespace thimble {

SourceFile::SourceFile(const std::filesystem::path& path) : name_(path.string()) {
  // A FIFO without a writer must not stop us before we can see what it is.
  fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) throw ImportError(Code::kIo, std::string("cannot be opened: ") + std::strerror(errno), name_);
  struct stat info;
  const bool known = fstat(fd_, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    const std::string text =
        known ? "is not a regular file" : std::string("cannot be read: ") + std::strerror(errno);
    close(fd_);
    throw ImportError(Code::kIo, text, name_);
  }
  bytes_ = static_cast<uint64_t>(info.st_size);
}

SourceFile::~SourceFile() { close(fd_); }

void SourceFile::ReadAt(uint64_t offset, void* out, size_t size) const {
  if (!RangeFits(offset, size, bytes_)) {
    throw ImportError(Code::kTruncated,
                      "ends at byte " + std::to_string(bytes_) + ", needed " + std::to_string(size) +
                          " bytes at " + std::to_string(offset),
                      name_);
  }
  char* to = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t got = pread(fd_, to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw ImportError(Code::kIo, std::string("cannot be read: ") + std::strerror(errno), name_);
    if (got == 0) throw ImportError(Code::kTruncated, "became shorter while it was read", name_);
    to += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<size_t>(got);
  }
}

}  // namespace thimble
