// `thimble quality`: how far one model's predictions lie from another's on the same text. The protocol is in the help text.
// The two go through each window side by side, a few rows of logits at a time.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>

#include "format/checksum.h"
#include "targets/cli/call.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/logits_file.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"
#include "targets/cli/progress.h"
#include "targets/cli/quality_report.h"
#include "targets/cli/quality_statistics.h"
#include "targets/cli/scored_text.h"
#include "targets/cli/scoring_session.h"

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

--save-logits keeps the reference's logits with the text's ids, 4 bytes for each output of each judged position;
--logits takes them in place of REF, -f and all that says how the text is cut, with the same result to the last bit.

Examples:
  thimble quality f32.thimble q8.thimble -f text.txt --windows 16 --second-half
  thimble quality f32.thimble q8.thimble -f text.txt --windows 16 --save-logits ref.logits --json
  thimble quality q4.thimble --logits ref.logits --kv q8 --plot kl.svg
  thimble quality q8.thimble q8.thimble --ids ids.json --kv q4 --ref-kv f16)";

constexpr uint32_t kRowsAtOnce = 32;
constexpr int64_t kUsualWindow = 512;

struct Arguments {
  std::string reference, other, logits, save_logits, plot, reference_cache = "f32", reference_kernels;
  ScoredText text;
  int64_t window = 0, windows = 0;
  ContextOptions context;
  bool second_half = false, step = false, json = false, force = false;
};

// Where rows of logits come from, window by window. False once the user has asked to stop.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual void Begin() = 0;                                                      // of a window
  virtual bool Skip(const int32_t* ids, size_t count) = 0;                       // ids whose logits nobody wants
  virtual bool Read(const int32_t* ids, size_t count, float* rows) = 0;          // count <= kRowsAtOnce
};

class ModelRows : public RowSource {
 public:
  ModelRows(const Model& model, const ContextOptions& context, int64_t window, bool step)
      : session_(model, context, window, kRowsAtOnce), outputs_(model.info().outputs), step_(step) {}

  const ScoringSession& session() const { return session_; }

  void Begin() override { Check(Call(thimble_rewind, session_.handle(), size_t{0})); }

  bool Skip(const int32_t* ids, size_t count) override {
    const size_t at_once = step_ ? 1 : kRowsAtOnce;
    for (size_t at = 0; at < count; at += at_once) {
      if (Interrupted()) return false;
      Check(Call(thimble_prefill, session_.handle(), ids + at, std::min(at_once, count - at)));
    }
    return true;
  }

  bool Read(const int32_t* ids, size_t count, float* rows) override {
    if (!step_) {
      to_ = rows;
      const thimble_error status = Call(thimble_prefill_each, session_.handle(), ids, count, Take, this);
      if (status.code == kCancelled || Interrupted()) return false;
      Check(status);
      return true;
    }
    for (size_t i = 0; i < count; ++i) {
      if (Interrupted()) return false;
      Check(Append(session_.handle(), ids[i]));
      std::memcpy(rows + i * outputs_, thimble_logits(session_.handle(), nullptr), outputs_ * sizeof(float));
    }
    return true;
  }

 private:
  static int32_t Take(void* user, size_t, const float* logits) {
    ModelRows& rows = *static_cast<ModelRows*>(user);
    std::memcpy(rows.to_, logits, rows.outputs_ * sizeof(float));
    rows.to_ += rows.outputs_;
    return !Interrupted();
  }

  ScoringSession session_;
  size_t outputs_;
  bool step_;
  float* to_ = nullptr;
};

class SavedRows : public RowSource {
 public:
  explicit SavedRows(LogitsReader* reader) : reader_(reader) {}
  void Begin() override {}
  bool Skip(const int32_t*, size_t) override { return true; }
  bool Read(const int32_t*, size_t count, float* rows) override {
    for (size_t i = 0; i < count; ++i) reader_->Read(rows + i * reader_->prefix().outputs);
    return true;
  }

 private:
  LogitsReader* reader_;
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

// Which ids are read and which positions of them are judged.
struct Windows {
  std::vector<int32_t> ids;  // windows * window + 1
  size_t window = 0, windows = 0, first = 0;

