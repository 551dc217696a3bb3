// C API: text to ids and ids to text.
#include "runtime/api/text.h"

#include <cstring>

#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/engine.h"
#include "runtime/tokenizer/detokenizer.h"
#include "runtime/tokenizer/tokenizer.h"

namespace thimble {

Status NoTokenizer() {
  return Status::Error(Code::kWrongState, "the model file has no tokenizer; convert it again with --tokenizer, or pass ids");
}

namespace {

EncodeOptions ToEncodeOptions(uint32_t flags) {
  return {.add_bos = (flags & THIMBLE_ADD_BOS) != 0, .parse_special = (flags & THIMBLE_PARSE_SPECIAL) != 0};
}

Status OutOfMemory(size_t bytes) {
  return Status::Error(Code::kOutOfMemory, "no working memory").Field("workspace").Wanted(bytes);
}

Status CheckFlags(uint32_t flags) {
  constexpr uint32_t kKnown = THIMBLE_ADD_BOS | THIMBLE_PARSE_SPECIAL;
  if ((flags & ~kKnown) == 0) return Status::Ok();
  return Status::Error(Code::kInvalidArgument, "no such flag").Field("flags").Got(flags).Wanted(kKnown);
}

}  // namespace

Status Tokenize(const TokenizerData& tokenizer, std::string_view text, uint32_t flags, int32_t* ids, size_t capacity,
                size_t* count) {
  const EncodeOptions options = ToEncodeOptions(flags);
  const size_t bytes = EncodeWorkspaceBytes(tokenizer, EncodedTextBytes(tokenizer, text, options));
  if (bytes == 0 && !text.empty()) return OutOfMemory(text.size());
  const Scratch<char> scratch(bytes);
  if (scratch.data == nullptr) return OutOfMemory(bytes);
  return Encode(tokenizer, text, options, scratch.data, bytes, ids, capacity, count);
}

Status TokenizeInSession(thimble_session* session, std::string_view text, uint32_t flags, int32_t* ids, size_t capacity,
                         size_t* count) {
  if (session->tokenizer() == nullptr) return NoTokenizer();
  const uint32_t most = session->engine().network().options.max_text_bytes;
  if (text.size() > most) {
    return Status::Error(Code::kTextTooLong, "the text is longer than planned; raise max_text_bytes").Field("text")
        .Got(text.size()).Wanted(most);
  }
  const Buffers& b = session->engine().network().buffers;
  const TurnHolder turn(session->engine().turns());  // the working memory is every session's
  return Encode(*session->tokenizer(), text, ToEncodeOptions(flags), b.text, b.text_bytes, ids, capacity, count);
}

void TextSink::Append(std::string_view part) {
  if (bytes < capacity && !part.empty()) {
    const size_t room = capacity - bytes;
    std::memcpy(text + bytes, part.data(), part.size() < room ? part.size() : room);
  }
  bytes += part.size();
}

Status TextSink::Fits(const char* what) const {
  if (bytes <= capacity) return Status::Ok();
  return Status::Error(Code::kBufferTooSmall, what).Field("capacity").Got(capacity).Wanted(bytes);
}

}  // namespace thimble

using namespace thimble;

extern "C" {

enum thimble_code thimble_tokenize(const thimble_model* model, thimble_session* session, const char* text, size_t text_bytes,
                                   uint32_t flags, int32_t* ids, size_t capacity, size_t* count, thimble_error* error) {
  if (model == nullptr && session == nullptr) return Return(NullArgument("model"), error);
  if (text == nullptr && text_bytes > 0) return Return(NullArgument("text"), error);
  if (ids == nullptr && capacity > 0) return Return(NullArgument("ids"), error);
  if (count == nullptr) return Return(NullArgument("count"), error);
  *count = 0;
  const Status checked = CheckFlags(flags);
  if (!checked.ok()) return Return(checked, error);
  const std::string_view all(text, text_bytes);
  if (session != nullptr) {
    const SessionUse use(session);
    return Return(use.status().ok() ? TokenizeInSession(session, all, flags, ids, capacity, count) : use.status(), error);
  }
  if (model->tokenizer == nullptr) return Return(NoTokenizer(), error);
  return Return(Tokenize(*model->tokenizer, all, flags, ids, capacity, count), error);
}

enum thimble_code thimble_detokenize(const thimble_model* model, const int32_t* ids, size_t count, char* text,
                                     size_t capacity, size_t* text_bytes, thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  if (ids == nullptr && count > 0) return Return(NullArgument("ids"), error);
  if (text == nullptr && capacity > 0) return Return(NullArgument("text"), error);
  if (text_bytes == nullptr) return Return(NullArgument("text_bytes"), error);
  *text_bytes = 0;
  if (model->tokenizer == nullptr) return Return(NoTokenizer(), error);
  Detokenizer detokenizer(*model->tokenizer, nullptr, 0);
  TextSink sink{text, capacity};
  for (size_t i = 0; i < count; ++i) {
    const Result<std::string_view> piece = detokenizer.Bytes(ids[i]);
    if (!piece.ok()) return Return(Status(piece.status()).At("ids", static_cast<int64_t>(i)), error);
    sink.Append(piece.value());
  }
  *text_bytes = sink.bytes;
  return Return(sink.Fits("the text does not fit"), error);
}

enum thimble_code thimble_piece(const thimble_model* model, int32_t id, const char** text, size_t* text_bytes,
                                thimble_error* error) {
  if (model == nullptr) return Return(NullArgument("model"), error);
  if (text == nullptr) return Return(NullArgument("text"), error);
  if (text_bytes == nullptr) return Return(NullArgument("text_bytes"), error);
  if (model->tokenizer == nullptr) return Return(NoTokenizer(), error);
  const TokenizerData& tokenizer = *model->tokenizer;
  if (id < 0 || static_cast<uint32_t>(id) >= tokenizer.piece_count) {
    return Return(Status::Error(Code::kInvalidToken, "no such token").Field("id")
                      .Got(id).Wanted(tokenizer.piece_count),
                  error);
  }
  const std::string_view piece = tokenizer.Piece(static_cast<uint32_t>(id));
  *text = piece.data();
  *text_bytes = piece.size();
  return Return(Status::Ok(), error);
}

int32_t thimble_is_end(const thimble_model* model, int32_t id) {
  return model != nullptr && model->tokenizer != nullptr && id >= 0 &&
         model->tokenizer->IsEndOfGeneration(static_cast<uint32_t>(id));
}

}  // extern "C"
