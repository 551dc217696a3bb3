// The layout, all little-endian: "GGUF", version, count of tensors, count of pairs; the pairs (key, type,
// value); the tensors (name, dimensions with the fastest first, type, offset); padding to the alignment; the
// data, from where offsets count.
#include "targets/convert/gguf_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "targets/convert/import_error.h"
#include "runtime/core/checked.h"

namespace thimble {
namespace {

constexpr uint64_t kMaxNameBytes = 1u << 16;
constexpr uint32_t kMaxDimensions = 4;
constexpr uint32_t kMaxAlignment = 1u << 20;
// Each key and each element of an array takes some 16 to 100 bytes of memory for one to 13 in the file.
constexpr uint64_t kMaxPairs = 1u << 16;
// Of all arrays together: vocabularies have four of some hundred thousand elements.
constexpr uint64_t kMaxArrayElements = 1u << 22;
constexpr uint64_t kReadBytes = 1u << 20;

enum ValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
  kValueTypes
};

// Fewest bytes of a value.
constexpr uint32_t kValueBytes[kValueTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

// Sequential reading in pieces.
class Cursor {
 public:
  explicit Cursor(const SourceFile& file) : file_(file) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return file_.bytes() - position_; }

  [[noreturn]] void Refuse(Code code, const std::string& what, const std::string& text) const {
    throw ImportError(code, what + ": " + text, file_.name());
  }
  void Need(uint64_t bytes, const std::string& what) const {
    if (bytes <= remaining()) return;
    Refuse(Code::kTruncated, what,
           "needs " + std::to_string(bytes) + " bytes at " + std::to_string(position_) + ", the file has " +
               std::to_string(remaining()) + " more");
  }
  void Bytes(void* out, uint64_t size, const std::string& what) {
    Need(size, what);
    char* to = static_cast<char*>(out);
    while (size > 0) {
      if (position_ < start_ || position_ >= start_ + buffer_.size()) {
        start_ = position_;
        buffer_.resize(static_cast<size_t>(std::min<uint64_t>(remaining(), 1u << 16)));
        file_.ReadAt(start_, buffer_.data(), buffer_.size());
      }
      const uint64_t n = std::min(size, start_ + buffer_.size() - position_);
      std::memcpy(to, buffer_.data() + (position_ - start_), static_cast<size_t>(n));
      to += n;
      position_ += n;
      size -= n;
    }
  }
  template <typename T>
  T Number(const std::string& what) {
    static_assert(std::endian::native == std::endian::little);
    T value;
    Bytes(&value, sizeof value, what);
    return value;
  }
  std::string Text(uint64_t limit_bytes, const std::string& what) {
    const uint64_t size = Number<uint64_t>(what);
    Need(size, what);
    if (size > limit_bytes) {
      Refuse(Code::kInvalidModel, what,
             std::to_string(size) + " bytes of text, expected at most " + std::to_string(limit_bytes));
    }
    std::string text(static_cast<size_t>(size), '\0');
    Bytes(text.data(), size, what);
    return text;
  }

 private:
  const SourceFile& file_;
  uint64_t position_ = 0, start_ = 0;
  std::vector<char> buffer_;
};

}  // namespace

class GgufCheckpoint::Parser {
 public:
  explicit Parser(GgufCheckpoint& out) : out_(out), in_(*out.file_) {}

  void Parse() {
    char magic[4];
    in_.Bytes(magic, sizeof magic, "header");
    if (std::memcmp(magic, "GGUF", sizeof magic) != 0)
      in_.Refuse(Code::kInvalidModel, "header", "is not a GGUF file");
    const uint32_t version = in_.Number<uint32_t>("header version");
    if (version == 0x02000000 || version == 0x03000000)
      in_.Refuse(Code::kUnsupported, "header version", "big-endian files are not supported");
    if (version != 2 && version != 3) {
      in_.Refuse(Code::kUnsupportedVersion, "header version",
                 "found " + std::to_string(version) + ", expected 2 or 3");
    }
    const uint64_t tensors = in_.Number<uint64_t>("header tensor count");
    const uint64_t pairs = in_.Number<uint64_t>("header key count");
    // A pair has at least a length, a type and a byte; a tensor a length, a count, a dimension, a type and an
    // offset.
    CheckCount("header key count", pairs, 8 + 4 + 1);
    if (pairs > kMaxPairs) {
      in_.Refuse(Code::kInvalidModel, "header key count",
                 "found " + std::to_string(pairs) + ", expected at most " + std::to_string(kMaxPairs));
    }
    for (uint64_t i = 0; i < pairs; ++i) ReadPair(i);
    out_.metadata_ = Json::Object(std::move(pairs_));
    CheckCount("header tensor count", tensors, 8 + 4 + 8 + 4 + 8);
    for (uint64_t i = 0; i < tensors; ++i) ReadTensor(i);
    PlaceTensors(Alignment());
  }

