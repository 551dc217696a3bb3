#include "targets/cli/logits_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "format/checksum.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"

namespace thimble::cli {
namespace {

constexpr size_t kCheckedBytes = offsetof(LogitsPrefix, prefix_checksum);
constexpr uint64_t kMaxIds = uint64_t{1} << 30;

bool Write(int fd, const void* bytes, size_t size) { return WriteAll(fd, {static_cast<const char*>(bytes), size}); }

}  // namespace

bool LogitsWriter::Begin(int fd, LogitsPrefix prefix, const std::vector<int32_t>& ids) {
  prefix.ids_checksum = ChecksumOf(ids.data(), ids.size() * sizeof(int32_t));
  prefix.prefix_checksum = ChecksumOf(&prefix, kCheckedBytes);
  return Write(fd, &prefix, sizeof prefix) && Write(fd, ids.data(), ids.size() * sizeof(int32_t));
}

bool LogitsWriter::Append(int fd, const float* row, size_t outputs) {
  const uint64_t checksum = ChecksumOf(row, outputs * sizeof(float));
  return Write(fd, row, outputs * sizeof(float)) && Write(fd, &checksum, sizeof checksum);
}

LogitsReader::LogitsReader(const std::string& path) : path_(path) {
  CheckReadable(path);
  file_.reset(std::fopen(path.c_str(), "rbe"));
  struct stat info;
  if (file_ == nullptr || fstat(fileno(file_.get()), &info) != 0) throw IoError(path, "cannot be opened", errno);
  const uint64_t bytes = static_cast<uint64_t>(info.st_size);
  const LogitsPrefix ours;
  if (bytes < sizeof prefix_) throw Error(kNotAModel, path + ": is no file of `thimble quality --save-logits`: it is too short");
  Take(&prefix_, sizeof prefix_);
  if (std::memcmp(prefix_.magic, ours.magic, sizeof ours.magic) != 0)
    throw Error(kNotAModel, path + ": is no file of `thimble quality --save-logits`");
  if (prefix_.version != ours.version)
    throw Error(THIMBLE_UNSUPPORTED_VERSION, Format("%s: has version %u of saved logits, this program reads %u; save them again", path.c_str(),
                                     prefix_.version, ours.version));
  if (prefix_.prefix_checksum != ChecksumOf(&prefix_, kCheckedBytes)) Damaged("its first 64 bytes have another checksum");
  // What is sound and cannot be: not written by us.
  const uint64_t ids = uint64_t{prefix_.windows} * prefix_.window + 1;
  if (prefix_.outputs == 0 || prefix_.window == 0 || prefix_.windows == 0 || prefix_.first >= prefix_.window ||
      prefix_.reserved != 0 || prefix_.reserved_too != 0 || ids > kMaxIds)
    Damaged("its first 64 bytes contradict themselves");
  const uint64_t rows = uint64_t{prefix_.windows} * (prefix_.window - prefix_.first);
  const uint64_t row_bytes = uint64_t{prefix_.outputs} * sizeof(float) + sizeof(uint64_t);
  const uint64_t start = sizeof prefix_ + ids * sizeof(int32_t);
  if (bytes != start + rows * row_bytes)  // fewer than 2^30 rows of less than 2^35 bytes
    Damaged(Format("%s bytes, and %llu rows of %u logits take %s", Thousands(bytes).c_str(), static_cast<unsigned long long>(rows),
                   prefix_.outputs, Thousands(start + rows * row_bytes).c_str()));
  ids_.resize(static_cast<size_t>(ids));
  Take(ids_.data(), ids_.size() * sizeof(int32_t));
  if (prefix_.ids_checksum != ChecksumOf(ids_.data(), ids_.size() * sizeof(int32_t))) Damaged("its ids have another checksum");
  for (const int32_t id : ids_)
    if (static_cast<uint32_t>(id) >= prefix_.outputs) Damaged(Format("id %d of %u outputs", id, prefix_.outputs));
}

void LogitsReader::Read(float* row) {
  uint64_t checksum = 0;
  Take(row, prefix_.outputs * sizeof(float));
  Take(&checksum, sizeof checksum);
  if (checksum != ChecksumOf(row, prefix_.outputs * sizeof(float)))
    Damaged(Format("row %llu has another checksum", static_cast<unsigned long long>(rows_read_)));
  ++rows_read_;
}

void LogitsReader::Take(void* bytes, size_t size) {
  errno = 0;
  if (std::fread(bytes, 1, size, file_.get()) == size) return;
  if (std::ferror(file_.get())) throw IoError(path_, "cannot be read", errno);
  Damaged("it ends too early");
}

void LogitsReader::Damaged(const std::string& what) const {
  throw Error(THIMBLE_CORRUPT, path_ + ": is damaged: " + what + "; save the logits again");
}

}  // namespace thimble::cli
