// str() and json.dumps of template values.
#include <charconv>
#include <cmath>

#include "runtime/core/unicode/unicode.h"
#include "runtime/template/machine.h"

namespace thimble::chat {
namespace {

constexpr int kMaxValueDepth = 64;

// A float as Python prints it.
void AddFloat(TextBuilder* out, double value) {
  if (std::isnan(value)) return out->Add("nan");
  if (std::isinf(value)) return out->Add(value < 0 ? "-inf" : "inf");
  char buffer[64];
  const auto scientific = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(scientific.ptr - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 16) return out->Add(text);
  char fixed[400];
  const auto end = std::to_chars(fixed, fixed + sizeof fixed, value, std::chars_format::fixed);
  const std::string_view plain(fixed, static_cast<size_t>(end.ptr - fixed));
  out->Add(plain);
  if (plain.find('.') == std::string_view::npos) out->Add(".0");
}

void AddInt(TextBuilder* out, int64_t value) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value);
  out->Add({buffer, static_cast<size_t>(end.ptr - buffer)});
}

void AddHex(TextBuilder* out, uint32_t value, int digits) {
  for (int shift = 4 * digits - 4; shift >= 0; shift -= 4) out->Add("0123456789abcdef"[value >> shift & 15]);
}

// Has a character a form of its own, by str.isprintable()? What no Unicode version has yet is none.
bool IsPrintable(uint32_t c) {
  const CharClass kind = ClassOf(c);
  return c == ' ' || (kind != CharClass::kOther && kind != CharClass::kSpace);
}

// repr() of a text. What is no UTF-8 stays as it is.
void AddQuoted(TextBuilder* out, const Value& v) {
  const std::string_view s = v.str();
  const char quote = s.find('\'') != s.npos && s.find('"') == s.npos ? '"' : '\'';
  out->Add(quote);
  for (size_t i = 0; i < s.size();) {
    const Utf8Char c = DecodeUtf8(s.substr(i));
    if (s[i] == quote || s[i] == '\\') out->Add('\\'), out->Add(s[i]);
    else if (s[i] == '\n') out->Add("\\n");
    else if (s[i] == '\r') out->Add("\\r");
    else if (s[i] == '\t') out->Add("\\t");
    else if (!c.valid || IsPrintable(c.code_point)) out->Add(s.substr(i, c.bytes));
    else if (c.code_point < 0x100) out->Add("\\x"), AddHex(out, c.code_point, 2);
    else if (c.code_point < 0x10000) out->Add("\\u"), AddHex(out, c.code_point, 4);
    else out->Add("\\U"), AddHex(out, c.code_point, 8);
    i += c.bytes;
  }
  out->Add(quote);
}

void AddRepr(Machine& machine, TextBuilder* out, const Value& v, int depth) {
  if (!machine.Step()) return;
  if (depth > kMaxValueDepth) {
    machine.SetError(RenderError::Kind::kRuntime, "a value that is nested too deeply");
    return;
  }
  switch (v.kind) {
    case Kind::kUndefined: return out->Add("Undefined");
    case Kind::kNone: return out->Add("None");
    case Kind::kBool: return out->Add(v.truth ? "True" : "False");
    case Kind::kInt: return AddInt(out, v.whole);
    case Kind::kFloat: return AddFloat(out, v.real);
    case Kind::kText:
      if (v.marks != kTemplate) out->Data();
      return AddQuoted(out, v);
    case Kind::kList:
      if (v.lazy) return out->Add("<generator>");
      out->Add(v.tuple ? '(' : '[');
      for (uint32_t i = 0; i < v.size; ++i) {
        if (i > 0) out->Add(", ");
        AddRepr(machine, out, v.items[i], depth + 1);
      }
      if (v.tuple && v.size == 1) out->Add(',');
      return out->Add(v.tuple ? ')' : ']');
    case Kind::kDict:
      out->Add('{');
      for (uint32_t i = 0; i < v.size; ++i) {
        if (i > 0) out->Add(", ");
        AddRepr(machine, out, v.members[i].key, depth + 1);
        out->Add(": ");
        AddRepr(machine, out, v.members[i].value, depth + 1);
      }
      return out->Add('}');
    case Kind::kNamespace: return out->Add("<Namespace>");
    case Kind::kMacro: return out->Add("<Macro>");
    case Kind::kFunction: return out->Add("<function>");
    case Kind::kMethod: return out->Add("<method>");
    case Kind::kLoop: return out->Add("<LoopContext>");
  }
}

struct JsonStyle {
  bool ascii = false, sorted = false;
  std::string_view indent;  // of one level; null: on one line
  int spaces = 0;
  std::string_view item = ", ", key = ": ";
};

void AddJsonText(TextBuilder* out, std::string_view s, bool ascii) {
  out->Add('"');
  for (size_t i = 0; i < s.size();) {
    const uint8_t c = static_cast<uint8_t>(s[i]);
    if (c == '"' || c == '\\') out->Add('\\'), out->Add(s[i]);
    else if (c == '\n') out->Add("\\n");
    else if (c == '\r') out->Add("\\r");
    else if (c == '\t') out->Add("\\t");
    else if (c == '\b') out->Add("\\b");
    else if (c == '\f') out->Add("\\f");
    else if (c < 0x20) out->Add("\\u"), AddHex(out, c, 4);
    else if (c >= 0x80 && ascii) {
      const size_t n = CodePointBytes(s, i);
      uint32_t point = n == 2 ? c & 31u : n == 3 ? c & 15u : c & 7u;
      for (size_t j = 1; j < n; ++j) point = point << 6 | (static_cast<uint8_t>(s[i + j]) & 63u);
      if (point >= 0x10000) {
        out->Add("\\u"), AddHex(out, 0xd800 + ((point - 0x10000) >> 10), 4);
        point = 0xdc00 + ((point - 0x10000) & 0x3ff);
      }
      out->Add("\\u"), AddHex(out, point, 4);
      i += n;
      continue;
    } else out->Add(s[i]);
    ++i;
  }
  out->Add('"');
}