  size_t judged() const { return window - first; }
};

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

struct Comparison {
  std::vector<PositionScore> scores;  // of whole windows
  bool cancelled = false;
};

// `save` is a descriptor for the reference's rows, or -1. False with errno set when it could not be written.
bool Compare(RowSource& reference, RowSource& other, const Windows& cut, size_t outputs, int save, Comparison* result) {
  ProgressBar progress(false);
  std::vector<float> reference_rows(kRowsAtOnce * outputs), other_rows(kRowsAtOnce * outputs);
  double kl = 0;
  for (size_t w = 0; w < cut.windows; ++w) {
    const int32_t* ids = cut.ids.data() + w * cut.window;
    reference.Begin();
    other.Begin();
    bool going = reference.Skip(ids, cut.first) && other.Skip(ids, cut.first);
    for (size_t at = cut.first; going && at < cut.window; at += kRowsAtOnce) {
      const size_t count = std::min<size_t>(kRowsAtOnce, cut.window - at);
      going = reference.Read(ids + at, count, reference_rows.data()) && other.Read(ids + at, count, other_rows.data());
      for (size_t i = 0; going && i < count; ++i) {
        const float* row = reference_rows.data() + i * outputs;
        const PositionScore score = ScorePosition(row, other_rows.data() + i * outputs, outputs, ids[at + i + 1]);
        if (!std::isfinite(score.kl + score.nll_reference + score.nll_other))
          throw Error(THIMBLE_NOT_FINITE, Format("window %zu, position %zu: the logits are not finite; `thimble verify` looks "
                                                 "at the weights",
                                                 w, at + i));
        if (save >= 0 && !LogitsWriter::Append(save, row, outputs)) return false;
        kl += score.kl;
        result->scores.push_back(score);
      }
      going = going && progress.Show(w * cut.window + at + count, cut.windows * cut.window,
                                     Format("window %zu of %zu, KL %.5f", w + 1, cut.windows,
                                            kl / static_cast<double>(std::max<size_t>(result->scores.size(), 1))));
    }
    if (going) continue;
    result->cancelled = true;
    result->scores.resize(w * cut.judged());
    errno = ECANCELED;
    return false;
  }
  return true;
}

// The same with the reference's rows in a file: it is written whole or not at all, also when something is thrown.
void CompareAndSave(const OutputFile& file, RowSource& reference, RowSource& other, const Windows& cut, const Model& model,
                    Comparison* result) {
  LogitsPrefix prefix;
  prefix.outputs = model.info().outputs;
  prefix.window = static_cast<uint32_t>(cut.window);
  prefix.windows = static_cast<uint32_t>(cut.windows);
  prefix.first = static_cast<uint32_t>(cut.first);
  prefix.vocabulary = VocabularyChecksum(model);
  std::exception_ptr thrown;
  try {
    file.Write([&](int fd) {
      try {
        return LogitsWriter::Begin(fd, prefix, cut.ids) && Compare(reference, other, cut, prefix.outputs, fd, result);
      } catch (...) {
        thrown = std::current_exception();
        return false;
      }
    });
  } catch (const Error&) {
    if (thrown) std::rethrow_exception(thrown);
    if (!result->cancelled) throw;
    std::fputs("thimble: cancelled, --save-logits wrote nothing\n", stderr);
  }
}

std::string CacheText(const EngineOptions& options) {
  const std::string keys = CacheTypeName(options.key_cache), values = CacheTypeName(options.value_cache);
  return keys == values ? keys : keys + "/" + values;
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
    RefuseBeside(app, "--logits", {"--ref-kv", "--ref-kernels", "--save-logits"}, "which runs no reference");
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

  const Model other(saved ? arguments.reference : arguments.other);
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
    reference.emplace(arguments.reference);
    NeedDecoder(*reference);
    NeedSameVocabulary(*reference, other);
    cut = CutText(arguments, arguments.text.Read(reference->info().has_tokenizer ? *reference : other), *reference, other);
  }

  const int64_t window = static_cast<int64_t>(cut.window);
  ModelRows other_rows(other, arguments.context, window, arguments.step);
  std::unique_ptr<RowSource> reference_rows;
  QualityResult result;
  result.model = other.path() + ", cache " + CacheText(other_rows.session().options()) + ", kernels " +
                 other_rows.session().plan().totals.kernels;
  result.facts = {{"model", other.path()},
                  {"cache", CacheText(other_rows.session().options())},
                  {"kernels", other_rows.session().plan().totals.kernels},
                  {"threads", other_rows.session().plan().totals.threads},
                  {"step", arguments.step}};
  if (saved) {
    reference_rows = std::make_unique<SavedRows>(&*reader);
    result.reference = arguments.logits;
    result.facts["reference"] = arguments.logits;
  } else {
    ContextOptions context;
    context.context_tokens = arguments.context.context_tokens;
    context.threads = arguments.context.threads;
    context.chunk_tokens = arguments.context.chunk_tokens;
    context.placement = arguments.context.placement;
    context.cache = arguments.reference_cache;
    context.kernels = arguments.reference_kernels;
    auto rows = std::make_unique<ModelRows>(*reference, context, window, arguments.step);
    const ScoringSession& session = rows->session();
    result.reference = reference->path() + ", cache " + CacheText(session.options()) + ", kernels " + session.plan().totals.kernels;
    result.facts["reference"] = reference->path();
    result.facts["reference_cache"] = CacheText(session.options());
    result.facts["reference_kernels"] = session.plan().totals.kernels;
    reference_rows = std::move(rows);
  }

  Comparison comparison;
  if (save) {
    CompareAndSave(*save, *reference_rows, other_rows, cut, *reference, &comparison);
  } else {
    (void)Compare(*reference_rows, other_rows, cut, outputs, -1, &comparison);
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
