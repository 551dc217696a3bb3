// C API: conversations to ids and to text. What people write must never become a special token, while the template's own
// markers must; and the ids must be those that a tokenizer gives for the whole text. So: the whole text in one call where
// no message holds anything that could be taken for a special token, else piece by piece.
#include <cstring>

#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/api/text.h"
#include "runtime/chat/chat.h"
#include "runtime/tokenizer/tokenizer.h"

using namespace thimble;

namespace {

Status OutOfMemory() {
  return Status::Error(Code::kOutOfMemory, "no working memory for the conversation").Field("messages");
}

std::string_view PieceOf(const TokenizerData& tokenizer, uint32_t id) {
  return id < tokenizer.piece_count ? tokenizer.Piece(id) : std::string_view();
}

// The special token that is `text`, or kNoToken. `control`: also one that is read only when asked for.
uint32_t SpecialId(const TokenizerData& tokenizer, std::string_view text, bool control = true) {
  const uint32_t found = tokenizer.FindSpecial(text, control);
  return PieceOf(tokenizer, found) == text ? found : kNoToken;
}

struct Conversation {
  const TokenizerData* tokenizer = nullptr;
  ChatTemplate chat;
  ChatPieces pieces;
  uint32_t bos = kNoToken;  // written in front although the template does not say it
  ChatMessages messages = {nullptr, 0};
};

Status EncodeText(const TokenizerData& tokenizer, const ChatWorkspace& w, std::string_view text, uint32_t flags, int32_t* ids,
                  size_t capacity, size_t* count) {
  if (w.encode == nullptr) return Tokenize(tokenizer, text, flags, ids, capacity, count);
  const EncodeOptions options = {.add_bos = false, .parse_special = (flags & THIMBLE_PARSE_SPECIAL) != 0};
  return Encode(tokenizer, text, options, w.encode, w.encode_bytes, ids, capacity, count);
}

// Runs of ordinary text between special tokens, tokenised one by one.
struct RunEncoder {
  const TokenizerData& tokenizer;
  const ChatWorkspace& workspace;
  char* run;            // room for the whole text
  size_t run_bytes = 0;
  int32_t* ids;         // null: nothing is written
  size_t capacity;
  size_t count = 0;
  Status status;
  // Markers that the tokenizer reads even in ordinary text (user-defined pieces): content is cut inside them.
  std::string_view leaks[8] = {};
  size_t leak_count = 0;

