// What a folder of sentence-transformers says beside the model: how its hidden rows become one vector (modules.json, 1_Pooling/,
// 2_Dense/). Which rows count goes into the file's metadata; linear layers behind the pooling act on each row as they do on the mean
// of all, so that their product becomes the model's head.
#pragma once

#include <filesystem>

#include "targets/convert/plan.h"

namespace thimble {

// Of a folder that has such a file; changes nothing where it has none, or where the model gives no hidden rows. Throws ImportError for
// modules, poolings and activations that are not understood.
void AddSentenceModules(const std::filesystem::path& directory, ModelPlan& plan);

inline constexpr uint64_t kMostDenseElements = 1u << 26;

// A linear layer behind the pooling: weight [out, in], bias [out] or empty.
struct DenseLayer {
  uint64_t out = 0, in = 0;
  std::vector<double> weight, bias;
};
// The first reads the model's hidden rows, each the one before. `file`: for messages.
void SetDenseHead(ModelPlan& plan, const std::vector<DenseLayer>& layers, const std::string& file);

}  // namespace thimble
