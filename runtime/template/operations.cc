// Python's operators over template values; attributes, items, slices.
#include <cmath>

#include "runtime/template/texts.h"

namespace thimble::chat {
namespace {

constexpr int kMaxValueDepth = 64;

int64_t WholeOf(const Value& v) { return v.is(Kind::kBool) ? v.truth : v.whole; }
double RealOf(const Value& v) { return v.is(Kind::kFloat) ? v.real : static_cast<double>(WholeOf(v)); }

constexpr std::string_view kDictMethods[] = {"get", "items", "keys", "values", "pop", "update", "copy", "setdefault", "clear", "popitem", "fromkeys"};
constexpr std::string_view kTextMethods[] = {"strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith", "replace", "upper",
                                             "lower", "title", "capitalize", "find", "rfind", "index", "rindex", "count", "join", "format",
                                             "isdigit", "isalpha", "isalnum", "isupper", "islower", "isspace", "removeprefix", "removesuffix",
                                             "partition", "rpartition", "zfill", "ljust", "rjust", "center", "encode"};
constexpr std::string_view kListMethods[] = {"append", "pop", "index", "count", "insert", "extend", "remove", "reverse", "sort", "copy", "clear"};

template <size_t kCount>
bool Among(const std::string_view (&names)[kCount], std::string_view name) {
  for (const std::string_view n : names) {
    if (n == name) return true;
  }
  return false;
}

}  // namespace

size_t SpaceBytes(std::string_view s, size_t i) {
  const auto byte = [&](size_t j) { return i + j < s.size() ? static_cast<uint8_t>(s[i + j]) : 0; };
  const uint8_t c = byte(0);
  if (c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f)) return 1;
  if (c == 0xc2 && (byte(1) == 0x85 || byte(1) == 0xa0)) return 2;
  if (c == 0xe1 && byte(1) == 0x9a && byte(2) == 0x80) return 3;
  if (c == 0xe2 && byte(1) == 0x80 && ((byte(2) >= 0x80 && byte(2) <= 0x8a) || byte(2) == 0xa8 || byte(2) == 0xa9 || byte(2) == 0xaf)) return 3;
  if (c == 0xe2 && byte(1) == 0x81 && byte(2) == 0x9f) return 3;
  if (c == 0xe3 && byte(1) == 0x80 && byte(2) == 0x80) return 3;
  return 0;
}

bool Machine::Truth(const Value& v) {
  switch (v.kind) {
    case Kind::kUndefined:
    case Kind::kNone: return false;
    case Kind::kBool: return v.truth;
    case Kind::kInt: return v.whole != 0;
    case Kind::kFloat: return v.real != 0;
    case Kind::kText:
    case Kind::kDict: return v.size != 0;
    case Kind::kList: return v.lazy || v.size != 0;
    default: return true;
  }
}

bool Machine::Equal(const Value& a, const Value& b, int depth) {
  if (!Step()) return false;
  if (depth > kMaxValueDepth) return Truth(Fail("values that are nested too deeply"));
  if (a.number() && b.number()) {
    if (a.is(Kind::kFloat) || b.is(Kind::kFloat)) return RealOf(a) == RealOf(b);
    return WholeOf(a) == WholeOf(b);
  }
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kText: return a.str() == b.str();
    case Kind::kList: {
      if (a.size != b.size || a.tuple != b.tuple) return false;
      for (uint32_t i = 0; i < a.size; ++i) {
        if (!Equal(a.items[i], b.items[i], depth + 1)) return false;
      }
      return true;
    }
    case Kind::kDict:
      if (a.size != b.size) return false;
      for (uint32_t i = 0; i < a.size; ++i) {
        bool found = false;
        for (uint32_t j = 0; j < b.size && !found; ++j) {
          found = Equal(a.members[i].key, b.members[j].key, depth + 1) && Equal(a.members[i].value, b.members[j].value, depth + 1);
        }
        if (!found) return false;
      }
      return true;
    case Kind::kNamespace: return a.space == b.space;
    case Kind::kMacro: return a.macro == b.macro;
    case Kind::kFunction: return a.function == b.function;
    case Kind::kLoop: return a.loop == b.loop;
    case Kind::kMethod: return a.method == b.method;
    default: return true;
  }
}

