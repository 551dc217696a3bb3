#include "targets/cli/block_model.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

#include "format/writer.h"
#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/convert/describe_file.h"

namespace thimble::cli {
namespace {

constexpr uint32_t kNothingSelected = UINT32_MAX;
constexpr uint32_t kRowsOfLogits = 32;

int32_t AddTensor(ModelDescription& d, const char* name, uint32_t rows, uint32_t cols) {
  d.tensors.push_back({name, {}});
  d.tensors.back().spec.rows = rows;
  d.tensors.back().spec.cols = cols;
  return static_cast<int32_t>(d.tensors.size() - 1);
}

// "layer.3.ffn.down.weight" is of layer 3; what has no such name may be anybody's.
bool IsOfAnotherLayer(std::string_view name, uint32_t layer) {
  return name.starts_with("layer.") && !name.starts_with("layer." + std::to_string(layer) + ".");
}

// Whether a hidden number is made of its own rows of gate and up alone: then some of them need no others.
bool ColumnsStandAlone(const FfnSpec& ffn) { return ffn.norm.kind == NormKind::kNone && !ffn.sparse && ffn.gate.stack == 1 && ffn.up.stack == 1; }

// Numbers of a tensor in a row.
struct Slice {
  uint64_t first, count;
};

// Leaves outputs [first, first + count) of a matrix, or of its bias.
Slice CutOutputs(TensorSpec* tensor, bool bias, uint32_t first, uint32_t count) {
  (bias ? tensor->cols : tensor->rows) = count;
  const uint64_t row = bias ? 1 : tensor->cols;
  return {first * row, count * row};
}

ContextOptions Context(uint32_t window, uint32_t threads) {
  ContextOptions context;
  context.context_tokens = context.chunk_tokens = window;
  context.threads = threads;
  context.cache = "f32";
  context.logits_rows = kRowsOfLogits;
  return context;
}

struct Collected {
  float* to;
  size_t width;
};
int32_t Collect(void* user, size_t, const float* row) {
  Collected& collected = *static_cast<Collected*>(user);
  std::memcpy(collected.to, row, collected.width * sizeof(float));
  collected.to += collected.width;
  return 1;
}

}  // namespace

struct BlockModel::Parts {
  FileImage image;
  uint64_t table_offset;
  size_t width;

