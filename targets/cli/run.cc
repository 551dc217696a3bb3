// `thimble run`: continue a text. Text on standard output, everything else on standard error.
#include <cstdio>
#include <memory>
#include <optional>

#include "targets/cli/call.h"
#include "targets/cli/chat/chat_command.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/generation.h"
#include "targets/cli/input.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"
#include "targets/cli/plan_check.h"
#include "targets/cli/run_arguments.h"
#include "targets/cli/state_file.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble run stories-qmqa.thimble -p "Once upon a time"
  thimble run stories-qmqa.thimble -p "Lily had a dog." -n 80 --temp 0 -c 256 --kv q8
  thimble run smollm2-instruct.thimble --chat --system "You answer in one sentence."     (as `thimble chat`)
  thimble run stories-qmqa.thimble -p "Lily had a dog." -n 20 --save-state lily.state
  thimble run stories-qmqa.thimble --load-state lily.state -n 40
  echo "Once upon a time" | thimble run stories-qmqa.thimble -s 7 --memory-report memory.txt

Without -p, -f and --ids the prompt is read from standard input where that is no terminal; with one of them standard input is
left alone. The text goes to standard output, statistics to standard error. Ctrl-C stops after the current token. Most options of
llama.cpp work as they do there (-m MODEL, -cnv, -sys, -r); those that change nothing here, such as -ngl, are taken and said.)";

struct Arguments : RunArguments {
  std::string ids, save_state, load_state;
  ChatArguments chat;
  bool no_display_prompt = false, special = false;
};

// What the run writes beside its text; found good or bad before there is any.
struct RunOutputs {
  std::optional<OutputFile> memory_report, state;
};

RunOutputs CheckOutputs(const Arguments& arguments) {
  OutputFiles files(arguments.force);
  files.Reads(arguments.model);
  files.Reads(arguments.text.file);
  files.Reads(arguments.load_state, OutputKind::kState);
  RunOutputs outputs;
  outputs.memory_report = CheckMemoryReport(&files, arguments);
  if (!arguments.save_state.empty())
    outputs.state = files.Writes("--save-state", arguments.save_state, OutputKind::kState);
  return outputs;
}

// `before`: tokens that are in the context already.
void CheckPrompt(const Model& model, const std::vector<int32_t>& ids, const Plan& plan, size_t before) {
  if (ids.empty() && before == 0)
    throw Error(kInvalidArgument, "-p: the prompt is empty, and this model has no token that begins a text");
  const size_t capacity = plan.totals.context_tokens;
  if (before + ids.size() <= capacity) return;
  std::string message = before == 0 ? Format("the prompt has %zu tokens and the context only %zu", ids.size(), capacity)
                                    : Format("the state has %zu tokens, the prompt %zu and the context only %zu", before,
                                             ids.size(), capacity);
  message += capacity < model.info().max_positions ? Format("; -c takes up to %u", model.info().max_positions)
                                                   : "; this model takes no longer one";
  throw Error(kContextFull, message);
}

// Where the text was cancelled the last id was shown and not read: what goes on from the state is to know it. Returns what to
// say about it.
std::string SaveState(const std::optional<OutputFile>& file, thimble_session* session, size_t before,
                      const Generation& result) {
  if (!file) return {};
  const size_t shown = before + result.prompt_tokens_done + result.ids.size();
  if (thimble_position(session) < shown && thimble_position(session) < thimble_capacity(session))
    Check(Append(session, result.ids.back()));
  const uint64_t bytes = WriteStateFile(session, *file);
  return Format("state      %zu tokens, %s bytes in %s\n", thimble_position(session), Thousands(bytes).c_str(),
                file->path().c_str());
}

