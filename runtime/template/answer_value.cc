// Values as models write them: JSON, what Python prints, or texts between quotes of a template's own; and JSON inside of a text, whose
// quotes and backslashes have one backslash more.
#include "runtime/template/answer_call.h"

namespace thimble::chat {
namespace {

constexpr int kMaxDepth = 32;

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

class ValueReader {
 public:
  // `around`: what the text is quoted with that the value stands in; 0: in none.
  ValueReader(std::string_view in, size_t at, const AnswerFormat& format, bool whole, JsonOut* out, char around = 0)
      : in_(in), at_(at), format_(format), whole_(whole), out_(out), around_(around) {}

  Reading Read(int depth) {
    if (depth > kMaxDepth) return Reading::kBad;
    Skip();
    if (at_ == in_.size()) return Reading::kMore;
    const char c = in_[at_];
    if (c == '{') return Object(depth);
    if (c == '[') return List(depth);
    if (const Reading text = Text(); text != Reading::kBad || failed_) return text;
    if (c == '-' || IsDigit(c)) return Number();
    return Word();
  }
  // An object up to the end of the text that it stands in; where nothing does, one without members.
  Reading ObjectInText() {
    Skip();
    if (at_ == in_.size()) return Reading::kMore;
    if (in_[at_] == around_) {
      Put("{}");
    } else {
      if (in_[at_] != '{') return Fail();
      if (const Reading object = Object(0); object != Reading::kDone) return object;
      Skip();
      if (at_ == in_.size()) return Reading::kMore;
      if (in_[at_] != around_) return Fail();
    }
    ++at_;
    return Reading::kDone;
  }
  size_t at() const { return at_; }

 private:
  void Skip() {
    at_ += Spaces(in_, at_);
    while (around_ != 0 && at_ + 1 < in_.size() && in_[at_] == '\\' && std::memchr("nrt", in_[at_ + 1], 3) != nullptr) {
      at_ += 2;
      at_ += Spaces(in_, at_);
    }
  }
  void Put(std::string_view text) {
    if (out_ != nullptr) out_->Put(text);
  }
  Reading Fail() {
    failed_ = true;
    return Reading::kBad;
  }