void AddJson(Machine& machine, TextBuilder* out, const Value& v, const JsonStyle& style, int depth) {
  if (!machine.Step()) return;
  if (depth > kMaxValueDepth) return machine.SetError(RenderError::Kind::kRuntime, "a value that is nested too deeply");
  const bool lines = style.indent.data() != nullptr || style.spaces >= 0;
  const auto line = [&](int level) {
    if (!lines) return;
    out->Add('\n');
    for (int i = 0; i < level; ++i) {
      if (style.indent.data() != nullptr) out->Add(style.indent);
      for (int s = 0; style.indent.data() == nullptr && s < style.spaces; ++s) out->Add(' ');
    }
  };
  switch (v.kind) {
    case Kind::kNone: return out->Add("null");
    case Kind::kBool: return out->Add(v.truth ? "true" : "false");
    case Kind::kInt: return AddInt(out, v.whole);
    case Kind::kFloat:
      if (std::isnan(v.real)) return out->Add("NaN");
      if (std::isinf(v.real)) return out->Add(v.real < 0 ? "-Infinity" : "Infinity");
      return AddFloat(out, v.real);
    case Kind::kText:
      if (v.marks != kTemplate) out->Data();
      return AddJsonText(out, v.str(), style.ascii);
    case Kind::kList:
      if (v.lazy) return machine.SetError(RenderError::Kind::kRuntime, "tojson of what JSON does not have; |list makes it a list");
      if (v.size == 0) return out->Add("[]");
      out->Add('[');
      for (uint32_t i = 0; i < v.size; ++i) {
        if (i > 0) out->Add(style.item);
        line(depth + 1);
        AddJson(machine, out, v.items[i], style, depth + 1);
      }
      line(depth);
      return out->Add(']');
    case Kind::kDict: {
      if (v.size == 0) return out->Add("{}");
      out->Add('{');
      uint32_t last = UINT32_MAX;
      for (uint32_t i = 0; i < v.size; ++i) {
        uint32_t at = i;
        if (style.sorted) {
          // The least key behind the last one.
          at = UINT32_MAX;
          for (uint32_t j = 0; j < v.size; ++j) {
            if (!v.members[j].key.is(Kind::kText)) return machine.SetError(RenderError::Kind::kRuntime, "keys that cannot be sorted");
            if (last != UINT32_MAX && v.members[j].key.str() <= v.members[last].key.str()) continue;
            if (at == UINT32_MAX || v.members[j].key.str() < v.members[at].key.str()) at = j;
          }
          if (at == UINT32_MAX || !machine.Step(v.size)) return;
          last = at;
        }
        const Value& key = v.members[at].key;
        if (i > 0) out->Add(style.item);
        line(depth + 1);
        if (key.is(Kind::kText)) {
          if (key.marks != kTemplate) out->Data();
          AddJsonText(out, key.str(), style.ascii);
        } else if (key.is(Kind::kNone) || key.number()) {
          out->Add('"');
          AddJson(machine, out, key, style, depth);
          out->Add('"');
        } else {
          return machine.SetError(RenderError::Kind::kRuntime, "a key that JSON does not have");
        }
        out->Add(style.key);
        AddJson(machine, out, v.members[at].value, style, depth + 1);
      }
      line(depth);
      return out->Add('}');
    }
    case Kind::kUndefined: return machine.SetError(RenderError::Kind::kRuntime, "tojson of what is undefined");
    default: return machine.SetError(RenderError::Kind::kRuntime, "tojson of what JSON does not have");
  }
}

}  // namespace

Value Machine::AsText(const Value& v) {
  if (failed()) return {};
  if (v.is(Kind::kText)) return v;
  if (v.is(Kind::kUndefined)) return Value::Text({}, kTemplate);
  return Repr(v);
}

Value Machine::Repr(const Value& v) {
  if (failed()) return {};
  TextBuilder out(*this);
  AddRepr(*this, &out, v, 0);
  return out.Done();
}

Value Machine::Json(const Value& v, const Arguments& arguments) {
  JsonStyle style;
  style.spaces = -1;
  if (const Value* ascii = arguments.Find(0, "ensure_ascii")) style.ascii = Truth(*ascii);
  if (const Value* indent = arguments.Find(1, "indent")) {
    if (indent->is(Kind::kInt)) style.spaces = static_cast<int>(indent->whole < 0 ? 0 : indent->whole > 64 ? 64 : indent->whole);
    if (indent->is(Kind::kText)) style.indent = indent->str();
    if (!indent->is(Kind::kNone)) style.item = ",";
  }
  if (const Value* separators = arguments.Find(2, "separators"); separators != nullptr && separators->is(Kind::kList) && separators->size == 2) {
    style.item = separators->items[0].is(Kind::kText) ? separators->items[0].str() : style.item;
    style.key = separators->items[1].is(Kind::kText) ? separators->items[1].str() : style.key;
  }
  if (const Value* sorted = arguments.Find(3, "sort_keys")) style.sorted = Truth(*sorted);
  TextBuilder out(*this);
  AddJson(*this, &out, v, style, 0);
  return out.Done();
}

}  // namespace thimble::chat
