#include "runtime/packing.h"

#include <cstdlib>
#include <cstring>

#include "format/linears.h"
#include "runtime/core/checked.h"
#include "runtime/core/finite.h"

namespace thimble {
namespace {

constexpr uint32_t kMostColumns = 64;  // nr of any layout

// The first field that no known layout shares with all fields before it.
Status UnknownLayout(const TensorSpec& t, uint32_t tensor) {
  const WeightLayout& key = t.packing;
  constexpr const char* kFields[] = {"packing.packer", "type",       "packing.version", "packing.nr",
                                     "packing.kr",     "packing.sr", "packing.planes"};
  const uint64_t got[] = {0, static_cast<uint64_t>(t.type), key.version, key.nr, key.kr, key.sr, key.planes};
  size_t most = 0;
  for (const PackedLayout* layout : AllPackedLayouts()) {
    const WeightLayout& l = layout->key;
    const bool same[] = {std::strcmp(l.packer, key.packer) == 0, layout->type == t.type, l.version == key.version,
                         l.nr == key.nr, l.kr == key.kr, l.sr == key.sr, l.planes == key.planes};
    size_t fields = 0;
    while (fields < std::size(same) && same[fields]) ++fields;
    most = fields > most ? fields : most;
  }
  Status status =
      Status::Error(Code::kUnsupported, "a packing this build does not know; convert the model again").At("tensor", tensor);
  status.Field(kFields[most]).Detail(key.packer, std::strlen(key.packer));
  return most == 0 ? status : status.Got(got[most]);
}

bool IsFinite32(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return (bits & 0x7f800000u) != 0x7f800000u;
}

// Tiles of one tensor, one after the other.
class TileCheck {
 public:
  TileCheck(const ModelFile& file, uint32_t tensor) : file_(file), tensor_(tensor), spec_(file.header().tensor(tensor)) {}
  ~TileCheck() { std::free(memory_); }
  TileCheck(const TileCheck&) = delete;
  TileCheck& operator=(const TileCheck&) = delete;

  // Unpacking a tile and packing it again gives the same bytes: so sums, padding and unused channels are right.
  Status Run() {
    const PackedLayout& layout = *StoredLayout(spec_);
    const size_t nr = layout.key.nr;
    WeightRows rows = {.type = spec_.type, .n = spec_.rows, .k = spec_.cols, .block = spec_.block};
    uint64_t row_bytes = 0, row_scale_bytes = 0;
    (void)WeightRowBytes(rows.type, rows.k, rows.block, &row_bytes);
    (void)WeightScaleBytes(rows.type, 1, rows.k, rows.block, &row_scale_bytes);
    const uint64_t tile_bytes = layout.tile_bytes(layout.key, rows.k, rows.block);
    const uint64_t data_bytes = RoundUp(nr * row_bytes, uint64_t{64}), scale_bytes = RoundUp(nr * row_scale_bytes, uint64_t{64});
    memory_ = static_cast<uint8_t*>(std::malloc(static_cast<size_t>(data_bytes + scale_bytes + tile_bytes)));
    if (memory_ == nullptr) return Status::Error(Code::kOutOfMemory, "no memory for a few rows").At("tensor", tensor_);
    uint8_t *scales = memory_ + data_bytes, *again = scales + scale_bytes;
    float bias[kMostColumns];
    const uint8_t* tile = static_cast<const uint8_t*>(file_.TensorData(tensor_));
    for (size_t first = 0; first < spec_.rows; first += nr, tile += tile_bytes) {
      const size_t count = spec_.rows - first < nr ? spec_.rows - first : nr;
      layout.unpack_tile(layout.key, rows, tile, count, {memory_, scales, bias});
      if (rows.type == WeightType::kF32 && FirstNotFinite(memory_, count * row_bytes, 4) != count * row_bytes) {
        return Bad(NotFinite(), "data", tile);
      }
      if (row_scale_bytes != 0 &&
          FirstScaleNotFinite(rows.type, scales, count, rows.k, count * row_scale_bytes) != count * row_scale_bytes) {
        return Bad(NotFinite(), "scales", tile);
      }
      for (size_t j = 0; j < count; ++j) {
        if (!IsFinite32(bias[j])) return Bad(NotFinite(), "bias", tile);
      }
      rows.data = memory_;
      rows.scales = scales;
      layout.pack_tile(layout.key, rows, bias, 0, count, again);
      if (std::memcmp(again, tile, static_cast<size_t>(tile_bytes)) != 0) {
        return Bad("sums or padding of packed weights are not what the weights give", "data", tile);
      }
    }
    for (size_t i = 0; i < kLinearSlackBytes; ++i) {
      if (tile[i] != 0) return Bad("the bytes behind packed weights must be zero", "data", tile);
    }
    return Status::Ok();
  }

 private:
  static const char* NotFinite() { return "a weight or scale is not a finite number"; }
  Status Bad(const char* what, const char* field, const uint8_t* at) const {
    const uint64_t inside = static_cast<uint64_t>(at - static_cast<const uint8_t*>(file_.TensorData(tensor_)));
    const uint64_t start = file_.header().segment(static_cast<uint32_t>(spec_.data_segment)).offset;
    return Status::Error(Code::kInvalidModel, what).At("tensor", tensor_).Field(field).Offset(start + inside);
  }

