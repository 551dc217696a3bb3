// Each turn gives the library the whole conversation: the model sees exactly what the template says, whatever it generated before,
// and reads only what the context does not hold already.
#include "targets/cli/chat/chat.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "targets/cli/call.h"
#include "targets/cli/chat/answer_view.h"
#include "targets/cli/chat/terminal.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"
#include "targets/cli/plan_report.h"
#include "targets/cli/run_arguments.h"
#include "targets/cli/template_source.h"
#include "targets/template/derive.h"

namespace thimble::cli {
namespace {

constexpr int kExitRunLimit = 7;

// A conversation as the library takes it.
struct LibraryConversation : Sized<thimble_conversation> {
  LibraryConversation(const Conversation& conversation, const std::vector<uint8_t>& own_program, const std::vector<uint8_t>& own_answer)
      : text(JsonText(conversation.ToJson())), tools_text(conversation.tools()) {
    json = text.c_str(), json_bytes = text.size();
    if (!tools_text.empty()) tools = tools_text.c_str();
    if (own_program.empty()) return;
    program = own_program.data(), program_bytes = own_program.size();
    if (!own_answer.empty()) answer = own_answer.data(), answer_bytes = own_answer.size();
  }
  LibraryConversation(const LibraryConversation&) = delete;
  LibraryConversation& operator=(const LibraryConversation&) = delete;

