// The one walk that checks the description of an answer.
#include <cstring>

#include "runtime/template/answer.h"
#include "runtime/template/answer_call.h"

namespace thimble::chat {
namespace {

class FormatVerifier {
 public:
  FormatVerifier(const uint8_t* bytes, size_t size) : begin_(bytes), at_(bytes), end_(bytes + size) {}

  Result<AnswerFormat> Run() {
    AnswerFormat f;
    if (end_ - at_ < 6 || std::memcmp(at_, kAnswerMagic, 4) != 0) return Error("not a description of answers");
    if (at_[4] != kAnswerVersion) return Error("a description of answers of another version; convert the model again");
    at_ += 5;
    const uint8_t flags = Byte();
    if (flags >= 2 * kAnswerNameInId) ok_ = false;
    f.calls = (flags & kAnswerCalls) != 0;
    f.python = (flags & kAnswerPython) != 0;
    f.arguments_as_text = (flags & kAnswerArgumentsText) != 0;
    f.no_content = (flags & kAnswerNoContent) != 0;
    f.null_content = (flags & kAnswerNullContent) != 0;
    f.name_in_id = (flags & kAnswerNameInId) != 0;
    f.lead = Text();
    f.reasoning_open = Marker();
    f.reasoning_close = Marker();
    f.text_open = Marker();
    f.text_close = Marker();
    f.end_count = Byte();
    if (f.end_count > kMaxAnswerEnds) f.end_count = 0, ok_ = false;
    for (size_t i = 0; i < f.end_count; ++i) {
      f.ends[i] = Marker();
      if (f.ends[i].empty()) ok_ = false;
    }
    if (f.calls) {
      f.calls_open = Marker();
      f.calls_close = Marker();
      f.calls_between = Marker();
      Parts(&f.call);
      f.fields_between = Text();
      Parts(&f.field);
      f.name_key = Text();
      f.arguments_key = Text();
      f.id_key = Text();
      f.quote = Marker();
      f.text_type = Text();
      f.raw_open = Marker();
      f.raw_close = Marker();
      if (ok_ && !(CallFits(f) && FieldFits(f))) ok_ = false;
    }
    if (!ok_ || at_ != end_) return Error("a damaged description of answers");
    return f;
  }

 private:
  Status Error(const char* what) const {
    return Status::Error(Code::kInvalidModel, what).At("chat_template").Field("answer").Offset(static_cast<uint64_t>(at_ - begin_));
  }
  uint8_t Byte() {
    if (!ok_ || at_ == end_) return ok_ = false, uint8_t{0};
    return *at_++;
  }
  std::string_view Text() {
    const size_t size = Byte();
    if (!ok_ || size > static_cast<size_t>(end_ - at_)) return ok_ = false, std::string_view();
    const std::string_view text(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    return text;
  }
  // White space around a section is not part of it.
  std::string_view Marker() {
    const std::string_view text = Text();
    if (!text.empty() && (IsSpace(text.front()) || IsSpace(text.back()))) ok_ = false;
    return text;
  }
  void Parts(AnswerParts* parts) {
    parts->count = Byte();
    if (parts->count > kMaxAnswerParts) parts->count = 0, ok_ = false;
    for (size_t i = 0; i < parts->count && ok_; ++i) {
      const uint8_t part = Byte();
      if (part >= static_cast<uint8_t>(Part::kCount)) ok_ = false;
      parts->parts[i].part = static_cast<Part>(part);
      if (ok_ && parts->parts[i].part == Part::kText) {
        parts->parts[i].text = Text();
        if (parts->parts[i].text.empty()) ok_ = false;
      }
    }
  }

  static size_t Count(const AnswerParts& parts, Part part) {
    size_t n = 0;
    for (size_t i = 0; i < parts.count; ++i) n += parts.parts[i].part == part;
    return n;
  }
  // Every slot has something behind it that says where it ends.
  static bool SlotsEnd(const AnswerParts& parts) {
    for (size_t i = 0; i < parts.count; ++i) {
      const Part part = parts.parts[i].part;
      const bool open = part == Part::kName || part == Part::kId || part == Part::kAny || part == Part::kKey || part == Part::kType || part == Part::kRaw;
      if (!open) continue;
      if (i + 1 == parts.count) return false;
      const AnswerPart& next = parts.parts[i + 1];
      if (part == Part::kName && (next.part == Part::kValue || next.part == Part::kFields)) continue;
      if (next.part != Part::kText) return false;
      if (part == Part::kRaw && Core(next.text).empty()) return false;
    }
    return true;
  }
  static bool CallFits(const AnswerFormat& f) {
    const size_t objects = Count(f.call, Part::kObject), names = Count(f.call, Part::kName);
    const size_t values = Count(f.call, Part::kValue), fields = Count(f.call, Part::kFields);
    if (Count(f.call, Part::kKey) + Count(f.call, Part::kType) + Count(f.call, Part::kRaw) > 0 || Count(f.call, Part::kId) > 1) return false;
    if (objects == 1) return names + values + fields == 0 && !f.name_key.empty() && !f.arguments_key.empty() && SlotsEnd(f.call);
    // Without a text in front of it any word would be a call.
    if (objects > 1 || names != 1 || values + fields != 1 || !SlotsEnd(f.call)) return false;
    if (f.call.parts[0].part == Part::kName) return !f.calls_open.empty() && !f.calls_close.empty();
    return f.call.parts[0].part == Part::kText && !Core(f.call.parts[0].text).empty();
  }
  static bool FieldFits(const AnswerFormat& f) {
    if (Count(f.call, Part::kFields) == 0) return f.field.count == 0;
    if (Count(f.field, Part::kKey) != 1 || Count(f.field, Part::kRaw) + Count(f.field, Part::kValue) != 1 || Count(f.field, Part::kType) > 1) return false;
    if (Count(f.field, Part::kText) + Count(f.field, Part::kKey) + Count(f.field, Part::kType) + Count(f.field, Part::kRaw) + Count(f.field, Part::kValue) !=
        f.field.count) {
      return false;
    }
    return SlotsEnd(f.field);
  }

  const uint8_t *begin_, *at_, *end_;
  bool ok_ = true;
};

}  // namespace

Result<AnswerFormat> VerifyAnswerFormat(const uint8_t* bytes, size_t size) { return FormatVerifier(bytes, size).Run(); }

std::string_view EndToken(std::string_view end) {
  end = Core(end);
  // The last one of several: "<|close|>message<|sep|><|end_of_msg|>".
  if (end.size() > 1 && end.back() == '>') {
    const size_t open = end.rfind('<');
    if (open != end.npos) return end.substr(open);
  }
  return end;
}

}  // namespace thimble::chat
