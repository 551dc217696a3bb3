// `thimble run`: continue a text. Text on standard output, everything else on standard error.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <random>

#include "targets/cli/call.h"
#include "targets/cli/chat.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/generation.h"
#include "targets/cli/input.h"
#include "targets/cli/memory_report.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"
#include "targets/cli/plan_check.h"
#include "targets/cli/plan_report.h"
#include "targets/cli/state_file.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble run stories-qmqa.thimble -p "Once upon a time"
  thimble run stories-qmqa.thimble -p "Lily had a dog." -n 80 --temp 0 -c 256 --kv q8
  thimble run smollm2-instruct.thimble --chat --system "You answer in one sentence."
  thimble run stories-qmqa.thimble -p "Lily had a dog." -n 20 --save-state lily.state
  thimble run stories-qmqa.thimble --load-state lily.state -n 40
  echo "Once upon a time" | thimble run stories-qmqa.thimble -s 7 --memory-report memory.txt

Without -p, -f and --ids the prompt is read from standard input where that is no terminal; with one of them standard input is
left alone. The text goes to standard output, statistics to standard error. Ctrl-C stops after the current token. Most options of
llama.cpp work as they do there (-m MODEL, -cnv, -sys, -r); those that change nothing here, such as -ngl, are taken and said.)";

struct Arguments {
  std::string model, memory_report, ids, save_state, load_state;
  TextArguments text;
  ChatArguments chat;
  AnswerEnds ends;
  ContextOptions context;
  Sampling sampling;
  int64_t top_k = 40, repeat_last_n = 64, seed = -1;
  bool no_display_prompt = false, special = false, json = false, force = false;
};

// What the run writes beside its text; found good or bad before there is any.
struct RunOutputs {
  std::optional<OutputFile> memory_report, state;
};

RunOutputs CheckOutputs(const Arguments& arguments) {
  OutputFiles files(arguments.force);
  files.Reads(arguments.model);
  files.Reads(arguments.text.file);
  files.Reads(arguments.chat.chat_template);
  files.Reads(arguments.load_state, OutputKind::kState);
  RunOutputs outputs;
  if (!arguments.memory_report.empty()) {
    const OutputKind kind = MemoryReportKind(arguments.memory_report);
    outputs.memory_report = files.Writes("--memory-report", arguments.memory_report, kind);
  }
  if (!arguments.save_state.empty())
    outputs.state = files.Writes("--save-state", arguments.save_state, OutputKind::kState);
  return outputs;
}

uint64_t RandomSeed() {
  std::random_device device;
  return device();
}

