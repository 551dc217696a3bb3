// The file itself: a temporary beside the target, segments written where the layout says, header last, sync, rename.
#include "format/writer.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "format/container.h"
#include "format/replace_file.h"

namespace thimble {
namespace {

[[noreturn]] void ThrowErrno(const std::string& path, const char* action) {
  throw WriteError(Code::kIo, path + ": cannot " + action + ": " + std::strerror(errno));
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

LayerSpec ReadLayer(const Header& header, uint32_t layer) {
  const LayerRange range = header.layer(layer);
  LayerSpec spec;
  for (uint32_t i = 0; i < range.blocks; ++i) spec.blocks.push_back(header.block(range.first_block + i));
  return spec;
}

ModelWriter::ModelWriter(const std::string& path, ModelDescription description)
    : path_(path), description_(std::move(description)) {
  segments_ = LayOut(description_, &file_bytes_);
  CheckAsReader(HeaderBytes(description_, segments_, file_bytes_), file_bytes_);
  written_.assign(segments_.size(), false);

  RemoveLeftovers(path);
  const int fd = CreateBeside(path, 0666, &temporary_path_);
  if (fd < 0) ThrowErrno(temporary_path_, "create");
  file_ = fdopen(fd, "wb");
  if (file_ == nullptr) {
    close(fd);
    unlink(temporary_path_.c_str());
    ThrowErrno(temporary_path_, "create");
  }
  // Large writes make large folios in the page cache: mapping the file again then costs a seventh of the page faults.
  buffer_.resize(size_t{8} << 20);
  std::setvbuf(file_, buffer_.data(), _IOFBF, buffer_.size());
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
  // All bytes are on the disk. The lock that closing ends keeps others from taking the temporary for a leftover.
  const bool replaced = ReplaceFile(temporary_path_, path_);
  const int error = errno;
  std::fclose(file_);
  file_ = nullptr;
  if (!replaced) {
    unlink(temporary_path_.c_str());
    errno = error;
    ThrowErrno(path_, "finish");
  }
}

}  // namespace thimble
