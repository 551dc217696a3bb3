// `thimble template`: what a chat template makes of a conversation.
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <sstream>
#include <vector>

#include "format/container.h"
#include "runtime/template/render.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/json/json.h"
#include "targets/template/compile.h"
#include "targets/template/derive.h"
#include "targets/template/json_values.h"

namespace thimble::cli {
namespace {

using chat::Member;
using chat::Value;

constexpr char kFooter[] = R"(Examples:
  thimble template chat_template.jinja conversation.json
  thimble template model.thimble conversation.json --now 2026-11-28T10:30:00
  thimble template model.thimble --jsonl < cases.jsonl
  thimble template model.thimble --show answer

CASE is a list of messages, or an object with the members messages, tools, documents, add_generation_prompt (true
where it is missing) and variables, an object with whatever else the template asks for. With --jsonl one case a line
is read from standard input, and for each a line is written: {"text": ...} or {"error": ...}.
--show data marks with < > what people wrote, which never becomes a special token.)";

struct Arguments {
  std::string source, test_case, show = "text", now;
  bool jsonl = false;
};

// A conversation as the template sees it. What it holds points into `json`.
class CaseValues {
 public:
  explicit CaseValues(const Json& json, const std::vector<std::pair<std::string, std::string>>& pieces) {
    const auto add = [&](const std::string& name, Value value) {
      for (Member& m : variables_) {
        if (m.key.str() == name) {
          m.value = value;
          return;
        }
      }
      variables_.push_back({Value::Text(name, chat::kTemplate), value});
    };
    for (const auto& [name, text] : pieces) add(name, Value::Text(text, chat::kTemplate));
    const Json* messages = json.is_array() ? &json : json.Find("messages");
    if (messages == nullptr || !messages->is_array()) throw Error(kInvalidArgument, "CASE: must be a list of messages, or an object with them");
    add(kMessages, values_.Make(*messages));
    const Json* prompt = json.Find("add_generation_prompt");
    add(kPrompt, Value::Bool(prompt == nullptr || (prompt->is_bool() && prompt->as_bool())));
    for (const std::string* name : {&kTools, &kDocuments}) {
      const Json* list = json.Find(*name);
      add(*name, list == nullptr ? Value::None() : values_.Make(*list));
    }
    const Json* more = json.Find("variables");
    if (more == nullptr || more->is_null()) return;
    if (!more->is_object()) throw Error(kInvalidArgument, "CASE: \"variables\" must be an object");
    for (const Json::Member& m : more->members()) add(m.key, values_.Make(m.value));
  }
  const std::vector<Member>& variables() const { return variables_; }

