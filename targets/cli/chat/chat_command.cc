#include "targets/cli/chat/chat_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "targets/cli/chat/chat.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/output.h"
#include "targets/cli/plan_check.h"
#include "targets/template/known_texts.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble chat smollm2.thimble
  thimble chat smollm2.thimble --system "You answer in one sentence." --kv q8 -c 2048
  thimble chat smollm2.thimble -p "What is the capital of France?" --temp 0 < /dev/null
  thimble chat model.thimble --tools tools.json --hide-reasoning
  printf '%s\n' "Hello" "/save hello.json" | thimble chat smollm2.thimble

At a terminal lines are edited and remembered; /help shows the commands, Tab completes them, Ctrl-C stops an answer, Ctrl-D is the
end. Elsewhere each line of standard input is a message or a command, and a command that does not exist ends it. Answers go to
standard output, everything else to standard error; NO_COLOR=1 switches colours off.)";

ChatSetup SetupOf(const RunArguments& arguments, const ChatArguments& chat, const EngineOptions& options) {
  ChatSetup setup;
  setup.chat_template = chat.chat_template;
  setup.settings.sampling = options.sampling;
  setup.settings.ends = arguments.ends;
  setup.settings.hide_reasoning = chat.hide_reasoning;
  setup.single_turn = chat.single_turn;
  setup.multiline = chat.multiline;
  setup.silent = arguments.json;
  setup.terminal = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 && !arguments.json;
  setup.history = setup.terminal && !chat.no_history ? HistoryPath() : std::string();
  if (!chat.tools.empty()) setup.conversation.SetTools(ToolsText(ReadFile(chat.tools), chat.tools));
  if (!chat.system.empty()) setup.conversation.SetSystem(chat.system);
  return setup;
}

}  // namespace

void ChatArguments::Add(CLI::App* app, bool flag) {
  const char* kGroup = "Chat";
  if (flag) {
    app->add_flag("--chat,--conversation", chat, "A conversation, as `thimble chat`: a line of standard input is a message. With -p and an "
                                                 "input that is no terminal: one answer")
        ->group(kGroup);
  }
  app->add_option("--system,--system-prompt", system, "What the model is told before the first message")
      ->type_name("TEXT")
      ->group(kGroup);
  app->add_option("--tools", tools, "A JSON file with functions that the model may call; what a call gives is asked for")
      ->type_name("FILE")
      ->group(kGroup);
  app->add_flag("--hide-reasoning", hide_reasoning, "Do not show what the model thinks before it answers")->group(kGroup);
  app->add_flag("--single-turn", single_turn, "One answer, and no more")->group(kGroup);
  app->add_flag("--multiline-input", multiline, "A message ends at a line that ends with a \\; else such a line goes on in the next one")
      ->group(kGroup);
  app->add_flag("--no-history", no_history, "Neither read nor write the file of earlier lines")->group(kGroup);
  app->add_option("--park", park, "Where /trim 4 writes the conversation: the files PATH.0 and PATH.1, in turns")->type_name("PATH")->group(kGroup);
  app->add_option("--chat-template", chat_template,
                  "Another template: a file with Jinja text, or one of " + chat::KnownTextNames())
      ->type_name("NAME|FILE")
      ->group(kGroup);
}

void ChatArguments::Check() const {
  if (chat) return;
  const auto needs = [](bool given, const char* option) {
    if (given) throw Error(kInvalidArgument, std::string(option) + ": needs --chat");
  };
  needs(!system.empty(), "--system");
  needs(!chat_template.empty(), "--chat-template");
  needs(!tools.empty(), "--tools");
  needs(!park.empty(), "--park");
  needs(single_turn, "--single-turn");
  needs(multiline, "--multiline-input");
  needs(hide_reasoning, "--hide-reasoning");
}

int RunChat(const RunArguments& arguments, const ChatArguments& chat_arguments) {
  arguments.ends.Check();
  if (arguments.text.has_prompt && !arguments.text.file.empty())
    throw Error(kInvalidArgument, "-p or -f: give only one of these");
  const Model model(arguments.model, arguments.context.part);
  if (!model.info().is_decoder)
    throw Error(kUnsupported, model.path() + ": is an encoder and generates no text; use `thimble logits`");
  model.NeedTokenizer({});
  EngineOptions options = arguments.ForModel(model);
  if (!chat_arguments.park.empty()) options.park = chat_arguments.park.c_str();
  const Plan plan = MakePlan(model, options);
  OutputFiles files(arguments.force);
  for (const std::string& path : {arguments.model, arguments.text.file, chat_arguments.chat_template, chat_arguments.tools}) files.Reads(path);
  const std::optional<OutputFile> memory_report = CheckMemoryReport(&files, arguments);
  MemoryUse use;
  use.file_without_room = CheckMemory(model, options, arguments.context.overcommit);
  CheckTrainedLength(model, plan);

  Chat chat(model, options, plan, SetupOf(arguments, chat_arguments, options));
  const bool has_first = arguments.text.Given();
  // A file, or -p where nobody sits at the terminal, is the whole conversation.
  const bool single = has_first && (!arguments.text.file.empty() || isatty(STDIN_FILENO) == 0);
  const std::string first = has_first ? arguments.PromptText() : std::string();
  use.before = MeasureMemory();
  const Session session(model, options);
  use.loaded = MeasureMemory();
  chat.Run(session.handle(), has_first ? &first : nullptr, single);
  use.after = MeasureMemory();
  // What was given back was there before.
  use.loaded.anonymous_bytes = std::max(use.loaded.anonymous_bytes, chat.before_trims().anonymous_bytes);
  use.loaded.resident_file_bytes = std::max(use.loaded.resident_file_bytes, chat.before_trims().resident_file_bytes);
  use.arena_resident_bytes = session.ResidentArenaBytes();
  if (memory_report) WriteMemoryReport(*memory_report, model, options, plan, use);
  if (chat.total().stop == StopReason::kPipeClosed) return 0;
  if (arguments.json) {
    Json json = chat.conversation().ToJson();
    json["chat_template"] = chat.template_name();
    json["answers"] = chat.answers();
    json["stop"] = StopName(chat.total().stop);
    json.Update(FiguresJson(chat.total(), plan, options.sampling.seed, use));
    PrintJson(json);
  } else {
    std::fputs(StatisticsText(arguments, options.sampling, chat.total(), plan, use, chat.total().prompt_tokens_done).c_str(), stderr);
  }
  return chat.exit_code();
}

Command AddChat(CLI::App* program) {
  struct Arguments {
    RunArguments run;
    ChatArguments chat;
  };
  auto arguments = std::make_shared<Arguments>();
  RunArguments* a = &arguments->run;
  CLI::App* app = program->add_subcommand("chat", "Talk with a model");
  app->add_option("MODEL", a->model, "A .thimble file with a chat template")->required()->type_name("");
  a->text.Add(app);
  a->ends.Add(app);
  a->text.AddEscapes(app);
  app->add_flag("--json", a->json, "One JSON object on standard output at the end, nothing else");
  a->AddMemoryReport(app);
  app->add_flag("--force", a->force, "--memory-report may replace a file of another kind; never what is read");
  arguments->chat.Add(app, false);
  a->AddSampling(app);
  a->context.Add(app);
  app->footer(kFooter);
  return {app, [arguments] { return RunChat(arguments->run, arguments->chat); }};
}

}  // namespace thimble::cli
