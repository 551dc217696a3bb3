#include "runtime/pack_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "format/checksum.h"
#include "runtime/core/poison.h"

namespace thimble {
namespace {

struct CacheHeader {
  char magic[8];
  uint64_t content_id, layout_id, bytes;
  uint64_t reserved[3];
  uint64_t checksum;  // of what is before
};
static_assert(sizeof(CacheHeader) == kPackCacheHeaderBytes);

CacheHeader HeaderFor(const PackCacheKey& key) {
  CacheHeader header = {{'T', 'H', 'P', 'A', 'C', 'K', '1', '\n'}, key.content_id, key.layout_id, key.bytes, {}, 0};
  header.checksum = ChecksumOf(&header, offsetof(CacheHeader, checksum));
  return header;
}

Status Failed(const char* what, const PackCache& cache) {
  Status status = Status::Errno(Code::kIo, what, errno);
  status.DetailPath(cache.path);
  return status.At("options").Field("pack_cache");
}

bool Map(int fd, int protection, uint64_t bytes, PackCache* cache) {
  void* mapping = mmap(nullptr, kPackCacheHeaderBytes + static_cast<size_t>(bytes), protection, MAP_SHARED, fd, 0);
  if (mapping == MAP_FAILED) return false;
  cache->base = static_cast<uint8_t*>(mapping) + kPackCacheHeaderBytes;
  cache->bytes = static_cast<size_t>(bytes);
  return true;
}

void Unmap(PackCache* cache) {
  if (cache->base == nullptr) return;
  UnpoisonMemory(cache->base, cache->bytes);
  munmap(cache->base - kPackCacheHeaderBytes, kPackCacheHeaderBytes + cache->bytes);
  cache->base = nullptr;
}

// Whole, and of the same key.
bool OpenFilled(const PackCacheKey& key, PackCache* cache) {
  const int fd = open(cache->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const CacheHeader wanted = HeaderFor(key);
  CacheHeader header;
  struct stat st;
  const bool same = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && static_cast<uint64_t>(st.st_size) == sizeof header + key.bytes &&
                    pread(fd, &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header) &&
                    std::memcmp(&header, &wanted, sizeof header) == 0;
  cache->filled = same && Map(fd, PROT_READ, key.bytes, cache);
  close(fd);
  return cache->filled;
}

}  // namespace

Status OpenPackCache(const char* folder, const PackCacheKey& key, PackCache* cache) {
  *cache = {};
  const int length = std::snprintf(cache->path, sizeof cache->path, "%s/%016" PRIx64 "-%s-%u.packed", folder, key.content_id, key.kernels, key.part);
  if (length < 0 || static_cast<size_t>(length) >= sizeof cache->path) {
    return Status::Error(Code::kOutOfRange, "the path is too long").At("options").Field("pack_cache").Wanted(sizeof cache->path);
  }
  if (OpenFilled(key, cache)) return Status::Ok();
  (void)mkdir(folder, 0755);  // where it is there, or cannot be made, the next call knows
  // Not by the process's number: several engines of one process may be doing this.
  std::snprintf(cache->temporary, sizeof cache->temporary, "%s.tmp-XXXXXX", cache->path);
  cache->fd = mkstemp(cache->temporary);
  if (cache->fd < 0) {
    cache->temporary[0] = 0;
    return Failed("cannot make a file for packed weights", *cache);
  }
  (void)fcntl(cache->fd, F_SETFD, FD_CLOEXEC);
  (void)fchmod(cache->fd, 0644);
  // Writing to a mapping of a file without room would end the process.
  errno = posix_fallocate(cache->fd, 0, static_cast<off_t>(kPackCacheHeaderBytes + key.bytes));
  if (errno == 0 && Map(cache->fd, PROT_READ | PROT_WRITE, key.bytes, cache)) return Status::Ok();
  const Status status = Failed("no room for packed weights", *cache);
  ClosePackCache(cache);
  return status;
}

Status FinishPackCache(const PackCacheKey& key, PackCache* cache) {
  const CacheHeader header = HeaderFor(key);
  void* mapping = cache->base - kPackCacheHeaderBytes;
  std::memcpy(mapping, &header, sizeof header);
  const size_t all = kPackCacheHeaderBytes + cache->bytes;
  if (msync(mapping, all, MS_SYNC) != 0 || fsync(cache->fd) != 0 || rename(cache->temporary, cache->path) != 0 ||
      mprotect(mapping, all, PROT_READ) != 0) {
    return Failed("cannot write packed weights", *cache);
  }
  cache->temporary[0] = 0;
  close(cache->fd);
  cache->fd = -1;
  cache->filled = true;
  return Status::Ok();
}

void ClosePackCache(PackCache* cache) {
  Unmap(cache);
  if (cache->fd >= 0) close(cache->fd);
  cache->fd = -1;
  if (cache->temporary[0] != 0) unlink(cache->temporary);
  cache->temporary[0] = 0;
}

}  // namespace thimble
