// One small random model of every kind that the format can describe: the list that tests of the file and of
// the memory plan go through.
#pragma once

#include <string>
#include <vector>

#include "tests/support/model_builder.h"

namespace thimble::test {

struct ZooModel {
  std::string name;
  ModelBuilder builder;
};

// All sharing modes x key rotations (heads, weights, norms, feed-forward and head vary along), then one model
// for every other feature: learned positions, softcaps, windows, q/k/v norms, sinks, score bias, key gain,
// partial and interleaved rotation, cache source, encoders with rows, CLS row and images. All but the image
// model have a tokenizer.
std::vector<ZooModel> ModelZoo();

// Its entry of that name; throws when there is none.
ModelBuilder ZooEntry(const std::string& name);

// Those of its entries that have what only few published families have, with all weights in f32.
std::vector<ZooModel> PartsInFloats();

}  // namespace thimble::test
