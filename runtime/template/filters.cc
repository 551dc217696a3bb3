// Jinja's filters.
#include <charconv>
#include <cmath>

#include "runtime/template/json.h"
#include "runtime/core/unicode/unicode.h"
#include "runtime/template/texts.h"

namespace thimble::chat {
namespace {

#define THIMBLE_TEXT(name) #name,
constexpr std::string_view kFilterNames[] = {THIMBLE_TEMPLATE_FILTERS(THIMBLE_TEXT)};
constexpr std::string_view kTestNames[] = {THIMBLE_TEMPLATE_TESTS(THIMBLE_TEXT)};
#undef THIMBLE_TEXT

// "a.b" of an object, as map and selectattr take it; a part that is a number is a place. `otherwise`, where it is given, stands for
// every part that is not there.
Value Path(Machine& m, Value object, const Value& path, const Value* otherwise = nullptr) {
  if (path.is(Kind::kInt)) return m.Item(object, path);
  if (!path.is(Kind::kText)) return m.Fail("an attribute that is no text");
  std::string_view rest = path.str();
  for (;;) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    int64_t place = 0;
    bool whole = !part.empty() && part.size() < 10;
    for (const char c : part) whole = whole && c >= '0' && c <= '9', place = 10 * place + (whole ? c - '0' : 0);
    object = m.Item(object, whole ? Value::Int(place) : Value::Text(part, kTemplate));
    if (object.is(Kind::kUndefined) && otherwise != nullptr) object = *otherwise;
    if (m.failed() || dot == rest.npos) return object;
    rest.remove_prefix(dot + 1);
  }
}

// Lists and mappings can be no key, and so cannot be told apart as one.
bool Hashable(Machine& m, const Value& v) {
  if (v.is(Kind::kDict) || (v.is(Kind::kList) && !v.tuple)) return Machine::Truth(m.Fail("a list or a mapping as a key"));
  return true;
}

template <size_t kCount>
size_t Find(const std::string_view (&names)[kCount], std::string_view name) {
  for (size_t i = 0; i < kCount; ++i) {
    if (names[i] == name) return i;
  }
  return kCount;
}

Arguments Rest(const Arguments& all, size_t first) {
  Arguments rest = all;
  rest.plain_count = all.plain_count > first ? all.plain_count - first : 0;
  for (size_t i = 0; i < rest.plain_count; ++i) rest.plain[i] = all.plain[first + i];
  return rest;
}

Value Lazy(Value list) {
  list.lazy = true;
  return list;
}

// select, reject (attribute false), selectattr, rejectattr.
Value Select(Machine& m, const Value& v, const Arguments& arguments, bool attribute, bool wanted) {
  const Value list = Machine::Truth(v) ? m.ListOf(v) : Value::List(nullptr, 0);  // none, too, holds nothing
  const size_t first = attribute ? 1 : 0;
  if (m.failed()) return {};
  if (attribute && arguments.plain_count == 0) return m.Fail("selectattr without an attribute");
  size_t test = sizeof kTestNames / sizeof kTestNames[0];
  const bool truth = arguments.plain_count <= first;
  if (!truth) {
    const Value& name = arguments.plain[first];
    if (name.is(Kind::kText)) test = Find(kTestNames, name.str());
    constexpr std::string_view kSigns[] = {"==", "!=", "<", "<=", ">", ">="};
    constexpr Test kOfSigns[] = {Test::k_eq, Test::k_ne, Test::k_lt, Test::k_le, Test::k_gt, Test::k_ge};
    if (const size_t sign = name.is(Kind::kText) ? Find(kSigns, name.str()) : 6; sign < 6) test = static_cast<size_t>(kOfSigns[sign]);
    if (test == sizeof kTestNames / sizeof kTestNames[0]) return m.Fail("a test that is not known", name.is(Kind::kText) ? name.str() : "");
  }
  const Arguments rest = Rest(arguments, first + 1);
  Value* out = m.Take<Value>(list.size);
  if (m.failed()) return {};
  size_t n = 0;
  for (uint32_t i = 0; i < list.size && m.Step(); ++i) {
    const Value value = attribute ? Path(m, list.items[i], arguments.plain[0]) : list.items[i];
    if (m.failed()) return {};
    const bool holds = truth ? Machine::Truth(value) : m.Check(static_cast<Test>(test), value, rest);
    if (m.failed()) return {};
    if (holds == wanted) out[n++] = list.items[i];
  }
  return Lazy(Value::List(out, n));
}

// Texts without regard to case, unless it is asked for.
int OrderOf(Machine& m, const Value& a, const Value& b, bool case_sensitive) {
  if (a.is(Kind::kUndefined) && b.is(Kind::kUndefined)) return 0;
  if (case_sensitive || !a.is(Kind::kText) || !b.is(Kind::kText)) return m.Order(a, b);
  std::string_view x = a.str(), y = b.str();
  while (!x.empty() && !y.empty()) {
    const Utf8Char c = DecodeUtf8(x), d = DecodeUtf8(y);
    const uint32_t l = LowercaseOf(c.code_point), r = LowercaseOf(d.code_point);
    if (l != r) return l < r ? -1 : 1;
    x.remove_prefix(c.bytes);
    y.remove_prefix(d.bytes);
  }
  return static_cast<int>(y.empty()) - static_cast<int>(x.empty());
}

bool Given(const Value* v) { return v != nullptr && !v->is(Kind::kNone); }

// Stable, by an attribute of each item or, without one, by the items.
Value Sorted(Machine& m, const Value& list, bool reverse, bool case_sensitive, const Value* attribute) {
  Value* items = m.Take<Value>(list.size);
  Value* keys = m.Take<Value>(list.size);
  if (m.failed()) return {};
  for (uint32_t i = 0; i < list.size; ++i) {
    const Value k = Given(attribute) ? Path(m, list.items[i], *attribute) : list.items[i];
    if (m.failed()) return {};
    uint32_t at = i;
    while (at > 0 && m.Step()) {
      const int order = OrderOf(m, keys[at - 1], k, case_sensitive);
      if (reverse ? order >= 0 : order <= 0) break;
      items[at] = items[at - 1];
      keys[at] = keys[at - 1];
      --at;
    }
    if (m.failed()) return {};
    items[at] = list.items[i];
    keys[at] = k;
  }
  return Value::List(items, list.size);
}

Value Whole(Machine& m, const Value& v, const Arguments& arguments) {
  const Value* otherwise = arguments.Find(0, "default");
  const Value fallback = otherwise != nullptr ? *otherwise : Value::Int(0);
  switch (v.kind) {
    case Kind::kBool: return Value::Int(v.truth);
    case Kind::kInt: return v;
    case Kind::kFloat: return std::fabs(v.real) < 9e18 ? Value::Int(static_cast<int64_t>(v.real)) : fallback;
    case Kind::kText: {
      const Value digits = Strip(v, nullptr, true, true);
      int64_t value = 0;
      const char *begin = digits.text, *end = digits.text + digits.size;
      if (begin != end && *begin == '+') ++begin;
      const auto read = std::from_chars(begin, end, value);
      if (read.ec == std::errc() && read.ptr == end && begin != end) return Value::Int(value);
      double real = 0;
      if (ReadReal({begin, static_cast<size_t>(end - begin)}, &real) && std::fabs(real) < 9e18) return Value::Int(static_cast<int64_t>(real));
      return fallback;
    }
    default: (void)m; return fallback;
  }
}

Value Real(const Value& v, const Arguments& arguments) {
  const Value* otherwise = arguments.Find(0, "default");
  switch (v.kind) {
    case Kind::kBool: return Value::Float(v.truth);
    case Kind::kInt: return Value::Float(static_cast<double>(v.whole));
    case Kind::kFloat: return v;
    case Kind::kText: {
      const Value digits = Strip(v, nullptr, true, true);
      double real = 0;
      if (ReadReal(digits.str(), &real)) return Value::Float(real);
      break;
    }
    default: break;
  }
  return otherwise != nullptr ? *otherwise : Value::Float(0);
}

// To so many digits behind the point, the exact value deciding, halves to even: what printing them says.
double Rounded(double number, int64_t digits) {
  if (!std::isfinite(number) || digits > 22) return number;
  if (digits < 0) {
    const double unit = std::pow(10.0, static_cast<double>(-digits));
    return std::nearbyint(number / unit) * unit;
  }
  char buffer[400];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::fixed, static_cast<int>(digits));
  std::from_chars(buffer, end.ptr, number);
  return number;
}

}  // namespace

