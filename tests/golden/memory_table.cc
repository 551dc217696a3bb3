// The README's table of memory, and its sentences with bytes in them.
#include <cstring>

#include "tests/golden/golden.h"
#include "tests/golden/readme_tables.h"

namespace thimble::test {
namespace {

constexpr char kKernels[] = "avx512vnni";  // those of the table

struct Planned {
  std::string path;
  bool kernels_run;

  thimble_plan With(int32_t cache, uint32_t context = 512, uint32_t sessions = 1) const {
    thimble_model* model = nullptr;
    Check(Call(thimble_model_open, path.c_str(), &model));
    ApiOptions options = CacheOptions(cache, context);
    options.logits_rows = 0;
    options.max_sessions = sessions;
    if (kernels_run) options.kernels = kKernels;
    thimble_plan plan = Sized<thimble_plan>();
    const thimble_error error = Call(thimble_plan_memory, model, static_cast<const thimble_engine_options*>(&options), &plan,
                                     thimble_plan_fn{}, static_cast<void*>(nullptr));
    thimble_model_close(model);
    Check(error);
    return plan;
  }
};

double CutPercent(const thimble_plan& plan) {
  return 100.0 - 100.0 * static_cast<double>(plan.kv_bytes_per_token) / static_cast<double>(plan.baseline_kv_bytes_per_token);
}

// Without zeros at the end.
std::string Percent(double percent) {
  std::string text = Text("%.3f", percent);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text + " %";
}

// The context from which on int4 rows, with the newest tokens beside them in int8, take less than int8 rows.
uint64_t SmallestForInt4(const Planned& model) {
  const thimble_plan q4 = model.With(THIMBLE_CACHE_Q4), q8 = model.With(THIMBLE_CACHE_Q8);
  return q4.kv_recent_bytes / (q8.kv_bytes_per_token - q4.kv_bytes_per_token);
}

}  // namespace

MemoryFigures MemoryTable(const Trained& qkv, const Trained& qmqa) {
  const bool runs = std::strstr(thimble_kernel_tables(), kKernels) != nullptr;
  const Planned models[] = {{ConvertByRecipe(qkv.name, qkv.source, "rows", 32, qkv.tokenizer, false), runs},
                            {ConvertByRecipe(qmqa.name, qmqa.source, "rows", 32, qmqa.tokenizer, false), runs}};
  const thimble_plan plans[] = {models[0].With(THIMBLE_CACHE_F16), models[1].With(THIMBLE_CACHE_F16),
                                models[0].With(THIMBLE_CACHE_Q8), models[1].With(THIMBLE_CACHE_Q8)};
  MemoryFigures figures;
  figures.table = {"| `thimble plan MODEL -c 512 --kv TYPE` | stories-qkv, f16 | stories-qmqa, f16 | stories-qkv, q8 | stories-qmqa, q8 |",
                   "|---|---:|---:|---:|---:|"};
  const auto add = [&](const char* name, bool by_kernels, auto figure) {
    if (by_kernels && !runs) {
      figures.skipped += (figures.skipped.empty() ? "" : ", ") + std::string(name);
      return;
    }
    std::string line = Text("| %s |", name);
    for (const thimble_plan& plan : plans) line += " " + figure(plan) + " |";
    figures.table.push_back(line);
  };
  using P = const thimble_plan&;
  add("cache bytes per token, all layers", false, [](P p) {
    const std::string bytes = WithCommas(p.kv_bytes_per_token);
    return p.kv_bytes_per_token < 1024 ? "**" + bytes + "**" : bytes;
  });
  add("KV cache", false, [](P p) { return WithCommas(p.kv_bytes); });
  add("packed weights (kernel layout, int8)", true, [](P p) { return WithCommas(p.packed_weight_bytes); });
  add("everything else", true, [](P p) { return WithCommas(p.arena_bytes - p.kv_bytes - p.packed_weight_bytes); });
  add("**arena_bytes**", true, [](P p) { return "**" + WithCommas(p.arena_bytes) + "**"; });
  add("mapped (the file)", false, [](P p) { return WithCommas(p.mapped_bytes); });
  add("cut against separate f16 keys and values", false, [](P p) { return Percent(CutPercent(p)); });
  figures.sentences = {WithCommas(models[1].With(THIMBLE_CACHE_Q8, 512, 2).session_bytes) + " bytes for `stories-qmqa` with q8 rows",
                       Text("from about %llu tokens on", static_cast<unsigned long long>((SmallestForInt4(models[1]) + 25) / 50 * 50)),
                       Text("cuts the key/value cache by %.1f %%", CutPercent(plans[1]))};
  for (const Planned& model : models) std::filesystem::remove(model.path);
  return figures;
}

}  // namespace thimble::test
