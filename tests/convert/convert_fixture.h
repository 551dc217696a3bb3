// Converts a directory (or file) into the tests' temporary folder.
#pragma once

#include <filesystem>
#include <string>

#include "targets/convert/convert.h"
#include "tests/support/model_builder.h"

namespace thimble::test {

inline std::string ConvertForTest(const std::filesystem::path& source, WeightType weights,
                                  const std::filesystem::path& tokenizer = {}) {
  ConvertOptions options;
  options.source = source;
  options.output = TemporaryPath(source.filename().string() + "-" + WeightTypeName(weights) + ".thimble");
  options.weights = weights;
  options.tokenizer = tokenizer;
  Convert(options);
  return options.output.string();
}

}  // namespace thimble::test