int Machine::Order(const Value& a, const Value& b) {
  if (a.number() && b.number()) {
    if (a.is(Kind::kFloat) || b.is(Kind::kFloat)) return RealOf(a) < RealOf(b) ? -1 : RealOf(a) > RealOf(b);
    return WholeOf(a) < WholeOf(b) ? -1 : WholeOf(a) > WholeOf(b);
  }
  if (a.is(Kind::kText) && b.is(Kind::kText)) return a.str().compare(b.str());
  if (a.is(Kind::kList) && b.is(Kind::kList) && a.tuple == b.tuple) {
    for (uint32_t i = 0; i < a.size && i < b.size; ++i) {
      if (!Equal(a.items[i], b.items[i])) return Order(a.items[i], b.items[i]);
    }
    return a.size < b.size ? -1 : a.size > b.size;
  }
  Fail("values without an order are compared");
  return 0;
}

bool Machine::Contains(const Value& in, const Value& what) {
  switch (in.kind) {
    case Kind::kText:
      if (!what.is(Kind::kText)) return Truth(Fail("only a text can be in a text"));
      Step(in.size / 16);
      return in.str().find(what.str()) != std::string_view::npos;
    case Kind::kList:
      for (uint32_t i = 0; i < in.size; ++i) {
        if (Equal(in.items[i], what)) return true;
      }
      return false;
    case Kind::kDict:
      if (what.is(Kind::kDict) || (what.is(Kind::kList) && !what.tuple)) return Truth(Fail("a list or a mapping as a key"));
      for (uint32_t i = 0; i < in.size; ++i) {
        if (Equal(in.members[i].key, what)) return true;
      }
      return false;
    case Kind::kUndefined: return false;
    default: return Truth(Fail("'in' asks what holds nothing"));
  }
}

Value Machine::Operate(Binary binary, const Value& a, const Value& b) {
  if (a.is(Kind::kUndefined) || b.is(Kind::kUndefined)) return Fail("an operator with a value that is undefined");
  if (binary == Binary::kAdd && a.is(Kind::kText) && b.is(Kind::kText)) {
    const bool safe = a.safe || b.safe;
    const Value both[] = {safe ? Escaped(*this, a) : a, safe ? Escaped(*this, b) : b};
    if (failed()) return {};
    Value sum = Join(both, 2);
    sum.safe = safe;
    return sum;
  }
  if (binary == Binary::kAdd && a.is(Kind::kList) && b.is(Kind::kList) && a.tuple == b.tuple && !a.lazy && !b.lazy) {
    Value* items = Take<Value>(size_t{a.size} + b.size);
    if (failed()) return {};
    Step(a.size + b.size);
    for (uint32_t i = 0; i < a.size; ++i) items[i] = a.items[i];
    for (uint32_t i = 0; i < b.size; ++i) items[a.size + i] = b.items[i];
    Value list = Value::List(items, size_t{a.size} + b.size);
    list.tuple = a.tuple;
    return list;
  }
  if (const bool first = a.is(Kind::kText) || a.is(Kind::kList); binary == Binary::kMultiply && (first || b.is(Kind::kText) || b.is(Kind::kList))) {
    const Value &some = first ? a : b, &count = first ? b : a;
    if ((!count.is(Kind::kInt) && !count.is(Kind::kBool)) || some.lazy) return Fail("an operator with values that it does not take");
    const int64_t times = WholeOf(count) < 0 ? 0 : WholeOf(count);
    if (times > 4096 || (some.is(Kind::kList) && times * some.size > 65536)) return Fail("what is repeated is too long");
    const size_t pieces = some.is(Kind::kList) ? some.size : 1;
    Value* copies = Take<Value>(static_cast<size_t>(times) * pieces);
    if (failed() || !Step(static_cast<size_t>(times) * pieces)) return {};
    for (size_t i = 0; i < static_cast<size_t>(times) * pieces; ++i) copies[i] = some.is(Kind::kList) ? some.items[i % pieces] : some;
    if (some.is(Kind::kText)) return Join(copies, static_cast<size_t>(times));
    Value list = Value::List(copies, static_cast<size_t>(times) * pieces);
    list.tuple = some.tuple;
    return list;
  }
  if (binary == Binary::kModulo && a.is(Kind::kText)) return FormatPercent(*this, a, b);
  if (!a.number() || !b.number()) return Fail("an operator with values that it does not take");
  if (a.is(Kind::kFloat) || b.is(Kind::kFloat) || binary == Binary::kDivide || (binary == Binary::kPower && WholeOf(b) < 0)) {
    const double x = RealOf(a), y = RealOf(b);
    switch (binary) {
      case Binary::kAdd: return Value::Float(x + y);
      case Binary::kSubtract: return Value::Float(x - y);
      case Binary::kMultiply: return Value::Float(x * y);
      case Binary::kPower: return Value::Float(std::pow(x, y));
      default: break;
    }
    if (y == 0) return Fail("a division by zero");
    if (binary == Binary::kDivide) return Value::Float(x / y);
    // As Python has it, from the exact remainder.
    double rest = std::fmod(x, y), quotient = (x - rest) / y;
    if (rest != 0 && (rest < 0) != (y < 0)) rest += y, quotient -= 1;
    if (binary == Binary::kModulo) return Value::Float(rest != 0 ? rest : std::copysign(0.0, y));
    if (quotient == 0) return Value::Float(std::copysign(0.0, x / y));
    const double whole = std::floor(quotient);
    return Value::Float(quotient - whole > 0.5 ? whole + 1 : whole);
  }
  const int64_t x = WholeOf(a), y = WholeOf(b);
  int64_t result = 0;
  switch (binary) {
    case Binary::kAdd: if (__builtin_add_overflow(x, y, &result)) return Fail("a number that is too large"); return Value::Int(result);
    case Binary::kSubtract: if (__builtin_sub_overflow(x, y, &result)) return Fail("a number that is too large"); return Value::Int(result);
    case Binary::kMultiply: if (__builtin_mul_overflow(x, y, &result)) return Fail("a number that is too large"); return Value::Int(result);
    case Binary::kPower: {
      result = 1;
      if (y > 64) return Fail("a number that is too large");
      for (int64_t i = 0; i < y; ++i) {
        if (__builtin_mul_overflow(result, x, &result)) return Fail("a number that is too large");
      }
      return Value::Int(result);
    }
    default: break;
  }
  if (y == 0) return Fail("a division by zero");
  if (y == -1) return Value::Int(binary == Binary::kModulo ? 0 : static_cast<int64_t>(0 - static_cast<uint64_t>(x)));
  const int64_t quotient = x / y, rest = x % y;
  const bool down = rest != 0 && (rest < 0) != (y < 0);
  return Value::Int(binary == Binary::kFloorDivide ? quotient - down : down ? rest + y : rest);
}

