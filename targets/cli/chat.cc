// Each turn gives the library the whole conversation: the model sees exactly what the template says, whatever it generated before,
// and reads only what the context does not hold already.
#include "targets/cli/chat.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/interrupt.h"
#include "targets/json/json.h"
#include "targets/cli/template_source.h"
#include "targets/template/known_texts.h"

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

// As llama.cpp reads them: a line whose end is a backslash goes on in the next one, or, with `multiline`, is the last one.
bool ReadUserMessage(bool multiline, std::string* message) {
  message->clear();
  std::string line;
  for (bool any = false; ReadLine(&line); any = true) {
    if (any) message->push_back('\n');
    const bool backslash = !line.empty() && line.back() == '\\';
    if (backslash) line.pop_back();
    *message += line;
    if (backslash == multiline) return true;
  }
  return !message->empty() && !Interrupted();
}

}  // namespace

void ChatArguments::Add(CLI::App* app) {
  const char* kGroup = "Chat";
  app->add_flag("--chat,--conversation", chat,
                "A conversation by the model's chat template: a line of standard input is a message, and goes on in the next line "
                "behind a \\. With -p and an input that is no terminal: one answer")
      ->group(kGroup);
  app->add_flag("--single-turn", single_turn, "With --chat: one answer, and no more")->group(kGroup);
  app->add_flag("--multiline-input", multiline, "With --chat: a message ends at a line that ends with a \\")->group(kGroup);
  app->add_option("--system,--system-prompt", system, "What the model is told before the first message")
      ->type_name("TEXT")
      ->group(kGroup);
  app->add_option("--chat-template", chat_template,
                  "Another template: a file with Jinja text, or one of " + chat::KnownTextNames())
      ->type_name("NAME|FILE")
      ->group(kGroup);
}

void ChatArguments::Check() const {
  if (chat) return;
  if (!system.empty()) throw Error(kInvalidArgument, "--system: needs --chat");
  if (!chat_template.empty()) throw Error(kInvalidArgument, "--chat-template: needs --chat");
  if (single_turn) throw Error(kInvalidArgument, "--single-turn: needs --chat");
  if (multiline) throw Error(kInvalidArgument, "--multiline-input: needs --chat");
}

Chat::Chat(const Model& model, const ChatArguments& arguments, const AnswerEnds& ends)
    : model_(model), ends_(ends), single_turn_(arguments.single_turn), multiline_(arguments.multiline) {
  template_name_ = arguments.chat_template.empty() ? "default" : arguments.chat_template;
  if (!arguments.chat_template.empty()) program_ = CompileChatTemplate(arguments.chat_template);
  else ChatProgramOf(model, "");  // says where there is none
  if (!arguments.system.empty()) messages_.push_back({"system", arguments.system});
}

thimble_conversation Chat::Conversation(const std::vector<thimble_chat_message>& messages) const {
  Sized<thimble_conversation> conversation;
  conversation.messages = messages.data();
  conversation.message_count = messages.size();
  conversation.program = program_.empty() ? nullptr : program_.data();
  conversation.program_bytes = program_.size();
  return conversation;
}

size_t Chat::CountTokens(thimble_session* session, const thimble_conversation& conversation) const {
  size_t count = 0;
  int32_t id = 0;
  const thimble_error error = Call(thimble_chat_tokenize, thimble_engine_model(thimble_session_engine(session)), &conversation, nullptr,
                                   size_t{0}, &id, size_t{1}, &count);
  if (error.code != THIMBLE_BUFFER_TOO_SMALL) cli::Check(error);
  return count;
}

Generation Chat::Answer(thimble_session* session, std::string* text, bool silent) const {
  std::vector<thimble_chat_message> messages;
  for (const Message& m : messages_) messages.push_back(ChatMessage(m.role, m.text));
  const thimble_conversation conversation = Conversation(messages);
  Sized<thimble_generation> input;
  input.conversation = &conversation;
  try {
    return Generate(session, model_, input, ends_, [&](std::string_view piece) {
      *text += piece;
      if (!silent) Print(piece);
    });
  } catch (const Error& error) {
    if (error.code != kContextFull) throw;
    const size_t capacity = thimble_capacity(session);
    std::string message =
        Format("the conversation has %zu tokens and the context only %zu", CountTokens(session, conversation), capacity);
    message += capacity < model_.info().max_positions ? Format("; -c takes up to %u", model_.info().max_positions)
                                                      : "; this model takes no longer one";
    throw Error(kContextFull, message);
  }
}

bool Chat::Turn(thimble_session* session, bool silent) {
  const size_t capacity = thimble_capacity(session);
  std::string answer;
  const Generation turn = Answer(session, &answer, silent);
  total_.ids.insert(total_.ids.end(), turn.ids.begin(), turn.ids.end());
  total_.prefill_ns += turn.prefill_ns;
  total_.decode_ns += turn.decode_ns;
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
    if (!Turn(session, silent) || single || single_turn_) return;
  }
  std::string line;
  while (true) {
    if (terminal) std::fputs("> ", stderr);
    if (!ReadUserMessage(multiline_, &line)) break;
    if (line.empty()) continue;
    messages_.push_back({"user", line});
    if (!Turn(session, silent) || single_turn_) return;
  }
  if (Interrupted()) exit_code_ = kExitCancelled;
}

Json Chat::Messages() const {
  Json list = Json::Array();
  for (const Message& m : messages_) list.Push({{"role", m.role}, {"text", m.text}});
  return list;
}

}  // namespace thimble::cli
