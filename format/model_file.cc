// Opening by read (prefix, header) and mmap (everything): what has been validated is never read again from the
// mapping, which another process could change.
#include "format/model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "format/checksum.h"
#include "format/container.h"
#include "runtime/core/checked.h"

namespace thimble {
namespace {

Status IoError(const char* what) { return Status::Errno(Code::kIo, what, errno); }

// A file descriptor that closes itself.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

// Reads up to `size` bytes at `offset`; *done < size at the end of the file.
Status ReadAt(int fd, uint64_t offset, void* buffer, size_t size, size_t* done) {
  *done = 0;
  while (*done < size) {
    const ssize_t n = pread(fd, static_cast<char*>(buffer) + *done, size - *done, static_cast<off_t>(offset + *done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return IoError("cannot read the model file");
    if (n == 0) break;
    *done += static_cast<size_t>(n);
  }
  return Status::Ok();
}

Status AllocateHeader(uint64_t bytes, void** copy) {
  *copy = nullptr;
  if (posix_memalign(copy, kSegmentAlignment, RoundUp(static_cast<size_t>(bytes), kSegmentAlignment)) != 0) {
    return Status::Error(Code::kOutOfMemory, "no memory for the header").Field("header_bytes").Wanted(bytes);
  }
  return Status::Ok();
}

Status CheckHeaderChecksum(const Prefix& prefix, const void* header) {
  if (ChecksumOf(header, static_cast<size_t>(prefix.header_bytes)) == prefix.header_checksum) return Status::Ok();
  return Status::Error(Code::kCorrupt, "the header is damaged (checksum differs)")
      .At("prefix").Field("header_checksum").Offset(offsetof(Prefix, header_checksum));
}

}  // namespace

Status ModelFile::Open(const char* path) {
  Close();
  if (path == nullptr || path[0] == 0) return Status::Error(Code::kInvalidArgument, "no path given").Field("path");
  // A FIFO without a writer must not stop us before we can see what it is; to a regular file it is all the same.
  const Descriptor file{open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return IoError("cannot open the model file");
  return OpenFd(file.fd, 0, 0);
}

Status ModelFile::OpenFd(int fd, uint64_t offset, uint64_t length) {
  Close();
  struct stat st;
  if (fstat(fd, &st) != 0) return IoError("cannot look at the model file");
  if (!S_ISREG(st.st_mode)) return Status::Error(Code::kNotAModel, "not a regular file").Field("path");
  const uint64_t whole = static_cast<uint64_t>(st.st_size);
  if (offset % kSegmentAlignment != 0) {
    return Status::Error(Code::kInvalidArgument, "must be a multiple of 64; align the model inside the other file")
        .Field("offset").Got(offset);
  }
  if (offset > whole) return Status::Error(Code::kOutOfRange, "behind the end of the file").Field("offset").Got(offset).Wanted(whole);
  if (length > whole - offset) {
    return Status::Error(Code::kOutOfRange, "reaches behind the end of the file").Field("length").Got(length).Wanted(whole - offset);
  }
  const uint64_t file_bytes = length == 0 ? whole - offset : length;
  Status status = ReadHeader(fd, offset, file_bytes);
  if (status.ok()) status = Map(fd, offset, file_bytes);
  if (!status.ok()) Close();
  return status;
}

Status ModelFile::ReadHeader(int fd, uint64_t offset, uint64_t file_bytes) {
  uint8_t prefix_bytes[kPrefixBytes];
  const size_t prefix_size = file_bytes < kPrefixBytes ? static_cast<size_t>(file_bytes) : kPrefixBytes;
  size_t got;
  THIMBLE_RETURN_IF_ERROR(ReadAt(fd, offset, prefix_bytes, prefix_size, &got));
  THIMBLE_ASSIGN_OR_RETURN(const Prefix prefix, ParsePrefix(prefix_bytes, got, file_bytes));
  THIMBLE_RETURN_IF_ERROR(AllocateHeader(prefix.header_bytes, &header_copy_));
  header_bytes_ = static_cast<size_t>(prefix.header_bytes);
  THIMBLE_RETURN_IF_ERROR(ReadAt(fd, offset + prefix.header_offset, header_copy_, header_bytes_, &got));
  if (got < header_bytes_) {
    return Status::Error(Code::kTruncated, "the file ends inside its header").Got(got).Wanted(header_bytes_);
  }
  return AdoptHeader(prefix, file_bytes);
}

Status ModelFile::Map(int fd, uint64_t offset, uint64_t file_bytes) {
  const uint64_t before = offset % static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  size_t bytes;
  // 32 bits have room for 2 GiB beside everything else.
  if (!CheckedSize(before + file_bytes, &bytes) || bytes > PTRDIFF_MAX) {
    return Status::Error(Code::kSizeOverflow, "the file does not fit this address space").Got(file_bytes).Wanted(PTRDIFF_MAX);
  }
  void* base = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, static_cast<off_t>(offset - before));
  if (base == MAP_FAILED) return IoError("cannot map the model file");
#ifdef MADV_HUGEPAGE
  // A page cache that fills while this mapping is read then has pieces of 2 MiB, each entered into the page
  // table at once instead of page by page: a twentieth of a millisecond per MiB less at the first token.
  // Where the kernel or the file system has no such thing, nothing changes.
  madvise(base, bytes, MADV_HUGEPAGE);
#endif
  mapping_ = base;
  mapping_bytes_ = bytes;
  base_ = static_cast<const uint8_t*>(base) + before;
  size_ = file_bytes;
  return Status::Ok();
}

Status ModelFile::OpenMemory(const void* bytes, size_t size) {
  Close();
  if (bytes == nullptr) return Status::Error(Code::kInvalidArgument, "null").Field("bytes");
  if (reinterpret_cast<uintptr_t>(bytes) % kSegmentAlignment != 0) {
    return Status::Error(Code::kInvalidArgument, "must be 64-byte aligned").Field("bytes");
  }
  THIMBLE_ASSIGN_OR_RETURN(const Prefix prefix, ParsePrefix(bytes, size, size));
  THIMBLE_RETURN_IF_ERROR(AllocateHeader(prefix.header_bytes, &header_copy_));
  header_bytes_ = static_cast<size_t>(prefix.header_bytes);
  std::memcpy(header_copy_, static_cast<const uint8_t*>(bytes) + prefix.header_offset, header_bytes_);
  const Status status = AdoptHeader(prefix, size);
  if (!status.ok()) {
    Close();
    return status;
  }
  base_ = static_cast<const uint8_t*>(bytes);
  size_ = size;
  return status;
}

Status ModelFile::AdoptHeader(const Prefix& prefix, uint64_t file_bytes) {
  THIMBLE_RETURN_IF_ERROR(CheckHeaderChecksum(prefix, header_copy_));
  THIMBLE_ASSIGN_OR_RETURN(header_, Header::Parse(header_copy_, header_bytes_, file_bytes));
  return Status::Ok();
}

void ModelFile::Close() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
  std::free(header_copy_);
  base_ = nullptr;
  size_ = 0;
  mapping_ = nullptr;
  mapping_bytes_ = 0;
  header_copy_ = nullptr;
  header_bytes_ = 0;
  header_ = Header();
}

const uint8_t* ModelFile::Segment(uint32_t segment) const { return base_ + header_.segment(segment).offset; }

const void* ModelFile::TensorData(uint32_t tensor) const {
  return Segment(static_cast<uint32_t>(header_.tensor(tensor).data_segment));
}

const void* ModelFile::TensorScales(uint32_t tensor) const {
  const int32_t segment = header_.tensor(tensor).scale_segment;
  return segment < 0 ? nullptr : Segment(static_cast<uint32_t>(segment));
}

}  // namespace thimble
