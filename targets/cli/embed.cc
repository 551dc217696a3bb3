// `thimble embed`: one vector for a text, from an encoder's hidden rows, or how alike two texts are.
#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <sstream>
#include <string_view>

#include "format/metadata_keys.h"
#include "format/model_file.h"
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
  thimble embed minilm.thimble -f sentences.txt --lines
  thimble embed minilm.thimble -p "The weather is lovely today." --cosine "It's so sunny outside!"

The numbers of a vector stand on one line. --pooling mean is the mean over all ids, those that the tokenizer puts around a text
included, first the row of the first id (CLS) and last that of the last; what the model's own files say is taken where none is
given. The vector has length 1 unless they say otherwise. With none: the rows as they are, one per id and line.
With --lines every line is a text, and with --cosine the one number is how alike two texts are, from -1 to 1.
With --json: {"model", "ids", "pooling", "embedding": [...]}, or "rows": [[...], ...] with none; "embeddings": one list for each
text with --lines, and "cosine" with --cosine.)";

struct Arguments {
  std::string model, ids, pooling, other;
  TextArguments text;
  ContextOptions context;
  bool json = false, lines = false, has_other = false;
};

using Ids = std::vector<int32_t>;

struct Rows {
  size_t width = 0;
  std::vector<float> values;

  static int32_t Collect(void* user, size_t, const float* row) {
    Rows& rows = *static_cast<Rows*>(user);
    rows.values.insert(rows.values.end(), row, row + rows.width);
    return !Interrupted();
  }
};

void CheckIds(const Model& model, const Ids& ids) {
  if (ids.empty()) throw Error(kInvalidArgument, "the text has no ids; at least one is needed");
  if (ids.size() > model.info().max_positions) {
    throw Error(kContextFull, Format("%zu ids, of which the model takes %u at most; cut the text into pieces", ids.size(),
                                     model.info().max_positions));
  }
}

// One for each text.
std::vector<Ids> InputIds(const Arguments& arguments, const Model& model) {
  std::vector<Ids> inputs;
  const auto tokenize = [&](const std::string& text) { inputs.push_back(model.Tokenize(text, THIMBLE_ADD_BOS)); };
  if (!arguments.text.Given()) {
    inputs.push_back(ParseIds(arguments.ids, "--ids"));
  } else {
    model.NeedTokenizer("use --ids");
    const std::string text = arguments.text.Read();
    if (!arguments.lines) {
      tokenize(text);
    } else {
      std::istringstream lines(text);
      for (std::string line; std::getline(lines, line);) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        tokenize(line);
      }
    }
  }
  if (arguments.has_other) {
    model.NeedTokenizer("use --ids without --cosine");
    tokenize(arguments.other);
  }
  if (inputs.empty()) throw Error(kInvalidArgument, "there is no text");
  for (const Ids& ids : inputs) CheckIds(model, ids);
  return inputs;
}

void AppendNumbers(std::string* text, std::span<const float> values, char separator) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (i != 0) *text += separator;
    AppendFloat(text, values[i]);
  }
}

// Lists of `width` numbers. Written by hand: JsonText would print the doubles behind the floats, with twice the digits.
void AppendLists(std::string* text, const std::vector<float>& values, size_t width) {
  for (size_t at = 0; at < values.size(); at += width) {
    *text += at == 0 ? "[" : ",[";
    AppendNumbers(text, {values.data() + at, width}, ',');
    *text += ']';
  }
}

// `values`: of each input a vector, or with "none" the rows of the one that there is.
void PrintResult(const Arguments& arguments, const std::vector<Ids>& inputs, const std::vector<float>& values, size_t width) {
  std::string text;
  if (!arguments.json) {
    for (size_t at = 0; at < values.size(); at += width) {
      AppendNumbers(&text, {values.data() + at, width}, ' ');
      text += '\n';
    }
    return Print(text);
  }
  Json head = {{"model", arguments.model}, {"pooling", arguments.pooling}};
  if (arguments.lines) {
    head["ids"] = Json::Array();
    for (const Ids& ids : inputs) head["ids"].Push(ids);
  } else {
    head["ids"] = inputs[0];
  }
  text = JsonText(head);
  text.back() = ',';
  const bool several = arguments.lines || arguments.pooling == "none";
  text += arguments.pooling == "none" ? "\"rows\":[" : several ? "\"embeddings\":[" : "\"embedding\":";
  AppendLists(&text, values, width);
  Print(text + (several ? "]}\n" : "}\n"));
}