  void PutId(uint32_t id) {
    if (count < capacity) ids[count] = static_cast<int32_t>(id);
    ++count;
  }
  // Counts on where there is no room.
  void Encode(std::string_view text, uint32_t flags) {
    if (!status.ok()) return;
    size_t written = 0;
    const size_t room = count < capacity ? capacity - count : 0;
    status = EncodeText(tokenizer, workspace, text, flags, room > 0 ? ids + count : nullptr, room, &written);
    if (status.code == Code::kBufferTooSmall) status = Status::Ok();
    count += written;
  }
  void Flush() {
    if (run_bytes > 0) Encode({run, run_bytes}, 0);
    run_bytes = 0;
  }
  void Append(std::string_view text) {
    std::memcpy(run + run_bytes, text.data(), text.size());
    run_bytes += text.size();
  }
  void Content(std::string_view text) {
    while (!text.empty()) {
      size_t cut = text.size();
      for (size_t i = 0; i < leak_count; ++i) {
        const size_t at = text.find(leaks[i]);
        if (at != std::string_view::npos && at + 1 < cut) cut = at + 1;
      }
      Append(text.substr(0, cut));
      if (cut < text.size()) Flush();
      text.remove_prefix(cut);
    }
  }
  static void Put(void* user, ChatPart part, std::string_view text) {
    RunEncoder* self = static_cast<RunEncoder*>(user);
    const uint32_t id = part == ChatPart::kMarker ? SpecialId(self->tokenizer, text) : kNoToken;
    if (id != kNoToken) {
      self->Flush();
      self->PutId(id);
    } else if (part == ChatPart::kContent) {
      self->Content(text);
    } else {
      self->Append(text);
    }
  }
  static void FindLeak(void* user, ChatPart, std::string_view text) {
    RunEncoder* self = static_cast<RunEncoder*>(user);
    if (self->leak_count < sizeof leaks / sizeof leaks[0] && SpecialId(self->tokenizer, text, false) != kNoToken)
      self->leaks[self->leak_count++] = text;
  }
};

void PutText(void* user, ChatPart, std::string_view part) { static_cast<TextSink*>(user)->Append(part); }

// True when `text` cannot become a special token: the same ids with and without reading them, and no marker in it.
struct PlainCheck {
  std::string_view text;
  bool found = false;
  static void Put(void* user, ChatPart, std::string_view marker) {
    PlainCheck* self = static_cast<PlainCheck*>(user);
    if (self->text.find(marker) != std::string_view::npos) self->found = true;
  }
};
bool IsPlain(const Conversation& c, std::string_view text, const ChatWorkspace& w) {
  PlainCheck check{text};
  ForEachMarker(c.chat, c.pieces, {&check, PlainCheck::Put});
  if (check.found) return false;
  size_t plain = 0, special = 0;
  if (!EncodeText(*c.tokenizer, w, text, 0, w.ids, w.id_count, &plain).ok()) return false;
  if (!EncodeText(*c.tokenizer, w, text, THIMBLE_PARSE_SPECIAL, w.ids + w.id_count, w.id_count, &special).ok()) return false;
  return plain == special && std::memcmp(w.ids, w.ids + w.id_count, plain * sizeof(int32_t)) == 0;
}

Status Prepare(const thimble_model& model, const char* chat_template, Conversation* c) {
  c->tokenizer = model.tokenizer;
  if (c->tokenizer == nullptr) return NoTokenizer();
  const std::string_view text = chat_template != nullptr ? std::string_view(chat_template) : model.chat_template();
  THIMBLE_ASSIGN_OR_RETURN(c->chat, FindChatTemplate(text));
  c->pieces = {PieceOf(*c->tokenizer, c->tokenizer->bos), PieceOf(*c->tokenizer, c->tokenizer->eos)};
  if (c->tokenizer->Has(kTokenizerAddBos)) c->bos = c->tokenizer->bos;
  return Status::Ok();
}

Status ReadRole(const char* role, ChatRole* out) {
  const Status refused = Status::Error(Code::kInvalidArgument, "must be system, user or assistant").Field("role");
  if (role == nullptr) return refused;
  if (std::strcmp(role, "system") == 0) {
    *out = ChatRole::kSystem;
  } else if (std::strcmp(role, "user") == 0) {
    *out = ChatRole::kUser;
  } else if (std::strcmp(role, "assistant") == 0) {
    *out = ChatRole::kAssistant;
  } else {
    return Status(refused).Detail(role, std::strlen(role));
  }
  return Status::Ok();
}

Status ReadMessage(const thimble_chat_message& caller, ChatMessage* out) {
  thimble_chat_message message;
  THIMBLE_RETURN_IF_ERROR(ReadStruct(&caller, {}, "messages", &message));
  THIMBLE_RETURN_IF_ERROR(ReadRole(message.role, &out->role));
  if (message.text == nullptr && message.text_bytes > 0) return NullArgument("text");
  out->text = {message.text != nullptr ? message.text : "", message.text_bytes};
  return Status::Ok();
}

using CallerMessages = StructArray<const thimble_chat_message>;

// Of one that was checked.
ChatMessage MessageAt(const void* all, size_t i) {
  ChatMessage message;
  (void)ReadMessage((*static_cast<const CallerMessages*>(all))[i], &message);
  return message;
}

// A size that wraps is refused here, so that sums of them are safe.
Status CheckMessages(const CallerMessages& messages) {
  size_t total = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    ChatMessage message;
    Status status = ReadMessage(messages[i], &message);
    if (!status.ok()) return status.At("messages", static_cast<int64_t>(i));
    if (message.text.size() > SIZE_MAX / 64 - total) return OutOfMemory();
    total += message.text.size();
  }
  return messages.size() < SIZE_MAX / 4096 ? Status::Ok() : OutOfMemory();
}

size_t TextBytes(const Conversation& c) {
  TextSink measure{nullptr, 0};
  RenderChat(c.chat, c.pieces, c.messages, {&measure, PutText});
  return measure.bytes;
}

Status EncodeConversation(const Conversation& c, const ChatWorkspace& w, int32_t* ids, size_t capacity, size_t* count) {
  const size_t bytes = TextBytes(c);
  if (bytes > w.text_bytes) {
    return Status::Error(Code::kTextTooLong, "the conversation is longer than planned; raise max_text_bytes").Field("messages")
        .Got(bytes).Wanted(w.text_bytes);
  }
  bool plain = true;
  for (size_t i = 0; i < c.messages.size() && plain; ++i) plain = IsPlain(c, c.messages[i].text, w);
  RunEncoder encoder{.tokenizer = *c.tokenizer, .workspace = w, .run = w.text, .ids = ids, .capacity = capacity, .status = {}};
  // The begin of the text is put in by its id; what the tokenizer would add by itself is left out.
  TextSink whole{w.text, bytes};
  RenderChat(c.chat, c.pieces, c.messages, {&whole, PutText});
  std::string_view rendered(w.text, bytes);
  const bool says_bos = !c.pieces.bos.empty() && rendered.starts_with(c.pieces.bos);
  if (!says_bos && c.bos != kNoToken) encoder.PutId(c.bos);
  if (plain) {
    if (says_bos) {
      encoder.PutId(c.tokenizer->bos);
      rendered.remove_prefix(c.pieces.bos.size());
    }
    encoder.Encode(rendered, THIMBLE_PARSE_SPECIAL);
  } else {
    ForEachMarker(c.chat, c.pieces, {&encoder, RunEncoder::FindLeak});
    RenderChat(c.chat, c.pieces, c.messages, {&encoder, RunEncoder::Put});
    encoder.Flush();
  }
  THIMBLE_RETURN_IF_ERROR(encoder.status);
  *count = encoder.count;
  if (encoder.count <= capacity) return Status::Ok();
  return Status::Error(Code::kBufferTooSmall, "the conversation has more ids than there is room for").Field("ids")
      .Got(capacity).Wanted(encoder.count);
}

