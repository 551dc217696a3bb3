#include "targets/cli/bench/model_work.h"

#include "format/model_file.h"
#include "targets/cli/error.h"
#include "targets/cli/output.h"
#include "targets/convert/convert.h"

namespace thimble::cli {
namespace {

// Segments may serve several tensors (packed layouts), so bytes are counted by segment.
uint64_t PayloadBytes(const Header& header) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < header.segments(); ++i) {
    if (static_cast<int32_t>(i) != header.model().tokenizer_segment) bytes += header.segment(i).bytes;
  }
  return bytes;
}

}  // namespace

double ModelWork::PromptOperations(uint64_t depth, uint64_t tokens) const {
  return 2 * layer_weights * static_cast<double>(tokens) + AttentionOperations(depth, tokens);
}

double ModelWork::AttentionOperations(uint64_t depth, uint64_t tokens) const {
  const double t = static_cast<double>(tokens), pairs = t * (static_cast<double>(depth) + (t + 1) / 2);
  return 4 * heads_width_per_key * pairs;
}

ModelWork ReadModelWork(const std::string& path) {
  ModelFile file;
  const Status status = file.Open(path.c_str());
  if (!status.ok()) {
    char text[256];
    FormatStatus(status, text, sizeof text);
    throw Error(static_cast<int>(status.code), path + ": " + text);
  }
  const Header& header = file.header();
  ModelWork work;
  work.name = header.name();
  uint64_t weights_of[kWeightTypeCount] = {};
  for (uint32_t i = 0; i < header.tensors(); ++i) {
    const TensorSpec tensor = header.tensor(i);
    const uint64_t weights = uint64_t{tensor.rows} * tensor.cols;
    work.parameters += weights;
    weights_of[static_cast<size_t>(tensor.type)] += weights;
  }
  work.tensor_bytes = PayloadBytes(header);
  const ModelSpec& model = header.model();
  for (uint32_t i = model.first_block; i < model.first_block + model.blocks; ++i) {
    const BlockSpec block = header.block(i);
    VisitAlternative(block.mixer, [&](const auto& mixer) {
      ForEachLinear(mixer, [&](const LinearSpec& linear) {
        const TensorSpec tensor = header.tensor(static_cast<uint32_t>(linear.weight));
        const ExpertsSpec* experts = std::get_if<ExpertsSpec>(&block.mixer);
        const double used = linear.stack == 1 || experts == nullptr ? 1 : static_cast<double>(experts->chosen) / linear.stack;
        work.layer_weights += used * static_cast<double>(tensor.rows) * tensor.cols;
      });
    });
  }
  ForEachAttention(header, model, [&](uint32_t, const AttentionSpec& a) {
    work.heads_width_per_key += static_cast<double>(a.heads) * a.head_width;
  });
  size_t most = 0;
  for (size_t i = 1; i < kWeightTypeCount; ++i) {
    if (weights_of[i] > weights_of[most]) most = i;
  }
  const double millions = static_cast<double>(work.parameters) * 1e-6;
  work.type = std::string(header.family()) + (millions >= 1000 ? Format(" %.2f B ", millions / 1000) : Format(" %.2f M ", millions)) +
              WeightTypeName(static_cast<WeightType>(most));
  return work;
}

}  // namespace thimble::cli
