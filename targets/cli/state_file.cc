#include "targets/cli/state_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"

namespace thimble::cli {

uint64_t WriteStateFile(thimble_session* session, const OutputFile& file) {
  thimble_error saved = {};
  try {
    file.Write([&](int fd) { return (saved = Call(thimble_state_save_fd, session, fd)).code == THIMBLE_OK; });
  } catch (const Error&) {
    if (saved.code != THIMBLE_IO) Check(saved, file.path());  // says more than errno
    throw;
  }
  return thimble_state_bytes(session);
}

void ReadStateFile(thimble_session* session, const std::string& path) {
  CheckReadable(path);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw IoError(path, "cannot be opened", errno);
  const thimble_error loaded = Call(thimble_state_load_fd, session, fd, uint64_t{0}, uint64_t{0});
  close(fd);
  Check(loaded, path);
}

}  // namespace thimble::cli