Value Machine::Join(const Value* texts, size_t count) {
  size_t bytes = 0, filled = 0, last = 0;
  bool any_template = false, any_data = false, mixed = false;
  for (size_t i = 0; i < count; ++i) {
    if (texts[i].size == 0) continue;
    bytes += texts[i].size;
    ++filled;
    last = i;
    any_template = any_template || texts[i].marks == kTemplate;
    any_data = any_data || texts[i].marks == kData;
    mixed = mixed || (texts[i].marks != kTemplate && texts[i].marks != kData);
  }
  if (filled == 0) return Value::Text({}, kTemplate);
  if (filled == 1) {
    Value only = texts[last];
    only.safe = false;
    return only;
  }
  if (bytes > UINT32_MAX || !Step(bytes / 16)) return Fail("a text that is too long");
  mixed = mixed || (any_template && any_data);
  char* text = Take<char>(bytes);
  uint8_t* marks = mixed ? Take<uint8_t>(bytes) : nullptr;
  if (failed()) return {};
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    const Value& v = texts[i];
    if (v.size == 0) continue;
    std::memcpy(text + at, v.text, v.size);
    if (mixed && (v.marks == kTemplate || v.marks == kData)) std::memset(marks + at, v.marks == kData, v.size);
    else if (mixed) std::memcpy(marks + at, v.marks, v.size);
    at += v.size;
  }
  return Value::Text({text, bytes}, mixed ? marks : any_data ? kData : kTemplate);
}

Value Machine::Attribute(const Value& object, std::string_view name) {
  const auto method = [&]() -> Value {
    Method* m = Take<Method>(1);
    if (failed()) return {};
    *m = {object, name};
    Value v = Value::Of(Kind::kMethod);
    v.method = m;
    return v;
  };
  switch (object.kind) {
    case Kind::kUndefined: return Fail("an attribute of what is undefined", name);
    case Kind::kText: return Among(kTextMethods, name) ? method() : Value();
    case Kind::kList: return Among(kListMethods, name) ? method() : Value();
    case Kind::kDict:
      if (Among(kDictMethods, name)) return method();
      for (uint32_t i = 0; i < object.size; ++i) {
        if (object.members[i].key.is(Kind::kText) && object.members[i].key.str() == name) return object.members[i].value;
      }
      return {};
    case Kind::kNamespace: {
      for (const Binding* b = object.space->first; b != nullptr; b = b->next) {
        if (NameAt(b->name) == name) return b->value;
      }
      return {};
    }
    case Kind::kLoop: {
      const Loop& l = *object.loop;
      const int64_t index = static_cast<int64_t>(l.index), count = static_cast<int64_t>(l.count);
      if (name == "index0") return Value::Int(index);
      if (name == "index") return Value::Int(index + 1);
      if (name == "first") return Value::Bool(index == 0);
      if (name == "last") return Value::Bool(index + 1 == count);
      if (name == "length") return Value::Int(count);
      if (name == "revindex") return Value::Int(count - index);
      if (name == "revindex0") return Value::Int(count - index - 1);
      if (name == "depth") return Value::Int(int64_t{l.depth} + 1);
      if (name == "depth0") return Value::Int(l.depth);
      if (name == "previtem") return index == 0 ? Value() : l.items[index - 1];
      if (name == "nextitem") return index + 1 == count ? Value() : l.items[index + 1];
      if (name == "cycle" || name == "changed") return method();
      return {};
    }
    case Kind::kMacro: return name == "name" ? Value::Text(object.macro->name, kTemplate) : Value();
    default: return {};
  }
}

