#include "targets/cli/plan_budget.h"

#include <algorithm>

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

constexpr size_t kBest = 3;

std::string Rows(const thimble_solution& s) {
  const std::string keys = CacheTypeName(s.key_cache), values = CacheTypeName(s.value_cache);
  return keys == values ? keys : keys + "/" + values;
}

std::string Line(const thimble_solution& s) {
  return Format("  %-6s %12s %10s %18s %18s %16s\n", Rows(s).c_str(), Thousands(s.context_tokens).c_str(), Thousands(s.chunk_tokens).c_str(),
                Thousands(s.anonymous_bytes).c_str(), Thousands(s.file_backed_bytes).c_str(), Thousands(s.kv_bytes_per_token).c_str());
}

std::string Limit(const thimble_budget& budget) {
  std::string text;
  if (budget.anonymous_bytes != 0) text = HumanBytes(budget.anonymous_bytes) + " of anonymous memory";
  if (budget.total_bytes != 0) text += (text.empty() ? "" : " and ") + HumanBytes(budget.total_bytes) + " of anonymous memory and model file";
  return text;
}

}  // namespace

std::vector<thimble_solution> SolveBudget(const Model& model, const EngineOptions& options, const thimble_budget& budget) {
  std::vector<thimble_solution> solutions;
  const auto add = [](void* to, const thimble_solution* s) { static_cast<std::vector<thimble_solution>*>(to)->push_back(*s); };
  Check(Call(thimble_solve, model.handle(), &options, &budget, +add, &solutions), model.path());
  return solutions;
}

std::string SolutionArguments(const thimble_solution& s) {
  const std::string keys = CacheTypeName(s.key_cache), values = CacheTypeName(s.value_cache);
  const std::string rows = keys == values ? "--kv " + keys : "-ctk " + keys + " -ctv " + values;
  return rows + Format(" -c %u -b %u", s.context_tokens, s.chunk_tokens);
}

std::string BudgetText(const Model& model, const EngineOptions& options, const thimble_budget& budget,
                       const std::vector<thimble_solution>& solutions) {
  const bool any = std::any_of(solutions.begin(), solutions.end(), [](const auto& s) { return s.fits != 0; });
  const uint32_t whole = options.context_tokens != 0 ? options.context_tokens : model.info().max_positions;
  std::string text = model.path() + ": " + (any ? "within " : "nothing fits ") + Limit(budget) + "\n\n";
  text += Format("  %-6s %12s %10s %18s %18s %16s\n", "rows", any ? "context" : "smallest", "pass", "anonymous bytes", "file-backed bytes", "bytes per token");
  std::vector<thimble_solution> by_type = solutions;
  std::stable_sort(by_type.begin(), by_type.end(),
                   [](const auto& a, const auto& b) { return a.kv_bytes_per_token > b.kv_bytes_per_token; });
  for (const thimble_solution& s : by_type) text += any && s.fits == 0 ? Format("  %-6s %12s\n", Rows(s).c_str(), "none") : Line(s);
  if (!any) {
    text += "\n";
    for (const thimble_solution& s : solutions) {
      text += Format("  %-6s %s too many; of the smallest plan %s takes %s\n", Rows(s).c_str(), HumanBytes(s.over_bytes).c_str(), s.largest_line,
                     HumanBytes(s.largest_line_bytes).c_str());
      if (std::string_view(s.largest_line) == "packed_weights" || std::string_view(s.largest_line) == "repacked_weights")
        text += "         thimble pack MODEL writes them into the file: then they are no anonymous memory\n";
    }
    return text;
  }
  text += Format("\nbest: those that hold all %s tokens first, more bits a row before longer passes; then the longer context\n", Thousands(whole).c_str());
  size_t rank = 0;
  for (const thimble_solution& s : solutions) {
    if (s.fits == 0 || rank == kBest) break;
    text += Format("  %zu. %s\n", ++rank, SolutionArguments(s).c_str());
  }
  return text;
}

Json BudgetJson(const Model& model, const thimble_budget& budget, const std::vector<thimble_solution>& solutions) {
  Json all = Json::Array();
  for (const thimble_solution& s : solutions) {
    all.Push({{"fits", s.fits != 0},
              {"key_cache", CacheTypeName(s.key_cache)},
              {"value_cache", CacheTypeName(s.value_cache)},
              {"context_tokens", s.context_tokens},
              {"chunk_tokens", s.chunk_tokens},
              {"arena_bytes", s.arena_bytes},
              {"anonymous_bytes", s.anonymous_bytes},
              {"file_backed_bytes", s.file_backed_bytes},
              {"kv_bytes_per_token", s.kv_bytes_per_token},
              {"over_bytes", s.over_bytes},
              {"largest_line", s.largest_line},
              {"largest_line_bytes", s.largest_line_bytes},
              {"arguments", SolutionArguments(s)}});
  }
  return {{"model", model.path()},
          {"budget_anonymous_bytes", budget.anonymous_bytes},
          {"budget_total_bytes", budget.total_bytes},
          {"solutions", std::move(all)}};
}

}  // namespace thimble::cli
