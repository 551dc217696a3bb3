// C API: conversations to ids and to text. What people write must never become a special token, while the template's own
// markers must; and the ids must be those that a tokenizer gives for the whole text. So: the whole text in one call where
// no message holds anything that could be taken for a special token, else piece by piece.
#include <cstdlib>
#include <cstring>

#include "runtime/api/handles.h"
#include "runtime/chat/chat.h"

using namespace thimble;

namespace {

// Memory of a call, from malloc. Null bytes are one byte.
template <typename T>
struct Block {
  explicit Block(size_t n) : data(n < SIZE_MAX / sizeof(T) ? static_cast<T*>(std::malloc((n + 1) * sizeof(T))) : nullptr) {}
  ~Block() { std::free(data); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  T* data;
};

thimble_status OutOfMemory() {
  return ToC(Status::Error(Code::kOutOfMemory, "no working memory for the conversation").Field("messages"));
}

std::string_view PieceOf(const thimble_model* model, int32_t id) {
  const char* text = nullptr;
  size_t bytes = 0;
  if (id < 0 || thimble_piece(model, id, &text, &bytes).code != 0) return {};
  return {text, bytes};
}

// The special token that is `text`, or -1. `control`: also one that is read only when asked for.
int32_t SpecialId(const thimble_model* model, std::string_view text, bool control = true) {
  const uint32_t found = model->tokenizer.FindSpecial(text, control);
  if (found == kNoToken || PieceOf(model, static_cast<int32_t>(found)) != text) return -1;
  return static_cast<int32_t>(found);
}

struct Conversation {
  ChatTemplate chat;
  ChatPieces pieces;
  int32_t bos = -1;  // written in front although the template does not say it
};

// Runs of ordinary text between special tokens, tokenised one by one.
struct RunEncoder {
  const thimble_model* model;
  char* run;            // room for the whole text
  size_t run_bytes = 0;
  int32_t* ids;         // null: nothing is written
  size_t capacity;
  size_t count = 0;
  thimble_status status = {};
  // Markers that the tokenizer reads even in ordinary text (user-defined pieces): content is cut inside them.
  std::string_view leaks[8] = {};
  size_t leak_count = 0;

