// Python's '...' % values: texts, numbers and their forms by letters, with flags, width and precision.
#include <charconv>
#include <cmath>

#include "runtime/template/texts.h"

namespace thimble::chat {
namespace {

constexpr int64_t kMostWidth = 512, kMostPrecision = 64;
constexpr std::string_view kSpaces = "                                                                ";
constexpr std::string_view kZeros = "0000000000000000000000000000000000000000000000000000000000000000";

struct Directive {
  bool left = false, plus = false, blank = false, zeros = false, form = false;
  int64_t width = 0, precision = -1;
  char letter = 0;
};

// A number below `most`, or -1 where there is none or it is larger.
int64_t TakeNumber(std::string_view s, size_t* at, int64_t most) {
  int64_t value = 0;
  const size_t begin = *at;
  for (; *at < s.size() && s[*at] >= '0' && s[*at] <= '9'; ++*at) value = value > most ? value : 10 * value + (s[*at] - '0');
  return *at == begin || value > most ? -1 : value;
}

class Percent {
 public:
  Percent(Machine& m, const Value& text, const Value& values) : m_(m), text_(text), mapping_(values) {
    const bool tuple = values.is(Kind::kList) && values.tuple;
    values_ = tuple ? values.items : &values;
    count_ = tuple ? values.size : 1;
  }

  Value Run() {
    const std::string_view s = text_.str();
    size_t most = 1;
    for (const char c : s) most += c == '%';
    // Of each: the text before it, a sign, what fills on both sides in pieces of 64, the value.
    parts_ = m_.Take<Value>(most * (6 + 2 * kMostWidth / kSpaces.size()));
    if (m_.failed() || !m_.Step(s.size() / 8)) return {};
    size_t begin = 0;
    for (size_t i = 0; i < s.size() && !m_.failed();) {
      if (s[i] != '%') {
        ++i;
        continue;
      }
      Put(PartOf(text_, begin, i - begin));
      begin = i = One(s, i + 1);
    }
    if (m_.failed()) return {};
    if (used_ < count_ && !mapped_ && !mapping_.is(Kind::kDict)) return m_.Fail("% with more values than the text takes");
    Put(PartOf(text_, begin, s.size() - begin));
    return m_.Join(parts_, size_);
  }

 private:
  void Put(const Value& part) { parts_[size_++] = part; }

  // What stands behind a percent sign; where the text goes on.
  size_t One(std::string_view s, size_t i) {
    const Value* value = nullptr;
    if (i < s.size() && s[i] == '(') {
      const size_t end = s.find(')', i);
      if (end == s.npos || !mapping_.is(Kind::kDict)) return m_.Fail("% with a name needs a mapping"), s.size();
      const std::string_view key = s.substr(i + 1, end - i - 1);
      for (uint32_t j = 0; j < mapping_.size; ++j) {
        if (mapping_.members[j].key.is(Kind::kText) && mapping_.members[j].key.str() == key) value = &mapping_.members[j].value;
      }
      if (value == nullptr) return m_.Fail("% without a value of the name", key), s.size();
      mapped_ = true;
      i = end + 1;
    }
    Directive d;
    for (; i < s.size(); ++i) {
      if (s[i] == '-') d.left = true;
      else if (s[i] == '+') d.plus = true;
      else if (s[i] == ' ') d.blank = true;
      else if (s[i] == '0') d.zeros = true;
      else if (s[i] == '#') d.form = true;
      else break;
    }
    if (i < s.size() && s[i] >= '1' && s[i] <= '9' && (d.width = TakeNumber(s, &i, kMostWidth)) < 0) return m_.Fail("% with too large a width"), s.size();
    if (i < s.size() && s[i] == '.') {
      ++i;
      d.precision = i < s.size() && s[i] >= '0' && s[i] <= '9' ? TakeNumber(s, &i, kMostPrecision) : 0;
      if (d.precision < 0) return m_.Fail("% with too large a precision"), s.size();
    }
    while (i < s.size() && (s[i] == 'l' || s[i] == 'h' || s[i] == 'L')) ++i;
    if (i == s.size()) return m_.Fail("% at the end of a text"), s.size();
    d.letter = s[i];
    if (d.letter == '%') {
      Put(PartOf(text_, i, 1));
      return i + 1;
    }
    if (value == nullptr) {
      if (used_ == count_) return m_.Fail("% with fewer values than the text takes"), s.size();
      value = &values_[used_++];
    }
    Write(d, *value, s.substr(i, 1));
    return i + 1;
  }

