// Expressions of a program that was verified: reading it cannot fail.
#include "runtime/template/machine.h"

namespace thimble::chat {

void Machine::ReadArguments(Reader& r, Arguments* out) {
  // What failed was not read to its end: nothing behind it may be read.
  if (failed()) return;
  const auto plain = [&](const Value& v) {
    if (out->plain_count == Arguments::kMost) Fail("too many arguments");
    else out->plain[out->plain_count++] = v;
  };
  const auto named = [&](std::string_view name, const Value& v) {
    if (out->named_count == Arguments::kMost) return void(Fail("too many arguments"));
    out->names[out->named_count] = name;
    out->named[out->named_count++] = v;
  };
  for (uint32_t n = r.Number(); n > 0; --n) {
    const uint8_t kind = *r.at;
    if (IsSpread(kind)) ++r.at;
    const Value v = Evaluate(r);
    if (failed()) return;
    if (!IsSpread(kind)) {
      plain(v);
    } else if (kind == static_cast<uint8_t>(Expression::kSpread)) {
      const Value list = ListOf(v);
      for (uint32_t i = 0; i < list.size && !failed(); ++i) plain(list.items[i]);
    } else if (!v.is(Kind::kDict)) {
      Fail("arguments by name that are no mapping");
    } else {
      for (uint32_t i = 0; i < v.size && !failed(); ++i) {
        if (!v.members[i].key.is(Kind::kText)) Fail("an argument whose name is no text");
        else named(v.members[i].key.str(), v.members[i].value);
      }
    }
    if (failed()) return;
  }
  for (uint32_t n = r.Number(); n > 0; --n) {
    const std::string_view name = NameAt(r.Number());
    const Value v = Evaluate(r);
    if (failed()) return;
    named(name, v);
  }
}

Value Machine::ApplyAll(Reader& r, Value v) {
  for (uint32_t n = r.Number(); n > 0 && !failed(); --n) {
    const auto filter = static_cast<Filter>(r.Byte());
    Arguments arguments;
    ReadArguments(r, &arguments);
    if (!failed()) v = Apply(filter, v, arguments);
  }
  return v;
}

Value Machine::Call(const Value& callee, const Arguments& arguments) {
  if (failed()) return {};
  switch (callee.kind) {
    case Kind::kMacro: return CallMacro(*callee.macro, arguments);
    case Kind::kFunction: return CallFunction(static_cast<Function>(callee.function), arguments);
    case Kind::kMethod: return CallMethod(callee.method->object, callee.method->name, arguments);
    case Kind::kLoop: return CallLoop(*callee.loop, arguments);
    case Kind::kUndefined: return Fail("what is called is undefined");
    default: return Fail("what is called is no function");
  }
}

Value Machine::CallMacro(const Macro& macro, const Arguments& arguments) {
  if (++macro_depth_ > kMaxMacroDepth) return Fail("macros that call each other too deeply");
  Scope* const outer_scope = scope_;
  scope_ = macro.scope;
  (void)Enter();
  Capture capture;
  Capture* const outer = capture_;
  const uint32_t line = line_;
  // First what is given, then the defaults of the others: they may ask for any parameter.
  Reader r = {macro.parameters};
  const uint32_t count = r.Number();
  size_t used_names = 0, places = 0;
  for (const bool defaults : {false, true}) {
    r = {macro.parameters};
    r.Number();
    places = 0;
    for (uint32_t i = 0; i < count && !failed(); ++i) {
      const uint32_t name = r.Number();
      const uint32_t bytes = r.Number();
      const uint8_t* const next = r.at + bytes;
      const bool by_place = NameAt(name) != "caller" && places++ < arguments.plain_count;
      const Value* const given = by_place ? &arguments.plain[places - 1] : arguments.Find(SIZE_MAX, NameAt(name));
      if (!defaults) Bind(name, given != nullptr ? *given : Value());
      else if (given == nullptr && bytes > 0) Bind(name, Evaluate(r));
      used_names += defaults && !by_place && given != nullptr;
      r.at = next;
    }
  }
  if (!failed() && arguments.plain_count > places) Fail("a macro with too many arguments");
  if (!failed() && used_names < arguments.named_count) Fail("a macro with an argument that it does not know");
  Value text;
  if (!failed()) {
    capture_ = &capture;
    Body(r);
    capture_ = outer;
    if (!failed()) text = End(capture);
  }
  capture_ = outer;
  scope_ = outer_scope;
  line_ = line;
  --macro_depth_;
  return text;
}

// What has arguments, which take room: apart, so that what has none needs little.
Value Machine::EvaluateCall(Expression kind, Reader& r) {
  const Deeper deeper(*this, 6);
  if (failed()) return {};
  const Value v = Evaluate(r);
  if (failed()) return {};
  const std::string_view name = kind == Expression::kMethod ? NameAt(r.Number()) : std::string_view();
  const uint8_t which = kind == Expression::kFilter || kind == Expression::kTest ? r.Byte() : uint8_t{0};
  Arguments arguments;
  ReadArguments(r, &arguments);
  if (failed()) return {};
  switch (kind) {
    case Expression::kCall: return Call(v, arguments);
    case Expression::kMethod: return CallMethod(v, name, arguments);
    case Expression::kFilter: return Apply(static_cast<Filter>(which), v, arguments);
    default: return Value::Bool(Check(static_cast<Test>(which), v, arguments));
  }
}

Value Machine::Evaluate(Reader& r) {
  const Deeper deeper(*this, 1);
  if (!Step()) return {};
  const auto kind = static_cast<Expression>(r.Byte());
  switch (kind) {
    case Expression::kText: return Value::Text(TextAt(r), kTemplate);
    case Expression::kInt: {
      const uint32_t n = r.Number();
      return Value::Int(n % 2 == 0 ? static_cast<int64_t>(n / 2) : -static_cast<int64_t>(n / 2) - 1);
    }
    case Expression::kFloat: {
      double value;
      std::memcpy(&value, r.at, 8);
      r.at += 8;
      return Value::Float(value);
    }
    case Expression::kTrue: return Value::Bool(true);
    case Expression::kFalse: return Value::Bool(false);
    case Expression::kNone: return Value::None();
    case Expression::kName: return Lookup(r.Number());
    case Expression::kAttribute: {
      const Value object = Evaluate(r);
      return failed() ? Value() : Attribute(object, NameAt(r.Number()));
    }
    case Expression::kItem: {
      const Value object = Evaluate(r), index = Evaluate(r);
      return failed() ? Value() : Item(object, index);
    }
    case Expression::kSlice: {
      const Value object = Evaluate(r);
      if (failed()) return {};
      const uint8_t which = r.Byte();
      Value parts[3];
      for (int i = 0; i < 3; ++i) {
        if (which >> i & 1) parts[i] = Evaluate(r);
      }
      const auto part = [&](int i) { return (which >> i & 1) && !parts[i].is(Kind::kNone) ? &parts[i] : nullptr; };
      return failed() ? Value() : Slice(object, part(0), part(1), part(2));
    }
    case Expression::kCall:
    case Expression::kMethod:
    case Expression::kFilter:
    case Expression::kTest: return EvaluateCall(kind, r);
    case Expression::kNot: return Value::Bool(!Truth(Evaluate(r)));
    case Expression::kNegative:
    case Expression::kPositive: {
      const Value v = Evaluate(r);
      if (failed()) return {};
      if (!v.number()) return Fail("a sign in front of what is no number");
      if (v.is(Kind::kFloat)) return Value::Float(kind == Expression::kNegative ? -v.real : v.real);
      const int64_t n = v.is(Kind::kBool) ? v.truth : v.whole;
      return Value::Int(kind == Expression::kNegative ? static_cast<int64_t>(0 - static_cast<uint64_t>(n)) : n);
    }
    case Expression::kAnd:
    case Expression::kOr: {
      const Value left = Evaluate(r);
      if (failed()) return {};
      const uint32_t bytes = r.Number();
      const uint8_t* const end = r.at + bytes;
      if (Truth(left) == (kind == Expression::kOr)) {
        r.at = end;
        return left;
      }
      return Evaluate(r);
    }
    case Expression::kCondition: {
      const bool truth = Truth(Evaluate(r));
      if (failed()) return {};
      uint32_t bytes = r.Number();
      const Reader first = r;
      r.at += bytes;
      bytes = r.Number();
      const Reader second = r;
      r.at += bytes;
      if (!truth && bytes == 0) return {};
      Reader chosen = truth ? first : second;
      return Evaluate(chosen);
    }
    case Expression::kBinary: {
      const auto binary = static_cast<Binary>(r.Byte());
      const Value a = Evaluate(r), b = Evaluate(r);
      return failed() ? Value() : Operate(binary, a, b);
    }
    case Expression::kCompare: {
      Value left = Evaluate(r);
      if (failed()) return {};
      bool all = true;
      for (uint32_t n = r.Number(); n > 0; --n) {
        const auto compare = static_cast<Compare>(r.Byte());
        const Value right = Evaluate(r);
        if (failed()) return {};
        switch (compare) {
          case Compare::kEqual: all = all && Equal(left, right); break;
          case Compare::kNotEqual: all = all && !Equal(left, right); break;
          case Compare::kLess: all = all && Order(left, right) < 0; break;
          case Compare::kLessEqual: all = all && Order(left, right) <= 0; break;
          case Compare::kGreater: all = all && Order(left, right) > 0; break;
          case Compare::kGreaterEqual: all = all && Order(left, right) >= 0; break;
          case Compare::kIn: all = all && Contains(right, left); break;
          case Compare::kNotIn: all = all && !Contains(right, left); break;
        }
        left = right;
      }
      return Value::Bool(all);
    }
    case Expression::kConcat:
    case Expression::kList:
    case Expression::kTuple: {
      const uint32_t count = r.Number();
      Value* items = Take<Value>(count);
      if (failed()) return {};
      for (uint32_t i = 0; i < count; ++i) {
        items[i] = Evaluate(r);
        if (kind == Expression::kConcat) items[i] = AsText(items[i]);
        if (failed()) return {};
      }
      if (kind == Expression::kConcat) return Join(items, count);
      Value list = Value::List(items, count);
      list.tuple = kind == Expression::kTuple;
      return list;
    }
    case Expression::kDict: {
      const uint32_t count = r.Number();
      Member* members = Take<Member>(count);
      if (failed()) return {};
      size_t used = 0;
      for (uint32_t i = 0; i < count; ++i) {
        const Value key = Evaluate(r), value = Evaluate(r);
        if (failed()) return {};
        size_t at = 0;
        while (at < used && !Equal(members[at].key, key)) ++at;
        members[at] = {at == used ? key : members[at].key, value};
        if (at == used) ++used;
      }
      return Value::Dict(members, used);
    }
    case Expression::kSpread:
    case Expression::kSpreadDict: break;  // only of arguments
  }
  return {};
}

}  // namespace thimble::chat
