#include "targets/cli/layout_table.h"

#include <algorithm>
#include <array>
#include <vector>

#include "format/model_file.h"
#include "targets/cli/error.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

constexpr std::array<int32_t, 3> kTypes = {THIMBLE_CACHE_F16, THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q4};

struct Layout {
  std::string name;
  bool is_models;                      // what the model has
  std::array<uint64_t, 3> per_token;   // by kTypes
};

// The attention layers that keep rows of their own.
std::vector<AttentionSpec> RowsOf(const Model& model) {
  ModelFile file;
  const Status status = file.Open(model.file().c_str());
  if (!status.ok()) throw Error(static_cast<int>(status.code), model.path() + ": " + status.what);
  const Header& header = file.header();
  const ModelSpec part = header.part(model.part());
  std::vector<AttentionSpec> found;
  for (uint32_t l = 0; l < part.layers; ++l) {
    const LayerRange range = header.layer(part.first_layer + l);
    for (uint32_t i = range.first_block; i < range.first_block + range.blocks; ++i) {
      const BlockSpec block = header.block(i);
      if (const auto* a = std::get_if<AttentionSpec>(&block.mixer); a != nullptr && a->cache_source == -1) found.push_back(*a);
    }
  }
  return found;
}

std::vector<Layout> LayoutsOf(const Model& model) {
  const std::vector<AttentionSpec> rows = RowsOf(model);
  if (rows.empty()) throw Error(kUnsupported, model.path() + ": has no attention, and keeps no rows");
  const auto sum = [&](auto rows_of) {
    std::array<uint64_t, 3> bytes = {};
    for (size_t t = 0; t < kTypes.size(); ++t) {
      for (const AttentionSpec& a : rows) bytes[t] += rows_of(a) * thimble_cache_row_bytes(kTypes[t], a.head_width);
    }
    return bytes;
  };
  const AttentionSpec& first = rows.front();
  const auto groups = [](const AttentionSpec& a) { return uint64_t{a.kv_heads < a.heads && a.kv_heads > 1 ? a.kv_heads : std::max(a.heads / 4, 1u)}; };
  const bool shared = SharesKeyAndValue(first.sharing), grouped = first.kv_heads < first.heads && first.kv_heads > 1;
  const bool single = first.kv_heads == 1 && first.heads > 1;
  std::vector<Layout> layouts;
  layouts.push_back({Format("separate, %u heads", first.heads), !shared && !grouped && !single,
                     sum([](const AttentionSpec& a) { return uint64_t{2} * a.heads; })});
  layouts.push_back({Format("GQA, %llu heads", static_cast<unsigned long long>(groups(first))), !shared && grouped,
                     sum([&](const AttentionSpec& a) { return 2 * groups(a); })});
  layouts.push_back({"MQA, one head", !shared && single, sum([](const AttentionSpec&) { return uint64_t{2}; })});
  layouts.push_back({Format("K=V, %u heads", first.heads), shared && !grouped && !single, sum([](const AttentionSpec& a) { return uint64_t{a.heads}; })});
  layouts.push_back({Format("K=V, %llu heads", static_cast<unsigned long long>(groups(first))), shared && grouped, sum(groups)});
  layouts.push_back({"K=V, one head", shared && single, sum([](const AttentionSpec&) { return uint64_t{1}; })});
  return layouts;
}

}  // namespace

std::string LayoutsText(const Model& model, const Plan& plan) {
  const uint64_t context = plan.totals.context_tokens;
  const std::vector<Layout> layouts = LayoutsOf(model);
  const uint64_t separate = layouts[0].per_token[0];
  std::string text = Format("%s: rows of one token in all layers, and of %s tokens, in bytes\n\n", model.path().c_str(), Thousands(context).c_str());
  text += Format("  %-22s", "layout");
  for (const int32_t type : kTypes) text += Format(" %8s %15s", CacheTypeName(type), "");
  text += "  less than separate f16\n";
  for (const Layout& layout : layouts) {
    text += Format("%s %-22s", layout.is_models ? ">" : " ", layout.name.c_str());
    for (const uint64_t bytes : layout.per_token) text += Format(" %8s %15s", Thousands(bytes).c_str(), Thousands(bytes * context).c_str());
    text += "  ";
    for (const uint64_t bytes : layout.per_token)
      text += Percent(100.0 * (1.0 - static_cast<double>(bytes) / static_cast<double>(separate))) + "% ";
    text.back() = '\n';
  }
  return text + "\n> is this model's. With q4 rows the newest 64 tokens lie in int8 beside them, which is not in the table: see the plan\n";
}

Json LayoutsJson(const Model& model, const Plan& plan) {
  Json layouts = Json::Array();
  for (const Layout& layout : LayoutsOf(model)) {
    Json rows = Json::Object();
    for (size_t t = 0; t < kTypes.size(); ++t) {
      rows[CacheTypeName(kTypes[t])] = {{"bytes_per_token", layout.per_token[t]}, {"bytes", layout.per_token[t] * plan.totals.context_tokens}};
    }
    layouts.Push({{"layout", layout.name}, {"is_models", layout.is_models}, {"rows", std::move(rows)}});
  }
  return {{"model", model.path()}, {"context_tokens", plan.totals.context_tokens}, {"layouts", std::move(layouts)}};
}

}  // namespace thimble::cli
