// A .thimble file of floats into one of block types: each matrix in the type, turned or not, that under a budget of bits loses
// least, as measured on what its layer reads. Knows no other people's formats, and runs no model.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "targets/convert/convert.h"
#include "targets/convert/quantiser/importance_file.h"
#include "targets/convert/quantiser/input_moments.h"

namespace thimble {

// How much the relative squared error of an output matters, by kind of tensor ("ffn.down.weight", "input.table"); 1 where it is not named.
using Sensitivity = std::map<std::string, double>;
// Measured on a real model (quantiser/README.md).
const Sensitivity& UsualSensitivity();

struct ModelQuantiserOptions {
  std::filesystem::path source;  // all weights f32, in portable rows
  std::filesystem::path output;  // may be the source, which is then replaced
  double bits = 0;               // of a weight of the matrices on average, scales included
  bool turn = true;              // may turn
  // Layers in 8 bits take their inputs in two int8 planes, where these are turned.
  bool fine_inputs = false;
  const InputMoments* moments = nullptr;        // of the source
  const ImportanceMatrix* importance = nullptr; // used where there are no moments
  Sensitivity sensitivity;
  size_t threads = 0;            // 0: all processors; the file does not depend on it
  std::function<bool(const ConvertProgress&)> progress;  // false stops with kCancelled, and the output is as it was
};

struct QuantisedModel {
  ConvertReport report;  // what it says of tensors is complete; of the source nothing
  double bits = 0;       // reached
  double loss = 0;       // sum over the matrices, in units of the sensitivities
};

// Throws ImportError: also where not even the smallest types keep the budget.
QuantisedModel QuantiseModel(const ModelQuantiserOptions& options);

}  // namespace thimble
