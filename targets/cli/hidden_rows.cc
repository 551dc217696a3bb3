#include "targets/cli/hidden_rows.h"

#include <algorithm>
#include <cstring>

#include "format/metadata_keys.h"
#include "format/model_file.h"
#include "format/writer.h"
#include "targets/cli/error.h"
#include "targets/convert/describe_file.h"

namespace thimble::cli {

namespace {

// A mixer that is neither attention nor a network of single rows.
bool HasState(const LayerSpec& layer) {
  return std::any_of(layer.blocks.begin(), layer.blocks.end(), [](const BlockSpec& block) {
    return !std::holds_alternative<AttentionSpec>(block.mixer) && !std::holds_alternative<FfnSpec>(block.mixer) &&
           !std::holds_alternative<ExpertsSpec>(block.mixer);
  });
}

// An encoder whose head is part of the network that its family calls the model (EmbeddingGemma 2), and neither one for ids nor what a
// folder of sentence-transformers adds.
bool OwnRows(const ModelDescription& d, const ModelFile& file) {
  if (d.spec.decoder || d.spec.output.head.weight == kNoTensor || d.spec.input.kind != InputKind::kTokens) return false;
  for (const auto& [key, value] : d.metadata) {
    if (key == kPoolingKey) return false;
  }
  return d.spec.outputs < file.header().tensor(static_cast<uint32_t>(d.spec.input.table)).rows;
}

}  // namespace

FileImage WithoutHead(const std::string& path) {
  ModelFile file;
  if (const Status status = file.Open(path.c_str()); !status.ok()) {
    char text[248];
    FormatStatus(status, text, sizeof text);
    throw Error(static_cast<int>(status.code), path + ": " + text);
  }
  ModelDescription d = DescribeFile(file);
  const uint32_t width = d.spec.width;
  const int32_t head = OwnRows(d, file) ? kNoTensor : d.spec.output.head.weight;
  d.more_parts.clear();
  d.tokenizer.clear();
  d.chat_formats.clear();
  d.metadata.clear();
  d.layers.resize(d.spec.layers);
  int32_t same = kNoTensor;
  if (head != kNoTensor || d.spec.output.tied) {
    d.spec.output.head = {};
    d.spec.output.tied = false;
    d.spec.output.scale = 1;
    d.spec.output.softcap = 0;
    d.spec.outputs = width;
  }
  if (std::any_of(d.layers.begin(), d.layers.end(), HasState)) {
    // As the reader sees it: what carries a state from row to row reads tokens in order, and has an output for each id.
    d.spec.outputs = std::max(width, d.spec.vocabulary);
    d.tensors.push_back({"same", {}});
    d.tensors.back().spec.rows = d.spec.outputs;
    d.tensors.back().spec.cols = width;
    same = d.spec.output.head.weight = static_cast<int32_t>(d.tensors.size() - 1);
  }
  if (head != kNoTensor) {
    d.tensors[static_cast<size_t>(head)].spec = {};
    d.tensors[static_cast<size_t>(head)].spec.rows = d.tensors[static_cast<size_t>(head)].spec.cols = 1;
  }
  uint64_t bytes = 0;
  const std::vector<SegmentSpec> segments = LayOut(d, &bytes);
  const std::vector<uint8_t> header = HeaderBytes(d, segments, bytes);
  FileImage image(bytes);
  std::memcpy(image.data(), header.data(), header.size());
  const auto copy = [&](int32_t from, int32_t to) {
    if (from < 0) return;
    std::memcpy(image.data() + segments[static_cast<size_t>(to)].offset, file.Segment(static_cast<uint32_t>(from)),
                file.header().segment(static_cast<uint32_t>(from)).bytes);
  };
  for (uint32_t i = 0; i < file.header().tensors(); ++i) {
    if (static_cast<int32_t>(i) == head) continue;
    const TensorSpec from = file.header().tensor(i);
    copy(from.data_segment, d.tensors[i].spec.data_segment);
    copy(from.scale_segment, d.tensors[i].spec.scale_segment);
  }
  if (same != kNoTensor) {
    float* rows = reinterpret_cast<float*>(image.data() + segments[static_cast<size_t>(d.tensors[static_cast<size_t>(same)].spec.data_segment)].offset);
    for (uint32_t i = 0; i < width; ++i) rows[uint64_t{i} * width + i] = 1;
  }
  return image;
}

}  // namespace thimble::cli
