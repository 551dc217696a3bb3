// One pass, recursive. What a list or an object holds is pushed at the workspace's end until its number is known.
#include "runtime/template/json.h"

#include <charconv>
#include <clocale>
#include <cstdlib>
#include <cstring>

namespace thimble::chat {
namespace {

constexpr int kMostDepth = 64;
constexpr size_t kMostMembers = 4096;

class JsonReader {
 public:
  JsonReader(std::string_view text, Workspace& workspace) : text_(text), workspace_(workspace) {}

  JsonFailure Run(Value* out) {
    Skip();
    if (Read(out, 0)) {
      Skip();
      if (at_ != text_.size()) Fail("something behind its end");
    }
    return failure_;
  }

 private:
  bool Fail(const char* what) {
    if (failure_.what == nullptr) failure_ = {what, at_ < text_.size() ? at_ : text_.size(), false};
    return false;
  }
  bool NoRoom() {
    Fail("the workspace is too small");
    failure_.memory = true;
    return false;
  }
  void Skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) ++at_;
  }
  bool Have(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool Word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return Fail("is not JSON");
    at_ += word.size();
    return true;
  }

  bool Read(Value* out, int depth) {
    if (depth > kMostDepth) return Fail("is nested too deeply");
    if (at_ == text_.size()) return Fail("ends too early");
    switch (text_[at_]) {
      case '{': return Object(out, depth);
      case '[': return List(out, depth);
      case '"': return Text(out);
      case 't': *out = Value::Bool(true); return Word("true");
      case 'f': *out = Value::Bool(false); return Word("false");
      case 'n': *out = Value::None(); return Word("null");
      default: return Number(out);
    }
  }

  bool List(Value* out, int depth) {
    ++at_;
    size_t count = 0;
    for (Skip(); !Have(']'); Skip()) {
      if (count > 0 && !Have(',')) return Fail("expected ',' or ']'");
      Skip();
      Value item;
      if (!Read(&item, depth + 1)) return false;
      Value* place = workspace_.Push<Value>();
      if (place == nullptr) return NoRoom();
      *place = item;
      ++count;
    }
    Value* items = workspace_.Take<Value>(count);
    if (items == nullptr) return NoRoom();
    for (size_t i = count; i > 0; --i) items[i - 1] = Popped<Value>();
    *out = Value::List(items, count);
    return true;
  }

  bool Object(Value* out, int depth) {
    ++at_;
    size_t count = 0;
    for (Skip(); !Have('}'); Skip()) {
      if (count > 0 && !Have(',')) return Fail("expected ',' or '}'");
      Skip();
      Member member;
      if (at_ == text_.size() || text_[at_] != '"') return Fail("expected a key");
      if (!Text(&member.key)) return false;
      Skip();
      if (!Have(':')) return Fail("expected ':'");
      Skip();
      if (!Read(&member.value, depth + 1)) return false;
      if (++count > kMostMembers) return Fail("has more than 4096 members in an object");
      Member* place = workspace_.Push<Member>();
      if (place == nullptr) return NoRoom();
      *place = member;
    }
    Member* members = workspace_.Take<Member>(count);
    if (members == nullptr) return NoRoom();
    for (size_t i = count; i > 0; --i) members[i - 1] = Popped<Member>();
    size_t used = 0;
    for (size_t i = 0; i < count; ++i) {
      size_t same = 0;
      while (same < used && members[same].key.str() != members[i].key.str()) ++same;
      if (same < used) members[same].value = members[i].value;
      else members[used++] = members[i];
    }
    *out = Value::Dict(members, used);
    return true;
  }

  template <typename T>
  T Popped() {
    // The last one pushed lies where the next one would end.
    T* place = workspace_.Last<T>();
    const T value = *place;
    workspace_.Pop<T>(1);
    return value;
  }

