// The file itself: a temporary beside the target, segments written where the layout says, header last, sync, rename.
#include "format/writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <new>

#include "format/container.h"
#include "format/header.h"
#include "format/replace_file.h"

namespace thimble {
namespace {

[[noreturn]] void ThrowErrno(const std::string& path, const char* action) {
  throw WriteError(Code::kIo, path + ": cannot " + action + ": " + std::strerror(errno));
}

constexpr char kTemporary[] = ".tmp-";

// What conversions that were killed have left beside `path`. A live one holds a lock on its file.
void RemoveLeftovers(const std::filesystem::path& path) {
  std::error_code failed;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const std::string start = path.filename().string() + kTemporary;
  for (auto it = std::filesystem::directory_iterator(folder, failed); !failed && it != std::filesystem::directory_iterator();
       it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(start) || name.find_first_not_of("0123456789", start.size()) != std::string::npos) continue;
    const int fd = open(it->path().c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) continue;
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(it->path().c_str());
    close(fd);
  }
}

// The reader's own validation, over bytes that are about to be written.
void CheckAsReader(const std::vector<uint8_t>& bytes, uint64_t file_bytes) {
  const size_t size = bytes.size() - kPrefixBytes;
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  std::vector<Line> copy(size / sizeof(Line) + 1);
  std::memcpy(copy.data(), bytes.data() + kPrefixBytes, size);
  const Result<Header> header = Header::Parse(copy.data(), size, file_bytes);
  if (header.ok()) return;
  char text[256];
  FormatStatus(header.status(), text, sizeof text);
  throw WriteError(header.status().code, text);
}

}  // namespace

ModelWriter::ModelWriter(const std::string& path, ModelDescription description)
    : path_(path), description_(std::move(description)) {
  segments_ = LayOut(description_, &file_bytes_);
  CheckAsReader(HeaderBytes(description_, segments_, file_bytes_), file_bytes_);
  written_.assign(segments_.size(), false);

  RemoveLeftovers(path);
  temporary_path_ = path + kTemporary + std::to_string(getpid());
  file_ = std::fopen(temporary_path_.c_str(), "wb");
  if (file_ == nullptr) ThrowErrno(temporary_path_, "create");
  // Large writes make large folios in the page cache: mapping the file again then costs a seventh of the page faults.
  buffer_.resize(size_t{8} << 20);
  std::setvbuf(file_, buffer_.data(), _IOFBF, buffer_.size());
  flock(fileno(file_), LOCK_EX | LOCK_NB);  // where the file system has no locks nothing is taken for a leftover, either
  try {
    if (description_.spec.tokenizer_segment >= 0) {
      BeginSegment(description_.spec.tokenizer_segment);
      Append(description_.tokenizer.data(), description_.tokenizer.size());
      EndSegment();
    }
  } catch (...) {
    std::fclose(file_);
    unlink(temporary_path_.c_str());
    throw;
  }
}

ModelWriter::~ModelWriter() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  unlink(temporary_path_.c_str());
}

void ModelWriter::WriteTensor(size_t index, const void* data, const void* scales) {
  const TensorSpec& t = description_.tensors[index].spec;
  BeginSegment(t.data_segment);
  Append(data, segments_[t.data_segment].bytes);
  EndSegment();
  if (t.scale_segment < 0) return;
  BeginSegment(t.scale_segment);
  Append(scales, segments_[t.scale_segment].bytes);
  EndSegment();
}

void ModelWriter::BeginSegment(int32_t segment) {
  if (open_segment_ != -1 || written_.at(static_cast<size_t>(segment))) {
    throw WriteError(Code::kWrongState, "segment " + std::to_string(segment) + " is written twice or inside another");
  }
  if (fseeko(file_, static_cast<off_t>(segments_[segment].offset), SEEK_SET) != 0) ThrowErrno(temporary_path_, "seek in");
  open_segment_ = segment;
  open_bytes_ = 0;
  open_checksum_ = Checksum();
}

void ModelWriter::Append(const void* bytes, size_t size) {
  if (open_segment_ == -1 || size > segments_[open_segment_].bytes - open_bytes_) {
    throw WriteError(Code::kWrongState, "more bytes than the segment holds");
  }
  if (size > 0 && std::fwrite(bytes, 1, size, file_) != size) ThrowErrno(temporary_path_, "write");
  open_checksum_.Update(bytes, size);
  open_bytes_ += size;
}

void ModelWriter::EndSegment() {
  if (open_segment_ == -1) throw WriteError(Code::kWrongState, "no segment is open");
  if (open_bytes_ != segments_[open_segment_].bytes) {
    throw WriteError(Code::kWrongState, "segment " + std::to_string(open_segment_) + " has " + std::to_string(open_bytes_) +
                                            " bytes, expected " + std::to_string(segments_[open_segment_].bytes));
  }
  segments_[open_segment_].checksum = open_checksum_.Digest();
  written_[open_segment_] = true;
  open_segment_ = -1;
}

void ModelWriter::Finish() {
  for (size_t i = 0; i < written_.size(); ++i) {
    if (!written_[i]) throw WriteError(Code::kWrongState, "segment " + std::to_string(i) + " was never written");
  }
  const std::vector<uint8_t> header = HeaderBytes(description_, segments_, file_bytes_);
  if (fseeko(file_, 0, SEEK_SET) != 0 || std::fwrite(header.data(), 1, header.size(), file_) != header.size() ||
      std::fflush(file_) != 0 || fsync(fileno(file_)) != 0) {
    ThrowErrno(temporary_path_, "write");
  }
  const int closed = std::fclose(file_);
  file_ = nullptr;
  if (closed != 0 || !ReplaceFile(temporary_path_, path_)) {
    const int error = errno;
    unlink(temporary_path_.c_str());
    errno = error;
    ThrowErrno(path_, "finish");
  }
}

}  // namespace thimble