  const std::string text, tools_text;
};

// As a shell reads it.
std::string PathOf(const std::string& typed) {
  const char* home = std::getenv("HOME");
  return typed.starts_with("~/") && home != nullptr ? home + typed.substr(1) : typed;
}

}  // namespace

Chat::Chat(const Model& model, const EngineOptions& options, const Plan& plan, ChatSetup setup)
    : model_(model), options_(options), plan_(plan), template_name_(setup.chat_template), settings_(std::move(setup.settings)),
      conversation_(std::move(setup.conversation)), single_turn_(setup.single_turn), multiline_(setup.multiline), silent_(setup.silent),
      terminal_(setup.terminal), coloured_(setup.terminal && HasColours(STDERR_FILENO)),
      editor_({.terminal = setup.terminal, .coloured = coloured_, .history = setup.history, .words = CommandWords()}) {
  if (!template_name_.empty()) {
    program_ = CompileChatTemplate(template_name_);
    Json pieces = Json::Object();
    if (model.info().bos >= 0) pieces["bos_token"] = model.Piece(model.info().bos);
    if (model.info().eos >= 0) pieces["eos_token"] = model.Piece(model.info().eos);
    answer_format_ = chat::DeriveAnswer(program_, pieces).bytes;
    return;
  }
  ChatProgramOf(model, {});  // says where there is none
  Sized<thimble_chat_template> own;
  Check(Call(thimble_chat_get_template, model.handle(), uint32_t{0}, static_cast<thimble_chat_template*>(&own)));
  template_name_ = own.name;
}

void Chat::Note(const std::string& text) const { std::fprintf(stderr, "%s\n", Styled(text, Look::kDim, coloured_).c_str()); }

void Chat::Banner() const {
  const thimble_plan& p = plan_.totals;
  std::fprintf(stderr, "%s  %s, template %s\n", Styled(std::string("thimble ") + thimble_version(), Look::kBold, coloured_).c_str(),
               std::filesystem::path(model_.path()).filename().c_str(), template_name_.c_str());
  Note(Format("plan  %s arena, exact, and %s mapped; %s tokens of context, %s bytes each (%s); %u %s, %s", HumanBytes(p.arena_bytes).c_str(),
              HumanBytes(p.mapped_bytes).c_str(), Thousands(p.context_tokens).c_str(), Thousands(p.kv_bytes_per_token).c_str(),
              CacheName(options_).c_str(), p.threads, p.threads == 1 ? "thread" : "threads", p.kernels));
  Note("/help shows the commands; Ctrl-C stops an answer, Ctrl-D is the end");
}

// As llama.cpp reads them: a line whose end is a backslash goes on in the next one, or, with `multiline`, is the last one.
LineResult Chat::ReadMessage(std::string* message) {
  message->clear();
  std::string line;
  for (bool any = false;; any = true) {
    const LineResult result = editor_.Read(any ? "… " : "> ", &line);
    if (result == LineResult::kInterrupted) return result;
    if (result == LineResult::kEnd) return message->empty() ? LineResult::kEnd : LineResult::kLine;
    if (any) message->push_back('\n');
    const bool command = !any && IsCommand(line);
    const bool backslash = !line.empty() && line.back() == '\\' && !command;
    if (backslash) line.pop_back();
    *message += line;
    if (command || backslash == multiline_) return LineResult::kLine;
  }
}

void Chat::Run(thimble_session* session, const std::string* first, bool single) {
  session_ = session;
  if (terminal_) {
    GoOnAfterInterrupts();
    Banner();
  }
  if (first != nullptr && (Say(*first) == Next::kEnd || single || single_turn_)) return;
  std::string line;
  while (true) {
    const LineResult result = ReadMessage(&line);
    if (result == LineResult::kEnd) return;
    if (result == LineResult::kInterrupted) {
      if (terminal_ && !Terminated()) {
        ForgetInterrupt();
        continue;
      }
      exit_code_ = kExitCancelled;
      return;
    }
    if (terminal_) ForgetInterrupt();  // one that came before the line's end meant what stood there then
    if (line.empty()) continue;
    const size_t answers = answer_count_;
    if (Line(line) == Next::kEnd || (single_turn_ && answer_count_ > answers)) return;
  }
}

// A person is told what is wrong and goes on; a script ends.
Chat::Next Chat::Line(const std::string& line) {
  editor_.Remember(line);
  try {
    return IsCommand(line) ? Do(ParseCommand(line)) : Say(std::string(MessageOf(line)));
  } catch (const Error& error) {
    if (!terminal_) throw;
    std::fprintf(stderr, "%s\n", Styled(error.what(), Look::kBad, coloured_).c_str());
    return Next::kGoOn;
  }
}

Chat::Next Chat::Do(const ChatCommand& command) {
  std::string said;
  switch (command.verb) {
    case Verb::kHelp:
      std::fputs(CommandHelp().c_str(), stderr);
      break;
    case Verb::kReset:
      conversation_.Reset();
      Note(conversation_.system().empty() ? "forgotten" : "forgotten, but for the system's words");
      break;
    case Verb::kUndo:
      if (!conversation_.Undo(&said)) throw Error(kInvalidArgument, "/undo: nothing was said yet");
      Note("taken back: " + Quoted(said));
      break;
    case Verb::kRetry:
      if (!conversation_.UndoAnswer()) throw Error(kInvalidArgument, "/retry: nothing was said yet");
      return Answer();
    case Verb::kSave:
      Save(PathOf(command.argument));
      break;
    case Verb::kLoad:
      Load(PathOf(command.argument));
      break;
    case Verb::kStats:
      Stats();
      break;
    case Verb::kPlan:
      std::fputs(PlanText(model_, options_, plan_).c_str(), stderr);
      break;
    case Verb::kTrim:
      Trim(command.argument);
      break;
    case Verb::kSystem:
      if (!command.argument.empty()) conversation_.SetSystem(command.argument);
      Note("system: " + (conversation_.system().empty() ? std::string("nothing; /system TEXT tells the model something first")
                                                        : Quoted(conversation_.system())));
      break;
    case Verb::kSet:
      Set(command.argument);
      break;
    case Verb::kQuit:
      return Next::kEnd;
  }
  return Next::kGoOn;
}

void Chat::Set(const std::string& assignment) {
  if (assignment.empty()) {
    std::fputs(settings_.Text().c_str(), stderr);
    return;
  }
  ChatSettings changed = settings_;
  if (changed.Set(assignment)) {
    const thimble_error error = Call(thimble_set_sampling, session_, static_cast<const thimble_sampling*>(&changed.sampling));
    if (error.code == kOutOfRange)
      throw Error(kOutOfRange, std::string("/set: ") + error.message + "; memory is planned for the --top-k and --repeat-last-n of the start");
    Check(error);
  }
  settings_ = changed;
}

void Chat::Trim(const std::string& level) {
  const int64_t number = ParseInteger(level, 1, INT32_MAX, "/trim");
  const ProcessMemory now = MeasureMemory();
  before_trims_.anonymous_bytes = std::max(before_trims_.anonymous_bytes, now.anonymous_bytes);
  before_trims_.resident_file_bytes = std::max(before_trims_.resident_file_bytes, now.resident_file_bytes);
  Sized<thimble_trimmed> given;
  const thimble_error error = Call(thimble_trim, thimble_session_engine(session_), static_cast<int32_t>(number), static_cast<thimble_trimmed*>(&given));
  if (error.code == kWrongState)
    throw Error(kWrongState, "/trim " + level + (number == THIMBLE_TRIM_CACHE ? ": needs rows that may have fewer bits; --kv-min q8 or q4 says so at the start"
                                                                              : ": needs a file for the conversation; --park FILE names one at the start"));
  Check(error, "/trim");
  Note(Format("given back: %s anonymous, %s of files", HumanBytes(given.anonymous_bytes).c_str(), HumanBytes(given.file_backed_bytes).c_str()) +
       (given.parked_bytes == 0 ? "" : "; the conversation lies in a file, " + HumanBytes(given.parked_bytes)));
}

void Chat::Save(const std::string& path) const {
  OutputFiles files(false);
  files.Reads(model_.path());
  files.Writes("/save", path, OutputKind::kConversation).Write(JsonText(conversation_.ToJson(), 1) + "\n");
  Note(Format("%zu messages in %s", conversation_.messages().size(), path.c_str()));
}

void Chat::Load(const std::string& path) {
  CheckReadable(path);
  Json json;
  try {
    json = ParseJson(ReadFile(path));
  } catch (const JsonError& error) {
    throw Error(kInvalidArgument, path + ": " + error.what());
  }
  conversation_ = Conversation::FromJson(json, path);
  Note(Format("%zu messages; they are read with your next one", conversation_.messages().size()));
}

void Chat::Stats() const {
  const auto line = [&](const char* name, const Generation& g) {
    std::fprintf(stderr, "  %-9s %zu tokens read%s; %zu generated%s\n", name, g.prompt_tokens_done,
                 RateText(g.prompt_tokens_done, g.prefill_ns).c_str(), g.ids.size(), RateText(g.ids.size(), g.decode_ns).c_str());
  };
  std::fprintf(stderr, "  %-9s %s of %s tokens, %zu turns\n", "context", Thousands(thimble_position(session_)).c_str(),
               Thousands(thimble_capacity(session_)).c_str(), conversation_.turns());
  if (answer_count_ == 0) return;
  line("last", last_);
  line("all", total_);
}

std::vector<int32_t> Chat::Tokenize(const Conversation& conversation) const {
  const LibraryConversation input(conversation, program_, answer_format_);
  const thimble_model* model = thimble_engine_model(thimble_session_engine(session_));
  std::vector<int32_t> ids(thimble_capacity(session_));
  size_t count = 0;
  const auto tokenize = [&] {
    return Call(thimble_chat_tokenize, model, static_cast<const thimble_conversation*>(&input), nullptr, size_t{0}, ids.data(), ids.size(), &count);
  };
  thimble_error error = tokenize();
  if (error.code == THIMBLE_BUFFER_TOO_SMALL) {
    ids.resize(count);
    error = tokenize();
  }
  cli::Check(error);
  ids.resize(count);
  return ids;
}

std::string Chat::ContextFullText() const {
  const size_t capacity = thimble_capacity(session_);
  return Format("the conversation has %zu tokens and the context only %zu", Tokenize(conversation_).size(), capacity) +
         (capacity < model_.info().max_positions ? Format("; -c takes up to %u", model_.info().max_positions)
                                                 : "; this model takes no longer one");
}

bool Chat::Confirm(const std::string& question) {
  std::string answer;
  const LineResult result = editor_.Read(question + " [Y/n] ", &answer);
  if (result == LineResult::kInterrupted) ForgetInterrupt();
  return result == LineResult::kLine && (answer.empty() || answer[0] == 'y' || answer[0] == 'Y');
}

bool Chat::MakeRoom(bool in_answer) {
  const size_t turns = conversation_.turns(), enough = thimble_capacity(session_) / 4 * 3;
  if (turns < 2) {
    Note("there is no older turn to drop: /reset begins anew, and -c at the start takes a longer context");
    return false;
  }
  if (in_answer) conversation_.UndoAnswer();
  size_t drop = 1;
  for (; drop + 1 < turns; ++drop) {
    Conversation shorter = conversation_;
    shorter.DropOldest(drop);
    if (Tokenize(shorter).size() <= enough) break;
  }
  if (!Confirm(Format("Forget the oldest %zu of %zu turns and %s?", drop, turns, in_answer ? "answer again" : "go on"))) return false;
  conversation_.DropOldest(drop);
  return true;
}

void Chat::Count(const Generation& turn) {
  last_ = turn;
  ++answer_count_;
  total_.ids.insert(total_.ids.end(), turn.ids.begin(), turn.ids.end());
  total_.prefill_ns += turn.prefill_ns;
  total_.decode_ns += turn.decode_ns;
  total_.prompt_tokens_done += turn.prompt_tokens_done;
  total_.stop = turn.stop;
}

Generation Chat::Generate(Message* answer) {
  const LibraryConversation conversation(conversation_, program_, answer_format_);
  Sized<thimble_generation> input;
  input.conversation = &conversation;
  AnswerView view({.silent = silent_, .hide_reasoning = settings_.hide_reasoning, .terminal = terminal_}, answer);
  const Generation turn = GenerateTurn(session_, input, settings_.ends, [&](const thimble_turn_part& part) { view.Take(part); });
  view.Finish();
  if (silent_) answers_.Push({{"prompt_ids", Tokenize(conversation_)}, {"ids", turn.ids}});
  return turn;
}

Chat::Next Chat::Say(const std::string& text) {
  conversation_.Add({.role = "user", .content = text, .reasoning = {}, .calls = {}, .name = {}, .call_id = {}});
  try {
    return Answer();
  } catch (const Error&) {
    std::string said;
    if (terminal_) conversation_.Undo(&said);  // what cannot be answered was not said
    throw;
  }
}

Chat::Next Chat::Answer() {
  while (true) {
    Message answer = {.role = "assistant", .content = {}, .reasoning = {}, .calls = {}, .name = {}, .call_id = {}};
    Generation turn;
    try {
      turn = Generate(&answer);
    } catch (const Error& error) {
      if (error.code != kContextFull) throw;
      if (!terminal_) throw Error(kContextFull, ContextFullText());
      Note(ContextFullText());
      if (MakeRoom(false)) continue;
      throw Error(kContextFull, "not said, as there is no room for it");
    }
    Count(turn);
    const bool any = !answer.content.empty() || !answer.reasoning.empty() || !answer.calls.empty();
    const bool calls = !answer.calls.empty();
    if (!any && turn.stop == StopReason::kCancelled && terminal_ && !Terminated()) {
      ForgetInterrupt();
      std::string said;
      conversation_.Undo(&said);
      Note("stopped before there was an answer; your message is taken back");
      return Next::kGoOn;
    }
    conversation_.Add(std::move(answer));
    if (turn.stop == StopReason::kPipeClosed) return Next::kEnd;
    if (turn.stop == StopReason::kContextFull && terminal_) {
      Note(Format("the context of %zu tokens is full in the middle of the answer", thimble_capacity(session_)));
      if (MakeRoom(true)) continue;
      return Next::kGoOn;
    }
    if (!calls || turn.stop != StopReason::kEnd || !AskForResults()) return Ended(turn);
  }
}

bool Chat::AskForResults() {
  const std::vector<ToolCall> calls = conversation_.messages().back().calls;
  std::vector<Message> results;
  for (const ToolCall& call : calls) {
    std::string result;
    const LineResult read = editor_.Read("result of " + call.name + "> ", &result);
    if (read == LineResult::kInterrupted) ForgetInterrupt();
    if (read != LineResult::kLine) return false;
    results.push_back({.role = "tool", .content = result, .reasoning = {}, .calls = {}, .name = call.name, .call_id = call.id});
  }
  for (Message& result : results) conversation_.Add(std::move(result));
  return true;
}

Chat::Next Chat::Ended(const Generation& turn) {
  const size_t capacity = thimble_capacity(session_);
  if (turn.stop == StopReason::kCancelled) {
    if (terminal_ && !Terminated()) {
      ForgetInterrupt();
      Note("stopped; /retry answers again, /undo takes your message back");
      return Next::kGoOn;
    }
    exit_code_ = kExitCancelled;
    return Next::kEnd;
  }
  if (turn.stop == StopReason::kContextFull) {
    std::fprintf(stderr, "thimble: the context of %zu tokens is full in the middle of the answer%s\n", capacity,
                 capacity < model_.info().max_positions ? "; -c makes it larger" : "");
    exit_code_ = kExitRunLimit;
    return Next::kEnd;
  }
  if (terminal_) Note(Format("%zu tokens%s", turn.ids.size(), RateText(turn.ids.size(), turn.decode_ns).c_str()));
  return Next::kGoOn;
}

}  // namespace thimble::cli
