// `thimble perplexity`: how well a model predicts a text. The protocol is in the help text; sums are doubles.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>

#include "targets/cli/call.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/log_probability.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/perplexity_table.h"
#include "targets/cli/progress.h"
#include "targets/cli/scored_text.h"
#include "targets/cli/scoring_session.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] =
    R"(Protocol: the ids are cut into windows of --window ids that do not overlap; the last may be
shorter. Each window is read from position 0 with an empty cache, nothing is put in front of it,
and at each of its positions the NEXT id of the text is scored, also when that is the first id of
the next window. So every id but the first is scored exactly once: N ids give N - 1 scores.
Perplexity is exp(sum of -ln p / number of scores), with p from the softmax over all outputs, in
double precision. A text gets a begin-of-text id where the model wants one; ids are taken as they
are.

With a list of types behind --kv the text is scored once for each, after f32, and a table compares them:
change against f32 rows, bytes of the cache per token of all layers, and how much less that is than
separate fp16 keys and values for every head. q8/q4 is q8 keys and q4 values, where a model stores both.

Examples:
  thimble perplexity stories-qmqa.thimble --ids ids.json --window 256
  thimble perplexity stories-qmqa.thimble -f text.txt --window 256 --limit 20000 --kv q8 --json
  thimble perplexity stories-qmqa.thimble --ids ids.json --window 256 --kv f16,q8,q4 -o md)";

constexpr uint32_t kRowsAtOnce = 16;

struct Arguments {
  std::string model, output;
  ScoredText text;
  int64_t window = 0;
  ContextOptions context;
  bool json = false;
};

// Sums of one window; filled row by row by the library.
struct Window {
  const int32_t* targets = nullptr;
  size_t target_count = 0;
  size_t outputs = 0;
  double nll = 0, squares = 0;
  size_t scored = 0;

  static int32_t Score(void* user, size_t position, const float* logits) {
    Window& window = *static_cast<Window*>(user);
    if (position < window.target_count) {
      const double nll =
          LogSum(logits, window.outputs) - static_cast<double>(logits[static_cast<size_t>(window.targets[position])]);
      window.nll += nll;
      window.squares += nll * nll;
      ++window.scored;
    }
    return !Interrupted();
  }
};

struct Score {
  double nll = 0, squares = 0;
  size_t count = 0;
  double full_nll = 0;  // of the windows that are not cut short by the end
  size_t full_count = 0;
  std::vector<double> window_nll;
  double seconds = 0;
  bool cancelled = false;

  double Perplexity() const { return count == 0 ? 0 : std::exp(nll / static_cast<double>(count)); }
  double FullPerplexity() const {
    return full_count == 0 ? 0 : std::exp(full_nll / static_cast<double>(full_count));
  }
  // Standard error of the mean, carried through the exponential.
  double Uncertainty() const {
    if (count < 2) return 0;
    const double n = static_cast<double>(count), mean = nll / n;
    return Perplexity() * std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1));
  }
};

Score ScoreIds(const ScoringSession& session, const Model& model, const std::vector<int32_t>& ids) {
  const size_t window_tokens = session.window();
  const auto start = std::chrono::steady_clock::now();
  const size_t windows = (ids.size() - 1 + window_tokens - 1) / window_tokens;
  Score score;
  ProgressBar progress(false);
  for (size_t at = 0; at + 1 < ids.size(); at += window_tokens) {
    const size_t targets = std::min(window_tokens, ids.size() - 1 - at);
    Window window{.targets = ids.data() + at + 1, .target_count = targets, .outputs = model.info().outputs};
    Check(Call(thimble_rewind, session.handle(), 0));
    const thimble_error status =
        Call(thimble_prefill_each, session.handle(), ids.data() + at, targets, Window::Score, &window);
    if (status.code == kCancelled || Interrupted()) {
      score.cancelled = true;
      break;
    }
    Check(status);
    score.nll += window.nll;
    score.squares += window.squares;
    score.count += window.scored;
    score.window_nll.push_back(window.nll);
    if (targets == window_tokens) score.full_nll += window.nll, score.full_count += window.scored;
    progress.Show(score.window_nll.size(), windows,
                  Format("window %zu of %zu, perplexity %.4f", score.window_nll.size(), windows, score.Perplexity()));
  }
  score.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return score;
}

// A session of its own over the same model.
struct Run {
  ScoringSession session;
  Score score;

  Run(const Arguments& arguments, const Model& model, const std::vector<int32_t>& ids, const ContextOptions& context)
      : session(model, context, arguments.window, kRowsAtOnce), score(ScoreIds(session, model, ids)) {}
  double Rate() const { return score.seconds > 0 ? static_cast<double>(score.count) / score.seconds : 0; }
};

