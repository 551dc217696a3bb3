#include "runtime/park.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "format/checksum.h"
#include "runtime/engine.h"

namespace thimble {
namespace {

uint64_t HeaderChecksum(const ParkHeader& h) { return ChecksumOf(&h, offsetof(ParkHeader, header_checksum)); }

bool ReadAt(int fd, uint64_t offset, void* bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = pread(fd, static_cast<char*>(bytes) + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = EIO;  // it was whole when it was opened
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

bool WriteAt(int fd, uint64_t offset, const void* bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = pwrite(fd, static_cast<const char*>(bytes) + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

// Whole as far as its header says: that is written when all the rest is.
bool ReadHeader(int fd, uint64_t content_id, ParkHeader* h) {
  struct stat st;
  return fstat(fd, &st) == 0 && st.st_size >= static_cast<off_t>(sizeof *h) && ReadAt(fd, 0, h, sizeof *h) &&
         std::memcmp(h->magic, kParkMagic, sizeof kParkMagic) == 0 && h->header_checksum == HeaderChecksum(*h) &&
         h->bytes == static_cast<uint64_t>(st.st_size) - sizeof *h && h->content_id == content_id;
}

// Empty, or one of ours, whole or not: before its header is written there are zeros.
bool MayReplace(int fd) {
  char begin[sizeof kParkMagic] = {};
  const ssize_t n = pread(fd, begin, sizeof begin, 0);
  const char none[sizeof begin] = {};
  return n == 0 || (n == static_cast<ssize_t>(sizeof begin) &&
                    (std::memcmp(begin, kParkMagic, sizeof begin) == 0 || std::memcmp(begin, none, sizeof begin) == 0));
}

struct StateInFile {
  int fd;
  uint64_t begin;
  static bool Call(void* self, uint64_t offset, void* bytes, size_t size) {
    const StateInFile& s = *static_cast<StateInFile*>(self);
    return ReadAt(s.fd, s.begin + offset, bytes, size);
  }
};

Status Failed(const char* what) { return Status::Errno(Code::kIo, what, errno).Field("park"); }
Status CannotRead() { return Failed("cannot read a parked session"); }
Status Damaged() { return Status::Error(Code::kStateDamaged, "parked sessions are damaged").At("parked").Field("park"); }

}  // namespace

// What goes behind the header, piece by piece.
struct ParkWriter {
  int fd;
  uint64_t offset = sizeof(ParkHeader);
  Checksum checksum = {};

  bool Put(const void* bytes, size_t size) {
    checksum.Update(bytes, size);
    if (!WriteAt(fd, offset, bytes, size)) return false;
    offset += size;
    return true;
  }
  static bool Call(void* self, const void* bytes, size_t size) { return static_cast<ParkWriter*>(self)->Put(bytes, size); }
};

Status OpenParkFiles(const char* path, uint64_t content_id, ParkFiles* files) {
  *files = {};
  Status status;
  for (int i = 0; i < 2 && status.ok(); ++i) {
    char name[1024];
    const int length = std::snprintf(name, sizeof name, "%s.%d", path, i);
    if (length < 0 || static_cast<size_t>(length) >= sizeof name) {
      status = Status::Error(Code::kOutOfRange, "the path is too long").Field("park").Wanted(sizeof name);
    } else if ((files->fds[i] = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0) {
      status = Failed("cannot open a file to park sessions in").DetailPath(name);
    } else if (!MayReplace(files->fds[i])) {
      status = Status::Error(Code::kNotAState, "there is another file where sessions would be parked; name a place without").Field("park").DetailPath(name);
    }
  }
  if (status.ok() && flock(files->fds[0], LOCK_EX | LOCK_NB) != 0) {
    status = errno == EWOULDBLOCK ? Status::Error(Code::kBusy, "another engine parks its sessions there; name another file").Field("park")
                                  : Failed("cannot lock a file to park sessions in");
  }
  if (!status.ok()) {
    CloseParkFiles(files);
    return status.At("options");
  }
  for (int i = 0; i < 2; ++i) {
    ParkHeader h;
    if (!ReadHeader(files->fds[i], content_id, &h) || (files->newest >= 0 && h.generation < files->header.generation)) continue;
    files->newest = i;
    files->header = h;
  }
  return status;
}

void CloseParkFiles(ParkFiles* files) {
  for (int& fd : files->fds) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
}

Status Session::SaveParked(ParkWriter& out) {
  const ParkedSession record = {StateBytes(), static_cast<uint32_t>(slot_), 0};
  errno = 0;
  if (!out.Put(&record, sizeof record)) return Failed("cannot park a session");
  const Status status = SaveState({ParkWriter::Call, &out});
  return status.code == Code::kIo ? Failed("cannot park a session") : status;
}

Status Session::LoadParked(int fd, uint64_t at) {
  ParkedSession record;
  if (!ReadAt(fd, at, &record, sizeof record)) return CannotRead();
  StateInFile state = {fd, at + sizeof record};
  errno = 0;
  const Status status = LoadState({StateInFile::Call, &state, record.state_bytes});
  return status.code == Code::kIo ? CannotRead() : status;
}

Status Session::Wake() {
  if (parked_at_ == 0) return Status::Ok();
  const ParkFiles& files = engine_->park_files();
  const uint64_t at = parked_at_;
  // What goes on as before has not changed.
  const uint32_t changes = changes_;
  const Status status = LoadParked(files.fds[files.newest], at);
  changes_ = changes;
  parked_at_ = status.ok() ? 0 : at;
  return status;
}

Status Engine::Park(uint32_t* sessions, uint64_t* bytes) {
  *sessions = 0;
  *bytes = 0;
  ParkFiles& files = park_files_;
  if (!files.open()) {
    return Status::Error(Code::kWrongState, "the engine was made without files for that; name them in its options").Field("park");
  }
  const auto for_each = [&](auto visit) {
    Status status;
    for (size_t i = 0; i < network_.options.max_sessions && status.ok(); ++i) {
      thimble_session& s = Slot(i);
      if (s.open_.load() && s.position_ > 0) status = visit(s);
    }
    return status;
  };
  uint32_t awake = 0;
  (void)for_each([&](thimble_session& s) {
    ++*sessions;
    awake += !s.parked();
    return Status::Ok();
  });
  if (awake == 0) return Status::Ok();
  // Those that are parked lie in the file that is the older one afterwards.
  THIMBLE_RETURN_IF_ERROR(for_each([](thimble_session& s) { return s.Wake(); }));
  const int to = files.newest == 0 ? 1 : 0;
  ParkWriter out = {files.fds[to]};
  // From here on it is no whole file, until its header is there.
  if (ftruncate(out.fd, 0) != 0) return Failed("cannot park sessions");
  THIMBLE_RETURN_IF_ERROR(for_each([&](thimble_session& s) {
    s.next_parked_at_ = out.offset;
    return s.SaveParked(out);
  }));
  ParkHeader h = {};
  std::memcpy(h.magic, kParkMagic, sizeof kParkMagic);
  h.generation = files.header.generation + 1;
  h.content_id = network_.file->header().content_id();
  h.bytes = out.offset - sizeof h;
  h.checksum = out.checksum.Digest();
  h.sessions = *sessions;
  h.header_checksum = HeaderChecksum(h);
  if (fdatasync(out.fd) != 0 || !WriteAt(out.fd, 0, &h, sizeof h) || fdatasync(out.fd) != 0) return Failed("cannot park sessions");
  files.newest = to;
  files.header = h;
  *bytes = out.offset;
  return for_each([](thimble_session& s) {
    s.parked_at_ = s.next_parked_at_;
    return Status::Ok();
  });
}

Result<thimble_session*> Engine::Recover(uint32_t index) {
  const ParkFiles& files = park_files_;
  const uint32_t count = files.newest < 0 ? 0 : files.header.sessions;
  if (index >= count) return Status::Error(Code::kOutOfRange, "fewer sessions are parked").Field("index").Got(index).Wanted(count);
  const int fd = files.fds[files.newest];
  const uint64_t end = sizeof(ParkHeader) + files.header.bytes;
  Checksum checksum;
  uint8_t piece[4096];
  for (uint64_t at = sizeof(ParkHeader); at < end;) {
    const size_t size = end - at < sizeof piece ? static_cast<size_t>(end - at) : sizeof piece;
    if (!ReadAt(fd, at, piece, size)) return CannotRead();
    checksum.Update(piece, size);
    at += size;
  }
  if (checksum.Digest() != files.header.checksum) return Damaged();
  uint64_t at = sizeof(ParkHeader);
  for (uint32_t i = 0;; ++i) {
    ParkedSession record;
    if (end - at < sizeof record) return Damaged();
    if (!ReadAt(fd, at, &record, sizeof record)) return CannotRead();
    if (record.state_bytes > end - at - sizeof record) return Damaged();
    if (i == index) break;
    at += sizeof record + record.state_bytes;
  }
  THIMBLE_ASSIGN_OR_RETURN(thimble_session* const session, OpenSession());
  const SessionUse use(session);
  const Status status = use.status().ok() ? session->LoadParked(fd, at) : use.status();
  if (status.ok()) return session;
  CloseSession(session);
  return status;
}

}  // namespace thimble