  bool Text(Value* out) {
    const size_t begin = ++at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' && static_cast<unsigned char>(text_[at_]) >= 0x20) ++at_;
    if (at_ < text_.size() && text_[at_] == '"') {
      *out = Value::Text(text_.substr(begin, at_ - begin), kData);
      ++at_;
      return true;
    }
    // With escapes: no longer than it is written.
    size_t end = at_;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return Fail("a text without its end");
    char* made = workspace_.Take<char>(end - begin);
    if (made == nullptr) return NoRoom();
    size_t bytes = at_ - begin;
    std::memcpy(made, text_.data() + begin, bytes);
    while (at_ < end) {
      if (static_cast<unsigned char>(text_[at_]) < 0x20) return Fail("a control character in a text");
      if (text_[at_] != '\\') made[bytes++] = text_[at_++];
      else if (!Escape(made, &bytes)) return false;
    }
    ++at_;
    *out = Value::Text({made, bytes}, kData);
    return true;
  }

  bool Escape(char* made, size_t* bytes) {
    const char c = text_[at_ + 1];
    constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
    if (const size_t known = kFrom.find(c); known != kFrom.npos) {
      made[(*bytes)++] = kTo[known];
      at_ += 2;
      return true;
    }
    uint32_t point = 0, low = 0;
    if (c != 'u' || !Hex(at_ + 2, &point)) return Fail("an escape that JSON does not have");
    at_ += 6;
    if (point >= 0xd800 && point < 0xdc00 && text_.substr(at_).starts_with("\\u") && Hex(at_ + 2, &low) && low >= 0xdc00 && low < 0xe000) {
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
      at_ += 6;
    }
    if (point >= 0xd800 && point < 0xe000) point = 0xfffd;  // half of a pair is no character
    const auto put = [&](uint32_t byte) { made[(*bytes)++] = static_cast<char>(byte); };
    if (point < 0x80) return put(point), true;
    if (point < 0x800) {
      put(0xc0 | point >> 6);
    } else if (point < 0x10000) {
      put(0xe0 | point >> 12);
      put(0x80 | (point >> 6 & 63));
    } else {
      put(0xf0 | point >> 18);
      put(0x80 | (point >> 12 & 63));
      put(0x80 | (point >> 6 & 63));
    }
    put(0x80 | (point & 63));
    return true;
  }
  bool Hex(size_t at, uint32_t* out) const {
    if (text_.size() - at < 4) return false;
    const auto read = std::from_chars(text_.data() + at, text_.data() + at + 4, *out, 16);
    return read.ec == std::errc() && read.ptr == text_.data() + at + 4;
  }

  bool Number(Value* out) {
    const size_t begin = at_;
    const auto digits = [&] {
      const size_t from = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
      return at_ - from;
    };
    Have('-');
    const bool zero = at_ < text_.size() && text_[at_] == '0';
    const size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) return Fail("is not JSON");
    bool real = false;
    if (Have('.')) {
      real = true;
      if (digits() == 0) return Fail("a number that ends with its point");
    }
    if (Have('e') || Have('E')) {
      real = true;
      if (!Have('+')) Have('-');
      if (digits() == 0) return Fail("a number without its exponent");
    }
    const std::string_view number = text_.substr(begin, at_ - begin);
    int64_t value = 0;
    if (!real && std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc()) {
      *out = Value::Int(value);
      return true;
    }
    double as_real = 0;
    if (!ReadReal(number, &as_real)) return Fail("a number that is too long");
    *out = Value::Float(as_real);
    return true;
  }

  std::string_view text_;
  Workspace& workspace_;
  size_t at_ = 0;
  JsonFailure failure_;
};

}  // namespace

bool ReadReal(std::string_view text, double* out) {
  char buffer[400];
  if (text.empty() || text.size() >= sizeof buffer) return false;
  for (const char c : text) {
    if ((c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E') return false;
  }
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = 0;
  // strtod reads the point of the program's language.
  if (char* point = std::strchr(buffer, '.')) *point = *std::localeconv()->decimal_point;
  char* end = nullptr;
  *out = std::strtod(buffer, &end);
  return end == buffer + text.size();
}

JsonFailure ReadJson(std::string_view text, Workspace& workspace, Value* out) { return JsonReader(text, workspace).Run(out); }

}  // namespace thimble::chat
