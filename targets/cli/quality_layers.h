// Which tensors of a model lose most: the reference with a group of them taken from the other file, judged against the
// reference, group by group. A group is a kind of tensor in all layers, or all tensors of a layer. Writes nothing.
#pragma once

#include <string>
#include <vector>

#include "targets/cli/quality_compare.h"

namespace thimble::cli {

struct TensorGroup {
  std::string name;      // "ffn.down.weight", "layer 3"
  size_t tensors = 0;
  QualityFigures figures;
};

struct TensorLosses {
  std::vector<TensorGroup> kinds, layers;  // most lost first
  bool cancelled = false;                  // then those that were judged wholly
};

// `context` is the reference's but for the kernels, which are the other's. `saved_logits`: the reference's rows of this very
// text are read from there and not computed again; or empty. Throws Error.
TensorLosses JudgeTensors(const Model& reference, const ContextOptions& context, const std::string& other_path,
                          const std::string& kernels, const std::string& saved_logits, const Windows& cut);

}  // namespace thimble::cli