// In memory of malloc's.
Status EncodeAnywhere(const Conversation& c, int32_t* ids, size_t capacity, size_t* count) {
  const size_t bytes = TextBytes(c), message_ids = 8 * bytes + 64;
  const Scratch<char> text(bytes);
  const Scratch<int32_t> scratch(2 * message_ids);
  if (text.data == nullptr || scratch.data == nullptr) return OutOfMemory();
  return EncodeConversation(c, {text.data, bytes, scratch.data, message_ids, nullptr, 0}, ids, capacity, count);
}

// use(conversation) with everything checked.
template <typename Use>
Status WithConversation(const thimble_model& model, const char* chat_template, const thimble_chat_message* messages,
                        size_t message_count, const Use& use) {
  Conversation c;
  THIMBLE_RETURN_IF_ERROR(Prepare(model, chat_template, &c));
  THIMBLE_ASSIGN_OR_RETURN(const CallerMessages all, CallerMessages::Of(messages, message_count, "messages"));
  THIMBLE_RETURN_IF_ERROR(CheckMessages(all));
  c.messages = ChatMessages(&all, all.size(), MessageAt);
  THIMBLE_RETURN_IF_ERROR(CheckConversation(c.chat, c.messages));
  return use(c);
}

// -1 where it is no single token.
int32_t EndOfTurnId(const Conversation& c) {
  const uint32_t id = SpecialId(*c.tokenizer, EndOfTurn(c.chat, c.pieces));
  return id == kNoToken ? -1 : static_cast<int32_t>(id);
}

Status FindTemplate(const thimble_model& model, const char* chat_template, thimble_chat_info* info) {
  Conversation c;
  THIMBLE_RETURN_IF_ERROR(CheckSize(info, "info"));
  THIMBLE_RETURN_IF_ERROR(Prepare(model, chat_template, &c));
  thimble_chat_info ours = {};
  ours.name = c.chat.name;
  ours.end_of_turn = EndOfTurnId(c);
  ours.has_system_role = c.chat.system_role ? 1 : 0;
  ours.alternates = Alternates(c.chat) ? 1 : 0;
  WriteStruct(ours, info);
  return Status::Ok();
}

}  // namespace

Status thimble::TokenizeChat(const thimble_model& model, const char* chat_template, const thimble_chat_message* messages,
                             size_t message_count, const ChatWorkspace& workspace, int32_t* ids, size_t capacity, size_t* count,
                             int32_t* end_of_turn) {
  const auto encode = [&](const Conversation& c) {
    *end_of_turn = EndOfTurnId(c);
    return EncodeConversation(c, workspace, ids, capacity, count);
  };
  return WithConversation(model, chat_template, messages, message_count, encode);
}

extern "C" {

const char* thimble_chat_templates(void) { return ChatTemplateNames(); }

enum thimble_code thimble_chat_find(const thimble_model* model, const char* chat_template, thimble_chat_info* info,
                                    thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  return Return(FindTemplate(*model, chat_template, info), error);
}

enum thimble_code thimble_chat_tokenize(const thimble_model* model, const char* chat_template,
                                        const thimble_chat_message* messages, size_t message_count, int32_t* ids,
                                        size_t capacity, size_t* count, thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  if (ids == nullptr && capacity > 0) return Return(NullArgument("ids"), error);
  if (count == nullptr) return Return(NullArgument("count"), error);
  const auto encode = [&](const Conversation& c) { return EncodeAnywhere(c, ids, capacity, count); };
  return Return(WithConversation(*model, chat_template, messages, message_count, encode), error);
}

enum thimble_code thimble_chat_render(const thimble_model* model, const char* chat_template,
                                      const thimble_chat_message* messages, size_t message_count, char* text,
                                      size_t capacity, size_t* text_bytes, thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  if (text == nullptr && capacity > 0) return Return(NullArgument("text"), error);
  if (text_bytes == nullptr) return Return(NullArgument("text_bytes"), error);
  const auto render = [&](const Conversation& c) {
    TextSink sink{text, capacity};
    RenderChat(c.chat, c.pieces, c.messages, {&sink, PutText});
    *text_bytes = sink.bytes;
    return sink.Fits("the conversation is longer than there is room for");
  };
  return Return(WithConversation(*model, chat_template, messages, message_count, render), error);
}

}  // extern "C"
