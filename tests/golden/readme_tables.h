// The tables of figures in README.md and in targets/cli/models/README.md, as lines of text that are computed or measured.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace thimble::test {

using Lines = std::vector<std::string>;

struct Trained {
  const char *name, *note;
  std::string source, tokenizer, ids;
  uint32_t cache_window;  // of the table of cache types
};

// What weights, and then cache rows, of fewer bits cost in perplexity.
Lines WeightTable(const std::vector<Trained>& models);
Lines CacheTable(const std::vector<Trained>& models);
// The shipped model's: weights of all types with f32 and q8 rows.
Lines ShippedTable(const Trained& model);

// What `thimble plan` says of the two models. The kernels' own lines are there only where the kernels that the README speaks
// of run: `skipped` names those that are not.
struct MemoryFigures {
  Lines table, sentences;
  std::string skipped;
};
MemoryFigures MemoryTable(const Trained& qkv, const Trained& qmqa);

// printf into a string.
template <typename... Values>
std::string Text(const char* format, Values... values) {
  char text[400];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

inline std::string WithCommas(uint64_t n) {
  std::string text = std::to_string(n);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

}  // namespace thimble::test
