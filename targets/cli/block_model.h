// One block of a model as a model of its own, in memory: its tokens are rows of numbers, and its outputs the rows that the block makes
// of them. Knows no texts.
#pragma once

#include <cstdint>
#include <vector>

#include "format/model_file.h"
#include "targets/cli/memory.h"
#include "targets/cli/options.h"
#include "targets/convert/exchange.h"
#include "targets/convert/quantiser/mixer_output.h"

namespace thimble::cli {

class BlockModel {
 public:
  // Of the file's main part. `window` rows at most enter at once. Throws Error.
  BlockModel(const ModelFile& file, uint32_t layer, uint32_t block, uint32_t window, uint32_t threads);
  // The same with the block's output layer replaced: it hands on columns [first, first + D) of its input, to which the row that
  // entered is added. Requires an output layer (OutputOf). A feed-forward network computes those columns alone, where they need no others.
  BlockModel(const ModelFile& file, uint32_t layer, uint32_t block, uint32_t window, uint32_t threads, uint32_t first);

  // `in`, `out` [n, D], n <= window: a sequence from its first position on.
  void Run(const float* in, size_t n, float* out);

 private:
  struct Parts;
  BlockModel(const ModelFile& file, Parts parts, uint32_t window, uint32_t threads);

  FileImage image_;
  float* table_;
  size_t width_;
  Model model_;
  EngineOptions options_;
  Session session_;
};

}  // namespace thimble::cli