Value Machine::Apply(Filter filter, const Value& v, const Arguments& arguments) {
  if (!Step()) return {};
  switch (filter) {
    case Filter::k_unknown: return Fail("there is no such filter", arguments.plain_count > 0 && arguments.plain[0].is(Kind::kText) ? arguments.plain[0].str() : "");
    case Filter::k_safe: {
      Value text = AsText(v);
      text.safe = true;
      return text;
    }
    case Filter::k_string: return AsText(v);
    case Filter::k_default:
    case Filter::k_d: {
      const Value* otherwise = arguments.Find(0, "default_value");
      const Value* boolean = arguments.Find(1, "boolean");
      const bool missing = v.is(Kind::kUndefined) || (boolean != nullptr && Truth(*boolean) && !Truth(v));
      return !missing ? v : otherwise != nullptr ? *otherwise : Value::Text({}, kTemplate);
    }
    case Filter::k_length:
    case Filter::k_count:
      if (v.is(Kind::kUndefined)) return Value::Int(0);
      if (v.is(Kind::kText)) return Step(v.size / 16), Value::Int(static_cast<int64_t>(CodePoints(v.str())));
      if ((v.is(Kind::kList) && !v.lazy) || v.is(Kind::kDict)) return Value::Int(v.size);
      return Fail("the length of what has none");
    case Filter::k_trim: return StripWith(*this, AsText(v), arguments, true, true);
    case Filter::k_lower: return LowerText(*this, AsText(v));
    case Filter::k_upper: return UpperText(*this, AsText(v));
    case Filter::k_capitalize: return Capitalized(*this, AsText(v));
    case Filter::k_title: return TitledWords(*this, AsText(v));
    case Filter::k_format: {
      Value values = Value::List(arguments.plain, arguments.plain_count);
      values.tuple = true;
      if (arguments.named_count == 0) return FormatPercent(*this, AsText(v), values);
      if (arguments.plain_count > 0) return Fail("format with values and with names");
      Member* members = Take<Member>(arguments.named_count);
      if (failed()) return {};
      for (size_t i = 0; i < arguments.named_count; ++i) members[i] = {Value::Text(arguments.names[i], kTemplate), arguments.named[i]};
      return FormatPercent(*this, AsText(v), Value::Dict(members, arguments.named_count));
    }
    case Filter::k_tojson: return Json(v, arguments);
    case Filter::k_items:
      if (v.is(Kind::kUndefined)) return Value::List(nullptr, 0);
      return v.is(Kind::kDict) ? Lazy(Pairs(*this, v)) : Fail("items of what is no mapping");
    case Filter::k_list: return ListOf(v);
    case Filter::k_join: {
      const Value list = ListOf(v);
      const Value* by = arguments.Find(0, "d");
      const Value* attribute = arguments.Find(1, "attribute");
      Value* parts = Take<Value>(size_t{2} * list.size + 1);
      if (failed()) return {};
      const Value separator = by != nullptr ? AsText(*by) : Value::Text({}, kTemplate);
      size_t n = 0;
      for (uint32_t i = 0; i < list.size && Step(); ++i) {
        if (i > 0) parts[n++] = separator;
        parts[n++] = AsText(Given(attribute) ? Path(*this, list.items[i], *attribute) : list.items[i]);
      }
      return failed() ? Value() : Join(parts, n);
    }
    case Filter::k_first:
    case Filter::k_last: {
      const Value list = ListOf(v);
      if (failed() || list.size == 0) return {};
      return list.items[filter == Filter::k_first ? 0 : list.size - 1];
    }
    case Filter::k_reverse: {
      const Value list = ListOf(v);
      Value* out = Take<Value>(list.size);
      if (failed()) return {};
      for (uint32_t i = 0; i < list.size; ++i) out[i] = list.items[list.size - 1 - i];
      return v.is(Kind::kText) ? Join(out, list.size) : Lazy(Value::List(out, list.size));
    }
    case Filter::k_min:
    case Filter::k_max:
    case Filter::k_sum: {
      const Value list = ListOf(v);
      const Value* attribute = arguments.Find(filter == Filter::k_sum ? 0 : 1, "attribute");
      Value best = filter == Filter::k_sum ? Value::Int(0) : Value();
      if (const Value* start = arguments.Find(1, "start"); filter == Filter::k_sum && start != nullptr) best = *start;
      for (uint32_t i = 0; i < list.size && Step(); ++i) {
        const Value item = Given(attribute) ? Path(*this, list.items[i], *attribute) : list.items[i];
        if (failed()) return {};
        if (filter == Filter::k_sum) {
          best = Operate(Binary::kAdd, best, item);
        } else if (i == 0) {
          best = item;
        } else {
          const int order = OrderOf(*this, item, best, false);
          if (filter == Filter::k_min ? order < 0 : order > 0) best = item;
        }
      }
      return best;
    }
    case Filter::k_sort: {
      const Value* reverse = arguments.Find(0, "reverse");
      const Value* sensitive = arguments.Find(1, "case_sensitive");
      const Value* attribute = arguments.Find(2, "attribute");
      const Value list = ListOf(v);
      if (failed()) return {};
      return Sorted(*this, list, reverse != nullptr && Truth(*reverse), sensitive != nullptr && Truth(*sensitive), attribute);
    }
    case Filter::k_dictsort: {
      if (!v.is(Kind::kDict)) return Fail("dictsort of what is no mapping");
      const Value* sensitive = arguments.Find(0, "case_sensitive");
      const Value* by = arguments.Find(1, "by");
      const Value* reverse = arguments.Find(2, "reverse");
      const Value part = Value::Int(by != nullptr && by->is(Kind::kText) && by->str() == "value");
      const Value pairs = Pairs(*this, v);
      if (failed()) return {};
      return Sorted(*this, pairs, reverse != nullptr && Truth(*reverse), sensitive != nullptr && Truth(*sensitive), &part);
    }
    case Filter::k_unique: {
      const Value list = ListOf(v);
      const Value *sensitive = arguments.Find(0, "case_sensitive"), *attribute = arguments.Find(1, "attribute");
      const bool by_case = sensitive != nullptr && Truth(*sensitive);
      Value* out = Take<Value>(size_t{2} * list.size);
      if (failed()) return {};
      Value* const keys = out + list.size;
      size_t n = 0;
      for (uint32_t i = 0; i < list.size; ++i) {
        const Value key = Given(attribute) ? Path(*this, list.items[i], *attribute) : list.items[i];
        if (failed() || !Hashable(*this, key)) return {};
        bool seen = false;
        for (size_t j = 0; j < n && !seen && Step(); ++j) {
          const bool texts = keys[j].is(Kind::kText) && key.is(Kind::kText);
          seen = texts ? OrderOf(*this, keys[j], key, by_case) == 0 : Equal(keys[j], key);
        }
        if (seen) continue;
        keys[n] = key;
        out[n++] = list.items[i];
      }
      return Lazy(Value::List(out, n));
    }
    case Filter::k_map: {
      const Value list = Truth(v) ? ListOf(v) : Value::List(nullptr, 0);
      const Value* attribute = arguments.Find(SIZE_MAX, "attribute");
      const Value* otherwise = arguments.Find(SIZE_MAX, "default");
      Value* out = Take<Value>(list.size);
      if (failed()) return {};
      size_t inner = sizeof kFilterNames / sizeof kFilterNames[0];
      if (attribute == nullptr) {
        if (arguments.plain_count > 0 && arguments.plain[0].is(Kind::kText)) inner = Find(kFilterNames, arguments.plain[0].str());
        if (inner == sizeof kFilterNames / sizeof kFilterNames[0]) return Fail("map with a filter that is not known");
      }
      const Arguments rest = Rest(arguments, 1);
      for (uint32_t i = 0; i < list.size && Step(); ++i) {
        if (attribute != nullptr) {
          out[i] = Path(*this, list.items[i], *attribute, Given(otherwise) ? otherwise : nullptr);
        } else {
          out[i] = Apply(static_cast<Filter>(inner), list.items[i], rest);
        }
        if (failed()) return {};
      }
      return Lazy(Value::List(out, list.size));
    }
    case Filter::k_select: return Select(*this, v, arguments, false, true);
    case Filter::k_reject: return Select(*this, v, arguments, false, false);
    case Filter::k_selectattr: return Select(*this, v, arguments, true, true);
    case Filter::k_rejectattr: return Select(*this, v, arguments, true, false);
    case Filter::k_replace: {
      const Value *old = arguments.Find(0, "old"), *fresh = arguments.Find(1, "new"), *count = arguments.Find(2, "count");
      if (old == nullptr || fresh == nullptr) return Fail("replace without what to replace");
      const Value text = AsText(v), a = AsText(*old), b = AsText(*fresh);
      return failed() ? Value() : Replace(*this, text, a, b, Given(count) && count->is(Kind::kInt) ? count->whole : -1);
    }
    case Filter::k_indent: {
      const Value text = AsText(v);
      return failed() ? Value() : Indent(*this, text, arguments);
    }
    case Filter::k_int: return Whole(*this, v, arguments);
    case Filter::k_float: return Real(v, arguments);
    case Filter::k_abs: {
      if (v.is(Kind::kFloat)) return Value::Float(std::fabs(v.real));
      if (v.is(Kind::kInt)) return Value::Int(v.whole < 0 ? static_cast<int64_t>(0 - static_cast<uint64_t>(v.whole)) : v.whole);
      return Fail("abs of what is no number");
    }
    case Filter::k_round: {
      const Value *digits = arguments.Find(0, "precision"), *method = arguments.Find(1, "method");
      if (!v.number() || (method != nullptr && (!method->is(Kind::kText) || method->str() != "common"))) return Fail("round of what is no number, or up or down");
      const int64_t precision = digits != nullptr && digits->is(Kind::kInt) ? digits->whole : 0;
      if (v.is(Kind::kFloat)) return Value::Float(Rounded(v.real, precision));
      return precision >= 0 ? Whole(*this, v, {}) : Fail("a whole number that is rounded to tens");
    }
    case Filter::k_e:
    case Filter::k_escape: {
      const Value text = AsText(v);
      return Escaped(*this, text);
    }
    case Filter::kCount: break;
  }
  return {};
}

}  // namespace thimble::chat
