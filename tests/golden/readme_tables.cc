// The tables of figures in README.md and in targets/cli/models/README.md, computed anew. Without arguments they are printed as
// they stand there; with `--check REPOSITORY` every line that differs from these files is named, and the exit status is 1; with
// `--write REPOSITORY` the tables in the files are brought up to date (sentences are named). 77: the trained models are not in the
// shared data. Words and whole numbers are compared exactly, others to 0.02 % or two units of their
// last digit, as the kernels of different processors differ by 0.014 % with int4 weights.
#include "tests/golden/readme_tables.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fstream>
#include <sstream>

#include "tests/golden/golden.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr int kSkipped = 77;

bool IsNumber(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// Takes a number with its sign, commas and decimals off the front; false if there is none.
bool TakeNumber(const std::string& text, size_t* at, double* value, double* unit) {
  size_t i = *at;
  std::string digits;
  if (i < text.size() && (text[i] == '+' || text[i] == '-')) digits += text[i++];
  if (i >= text.size() || !IsNumber(text[i])) return false;
  *unit = 1;
  bool point = false;
  for (; i < text.size() && (IsNumber(text[i]) || (i + 1 < text.size() && IsNumber(text[i + 1]) && (text[i] == ',' || text[i] == '.')));
       ++i) {
    if (text[i] == ',') continue;
    if (text[i] == '.') point = true;
    else if (point) *unit /= 10;
    digits += text[i];
  }
  *value = std::stod(digits);
  *at = i;
  return true;
}

bool SameLine(const std::string& a, const std::string& b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    double x = 0, y = 0, x_unit = 0, y_unit = 0;
    const bool number = TakeNumber(a, &i, &x, &x_unit);
    if (number != TakeNumber(b, &j, &y, &y_unit)) return false;
    const double tolerance = x_unit == 1 ? 0 : std::max(2.01 * x_unit, 2e-4 * std::fabs(x));
    if (number ? x_unit != y_unit || std::fabs(x - y) > tolerance : a[i++] != b[j++]) return false;
  }
  return i == a.size() && j == b.size();
}

Lines ReadLines(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error("cannot read " + file);
  Lines lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// How many of the lines do not stand in the file as they are now.
int Compare(const Lines& lines, const std::string& readme) {
  const Lines written = ReadLines(readme);
  int wrong = 0;
  for (const std::string& line : lines) {
    if (std::any_of(written.begin(), written.end(), [&](const std::string& w) { return SameLine(line, w); })) continue;
    std::fprintf(stderr, "%s does not say what is measured:\n%s\n", readme.c_str(), line.c_str());
    ++wrong;
  }
  return wrong;
}

std::string FirstCell(const std::string& row) { return row.substr(0, row.find('|', 1)); }

// Replaces the rows of the table that begins with the same line, each by the one with its first cell. Returns like Compare.
int Write(const Lines& table, const std::string& readme) {
  Lines written = ReadLines(readme);
  const auto head = std::find(written.begin(), written.end(), table[0]);
  for (auto at = head; at != written.end() && !at->empty(); ++at) {
    for (const std::string& row : table) {
      if (FirstCell(row) == FirstCell(*at) && !SameLine(row, *at)) *at = row;
    }
  }
  std::ofstream out(readme);
  for (const std::string& line : written) out << line << '\n';
  out.close();
  return Compare(table, readme);
}

// Like Compare for parts of sentences, which may be wrapped.
int CompareSentences(const Lines& sentences, const std::string& readme) {
  std::ifstream in(readme);
  std::stringstream text;
  text << in.rdbuf();
  std::string flat = text.str();
  std::replace(flat.begin(), flat.end(), '\n', ' ');
  int wrong = 0;
  for (const std::string& sentence : sentences) {
    if (flat.find(sentence) != std::string::npos) continue;
    std::fprintf(stderr, "%s does not say what is computed:\n%s\n", readme.c_str(), sentence.c_str());
    ++wrong;
  }
  return wrong;
}

void Print(const Lines& lines) {
  for (const std::string& line : lines) std::puts(line.c_str());
  std::puts("");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string option = argc > 1 ? argv[1] : "";
  if (argc != 1 && (argc != 3 || (option != "--check" && option != "--write"))) {
    std::fprintf(stderr, "usage: readme_tables [--check REPOSITORY | --write REPOSITORY]\n");
    return 2;
  }
  const std::string ids = SharedDataPath("models/stories-qmqa/ids.json");
  std::vector<Trained> models = {
      {"stories-qmqa", "one K=V row, 3.0 M weights", SharedDataPath("models/stories-qmqa"), "", ids, 256},
      {"stories-qkv", "separate keys and values", SharedDataPath("models/stories-qkv"), "", ids, 256},
      {"stories260K", "0.26 M weights", SharedDataPath("models/stories260K.bin"), SharedDataPath("tokenizers/tok512.bin"),
       SharedDataPath("golden/public/stories260K/ids.json"), 512}};
  for (const Trained& model : models) {
    if (!model.source.empty() && !model.ids.empty()) continue;
    std::fprintf(stderr, "readme_tables: skipped: %s is not in the shared data\n", model.name);
    return kSkipped;
  }
  try {
    const MemoryFigures memory = MemoryTable(models[1], models[0]);
    if (!memory.skipped.empty())
      std::fprintf(stderr, "readme_tables: this processor cannot run the table's kernels; not computed: %s\n", memory.skipped.c_str());
    const Lines weights = WeightTable(models), shipped = ShippedTable(models[0]);
    models[0].note = "K=V, heads of 16", models[1].note = "heads of 16", models[2].note = "heads of 8";
    const Lines caches = CacheTable(models);
    if (argc == 3) {
      const std::string readme = argv[2] + std::string("/README.md"), of_model = argv[2] + std::string("/targets/cli/models/README.md");
      const auto use = option == "--write" ? Write : Compare;
      const int wrong = use(memory.table, readme) + CompareSentences(memory.sentences, readme) + use(weights, readme) +
                        use(caches, readme) + use(shipped, of_model);
      return wrong == 0 ? 0 : 1;
    }
    for (const Lines* lines : {&memory.table, &memory.sentences, &weights, &caches, &shipped}) Print(*lines);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "readme_tables: %s\n", e.what());
    return 1;
  }
  return 0;
}
