// `thimble tokenize`: text to ids, or ids to text, with a model's tokenizer or with a tokenizer file.
#include <stdio.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "targets/cli/call.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/tokenizer_only.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble tokenize stories-qmqa.thimble -p "Once upon a time"
  thimble tokenize stories-qmqa.thimble --ids 1,405,408,261,382
  thimble tokenize --tokenizer tokenizer.model -f text.txt --json
  printf '"Once upon a time"\n{"ids": [1, 405]}\n' | thimble tokenize stories-qmqa.thimble --jsonl

Prints ids with commas, as --ids takes them, or the text.)";

struct Arguments {
  std::string model, tokenizer, ids;
  TextArguments text;
  bool no_bos = false, special = false, json = false, jsonl = false, has_ids = false;
};

std::string TextOf(const Model& model, const std::vector<int32_t>& ids, const std::string& name) {
  size_t bytes = 0;
  std::string text(ids.size() * 8 + 16, 0);
  thimble_error status =
      Call(thimble_detokenize, model.handle(), ids.data(), ids.size(), text.data(), text.size(), &bytes);
  if (status.code != 0 && bytes > text.size()) {
    text.resize(bytes);
    status = Call(thimble_detokenize, model.handle(), ids.data(), ids.size(), text.data(), text.size(), &bytes);
  }
  Check(status, name);
  text.resize(bytes);
  return text;
}

void PrintText(const Arguments& arguments, const Model& model) {
  const std::vector<int32_t> ids = ParseIds(arguments.ids, "--ids");
  const std::string text = TextOf(model, ids, "--ids");
  if (arguments.json) {
    PrintJson({{"ids", ids}, {"text", text}});
  } else {
    Print(text + "\n");
  }
}

uint32_t Flags(const Arguments& arguments, bool special) {
  return (arguments.no_bos ? 0 : THIMBLE_ADD_BOS) | (special ? THIMBLE_PARSE_SPECIAL : 0);
}

// What a line of --jsonl asks for.
Json Answer(const Arguments& arguments, const Model& model, const Json& question) {
  if (question.is_text()) return model.Tokenize(question.as_text(), Flags(arguments, arguments.special));
  if (!question.is_object()) throw Error(kInvalidArgument, "expected a text, or an object with \"text\" or \"ids\"");
  if (const Json* ids = question.Find("ids")) {
    std::vector<int32_t> numbers;
    for (const Json& id : ids->items()) {
      const int64_t number = id.as_signed();
      if (number < INT32_MIN || number > INT32_MAX) throw Error(kInvalidArgument, "\"ids\" must be token ids");
      numbers.push_back(static_cast<int32_t>(number));
    }
    return {{"text", TextOf(model, numbers, "\"ids\"")}};
  }
  const Json* special = question.Find("special");
  return model.Tokenize(question["text"].as_text(),
                        Flags(arguments, special == nullptr ? arguments.special : special->as_bool()));
}

// A line in, a line out, so that a program can hold a conversation with this one.
void AnswerLines(const Arguments& arguments, const Model& model) {
  char* line = nullptr;
  size_t room = 0;
  const std::unique_ptr<char*, void (*)(char**)> owner(&line, [](char** kept) { std::free(*kept); });
  for (ssize_t size; (size = getline(&line, &room, stdin)) >= 0;) {
    try {
      PrintJson(Answer(arguments, model, ParseJson(std::string_view(line, static_cast<size_t>(size)))));
    } catch (const JsonError& error) {
      PrintJson({{"error", error.what()}});
    } catch (const Error& error) {
      PrintJson({{"error", error.what()}});
    }
  }
}

void PrintIds(const Arguments& arguments, const Model& model) {
  const std::vector<int32_t> ids = model.Tokenize(arguments.text.Read(), Flags(arguments, arguments.special));
  if (arguments.json) {
    Json pieces = Json::Array();
    for (int32_t id : ids) pieces.Push(model.Piece(id));
    PrintJson({{"count", ids.size()}, {"ids", ids}, {"pieces", std::move(pieces)}});
    return;
  }
  std::string line;
  for (size_t i = 0; i < ids.size(); ++i) line += (i == 0 ? "" : ",") + std::to_string(ids[i]);
  Print(line + "\n");
}

int Run(const Arguments& arguments) {
  NeedOne("-p, -f, --ids or --jsonl",
          {arguments.text.has_prompt, !arguments.text.file.empty(), arguments.has_ids, arguments.jsonl});
  if (arguments.model.empty() == arguments.tokenizer.empty())
    throw Error(kInvalidArgument, "give either a MODEL or --tokenizer FILE");
  AlignedBytes bytes;  // outlives the model made of it
  std::optional<Model> model;
  if (arguments.tokenizer.empty()) {
    model.emplace(arguments.model);
  } else {
    bytes = MakeTokenizerModel(arguments.tokenizer);
    model.emplace(bytes.data.get(), bytes.size, arguments.tokenizer);
  }
  model->NeedTokenizer("give a tokenizer file with --tokenizer instead of the model");
  if (arguments.jsonl) {
    AnswerLines(arguments, *model);
  } else if (arguments.has_ids) {
    PrintText(arguments, *model);
  } else {
    PrintIds(arguments, *model);
  }
  return 0;
}

}  // namespace

Command AddTokenize(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app = program->add_subcommand("tokenize", "Turn text into token ids, or ids into text");
  app->add_option("MODEL", a->model, "A .thimble file")->type_name("");
  app->add_option("--tokenizer", a->tokenizer,
                  "Instead of a model: tokenizer.model, tokenizer.json, tokenizer.bin, or a folder with one")
      ->type_name("FILE");
  a->text.Add(app);
  app->add_option_function<std::string>(
         "--ids", [a](const std::string& text) { a->ids = text, a->has_ids = true; },
         "Ids to turn into text: 1,403,407")
      ->type_name("LIST");
  a->text.AddEscapes(app);
  app->add_flag("--no-bos", a->no_bos, "No begin-of-text id in front");
  app->add_flag("--special", a->special, "Read control tokens written in the text (\"</s>\") as tokens");
  app->add_flag("--json", a->json, "One JSON object on standard output");
  app->add_flag("--jsonl", a->jsonl,
                "For each line of standard input one line: \"TEXT\" or {\"text\", \"special\"} gives a list of ids, {\"ids\"} gives "
                "{\"text\"}, what is neither {\"error\"}");
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
