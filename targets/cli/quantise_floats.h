// The second half of `convert` where weights become blocks: the floats that were written first are calibrated on a text and quantised
// under a budget of bits. Knows no other people's formats.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "targets/convert/quantiser/model_quantiser.h"

namespace thimble::cli {

// "q6", "q5" or a number of bits from 2 to 9, as bits per weight; nothing for other texts.
std::optional<double> BitsPerWeight(const std::string& weights);

struct QuantiseArguments {
  double bits = 0;
  std::string calibration;  // a text file; empty: our own text
  std::string imatrix;      // of llama.cpp, instead of a text; empty: none
  bool turn = true, quiet = false;
  bool vectors = false;  // of texts are the output: calibrated on short ones, and fine_inputs of ModelQuantiserOptions
  int64_t threads = 0;
};

struct QuantisedFloats {
  QuantisedModel model;
  std::string inputs;  // what was known of the layers' inputs, for people
};

// `floats` is a file of f32 weights; `output` is written anew. Shows how far it is and what time is left. Throws Error and ImportError.
QuantisedFloats QuantiseFloats(const std::string& floats, const std::string& output, const QuantiseArguments& arguments);

}  // namespace thimble::cli
