// The description is taken over as it is but for the packing of the linear layers' tensors. Biases stay tensors of
// their own, too: so the way back to rows loses nothing.
#include "targets/convert/pack_file.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "format/linears.h"
#include "format/model_file.h"
#include "format/writer.h"
#include "ops/linear/packing/layouts.h"
#include "targets/convert/describe_file.h"

namespace thimble {
namespace {

constexpr uint64_t kBlockWeights = 1u << 20;
constexpr size_t kGroupRows = 64;  // a multiple of every nr

[[noreturn]] void Throw(const Status& status, const std::filesystem::path& file) {
  char text[248];
  FormatStatus(status, text, sizeof text);
  throw ImportError(status.code, text, file.string());
}

// null: portable rows.
const PackedLayout* StoredLayoutOf(const ModelFile& file, uint32_t tensor, const std::filesystem::path& path) {
  const TensorSpec t = file.header().tensor(tensor);
  if (!t.packing.packed()) return nullptr;
  const PackedLayout* layout = FindPackedLayout(t.type, t.packing);
  if (layout == nullptr) {
    Throw(Status::Error(Code::kUnsupported, "a packing this build does not know").At("tensor", tensor), path);
  }
  const uint64_t stored = file.header().segment(static_cast<uint32_t>(t.data_segment)).bytes;
  if (stored != PackedBytes(*layout, t.rows, t.cols, t.block) + kLinearSlackBytes) {
    Throw(Status::Error(Code::kInvalidModel, "segment size differs from what the packing takes")
              .At("tensor", tensor),
          path);
  }
  return layout;
}

// Tensors that can be packed: weights of linear layers that have one bias and are not looked up as rows.
struct PackableTensor {
  int32_t bias;    // or kNoTensor
  uint32_t stack;  // matrices below each other, each of which begins with a tile
};

std::map<int32_t, PackableTensor> Packable(const Header& header) {
  std::map<int32_t, PackableTensor> found;
  std::set<int32_t> ambiguous;
  ForEachLinear(header, [&](const LinearSpec& linear) {
    const auto [at, is_new] = found.emplace(linear.weight, PackableTensor{linear.bias, linear.stack});
    if (!is_new && (at->second.bias != linear.bias || at->second.stack != linear.stack)) ambiguous.insert(linear.weight);
  });
  for (uint32_t p = 0; p < header.parts(); ++p) {
    if (const ModelSpec part = header.part(p); !part.output.tied) ambiguous.insert(part.input.table);
  }
  for (const int32_t tensor : ambiguous) found.erase(tensor);
  return found;
}

class Packing {
 public:
  Packing(const PackOptions& options, const ModelFile& file, ModelWriter& writer, PackReport& report)
      : options_(options), file_(file), writer_(writer), report_(report) {
    for (uint32_t i = 0; i < file.header().tensors(); ++i) total_weights_ += Weights(file.header().tensor(i));
  }

  void Write(uint32_t index, const PackedLayout* wanted, const float* bias) {
    index_ = index;
    name_ = file_.header().tensor_name(index);
    spec_ = file_.header().tensor(index);
    stored_ = StoredLayoutOf(file_, index, options_.source);
    if (wanted == stored_) {
      Copy(writer_.DataSegment(index), spec_.data_segment);
      if (spec_.scale_segment >= 0) Copy(writer_.ScaleSegment(index), spec_.scale_segment);
    } else if (wanted != nullptr) {
      Pack(*wanted, bias);
    } else {
      Unpack(writer_.DataSegment(index), true);
      if (writer_.ScaleSegment(index) >= 0) Unpack(writer_.ScaleSegment(index), false);
    }
    if (wanted != nullptr) {
      ++report_.packed_tensors;
      report_.packed_bytes += PackedBytes(*wanted, spec_.rows, spec_.cols, spec_.block);
    }
    done_weights_ += Weights(spec_);
  }

 private:
  static uint64_t Weights(const TensorSpec& t) { return uint64_t{t.rows} * t.cols; }

  void Progress(uint64_t rows_done) {
    if (!options_.progress) return;
    const ConvertProgress progress{name_, index_, file_.header().tensors(), done_weights_ + rows_done * spec_.cols,
                                   total_weights_};
    if (!options_.progress(progress))
      throw ImportError(Code::kCancelled, "stopped while writing tensor '" + name_ + "'");
  }

  void Copy(int32_t to, int32_t from) {
    const uint8_t* bytes = file_.Segment(static_cast<uint32_t>(from));
    const uint64_t size = file_.header().segment(static_cast<uint32_t>(from)).bytes;
    writer_.BeginSegment(to);
    for (uint64_t at = 0; at < size; at += kBlockWeights) {
      Progress(0);
      writer_.Append(bytes + at, static_cast<size_t>(std::min(size - at, kBlockWeights)));
    }
    writer_.EndSegment();
  }

