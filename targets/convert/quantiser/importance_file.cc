// The binary form: int32 entries; each int32 bytes, that name, int32 calls, int32 n, n floats (mean squares times calls). What
// follows (int32 chunks, int32 bytes, the text's name) says where they come from. As GGUF: general.type "imatrix", NAME.in_sum2
// [matrices, k] sums of squares and NAME.counts [matrices, 1] rows that were summed.
#include "targets/convert/quantiser/importance_file.h"

#include <cmath>

#include "targets/convert/gguf_file.h"
#include "targets/convert/import_error.h"
#include "targets/convert/source_file.h"

namespace thimble {
namespace {

constexpr int32_t kMostEntries = 1 << 16, kLongestName = 1 << 10;
constexpr int32_t kMostValues = 1 << 27;

class BinaryReader {
 public:
  explicit BinaryReader(const SourceFile& file) : file_(file) {}

  // `entry` 0: of the file.
  int32_t Count(int32_t low, int32_t high, const char* what, int32_t entry) {
    int32_t value = 0;
    Read(&value, sizeof value, what, entry);
    if (value >= low && value <= high) return value;
    Refuse(std::string(what) + " is " + std::to_string(value) + ", expected " + std::to_string(low) + " to " + std::to_string(high), entry);
  }
  void Read(void* to, uint64_t bytes, const char* what, int32_t entry) {
    if (bytes > file_.bytes() - at_) {
      Refuse(std::string(what) + " takes " + std::to_string(bytes) + " bytes, " + std::to_string(file_.bytes() - at_) + " are left", entry);
    }
    file_.ReadAt(at_, to, bytes);
    at_ += bytes;
  }
  [[noreturn]] void Refuse(const std::string& text, int32_t entry) const {
    throw ImportError(Code::kInvalidModel,
                      "importance matrix: " + (entry > 0 ? "entry " + std::to_string(entry) + ": " : std::string()) + text, file_.name());
  }

 private:
  const SourceFile& file_;
  uint64_t at_ = 0;
};

void CheckValues(const std::vector<float>& values, const std::string& name, const std::string& file) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) && values[i] >= 0) continue;
    throw ImportError(Code::kInvalidModel,
                      "importance matrix: '" + name + "': value " + std::to_string(i) + " is " + std::to_string(values[i]) +
                          ", expected a mean square",
                      file);
  }
}

ImportanceMatrix ReadBinary(const std::filesystem::path& path) {
  const SourceFile file(path);
  BinaryReader reader(file);
  ImportanceMatrix matrix;
  const int32_t entries = reader.Count(1, kMostEntries, "the number of entries", 0);
  for (int32_t entry = 1; entry <= entries; ++entry) {
    std::string name(static_cast<size_t>(reader.Count(1, kLongestName, "the length of the name", entry)), '\0');
    reader.Read(name.data(), name.size(), "the name", entry);
    const int32_t calls = reader.Count(0, INT32_MAX, "the number of calls", entry);
    const int32_t n = reader.Count(1, kMostValues, "the number of values", entry);
    if (uint64_t(n) * sizeof(float) > file.bytes()) reader.Refuse(std::to_string(n) + " values do not fit the file", entry);
    std::vector<float> values(static_cast<size_t>(n));
    reader.Read(values.data(), values.size() * sizeof(float), "the values", entry);
    for (float& value : values) value /= static_cast<float>(std::max(calls, 1));
    CheckValues(values, name, file.name());
    if (!matrix.emplace(name, std::move(values)).second) reader.Refuse("'" + name + "' is there twice", entry);
  }
  return matrix;
}

ImportanceMatrix ReadGguf(const std::filesystem::path& path) {
  const auto file = GgufCheckpoint::Open(path);
  const Json* type = file->metadata().Find("general.type");
  if (type == nullptr || *type != "imatrix") {
    throw ImportError(Code::kInvalidModel,
                      "field 'general.type': " + (type == nullptr ? "is missing" : "found " + Shown(*type)) + ", expected \"imatrix\"",
                      file->file());
  }
  ImportanceMatrix matrix;
  constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
  for (size_t i = 0; i < file->tensors().size(); ++i) {
    const SourceTensor& sums = file->tensors()[i];
    if (!sums.name.ends_with(kSums)) continue;
    const std::string name = sums.name.substr(0, sums.name.size() - kSums.size());
    const auto counts = file->Find(name + std::string(kCounts));
    if (!counts) throw ImportError(Code::kInvalidModel, "importance matrix: '" + name + std::string(kCounts) + "' is missing", file->file());
    const uint64_t matrices = file->tensors()[*counts].elements;
    if (matrices == 0 || sums.elements == 0 || sums.elements % matrices != 0) {
      throw ImportError(Code::kInvalidModel,
                        "importance matrix: '" + name + "': sums " + ShapeText(sums.shape) + " do not belong to counts " +
                            ShapeText(file->tensors()[*counts].shape),
                        file->file());
    }
    std::vector<float> values(sums.elements), rows(matrices);
    file->ReadFloats(i, 0, values.size(), values.data());
    file->ReadFloats(*counts, 0, rows.size(), rows.data());
    for (size_t j = 0; j < values.size(); ++j) {
      const float count = rows[j / (values.size() / rows.size())];
      values[j] = count > 0 ? values[j] / count : 0;
    }
    CheckValues(values, name, file->file());
    matrix.emplace(name, std::move(values));
  }
  if (matrix.empty()) throw ImportError(Code::kInvalidModel, "importance matrix: holds no tensor NAME.in_sum2", file->file());
  return matrix;
}

}  // namespace

ImportanceMatrix ReadImportanceMatrix(const std::filesystem::path& path) { return IsGgufFile(path) ? ReadGguf(path) : ReadBinary(path); }

}  // namespace thimble