int ScoreOne(const Arguments& arguments, const Model& model, const std::vector<int32_t>& ids) {
  const Run run(arguments, model, ids, arguments.context);
  const Score& score = run.score;
  const char* keys = KeyCacheName(run.session.options());
  if (arguments.json) {
    PrintJson({{"model", model.path()},
               {"perplexity", score.Perplexity()},
               {"perplexity_standard_error", score.Uncertainty()},
               {"nll_sum", score.nll},
               {"nll_count", score.count},
               {"full_windows_perplexity", score.FullPerplexity()},
               {"full_windows_nll_sum", score.full_nll},
               {"full_windows_count", score.full_count},
               {"window_tokens", run.session.window()},
               {"window_nll", score.window_nll},
               {"ids", ids.size()},
               {"key_cache", keys},
               {"value_cache", ValueCacheName(run.session.options())},
               {"threads", run.session.plan().totals.threads},
               {"kernels", run.session.plan().totals.kernels},
               {"tokens_per_second", run.Rate()},
               {"cancelled", score.cancelled}});
  } else {
    Print(Format("perplexity %.6f +- %.4f over %zu ids, windows of %zu%s\n", score.Perplexity(),
                 score.Uncertainty(), score.count, run.session.window(),
                 score.cancelled ? " (cancelled before the end)" : ""));
    std::fprintf(stderr, "nll %.6f, %.1f tokens/s, cache %s, kernels %s\n", score.nll, run.Rate(), keys,
                 run.session.plan().totals.kernels);
  }
  return score.cancelled ? kExitCancelled : 0;
}

// f32 first, listed or not: it is what the others are compared with.
int CompareCaches(const Arguments& arguments, const Model& model, const std::vector<int32_t>& ids) {
  if (!arguments.context.key_cache.empty() || !arguments.context.value_cache.empty())
    throw Error(kInvalidArgument, "--kv: a list cannot be given together with -ctk and -ctv; q8/q4 is keys/values");
  std::vector<CacheChoice> choices = ParseCacheChoices(arguments.context.cache);
  std::erase_if(choices, [](const CacheChoice& choice) { return choice.Name() == "f32"; });
  choices.insert(choices.begin(), {"f32", ""});
  std::vector<ContextOptions> contexts;
  for (const CacheChoice& choice : choices) {
    ContextOptions context = arguments.context;
    context.cache = choice.keys;
    context.value_cache = choice.values;
    if (!choice.values.empty()) context.key_cache = choice.keys;
    MakePlan(model, context.ForModel(model));  // what cannot run is said before anything has
    contexts.push_back(std::move(context));
  }
  std::vector<CacheScore> scores;
  Json head;
  for (size_t i = 0; i < choices.size(); ++i) {
    std::fprintf(stderr, "cache %s\n", choices[i].Name().c_str());
    const Run run(arguments, model, ids, contexts[i]);
    if (run.score.cancelled) break;
    scores.push_back({.name = choices[i].Name(),
                      .plan = run.session.plan().totals,
                      .perplexity = run.score.Perplexity(),
                      .uncertainty = run.score.Uncertainty(),
                      .nll = run.score.nll,
                      .tokens_per_second = run.Rate(),
                      .count = run.score.count,
                      .cut_percent = run.session.plan().CutPercent()});
    head = {{"model", model.path()},
            {"window_tokens", run.session.window()},
            {"ids", ids.size()},
            {"threads", run.session.plan().totals.threads},
            {"kernels", run.session.plan().totals.kernels},
            {"cancelled", false}};
  }
  const bool cancelled = scores.size() < choices.size();
  if (!scores.empty()) {
    head["cancelled"] = cancelled;
    Print(CacheTable(scores, head, arguments.json ? "json" : arguments.output));
  }
  return cancelled ? kExitCancelled : 0;
}

int Main(const Arguments& arguments) {
  NeedOne("-f or --ids", {!arguments.text.file.empty(), !arguments.text.ids.empty()});
  const std::string& output = arguments.output;
  if (!output.empty() && output != "md" && output != "json" && output != "csv")
    throw Error(kInvalidArgument, "-o: must be md, json or csv, got " + Quoted(output));
  if (arguments.json && !output.empty() && output != "json")
    throw Error(kInvalidArgument, "-o: " + output + " cannot be given together with --json");
  const Model model(arguments.model, arguments.context.part);
  if (!model.info().is_decoder)
    throw Error(kUnsupported, model.path() + ": is an encoder and predicts no next token");
  const std::vector<int32_t> ids = arguments.text.Read(model);
  const bool list = !output.empty() || arguments.context.cache.find_first_of(",/") != std::string::npos;
  return list ? CompareCaches(arguments, model, ids) : ScoreOne(arguments, model, ids);
}

}  // namespace

Command AddPerplexity(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app = program->add_subcommand("perplexity", "Measure how well a model predicts a text");
  app->add_option("MODEL", a->model, "A .thimble file")->required()->type_name("");
  a->text.Add(app);
  AddInteger(app, "--window", &a->window, 0, 1 << 30, "Ids per window; 0 = the context")->default_str("0");
  app->add_flag("--json", a->json, "One JSON object on standard output");
  app->add_option("-o,--output", a->output, "Compare the types of --kv in a table: md, json or csv")->type_name("FORMAT");
  a->context.Add(app);
  app->get_option("--kv")->description("KV cache rows: f32, f16, q8 or q4; a list compares them")->type_name("LIST");
  app->footer(kFooter);
  return {app, [arguments] { return Main(*arguments); }};
}

}  // namespace thimble::cli