  // Rows [first, first + count) as portable ones, where they lie or unpacked.
  WeightRows Rows(uint64_t first, uint64_t count, bool with_data, bool with_scales) {
    WeightRows rows = {.type = spec_.type, .n = static_cast<uint32_t>(count), .k = spec_.cols, .block = spec_.block};
    (void)WeightRowBytes(spec_.type, spec_.cols, spec_.block, &row_bytes_);
    (void)WeightScaleBytes(spec_.type, 1, spec_.cols, spec_.block, &row_scale_bytes_);
    const uint8_t* stored = static_cast<const uint8_t*>(file_.TensorData(index_));
    if (stored_ == nullptr) {
      rows.data = stored + first * row_bytes_;
      if (row_scale_bytes_ > 0) {
        rows.scales = static_cast<const uint8_t*>(file_.TensorScales(index_)) + first * row_scale_bytes_;
      }
      return rows;
    }
    if (with_data) data_.resize(count * row_bytes_);
    if (with_scales) scales_.resize(count * row_scale_bytes_);
    rows.data = data_.data();
    rows.scales = scales_.data();
    UnpackRows(*stored_, rows, stored, first, count,
               {with_data ? data_.data() : nullptr, with_scales ? scales_.data() : nullptr, nullptr});
    return rows;
  }

  uint64_t RowsAtOnce() const { return std::max<uint64_t>(1, kBlockWeights / spec_.cols / kGroupRows) * kGroupRows; }

  void Pack(const PackedLayout& wanted, const float* bias) {
    writer_.BeginSegment(writer_.DataSegment(index_));
    for (uint64_t first = 0; first < spec_.rows; first += RowsAtOnce()) {
      Progress(first);
      const uint64_t count = std::min(RowsAtOnce(), spec_.rows - first);
      const WeightRows rows = Rows(first, count, true, true);
      packed_.resize(PackedBytes(wanted, rows.n, rows.k, rows.block));
      Measure();
      PackRows(wanted, rows, bias == nullptr ? nullptr : bias + first, packed_.data());
      writer_.Append(packed_.data(), packed_.size());
    }
    const uint8_t slack[kLinearSlackBytes] = {};
    writer_.Append(slack, sizeof slack);
    writer_.EndSegment();
  }

  void Unpack(int32_t segment, bool data) {
    writer_.BeginSegment(segment);
    for (uint64_t first = 0; first < spec_.rows; first += RowsAtOnce()) {
      Progress(first);
      const uint64_t count = std::min(RowsAtOnce(), spec_.rows - first);
      (void)Rows(first, count, data, !data);
      Measure();
      const std::vector<uint8_t>& bytes = data ? data_ : scales_;
      writer_.Append(bytes.data(), bytes.size());
    }
    writer_.EndSegment();
  }

  void Measure() {
    report_.peak_buffer_bytes = std::max<uint64_t>(report_.peak_buffer_bytes,
                                                   data_.capacity() + scales_.capacity() + packed_.capacity());
  }

