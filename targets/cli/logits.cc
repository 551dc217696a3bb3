// `thimble logits`: the numbers a model gives for ids or images, one row per position. For people who check a
// conversion against another program.
#include <algorithm>
#include <memory>
#include <numeric>

#include "targets/cli/call.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/hidden_rows.h"
#include "targets/cli/input.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/memory.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/plan_check.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble logits stories-qmqa.thimble --ids 1,405,408,261,382 --json
  thimble logits stories-qmqa.thimble -p "Once upon a time"
  thimble logits vit.thimble --pixels images.json --json

With --hidden the rows are those in front of the head, D numbers behind the final norm ("hidden" instead of "logits" in JSON).

The cache is f32 unless --kv says otherwise, so that the numbers are the model's own. With --json:
{"ids", "outputs", "logits": one list per position (or image)}, numbers with nine digits, which
are the floats exactly. Without it: the best five of each position.)";

constexpr size_t kBest = 5;

struct Arguments {
  std::string model, ids, ids_file, pixels;
  TextArguments text;
  ContextOptions context;
  bool json = false, hidden = false;
};

// Rows come from the library one by one.
struct Rows {
  size_t outputs = 0;  // of each row, as many as count
  std::vector<float> values;

  static int32_t Collect(void* user, size_t, const float* logits) {
    Rows& rows = *static_cast<Rows*>(user);
    rows.values.insert(rows.values.end(), logits, logits + rows.outputs);
    return !Interrupted();
  }
  size_t size() const { return outputs == 0 ? 0 : values.size() / outputs; }
};

std::vector<int32_t> InputIds(const Arguments& arguments, const Model& model) {
  std::vector<int32_t> ids;
  if (!arguments.ids_file.empty()) {
    ids = ReadIds(arguments.ids_file);
  } else if (arguments.text.Given()) {
    model.NeedTokenizer("use --ids");
    ids = model.Tokenize(arguments.text.Read(), THIMBLE_ADD_BOS);
  } else {
    ids = ParseIds(arguments.ids, "--ids");
  }
  if (ids.empty()) throw Error(kInvalidArgument, "--ids: at least one id is needed");
  return ids;
}

// The numbers of a row are those of ids.
bool HasPieces(const Model& model) { return model.info().has_tokenizer && model.info().outputs >= model.info().vocabulary; }

