#include "runtime/template/texts.h"

#include <charconv>
#include <cstring>

#include "runtime/core/unicode/case_mapping.h"
#include "runtime/core/unicode/unicode.h"

namespace thimble::chat {
namespace {

bool IsCased(uint32_t c) { return CaseOf(c) != LetterCase::kNone; }

constexpr uint32_t kCapitalSigma = 0x3a3, kFinalSigma = 0x3c2;
constexpr int kMostIgnored = 64;  // characters that are looked through, so that the time stays linear

// Unicode's Case_Ignorable, roughly: marks, and what stands inside of words.
bool IsIgnored(uint32_t c) {
  constexpr uint32_t kInside[] = {'\'', '.', ':', '^', '`', 0xa8, 0xad, 0xaf, 0xb4, 0xb7, 0xb8, 0x2018, 0x2019, 0x2024, 0x2027};
  for (const uint32_t one : kInside) {
    if (c == one) return true;
  }
  return ClassOf(c) == CharClass::kMark;
}

// Does a word end with the character at s[i], which is not all of it?
bool IsFinal(std::string_view s, size_t i, size_t bytes) {
  bool inside = false;
  size_t at = i;
  for (int n = 0; at > 0 && n < kMostIgnored && !inside; ++n) {
    do --at;
    while (at > 0 && (static_cast<uint8_t>(s[at]) & 0xc0) == 0x80);
    const uint32_t c = DecodeUtf8(s.substr(at)).code_point;
    inside = IsCased(c);
    if (!inside && !IsIgnored(c)) return false;
  }
  if (!inside) return false;
  at = i + bytes;
  for (int n = 0; at < s.size() && n < kMostIgnored; ++n) {
    const Utf8Char c = DecodeUtf8(s.substr(at));
    if (IsCased(c.code_point)) return false;
    if (!IsIgnored(c.code_point)) break;
    at += c.bytes;
  }
  return true;
}

enum class Casing : uint8_t { kLower, kUpper, kCapitalized, kTitled, kTitledWords };

// Which case the character at s[i] gets, `before` being the one before it, a space at the start.
CaseForm FormOf(Casing casing, uint32_t before, size_t i) {
  constexpr std::string_view kBefore = "-({[<";
  switch (casing) {
    case Casing::kLower: return CaseForm::kLower;
    case Casing::kUpper: return CaseForm::kUpper;
    case Casing::kCapitalized: return i == 0 ? CaseForm::kTitle : CaseForm::kLower;
    case Casing::kTitled: return IsCased(before) ? CaseForm::kLower : CaseForm::kTitle;
    case Casing::kTitledWords: break;
  }
  const bool starts = before < 0x80 ? before <= ' ' || kBefore.find(static_cast<char>(before)) != kBefore.npos : ClassOf(before) == CharClass::kSpace;
  return starts ? CaseForm::kUpper : CaseForm::kLower;
}

// What is no UTF-8 stays. Once to measure and once to write.
Value Changed(Machine& m, const Value& text, Casing casing) {
  if (!m.Step(text.size / 4)) return {};
  const bool mixed = text.marks != kTemplate && text.marks != kData;
  char* out = nullptr;
  uint8_t* marks = nullptr;
  size_t size = 0;
  for (const bool writes : {false, true}) {
    if (writes) {
      out = m.Take<char>(size);
      marks = mixed ? m.Take<uint8_t>(size) : nullptr;
      if (m.failed()) return {};
    }
    size = 0;
    uint32_t before = ' ';
    for (uint32_t i = 0; i < text.size;) {
      const Utf8Char c = DecodeUtf8(text.str().substr(i));
      char mapped[kMaxCaseBytes] = {text.text[i]};
      size_t bytes = 1;
      if (c.valid) {
        const CaseForm wanted = FormOf(casing, before, i);
        const bool ends_word = c.code_point == kCapitalSigma && wanted == CaseForm::kLower && IsFinal(text.str(), i, c.bytes);
        bytes = ends_word ? EncodeUtf8(kFinalSigma, mapped) : CaseMapped(c.code_point, wanted, mapped);
      }
      if (writes) std::memcpy(out + size, mapped, bytes);
      if (writes && mixed) std::memset(marks + size, text.marks[i], bytes);
      size += bytes;
      i += c.bytes;
      before = c.code_point;
    }
  }
  return Value::Text({out, size}, mixed ? marks : text.marks);
}

// Bytes of what ends a line at s[i], as str.splitlines() has it; 0: nothing.
size_t LineEnd(std::string_view s, size_t i) {
  const auto byte = [&](size_t j) { return i + j < s.size() ? static_cast<uint8_t>(s[i + j]) : 0; };
  if (byte(0) == '\r') return byte(1) == '\n' ? 2 : 1;
  if ((byte(0) >= '\n' && byte(0) <= '\f') || (byte(0) >= 0x1c && byte(0) <= 0x1e)) return 1;
  if (byte(0) == 0xc2 && byte(1) == 0x85) return 2;
  return byte(0) == 0xe2 && byte(1) == 0x80 && (byte(2) == 0xa8 || byte(2) == 0xa9) ? 3 : 0;
}
// But for a carriage return, which goes together with the line feed that Jinja puts behind it.
bool EndsLine(std::string_view s) {
  if (s.ends_with('\r')) return false;
  for (size_t bytes = 1; bytes <= 3 && bytes <= s.size(); ++bytes) {
    if (LineEnd(s, s.size() - bytes) == bytes) return true;
  }
  return false;
}

// Does the code point at s[i] belong to `set` (null: white space)? Its bytes, or 0.
size_t Stripped(std::string_view s, size_t i, const std::string_view* set) {
  if (set == nullptr) return SpaceBytes(s, i);
  const size_t n = CodePointBytes(s, i);
  for (size_t j = 0; j < set->size(); j += CodePointBytes(*set, j)) {
    if (set->substr(j, CodePointBytes(*set, j)) == s.substr(i, n)) return n;
  }
  return 0;
}

}  // namespace

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

Value LowerText(Machine& m, const Value& text) { return Changed(m, text, Casing::kLower); }
Value UpperText(Machine& m, const Value& text) { return Changed(m, text, Casing::kUpper); }
Value Capitalized(Machine& m, const Value& text) { return Changed(m, text, Casing::kCapitalized); }
Value Titled(Machine& m, const Value& text) { return Changed(m, text, Casing::kTitled); }
Value TitledWords(Machine& m, const Value& text) { return Changed(m, text, Casing::kTitledWords); }

Value Partition(Machine& m, const Value& text, const Value* separator, bool from_right) {
  if (separator == nullptr || !separator->is(Kind::kText) || separator->size == 0) return m.Fail("partition needs a text");
  Value* parts = m.Take<Value>(3);
  if (m.failed() || !m.Step(text.size / 16)) return {};
  const size_t found = from_right ? text.str().rfind(separator->str()) : text.str().find(separator->str());
  const bool none = found == std::string_view::npos;
  const size_t at = none ? (from_right ? 0 : text.size) : found, cuts[] = {0, at, none ? at : at + separator->size, text.size};
  for (size_t i = 0; i < 3; ++i) parts[i] = PartOf(text, cuts[i], cuts[i + 1] - cuts[i]);
  Value all = Value::List(parts, 3);
  all.tuple = true;
  return all;
}

int AllAre(std::string_view what, std::string_view text) {
  const bool digits = what == "digit", spaces = what == "space", letters = what == "alpha";
  if (!digits && !spaces && !letters && what != "alnum") return -1;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = DecodeUtf8(text.substr(i));
    const CharClass kind = ClassOf(c.code_point);
    if (spaces ? SpaceBytes(text, i) == 0 : digits ? !IsDecimalDigit(c.code_point) : kind != CharClass::kLetter && (letters || kind != CharClass::kNumber)) return 0;
    i += c.bytes;
  }
  return !text.empty();
}

