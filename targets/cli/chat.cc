// Each turn asks the library for the ids of the whole conversation, keeps what the cache has in common with them, and
// reads the rest: so that the model sees exactly what the template says, whatever it generated before.
#include "targets/cli/chat.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/interrupt.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr int kExitRunLimit = 7;

// False at the end of the input or when the user asked to stop. Without the line break.
bool ReadLine(std::string* line) {
  line->clear();
  while (true) {
    const int c = std::getc(stdin);
    if (c == '\n') break;
    if (c == EOF) {
      if (std::ferror(stdin) && !Interrupted()) throw IoError("standard input", "cannot be read", errno);
      return !line->empty() && !Interrupted();
    }
    line->push_back(static_cast<char>(c));
  }
  if (!line->empty() && line->back() == '\r') line->pop_back();
  return true;
}

}  // namespace

void ChatArguments::Add(CLI::App* app) {
  const char* kGroup = "Chat";
  app->add_flag("--chat,--conversation", chat,
                "A conversation by the model's chat template: a line of standard input is a message; also "
                "-cnv. With -p and "
                "an input that is no terminal: one answer")
      ->group(kGroup);
  app->add_option("--system,--system-prompt", system, "What the model is told before the first message")
      ->type_name("TEXT")
      ->group(kGroup);
  app->add_option("--chat-template", chat_template,
                  "Another template: a file with Jinja text, or one of " + std::string(thimble_chat_templates()))
      ->type_name("NAME|FILE")
      ->group(kGroup);
}

void ChatArguments::Check() const {
  if (chat) return;
  if (!system.empty()) throw Error(kInvalidArgument, "--system: needs --chat");
  if (!chat_template.empty()) throw Error(kInvalidArgument, "--chat-template: needs --chat");
}

std::string ReadChatTemplate(const std::string& name_or_file) {
  std::error_code failed;
  if (name_or_file.empty() || !std::filesystem::is_regular_file(name_or_file, failed)) return name_or_file;
  return ReadFile(name_or_file);
}

Chat::Chat(const Model& model, const ChatArguments& arguments, int64_t max_tokens, size_t chunk_tokens)
    : model_(model), template_(ReadChatTemplate(arguments.chat_template)) {
  limits_ = {.max_tokens = max_tokens, .chunk_tokens = chunk_tokens};
  const thimble_error status =
      Call(thimble_chat_find, model.handle(), template_.empty() ? nullptr : template_.c_str(), &info_);
  if (status.code == kUnsupported) {
    const std::string names = thimble_chat_templates();
    const bool own = arguments.chat_template.empty();
    std::string what = own ? model.path() + (model.info().chat_template[0] == 0
                                                 ? ": holds no chat template"
                                                 : ": its chat template is none that is known")
                           : "--chat-template: " + Quoted(arguments.chat_template) +
                                 " is neither a known name nor a file with a known template";
    throw Error(kUnsupported, what + "; give one by --chat-template NAME|FILE, NAME is one of " + names);
  }
  Check(status, model.path());
  limits_.end_of_turn = info_.end_of_turn;
  if (arguments.system.empty()) return;
  if (!info_.has_system_role) {
    throw Error(kUnsupported, std::string("--system: the chat template ") + info_.name +
                                  " of this model knows no system role; say it in the first message");
  }
  messages_.push_back({"system", arguments.system});
}

std::vector<int32_t> Chat::Encode() const {
  std::vector<thimble_chat_message> messages;
  for (const Message& m : messages_) messages.push_back(ChatMessage(m.role, m.text));
  std::vector<int32_t> ids(context_.size() + 1024);
  size_t count = 0;
  const char* text = template_.empty() ? nullptr : template_.c_str();
  thimble_error status = Call(thimble_chat_tokenize, model_.handle(), text, messages.data(), messages.size(),
                                              ids.data(), ids.size(), &count);
  if (status.code != 0 && count > ids.size()) {
    ids.resize(count);
    status = Call(thimble_chat_tokenize, model_.handle(), text, messages.data(), messages.size(), ids.data(),
                                 ids.size(), &count);
  }
  cli::Check(status);
  ids.resize(count);
  return ids;
}

bool Chat::Turn(thimble_session* session, bool silent) {
  const std::vector<int32_t> ids = Encode();
  const size_t capacity = thimble_capacity(session);
  if (ids.size() > capacity) {
    std::string message = Format("the conversation has %zu tokens and the context only %zu", ids.size(), capacity);
    message += capacity < model_.info().max_positions ? Format("; -c takes up to %u", model_.info().max_positions)
                                                      : "; this model takes no longer one";
    throw Error(kContextFull, message);
  }
  // The last id is always read, as its logits are what the answer starts with.
  size_t common = 0;
  while (common < context_.size() && common + 1 < ids.size() && context_[common] == ids[common]) ++common;
  if (common < thimble_rewind_limit(session)) common = 0;
  cli::Check(Call(thimble_rewind, session, common));
  std::string answer;
  const Generation turn = Generate(session, model_, {ids.begin() + static_cast<long>(common), ids.end()}, limits_, true,
                                   [&](std::string_view piece) {
                                     answer += piece;
                                     if (!silent) Print(piece);
                                   });
  context_.assign(ids.begin(), ids.end());
  context_.insert(context_.end(), turn.ids.begin(), turn.ids.end());
  context_.resize(std::min(context_.size(), thimble_position(session)));
  total_.ids.insert(total_.ids.end(), turn.ids.begin(), turn.ids.end());
  total_.prefill_ns += turn.prefill_ns;
  total_.decode_ns += turn.decode_ns;
  total_.decode_steps += turn.decode_steps;
  total_.prompt_tokens_done += turn.prompt_tokens_done;
  total_.stop = stop_ = turn.stop;
  messages_.push_back({"assistant", std::move(answer)});
  if (turn.stop == StopReason::kPipeClosed) return false;
  if (!silent) Print("\n");
  if (turn.stop == StopReason::kCancelled) {
    exit_code_ = kExitCancelled;
    return false;
  }
  if (turn.stop == StopReason::kContextFull) {
    std::fprintf(stderr, "thimble: the context of %zu tokens is full in the middle of the answer%s\n", capacity,
                 capacity < model_.info().max_positions ? "; -c makes it larger" : "");
    exit_code_ = kExitRunLimit;
    return false;
  }
  return true;
}

void Chat::Run(thimble_session* session, const std::string* first, bool single, bool silent) {
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (first != nullptr) {
    messages_.push_back({"user", *first});
    if (!Turn(session, silent) || single) return;
  }
  std::string line;
  while (true) {
    if (terminal) std::fputs("> ", stderr);
    if (!ReadLine(&line)) break;
    if (line.empty()) continue;
    messages_.push_back({"user", line});
    if (!Turn(session, silent)) return;
  }
  if (Interrupted()) exit_code_ = kExitCancelled;
}

Json Chat::Messages() const {
  Json list = Json::Array();
  for (const Message& m : messages_) list.Push({{"role", m.role}, {"text", m.text}});
  return list;
}

}  // namespace thimble::cli
