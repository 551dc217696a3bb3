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

struct FdEnd {
  int fd;
  int error_number = 0;  // of the call that failed; errno is left at it, too
};

int32_t WriteFd(void* user, const void* bytes, size_t count) {
  FdEnd& to = *static_cast<FdEnd*>(user);
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t n = write(to.fd, from, count);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      to.error_number = errno;
      return 0;
    }
    from += n;
    count -= static_cast<size_t>(n);
  }
  return 1;
}

struct FdAt {
  int fd;
  uint64_t start;
  int error_number = 0;
};

int32_t ReadFd(void* user, uint64_t offset, void* bytes, size_t count) {
  FdAt& from = *static_cast<FdAt*>(user);
  size_t done = 0;
  while (done < count) {
    const off_t at = static_cast<off_t>(from.start + offset + done);
    const ssize_t n = pread(from.fd, static_cast<char*>(bytes) + done, count - done, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) from.error_number = errno;
    if (n <= 0) return 0;
    done += static_cast<size_t>(n);
  }
  return 1;
}

Status Save(thimble_session* session, const Writing& to) {
  if (session == nullptr) return NullArgument("session");
  if (to.write == nullptr) return NullArgument("write");
  const SessionUse use(session);
  THIMBLE_RETURN_IF_ERROR(use.status());
  Writing writing = to;
  return session->SaveState({Writing::Call, &writing});
}

Status Load(thimble_session* session, uint64_t bytes, const Reading& from) {
  if (session == nullptr) return NullArgument("session");
  if (from.read == nullptr) return NullArgument("read");
  const SessionUse use(session);
  THIMBLE_RETURN_IF_ERROR(use.status());
  Reading reading = from;
  return session->LoadState({Reading::Call, &reading, bytes});
}

}  // namespace

extern "C" {

uint64_t thimble_state_bytes(const thimble_session* session) { return session == nullptr ? 0 : session->StateBytes(); }

enum thimble_code thimble_state_save(thimble_session* session, thimble_write_fn write, void* user, thimble_error* error) {
  return Return(Save(session, {write, user}), error);
}

enum thimble_code thimble_state_save_fd(thimble_session* session, int fd, thimble_error* error) {
  FdEnd to = {fd};
  Status status = Save(session, {WriteFd, &to});
  status.system_error = to.error_number;
  return Return(status, error);
}

enum thimble_code thimble_state_load(thimble_session* session, uint64_t bytes, thimble_read_fn read, void* user,
                                     thimble_error* error) {
  return Return(Load(session, bytes, {read, user}), error);
}

enum thimble_code thimble_state_load_fd(thimble_session* session, int fd, uint64_t offset, uint64_t length,
                                        thimble_error* error) {
  struct stat st;
  if (fstat(fd, &st) != 0) return Return(Status::Errno(Code::kIo, "cannot look at the saved state", errno).Field("fd"), error);
  const uint64_t whole = S_ISREG(st.st_mode) ? static_cast<uint64_t>(st.st_size) : 0;
  if (offset > whole || length > whole - offset) {
    return Return(Status::Error(Code::kOutOfRange, "reaches behind the end of the file").Field(offset > whole ? "offset" : "length")
                      .Got(offset > whole ? offset : length).Wanted(offset > whole ? whole : whole - offset),
                  error);
  }
  FdAt from = {fd, offset};
  Status status = Load(session, length == 0 ? whole - offset : length, {ReadFd, &from});
  status.system_error = from.error_number;
  return Return(status, error);
}

}  // extern "C"