  void PutId(int32_t id) {
    if (count < capacity) ids[count] = id;
    ++count;
  }
  void Flush() {
    if (run_bytes == 0 || status.code != 0) return;
    size_t written = 0;
    const size_t room = count < capacity ? capacity - count : 0;
    status = thimble_tokenize(model, run, run_bytes, 0, room > 0 ? ids + count : nullptr, room, &written);
    if (status.code == static_cast<int32_t>(Code::kTextTooLong)) status = {};  // counted all the same
    count += written;
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
    const int32_t id = part == ChatPart::kMarker ? SpecialId(self->model, text) : -1;
    if (id >= 0) {
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
    if (self->leak_count < sizeof leaks / sizeof leaks[0] && SpecialId(self->model, text, false) >= 0)
      self->leaks[self->leak_count++] = text;
  }
};

struct TextSink {
  char* text;
  size_t capacity;
  size_t bytes = 0;
  static void Put(void* user, ChatPart, std::string_view part) {
    TextSink* self = static_cast<TextSink*>(user);
    if (self->bytes < self->capacity) {
      const size_t room = self->capacity - self->bytes;
      std::memcpy(self->text + self->bytes, part.data(), part.size() < room ? part.size() : room);
    }
    self->bytes += part.size();
  }
};

// True when `text` cannot become a special token: the same ids with and without reading them, and no marker in it.
struct PlainCheck {
  std::string_view text;
  bool found = false;
  static void Put(void* user, ChatPart, std::string_view marker) {
    PlainCheck* self = static_cast<PlainCheck*>(user);
    if (self->text.find(marker) != std::string_view::npos) self->found = true;
  }
};
bool IsPlain(const thimble_model* model, const Conversation& c, std::string_view text, int32_t* scratch, size_t room) {
  PlainCheck check{text};
  ForEachMarker(c.chat, c.pieces, {&check, PlainCheck::Put});
  if (check.found) return false;
  size_t plain = 0, special = 0;
  const size_t half = room / 2;
  if (thimble_tokenize(model, text.data(), text.size(), 0, scratch, half, &plain).code != 0) return false;
  if (thimble_tokenize(model, text.data(), text.size(), THIMBLE_PARSE_SPECIAL, scratch + half, half, &special).code != 0)
    return false;
  return plain == special && std::memcmp(scratch, scratch + half, plain * sizeof(int32_t)) == 0;
}

Status Prepare(const thimble_model* model, const char* chat_template, Conversation* c) {
  if (!model->has_tokenizer) {
    return Status::Error(Code::kWrongState, "the model file has no tokenizer; convert it again with --tokenizer");
  }
  const thimble_model_info info = thimble_model_get_info(model);
  const char* text = chat_template != nullptr ? chat_template : info.chat_template;
  THIMBLE_ASSIGN_OR_RETURN(c->chat, FindChatTemplate(text));
  c->pieces = {PieceOf(model, info.bos), PieceOf(model, info.eos)};
  int32_t first = -1;
  size_t count = 0;
  (void)thimble_tokenize(model, "", 0, THIMBLE_ADD_BOS, &first, 1, &count);
  if (count > 0 && first == info.bos) c->bos = first;
  return Status::Ok();
}

Status ReadMessages(const thimble_chat_message* messages, size_t count, ChatMessage* out) {
  for (size_t i = 0; i < count; ++i) {
    const char* role = messages[i].role;
    Status refused = Status::Error(Code::kInvalidArgument, "must be system, user or assistant")
                         .At("messages", static_cast<int64_t>(i)).Field("role");
    if (role == nullptr) return refused;
    if (std::strcmp(role, "system") == 0) {
      out[i].role = ChatRole::kSystem;
    } else if (std::strcmp(role, "user") == 0) {
      out[i].role = ChatRole::kUser;
    } else if (std::strcmp(role, "assistant") == 0) {
      out[i].role = ChatRole::kAssistant;
    } else {
      return refused.Detail(role, std::strlen(role));
    }
    if (messages[i].text == nullptr && messages[i].text_bytes > 0) {
      return Status::Error(Code::kInvalidArgument, "null").At("messages", static_cast<int64_t>(i)).Field("text");
    }
    out[i].text = {messages[i].text != nullptr ? messages[i].text : "", messages[i].text_bytes};
  }
  return Status::Ok();
}

Status Check(const thimble_model* model, const char* chat_template, const thimble_chat_message* messages, size_t count,
             ChatMessage* out, Conversation* c) {
  THIMBLE_RETURN_IF_ERROR(Prepare(model, chat_template, c));
  THIMBLE_RETURN_IF_ERROR(ReadMessages(messages, count, out));
  return CheckConversation(c->chat, out, count);
}

// A size that wraps is refused here, so that the sums below are safe.
bool TextFits(const thimble_chat_message* messages, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    if (messages[i].text_bytes > SIZE_MAX / 64 - total) return false;
    total += messages[i].text_bytes;
  }
  return count < SIZE_MAX / 4096;
}

thimble_status EncodeConversation(const thimble_model* model, const Conversation& c, const ChatMessage* messages,
                                  size_t message_count, int32_t* ids, size_t capacity, size_t* count) {
  TextSink measure{nullptr, 0};
  RenderChat(c.chat, c.pieces, messages, message_count, {&measure, TextSink::Put});
  const size_t bytes = measure.bytes;
  const Block<char> text(bytes);
  const size_t scratch_ids = 2 * (8 * bytes + 64);
  const Block<int32_t> scratch(scratch_ids);
  if (text.data == nullptr || scratch.data == nullptr) return OutOfMemory();

  RunEncoder encoder{.model = model, .run = text.data, .ids = ids, .capacity = capacity};
  bool plain = true;
  for (size_t i = 0; i < message_count && plain; ++i)
    plain = IsPlain(model, c, messages[i].text, scratch.data, scratch_ids);
  // The begin of the text is put in by its id; what the tokenizer would add by itself is left out.
  TextSink whole{text.data, bytes};
  RenderChat(c.chat, c.pieces, messages, message_count, {&whole, TextSink::Put});
  const std::string_view rendered(text.data, bytes);
  const bool says_bos = !c.pieces.bos.empty() && rendered.starts_with(c.pieces.bos);
  if (!says_bos && c.bos >= 0) encoder.PutId(c.bos);
  if (plain) {
    std::string_view rest = rendered;
    if (says_bos) {
      encoder.PutId(thimble_model_get_info(model).bos);
      rest.remove_prefix(c.pieces.bos.size());
    }
    size_t written = 0;
    const size_t room = encoder.count < capacity ? capacity - encoder.count : 0;
    const thimble_status status = thimble_tokenize(model, rest.data(), rest.size(), THIMBLE_PARSE_SPECIAL,
                                                   room > 0 ? ids + encoder.count : nullptr, room, &written);
    if (status.code != 0 && status.code != static_cast<int32_t>(Code::kTextTooLong)) return status;
    encoder.count += written;
  } else {
    ForEachMarker(c.chat, c.pieces, {&encoder, RunEncoder::FindLeak});
    RenderChat(c.chat, c.pieces, messages, message_count, {&encoder, RunEncoder::Put});
    encoder.Flush();
    if (encoder.status.code != 0) return encoder.status;
  }
  *count = encoder.count;
  if (encoder.count <= capacity) return ToC(Status::Ok());
  return ToC(Status::Error(Code::kTextTooLong, "the conversation has more ids than there is room for").Field("ids")
                 .Got(capacity).Wanted(encoder.count));
}

// use(conversation, messages) with messages checked and copied.
template <typename Use>
thimble_status WithConversation(const thimble_model* model, const char* chat_template,
                                const thimble_chat_message* messages, size_t message_count, const Use& use) {
  if (!TextFits(messages, message_count)) return OutOfMemory();
  const Block<ChatMessage> own(message_count);
  if (own.data == nullptr) return OutOfMemory();
  Conversation c;
  const Status status = Check(model, chat_template, messages, message_count, own.data, &c);
  return status.ok() ? use(c, own.data) : ToC(status);
}

}  // namespace

extern "C" {

const char* thimble_chat_templates(void) { return ChatTemplateNames(); }

thimble_status thimble_chat_find(const thimble_model* model, const char* chat_template, thimble_chat_info* info) {
  if (model == nullptr) return ToC(NullArgument("model"));
  if (info == nullptr) return ToC(NullArgument("info"));
  Conversation c;
  if (const Status status = Prepare(model, chat_template, &c); !status.ok()) return ToC(status);
  info->name = c.chat.name;
  info->end_of_turn = SpecialId(model, EndOfTurn(c.chat, c.pieces));
  info->has_system_role = c.chat.system_role ? 1 : 0;
  return ToC(Status::Ok());
}

thimble_status thimble_chat_encode(const thimble_model* model, const char* chat_template,
                                   const thimble_chat_message* messages, size_t message_count, int32_t* ids,
                                   size_t capacity, size_t* count) {
  if (model == nullptr) return ToC(NullArgument("model"));
  if (messages == nullptr && message_count > 0) return ToC(NullArgument("messages"));
  if (ids == nullptr && capacity > 0) return ToC(NullArgument("ids"));
  if (count == nullptr) return ToC(NullArgument("count"));
  const auto encode = [&](const Conversation& c, const ChatMessage* own) {
    return EncodeConversation(model, c, own, message_count, ids, capacity, count);
  };
  return WithConversation(model, chat_template, messages, message_count, encode);
}

thimble_status thimble_chat_render(const thimble_model* model, const char* chat_template,
                                   const thimble_chat_message* messages, size_t message_count, char* text,
                                   size_t capacity, size_t* written) {
  if (model == nullptr) return ToC(NullArgument("model"));
  if (messages == nullptr && message_count > 0) return ToC(NullArgument("messages"));
  if (text == nullptr && capacity > 0) return ToC(NullArgument("text"));
  if (written == nullptr) return ToC(NullArgument("written"));
  const auto render = [&](const Conversation& c, const ChatMessage* own) {
    TextSink sink{text, capacity};
    RenderChat(c.chat, c.pieces, own, message_count, {&sink, TextSink::Put});
    *written = sink.bytes;
    if (sink.bytes <= capacity) return ToC(Status::Ok());
    return ToC(Status::Error(Code::kTextTooLong, "the conversation is longer than there is room for").Field("text")
                   .Got(capacity).Wanted(sink.bytes));
  };
  return WithConversation(model, chat_template, messages, message_count, render);
}

}  // extern "C"