 private:
  void CheckCount(const char* what, uint64_t count, uint64_t least_bytes) const {
    if (count <= in_.remaining() / least_bytes) return;
    in_.Refuse(Code::kTruncated, what,
               std::to_string(count) + " of at least " + std::to_string(least_bytes) +
                   " bytes each, the file has " + std::to_string(in_.remaining()) + " more");
  }

  void ReadPair(uint64_t index) {
    const std::string key = in_.Text(kMaxNameBytes, "key " + std::to_string(index));
    if (key.empty()) in_.Refuse(Code::kInvalidModel, "key " + std::to_string(index), "is empty");
    const std::string what = "field '" + key + "'";
    if (!keys_.insert(key).second) in_.Refuse(Code::kInvalidModel, what, "is there twice");
    const uint32_t type = in_.Number<uint32_t>(what);
    pairs_.push_back({key, type == kArray ? Array(what) : Scalar(type, what)});
  }

  Json Scalar(uint32_t type, const std::string& what) {
    switch (type) {
      case kU8:
        return in_.Number<uint8_t>(what);
      case kI8:
        return in_.Number<int8_t>(what);
      case kU16:
        return in_.Number<uint16_t>(what);
      case kI16:
        return in_.Number<int16_t>(what);
      case kU32:
        return in_.Number<uint32_t>(what);
      case kI32:
        return in_.Number<int32_t>(what);
      case kF32:
        return static_cast<double>(in_.Number<float>(what));
      case kU64:
        return in_.Number<uint64_t>(what);
      case kI64:
        return in_.Number<int64_t>(what);
      case kF64:
        return in_.Number<double>(what);
      case kString:
        return in_.Text(UINT64_MAX, what);
      case kBool: {
        const uint8_t value = in_.Number<uint8_t>(what);
        if (value > 1)
          in_.Refuse(Code::kInvalidModel, what, "truth value " + std::to_string(value) + ", expected 0 or 1");
        return value == 1;
      }
      default:
        in_.Refuse(Code::kInvalidModel, what, "unknown type " + std::to_string(type) + ", expected 0 to 12");
    }
  }

  Json Array(const std::string& what) {
    const uint32_t type = in_.Number<uint32_t>(what);
    if (type == kArray) in_.Refuse(Code::kUnsupported, what, "arrays of arrays are not supported");
    if (type >= kValueTypes)
      in_.Refuse(Code::kInvalidModel, what, "array of the unknown type " + std::to_string(type));
    const uint64_t count = in_.Number<uint64_t>(what);
    if (count > in_.remaining() / kValueBytes[type]) {
      in_.Refuse(Code::kTruncated, what,
                 std::to_string(count) + " elements of at least " + std::to_string(kValueBytes[type]) +
                     " bytes, the file has " + std::to_string(in_.remaining()) + " more");
    }
    array_elements_ += count;  // each count is at most the file's size, checked just now
    if (array_elements_ > kMaxArrayElements) {
      in_.Refuse(Code::kInvalidModel, what,
                 "more than " + std::to_string(kMaxArrayElements) + " elements in all arrays up to this one");
    }
    std::vector<Json> values;
    values.reserve(static_cast<size_t>(count));
    for (uint64_t i = 0; i < count; ++i) values.push_back(Scalar(type, what));
    return Json(std::move(values));
  }