Value Strip(const Value& text, const std::string_view* set, bool left, bool right) {
  const std::string_view s = text.str();
  size_t begin = 0, end = 0;
  while (left && begin < s.size()) {
    const size_t n = Stripped(s, begin, set);
    if (n == 0) break;
    begin += n;
  }
  if (!right) {
    end = s.size();
  } else {
    end = begin;
    for (size_t i = begin; i < s.size();) {
      const size_t n = Stripped(s, i, set);
      i += n != 0 ? n : CodePointBytes(s, i);
      if (n == 0) end = i;
    }
  }
  return PartOf(text, begin, end - begin);
}

Value StripWith(Machine& m, const Value& text, const Arguments& arguments, bool left, bool right) {
  m.Step(text.size / 16);
  const Value* set = arguments.Find(0, "chars");
  if (set == nullptr || set->is(Kind::kNone)) return Strip(text, nullptr, left, right);
  if (!set->is(Kind::kText)) return m.Fail("characters to strip that are no text");
  const std::string_view chars = set->str();
  return Strip(text, &chars, left, right);
}

Value Replace(Machine& m, const Value& text, const Value& old, const Value& fresh, int64_t most) {
  const std::string_view s = text.str(), what = old.str();
  size_t count = 0;
  if (!m.Step(s.size() / 4)) return {};
  if (what.empty()) {
    count = CodePoints(s) + 1;
  } else {
    for (size_t at = s.find(what); at != s.npos; at = s.find(what, at + what.size())) ++count;
  }
  if (most >= 0 && count > static_cast<size_t>(most)) count = static_cast<size_t>(most);
  Value* parts = m.Take<Value>(2 * count + 1);
  if (m.failed()) return {};
  size_t n = 0, at = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t found = what.empty() ? (i == 0 ? 0 : at + CodePointBytes(s, at)) : s.find(what, at);
    parts[n++] = PartOf(text, at, found - at);
    parts[n++] = fresh;
    at = found + what.size();
  }
  parts[n++] = PartOf(text, at, s.size() - at);
  return m.Join(parts, n);
}