  static Parts Make(const ModelFile& file, uint32_t layer, uint32_t block, uint32_t window, uint32_t first);
};

BlockModel::Parts BlockModel::Parts::Make(const ModelFile& file, uint32_t layer, uint32_t block, uint32_t window, uint32_t first) {
  ModelDescription d = DescribeFile(file);
  const uint32_t width = d.spec.width;
  BlockSpec only = d.layers.at(layer).blocks.at(block);
  only.repeats = -1;
  d.more_parts.clear();
  d.tokenizer.clear();
  d.chat_formats.clear();
  d.metadata.clear();
  std::vector<bool> kept(d.tensors.size());
  for (size_t i = 0; i < d.tensors.size(); ++i) {
    const int32_t index = static_cast<int32_t>(i);
    kept[i] = !IsOfAnotherLayer(d.tensors[i].name, layer) && index != d.spec.input.table && index != d.spec.output.head.weight &&
              index != d.spec.input.positions;
    if (!kept[i]) {
      d.tensors[i].spec = {};
      d.tensors[i].spec.rows = d.tensors[i].spec.cols = 1;
    }
  }
  int32_t select = kNoTensor;
  std::map<int32_t, Slice> slices;
  if (first != kNothingSelected) {
    LinearSpec* out = OutputOf(&only.mixer);
    uint32_t k = d.tensors[static_cast<size_t>(out->weight)].spec.cols;
    if (auto* ffn = std::get_if<FfnSpec>(&only.mixer); ffn != nullptr && ColumnsStandAlone(*ffn)) {
      k = ffn->width = std::min(width, k - first);
      for (const LinearSpec& linear : {ffn->gate, ffn->up})
        for (const int32_t tensor : {linear.weight, linear.bias})
          if (tensor != kNoTensor) slices[tensor] = CutOutputs(&d.tensors[static_cast<size_t>(tensor)].spec, tensor == linear.bias, first, k);
      first = 0;
    }
    select = AddTensor(d, "columns", width, k);
    *out = {select, kNoTensor, 1};
    only.form = BlockForm::kResidual;
    only.post_norm = {};
    only.scale = only.output_scale = 1;
  }
  d.layers = {LayerSpec{{only}}};
  d.spec.input = {};
  d.spec.input.table = AddTensor(d, "rows", window, width);
  d.spec.output = {};
  d.spec.outputs = width;
  d.spec.vocabulary = window;
  // As the reader sees it: what has no attention reads tokens in order.
  const auto* attention = std::get_if<AttentionSpec>(&only.mixer);
  const bool decoder = attention == nullptr || attention->causal;
  if (decoder) {  // needs a head, with an output for each id
    d.spec.outputs = std::max(width, window);
    d.spec.output.head.weight = AddTensor(d, "same", d.spec.outputs, width);
  }
  uint64_t bytes = 0;
  const std::vector<SegmentSpec> segments = LayOut(d, &bytes);
  const std::vector<uint8_t> header = HeaderBytes(d, segments, bytes);
  Parts parts{FileImage(bytes), 0, width};
  std::memcpy(parts.image.data(), header.data(), header.size());
  const auto at = [&](int32_t tensor) {
    return reinterpret_cast<float*>(parts.image.data() +
                                    segments[static_cast<size_t>(d.tensors[static_cast<size_t>(tensor)].spec.data_segment)].offset);
  };
  for (size_t i = 0; i < kept.size(); ++i) {
    if (!kept[i]) continue;
    const TensorSpec from = file.header().tensor(static_cast<uint32_t>(i));
    const auto cut = slices.find(static_cast<int32_t>(i));
    const Slice slice = cut == slices.end() ? Slice{0, uint64_t{from.rows} * from.cols} : cut->second;
    std::memcpy(at(static_cast<int32_t>(i)), reinterpret_cast<const float*>(file.Segment(static_cast<uint32_t>(from.data_segment))) + slice.first,
                slice.count * sizeof(float));
  }
  if (select != kNoTensor) {
    const uint32_t k = d.tensors[static_cast<size_t>(select)].spec.cols;
    for (uint32_t i = 0; i < width && first + i < k; ++i) at(select)[uint64_t{i} * k + first + i] = 1;
  }
  if (decoder)
    for (uint32_t i = 0; i < width; ++i) at(d.spec.output.head.weight)[uint64_t{i} * width + i] = 1;
  parts.table_offset = static_cast<uint64_t>(reinterpret_cast<uint8_t*>(at(d.spec.input.table)) - parts.image.data());
  return parts;
}

BlockModel::BlockModel(const ModelFile& file, Parts parts, uint32_t window, uint32_t threads)
    : image_(std::move(parts.image)),
      table_(reinterpret_cast<float*>(image_.data() + parts.table_offset)),
      width_(parts.width),
      model_(image_.data(), image_.bytes(), "a block of " + std::string(file.header().name())),
      options_(Context(window, threads).ForModel(model_)),
      session_(model_, options_) {}

BlockModel::BlockModel(const ModelFile& file, uint32_t layer, uint32_t block, uint32_t window, uint32_t threads)
    : BlockModel(file, Parts::Make(file, layer, block, window, kNothingSelected), window, threads) {}
BlockModel::BlockModel(const ModelFile& file, uint32_t layer, uint32_t block, uint32_t window, uint32_t threads, uint32_t first)
    : BlockModel(file, Parts::Make(file, layer, block, window, first), window, threads) {}

// Not const: the engine reads the table where it lies.
void BlockModel::Run(const float* in, size_t n, float* out) {
  std::memcpy(table_, in, n * width_ * sizeof(float));
  std::vector<int32_t> ids(n);
  for (size_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>(i);
  Collected collected{out, width_};
  const int32_t* first = ids.data();
  if (!model_.info().is_decoder) return Check(Call(thimble_encode_rows, session_.handle(), first, n, Collect, &collected));
  Check(Call(thimble_rewind, session_.handle(), size_t{0}));
  Check(Call(thimble_prefill_each, session_.handle(), first, n, Collect, &collected));
}

}  // namespace thimble::cli
