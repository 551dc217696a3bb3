// Jinja's tests; methods of Python's texts, dicts and lists; functions.
#include "runtime/core/unicode/unicode.h"
#include "runtime/template/texts.h"

namespace thimble::chat {

bool Machine::Check(Test test, const Value& v, const Arguments& arguments) {
  if (!Step()) return false;
  const auto other = [&]() -> Value {
    if (arguments.plain_count > 0) return arguments.plain[0];
    return Fail("a test without what it compares with");
  };
  switch (test) {
    case Test::k_defined: return !v.is(Kind::kUndefined);
    case Test::k_undefined: return v.is(Kind::kUndefined);
    case Test::k_none: return v.is(Kind::kNone);
    case Test::k_boolean: return v.is(Kind::kBool);
    case Test::k_true: return v.is(Kind::kBool) && v.truth;
    case Test::k_false: return v.is(Kind::kBool) && !v.truth;
    case Test::k_integer: return v.is(Kind::kInt);
    case Test::k_float: return v.is(Kind::kFloat);
    case Test::k_number: return v.number();
    case Test::k_string: return v.is(Kind::kText);
    case Test::k_mapping: return v.is(Kind::kDict);
    // As Python's collections: an undefined value has a length and items, too.
    case Test::k_sequence: return v.is(Kind::kText) || (v.is(Kind::kList) && !v.lazy) || v.is(Kind::kDict) || v.is(Kind::kUndefined);
    case Test::k_iterable: return v.is(Kind::kText) || v.is(Kind::kList) || v.is(Kind::kDict) || v.is(Kind::kUndefined);
    case Test::k_callable: return v.is(Kind::kMacro) || v.is(Kind::kFunction) || v.is(Kind::kMethod);
    case Test::k_eq:
    case Test::k_equalto: return Equal(v, other());
    case Test::k_ne: return !Equal(v, other());
    case Test::k_sameas: {
      const Value o = other();
      return v.kind == o.kind && Equal(v, o);
    }
    case Test::k_gt:
    case Test::k_greaterthan: return Order(v, other()) > 0;
    case Test::k_ge: return Order(v, other()) >= 0;
    case Test::k_lt:
    case Test::k_lessthan: return Order(v, other()) < 0;
    case Test::k_le: return Order(v, other()) <= 0;
    case Test::k_in: return Contains(other(), v);
    case Test::k_divisibleby: {
      const Value rest = Operate(Binary::kModulo, v, other());
      return !failed() && rest.is(Kind::kInt) && rest.whole == 0;
    }
    case Test::k_even:
    case Test::k_odd: {
      const Value rest = Operate(Binary::kModulo, v, Value::Int(2));
      return !failed() && Truth(rest) == (test == Test::k_odd);
    }
    case Test::k_lower:
    case Test::k_upper: {
      if (!v.is(Kind::kText)) return false;
      bool some = false;
      std::string_view s = v.str();
      while (!s.empty()) {
        const Utf8Char c = DecodeUtf8(s);
        const LetterCase has = CaseOf(c.code_point);
        if (has == (test == Test::k_lower ? LetterCase::kUpper : LetterCase::kLower)) return false;
        some = some || has != LetterCase::kNone;
        s.remove_prefix(c.bytes);
      }
      return some;
    }
    case Test::k_escaped: return v.is(Kind::kText) && v.safe;
    case Test::k_unknown: return Truth(Fail("there is no such test", other().is(Kind::kText) ? other().str() : ""));
    case Test::kCount: break;
  }
  return false;
}

Value Machine::CallMethod(const Value& object, std::string_view name, const Arguments& arguments) {
  if (!Step()) return {};
  const auto first = [&](const char* what) { return arguments.Find(0, what); };
  if (object.is(Kind::kText)) {
    const Value& t = object;
    const std::string_view s = t.str();
    const auto number = [&](size_t place, const char* what) {
      const Value* v = arguments.Find(place, what);
      return v != nullptr && v->is(Kind::kInt) ? v->whole : int64_t{-1};
    };
    if (name == "strip") return StripWith(*this, t, arguments, true, true);
    if (name == "lstrip") return StripWith(*this, t, arguments, true, false);
    if (name == "rstrip") return StripWith(*this, t, arguments, false, true);
    if (name == "split" || name == "rsplit") return Split(*this, t, first("sep"), number(1, "maxsplit"), name == "rsplit");
    if (name == "lower") return LowerText(*this, t);
    if (name == "upper") return UpperText(*this, t);
    if (name == "title") return Titled(*this, t);
    if (name == "capitalize") return Capitalized(*this, t);
    if (name == "format") return Format(*this, t, arguments);
    if (name == "partition" || name == "rpartition") return Partition(*this, t, first(""), name == "rpartition");
    if (name == "startswith" || name == "endswith") {
      const Value* with = first("");
      if (with == nullptr || (!with->is(Kind::kText) && !(with->is(Kind::kList) && with->tuple))) return Fail("startswith and endswith need a text");
      const auto fits = [&](const Value& v) {
        return v.is(Kind::kText) && (name == "startswith" ? s.starts_with(v.str()) : s.ends_with(v.str()));
      };
      if (with->is(Kind::kText)) return Value::Bool(fits(*with));
      for (uint32_t i = 0; i < with->size; ++i) {
        if (fits(with->items[i])) return Value::Bool(true);
      }
      return Value::Bool(false);
    }
    if (name == "replace") {
      const Value *old = arguments.Find(0, "old"), *fresh = arguments.Find(1, "new");
      if (old == nullptr || fresh == nullptr || !old->is(Kind::kText) || !fresh->is(Kind::kText)) return Fail("replace needs two texts");
      return Replace(*this, t, *old, *fresh, number(2, "count"));
    }
    if (name == "find" || name == "rfind" || name == "index" || name == "rindex" || name == "count") {
      const Value* what = first("sub");
      if (what == nullptr || !what->is(Kind::kText)) return Fail("what is looked for is no text");
      if (!Step(s.size() / 16)) return {};
      if (name == "count") {
        int64_t n = 0;
        for (size_t at = s.find(what->str()); what->size > 0 && at != s.npos; at = s.find(what->str(), at + what->size)) ++n;
        return Value::Int(what->size > 0 ? n : static_cast<int64_t>(CodePoints(s)) + 1);
      }
      const size_t at = name[0] == 'r' ? s.rfind(what->str()) : s.find(what->str());
      if (at == s.npos && name.ends_with("index")) return Fail("a text that is not found");
      return Value::Int(at == s.npos ? -1 : static_cast<int64_t>(CodePoints(s.substr(0, at))));
    }
    if (name == "join") {
      Arguments by;
      by.plain[by.plain_count++] = t;
      const Value* list = first("");
      if (list == nullptr) return Fail("join needs a list");
      const Value items = ListOf(*list);
      for (uint32_t i = 0; i < items.size && !failed(); ++i) {
        if (!items.items[i].is(Kind::kText)) return Fail("join of what is no text");
      }
      return failed() ? Value() : Apply(Filter::k_join, items, by);
    }
    if (name == "splitlines") {
      const Value* keep = first("keepends");
      return Lines(*this, t, keep != nullptr && Truth(*keep));
    }
    if (name == "removeprefix" || name == "removesuffix") {
      const Value* what = first("");
      if (what == nullptr || !what->is(Kind::kText)) return Fail("what is removed is no text");
      if (name == "removeprefix") return s.starts_with(what->str()) ? PartOf(t, what->size, s.size() - what->size) : t;
      return s.ends_with(what->str()) ? PartOf(t, 0, s.size() - what->size) : t;
    }
    if (name == "isupper") return Value::Bool(Check(Test::k_upper, t, {}));
    if (name == "islower") return Value::Bool(Check(Test::k_lower, t, {}));
    if (name.starts_with("is")) {
      const int all = AllAre(name.substr(2), s);
      if (all >= 0) return Value::Bool(all != 0);
    }
    return Fail("a text has no such method", name);
  }
  if (object.is(Kind::kDict)) {
    if (name == "get") {
      const Value *key = first("key"), *otherwise = arguments.Find(1, "default");
      if (key == nullptr) return Fail("get needs a key");
      for (uint32_t i = 0; i < object.size; ++i) {
        if (Equal(object.members[i].key, *key)) return object.members[i].value;
      }
      return otherwise != nullptr ? *otherwise : Value::None();
    }
    if (name == "items") return Pairs(*this, object);
    if (name == "keys") return ListOf(object);
    if (name == "values") {
      Value* values = Take<Value>(object.size);
      if (failed() || !Step(object.size)) return {};
      for (uint32_t i = 0; i < object.size; ++i) values[i] = object.members[i].value;
      return Value::List(values, object.size);
    }
    if (name == "copy") return object;
    if (name == "pop" || name == "update" || name == "setdefault" || name == "clear" || name == "popitem") return Fail("a template must not change what it is given", name);
  }
  if (object.is(Kind::kList)) {
    if (name == "index" || name == "count") {
      const Value* what = first("value");
      if (what == nullptr) return Fail("what is looked for is missing");
      int64_t n = 0;
      for (uint32_t i = 0; i < object.size; ++i) {
        if (!Equal(object.items[i], *what)) continue;
        if (name == "index") return Value::Int(i);
        ++n;
      }
      return name == "count" ? Value::Int(n) : Fail("a value that is not found");
    }
    if (name == "copy") return object;
    return Fail("a template must not change what it is given", name);
  }
  if (object.is(Kind::kLoop) && name == "changed") {
    const Loop& loop = *object.loop;
    Value* values = Take<Value>(arguments.plain_count);
    if (failed()) return {};
    for (size_t i = 0; i < arguments.plain_count; ++i) values[i] = arguments.plain[i];
    const Value asked = Value::List(values, arguments.plain_count);
    const bool same = loop.asked && Equal(asked, loop.last);
    loop.last = asked;
    loop.asked = true;
    Keep();
    return Value::Bool(!same);
  }
  if (object.is(Kind::kLoop) && name == "cycle") {
    if (arguments.plain_count == 0) return Fail("cycle needs values");
    return arguments.plain[object.loop->index % arguments.plain_count];
  }
  const Value callee = Attribute(object, name);
  if (failed()) return {};
  if (callee.is(Kind::kUndefined)) return Fail("a method that there is not", name);
  return Call(callee, arguments);
}

Value Machine::CallFunction(Function function, const Arguments& arguments) {
  switch (function) {
    case Function::kRaise: {
      const Value* what = arguments.Find(0, "message");
      const Value text = what == nullptr ? Value::Text({}, kTemplate) : AsText(*what);
      if (failed()) return {};
      SetError(RenderError::Kind::kRaised, text.str());
      return {};
    }
    case Function::kRange: {
      int64_t numbers[3] = {0, 0, 1};
      for (size_t i = 0; i < arguments.plain_count && i < 3; ++i) {
        if (!arguments.plain[i].is(Kind::kInt)) return Fail("range needs whole numbers");
        numbers[i] = arguments.plain[i].whole;
      }
      if (arguments.plain_count == 0 || numbers[2] == 0) return Fail("range needs an end, and steps that are not zero");
      const int64_t from = arguments.plain_count == 1 ? 0 : numbers[0], to = arguments.plain_count == 1 ? numbers[0] : numbers[1], by = numbers[2];
      if (from > INT32_MAX || from < INT32_MIN || to > INT32_MAX || to < INT32_MIN || by > INT32_MAX || by < INT32_MIN) return Fail("a range that is too large");
      const int64_t count = by > 0 ? (to > from ? (to - from + by - 1) / by : 0) : (from > to ? (from - to - by - 1) / -by : 0);
      if (count > 100000) return Fail("a range of more than 100,000 numbers");
      Value* items = Take<Value>(static_cast<size_t>(count));
      if (failed() || !Step(static_cast<uint64_t>(count))) return {};
      for (int64_t i = 0; i < count; ++i) items[i] = Value::Int(from + i * by);
      return Value::List(items, static_cast<size_t>(count));
    }
    case Function::kNamespace: {
      Namespace* space = Take<Namespace>(1);
      if (failed()) return {};
      *space = {nullptr};
      for (size_t i = 0; i < arguments.named_count; ++i) {
        uint32_t name = 0;
        while (name < program_.name_count && NameAt(name) != arguments.names[i]) ++name;
        Binding* b = Take<Binding>(1);
        if (failed()) return {};
        *b = {name, arguments.named[i], space->first};
        space->first = b;
      }
      Value v = Value::Of(Kind::kNamespace);
      v.space = space;
      return v;
    }
    case Function::kDict: {
      Member* members = Take<Member>(arguments.named_count);
      if (failed()) return {};
      for (size_t i = 0; i < arguments.named_count; ++i) members[i] = {Value::Text(arguments.names[i], kTemplate), arguments.named[i]};
      return Value::Dict(members, arguments.named_count);
    }
    case Function::kNow: {
      const Value* format = arguments.Find(0, "format");
      if (format == nullptr || !format->is(Kind::kText)) return Fail("strftime_now needs a format");
      return Now(format->str());
    }
  }
  return {};
}

}  // namespace thimble::chat