 private:
  const std::string kMessages = "messages", kPrompt = "add_generation_prompt", kTools = "tools", kDocuments = "documents";
  std::vector<Member> variables_;
  chat::JsonValues values_;
};

struct Loaded {
  std::string name, text;
  std::vector<std::pair<std::string, std::string>> pieces;  // bos_token, eos_token
  std::vector<uint8_t> program;
};

bool IsModel(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  char start[sizeof kMagic] = {};
  const size_t read = std::fread(start, 1, sizeof start, file);
  std::fclose(file);
  return read == sizeof start && std::memcmp(start, kMagic, sizeof kMagic) == 0;
}

Loaded Load(const std::string& source) {
  Loaded loaded;
  loaded.name = source;
  CheckReadable(source);
  if (IsModel(source)) {
    const Model model(source);
    loaded.text = model.info().chat_template;
    if (loaded.text.empty()) throw Error(kUnsupported, source + ": holds no chat template; give a file with Jinja text");
    if (model.info().bos >= 0) loaded.pieces.emplace_back("bos_token", model.Piece(model.info().bos));
    if (model.info().eos >= 0) loaded.pieces.emplace_back("eos_token", model.Piece(model.info().eos));
  } else {
    loaded.text = ReadFile(source);
  }
  try {
    loaded.program = chat::CompileTemplate(loaded.text);
  } catch (const chat::TemplateError& error) {
    throw Error(kUnsupported, source + ": " + error.what());
  }
  return loaded;
}

chat::Clock ClockOf(const std::string& text) {
  chat::Clock clock;
  if (text.empty()) {
    const std::time_t now = std::time(nullptr);
    std::tm local = {};
    localtime_r(&now, &local);
    return {local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec};
  }
  char end = 0;
  const int read = std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%c", &clock.year, &clock.month, &clock.day, &clock.hour, &clock.minute, &clock.second, &end);
  const bool fits = (read == 3 || read == 6) && clock.month >= 1 && clock.month <= 12 && clock.day >= 1 && clock.day <= 31 && clock.hour >= 0 &&
                    clock.hour < 24 && clock.minute >= 0 && clock.minute < 60 && clock.second >= 0 && clock.second < 61 && clock.year >= 0;
  if (!fits) throw Error(kInvalidArgument, "--now: must be a time such as 2026-11-28T10:30:00, got " + Quoted(text));
  return clock;
}

// Throws Error with the template's own words where it raises.
std::string Render(const Loaded& loaded, const Json& json, const Arguments& arguments) {
  const CaseValues values(json, loaded.pieces);
  const Result<chat::Program> program = chat::VerifyProgram(loaded.program.data(), loaded.program.size());
  chat::RenderInput input;
  input.variables = values.variables().data();
  input.count = values.variables().size();
  input.clock = ClockOf(arguments.now);
  input.most_steps = 50'000'000;
  struct Out {
    std::string text;
    bool mark;
  } out = {"", arguments.show == "data"};
  const chat::TextSink sink = {&out, [](void* user, std::string_view text, bool data) {
                                 Out& to = *static_cast<Out*>(user);
                                 if (to.mark && data) to.text += '<';
                                 to.text += text;
                                 if (to.mark && data) to.text += '>';
                               }};
  std::vector<uint64_t> memory(size_t{4} << 20);  // 32 MiB
  chat::Workspace workspace(memory.data(), memory.size() * sizeof memory[0]);
  const chat::RenderError error = chat::RenderTemplate(program.value(), input, workspace, sink);
  switch (error.kind) {
    case chat::RenderError::Kind::kNone: return out.text;
    case chat::RenderError::Kind::kRaised: throw Error(kInvalidArgument, std::string(error.what));
    case chat::RenderError::Kind::kMemory: throw Error(kOutOfMemory, loaded.name + ": " + std::string(error.what));
    default: throw Error(kInvalidArgument, loaded.name + ", line " + std::to_string(error.line) + ": " + std::string(error.what));
  }
}

Json Parse(const std::string& text, const std::string& from) {
  try {
    return ParseJson(text);
  } catch (const JsonError& error) {
    throw Error(kInvalidArgument, from + ": " + error.what());
  }
}

// How answers are read, for people.
std::string AnswerOf(const Loaded& loaded) {
  Json variables = Json::Object();
  for (const auto& [name, text] : loaded.pieces) variables[name] = text;
  const chat::DerivedAnswer derived = chat::DeriveAnswer(loaded.program, variables);
  const std::string text = chat::AnswerText(chat::VerifyAnswerFormat(derived.bytes.data(), derived.bytes.size()).value());
  return text + (derived.calls ? "" : "no calls    " + derived.why + "\n");
}

int Run(const Arguments& arguments) {
  if (arguments.show == "answer") {
    if (arguments.jsonl || !arguments.test_case.empty()) throw Error(kInvalidArgument, "--show answer is of the template alone: give no CASE");
    Print(AnswerOf(Load(arguments.source)));
    return 0;
  }
  if (arguments.jsonl != arguments.test_case.empty()) throw Error(kInvalidArgument, "give either a CASE or --jsonl");
  ClockOf(arguments.now);
  const Loaded loaded = Load(arguments.source);
  if (!arguments.jsonl) {
    Print(Render(loaded, Parse(ReadFile(arguments.test_case), arguments.test_case), arguments));
    return 0;
  }
  std::istringstream lines(ReadFile("-"));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    try {
      PrintJson({{"text", Render(loaded, Parse(line, "a line of standard input"), arguments)}});
    } catch (const Error& error) {
      PrintJson({{"error", std::string(error.what())}});
    }
  }
  return 0;
}

}  // namespace

Command AddTemplate(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app = program->add_subcommand("template", "Show what a chat template makes of a conversation");
  app->add_option("SOURCE", a->source, "A .thimble file with a chat template, or a file with Jinja text")->required()->type_name("");
  app->add_option("CASE", a->test_case, "A JSON file: messages, or an object with messages, tools, ...; - is standard input")->type_name("");
  app->add_flag("--jsonl", a->jsonl, "A case a line from standard input, a line out for each");
  app->add_option("--show", a->show, "text; data: the text with what people wrote in < >; or answer: how a model's answers are read")
      ->type_name("WHAT")
      ->default_str("text")
      ->check(CLI::IsMember({"text", "data", "answer"}));
  app->add_option("--now", a->now, "The clock that the template sees: 2026-11-28T10:30:00")->type_name("TIME");
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
