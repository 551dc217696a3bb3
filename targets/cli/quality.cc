// `thimble quality`: how far one model's predictions lie from another's on the same text. The protocol is in the help text.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "format/checksum.h"
#include "targets/cli/call.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/logits_file.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"
#include "targets/cli/progress.h"
#include "targets/cli/quality_compare.h"
#include "targets/cli/quality_report.h"
#include "targets/cli/scored_text.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] =
    R"(Protocol: the ids are cut into windows of --window ids that do not overlap; what is left of the text is not
used. Each window is read from position 0 with an empty cache, and at each of its positions (with --second-half:
from the middle on, as llama.cpp's tools score) both models' probabilities of the NEXT id are compared, over all
outputs and in double precision:

  KL     sum of p ln(p / q), p the reference's and q the other's, in nats
  top-1  positions where both find the same id likeliest
  top-5  share of the reference's five likeliest ids that are among the other's five
  ratio  perplexity of the other over the reference's: exp of the mean difference of -ln p. Its standard error is
         that of this mean, carried through the exponential (delta method): over positions as if they did not
         depend on each other, as llama.cpp has it, and beside it over windows.

The reference's cache is f32 unless --ref-kv says otherwise. The same file may be both: `quality M M --kv q8` shows
what a cache of 8 bits costs, and `quality M M --kv f32` is exactly 0.

--layers runs the reference again and again, each time with one kind of tensor (in all layers), or with all tensors of one
layer, as OTHER has them; caches stay the reference's. Errors of different tensors hardly know of each other, so that the
KL of all kinds adds up to about that of the whole. Few windows are enough; with --save-logits it takes half the time.

--save-logits keeps the reference's logits with the text's ids, 4 bytes for each output of each judged position;
--logits takes them in place of REF, -f and all that says how the text is cut, with the same result to the last bit.

Examples:
  thimble quality f32.thimble q8.thimble -f text.txt --windows 16 --second-half
  thimble quality f32.thimble q8.thimble -f text.txt --windows 16 --save-logits ref.logits --json
  thimble quality f32.thimble q4.thimble -f text.txt --windows 2 --second-half --layers --save-logits ref.logits
  thimble quality q4.thimble --logits ref.logits --kv q8 --plot kl.svg
  thimble quality q8.thimble q8.thimble --ids ids.json --kv q4 --ref-kv f16)";

constexpr int64_t kUsualWindow = 512;

struct Arguments {
  std::string reference, other, logits, save_logits, plot, reference_cache = "f32", reference_kernels;
  ScoredText text;
  int64_t window = 0, windows = 0;
  ContextOptions context;
  bool second_half = false, step = false, layers = false, json = false, force = false;
};

// 0 without a tokenizer.
uint64_t VocabularyChecksum(const Model& model) {
  if (!model.info().has_tokenizer) return 0;
  Checksum checksum;
  for (uint32_t id = 0; id < model.info().vocabulary; ++id) {
    const std::string piece = model.Piece(static_cast<int32_t>(id));
    const uint64_t bytes = piece.size();
    checksum.Update(&bytes, sizeof bytes);
    checksum.Update(piece.data(), piece.size());
  }
  return std::max<uint64_t>(checksum.Digest(), 1);
}

void NeedSameVocabulary(const Model& reference, const Model& other) {
  const thimble_model_info &a = reference.info(), &b = other.info();
  const std::string both = reference.path() + " and " + other.path() + " have different vocabularies: ";
  if (a.outputs != b.outputs || a.vocabulary != b.vocabulary)
    throw Error(kInvalidArgument, both + Format("%u ids (%u outputs) and %u ids (%u outputs)", a.vocabulary, a.outputs,
                                                b.vocabulary, b.outputs));
  if (!a.has_tokenizer || !b.has_tokenizer) return;
  for (uint32_t i = 0; i < a.vocabulary; ++i) {
    const int32_t id = static_cast<int32_t>(i);
    const std::string mine = reference.Piece(id), theirs = other.Piece(id);
    if (mine != theirs)
      throw Error(kInvalidArgument, both + Format("id %d is %s and %s", id, Quoted(mine).c_str(), Quoted(theirs).c_str()));
  }
}

void NeedDecoder(const Model& model) {
  if (!model.info().is_decoder)
    throw Error(kUnsupported, model.path() + ": is an encoder and predicts no next token");
}