void PrintCosine(const Arguments& arguments, const float* a, const float* b, size_t width) {
  double product = 0, squares[2] = {};
  for (size_t i = 0; i < width; ++i) {
    product += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    squares[0] += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    squares[1] += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  const double cosine = product / std::sqrt(squares[0] * squares[1]);
  if (arguments.json) return PrintJson({{"model", arguments.model}, {"cosine", cosine}});
  Print(Format("%.6f\n", cosine));
}

// None of the four: "none", or a mistake.
size_t PoolingOf(const std::string& name) {
  static constexpr std::string_view kNames[] = {"", "mean", "first", "last"};
  return static_cast<size_t>(std::find(std::begin(kNames), std::end(kNames), name) - std::begin(kNames));
}

// What the model's own files say.
std::string ModelPooling(const std::string& path) {
  ModelFile file;
  if (!file.Open(path.c_str()).ok()) return "mean";
  for (uint32_t i = 0; i < file.header().metadata(); ++i) {
    if (file.header().metadata_key(i) == kPoolingKey) return std::string(file.header().metadata_value(i));
  }
  return "mean";
}

int Run(Arguments arguments) {
  NeedOne("-p, -f or --ids", {arguments.text.has_prompt, !arguments.text.file.empty(), !arguments.ids.empty()});
  const bool rows_alone = arguments.pooling == "none";
  if (PoolingOf(arguments.pooling) > THIMBLE_POOLING_LAST && !rows_alone) {
    throw Error(kInvalidArgument, "--pooling: must be mean, first, last or none, got " + Quoted(arguments.pooling));
  }
  if (rows_alone && (arguments.lines || arguments.has_other)) throw Error(kInvalidArgument, "--pooling none: of one text alone");
  if (arguments.lines && arguments.has_other) throw Error(kInvalidArgument, "--lines and --cosine do not go together");
  const Model model(arguments.model, arguments.context.part);
  if (model.info().is_decoder) throw Error(kUnsupported, model.path() + ": is a decoder; embed takes an encoder, such as BERT's");
  if (model.info().image_channels != 0) throw Error(kUnsupported, model.path() + ": reads images; use `thimble logits --pixels`");
  if (model.info().outputs != model.info().width && model.info().outputs >= model.info().vocabulary) {
    throw Error(kUnsupported, model.path() + ": has a head for ids, and gives no vectors; use `thimble logits`");
  }
  if (arguments.pooling.empty()) arguments.pooling = ModelPooling(arguments.model);
  const std::vector<Ids> inputs = InputIds(arguments, model);
  ContextOptions context = arguments.context;
  for (const Ids& ids : inputs) context.context_tokens = std::max(context.context_tokens, static_cast<int64_t>(ids.size()));
  const EngineOptions options = context.ForModel(model);
  (void)CheckMemory(model, options, arguments.context.overcommit);
  const Session session(model, options);
  const size_t width = model.info().outputs;
  if (rows_alone) {
    Rows rows{.width = width, .values = {}};
    Check(Call(thimble_encode_rows, session.handle(), inputs[0].data(), inputs[0].size(), Rows::Collect, &rows));
    PrintResult(arguments, inputs, rows.values, width);
    return 0;
  }
  std::vector<float> vectors(inputs.size() * width);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (Interrupted()) throw Error(THIMBLE_CANCELLED, "stopped");
    Check(Call(thimble_embed, session.handle(), inputs[i].data(), inputs[i].size(), static_cast<int32_t>(PoolingOf(arguments.pooling)), vectors.data() + i * width, width));
  }
  if (arguments.has_other) PrintCosine(arguments, vectors.data(), vectors.data() + width, width);
  else PrintResult(arguments, inputs, vectors, width);
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
  app->add_flag("--lines", a->lines, "Every line is a text with a vector of its own");
  app->add_option_function<std::string>(
         "--cosine", [a](const std::string& value) { a->other = value, a->has_other = true; }, "How alike the text and this one are")
      ->type_name("TEXT");
  app->add_option("--pooling", a->pooling, "Of the rows: mean, first, last, or none")->type_name("HOW")->default_str("as the model says, else mean");
  a->text.AddEscapes(app);
  app->add_flag("--json", a->json, "One JSON object on standard output");
  a->context.cache = "f32";  // of one pass only, so that nothing is saved by less
  a->context.AddForOnePass(app);
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