Value Split(Machine& m, const Value& text, const Value* separator, int64_t most, bool from_right) {
  const std::string_view s = text.str();
  if (!m.Step(s.size() / 4)) return {};
  size_t room = 1;
  const bool spaces = separator == nullptr || separator->is(Kind::kNone);
  if (!spaces && (!separator->is(Kind::kText) || separator->size == 0)) return m.Fail("split by an empty text");
  const std::string_view by = spaces ? std::string_view() : separator->str();
  if (spaces) {
    room = s.size() / 2 + 1;
  } else {
    for (size_t at = s.find(by); at != s.npos; at = s.find(by, at + by.size())) ++room;
  }
  Value* parts = m.Take<Value>(room);
  if (m.failed()) return {};
  size_t n = 0;
  if (spaces) {
    for (size_t i = 0; i < s.size();) {
      if (const size_t space = SpaceBytes(s, i)) {
        i += space;
        continue;
      }
      if (!from_right && most >= 0 && n == static_cast<size_t>(most)) {
        parts[n++] = PartOf(text, i, s.size() - i);  // with the white space at its end
        break;
      }
      size_t end = i;
      while (end < s.size() && SpaceBytes(s, end) == 0) end += CodePointBytes(s, end);
      parts[n++] = PartOf(text, i, end - i);
      i = end;
    }
    if (from_right && most >= 0 && n > static_cast<size_t>(most)) {
      // The first of what is left takes all in front of it, with the white space at its beginning.
      const size_t together = n - static_cast<size_t>(most);
      const Value& last = parts[together - 1];
      parts[0] = PartOf(text, 0, static_cast<size_t>(last.text - text.text) + last.size);
      for (size_t i = together; i < n; ++i) parts[1 + i - together] = parts[i];
      n = static_cast<size_t>(most) + 1;
    }
    return Value::List(parts, n);
  }
  // From the right: as many parts of the left as are too many stay together.
  size_t keep_together = from_right && most >= 0 && room - 1 > static_cast<size_t>(most) ? room - 1 - static_cast<size_t>(most) : 0;
  size_t begin = 0, search = 0;
  for (;;) {
    const size_t found = s.find(by, search);
    if (found == s.npos || (!from_right && most >= 0 && n == static_cast<size_t>(most))) break;
    search = found + by.size();
    if (keep_together > 0) {
      --keep_together;
      continue;
    }
    parts[n++] = PartOf(text, begin, found - begin);
    begin = search;
  }
  parts[n++] = PartOf(text, begin, s.size() - begin);
  return Value::List(parts, n);
}

Value Lines(Machine& m, const Value& text, bool ends) {
  const std::string_view s = text.str();
  size_t count = 1;
  for (size_t i = 0; i < s.size(); ++i) count += LineEnd(s, i) != 0;
  Value* lines = m.Take<Value>(count);
  if (m.failed() || !m.Step(s.size() / 4)) return {};
  size_t n = 0;
  for (size_t begin = 0, i = 0; begin < s.size();) {
    const size_t end = i < s.size() ? LineEnd(s, i) : 0;
    if (i < s.size() && end == 0) {
      ++i;
      continue;
    }
    lines[n++] = PartOf(text, begin, i - begin + (ends ? end : 0));
    begin = i += end;
  }
  return Value::List(lines, n);
}