Windows CutText(const Arguments& arguments, std::vector<int32_t> ids, const Model& reference, const Model& other) {
  Windows cut;
  const uint32_t positions = std::min(reference.info().max_positions, other.info().max_positions);
  cut.window = static_cast<size_t>(arguments.window > 0 ? arguments.window : std::min<int64_t>(kUsualWindow, positions));
  const size_t have = (ids.size() - 1) / cut.window;
  cut.windows = arguments.windows > 0 ? static_cast<size_t>(arguments.windows) : std::max<size_t>(have, 1);
  const size_t needed = cut.windows * cut.window + 1;
  if (cut.windows > have)
    throw Error(kInvalidArgument, Format("the text is too short: %zu windows of %zu ids and the next id are %zu, it has %zu",
                                         cut.windows, cut.window, needed, ids.size()));
  cut.first = arguments.second_half ? cut.window / 2 : 0;
  ids.resize(needed);
  cut.ids = std::move(ids);
  return cut;
}

// The same with the reference's rows in a file: it is written whole or not at all, also when something is thrown.
void CompareAndSave(const OutputFile& file, RowSource& reference, RowSource& other, const Windows& cut, const Model& model,
                    const ComparisonProgress& progress, Comparison* result) {
  LogitsPrefix prefix;
  prefix.outputs = model.info().outputs;
  prefix.window = static_cast<uint32_t>(cut.window);
  prefix.windows = static_cast<uint32_t>(cut.windows);
  prefix.first = static_cast<uint32_t>(cut.first);
  prefix.vocabulary = VocabularyChecksum(model);
  try {
    file.Write([&](int fd) {
      return LogitsWriter::Begin(fd, prefix, cut.ids) && Compare(reference, other, cut, prefix.outputs, fd, progress, result);
    });
  } catch (const Error&) {
    if (!result->cancelled) throw;
    std::fputs("thimble: cancelled, --save-logits wrote nothing\n", stderr);
  }
}

// How the reference runs: exactly, and where the other runs.
ContextOptions ReferenceContext(const Arguments& arguments) {
  ContextOptions context;
  context.context_tokens = arguments.context.context_tokens;
  context.threads = arguments.context.threads;
  context.chunk_tokens = arguments.context.chunk_tokens;
  context.placement = arguments.context.placement;
  context.cache = arguments.reference_cache;
  context.kernels = arguments.reference_kernels;
  return context;
}

int Report(const Arguments& arguments, const Comparison& comparison, const Windows& cut, QualityResult result,
           const std::optional<OutputFile>& plot) {
  result.cancelled = comparison.cancelled;
  result.window = cut.window;
  result.first = cut.first;
  result.windows = comparison.scores.size() / cut.judged();
  if (!comparison.scores.empty()) {
    FillResult(comparison.scores, &result);
    if (plot) plot->Write(QualityPlot(result));
    Print(arguments.json ? QualityJson(result) : QualityText(result));
  }
  return result.cancelled ? kExitCancelled : 0;
}

// A name that is given where it has no meaning is a mistake, not a wish.
void RefuseBeside(const CLI::App& app, const char* option, std::initializer_list<const char*> others, const char* why) {
  for (const char* other : others)
    if (app.count(other) > 0) throw Error(kInvalidArgument, std::string(other) + ": cannot be given with " + option + ", " + why);
}

