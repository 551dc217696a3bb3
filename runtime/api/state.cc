// C API: saved states, to and from callbacks and descriptors.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/engine.h"

using namespace thimble;

namespace {

struct Writing {
  thimble_write_fn write;
  void* user;
  static bool Call(void* self, const void* bytes, size_t size) {
    const Writing& w = *static_cast<Writing*>(self);
    return w.write(w.user, bytes, size) != 0;
  }
};

struct Reading {
  thimble_read_fn read;
  void* user;
  static bool Call(void* self, uint64_t offset, void* bytes, size_t size) {
    const Reading& r = *static_cast<Reading*>(self);
    return r.read(r.user, offset, bytes, size) != 0;
  }
};

// What failed is left in errno.
int32_t WriteFd(void* user, const void* bytes, size_t count) {
  const int fd = *static_cast<int*>(user);
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t n = write(fd, from, count);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return 0;
    from += n;
    count -= static_cast<size_t>(n);
  }
  return 1;
}

struct FdAt {
  int fd;
  uint64_t start;
};

int32_t ReadFd(void* user, uint64_t offset, void* bytes, size_t count) {
  const FdAt& from = *static_cast<FdAt*>(user);
  size_t done = 0;
  while (done < count) {
    const off_t at = static_cast<off_t>(from.start + offset + done);
    const ssize_t n = pread(from.fd, static_cast<char*>(bytes) + done, count - done, at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    done += static_cast<size_t>(n);
  }
  return 1;
}

}  // namespace

extern "C" {

uint64_t thimble_state_bytes(const thimble_session* session) { return session == nullptr ? 0 : session->StateBytes(); }

enum thimble_code thimble_state_save(thimble_session* session, thimble_write_fn write, void* user, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  if (write == nullptr) return Return(NullArgument("write"), error);
  const SessionUse use(session);
  if (!use.status().ok()) return Return(use.status(), error);
  Writing writing = {write, user};
  return Return(session->SaveState({Writing::Call, &writing}), error);
}

enum thimble_code thimble_state_save_fd(thimble_session* session, int fd, thimble_error* error) {
  return thimble_state_save(session, WriteFd, &fd, error);
}

enum thimble_code thimble_state_load(thimble_session* session, uint64_t bytes, thimble_read_fn read, void* user,
                                     thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  if (read == nullptr) return Return(NullArgument("read"), error);
  const SessionUse use(session);
  if (!use.status().ok()) return Return(use.status(), error);
  Reading reading = {read, user};
  return Return(session->LoadState({Reading::Call, &reading, bytes}), error);
}

enum thimble_code thimble_state_load_fd(thimble_session* session, int fd, uint64_t offset, uint64_t length,
                                        thimble_error* error) {
  struct stat st;
  if (fstat(fd, &st) != 0) {
    return Return(Status::Error(Code::kIo, "cannot stat (got is errno)").Field("fd").Got(static_cast<uint64_t>(errno)), error);
  }
  const uint64_t whole = S_ISREG(st.st_mode) ? static_cast<uint64_t>(st.st_size) : 0;
  if (offset > whole || length > whole - offset) {
    return Return(Status::Error(Code::kOutOfRange, "reaches behind the end of the file").Field(offset > whole ? "offset" : "length")
                      .Got(offset > whole ? offset : length).Wanted(offset > whole ? whole : whole - offset),
                  error);
  }
  FdAt from = {fd, offset};
  return thimble_state_load(session, length == 0 ? whole - offset : length, ReadFd, &from, error);
}

}  // extern "C"