  Reading Object(int depth) {
    Put("{");
    ++at_;
    for (bool first = true;; first = false) {
      Skip();
      if (at_ == in_.size()) return Reading::kMore;
      if (in_[at_] == '}' && first) break;
      if (const Reading key = Key(); key != Reading::kDone) return key;
      Skip();
      if (at_ == in_.size()) return Reading::kMore;
      if (in_[at_] != ':') return Fail();
      ++at_;
      Put(": ");
      if (const Reading value = Read(depth + 1); value != Reading::kDone) return value == Reading::kBad ? Fail() : value;
      Skip();
      if (at_ == in_.size()) return Reading::kMore;
      if (in_[at_] == '}') break;
      if (in_[at_] != ',') return Fail();
      ++at_;
      Put(", ");
    }
    ++at_;
    Put("}");
    return Reading::kDone;
  }
  Reading List(int depth) {
    Put("[");
    ++at_;
    for (bool first = true;; first = false) {
      Skip();
      if (at_ == in_.size()) return Reading::kMore;
      if (in_[at_] == ']' && first) break;
      if (const Reading value = Read(depth + 1); value != Reading::kDone) return value == Reading::kBad ? Fail() : value;
      Skip();
      if (at_ == in_.size()) return Reading::kMore;
      if (in_[at_] == ']') break;
      if (in_[at_] != ',') return Fail();
      ++at_;
      Put(", ");
    }
    ++at_;
    Put("]");
    return Reading::kDone;
  }
  Reading Key() {
    if (const Reading text = Text(); text != Reading::kBad || failed_) return text;
    if (around_ != 0) return Fail();
    if (format_.quote.empty()) return Fail();
    const size_t begin = at_;
    for (; at_ < in_.size() && in_[at_] != ':'; ++at_) {
      if (in_[at_] == '{' || in_[at_] == '}' || in_[at_] == ',' || in_[at_] == '\n') return Fail();
    }
    if (at_ == in_.size()) return Reading::kMore;
    if (out_ != nullptr) out_->PutText(Core(in_.substr(begin, at_ - begin)));
    return Reading::kDone;
  }
  // kBad without a failure: there is no text here.
  Reading Text() { return around_ == 0 ? Quoted() : QuotedInText(); }
  Reading Quoted() {
    if (!format_.quote.empty()) {
      const std::string_view rest = in_.substr(at_);
      if (rest.substr(0, format_.quote.size()) == format_.quote) {
        const size_t begin = at_ + format_.quote.size(), end = in_.find(format_.quote, begin);
        if (end == in_.npos) return Reading::kMore;
        if (out_ != nullptr) out_->PutText(in_.substr(begin, end - begin));
        at_ = end + format_.quote.size();
        return Reading::kDone;
      }
      if (format_.quote.substr(0, rest.size()) == rest) return Reading::kMore;
    }
    const char quote = in_[at_];
    if (quote != '"' && !(quote == '\'' && format_.python)) return Reading::kBad;
    Put("\"");
    for (++at_; at_ < in_.size(); ++at_) {
      const char c = in_[at_];
      if (c == quote) {
        ++at_;
        Put("\"");
        return Reading::kDone;
      }
      if (c == '\\') {
        if (const Reading escape = Escape(); escape != Reading::kDone) return escape;
      } else if (out_ != nullptr) {
        out_->PutEscaped(c);
      }
    }
    return Reading::kMore;
  }
  // in_[at_] is the backslash; at_ ends on the last byte of the escape.
  Reading Escape() {
    if (++at_ == in_.size()) return Reading::kMore;
    const char c = in_[at_];
    if (c == '\'') {
      Put("'");
      return Reading::kDone;
    }
    if (c == 'u' || (c == 'x' && format_.python)) {
      const size_t digits = c == 'u' ? 4 : 2;
      for (size_t i = 1; i <= digits; ++i) {
        if (at_ + i == in_.size()) return Reading::kMore;
        if (!IsHex(in_[at_ + i])) return Fail();
      }
      Put(c == 'u' ? "\\u" : "\\u00");
      Put(in_.substr(at_ + 1, digits));
      at_ += digits;
      return Reading::kDone;
    }
    if (std::memchr("\"\\/bfnrt", c, 8) == nullptr) return Fail();
    Put("\\");
    Put(in_.substr(at_, 1));
    return Reading::kDone;
  }
  // The same inside of a text: \"a \\n b\", or "a \\n b" where the text stands between '.
  Reading QuotedInText() {
    const bool plain = around_ != '"';
    if (in_[at_] != (plain ? '"' : '\\')) return Reading::kBad;
    if (!plain && ++at_ == in_.size()) return Reading::kMore;
    if (in_[at_] != '"') return Fail();
    Put("\"");
    for (++at_; at_ < in_.size(); ++at_) {
      const bool escape = in_[at_] == '\\';
      if (escape && at_ + 1 == in_.size()) return Reading::kMore;
      if (in_[at_] == around_) return Fail();  // the text ends before its value
      if (plain ? in_[at_] == '"' : escape && in_[at_ + 1] == '"') {
        at_ += plain ? 1 : 2;
        Put("\"");
        return Reading::kDone;
      }
      if (!escape) {
        if (out_ != nullptr) out_->PutEscaped(in_[at_]);
        continue;
      }
      // Two of them begin an escape of the value's own, in which \ and " may be escaped once more.
      if (in_[at_ + 1] == '\\') {
        if (at_ + 2 < in_.size() && in_[at_ + 2] == '\\') {
          if (at_ + 3 < in_.size() && in_[at_ + 3] != '\\' && in_[at_ + 3] != around_) return Fail();
          ++at_;
        } else if (at_ + 2 < in_.size() && in_[at_ + 2] == around_) {
          return Fail();
        }
        ++at_;
      }
      if (const Reading read = Escape(); read != Reading::kDone) return read;
    }
    return Reading::kMore;
  }
  Reading Number() {
    const size_t begin = at_;
    size_t i = at_;
    const auto digits = [&] {
      const size_t first = i;
      while (i < in_.size() && IsDigit(in_[i])) ++i;
      return i > first;
    };
    const auto end = [&] { return i == in_.size() && !whole_; };
    if (in_[i] == '-') ++i;
    if (end()) return Reading::kMore;
    const size_t whole = i;
    if (!digits() || (in_[whole] == '0' && i > whole + 1)) return end() ? Reading::kMore : Fail();
    if (i < in_.size() && in_[i] == '.') {
      ++i;
      if (!digits()) return end() ? Reading::kMore : Fail();
    }
    if (i < in_.size() && (in_[i] == 'e' || in_[i] == 'E')) {
      ++i;
      if (i < in_.size() && (in_[i] == '+' || in_[i] == '-')) ++i;
      if (!digits()) return end() ? Reading::kMore : Fail();
    }
    if (end()) return Reading::kMore;
    at_ = i;
    Put(in_.substr(begin, i - begin));
    return Reading::kDone;
  }
  Reading Word() {
    static constexpr struct { std::string_view text, json; bool python; } kWords[] = {
        {"true", "true", false}, {"false", "false", false}, {"null", "null", false},
        {"True", "true", true},  {"False", "false", true},  {"None", "null", true}};
    const std::string_view rest = in_.substr(at_);
    for (const auto& word : kWords) {
      if (word.python && !format_.python) continue;
      if (rest.substr(0, word.text.size()) == word.text) {
        at_ += word.text.size();
        Put(word.json);
        return Reading::kDone;
      }
      if (!whole_ && word.text.substr(0, rest.size()) == rest) return Reading::kMore;
    }
    return Fail();
  }

  std::string_view in_;
  size_t at_;
  const AnswerFormat& format_;
  bool whole_, failed_ = false;
  JsonOut* out_;
  char around_;
};

}  // namespace

Reading ReadObjectInText(std::string_view in, size_t* at, const AnswerFormat& format, JsonOut* out) {
  ValueReader reader(in, *at + 1, format, false, out, in[*at]);
  const Reading state = reader.ObjectInText();
  *at = reader.at();
  return state;
}

Reading ReadValue(std::string_view in, size_t* at, const AnswerFormat& format, bool whole, JsonOut* out) {
  ValueReader reader(in, *at, format, whole, out);
  const Reading state = reader.Read(0);
  *at = reader.at();
  return state;
}

void JsonOut::PutEscaped(char c) {
  const auto byte = static_cast<uint8_t>(c);
  if (c == '"') Put("\\\"");
  else if (c == '\n') Put("\\n");
  else if (c == '\r') Put("\\r");
  else if (c == '\t') Put("\\t");
  else if (byte < 0x20) Put("\\u00"), Put("0123456789abcdef"[byte >> 4]), Put("0123456789abcdef"[byte & 15]);
  else Put(c);
}

void JsonOut::PutText(std::string_view text) {
  Put('"');
  for (const char c : text) {
    if (c == '\\') Put('\\');
    PutEscaped(c);
  }
  Put('"');
}

}  // namespace thimble::chat
