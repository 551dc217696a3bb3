// The text by which `perplexity` and `quality` judge a model, as ids: -f, --ids and --limit. Knows no model's numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "targets/cli/options.h"

namespace thimble::cli {

struct ScoredText {
  std::string file, ids;
  int64_t limit = 0;

  void Add(CLI::App* app);
  // With a begin-of-text id where the model wants one, cut to the limit; at least two, all of them within the model's
  // outputs. Throws Error.
  std::vector<int32_t> Read(const Model& model) const;
};

}  // namespace thimble::cli
