#include "targets/template/lexer.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "targets/template/compile.h"

namespace thimble::chat {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f); }

void AppendUtf8(uint32_t c, std::string* out) {
  if (c < 0x80) {
    *out += static_cast<char>(c);
  } else if (c < 0x800) {
    *out += {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
  } else if (c < 0x10000) {
    *out += {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
  } else {
    *out += {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)), static_cast<char>(0x80 | (c >> 6 & 63)),
             static_cast<char>(0x80 | (c & 63))};
  }
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) {
    // Lines end with \n, and the last one's end does not count.
    for (size_t i = 0; i < source.size(); ++i) {
      if (source[i] == '\r') {
        s_ += '\n';
        if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      } else {
        s_ += source[i];
      }
    }
    if (!s_.empty() && s_.back() == '\n') s_.pop_back();
  }

  std::vector<Token> Run() {
    bool line_starting = true;
    while (at_ < s_.size()) {
      size_t tag = s_.find('{', at_);
      while (tag != std::string::npos && (tag + 1 >= s_.size() || (s_[tag + 1] != '{' && s_[tag + 1] != '%' && s_[tag + 1] != '#'))) {
        tag = s_.find('{', tag + 1);
      }
      std::string text = s_.substr(at_, tag == std::string::npos ? std::string::npos : tag - at_);
      const size_t text_at = at_;
      if (tag == std::string::npos) {
        Add(TokenKind::kText, text, text_at);
        break;
      }
      const char type = s_[tag + 1], sign = tag + 2 < s_.size() ? s_[tag + 2] : ' ';
      if (type != '{' || sign == '-') StripBefore(sign, line_starting, &text);
      if (!text.empty()) Add(TokenKind::kText, text, text_at);
      at_ = tag + 2 + (sign == '-' || sign == '+' ? 1 : 0);
      if (type == '#') {
        const size_t end = s_.find("#}", at_);
        if (end == std::string::npos) Fail("a comment without its end", tag);
        const char last = end > at_ ? s_[end - 1] : ' ';
        at_ = end + 2;
        if (last == '-') SkipSpace();
        else if (last != '+') SkipNewline();
      } else if (type == '%' && TakeRaw("raw", false)) {
        Raw(tag);
      } else {
        Tag(type, tag);
      }
      line_starting = s_[at_ - 1] == '\n';
    }
    Add(TokenKind::kEnd, "", s_.size());
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void Fail(const std::string& what, size_t at) const {
    const auto [line, column] = Place(at);
    throw TemplateError(what, line, column);
  }
  std::pair<size_t, size_t> Place(size_t at) const {
    const size_t line = static_cast<size_t>(std::count(s_.begin(), s_.begin() + static_cast<ptrdiff_t>(at), '\n'));
    const size_t begin = at == 0 ? std::string::npos : s_.rfind('\n', at - 1);
    return {line + 1, at - (begin == std::string::npos ? 0 : begin + 1) + 1};
  }
  void Add(TokenKind kind, std::string text, size_t at) {
    const auto [line, column] = Place(at);
    tokens_.push_back({kind, std::move(text), line, column});
  }
  // Python's white space beyond ASCII, too: U+0085, 00A0, 1680, 2000-200A, 2028, 2029, 202F, 205F, 3000.
  static size_t SpaceAt(std::string_view s, size_t i) {
    if (IsSpace(s[i])) return 1;
    const auto byte = [&](size_t j) { return i + j < s.size() ? static_cast<uint8_t>(s[i + j]) : 0; };
    if (byte(0) == 0xc2 && (byte(1) == 0x85 || byte(1) == 0xa0)) return 2;
    if (byte(0) == 0xe1 && byte(1) == 0x9a && byte(2) == 0x80) return 3;
    if (byte(0) == 0xe2 && byte(1) == 0x80 && ((byte(2) >= 0x80 && byte(2) <= 0x8a) || byte(2) == 0xa8 || byte(2) == 0xa9 || byte(2) == 0xaf)) return 3;
    if (byte(0) == 0xe2 && byte(1) == 0x81 && byte(2) == 0x9f) return 3;
    if (byte(0) == 0xe3 && byte(1) == 0x80 && byte(2) == 0x80) return 3;
    return 0;
  }
  static size_t TrimmedEnd(std::string_view s) {
    size_t end = 0;
    for (size_t i = 0; i < s.size();) {
      const size_t space = SpaceAt(s, i);
      i += space != 0 ? space : 1;
      if (space == 0) end = i;
    }
    return end;
  }
  void SkipSpace() {
    while (at_ < s_.size()) {
      const size_t space = SpaceAt(s_, at_);
      if (space == 0) return;
      at_ += space;
    }
  }
  void SkipNewline() {
    if (at_ < s_.size() && s_[at_] == '\n') ++at_;
  }
  // In front of a tag: of a block, and of one with '-', white space goes; of a block only where nothing else is on the line.
  static void StripBefore(char sign, bool line_starting, std::string* text) {
    if (sign == '-') {
      text->erase(TrimmedEnd(*text));
    } else if (sign != '+') {
      const size_t line = text->rfind('\n') + 1;
      if ((line > 0 || line_starting) && TrimmedEnd(std::string_view(*text).substr(line)) == 0) text->erase(line);
    }
  }

  // `word` and the end of its tag, from behind {% on. A newline behind {% raw %} stays.
  bool TakeRaw(std::string_view word, bool skip_newline) {
    size_t at = at_;
    const auto space = [&] {
      for (size_t n; at < s_.size() && (n = SpaceAt(s_, at)) != 0;) at += n;
    };
    space();
    if (s_.compare(at, word.size(), word) != 0) return false;
    at += word.size();
    space();
    const char sign = at < s_.size() ? s_[at] : ' ';
    if (sign == '-' || (sign == '+' && skip_newline)) ++at;
    if (s_.compare(at, 2, "%}") != 0) return false;
    at_ = at + 2;
    if (sign == '-') SkipSpace();
    else if (skip_newline && sign != '+') SkipNewline();
    return true;
  }
  // Text up to {% endraw %}, whatever it holds.
  void Raw(size_t tag) {
    const size_t begin = at_;
    const bool line_starting = s_[begin - 1] == '\n';
    for (size_t end = s_.find("{%", begin); end != std::string::npos; end = s_.find("{%", end + 1)) {
      const char sign = end + 2 < s_.size() ? s_[end + 2] : ' ';
      at_ = end + 2 + (sign == '-' || sign == '+' ? 1 : 0);
      if (!TakeRaw("endraw", true)) continue;
      std::string text = s_.substr(begin, end - begin);
      StripBefore(sign, line_starting, &text);
      if (!text.empty()) Add(TokenKind::kText, std::move(text), begin);
      return;
    }
    Fail("{% raw %} without {% endraw %}", tag);
  }

  void Tag(char type, size_t begin) {
    const bool block = type == '%';
    Add(block ? TokenKind::kBlockBegin : TokenKind::kOutBegin, "", begin);
    std::string open;  // brackets
    for (;;) {
      SkipSpace();
      if (at_ >= s_.size()) Fail("a tag without its end", begin);
      if (open.empty()) {
        const char* const ends[] = {block ? "-%}" : "-}}", block ? "+%}" : "-}}", block ? "%}" : "}}"};
        for (int i = 0; i < 3; ++i) {
          const std::string_view end = ends[i];
          if (s_.compare(at_, end.size(), end) != 0) continue;
          Add(block ? TokenKind::kBlockEnd : TokenKind::kOutEnd, "", at_);
          at_ += end.size();
          if (end[0] == '-') SkipSpace();
          else if (block && end[0] == '%') SkipNewline();
          return;
        }
      }
      One(&open);
    }
  }

  void One(std::string* open) {
    const size_t begin = at_;
    const char c = s_[at_];
    if (IsNameStart(c)) {
      while (at_ < s_.size() && (IsNameStart(s_[at_]) || IsDigit(s_[at_]))) ++at_;
      return Add(TokenKind::kName, s_.substr(begin, at_ - begin), begin);
    }
    if (IsDigit(c)) return Number();
    if (c == '\'' || c == '"') return String(c);
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
      if (s_.compare(at_, 2, two) != 0) continue;
      at_ += 2;
      return Add(TokenKind::kOperator, std::string(two), begin);
    }
    if (std::string_view("+-/*%~[](){}<>=.:|,;").find(c) == std::string_view::npos) Fail("a character that is not Jinja's", at_);
    ++at_;
    if (c == '(' || c == '[' || c == '{') *open += c;
    if (c == ')' || c == ']' || c == '}') {
      if (open->empty() || open->back() != (c == ')' ? '(' : c == ']' ? '[' : '{')) Fail("a bracket that does not fit", begin);
      open->pop_back();
    }
    Add(TokenKind::kOperator, std::string(1, c), begin);
  }

  void Number() {
    const size_t begin = at_;
    const size_t base = at_ + 1 >= s_.size() || s_[at_] != '0' ? 10 : std::string_view("xX").find(s_[at_ + 1]) != std::string_view::npos ? 16
                        : std::string_view("oO").find(s_[at_ + 1]) != std::string_view::npos ? 8
                        : std::string_view("bB").find(s_[at_ + 1]) != std::string_view::npos ? 2 : 10;
    if (base != 10) {
      std::string digits;
      for (at_ += 2; at_ < s_.size() && (IsNameStart(s_[at_]) || IsDigit(s_[at_])); ++at_) {
        if (s_[at_] != '_') digits += s_[at_];
      }
      char* end = nullptr;
      const unsigned long value = std::strtoul(digits.c_str(), &end, static_cast<int>(base));
      if (digits.empty() || digits.size() > 32 || *end != 0) Fail("a number that is none", begin);
      return Add(TokenKind::kInt, std::to_string(value), begin);
    }
    const auto digits = [&] {
      std::string out;
      while (at_ < s_.size() && (IsDigit(s_[at_]) || (s_[at_] == '_' && at_ + 1 < s_.size() && IsDigit(s_[at_ + 1])))) {
        if (s_[at_] != '_') out += s_[at_];
        ++at_;
      }
      return out;
    };
    std::string text = digits();
    bool real = false;
    if (at_ + 1 < s_.size() && s_[at_] == '.' && IsDigit(s_[at_ + 1])) {
      ++at_;
      text += '.' + digits();
      real = true;
    }
    size_t e = at_ + 1;
    if (at_ < s_.size() && (s_[at_] == 'e' || s_[at_] == 'E')) {
      if (e < s_.size() && (s_[e] == '+' || s_[e] == '-')) ++e;
      if (e < s_.size() && IsDigit(s_[e])) {
        text += s_.substr(at_, e - at_);
        at_ = e;
        text += digits();
        real = true;
      }
    }
    Add(real ? TokenKind::kFloat : TokenKind::kInt, text, begin);
  }

  void String(char quote) {
    const size_t begin = at_++;
    std::string out;
    for (;; ++at_) {
      if (at_ >= s_.size()) Fail("a string without its end", begin);
      const char c = s_[at_];
      if (c == quote) break;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (++at_ >= s_.size()) Fail("a string without its end", begin);
      const char escaped = s_[at_];
      const auto hex = [&](size_t digits) {
        uint32_t value = 0;
        for (size_t i = 0; i < digits; ++i) {
          const char d = ++at_ < s_.size() ? s_[at_] : ' ';
          const int v = IsDigit(d) ? d - '0' : d >= 'a' && d <= 'f' ? d - 'a' + 10 : d >= 'A' && d <= 'F' ? d - 'A' + 10 : -1;
          if (v < 0) Fail("an escape without its digits", begin);
          value = value * 16 + static_cast<uint32_t>(v);
        }
        AppendUtf8(value, &out);
      };
      switch (escaped) {
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case 'r': out += '\r'; break;
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case 'v': out += '\v'; break;
        case 'a': out += '\a'; break;
        case '\\': case '\'': case '"': out += escaped; break;
        case '\n': break;
        case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': {
          uint32_t value = 0;
          size_t n = 0;
          for (; n < 3 && at_ < s_.size() && s_[at_] >= '0' && s_[at_] <= '7'; ++n, ++at_) value = value * 8 + static_cast<uint32_t>(s_[at_] - '0');
          --at_;
          AppendUtf8(value, &out);
          break;
        }
        case 'N': Fail("a character by its name", begin);
        case 'x': hex(2); break;
        case 'u': hex(4); break;
        case 'U': hex(8); break;
        default: out += {'\\', escaped};
      }
    }
    ++at_;
    Add(TokenKind::kString, std::move(out), begin);
  }

  std::string s_;
  size_t at_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenise(std::string_view source) { return Lexer(source).Run(); }

}  // namespace thimble::chat
