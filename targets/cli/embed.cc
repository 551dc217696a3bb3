// `thimble embed`: one vector for a text, from an encoder's hidden rows: pooled and brought to length 1 here.
#include <cmath>
#include <memory>

#include "targets/cli/call.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
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
  thimble convert all-MiniLM-L6-v2/ -o minilm.thimble --weights q8
  thimble embed minilm.thimble -p "The weather is lovely today." --json
  thimble embed minilm.thimble -f page.txt --pooling first

The numbers stand on one line. --pooling mean is the mean over all ids, those that the tokenizer puts around a text
included, and first the row of the first id (CLS); both have length 1, so that the product of two is how alike they are.
With none: the rows as they are, one per id and line. With --json: {"model", "ids", "pooling", "embedding": [...]}, or
"rows": [[...], ...] with none.)";

struct Arguments {
  std::string model, ids, pooling = "mean";
  TextArguments text;
  ContextOptions context;
  bool json = false;
};

struct Rows {
  size_t width = 0;
  std::vector<float> values;

  static int32_t Collect(void* user, size_t, const float* row) {
    Rows& rows = *static_cast<Rows*>(user);
    rows.values.insert(rows.values.end(), row, row + rows.width);
    return !Interrupted();
  }
  size_t size() const { return values.size() / width; }
};

std::vector<int32_t> InputIds(const Arguments& arguments, const Model& model) {
  std::vector<int32_t> ids;
  if (arguments.text.Given()) {
    model.NeedTokenizer("use --ids");
    ids = model.Tokenize(arguments.text.Read(), THIMBLE_ADD_BOS);
  } else {
    ids = ParseIds(arguments.ids, "--ids");
  }
  if (ids.empty()) throw Error(kInvalidArgument, "the text has no ids; at least one is needed");
  if (ids.size() > model.info().max_positions) {
    throw Error(kContextFull, Format("%zu ids, of which the model takes %u at most; cut the text into pieces", ids.size(),
                                     model.info().max_positions));
  }
  return ids;
}

// The mean of the rows, or the first of them, with length 1.
std::vector<float> Pool(const Rows& rows, bool mean) {
  std::vector<double> sum(rows.width, 0.0);
  const size_t count = mean ? rows.size() : 1;
  for (size_t i = 0; i < count * rows.width; ++i) sum[i % rows.width] += static_cast<double>(rows.values[i]);
  double square = 0;
  for (const double v : sum) square += v * v;
  if (square == 0) throw Error(THIMBLE_NOT_FINITE, "the pooled row is zero, and has no direction");
  std::vector<float> vector(rows.width);
  for (size_t i = 0; i < rows.width; ++i) vector[i] = static_cast<float>(sum[i] / std::sqrt(square));
  return vector;
}

void AppendNumbers(std::string* text, const float* values, size_t count, char separator) {
  for (size_t i = 0; i < count; ++i) {
    if (i != 0) *text += separator;
    AppendFloat(text, values[i]);
  }
}

void PrintResult(const Arguments& arguments, const std::vector<int32_t>& ids, const Rows& rows) {
  const bool pooled = arguments.pooling != "none";
  const std::vector<float> vector = pooled ? Pool(rows, arguments.pooling == "mean") : rows.values;
  const size_t lines = vector.size() / rows.width;
  std::string text;
  if (!arguments.json) {
    for (size_t i = 0; i < lines; ++i) {
      AppendNumbers(&text, vector.data() + i * rows.width, rows.width, ' ');
      text += '\n';
    }
    return Print(text);
  }
  // Written by hand: JsonText would print the doubles behind the floats, with twice the digits.
  text = JsonText({{"model", arguments.model}, {"ids", ids}, {"pooling", arguments.pooling}});
  text.back() = ',';
  text += pooled ? "\"embedding\":" : "\"rows\":[";
  for (size_t i = 0; i < lines; ++i) {
    text += i == 0 ? "[" : ",[";
    AppendNumbers(&text, vector.data() + i * rows.width, rows.width, ',');
    text += ']';
  }
  Print(text + (pooled ? "}\n" : "]}\n"));
}

int Run(const Arguments& arguments) {
  NeedOne("-p, -f or --ids", {arguments.text.has_prompt, !arguments.text.file.empty(), !arguments.ids.empty()});
  if (arguments.pooling != "mean" && arguments.pooling != "first" && arguments.pooling != "none") {
    throw Error(kInvalidArgument, "--pooling: must be mean, first or none, got " + Quoted(arguments.pooling));
  }
  const Model model(arguments.model, arguments.context.part);
  if (model.info().is_decoder) throw Error(kUnsupported, model.path() + ": is a decoder; embed takes an encoder, such as BERT's");
  if (model.info().image_channels != 0) throw Error(kUnsupported, model.path() + ": reads images; use `thimble logits --pixels`");
  if (model.info().outputs != model.info().width) {
    throw Error(kUnsupported, model.path() + ": has a head, and gives no hidden rows; use `thimble logits`");
  }
  const std::vector<int32_t> ids = InputIds(arguments, model);
  ContextOptions context = arguments.context;
  context.context_tokens = static_cast<int64_t>(ids.size());
  const EngineOptions options = context.ForModel(model);
  const Plan plan = MakePlan(model, options);
  (void)CheckMemory(model, options, arguments.context.overcommit);
  const Session session(model, options);
  Rows rows{.width = model.info().outputs, .values = {}};
  Check(Call(thimble_encode_rows, session.handle(), ids.data(), ids.size(), Rows::Collect, &rows));
  PrintResult(arguments, ids, rows);
  return 0;
}

}  // namespace

Command AddEmbed(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app = program->add_subcommand("embed", "Turn a text into one vector, with an encoder");
  app->add_option("MODEL", a->model, "A .thimble file")->required()->type_name("");
  a->text.Add(app);
  app->add_option("--ids", a->ids, "Token ids instead of a text: 101,1996,102")->type_name("LIST");
  app->add_option("--pooling", a->pooling, "Of the rows: mean, first, or none")->type_name("HOW")->default_str("mean");
  a->text.AddEscapes(app);
  app->add_flag("--json", a->json, "One JSON object on standard output");
  a->context.cache = "f32";  // of one pass only, so that nothing is saved by less
  a->context.AddForOnePass(app);
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