  const ModelFile& file_;
  uint32_t tensor_;
  TensorSpec spec_;
  uint8_t* memory_ = nullptr;
};

// The biases inside a packed tensor are those of the layer that uses it.
Status CheckBias(const ModelFile& file, const LinearSpec& linear) {
  const TensorSpec t = file.header().tensor(static_cast<uint32_t>(linear.weight));
  const PackedLayout* layout = StoredLayout(t);
  if (layout == nullptr) return Status::Ok();
  const WeightRows shape = {.type = t.type, .n = t.rows, .k = t.cols, .block = t.block};
  const uint8_t* packed = static_cast<const uint8_t*>(file.TensorData(static_cast<uint32_t>(linear.weight)));
  const float* wanted =
      linear.bias == kNoTensor ? nullptr : static_cast<const float*>(file.TensorData(static_cast<uint32_t>(linear.bias)));
  const size_t nr = layout->key.nr;
  for (size_t first = 0; first < t.rows; first += nr) {
    const size_t count = t.rows - first < nr ? t.rows - first : nr;
    float bias[kMostColumns];
    UnpackRows(*layout, shape, packed, first, count, {nullptr, nullptr, bias});
    for (size_t j = 0; j < count; ++j) {
      const float expected = wanted == nullptr ? 0.0f : wanted[first + j];
      if (std::memcmp(&bias[j], &expected, sizeof expected) != 0) {
        return Status::Error(Code::kInvalidModel, "the biases inside packed weights differ from those of the layer")
            .At("tensor", linear.weight).Field("bias").Got(first + j);
      }
    }
  }
  return Status::Ok();
}

template <typename F>
bool EveryPackedTensor(const Header& header, F holds) {
  for (uint32_t i = 0; i < header.tensors(); ++i) {
    const TensorSpec t = header.tensor(i);
    if (t.packing.packed() && !holds(t)) return false;
  }
  return true;
}

bool ReadsInPlace(const KernelTable& table, const Header& header) {
  return EveryPackedTensor(header, [&](const TensorSpec& t) { return table.Kernel(t.type)->layout == StoredLayout(t); });
}

bool IsFast(const KernelTable& table) {
  const TablePacking* packing = FindTablePacking(table.name);
  return packing != nullptr && packing->fast;
}

}  // namespace

const PackedLayout* StoredLayout(const TensorSpec& tensor) {
  return tensor.packing.packed() ? FindPackedLayout(tensor.type, tensor.packing) : nullptr;
}

Status CheckPackedTensors(const Header& header) {
  for (uint32_t i = 0; i < header.tensors(); ++i) {
    const TensorSpec t = header.tensor(i);
    if (!t.packing.packed()) continue;
    const PackedLayout* layout = StoredLayout(t);
    if (layout == nullptr) return UnknownLayout(t, i);
    uint64_t wanted = 0;
    if (!CheckedAdd(PackedBytes(*layout, t.rows, t.cols, t.block), kLinearSlackBytes, &wanted)) {
      return Status::Error(Code::kSizeOverflow, "its packed size overflows").At("tensor", i).Field("rows").Got(t.rows);
    }
    const uint64_t stored = header.segment(static_cast<uint32_t>(t.data_segment)).bytes;
    if (stored != wanted) {
      return Status::Error(Code::kInvalidModel, "segment size differs from what the packing takes for the shape")
          .At("tensor", i).Field("data_segment").Got(stored).Wanted(wanted);
    }
  }
  return Status::Ok();
}

Status VerifyPackedTensors(const ModelFile& file, const Progress& progress) {
  const Header& header = file.header();
  for (uint32_t i = 0; i < header.tensors(); ++i) {
    THIMBLE_RETURN_IF_ERROR(progress.Report(file.file_bytes(), file.file_bytes()));
    if (header.tensor(i).packing.packed()) THIMBLE_RETURN_IF_ERROR(TileCheck(file, i).Run());
  }
  Status status = Status::Ok();
  ForEachLinear(header, [&](const LinearSpec& linear) {
    if (status.ok()) status = CheckBias(file, linear);
  });
  return status;
}

const KernelTable* ChooseKernelTable(const Header& header, const CpuFeatures& cpu) {
  const KernelTable* best = BestKernelTable(cpu);
  if (ReadsInPlace(*best, header)) return best;
  const KernelTable* chosen = best;
  // Slowest first: the last one that fits stays.
  for (const KernelTable* table : AllKernelTables()) {
    if (table->supported(cpu) && ReadsInPlace(*table, header) && (IsFast(*table) || !IsFast(*best))) chosen = table;
  }
  return chosen;
}

const char* FilePackingName(const Header& header, const char* preferred) {
  if (EveryPackedTensor(header, [](const TensorSpec&) { return false; })) return "portable";
  const auto fits = [&](const TablePacking& table) {
    return EveryPackedTensor(header, [&](const TensorSpec& t) { return table.Layout(t.type) == StoredLayout(t); });
  };
  const TablePacking* first = FindTablePacking(preferred);
  if (first != nullptr && fits(*first)) return first->name;
  for (const TablePacking& table : AllTablePackings()) {
    if (fits(table)) return table.name;
  }
  return "mixed";
}

}  // namespace thimble
