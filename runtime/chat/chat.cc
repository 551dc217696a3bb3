// Recognition goes by substrings that only one of the templates has. The published Jinja texts differ in
// white space and in what they say about tools, so that comparing them whole would know next to none.
#include "runtime/chat/chat.h"

#include <iterator>

namespace thimble {
namespace {

struct Known {
  ChatFormat format;
  const char* name;
  const char* end_of_turn;  // "" = eos
  const char* markers[5];
};

constexpr Known kKnown[] = {
    {ChatFormat::kChatMl, "chatml", "<|im_end|>", {"<|im_start|>", "<|im_end|>"}},
    {ChatFormat::kLlama3, "llama3", "<|eot_id|>", {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}},
    {ChatFormat::kLlama2, "llama2", "", {"[INST]", "[/INST]"}},
    {ChatFormat::kGemma, "gemma", "<end_of_turn>", {"<start_of_turn>", "<end_of_turn>"}},
    {ChatFormat::kPhi3, "phi3", "<|end|>", {"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"}},
    {ChatFormat::kZephyr, "zephyr", "", {"<|system|>", "<|user|>", "<|assistant|>"}},
    {ChatFormat::kMistralV0, "mistral-v0", "", {"[INST]", "[/INST]"}},
    {ChatFormat::kMistralV1, "mistral-v1", "", {"[INST]", "[/INST]"}},
    {ChatFormat::kMistralV3, "mistral-v3", "", {"[INST]", "[/INST]"}},
    {ChatFormat::kMistralV3Tekken, "mistral-v3-tekken", "", {"[INST]", "[/INST]"}},
    {ChatFormat::kMistralV7, "mistral-v7", "", {"[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"}},
    {ChatFormat::kMistralV7Tekken, "mistral-v7-tekken", "",
     {"[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"}},
};
static_assert(static_cast<size_t>(ChatFormat::kMistralV7Tekken) + 1 == std::size(kKnown));

const Known& Of(ChatFormat format) { return kKnown[static_cast<size_t>(format)]; }

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Python's str.strip for what people type.
std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\v\f";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// The text between "<|im_start|>system\n" and "<|im_end|>" where it is one piece of a string in the template.
std::string_view DefaultSystem(std::string_view jinja) {
  constexpr std::string_view kStart = "<|im_start|>system", kEnd = "<|im_end|>";
  for (size_t at = jinja.find(kStart); at != std::string_view::npos; at = jinja.find(kStart, at + 1)) {
    std::string_view rest = jinja.substr(at + kStart.size());
    if (rest.starts_with("\\n")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with("\n")) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    const size_t stop = rest.find_first_of("'\"\\{}<");
    if (stop != std::string_view::npos && stop > 0 && rest.substr(stop).starts_with(kEnd)) return rest.substr(0, stop);
  }
  return {};
}

bool RecogniseInst(std::string_view t, ChatFormat* format) {
  if (Contains(t, "[SYSTEM_PROMPT]")) {
    *format = Contains(t, "[SYSTEM_PROMPT] ") ? ChatFormat::kMistralV7 : ChatFormat::kMistralV7Tekken;
  } else if (Contains(t, "<<SYS>>")) {
    *format = ChatFormat::kLlama2;
  } else if (Contains(t, "\" [INST]") || Contains(t, "' [INST]")) {
    *format = ChatFormat::kMistralV1;
  } else if (Contains(t, " [/INST]")) {
    *format = ChatFormat::kMistralV0;
  } else if (Contains(t, "[INST] ")) {
    *format = ChatFormat::kMistralV3;
  } else {
    *format = ChatFormat::kMistralV3Tekken;
  }
  return true;
}

bool Recognise(std::string_view t, ChatFormat* format) {
  if (Contains(t, "<|im_start|>")) {
    *format = ChatFormat::kChatMl;
    return !Contains(t, "<|im_sep|>");  // Phi-4 writes its turns in another way
  }
  if (Contains(t, "[INST]")) return RecogniseInst(t, format);
  if (Contains(t, "<|start_header_id|>") && Contains(t, "<|eot_id|>")) {
    *format = ChatFormat::kLlama3;
  } else if (Contains(t, "<start_of_turn>")) {
    *format = ChatFormat::kGemma;
  } else if (Contains(t, "<|assistant|>") && Contains(t, "<|end|>")) {
    *format = ChatFormat::kPhi3;
  } else if (Contains(t, "<|assistant|>") && Contains(t, "<|user|>") && !Contains(t, "message['content'] + '\\n'") &&
             (Contains(t, "eos_token") || Contains(t, "</s>"))) {
    *format = ChatFormat::kZephyr;
  } else {
    return false;
  }
  return true;
}

// Turns that alternate between user and assistant, as their templates demand.
bool Alternates(ChatFormat format) {
  return format != ChatFormat::kChatMl && format != ChatFormat::kLlama3 && format != ChatFormat::kPhi3 &&
         format != ChatFormat::kZephyr;
}

const char* RoleName(ChatRole role, const char* assistant) {
  return role == ChatRole::kSystem ? "system" : role == ChatRole::kUser ? "user" : assistant;
}

struct Writer {
  const ChatSink& sink;
  const ChatPieces& pieces;

