#include "targets/cli/suggest.h"

#include <algorithm>

namespace thimble::cli {

size_t TypingDistance(std::string_view a, std::string_view b) {
  // Optimal string alignment: row i has the distances of a's first i letters to every begin of b.
  std::vector<std::vector<size_t>> rows(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        rows[i][j] = i + j;
        continue;
      }
      const size_t replaced = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[a.size()][b.size()];
}

std::string Suggest(std::string_view typed, const std::vector<std::string>& names) {
  if (typed.size() > 100) return {};
  const size_t letters = typed.size() - std::min(typed.size(), typed.find_first_not_of('-'));
  size_t least = letters < 3 ? 1 : letters < 6 ? 2 : 3;
  std::string nearest;
  for (const std::string& name : names) {
    const size_t distance = TypingDistance(typed, name);
    // A name all of whose letters were replaced is no guess.
    if (distance >= letters || distance > least || (distance == least && !nearest.empty())) continue;
    least = distance;
    nearest = name;
  }
  if (!nearest.empty() || letters < 3) return nearest;
  for (const std::string& name : names) {
    if (name.starts_with(typed)) return name;
  }
  return {};
}

}  // namespace thimble::cli
