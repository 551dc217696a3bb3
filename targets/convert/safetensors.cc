#include "targets/convert/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <set>

#include "targets/convert/import_error.h"
#include "targets/convert/json_file.h"
#include "targets/convert/plain_floats.h"
#include "runtime/core/checked.h"

namespace thimble {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are little-endian and read as they are");

constexpr uint64_t kMaxHeaderJsonBytes = 100u << 20;  // as the format's own library has it
constexpr size_t kReadChunkElements = 1u << 16;

[[noreturn]] void Refuse(Code code, const std::string& tensor, const std::string& text,
                         const std::string& file) {
  throw ImportError(code, "tensor '" + tensor + "': " + text, file);
}

uint64_t Unsigned(const Json& value, const std::string& tensor, const char* field, const std::string& file) {
  if (!value.is_unsigned()) {
    Refuse(Code::kInvalidModel, tensor,
           std::string(field) + " must hold whole numbers of at least 0, found " + Shown(value), file);
  }
  return value.as_unsigned();
}

struct Range {
  uint64_t begin, end;
  std::string name;
};

// In order of position the ranges must follow each other from 0 to the end of the data.
void CheckCoverage(std::vector<Range> ranges, uint64_t data_bytes, const std::string& file) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint64_t end = 0;
  std::string before = "the header";
  for (const Range& r : ranges) {
    if (r.begin < end) {
      Refuse(Code::kInvalidModel, r.name,
             "data_offsets overlap those of " + before + " (start " + std::to_string(r.begin) +
                 ", expected " + std::to_string(end) + ")",
             file);
    }
    if (r.begin > end) {
      Refuse(Code::kInvalidModel, r.name,
             "a hole before data_offsets (start " + std::to_string(r.begin) + ", expected " +
                 std::to_string(end) + " where " + before + " ends)",
             file);
    }
    end = r.end;
    before = "tensor '" + r.name + "'";
  }
  if (end != data_bytes) {
    throw ImportError(
        end > data_bytes ? Code::kTruncated : Code::kTrailingBytes,
        "the data has " + std::to_string(data_bytes) + " bytes, expected " + std::to_string(end), file);
  }
}

}  // namespace