  void ReadTensor(uint64_t index) {
    SourceTensor tensor;
    tensor.name = in_.Text(kMaxNameBytes, "tensor " + std::to_string(index));
    if (tensor.name.empty())
      in_.Refuse(Code::kInvalidModel, "tensor " + std::to_string(index), "has no name");
    const std::string what = "tensor '" + tensor.name + "'";
    const uint32_t dimensions = in_.Number<uint32_t>(what);
    if (dimensions == 0 || dimensions > kMaxDimensions) {
      in_.Refuse(Code::kInvalidModel, what,
                 "found " + std::to_string(dimensions) + " dimensions, expected 1 to 4");
    }
    tensor.elements = 1;
    for (uint32_t i = 0; i < dimensions; ++i) {
      tensor.shape.push_back(in_.Number<uint64_t>(what));
      if (tensor.shape.back() == 0 || !CheckedMul(tensor.elements, tensor.shape.back(), &tensor.elements)) {
        in_.Refuse(Code::kInvalidModel, what,
                   "dimensions " + ShapeText(tensor.shape) + " have no sensible product");
      }
    }
    const uint64_t row = tensor.shape[0];
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    const uint32_t number = in_.Number<uint32_t>(what);
    tensor.dtype = GgufTypeName(number);
    const GgufBlockType* type = FindGgufBlockType(number);
    if (type == nullptr) {
      in_.Refuse(Code::kUnsupported, what,
                 "type " + tensor.dtype + " is not supported, expected one of: " + ReadableGgufTypes() +
                     "; take another file of this model, or quantise its float weights to one of these types");
    }
    if (row % type->elements != 0) {
      in_.Refuse(Code::kInvalidModel, what,
                 "shape " + ShapeText(tensor.shape) + ": rows of " + tensor.dtype + " have a multiple of " +
                     std::to_string(type->elements) + " elements");
    }
    out_.places_.push_back({.offset = in_.Number<uint64_t>(what), .type = type});
    out_.Add(std::move(tensor), out_.file());
  }

  uint64_t Alignment() const {
    const Json* stated = out_.metadata_.Find("general.alignment");
    if (stated == nullptr) return 32;
    const uint64_t value = stated->is_unsigned() ? stated->as_unsigned() : 0;
    // The format asks for a multiple of 8; writers take powers of two.
    if (value == 0 || value > kMaxAlignment || (value % 8 != 0 && !std::has_single_bit(value))) {
      in_.Refuse(Code::kInvalidModel, "field 'general.alignment'",
                 "expected a multiple of 8, at most " + std::to_string(kMaxAlignment));
    }
    return value;
  }

  // Offsets become positions in the file, once the end of the header and with it the start of the data is
  // known.
  void PlaceTensors(uint64_t alignment) {
    // Positions in a file and at most 2^20: cannot wrap.
    const auto align_up = [alignment](uint64_t at) { return (at + alignment - 1) / alignment * alignment; };
    const uint64_t start = align_up(in_.position());
    struct Range {
      uint64_t begin, end;
      size_t tensor;
    };
    std::vector<Range> ranges;
    for (size_t i = 0; i < out_.places_.size(); ++i) {
      Place& place = out_.places_[i];
      const SourceTensor& tensor = out_.tensors()[i];
      const std::string what = "tensor '" + tensor.name + "'";
      if (place.offset % alignment != 0) {
        in_.Refuse(Code::kInvalidModel, what,
                   "offset " + std::to_string(place.offset) + " is not a multiple of the alignment " +
                       std::to_string(alignment));
      }
      uint64_t bytes = 0, begin = 0;
      const bool i2s = place.type->type == kGgufI2s;
      if (!CheckedMul(tensor.elements / place.type->elements, place.type->bytes, &bytes) ||
          !CheckedAdd(bytes, i2s ? kI2sScaleBytes : 0, &bytes) || !CheckedAdd(start, place.offset, &begin) || !RangeFits(begin, bytes, out_.file_->bytes())) {
        in_.Refuse(Code::kTruncated, what,
                   tensor.dtype + " " + ShapeText(tensor.shape) + " at offset " +
                       std::to_string(place.offset) + " of the data ends behind the file, which has " +
                       std::to_string(out_.file_->bytes()) + " bytes");
      }
      place.offset = begin;
      if (i2s) {
        out_.file_->ReadAt(begin + bytes - kI2sScaleBytes, &place.scale, kI2sScaleBytes);
        if (!std::isfinite(place.scale) || place.scale < 0) in_.Refuse(Code::kInvalidModel, what, "its scale is no finite number from 0 on");
      }
      ranges.push_back({begin, begin + bytes, i});
    }
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < ranges.size(); ++i) {
      if (ranges[i].begin >= ranges[i - 1].end) continue;
      in_.Refuse(Code::kInvalidModel, "tensor '" + out_.tensors()[ranges[i].tensor].name + "'",
                 "overlaps tensor '" + out_.tensors()[ranges[i - 1].tensor].name + "'");
    }
    const uint64_t end = align_up(ranges.empty() ? start : ranges.back().end);
    if (out_.file_->bytes() > end) {
      in_.Refuse(
          Code::kTrailingBytes, "header",
          "describes " + std::to_string(end) + " bytes, the file has " + std::to_string(out_.file_->bytes()));
    }
  }

  GgufCheckpoint& out_;
  Cursor in_;
  std::vector<Json::Member> pairs_;
  std::set<std::string> keys_;
  uint64_t array_elements_ = 0;
};