std::string RowText(const Model& model, size_t position, const float* row, size_t outputs) {
  std::vector<size_t> order(outputs);
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t best = std::min(kBest, outputs);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(best), order.end(),
                    [&](size_t a, size_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
  std::string text = Format("%6zu ", position);
  for (size_t i = 0; i < best; ++i) {
    text += Format(" %6zu %9.4f", order[i], static_cast<double>(row[order[i]]));
    if (!HasPieces(model)) continue;
    std::string piece =
        order[i] < model.info().vocabulary ? Quoted(model.Piece(static_cast<int32_t>(order[i]))) : "-";
    text += Format(" %-10s", piece.c_str());
  }
  return text + "\n";
}

void PrintRows(const Arguments& arguments, const Model& model, const std::vector<int32_t>& ids,
               const Rows& rows) {
  if (!arguments.json) {
    if (arguments.hidden) {
      for (size_t i = 0; i < rows.size(); ++i) {
        std::string text;
        for (size_t j = 0; j < rows.outputs; ++j) {
          if (j != 0) text += ' ';
          AppendFloat(&text, rows.values[i * rows.outputs + j]);
        }
        Print(text + "\n");
      }
      return;
    }
    Print(Format("%s: %zu rows of %zu; the best %zu of each: id, logit%s\n", model.path().c_str(),
                 rows.size(), rows.outputs, std::min(kBest, rows.outputs),
                 HasPieces(model) ? ", piece" : ""));
    for (size_t i = 0; i < rows.size(); ++i)
      Print(RowText(model, i, rows.values.data() + i * rows.outputs, rows.outputs));
    return;
  }
  // Written by hand: JsonText would print the doubles behind the floats, with twice the digits.
  Json head = {{"model", model.path()}, {"outputs", rows.outputs}};
  if (!ids.empty()) head["ids"] = ids;
  std::string text = JsonText(head);
  text.back() = ',';
  text += arguments.hidden ? "\"hidden\":[" : "\"logits\":[";
  for (size_t i = 0; i < rows.size(); ++i) {
    text += i == 0 ? "[" : ",[";
    for (size_t j = 0; j < rows.outputs; ++j) {
      if (j != 0) text += ',';
      AppendFloat(&text, rows.values[i * rows.outputs + j]);
    }
    text += ']';
    if (text.size() > (1 << 20)) {
      Print(text);
      text.clear();
    }
  }
  Print(text + "]}\n");
}

// The rows in front of the head.
int RunHidden(const Arguments& arguments) {
  const Model whole(arguments.model, arguments.context.part);
  if (whole.info().image_channels != 0) throw Error(kUnsupported, whole.path() + ": reads images; --hidden is for models of tokens");
  if (whole.part() != 0) throw Error(kUnsupported, "--hidden: of the main part alone");
  const std::vector<int32_t> ids = InputIds(arguments, whole);
  const FileImage image = WithoutHead(arguments.model);
  const Model model(image.data(), image.bytes(), arguments.model);
  ContextOptions context = arguments.context;
  if (ids.size() > model.info().max_positions)
    throw Error(kContextFull, Format("--ids: %zu ids, of which the model takes %u at most", ids.size(), model.info().max_positions));
  context.context_tokens = static_cast<int64_t>(ids.size());
  context.logits_rows = 1;
  const EngineOptions options = context.ForModel(model);
  (void)CheckMemory(model, options, arguments.context.overcommit);
  const Session session(model, options);
  Rows rows{.outputs = std::min(model.info().width, model.info().outputs), .values = {}};
  const auto run = model.info().is_decoder ? thimble_prefill_each : thimble_encode_rows;
  Check(Call(run, session.handle(), ids.data(), ids.size(), Rows::Collect, &rows));
  PrintRows(arguments, whole, ids, rows);
  return 0;
}

int Run(const Arguments& arguments) {
  NeedOne("--ids, --ids-file, -p, -f or --pixels",
          {!arguments.ids.empty(), !arguments.ids_file.empty(), arguments.text.has_prompt,
           !arguments.text.file.empty(), !arguments.pixels.empty()});
  if (arguments.hidden) return RunHidden(arguments);
  const Model model(arguments.model, arguments.context.part);
  const bool reads_image = model.info().image_channels != 0;
  if (reads_image != !arguments.pixels.empty()) {
    throw Error(kInvalidArgument, reads_image ? model.path() + ": reads images; use --pixels"
                                              : "--pixels: this model reads tokens; use --ids");
  }
  std::vector<int32_t> ids;
  std::vector<float> pixels;
  size_t image_pixels = 0;
  if (reads_image) {
    pixels = ReadNumbers(arguments.pixels);
    image_pixels = size_t{model.info().image_channels} * model.info().image_height * model.info().image_width;
    if (pixels.empty() || pixels.size() % image_pixels != 0) {
      throw Error(
          kInvalidArgument,
          Format(
              "--pixels: %zu numbers are no whole number of images of %u x %u x %u (channels, height, width)",
              pixels.size(), model.info().image_channels, model.info().image_height,
              model.info().image_width));
    }
  } else {
    ids = InputIds(arguments, model);
  }

  ContextOptions context = arguments.context;
  // Nothing is generated afterwards, so that the ids themselves are context enough.
  if (context.context_tokens == 0 && model.info().is_decoder && ids.size() <= model.info().max_positions)
    context.context_tokens = static_cast<int64_t>(ids.size());
  context.logits_rows = 1;
  const EngineOptions options = context.ForModel(model);
  const Plan plan = MakePlan(model, options);
  (void)CheckMemory(model, options, arguments.context.overcommit);
  if (model.info().is_decoder && ids.size() > plan.totals.context_tokens) {
    throw Error(kContextFull, Format("--ids: %zu ids do not fit a context of %u tokens", ids.size(),
                                     plan.totals.context_tokens));
  }
  const Session session(model, options);

  Rows rows{.outputs = model.info().outputs, .values = {}};
  if (reads_image) {
    for (size_t at = 0; at < pixels.size(); at += image_pixels)
      Check(Call(thimble_encode_image, session.handle(), pixels.data() + at, image_pixels, Rows::Collect, &rows));
  } else if (model.info().is_decoder) {
    Check(Call(thimble_prefill_each, session.handle(), ids.data(), ids.size(), Rows::Collect, &rows));
  } else {
    Check(Call(thimble_encode_rows, session.handle(), ids.data(), ids.size(), Rows::Collect, &rows));
  }
  PrintRows(arguments, model, ids, rows);
  return 0;
}

}  // namespace

Command AddLogits(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app = program->add_subcommand("logits", "Print the logits for given ids, row by row");
  app->add_option("MODEL", a->model, "A .thimble file")->required()->type_name("");
  app->add_option("--ids", a->ids, "Token ids: 1,403,407")->type_name("LIST");
  app->add_option("--ids-file", a->ids_file, "Token ids as a JSON list")->type_name("FILE");
  a->text.Add(app);
  app->add_option("--pixels", a->pixels, "Images for vision models: nested JSON lists of normalised numbers")
      ->type_name("FILE");
  a->text.AddEscapes(app);
  app->add_flag("--hidden", a->hidden, "Rows in front of the head instead of what it makes of them");
  app->add_flag("--json", a->json, "One JSON object on standard output");
  a->context.Add(app, "f32");
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