std::vector<size_t> SafetensorsCheckpoint::AddFile(const std::filesystem::path& path) {
  const size_t file_index = files_.size();
  files_.push_back(std::make_unique<SourceFile>(path));
  const SourceFile& file = *files_.back();
  if (file.bytes() < 8) {
    throw ImportError(Code::kTruncated,
                      "has " + std::to_string(file.bytes()) + " bytes, not even the header's length",
                      file.name());
  }
  uint64_t header_bytes = 0;
  file.ReadAt(0, &header_bytes, sizeof header_bytes);
  if (header_bytes > file.bytes() - 8) {
    throw ImportError(Code::kTruncated,
                      "header length is " + std::to_string(header_bytes) + ", the file has only " +
                          std::to_string(file.bytes() - 8) + " bytes behind it",
                      file.name());
  }
  if (header_bytes > kMaxHeaderJsonBytes) {
    throw ImportError(Code::kInvalidModel,
                      "header length is " + std::to_string(header_bytes) + ", expected at most " +
                          std::to_string(kMaxHeaderJsonBytes),
                      file.name());
  }
  std::string text(header_bytes, '\0');
  file.ReadAt(8, text.data(), text.size());
  const Json header = ParseJsonObject(text, file.name());
  const uint64_t data_bytes = file.bytes() - 8 - header_bytes;

  std::vector<size_t> added;
  std::vector<Range> ranges;
  for (const auto& [name, entry] : header.members()) {
    if (name == "__metadata__") continue;
    if (!entry.is_object() || entry.size() != 3 || !entry.Has("dtype") || !entry.Has("shape") ||
        !entry.Has("data_offsets")) {
      Refuse(Code::kInvalidModel, name, "expected exactly dtype, shape and data_offsets", file.name());
    }
    SourceTensor tensor;
    tensor.name = name;
    if (!entry["dtype"].is_text()) Refuse(Code::kInvalidModel, name, "dtype must be a string", file.name());
    tensor.dtype = entry["dtype"].as_text();
    const size_t element_bytes = PlainElementBytes(tensor.dtype);
    if (element_bytes == 0)
      Refuse(Code::kUnsupported, name, "unknown dtype '" + tensor.dtype + "'", file.name());

    if (!entry["shape"].is_array()) Refuse(Code::kInvalidModel, name, "shape must be a list", file.name());
    tensor.elements = 1;
    for (const Json& dimension : entry["shape"].items()) {
      tensor.shape.push_back(Unsigned(dimension, name, "shape", file.name()));
      if (!CheckedMul(tensor.elements, tensor.shape.back(), &tensor.elements)) {
        Refuse(Code::kInvalidModel, name, "shape " + ShapeText(tensor.shape) + " overflows", file.name());
      }
    }
    uint64_t shape_bytes = 0;
    if (!CheckedMul(tensor.elements, element_bytes, &shape_bytes)) {
      Refuse(Code::kInvalidModel, name, "shape " + ShapeText(tensor.shape) + " overflows", file.name());
    }

    const Json& offsets = entry["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2) {
      Refuse(Code::kInvalidModel, name, "data_offsets must be [begin, end]", file.name());
    }
    const uint64_t begin = Unsigned(offsets[0], name, "data_offsets", file.name());
    const uint64_t end = Unsigned(offsets[1], name, "data_offsets", file.name());
    if (begin > end) {
      Refuse(Code::kInvalidModel, name,
             "data_offsets begin " + std::to_string(begin) + " lies behind end " + std::to_string(end),
             file.name());
    }
    if (end > data_bytes) {
      Refuse(
          Code::kTruncated, name,
          "data_offsets end at " + std::to_string(end) + ", the file's data at " + std::to_string(data_bytes),
          file.name());
    }
    if (end - begin != shape_bytes) {
      Refuse(Code::kInvalidModel, name,
             "shape " + ShapeText(tensor.shape) + " of " + tensor.dtype + " needs " +
                 std::to_string(shape_bytes) + " bytes, data_offsets give " + std::to_string(end - begin),
             file.name());
    }
    ranges.push_back({begin, end, name});
    added.push_back(Add(std::move(tensor), file.name()));
    places_.push_back({file_index, 8 + header_bytes + begin, element_bytes});
  }
  CheckCoverage(std::move(ranges), data_bytes, file.name());
  return added;
}

std::unique_ptr<SafetensorsCheckpoint> SafetensorsCheckpoint::OpenFile(const std::filesystem::path& path) {
  auto checkpoint = std::make_unique<SafetensorsCheckpoint>();
  checkpoint->AddFile(path);
  return checkpoint;
}