Value Indent(Machine& m, const Value& text, const Arguments& arguments) {
  const Value* width = arguments.Find(0, "width");
  const Value* first = arguments.Find(1, "first");
  const Value* blank = arguments.Find(2, "blank");
  Value margin = Value::Text("    ", kTemplate);
  if (width != nullptr && width->is(Kind::kText)) margin = *width;
  else if (width != nullptr) {
    if (!width->is(Kind::kInt) || width->whole < 0 || width->whole > 64) return m.Fail("a width that indent does not take");
    static constexpr char kSpaces[65] = "                                                                ";
    margin = Value::Text(std::string_view(kSpaces, static_cast<size_t>(width->whole)), kTemplate);
  }
  const bool indent_first = first != nullptr && Machine::Truth(*first), indent_blank = blank != nullptr && Machine::Truth(*blank);
  // As Jinja has it: whatever a line ended with, \n stands there now, and an end of the last one stays.
  const Value list = Lines(m, text, false);
  Value* parts = m.Take<Value>(size_t{3} * list.size + 3);
  if (m.failed()) return {};
  const Value newline = Value::Text("\n", kTemplate);
  size_t n = 0;
  if (indent_first) parts[n++] = margin;
  for (uint32_t i = 0; i < list.size; ++i) {
    if (i > 0) parts[n++] = newline;
    if (i > 0 && (indent_blank || list.items[i].size > 0)) parts[n++] = margin;
    parts[n++] = list.items[i];
  }
  if (EndsLine(text.str())) {
    parts[n++] = newline;
    if (indent_blank) parts[n++] = margin;
  }
  return m.Join(parts, n);
}

Value Escaped(Machine& m, const Value& text) {
  if (text.safe) return text;
  constexpr std::string_view kFrom[] = {"&", "<", ">", "'", "\""}, kTo[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
  Value escaped = text;
  for (int i = 0; i < 5 && !m.failed(); ++i) {
    escaped = Replace(m, escaped, Value::Text(kFrom[i], kTemplate), Value::Text(kTo[i], kTemplate), -1);
  }
  escaped.safe = true;
  return escaped;
}

Value Format(Machine& m, const Value& text, const Arguments& arguments) {
  const std::string_view s = text.str();
  size_t braces = 0;
  for (const char c : s) braces += c == '{' || c == '}';
  Value* parts = m.Take<Value>(2 * braces + 1);
  if (m.failed()) return {};
  size_t n = 0, begin = 0, next = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '{' && s[i] != '}') continue;
    parts[n++] = PartOf(text, begin, i - begin);
    if (i + 1 < s.size() && s[i + 1] == s[i]) {
      parts[n++] = PartOf(text, i, 1);
      begin = ++i + 1;
      continue;
    }
    const size_t end = s[i] == '{' ? s.find('}', i) : s.npos;
    if (end == s.npos) return m.Fail("format with a single brace");
    const std::string_view field = s.substr(i + 1, end - i - 1);
    size_t place = 0;
    const Value* value = nullptr;
    if (field.empty()) {
      value = next < arguments.plain_count ? &arguments.plain[next] : nullptr;
      ++next;
    } else if (const auto read = std::from_chars(field.data(), field.data() + field.size(), place); read.ec == std::errc() && read.ptr == field.data() + field.size()) {
      value = place < arguments.plain_count ? &arguments.plain[place] : nullptr;
    } else {
      value = arguments.Find(SIZE_MAX, field);
    }
    if (value == nullptr) return m.Fail("format without a value for a field", field);
    parts[n++] = m.AsText(*value);
    if (m.failed()) return {};
    i = end;
    begin = end + 1;
  }
  parts[n++] = PartOf(text, begin, s.size() - begin);
  return m.Join(parts, n);
}

Value Pairs(Machine& m, const Value& dict) {
  Value* pairs = m.Take<Value>(dict.size);
  Value* both = m.Take<Value>(size_t{2} * dict.size);
  if (m.failed() || !m.Step(dict.size)) return {};
  for (uint32_t i = 0; i < dict.size; ++i) {
    both[2 * i] = dict.members[i].key;
    both[2 * i + 1] = dict.members[i].value;
    pairs[i] = Value::List(both + 2 * i, 2);
    pairs[i].tuple = true;
  }
  return Value::List(pairs, dict.size);
}

}  // namespace thimble::chat
