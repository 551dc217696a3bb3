#include "targets/cli/state_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "format/replace_file.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"

namespace thimble::cli {
namespace {

// False with errno set.
bool WriteSynced(const std::string& path, const std::vector<char>& bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return false;
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    done += static_cast<size_t>(n);
  }
  const bool synced = done == bytes.size() && fsync(fd) == 0;
  const int error_number = errno;
  const bool closed = close(fd) == 0;
  if (!synced) errno = error_number;
  return synced && closed;
}

}  // namespace

uint64_t WriteStateFile(const thimble_session* session, const std::string& path) {
  std::vector<char> block(static_cast<size_t>(thimble_state_bytes(session)));
  size_t written = 0;
  Check(thimble_state_save(session, block.data(), block.size(), &written));
  const std::string temporary = path + ".tmp-" + std::to_string(getpid());
  if (!WriteSynced(temporary, block) || !ReplaceFile(temporary, path)) {
    const int error_number = errno;
    unlink(temporary.c_str());
    throw IoError(path, "cannot be written", error_number);
  }
  return written;
}

void ReadStateFile(thimble_session* session, const std::string& path) {
  const std::string block = ReadFile(path);
  Check(thimble_state_load(session, block.data(), block.size()), path);
}

}  // namespace thimble::cli