bool IsGgufFile(const std::filesystem::path& path) {
  const SourceFile file(path);
  char magic[4] = {};
  if (file.bytes() < sizeof magic) return false;
  file.ReadAt(0, magic, sizeof magic);
  return std::memcmp(magic, "GGUF", sizeof magic) == 0;
}

std::unique_ptr<GgufCheckpoint> GgufCheckpoint::Open(const std::filesystem::path& path) {
  auto checkpoint = std::make_unique<GgufCheckpoint>();
  checkpoint->file_ = std::make_unique<SourceFile>(path);
  Parser(*checkpoint).Parse();
  return checkpoint;
}

void GgufCheckpoint::CheckRange(size_t index, uint64_t first, uint64_t count, uint64_t multiple) const {
  const SourceTensor& tensor = tensors()[index];
  if (RangeFits(first, count, tensor.elements) && first % multiple == 0 && count % multiple == 0) return;
  throw ImportError(Code::kOutOfRange, "tensor '" + tensor.name + "': read outside its elements", file_->name());
}

const GgufBlockType* GgufCheckpoint::BlocksOf(size_t index) const {
  const GgufBlockType* type = places_[index].type;
  return type->IsQuantised() ? type : nullptr;
}

void GgufCheckpoint::ReadBlocks(size_t index, uint64_t first, uint64_t count, uint8_t* out) const {
  const GgufBlockType& type = *places_[index].type;
  CheckRange(index, first, count, type.elements);
  file_->ReadAt(places_[index].offset + first / type.elements * type.bytes, out, count / type.elements * type.bytes);
}

void GgufCheckpoint::SetI2sBlock(uint32_t weights) {
  i2s_block_ = weights;
  for (size_t i = 0; i < tensors().size(); ++i) {
    const SourceTensor& tensor = tensors()[i];
    if (!IsTernary(i) || tensor.shape.back() % weights == 0) continue;
    throw ImportError(Code::kInvalidModel, "tensor '" + tensor.name + "': shape " + ShapeText(tensor.shape) + ": rows of I2_S in blocks of " +
                                               std::to_string(weights) + " have a multiple of that", file_->name());
  }
}

void GgufCheckpoint::ReadI2s(size_t index, uint64_t first, uint64_t count, float* out) const {
  const Place& place = places_[index];
  std::vector<uint8_t> bytes;
  std::vector<int8_t> numbers;
  while (count > 0) {
    const uint64_t start = first / i2s_block_ * i2s_block_, n = std::min(count, kReadBytes);
    bytes.resize(static_cast<size_t>(CeilDiv(first + n - start, uint64_t{i2s_block_}) * (i2s_block_ / 4)));
    numbers.resize(static_cast<size_t>(n));
    file_->ReadAt(place.offset + start / 4, bytes.data(), bytes.size());
    if (const uint64_t good = DecodeI2s(bytes.data(), i2s_block_, first, n, numbers.data()); good < n) {
      throw ImportError(Code::kInvalidModel, "tensor '" + tensors()[index].name + "': element " + std::to_string(first + good) +
                                                 " has the code 3, expected -1, 0 or 1", file_->name());
    }
    for (uint64_t i = 0; i < n; ++i) out[i] = static_cast<float>(numbers[i]) * place.scale;
    out += n, first += n, count -= n;
  }
}

void GgufCheckpoint::ReadFloats(size_t index, uint64_t first, uint64_t count, float* out) const {
  CheckRange(index, first, count, 1);
  if (IsTernary(index)) return ReadI2s(index, first, count, out);
  const Place& place = places_[index];
  const GgufBlockType& type = *place.type;
  std::vector<uint8_t> bytes;
  float partial[kMaxGgufBlockElements];
  while (count > 0) {
    const uint64_t block = first / type.elements, skip = first % type.elements;
    const bool whole = skip == 0 && count >= type.elements;
    const uint64_t blocks =
        whole ? std::min(count / type.elements, std::max<uint64_t>(1, kReadBytes / type.bytes)) : 1;
    bytes.resize(static_cast<size_t>(blocks * type.bytes));
    file_->ReadAt(place.offset + block * type.bytes, bytes.data(), bytes.size());
    uint64_t n = blocks * type.elements;
    if (whole) {
      DecodeGgufBlocks(type, bytes.data(), blocks, out);
    } else {
      DecodeGgufBlocks(type, bytes.data(), 1, partial);
      n = std::min(type.elements - skip, count);
      std::copy_n(partial + skip, n, out);
    }
    out += n;
    first += n;
    count -= n;
  }
}

}  // namespace thimble