  void Marker(std::string_view text) const {
    if (!text.empty()) sink.put(sink.user, ChatPart::kMarker, text);
  }
  void Text(std::string_view text) const { sink.put(sink.user, ChatPart::kText, text); }
  void Content(std::string_view text) const {
    if (!text.empty()) sink.put(sink.user, ChatPart::kContent, text);
  }

  void ChatMl(ChatRole role, std::string_view text) const {
    Marker("<|im_start|>");
    Text(RoleName(role, "assistant"));
    Text("\n");
    Content(text);
    Marker("<|im_end|>");
    Text("\n");
  }

  void Llama3Header(const char* role) const {
    Marker("<|start_header_id|>");
    Text(role);
    Marker("<|end_header_id|>");
    Text("\n\n");
  }

  void RoleMarker(ChatRole role) const {
    Marker(role == ChatRole::kSystem ? "<|system|>" : role == ChatRole::kUser ? "<|user|>" : "<|assistant|>");
    Text("\n");
  }
};

// Templates whose turns stand for themselves.
void RenderTurns(const ChatTemplate& chat, const Writer& w, const ChatMessages& messages) {
  if (chat.format == ChatFormat::kLlama3) w.Marker(w.pieces.bos);
  if (chat.format == ChatFormat::kChatMl && messages[0].role != ChatRole::kSystem && !chat.default_system.empty()) {
    w.Marker("<|im_start|>");
    w.Text("system\n");
    w.Text(chat.default_system);
    w.Marker("<|im_end|>");
    w.Text("\n");
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const auto& [role, text] = messages[i];
    switch (chat.format) {
      case ChatFormat::kLlama3:
        w.Llama3Header(RoleName(role, "assistant"));
        w.Content(Trim(text));
        w.Marker("<|eot_id|>");
        break;
      case ChatFormat::kPhi3:
        w.RoleMarker(role);
        w.Content(text);
        w.Marker("<|end|>");
        w.Text("\n");
        break;
      case ChatFormat::kZephyr:
        w.RoleMarker(role);
        w.Content(text);
        w.Marker(w.pieces.eos);
        w.Text("\n");
        break;
      default:
        w.ChatMl(role, text);
    }
  }
  if (messages[messages.size() - 1].role == ChatRole::kAssistant) return;
  if (chat.format == ChatFormat::kChatMl) {
    w.Marker("<|im_start|>");
    w.Text("assistant\n");
  } else if (chat.format == ChatFormat::kLlama3) {
    w.Llama3Header("assistant");
  } else {
    w.RoleMarker(ChatRole::kAssistant);
  }
}

void RenderGemma(const Writer& w, std::string_view system, const ChatMessages& messages) {
  w.Marker(w.pieces.bos);
  for (size_t i = 0; i < messages.size(); ++i) {
    w.Marker("<start_of_turn>");
    w.Text(RoleName(messages[i].role, "model"));
    w.Text("\n");
    if (i == 0 && !system.empty()) {
      w.Content(system);
      w.Text("\n\n");
    }
    w.Content(Trim(messages[i].text));
    w.Marker("<end_of_turn>");
    w.Text("\n");
  }
  if (messages[messages.size() - 1].role == ChatRole::kAssistant) return;
  w.Marker("<start_of_turn>");
  w.Text("model\n");
}

void RenderLlama2(const Writer& w, std::string_view system, bool has_system, const ChatMessages& messages) {
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role == ChatRole::kAssistant) {
      w.Text(" ");
      w.Content(Trim(messages[i].text));
      w.Text(" ");
      w.Marker(w.pieces.eos);
      continue;
    }
    w.Marker(w.pieces.bos);
    w.Marker("[INST]");
    w.Text(" ");
    if (i == 0 && has_system) {
      // The template trims the two texts as one, so that only the outer ends of both lose their white space.
      w.Text("<<SYS>>\n");
      w.Content(system);
      w.Text("\n<</SYS>>");
      const std::string_view text = messages[i].text, trimmed = Trim(text);
      if (!trimmed.empty()) {
        w.Text("\n\n");
        w.Content(text.substr(0, static_cast<size_t>(trimmed.data() - text.data()) + trimmed.size()));
      }
    } else {
      w.Content(Trim(messages[i].text));
    }
    w.Text(" ");
    w.Marker("[/INST]");
  }
}

