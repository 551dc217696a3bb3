// Models of well-known shapes with random weights: for measuring speed and memory, which do not depend on what the
// weights say. Written without a source and in bounded memory. Host only; knows no foreign formats and no kernels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "targets/convert/convert.h"

namespace thimble {

struct SyntheticShape {
  const char* name;     // "tinyllama-1.1b"
  const char* summary;  // one line
  uint32_t positions;   // context that it is written with unless another is asked for
};

// smollm2-135m, tinyllama-1.1b, gemma-2b, paper-300m-qkv, paper-300m-qmqa, and "tiny" for tests.
std::span<const SyntheticShape> SyntheticShapes();

struct SyntheticOptions {
  std::string shape;
  std::filesystem::path output;
  WeightType weights = WeightType::kQ4;
  uint32_t block = 32;             // of kQ4: 32, 64 or 128
  // Of the output head, which is the embedding where the two are one. Nothing: the type of the weights, but
  // kQ8 with kQ4, because llama.cpp's Q4_0 files keep that tensor in 8 (or 6) bits, too.
  std::optional<WeightType> head;
  bool turn = true;                // as ConvertOptions::turn: the layers turn their inputs
  uint32_t positions = 0;          // context; 0 = that of the shape. Learned positions take 4 * D bytes each
  uint64_t seed = 1;
  std::string name;                // empty: "synthetic SHAPE"
  std::function<bool(const ConvertProgress&)> progress;
};

// The same options and seed give the same file on every machine. Values are such that activations keep their size from
// layer to layer and that the most likely id differs from the last one. No tokenizer: ids only. Throws ImportError.
ConvertReport WriteSynthetic(const SyntheticOptions& options);

}  // namespace thimble