int Run(Arguments arguments) {
  // A prompt that is given is all there is to read, as with llama.cpp: a script keeps its standard input.
  if (!arguments.text.Given() && arguments.ids.empty() && !arguments.chat.chat && InputIsPiped()) arguments.text.file = "-";
  arguments.chat.Check();
  if (arguments.chat.chat) {
    if (!arguments.ids.empty()) throw Error(kInvalidArgument, "--ids: cannot be given together with --chat");
    if (!arguments.save_state.empty() || !arguments.load_state.empty())
      throw Error(kInvalidArgument, "--save-state and --load-state: cannot be given together with --chat");
    return RunChat(arguments, arguments.chat);
  }
  arguments.ends.Check();
  if (arguments.text.has_prompt && !arguments.text.file.empty())
    throw Error(kInvalidArgument, "-p or -f: give only one of these");
  const Model model(arguments.model, arguments.context.part);
  if (!model.info().is_decoder)
    throw Error(kUnsupported, model.path() + ": is an encoder and generates no text; use `thimble logits`");
  if (!arguments.ids.empty() && (arguments.text.has_prompt || !arguments.text.file.empty()))
    throw Error(kInvalidArgument, "--ids: cannot be given together with -p or -f");
  if (arguments.ids.empty()) model.NeedTokenizer("give ids with --ids");

  const EngineOptions options = arguments.ForModel(model);
  const Plan plan = MakePlan(model, options);
  const RunOutputs outputs = CheckOutputs(arguments);
  MemoryUse use;
  use.file_without_room = CheckMemory(model, options, arguments.context.overcommit);
  CheckTrainedLength(model, plan);

  const std::string prompt = arguments.ids.empty() ? arguments.PromptText() : std::string();
  const bool goes_on = !arguments.load_state.empty();
  const int flags = (goes_on ? 0 : int{THIMBLE_ADD_BOS}) | (arguments.special ? int{THIMBLE_PARSE_SPECIAL} : 0);
  std::vector<int32_t> ids;
  if (!arguments.ids.empty()) {
    ids = ParseIds(arguments.ids, "--ids");
  } else if (!goes_on || !prompt.empty()) {
    ids = model.Tokenize(prompt, static_cast<uint32_t>(flags));
  }
  if (!goes_on) CheckPrompt(model, ids, plan, 0);

  use.before = MeasureMemory();
  const Session session(model, options);
  use.loaded = MeasureMemory();
  if (goes_on) {
    ReadStateFile(session.handle(), arguments.load_state);
    CheckPrompt(model, ids, plan, thimble_position(session.handle()));
  }
  const size_t before = thimble_position(session.handle());

  std::string text;
  const bool echo = !arguments.no_display_prompt && !arguments.json;
  if (echo) Print(prompt);
  Sized<thimble_generation> input;
  input.ids = ids.data();
  input.id_count = ids.size();
  const Generation result = Generate(session.handle(), model, input, arguments.ends, [&](std::string_view piece) {
    if (arguments.json) {
      text += piece;
    } else {
      Print(piece);
    }
  });
  use.after = MeasureMemory();
  use.arena_resident_bytes = session.ResidentArenaBytes();
  if (outputs.memory_report) WriteMemoryReport(*outputs.memory_report, model, options, plan, use);
  const std::string state = SaveState(outputs.state, session.handle(), before, result);
  if (result.stop == StopReason::kPipeClosed) return 0;

  if (arguments.json) {
    Json json = {{"prompt", prompt},
                 {"text", text},
                 {"prompt_ids", ids},
                 {"ids", result.ids},
                 {"stop", StopName(result.stop)},
                 {"position", thimble_position(session.handle())}};
    json.Update(FiguresJson(result, plan, options.sampling.seed, use));
    PrintJson(json);
  } else {
    Print("\n");
    std::fputs((StatisticsText(arguments, options.sampling, result, plan, use, ids.size()) + state).c_str(), stderr);
  }
  return result.stop == StopReason::kCancelled ? kExitCancelled : 0;
}

}  // namespace

Command AddRun(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app = program->add_subcommand("run", "Continue a text");
  app->add_option("MODEL", a->model, "A .thimble file")->required()->type_name("");
  a->text.Add(app);
  a->ends.Add(app);
  a->text.AddEscapes(app);
  app->add_option("--ids", a->ids, "The prompt as ids; without a tokenizer the answer is ids, too")->type_name("LIST");
  app->add_flag("--special", a->special, "Read control tokens written in the prompt as tokens");
  app->add_flag("--no-display-prompt", a->no_display_prompt, "Print the continuation only");
  app->add_flag("--json", a->json, "One JSON object on standard output at the end, nothing else");
  a->AddMemoryReport(app);
  app->add_flag("--force", a->force, "--memory-report and --save-state may replace files of other kinds; never what is read");
  app->add_option("--save-state", a->save_state, "At the end write what the context holds, to go on from it")
      ->type_name("FILE");
  app->add_option("--load-state", a->load_state,
                  "Go on from such a file; -p, if given, is added. Same model file, --kv, --window and --sinks")
      ->type_name("FILE");

  a->chat.Add(app, true);
  a->AddSampling(app);
  a->context.Add(app);
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
