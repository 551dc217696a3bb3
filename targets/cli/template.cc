// `thimble template`: what a chat template makes of a conversation.
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "format/container.h"
#include "runtime/template/program.h"
#include "targets/cli/call.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/template_source.h"
#include "targets/json/json.h"
#include "targets/template/derive.h"
#include "targets/template/known_texts.h"
#include "targets/template/print_program.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble template model.thimble conversation.json --now 2026-11-28T10:30:00
  thimble template model.thimble conversation.json --show ids
  thimble template chat_template.jinja conversation.json
  thimble template model.thimble --jsonl < cases.jsonl
  thimble template chatml --show program
  thimble template model.thimble --show answer

CASE is a list of messages, or an object with messages, tools, documents, add_generation_prompt (true where it is
missing), continue_final_message and variables, an object with whatever else the template asks for. With --jsonl one
case a line is read from standard input, and for each a line is written: {"text": ...}, {"ids": ...} or {"error": ...}.
--show data marks with < > what people wrote, which never becomes a special token.)";

struct Arguments {
  std::string source, test_case, chat_template, show = "text", now;
  bool jsonl = false;
};

bool IsModel(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  char start[sizeof kMagic] = {};
  const size_t read = std::fread(start, 1, sizeof start, file);
  std::fclose(file);
  return read == sizeof start && std::memcmp(start, kMagic, sizeof kMagic) == 0;
}

class Renderer {
 public:
  explicit Renderer(const Arguments& arguments) : arguments_(arguments) {
    const bool is_model = chat::FindKnownText(arguments.source) == nullptr && IsModel(arguments.source);
    if (is_model) model_.emplace(arguments.source);
    if (arguments.show == "ids" && !is_model) throw Error(kInvalidArgument, "--show ids: needs a model");
    if (arguments.show == "ids") model_->NeedTokenizer("--show text needs none");
    // What a template is given of a tokenizer a case can say as well: "variables": {"bos_token": "<s>"}.
    if (!is_model) program_ = CompileChatTemplate(arguments.source);
    else if (!arguments.chat_template.empty()) program_ = OfModelOrFile(arguments.chat_template);
    else ChatProgramOf(*model_, "");  // says where there is none
  }