std::unique_ptr<SafetensorsCheckpoint> SafetensorsCheckpoint::OpenIndex(const std::filesystem::path& path) {
  const Json index = ReadJsonObject(path);
  if (!index.Has("weight_map") || !index["weight_map"].is_object()) {
    throw ImportError(Code::kInvalidModel, "field 'weight_map' must be an object", path.string());
  }
  // Shard name -> the tensors that the index expects in it.
  std::map<std::string, std::set<std::string>> shards;
  for (const auto& [tensor, shard] : index["weight_map"].members()) {
    const std::string name = shard.is_text() ? shard.as_text() : std::string();
    // A shard lies beside its index; anything that could name another place is refused.
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string("/\\\0", 3)) != std::string::npos) {
      throw ImportError(
          Code::kInvalidModel,
          "weight_map of tensor '" + tensor + "': " + Shown(shard) + " is not a plain file name",
          path.string());
    }
    shards[name].insert(tensor);
  }
  if (shards.empty()) throw ImportError(Code::kInvalidModel, "field 'weight_map' is empty", path.string());

  auto checkpoint = std::make_unique<SafetensorsCheckpoint>();
  for (const auto& [name, expected] : shards) {
    const std::filesystem::path shard = path.parent_path() / name;
    if (!std::filesystem::exists(shard)) {
      throw ImportError(Code::kInvalidModel,
                        "shard '" + name + "' is missing (it holds tensor '" + *expected.begin() + "')",
                        path.string());
    }
    std::set<std::string> found;
    for (const size_t tensor : checkpoint->AddFile(shard)) found.insert(checkpoint->tensors()[tensor].name);
    for (const std::string& tensor : expected) {
      if (!found.contains(tensor)) {
        throw ImportError(Code::kInvalidModel, "tensor '" + tensor + "' is not in shard '" + name + "'",
                          path.string());
      }
    }
    for (const std::string& tensor : found) {
      if (!expected.contains(tensor)) {
        throw ImportError(Code::kInvalidModel,
                          "tensor '" + tensor + "' of shard '" + name + "' is not in weight_map",
                          path.string());
      }
    }
  }
  return checkpoint;
}

std::unique_ptr<SafetensorsCheckpoint> SafetensorsCheckpoint::OpenDirectory(
    const std::filesystem::path& directory) {
  const std::filesystem::path single = directory / "model.safetensors";
  const std::filesystem::path index = directory / "model.safetensors.index.json";
  const bool has_single = std::filesystem::exists(single);
  const bool has_index = std::filesystem::exists(index);
  if (has_single && has_index) {
    throw ImportError(Code::kInvalidModel,
                      "holds model.safetensors and model.safetensors.index.json; remove one",
                      directory.string());
  }
  if (!has_single && !has_index) {
    throw ImportError(Code::kIo, "holds neither model.safetensors nor model.safetensors.index.json",
                      directory.string());
  }
  return has_single ? OpenFile(single) : OpenIndex(index);
}

uint64_t SafetensorsCheckpoint::bytes() const {
  uint64_t sum = 0;
  for (const auto& file : files_) sum += file->bytes();
  return sum;
}

void SafetensorsCheckpoint::ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const {
  const SourceTensor& t = tensors()[tensor];
  const Place& place = places_[tensor];
  const SourceFile& file = *files_[place.file];
  if (!RangeFits(first, count, t.elements))
    Refuse(Code::kOutOfRange, t.name, "read outside its elements", file.name());
  const uint64_t offset = place.offset + first * place.element_bytes;
  if (t.dtype == "F32") return file.ReadAt(offset, out, count * sizeof(float));
  if (!IsPlainFloat(t.dtype)) {
    Refuse(Code::kUnsupported, t.name,
           "dtype " + t.dtype + " cannot be read as weights (F32, F16, BF16 and F64 can)", file.name());
  }
  std::vector<uint8_t> chunk(std::min<uint64_t>(count, kReadChunkElements) * place.element_bytes);
  for (uint64_t done = 0; done < count;) {
    const size_t n = std::min<uint64_t>(count - done, kReadChunkElements);
    file.ReadAt(offset + done * place.element_bytes, chunk.data(), n * place.element_bytes);
    PlainToFloats(t.dtype, chunk.data(), n, out + done);
    done += n;
  }
}

void SafetensorsCheckpoint::ReadBytes(size_t tensor, uint64_t first, uint64_t count, uint8_t* out) const {
  const SourceTensor& t = tensors()[tensor];
  const SourceFile& file = *files_[places_[tensor].file];
  if (t.dtype != "U8") Refuse(Code::kUnsupported, t.name, "dtype " + t.dtype + ", expected U8", file.name());
  if (!RangeFits(first, count, t.elements)) Refuse(Code::kOutOfRange, t.name, "read outside its elements", file.name());
  file.ReadAt(places_[tensor].offset + first, out, count);
}

}  // namespace thimble