void RenderMistral(const ChatTemplate& chat, const Writer& w, std::string_view system, bool has_system,
                   const ChatMessages& messages) {
  const ChatFormat f = chat.format;
  const bool v7 = f == ChatFormat::kMistralV7 || f == ChatFormat::kMistralV7Tekken;
  const bool tekken = f == ChatFormat::kMistralV3Tekken || f == ChatFormat::kMistralV7Tekken;
  w.Marker(w.pieces.bos);
  if (v7 && has_system) {
    w.Marker("[SYSTEM_PROMPT]");
    if (!tekken) w.Text(" ");
    w.Content(system);
    w.Marker("[/SYSTEM_PROMPT]");
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role == ChatRole::kAssistant) {
      if (!tekken && f != ChatFormat::kMistralV0) w.Text(" ");
      w.Content(f == ChatFormat::kMistralV1 || f == ChatFormat::kMistralV3 ? Trim(messages[i].text) : messages[i].text);
      w.Marker(w.pieces.eos);
      if (chat.space_behind_answer) w.Text(" ");
      continue;
    }
    if (f == ChatFormat::kMistralV1) w.Text(" ");
    w.Marker("[INST]");
    if (!tekken) w.Text(" ");
    if (i == 0 && has_system && !v7) {
      w.Content(system);
      w.Text("\n\n");
    }
    w.Content(messages[i].text);
    if (f == ChatFormat::kMistralV0 || f == ChatFormat::kMistralV1) w.Text(" ");
    w.Marker("[/INST]");
  }
}

}  // namespace

const char* ChatTemplateNames() {
  return "chatml, llama3, llama2, gemma, phi3, zephyr, mistral-v0, mistral-v1, mistral-v3, "
         "mistral-v3-tekken, mistral-v7, "
         "mistral-v7-tekken";
}

Result<ChatTemplate> FindChatTemplate(std::string_view text) {
  ChatTemplate chat;
  for (const Known& known : kKnown) {
    if (text != known.name) continue;
    chat.format = known.format;
    chat.name = known.name;
    chat.system_role = known.format != ChatFormat::kMistralV0;
    return chat;
  }
  if (!Contains(text, "{") || !Recognise(text, &chat.format)) {
    Status status = Status::Error(
        Code::kUnsupported,
        text.empty() ? "the model has no chat template; name one: chatml, llama3, gemma, phi3, ..."
                     : "is not one of the known chat templates; name one: chatml, llama3, gemma, phi3, ...");
    return status.Field("chat_template");
  }
  chat.name = Of(chat.format).name;
  if (chat.format == ChatFormat::kChatMl) chat.default_system = DefaultSystem(text);
  if (chat.format == ChatFormat::kGemma) chat.system_role = !Contains(text, "System role not supported");
  if (chat.format == ChatFormat::kMistralV0) {
    chat.system_role = false;
    chat.space_behind_answer = Contains(text, "eos_token + ' '") || Contains(text, "eos_token + \" \"");
  }
  return chat;
}

Status CheckConversation(const ChatTemplate& chat, const ChatMessages& messages) {
  const size_t count = messages.size();
  if (count == 0) return Status::Error(Code::kInvalidArgument, "a conversation needs a message").Field("messages");
  for (size_t i = 0; i < count; ++i) {
    const ChatRole role = messages[i].role;
    Status refused = Status::Error(Code::kInvalidArgument, "").At("messages", static_cast<int64_t>(i)).Field("role");
    if (role == ChatRole::kSystem) {
      refused.what = i > 0 ? "a system message comes first, and only once"
                           : "this chat template knows no system role; say it in the first message of the user";
      if (i > 0 || !chat.system_role) return refused;
      refused.what = "this chat template needs a message of the user";
      if (count == 1 && Alternates(chat.format)) return refused;
      continue;
    }
    const size_t turn = i - (messages[0].role == ChatRole::kSystem ? 1 : 0);
    refused.what = "in this chat template user and assistant take turns, the user first";
    if (Alternates(chat.format) && (role == ChatRole::kUser) != (turn % 2 == 0)) return refused;
  }
  return Status::Ok();
}

void RenderChat(const ChatTemplate& chat, const ChatPieces& pieces, const ChatMessages& messages, const ChatSink& sink) {
  const Writer writer{sink, pieces};
  if (!Alternates(chat.format)) return RenderTurns(chat, writer, messages);
  const bool has_system = messages[0].role == ChatRole::kSystem;
  const std::string_view system = has_system ? messages[0].text : std::string_view();
  const ChatMessages turns = has_system ? messages.WithoutFirst() : messages;
  if (chat.format == ChatFormat::kGemma) return RenderGemma(writer, system, turns);
  if (chat.format == ChatFormat::kLlama2) return RenderLlama2(writer, system, has_system, turns);
  RenderMistral(chat, writer, system, has_system, turns);
}

bool Alternates(const ChatTemplate& chat) { return Alternates(chat.format); }

std::string_view EndOfTurn(const ChatTemplate& chat, const ChatPieces& pieces) {
  const std::string_view own = Of(chat.format).end_of_turn;
  return own.empty() ? pieces.eos : own;
}

void ForEachMarker(const ChatTemplate& chat, const ChatPieces& pieces, const ChatSink& sink) {
  const Writer writer{sink, pieces};
  writer.Marker(pieces.bos);
  writer.Marker(pieces.eos);
  for (const char* marker : Of(chat.format).markers) {
    if (marker != nullptr) writer.Marker(marker);
  }
}

}  // namespace thimble