int Main(const Arguments& arguments, const CLI::App& app) {
  const bool saved = !arguments.logits.empty();
  if (saved) {
    RefuseBeside(app, "--logits", {"OTHER"}, "which stands for REF: give one model");
    RefuseBeside(app, "--logits", {"--file", "--ids", "--limit", "--window", "--windows", "--second-half"},
                 "which brings the text and how it is cut");
    RefuseBeside(app, "--logits", {"--ref-kv", "--ref-kernels", "--save-logits", "--layers"}, "which runs no reference");
  } else {
    if (arguments.other.empty()) throw Error(kInvalidArgument, "OTHER is missing: give two models, or --logits and one");
    CacheType(arguments.reference_cache, "--ref-kv");
    NeedOne("-f or --ids", {!arguments.text.file.empty(), !arguments.text.ids.empty()});
  }
  OutputFiles files(arguments.force);
  for (const std::string& path : {arguments.reference, arguments.other, arguments.logits, arguments.text.file, arguments.text.ids})
    files.Reads(path);
  std::optional<OutputFile> save, plot;
  if (!arguments.save_logits.empty()) save = files.Writes("--save-logits", arguments.save_logits, OutputKind::kLogits);
  if (!arguments.plot.empty()) plot = files.Writes("--plot", arguments.plot, OutputKind::kQualityPlot);

  const Model other(saved ? arguments.reference : arguments.other, arguments.context.part);
  NeedDecoder(other);
  const uint32_t outputs = other.info().outputs;
  std::optional<LogitsReader> reader;
  std::optional<Model> reference;
  Windows cut;
  if (saved) {
    const LogitsPrefix& prefix = reader.emplace(arguments.logits).prefix();
    const uint64_t vocabulary = VocabularyChecksum(other);
    if (prefix.outputs != outputs || (prefix.vocabulary != vocabulary && prefix.vocabulary != 0 && vocabulary != 0))
      throw Error(kInvalidArgument, arguments.logits + " and " + other.path() + " have different vocabularies: " +
                                        (prefix.outputs != outputs ? Format("%u and %u outputs", prefix.outputs, outputs)
                                                                   : std::string("their ids stand for other pieces of text")));
    cut = {reader->ids(), prefix.window, prefix.windows, prefix.first};
  } else {
    reference.emplace(arguments.reference, arguments.context.part);
    NeedDecoder(*reference);
    NeedSameVocabulary(*reference, other);
    cut = CutText(arguments, arguments.text.Read(reference->info().has_tokenizer ? *reference : other), *reference, other);
  }

  ModelRows other_rows(other, arguments.context, cut.window, arguments.step);
  std::unique_ptr<RowSource> reference_rows;
  QualityResult result;
  result.model = other.path() + ", cache " + CacheName(other_rows.session().options()) + ", kernels " +
                 other_rows.session().plan().totals.kernels;
  result.facts = {{"model", other.path()},
                  {"cache", CacheName(other_rows.session().options())},
                  {"kernels", other_rows.session().plan().totals.kernels},
                  {"threads", other_rows.session().plan().totals.threads},
                  {"step", arguments.step}};
  if (saved) {
    reference_rows = std::make_unique<SavedRows>(&*reader);
    result.reference = arguments.logits;
    result.facts["reference"] = arguments.logits;
  } else {
    auto rows = std::make_unique<ModelRows>(*reference, ReferenceContext(arguments), cut.window, arguments.step);
    const ScoringSession& session = rows->session();
    result.reference = reference->path() + ", cache " + CacheName(session.options()) + ", kernels " + session.plan().totals.kernels;
    result.facts["reference"] = reference->path();
    result.facts["reference_cache"] = CacheName(session.options());
    result.facts["reference_kernels"] = session.plan().totals.kernels;
    reference_rows = std::move(rows);
  }

  Comparison comparison;
  {
    ProgressBar bar(false);
    const size_t ids = cut.windows * cut.window;
    const auto show = [&](size_t done, double kl) {
      return bar.Show(done, ids, Format("window %zu of %zu, KL %.3g", (done - 1) / cut.window + 1, cut.windows, kl));
    };
    if (save) {
      CompareAndSave(*save, *reference_rows, other_rows, cut, *reference, show, &comparison);
    } else {
      (void)Compare(*reference_rows, other_rows, cut, outputs, -1, show, &comparison);
    }
  }
  if (arguments.layers && !comparison.cancelled) {
    std::error_code failed;  // a device keeps nothing
    const bool kept = save && std::filesystem::is_regular_file(save->path(), failed);
    result.losses = JudgeTensors(*reference, ReferenceContext(arguments), arguments.other, arguments.context.kernels,
                                 kept ? save->path() : std::string(), cut);
    comparison.cancelled = result.losses->cancelled;
  }
  return Report(arguments, comparison, cut, std::move(result), plot);
}

}  // namespace

Command AddQuality(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app = program->add_subcommand("quality", "Compare a model's predictions with a reference's: KL, agreement, perplexity");
  app->add_option("REF", a->reference, "The reference: a .thimble file, with f32 weights for instance")->required()->type_name("");
  app->add_option("OTHER", a->other, "What is judged; may be the same file. With --logits there is no REF")->type_name("");
  a->text.Add(app);
  AddInteger(app, "--window", &a->window, 1, 1 << 30, "Ids per window; by default 512, or what the models can hold");
  AddInteger(app, "--windows", &a->windows, 1, 1 << 30, "How many windows, from the start of the text; by default all it has");
  app->add_flag("--second-half", a->second_half, "Judge the second half of each window only");
  app->add_flag("--step", a->step, "One token per pass, as text is written: slower, with the same result");
  app->add_flag("--layers", a->layers, "Then judge each kind of tensor and each layer by itself, and name what loses most");
  app->add_option("--save-logits", a->save_logits, "Keep the reference's logits and the ids in a file")->type_name("FILE");
  app->add_option("--logits", a->logits, "Such a file in place of REF and the text")->type_name("FILE");
  app->add_option("--plot", a->plot, "KL by position in the window, as SVG")->type_name("FILE");
  app->add_flag("--force", a->force, "Replace files of other kinds, too; never what is read");
  app->add_flag("--json", a->json, "One JSON object on standard output");
  app->add_option("--ref-kv", a->reference_cache, "The reference's cache rows: f32, f16, q8 or q4")
      ->type_name("TYPE")
      ->default_str("f32");
  app->add_option("--ref-kernels", a->reference_kernels, "The reference's kernels; by default the best")->type_name("NAME");
  a->context.Add(app);
  app->footer(kFooter);
  return {app, [arguments, app] { return Main(*arguments, *app); }};
}

}  // namespace thimble::cli