  void Write(const Directive& d, const Value& value, std::string_view letter) {
    switch (d.letter) {
      case 's': return Padded(d, {}, Cut(m_.AsText(value), d.precision));
      case 'r': return Padded(d, {}, Cut(m_.Repr(value), d.precision));
      case 'c':
        if (value.is(Kind::kText) && CodePoints(value.str()) == 1) return Padded(d, {}, value);
        m_.Fail("%c of what is no character");
        return;
      case 'd': case 'i': case 'u': case 'x': case 'X': case 'o': return Whole(d, value);
      case 'f': case 'F': case 'e': case 'E': case 'g': case 'G': return Real(d, value);
      default: m_.Fail("an unknown letter behind %", letter);
    }
  }

  static Value Cut(const Value& text, int64_t characters) {
    if (characters < 0) return text;
    size_t end = 0;
    for (; characters > 0 && end < text.size; --characters) end += CodePointBytes(text.str(), end);
    return PartOf(text, 0, end);
  }

  void Whole(const Directive& d, const Value& value) {
    const bool decimal = d.letter == 'd' || d.letter == 'i' || d.letter == 'u';
    if (!value.number() || (value.is(Kind::kFloat) && (!decimal || !(std::fabs(value.real) < 9e18)))) return void(m_.Fail("a letter behind % that takes a number"));
    const int64_t whole = value.is(Kind::kFloat) ? static_cast<int64_t>(value.real) : value.is(Kind::kBool) ? value.truth : value.whole;
    char digits[32];
    const uint64_t size = whole < 0 ? 0 - static_cast<uint64_t>(whole) : static_cast<uint64_t>(whole);
    const char* end = std::to_chars(digits, digits + sizeof digits, size, decimal ? 10 : d.letter == 'o' ? 8 : 16).ptr;
    const size_t count = static_cast<size_t>(end - digits);
    const std::string_view prefix = !d.form || decimal ? "" : d.letter == 'o' ? "0o" : d.letter == 'x' ? "0x" : "0X";
    TextBuilder out(m_);
    for (size_t i = count; d.precision > static_cast<int64_t>(i); ++i) out.Add('0');
    for (size_t i = 0; i < count; ++i) out.Add(d.letter == 'X' ? Upper(digits[i]) : digits[i]);
    Padded(d, Sign(d, whole < 0, prefix), out.Done(), true);
  }

  void Real(const Directive& d, const Value& value) {
    if (!value.number()) return void(m_.Fail("a letter behind % that takes a number"));
    const double real = value.is(Kind::kFloat) ? value.real : value.is(Kind::kBool) ? value.truth : static_cast<double>(value.whole);
    const char letter = Lower(d.letter);
    const bool upper = letter != d.letter;
    char digits[400];
    std::string_view text = std::isnan(real) ? "nan" : "inf";
    if (std::isfinite(real)) {
      const auto form = letter == 'f' ? std::chars_format::fixed : letter == 'e' ? std::chars_format::scientific : std::chars_format::general;
      const int precision = d.precision < 0 ? 6 : letter == 'g' && d.precision == 0 ? 1 : static_cast<int>(d.precision);
      const char* end = std::to_chars(digits, digits + sizeof digits, std::fabs(real), form, precision).ptr;
      text = {digits, static_cast<size_t>(end - digits)};
    }
    TextBuilder out(m_);
    for (const char c : text) out.Add(upper ? Upper(c) : c);
    Padded(d, Sign(d, std::signbit(real) && !std::isnan(real), {}), out.Done(), std::isfinite(real));
  }

  // Into text of its own, as the parts of a text are views.
  Value Sign(const Directive& d, bool negative, std::string_view prefix) {
    TextBuilder out(m_);
    if (negative || d.plus || d.blank) out.Add(negative ? '-' : d.plus ? '+' : ' ');
    out.Add(prefix);
    return out.Done();
  }

  void Padded(const Directive& d, const Value& sign, const Value& text, bool number = false) {
    if (m_.failed() || !m_.Step()) return;
    const int64_t size = static_cast<int64_t>(CodePoints(text.str()) + sign.size);
    const int64_t fill = d.width > size ? d.width - size : 0;
    const bool zeros = d.zeros && number && !d.left;
    if (!d.left && !zeros) Fill(kSpaces, fill);
    if (sign.size > 0) Put(sign);
    if (zeros) Fill(kZeros, fill);
    Put(text);
    if (d.left) Fill(kSpaces, fill);
  }

  void Fill(std::string_view with, int64_t count) {
    for (; count > 0; count -= static_cast<int64_t>(with.size())) Put(Value::Text(with.substr(0, static_cast<size_t>(count)), kTemplate));
  }

  Machine& m_;
  const Value& text_;
  const Value& mapping_;
  const Value* values_;
  size_t count_, used_ = 0;
  bool mapped_ = false;
  Value* parts_ = nullptr;
  size_t size_ = 0;
};

}  // namespace

Value FormatPercent(Machine& m, const Value& text, const Value& values) { return Percent(m, text, values).Run(); }

}  // namespace thimble::chat
