#include "targets/cli/perplexity_table.h"

#include "targets/cli/error.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

double Change(const CacheScore& score, const CacheScore& exact) {
  return exact.perplexity > 0 ? 100 * (score.perplexity / exact.perplexity - 1) : 0;
}

std::string Markdown(const std::vector<CacheScore>& scores) {
  std::string text = "| cache | perplexity |        | change | bytes/token | cut against fp16 MHA | tokens/s |\n"
                     "| ----- | ---------: | -----: | -----: | ----------: | -------------------: | -------: |\n";
  for (const CacheScore& s : scores) {
    text += Format("| %-5s | %10.4f | +-%.3f | %+.3f %% | %11s | %18s %% | %8.1f |\n", s.name.c_str(), s.perplexity,
                   s.uncertainty, Change(s, scores[0]), Thousands(s.plan.kv_bytes_per_token).c_str(),
                   Percent(s.cut_percent).c_str(), s.tokens_per_second);
  }
  return text;
}

std::string Csv(const std::vector<CacheScore>& scores) {
  std::string text = "cache,perplexity,perplexity_standard_error,change_percent,kv_bytes_per_token,cut_percent,"
                     "nll_sum,nll_count,tokens_per_second\n";
  for (const CacheScore& s : scores) {
    text += Format("%s,%.9g,%.9g,%.9g,%llu,%.9g,%.9g,%zu,%.9g\n", s.name.c_str(), s.perplexity, s.uncertainty,
                   Change(s, scores[0]), static_cast<unsigned long long>(s.plan.kv_bytes_per_token), s.cut_percent,
                   s.nll, s.count, s.tokens_per_second);
  }
  return text;
}

std::string CacheJson(const std::vector<CacheScore>& scores, const Json& head) {
  Json json = head;
  Json& rows = json["caches"] = Json::Array();
  for (const CacheScore& s : scores) {
    rows.Push({{"cache", s.name},
               {"perplexity", s.perplexity},
               {"perplexity_standard_error", s.uncertainty},
               {"change_percent", Change(s, scores[0])},
               {"kv_bytes_per_token", s.plan.kv_bytes_per_token},
               {"baseline_kv_bytes_per_token", s.plan.baseline_kv_bytes_per_token},
               {"cut_percent", s.cut_percent},
               {"nll_sum", s.nll},
               {"nll_count", s.count},
               {"tokens_per_second", s.tokens_per_second}});
  }
  return JsonText(json) + "\n";
}

}  // namespace

std::vector<CacheChoice> ParseCacheChoices(const std::string& text) {
  std::vector<CacheChoice> choices;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string item = text.substr(at, end - at);
    at = end + 1;
    const size_t slash = item.find('/');
    CacheChoice choice{item.substr(0, slash), slash == std::string::npos ? "" : item.substr(slash + 1)};
    if (choice.keys.empty() || (slash != std::string::npos && choice.values.empty()))
      throw Error(kInvalidArgument, "--kv: must be types with commas between them, keys/values where they differ, got " +
                                        Quoted(text));
    choices.push_back(std::move(choice));
  }
  return choices;
}

std::string CacheTable(const std::vector<CacheScore>& scores, const Json& head, const std::string& format) {
  return format == "json" ? CacheJson(scores, head) : format == "csv" ? Csv(scores) : Markdown(scores);
}

}  // namespace thimble::cli