  const PackOptions& options_;
  const ModelFile& file_;
  ModelWriter& writer_;
  PackReport& report_;
  uint32_t index_ = 0;
  std::string name_;
  TensorSpec spec_;
  const PackedLayout* stored_ = nullptr;
  uint64_t row_bytes_ = 0, row_scale_bytes_ = 0;
  std::vector<uint8_t> data_, scales_, packed_;
  uint64_t done_weights_ = 0, total_weights_ = 0;
};

// The source is read wholly before anything is written; that can be stopped, too.
Status Verify(const ModelFile& file, const PackOptions& options) {
  if (!options.progress) return VerifyPayload(file);
  struct Call {
    const PackOptions& options;
    std::string what;
    size_t tensors;
  } call{options, "checking the source", file.header().tensors()};
  const auto report = [](void* user, uint64_t, uint64_t) -> int32_t {
    const Call& c = *static_cast<const Call*>(user);
    return c.options.progress({c.what, 0, c.tensors, 0, 1});
  };
  return VerifyPayload(file, {report, &call});
}

// As many bytes as a file has, of which those that nobody writes take no memory.
class SparseImage {
 public:
  explicit SparseImage(uint64_t bytes) : bytes_(static_cast<size_t>(bytes)) {
    data_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data_ == MAP_FAILED) throw ImportError(Code::kOutOfMemory, "no addresses for a file of " + std::to_string(bytes) + " bytes");
  }
  ~SparseImage() { munmap(data_, bytes_); }
  SparseImage(const SparseImage&) = delete;
  SparseImage& operator=(const SparseImage&) = delete;
  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
};

MemoryContract ContractOf(const ModelDescription& description, const PackOptions& options) {
  MemoryContract contract;
  // Once to learn its texts, which the header's size depends on, and once for the numbers, which it does not.
  for (int round = 0; round < 2; ++round) {
    ModelDescription trial = description;
    trial.contracts = {contract};
    uint64_t bytes = 0;
    const std::vector<SegmentSpec> segments = LayOut(trial, &bytes);
    const std::vector<uint8_t> header = HeaderBytes(trial, segments, bytes);
    const SparseImage image(bytes);
    std::memcpy(image.data(), header.data(), header.size());
    if (const int32_t at = trial.spec.tokenizer_segment; at >= 0)
      std::memcpy(image.data() + segments[static_cast<size_t>(at)].offset, trial.tokenizer.data(), trial.tokenizer.size());
    contract = options.contract(image.data(), image.bytes());
  }
  return contract;
}

PackReport PackUnguarded(const PackOptions& options) {
  const TablePacking* table = FindTablePacking(options.table.c_str());
  if (table == nullptr) {
    throw ImportError(Code::kInvalidArgument,
                      "no packing is called '" + options.table + "'; known: " + TablePackingNames());
  }
  ModelFile file;
  Status status = file.Open(options.source.c_str());
  if (status.ok()) status = Verify(file, options);
  if (!status.ok()) Throw(status, options.source);

  const Header& header = file.header();
  const std::map<int32_t, PackableTensor> packable = Packable(header);
  ModelDescription description = DescribeFile(file);
  std::vector<const PackedLayout*> wanted(header.tensors(), nullptr);
  for (const auto& [tensor, how] : packable) {
    const TensorSpec& t = description.tensors[static_cast<size_t>(tensor)].spec;
    const PackedLayout* layout = table->Layout(t.type);
    if (layout == nullptr || how.stack == 1 || t.rows / how.stack % layout->key.nr == 0) wanted[static_cast<size_t>(tensor)] = layout;
  }
  for (uint32_t i = 0; i < header.tensors(); ++i) {
    TensorSpec& t = description.tensors[i].spec;
    t.packing = wanted[i] == nullptr ? WeightLayout() : wanted[i]->key;
    if (t.packing.packed()) description.content_id = header.content_id();
    t.packed_bytes = wanted[i] == nullptr ? 0 : PackedBytes(*wanted[i], t.rows, t.cols, t.block) + kLinearSlackBytes;
  }

  if (options.contract) {
    description.content_id = header.content_id();
    description.contracts = {ContractOf(description, options)};
  }

  PackReport report;
  report.source_bytes = file.file_bytes();
  ModelWriter writer(options.output.string(), std::move(description));
  Packing packing(options, file, writer, report);
  for (uint32_t i = 0; i < header.tensors(); ++i) {
    const auto at = packable.find(static_cast<int32_t>(i));
    const int32_t bias = at == packable.end() ? kNoTensor : at->second.bias;
    packing.Write(i, wanted[i],
                  bias == kNoTensor
                      ? nullptr
                      : static_cast<const float*>(file.TensorData(static_cast<uint32_t>(bias))));
  }
  report.file_bytes = writer.file_bytes();
  writer.Finish();
  return report;
}

}  // namespace

PackReport PackFile(const PackOptions& options) {
  try {
    return PackUnguarded(options);
  } catch (...) {
    ThrowAsImportError();
  }
}

bool IsTablePacking(const std::string& name) { return FindTablePacking(name.c_str()) != nullptr; }

std::string TablePackingNames() {
  std::string names;
  for (const TablePacking& table : AllTablePackings()) names += (names.empty() ? "" : ", ") + std::string(table.name);
  return names;
}

std::string PackingsOfFile(const std::filesystem::path& path) {
  ModelFile file;
  if (!file.Open(path.c_str()).ok()) return {};
  const Header& header = file.header();
  bool packed = false;
  std::string names;
  for (const TablePacking& table : AllTablePackings()) {
    bool fits = true;
    for (uint32_t i = 0; i < header.tensors(); ++i) {
      const TensorSpec t = header.tensor(i);
      packed = packed || t.packing.packed();
      fits = fits && (!t.packing.packed() || table.Layout(t.type) == FindPackedLayout(t.type, t.packing));
    }
    if (!packed) return "portable";
    if (fits) names += (names.empty() ? "" : ", ") + std::string(table.name);
  }
  return names;
}

}  // namespace thimble
