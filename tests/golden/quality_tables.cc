// README.md's two tables of quality, measured. Without arguments they are printed as they stand there; with
// `--check README.md` every line that differs from the file is named, and the exit status is 1. 77: the trained models are
// not in the shared data. Words and whole numbers are compared exactly, others to 0.02 % or two units of their last digit, as
// the kernels of different processors differ by 0.014 % with int4 weights.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/golden/golden.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr int kSkipped = 77;

struct Trained {
  const char *name, *note;
  std::string source, tokenizer, ids;
  uint32_t cache_window;  // of the second table
};

std::string Text(const char* format, auto... values) {
  char text[200];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

double Measure(const std::string& path, const std::vector<int32_t>& ids, uint32_t window, int32_t keys, int32_t values) {
  ApiOptions options = CacheOptions(keys, window);
  options.value_cache = values;
  options.threads = 2;  // the bits are those of one
  return Perplexity(path, ids, options);
}

std::string WithCommas(uint64_t n) {
  std::string text = std::to_string(n);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string Change(double percent, double least_for_short) {
  const double size = std::fabs(percent);
  return Text(size >= 1 ? "%+.1f %%" : size >= least_for_short ? "%+.2f %%" : "%+.3f %%", percent);
}

void Weights(const std::vector<Trained>& models, std::vector<std::string>* lines) {
  struct Column {
    const char* recipe;
    uint32_t block;
  };
  const Column columns[] = {{"exact", 32}, {"quality", 32}, {"balanced", 32}, {"balanced", 64}, {"small", 32}};
  lines->push_back("| model | f32 | `--weights q8` | `--weights q4` | `q4 --block 64` | `--recipe small` |");
  lines->push_back("|---|---:|---:|---:|---:|---:|");
  std::string sizes = "| bytes of stories-qmqa |";
  for (const Trained& model : models) {
    const std::vector<int32_t> ids = ReadIds(model.ids);
    std::string line = Text("| %s (%s) |", model.name, model.note);
    double f32 = 0;
    for (const Column& c : columns) {
      const std::string path = ConvertByRecipe(model.name, model.source, c.recipe, c.block, model.tokenizer);
      const bool exact = &c == columns;
      const int32_t cache = exact ? THIMBLE_CACHE_F32 : THIMBLE_CACHE_Q8;
      const double perplexity = Measure(path, ids, 256, cache, cache);
      if (exact) f32 = perplexity;
      line += exact ? Text(" %.4f |", f32) : Text(" %.4f (%s) |", perplexity, Change(PercentAbove(perplexity, f32), 0).c_str());
      if (&model == models.data()) sizes += " " + WithCommas(std::filesystem::file_size(path)) + " |";
      std::filesystem::remove(path);
    }
    lines->push_back(line);
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  lines->push_back(sizes);
}

void Caches(const std::vector<Trained>& models, std::vector<std::string>* lines) {
  const int32_t types[] = {THIMBLE_CACHE_F16, THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q4};
  lines->push_back("| model | `--kv f32` | f16 | q8 | q4 | `q8/q4` (keys/values) |");
  lines->push_back("|---|---:|---:|---:|---:|---:|");
  std::string cut = "| cut against fp16 MHA, stories-qmqa |";
  for (const Trained& model : models) {
    const std::vector<int32_t> ids = ReadIds(model.ids);
    const std::string path = ConvertByRecipe(model.name, model.source, "exact", 32, model.tokenizer);
    const double f32 = Measure(path, ids, model.cache_window, THIMBLE_CACHE_F32, THIMBLE_CACHE_F32);
    std::string line = Text("| %s (%s) | %.4f |", model.name, model.note, f32);
    const auto add = [&](int32_t keys, int32_t values) {
      line += " " + Change(PercentAbove(Measure(path, ids, model.cache_window, keys, values), f32), 0.01) + " |";
    };
    for (const int32_t type : types) add(type, type);
    if (&model == models.data()) {
      line += " one row is both |";
      for (const int32_t type : {THIMBLE_CACHE_F32, THIMBLE_CACHE_F16, THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q4}) {
        const ApiOptions options = CacheOptions(type, model.cache_window);
        Runner runner(path, options);
        thimble_plan plan = Sized<thimble_plan>();
        Check(Call(thimble_plan_memory, runner.model(), &options, &plan, nullptr, nullptr));
        cut += Text(" %.2f %% |", 100.0 - 100.0 * static_cast<double>(plan.kv_bytes_per_token) /
                                              static_cast<double>(plan.baseline_kv_bytes_per_token));
      }
    } else {
      add(THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q4);
    }
    lines->push_back(line);
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  lines->push_back(cut + " - |");
}

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

int Compare(const std::vector<std::string>& lines, const std::string& readme) {
  std::ifstream in(readme);
  if (!in) return std::fprintf(stderr, "quality_tables: cannot read %s\n", readme.c_str()), 1;
  std::vector<std::string> written;
  for (std::string line; std::getline(in, line);) written.push_back(line);
  int status = 0;
  for (const std::string& line : lines) {
    if (std::any_of(written.begin(), written.end(), [&](const std::string& w) { return SameLine(line, w); })) continue;
    std::fprintf(stderr, "%s does not say what is measured:\n%s\n", readme.c_str(), line.c_str());
    status = 1;
  }
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 1 && (argc != 3 || argv[1] != std::string("--check"))) {
    std::fprintf(stderr, "usage: quality_tables [--check README.md]\n");
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
    std::fprintf(stderr, "quality_tables: skipped: %s is not in the shared data\n", model.name);
    return kSkipped;
  }
  try {
    std::vector<std::string> weights, caches;
    Weights(models, &weights);
    models[0].note = "K=V, heads of 16", models[1].note = "heads of 16", models[2].note = "heads of 8";
    Caches(models, &caches);
    if (argc == 3) {
      weights.insert(weights.end(), caches.begin(), caches.end());
      return Compare(weights, argv[2]);
    }
    for (const std::string& line : weights) std::puts(line.c_str());
    std::puts("");
    for (const std::string& line : caches) std::puts(line.c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "quality_tables: %s\n", e.what());
    return 1;
  }
  return 0;
}