Value Machine::Item(const Value& object, const Value& index) {
  switch (object.kind) {
    case Kind::kUndefined: return Fail("an item of what is undefined", index.is(Kind::kText) ? index.str() : std::string_view());
    case Kind::kDict:
      for (uint32_t i = 0; i < object.size; ++i) {
        if (Equal(object.members[i].key, index)) return object.members[i].value;
      }
      return index.is(Kind::kText) && Among(kDictMethods, index.str()) ? Attribute(object, index.str()) : Value();
    case Kind::kList:
    case Kind::kText: {
      if (index.is(Kind::kText)) return Attribute(object, index.str());
      if (object.lazy) return {};
      if (!index.is(Kind::kInt) && !index.is(Kind::kBool)) return {};
      const int64_t count = static_cast<int64_t>(object.is(Kind::kList) ? object.size : CodePoints(object.str()));
      int64_t at = WholeOf(index);
      if (at < 0) at += count;
      if (at < 0 || at >= count) return {};
      if (object.is(Kind::kList)) return object.items[at];
      size_t byte = 0;
      for (int64_t i = 0; i < at; ++i) byte += CodePointBytes(object.str(), byte);
      Step(byte / 16);
      return PartOf(object, byte, CodePointBytes(object.str(), byte));
    }
    default: return index.is(Kind::kText) ? Attribute(object, index.str()) : Value();
  }
}

Value Machine::Slice(const Value& object, const Value* start, const Value* stop, const Value* step) {
  if ((!object.is(Kind::kList) || object.lazy) && !object.is(Kind::kText)) return Fail("a slice of what is no list and no text");
  for (const Value* v : {start, stop, step}) {
    if (v != nullptr && !v->is(Kind::kInt) && !v->is(Kind::kBool)) return Fail("a slice with what is no whole number");
  }
  const Value items = ListOf(object);
  if (failed()) return {};
  const int64_t count = items.size, by = step == nullptr ? 1 : WholeOf(*step);
  if (by == 0) return Fail("a slice whose step is zero");
  const auto clamp = [&](const Value* v, int64_t otherwise) {
    if (v == nullptr) return otherwise;
    int64_t at = WholeOf(*v);
    if (at < 0) at = at < -count ? -1 : at + count;
    if (by > 0) return at < 0 ? int64_t{0} : at > count ? count : at;
    return at >= count ? count - 1 : at;
  };
  int64_t from = clamp(start, by > 0 ? 0 : count - 1), to = clamp(stop, by > 0 ? count : -1);
  if (by > 0 && from < 0) from = 0;
  size_t n = 0;
  Value* out = Take<Value>(static_cast<size_t>(count));
  if (failed()) return {};
  for (int64_t i = from; by > 0 ? i < to : i > to; i += by) {
    out[n++] = items.items[i];
    if (by > count || by < -count) break;
  }
  if (object.is(Kind::kText)) return Join(out, n);
  Value list = Value::List(out, n);
  list.tuple = object.tuple;
  return list;
}

Value Machine::ListOf(const Value& v) {
  if (failed()) return {};
  switch (v.kind) {
    case Kind::kList: {
      Value list = v;
      list.lazy = false;
      return list;
    }
    case Kind::kUndefined: return Value::List(nullptr, 0);
    case Kind::kText: {
      const size_t count = CodePoints(v.str());
      Value* items = Take<Value>(count);
      if (failed() || !Step(count)) return {};
      for (size_t i = 0, byte = 0; byte < v.size; ++i) {
        const size_t bytes = CodePointBytes(v.str(), byte);
        items[i] = PartOf(v, byte, bytes);
        byte += bytes;
      }
      return Value::List(items, count);
    }
    case Kind::kDict: {
      Value* items = Take<Value>(v.size);
      if (failed() || !Step(v.size)) return {};
      for (uint32_t i = 0; i < v.size; ++i) items[i] = v.members[i].key;
      return Value::List(items, v.size);
    }
    default: return Fail("a loop over what holds nothing");
  }
}

}  // namespace thimble::chat
