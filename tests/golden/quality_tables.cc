// What fewer bits cost: the README's two tables of perplexity, and that of the shipped model.
#include <map>

#include "tests/golden/golden.h"
#include "tests/golden/readme_tables.h"

namespace thimble::test {
namespace {

double Measure(const std::string& path, const std::vector<int32_t>& ids, uint32_t window, int32_t keys, int32_t values) {
  ApiOptions options = CacheOptions(keys, window);
  options.value_cache = values;
  options.threads = 2;  // the bits are those of one
  // The tables share figures; a file's name says what it was made of.
  static std::map<std::string, double> known;
  double& perplexity = known[Text("%s %u %d %d", path.c_str(), window, keys, values)];
  if (perplexity == 0) perplexity = Perplexity(path, ids, options);
  return perplexity;
}

std::string Change(double percent, double least_for_short) {
  const double size = std::fabs(percent);
  return Text(size >= 1 ? "%+.1f %%" : size >= least_for_short ? "%+.2f %%" : "%+.3f %%", percent);
}

}  // namespace

Lines WeightTable(const std::vector<Trained>& models) {
  Lines lines;
  struct Column {
    const char* recipe;
    uint32_t block;
  };
  const Column columns[] = {{"exact", 32}, {"quality", 32}, {"balanced", 32}, {"balanced", 64}, {"small", 32}};
  lines.push_back("| model | f32 | `--weights q8` | `--recipe balanced` | `balanced --block 64` | `--recipe small` |");
  lines.push_back("|---|---:|---:|---:|---:|---:|");
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
    lines.push_back(line);
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  lines.push_back(sizes);
  return lines;
}

Lines CacheTable(const std::vector<Trained>& models) {
  Lines lines;
  const int32_t types[] = {THIMBLE_CACHE_F16, THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q4};
  lines.push_back("| model | `--kv f32` | f16 | q8 | q4 | `q8/q4` (keys/values) |");
  lines.push_back("|---|---:|---:|---:|---:|---:|");
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
    lines.push_back(line);
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  lines.push_back(cut + " - |");
  return lines;
}

Lines ShippedTable(const Trained& model) {
  const std::vector<int32_t> ids = ReadIds(model.ids);
  Lines lines = {"| weights | file | cache f32 | cache q8 |", "|---|---|---|---|"};
  const struct {
    const char *recipe, *text;
  } rows[] = {{"exact", "f32"}, {"rows", "q8, a scale for a row (shipped)"}, {"balanced", "q4, blocks of 32"}};
  for (const auto& row : rows) {
    const std::string path = ConvertByRecipe(model.name, model.source, row.recipe, 32, model.tokenizer, false);  // as the file is shipped
    lines.push_back(Text("| %s | %.1f MB | %.4f | %.4f |", row.text, static_cast<double>(std::filesystem::file_size(path)) * 1e-6,
                         Measure(path, ids, 256, THIMBLE_CACHE_F32, THIMBLE_CACHE_F32),
                         Measure(path, ids, 256, THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q8)));
    std::fprintf(stderr, "%s\n", lines.back().c_str());
    std::filesystem::remove(path);
  }
  return lines;
}

}  // namespace thimble::test