  // As what is shown; throws the template's own words where it raises.
  Json Show(const std::string& json) const {
    Sized<thimble_conversation> c;
    c.json = json.data();
    c.json_bytes = json.size();
    c.now = arguments_.now.empty() ? nullptr : arguments_.now.c_str();
    c.program = program_.empty() ? nullptr : program_.data();
    c.program_bytes = program_.size();
    return arguments_.show == "ids" ? Ids(c) : Text(c);
  }
  // For people: the program as a tree, and how answers are read.
  std::string Program() const {
    const std::vector<uint8_t> bytes = program_.empty() ? ChatProgramOf(*model_, "") : program_;
    return chat::PrintProgram(chat::VerifyProgram(bytes.data(), bytes.size()).value());
  }
  std::string Answer() const {
    // Without a model <s> and </s> stand for a tokenizer's pieces.
    Json variables = model_ ? Json::Object() : Json{{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    if (model_ && model_->info().bos >= 0) variables["bos_token"] = model_->Piece(model_->info().bos);
    if (model_ && model_->info().eos >= 0) variables["eos_token"] = model_->Piece(model_->info().eos);
    const chat::DerivedAnswer derived = chat::DeriveAnswer(program_.empty() ? ChatProgramOf(*model_, "") : program_, variables);
    const std::string text = chat::AnswerText(chat::VerifyAnswerFormat(derived.bytes.data(), derived.bytes.size()).value());
    return text + (derived.why.empty() ? "" : (derived.calls ? "but         " : "no calls    ") + derived.why + "\n");
  }
  std::string Piece(int32_t id) const { return model_->Piece(id); }

 private:
  std::vector<uint8_t> OfModelOrFile(const std::string& name) const {
    Sized<thimble_chat_template> t;
    for (uint32_t i = 0; i == 0 || i < t.count; ++i) {
      Check(Call(thimble_chat_get_template, model_->handle(), i, &t));
      if (name == t.name) return ChatProgramOf(*model_, name);
    }
    return CompileChatTemplate(name);
  }
  Json Ids(const thimble_conversation& c) const {
    std::vector<int32_t> ids(1024);
    for (;;) {
      size_t count = 0;
      const thimble_error error = Call(thimble_chat_tokenize, model_->handle(), &c, nullptr, size_t{0}, ids.data(), ids.size(), &count);
      const bool again = error.code == THIMBLE_BUFFER_TOO_SMALL && count > ids.size();
      if (!again) Check(error);
      ids.resize(count);
      if (again) continue;
      Json list = Json::Array();
      for (const int32_t id : ids) list.Push(id);
      return list;
    }
  }
  Json Text(const thimble_conversation& c) const {
    const thimble_model* handle = model_ ? model_->handle() : nullptr;
    std::string text(1 << 14, 0);
    std::vector<uint8_t> data;
    for (;;) {
      size_t bytes = 0;
      data.resize(text.size());
      const thimble_error error = Call(thimble_chat_render, handle, &c, nullptr, size_t{0}, text.data(), data.data(), text.size(), &bytes);
      const bool raised = error.code == THIMBLE_TEMPLATE_RAISED;
      const bool again = (error.code == THIMBLE_BUFFER_TOO_SMALL || raised) && bytes > text.size();
      if (!again && !raised) Check(error);
      text.resize(bytes);
      if (again) continue;
      if (raised) throw Error(error.code, text);
      break;
    }
    if (arguments_.show == "text") return text;
    std::string marked;
    for (size_t i = 0; i < text.size(); ++i) {
      if (data[i] != 0 && (i == 0 || data[i - 1] == 0)) marked += '<';
      marked += text[i];
      if (data[i] != 0 && (i + 1 == text.size() || data[i + 1] == 0)) marked += '>';
    }
    return marked;
  }

  const Arguments& arguments_;
  std::optional<Model> model_;
  std::vector<uint8_t> program_;  // empty: the model's own
};

// A terminal gets what a template raises on one line.
Json ShowOnce(const Renderer& renderer, const std::string& json) {
  try {
    return renderer.Show(json);
  } catch (const Error& error) {
    std::string line = error.what();
    for (char& c : line) c = static_cast<unsigned char>(c) < ' ' || c == 0x7f ? ' ' : c;
    throw Error(error.code, line);
  }
}

int Run(const Arguments& arguments) {
  const bool alone = arguments.show == "program" || arguments.show == "answer";
  if (alone && arguments.jsonl) throw Error(kInvalidArgument, "--show " + arguments.show + " is of the template alone: give no --jsonl");
  if (!alone && arguments.jsonl != arguments.test_case.empty()) throw Error(kInvalidArgument, "give either a CASE or --jsonl");
  const Renderer renderer(arguments);
  if (alone) {
    Print(arguments.show == "program" ? renderer.Program() : renderer.Answer());
    return 0;
  }
  if (!arguments.jsonl) {
    const Json shown = ShowOnce(renderer, ReadFile(arguments.test_case));
    if (shown.is_text()) {
      Print(shown.as_text());
    } else {
      std::string lines;
      for (const Json& id : shown.items()) {
        lines += Format("%7lld  %s\n", static_cast<long long>(id.as_signed()), Quoted(renderer.Piece(static_cast<int32_t>(id.as_signed()))).c_str());
      }
      Print(lines);
    }
    return 0;
  }
  std::istringstream lines(ReadFile("-"));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    try {
      PrintJson({{arguments.show == "ids" ? "ids" : "text", renderer.Show(line)}});
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
  app->add_option("SOURCE", a->source, "A .thimble file with a chat template, a file of Jinja, or one of " + chat::KnownTextNames())
      ->required()
      ->type_name("");
  app->add_option("CASE", a->test_case, "A JSON file: messages, or an object with messages, tools, ...; - is standard input")->type_name("");
  app->add_flag("--jsonl", a->jsonl, "A case a line from standard input, a line out for each");
  app->add_option("--chat-template", a->chat_template, "Another than the model's first: one of its own by name, or as SOURCE")->type_name("NAME|FILE");
  app->add_option("--show", a->show, "text; data: the text with what people wrote in < >; ids: those of a model with their pieces; and of the template, whatever the CASE: "
                  "program, what it was compiled to, and answer, how a model's answers are read")
      ->type_name("WHAT")
      ->default_str("text")
      ->check(CLI::IsMember({"text", "data", "ids", "program", "answer"}));
  app->add_option("--now", a->now, "The clock that the template sees: 2026-11-28T10:30:00")->type_name("TIME");
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
