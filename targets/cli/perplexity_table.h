// What cache rows of each type do to a model's perplexity, as a table, JSON or CSV. Measures nothing.
#pragma once

#include <string>
#include <vector>

#include <thimble/thimble.hpp>

#include "targets/cli/output.h"

namespace thimble::cli {

// One cache type, or one for keys and one for values.
struct CacheChoice {
  std::string keys, values;  // values: "" = as keys
  std::string Name() const { return values.empty() || values == keys ? keys : keys + "/" + values; }
};

// "f32,q8,q8/q4". Throws Error about --kv; the types themselves are checked later.
std::vector<CacheChoice> ParseCacheChoices(const std::string& text);

struct CacheScore {
  std::string name;
  thimble_plan plan = Sized<thimble_plan>();
  double perplexity = 0, uncertainty = 0, nll = 0, tokens_per_second = 0;
  size_t count = 0;
  double cut_percent = 0;
};

// The first score is that of f32 rows: the others are compared with it. `head` is what JSON says about the run.
// `format`: md, json or csv.
std::string CacheTable(const std::vector<CacheScore>& scores, const Json& head, const std::string& format);

}  // namespace thimble::cli