std::string PromptText(const TextArguments& arguments) {
  std::string text = arguments.Read();
  // As llama.cpp: editors end a file with a line break that nobody meant.
  if (!arguments.file.empty() && !text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// ", 12.3 tokens/s", or nothing where there was no step to measure.
std::string Rate(uint64_t tokens, uint64_t ns) {
  if (tokens == 0 || ns == 0) return {};
  return Format(", %.1f tokens/s", static_cast<double>(tokens) * 1e9 / static_cast<double>(ns));
}

const char* StopText(StopReason reason) {
  switch (reason) {
    case StopReason::kEnd:
      return "end of text";
    case StopReason::kLimit:
      return "-n reached";
    case StopReason::kContextFull:
      return "context full";
    case StopReason::kCancelled:
      return "cancelled";
    case StopReason::kPipeClosed:
      return "the reader went away";
  }
  return "?";
}

std::string StatisticsText(const Arguments& arguments, const thimble_sampling& sampling,
                           const Generation& result, const Plan& plan, const MemoryUse& use,
                           size_t prompt_tokens) {
  std::string text = "\n";
  text += Format("prompt     %zu tokens%s%s\n", result.prompt_tokens_done,
                 Rate(result.prompt_tokens_done, result.prefill_ns).c_str(),
                 result.prompt_tokens_done < prompt_tokens ? Format(" (of %zu)", prompt_tokens).c_str() : "");
  text += Format("generated  %zu tokens%s, %s", result.ids.size(),
                 Rate(result.ids.size(), result.decode_ns).c_str(), StopText(result.stop));
  text += sampling.temperature > 0 ? Format(", seed %llu\n", static_cast<unsigned long long>(sampling.seed))
                                   : "\n";
  text += MemoryText(plan, use);
  if (!arguments.memory_report.empty()) text += "report     " + arguments.memory_report + "\n";
  return text;
}

double PerSecond(uint64_t tokens, uint64_t ns) {
  return ns == 0 ? 0 : static_cast<double>(tokens) * 1e9 / static_cast<double>(ns);
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

Json FiguresJson(const Generation& result, const Plan& plan, uint64_t seed, const MemoryUse& use) {
  return {{"seed", seed},
          {"prompt_tokens", result.prompt_tokens_done},
          {"generated_tokens", result.ids.size()},
          {"prompt_tokens_per_second", PerSecond(result.prompt_tokens_done, result.prefill_ns)},
          {"generated_tokens_per_second", PerSecond(result.ids.size(), result.decode_ns)},
          {"arena_bytes", plan.totals.arena_bytes},
          {"mapped_bytes", plan.totals.mapped_bytes},
          {"outside_bytes", plan.totals.outside_bytes},
          {"kv_bytes_per_token", plan.totals.kv_bytes_per_token},
          {"context_tokens", plan.totals.context_tokens},
          {"threads", plan.totals.threads},
          {"kernels", plan.totals.kernels},
          {"measured", MemoryJson(use)}};
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

int RunChat(const Arguments& arguments, const RunOutputs& outputs, const Model& model, const EngineOptions& options,
            const Plan& plan) {
  Chat chat(model, arguments.chat, arguments.ends);
  const bool has_first = arguments.text.Given();
  // A file, or -p where nobody sits at the terminal, is the whole conversation.
  const bool single = has_first && (!arguments.text.file.empty() || isatty(STDIN_FILENO) == 0);
  const std::string first = has_first ? PromptText(arguments.text) : std::string();
  MemoryUse use;
  use.before = MeasureMemory();
  const ArenaBlock arena(plan.totals.arena_bytes);
  use.arena_given_bytes = arena.bytes();
  const Session session(model, options, arena.data(), arena.bytes());
  chat.Run(session.handle(), has_first ? &first : nullptr, single, arguments.json);
  use.after = MeasureMemory();
  use.arena_resident_bytes = arena.ResidentBytes();
  if (outputs.memory_report) WriteMemoryReport(*outputs.memory_report, model, options, plan, use);
  if (chat.stop() == StopReason::kPipeClosed) return 0;
  if (arguments.json) {
    Json json = {{"chat_template", chat.template_name()}, {"messages", chat.Messages()}, {"stop", StopName(chat.stop())}};
    json.Update(FiguresJson(chat.total(), plan, options.sampling.seed, use));
    PrintJson(json);
  } else {
    std::fputs(StatisticsText(arguments, options.sampling, chat.total(), plan, use, chat.total().prompt_tokens_done).c_str(),
               stderr);
  }
  return chat.exit_code();
}

int Run(Arguments arguments) {
  // A prompt that is given is all there is to read, as with llama.cpp: a script keeps its standard input.
  if (!arguments.text.Given() && arguments.ids.empty() && !arguments.chat.chat && InputIsPiped()) arguments.text.file = "-";
  arguments.chat.Check();
  arguments.ends.Check();
  if (arguments.text.has_prompt && !arguments.text.file.empty())
    throw Error(kInvalidArgument, "-p or -f: give only one of these");
  const Model model(arguments.model, arguments.context.part);
  if (!model.info().is_decoder)
    throw Error(kUnsupported, model.path() + ": is an encoder and generates no text; use `thimble logits`");
  if (!arguments.ids.empty() && (arguments.text.has_prompt || !arguments.text.file.empty()))
    throw Error(kInvalidArgument, "--ids: cannot be given together with -p or -f");
  if (arguments.ids.empty()) model.NeedTokenizer("give ids with --ids");

  EngineOptions options = arguments.context.ForModel(model);
  options.sampling = arguments.sampling;
  options.sampling.top_k = static_cast<int32_t>(arguments.top_k);
  options.sampling.repeat_last_n = static_cast<int32_t>(arguments.repeat_last_n);
  options.sampling.seed = arguments.seed < 0 ? RandomSeed() : static_cast<uint64_t>(arguments.seed);
  if (options.sampling.repeat_last_n < 0) {
    options.sampling.repeat_last_n = static_cast<int32_t>(
        options.context_tokens != 0 ? options.context_tokens : model.info().max_positions);
  }
  const Plan plan = MakePlan(model, options);
  const RunOutputs outputs = CheckOutputs(arguments);
  CheckMemory(options, plan, arguments.context.overcommit);
  CheckTrainedLength(model, plan);

  if (arguments.chat.chat) {
    if (!arguments.ids.empty()) throw Error(kInvalidArgument, "--ids: cannot be given together with --chat");
    if (!arguments.save_state.empty() || !arguments.load_state.empty())
      throw Error(kInvalidArgument, "--save-state and --load-state: cannot be given together with --chat");
    return RunChat(arguments, outputs, model, options, plan);
  }

  const std::string prompt = arguments.ids.empty() ? PromptText(arguments.text) : std::string();
  const bool goes_on = !arguments.load_state.empty();
  const int flags = (goes_on ? 0 : int{THIMBLE_ADD_BOS}) | (arguments.special ? int{THIMBLE_PARSE_SPECIAL} : 0);
  std::vector<int32_t> ids;
  if (!arguments.ids.empty()) {
    ids = ParseIds(arguments.ids, "--ids");
  } else if (!goes_on || !prompt.empty()) {
    ids = model.Tokenize(prompt, static_cast<uint32_t>(flags));
  }
  if (!goes_on) CheckPrompt(model, ids, plan, 0);

  MemoryUse use;
  use.before = MeasureMemory();
  const ArenaBlock arena(plan.totals.arena_bytes);
  use.arena_given_bytes = arena.bytes();
  const Session session(model, options, arena.data(), arena.bytes());
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
  use.arena_resident_bytes = arena.ResidentBytes();
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
  app->add_option("--memory-report", a->memory_report,
                  "Write the plan in full and the measured peaks (JSON if it ends in .json)")
      ->type_name("FILE");

  app->add_flag("--force", a->force, "--memory-report and --save-state may replace files of other kinds; never what is read");
  app->add_option("--save-state", a->save_state, "At the end write what the context holds, to go on from it")
      ->type_name("FILE");
  app->add_option("--load-state", a->load_state,
                  "Go on from such a file; -p, if given, is added. Same model file, --kv, --window and --sinks")
      ->type_name("FILE");

  a->chat.Add(app);
  const char* kGroup = "Sampling";
  AddReal(app, "--temp,--temperature", &a->sampling.temperature, 0, 1000,
          "Temperature; 0 = always the best token")
      ->default_str("0.8")
      ->group(kGroup);
  AddInteger(app, "--top-k", &a->top_k, 0, INT32_MAX, "Keep the k best; 0 = off")
      ->default_str("40")
      ->group(kGroup);
  AddReal(app, "--top-p", &a->sampling.top_p, 0, 1, "Keep the best that make up this probability; 1 = off")
      ->default_str("0.95")
      ->group(kGroup);
  AddReal(app, "--min-p", &a->sampling.min_p, 0, 1,
          "Keep what is at least this fraction of the best; 0 = off")
      ->default_str("0.05")
      ->group(kGroup);
  AddReal(app, "--repeat-penalty", &a->sampling.repeat_penalty, 0.01, 100, "Against repetition; 1 = off")
      ->default_str("1")
      ->group(kGroup);
  AddInteger(app, "--repeat-last-n", &a->repeat_last_n, -1, 1 << 20,
             "Tokens that it looks back; 0 = off, -1 = the context")
      ->default_str("64")
      ->group(kGroup);
  AddInteger(app, "-s,--seed", &a->seed, -1, UINT32_MAX, "Seed of the sampler; -1 = a random one")
      ->default_str("-1")
      ->group(kGroup);
  a->context.Add(app);
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
