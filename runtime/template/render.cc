// Statements of a program that was verified: reading it cannot fail.
#include "runtime/template/render.h"

#include "runtime/template/machine.h"

namespace thimble::chat {

RenderError RenderTemplate(const Program& program, const RenderInput& input, Workspace& workspace, const TextSink& sink) {
  return Machine(program, input, workspace, sink).Run();
}

RenderError Machine::Run() {
  scope_ = Take<Scope>(1);
  if (failed()) return error_;
  *scope_ = {nullptr, nullptr};
  if (!ReadNames()) return error_;
  Reader r = {program_.body};
  Body(r);
  return error_;
}

Value Machine::Fail(const char* what, std::string_view detail) {
  if (failed()) return {};
  TextBuilder text(*this);
  text.Add(what);
  if (!detail.empty()) {
    text.Add(": ");
    text.Add(detail.substr(0, 100));
  }
  SetError(RenderError::Kind::kRuntime, text.view());
  return {};
}

bool Machine::ReadNames() {
  constexpr std::string_view kFunctions[] = {"range", "namespace", "raise_exception", "strftime_now", "dict"};
  names_ = Take<Name>(program_.name_count);
  if (failed()) return false;
  Reader r = {program_.names};
  for (uint32_t n = 0; n < program_.name_count; ++n) {
    const std::string_view text = TextAt(r);
    names_[n] = {text, {}};
    if (text == "loop") loop_name_ = n;
    size_t variable = 0;
    while (variable < input_.count && input_.variables[variable].key.str() != text) ++variable;
    if (variable < input_.count) {
      names_[n].value = input_.variables[variable].value;
    } else if (text == "self") {  // has nothing in it: templates here have no blocks
      names_[n].value = Value::Of(Kind::kNamespace);
      names_[n].value.space = &empty_;
    }
    for (uint32_t i = 0; i < 5 && variable == input_.count; ++i) {
      if (kFunctions[i] != text) continue;
      names_[n].value = Value::Of(Kind::kFunction);
      names_[n].value.function = i;
    }
  }
  return true;
}

// A scope in the one that there is; returns that. In the workspace, as macros and loops outlive it in namespaces.
Scope* Machine::Enter() {
  Scope* const around = scope_;
  Scope* const inner = Take<Scope>(1);
  if (failed()) return around;
  *inner = {nullptr, around};
  scope_ = inner;
  return around;
}

void Machine::Put(const Value& text) {
  if (text.size == 0 || failed()) return;
  if (capture_ != nullptr) {
    Chunk* chunk = Take<Chunk>(1);
    if (failed()) return;
    *chunk = {text, nullptr};
    (capture_->last == nullptr ? capture_->first : capture_->last->next) = chunk;
    capture_->last = chunk;
    ++capture_->count;
    return;
  }
  if (text.marks == kTemplate || text.marks == kData) return sink_.put(sink_.user, text.str(), text.marks == kData);
  for (size_t begin = 0; begin < text.size;) {
    size_t end = begin + 1;
    while (end < text.size && text.marks[end] == text.marks[begin]) ++end;
    sink_.put(sink_.user, text.str().substr(begin, end - begin), text.marks[begin] != 0);
    begin = end;
  }
}

Value Machine::End(Capture& capture) {
  Value* texts = Take<Value>(capture.count);
  if (failed()) return {};
  size_t i = 0;
  for (const Chunk* chunk = capture.first; chunk != nullptr; chunk = chunk->next) texts[i++] = chunk->text;
  return Join(texts, capture.count);
}

Value Machine::Lookup(uint32_t name) {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    for (const Binding* b = scope->first; b != nullptr; b = b->next) {
      if (b->name == name) return b->value;
    }
  }
  return names_[name].value;
}

void Machine::Bind(uint32_t name, const Value& value) {
  if (failed()) return;
  for (Binding* b = scope_->first; b != nullptr; b = b->next) {
    if (b->name == name) {
      b->value = value;
      return;
    }
  }
  Binding* b = Take<Binding>(1);
  if (failed()) return;
  *b = {name, value, scope_->first};
  scope_->first = b;
}

void Machine::Unpack(const uint32_t* names, size_t count, const Value& value) {
  if (count == 1) return Bind(names[0], value);
  const Value items = ListOf(value);
  if (failed()) return;
  if (items.size != count) {
    Fail("a different number of values than of names");
    return;
  }
  for (size_t i = 0; i < count; ++i) Bind(names[i], items.items[i]);
}

Machine::Flow Machine::Body(Reader& r) {
  const Deeper deeper(*this, 3);
  const uint32_t bytes = r.Number();
  const uint8_t* const end = r.at + bytes;
  while (r.at != end) {
    const Flow flow = OneStatement(r);
    if (failed() || flow != Flow::kOn) {
      r.at = end;
      return flow;
    }
  }
  return Flow::kOn;
}

Machine::Flow Machine::OneStatement(Reader& r) {
  if (!Step()) return Flow::kOn;
  const auto kind = static_cast<Statement>(r.Byte());
  line_ = r.Number();
  switch (kind) {
    case Statement::kText: Put(Value::Text(TextAt(r), kTemplate)); break;
    case Statement::kOut: {
      uint8_t* const place = workspace_.place();
      const uint64_t kept = kept_;
      Put(AsText(Evaluate(r)));
      if (capture_ == nullptr && kept == kept_ && !failed()) workspace_.GoBack(place);
      break;
    }
    case Statement::kIf: {
      Flow flow = Flow::kOn;
      bool taken = false;
      for (uint32_t n = r.Number(); n > 0; --n) {
        const uint32_t bytes = r.Number();
        const uint8_t* const body = r.at + bytes;
        if (!taken && !failed()) {
          uint8_t* const place = workspace_.place();
          const uint64_t kept = kept_;
          const bool truth = Truth(Evaluate(r));
          if (kept == kept_ && !failed()) workspace_.GoBack(place);
          r.at = body;
          if (failed()) return Flow::kOn;
          if (truth) {
            taken = true;
            flow = Body(r);
            continue;
          }
        }
        r.at = body;
        SkipBody(r);
      }
      if (taken || failed()) SkipBody(r);
      else flow = Body(r);
      return flow;
    }
    case Statement::kFor: return For(r);
    case Statement::kSet: {
      uint32_t names[kMaxTargets];
      const uint32_t count = r.Number();
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t name = r.Number();
        if (i < kMaxTargets) names[i] = name;
      }
      const Value value = Evaluate(r);
      if (count > kMaxTargets) Fail("too many names for one value");
      else if (!failed()) Unpack(names, count, value);
      break;
    }
    case Statement::kSetAttribute: {
      const Value object = Lookup(r.Number());
      const uint32_t name = r.Number();
      const Value value = Evaluate(r);
      if (failed()) break;
      if (!object.is(Kind::kNamespace) || object.space == &empty_) {
        Fail("only a namespace's attributes can be set");
        break;
      }
      ++kept_;
      for (Binding* b = object.space->first;; b = b->next) {
        if (b == nullptr) {
          b = Take<Binding>(1);
          if (failed()) break;
          *b = {name, value, object.space->first};
          object.space->first = b;
          break;
        }
        if (NameAt(b->name) == NameAt(name)) {
          b->value = value;
          break;
        }
      }
      break;
    }
    case Statement::kSetBlock:
    case Statement::kFilterBlock: {
      const uint32_t name = kind == Statement::kSetBlock ? r.Number() : 0;
      Capture capture;
      Capture* const outer = capture_;
      capture_ = &capture;
      Scope* const around = Enter();
      if (!failed()) Body(r);
      scope_ = around;
      capture_ = outer;
      const Value text = failed() ? Value() : ApplyAll(r, End(capture));
      if (failed()) break;
      if (kind == Statement::kSetBlock) {
        Bind(name, text);
      } else {
        Put(AsText(text));
      }
      break;
    }
    case Statement::kMacro: {
      const uint32_t name = r.Number();
      Macro* macro = Take<Macro>(1);
      if (failed()) return Flow::kOn;
      *macro = {r.at, scope_, NameAt(name)};
      for (uint32_t n = r.Number(); n > 0; --n) {
        r.Number();
        SkipBody(r);
      }
      SkipBody(r);
      Value v = Value::Of(Kind::kMacro);
      v.macro = macro;
      Bind(name, v);
      break;
    }
    case Statement::kScope: {
      Scope* const around = Enter();
      const Flow flow = failed() ? Flow::kOn : Body(r);
      scope_ = around;
      return flow;
    }
    case Statement::kBreak: return Flow::kBreak;
    case Statement::kContinue: return Flow::kContinue;
  }
  return Flow::kOn;
}

Machine::Flow Machine::For(Reader& r) {
  LoopText* const place = Take<LoopText>(1);
  if (failed()) return Flow::kOn;
  LoopText& text = *place;
  const uint32_t count = r.Number();
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t name = r.Number();
    if (i < kMaxTargets) text.names[i] = name;
  }
  text.name_count = count;
  const Value list = ListOf(Evaluate(r));
  if (count > kMaxTargets) Fail("too many names for one value");
  if (failed()) return Flow::kOn;
  const uint32_t condition_bytes = r.Number();
  text.has_condition = condition_bytes > 0;
  text.condition = r;
  r.at += condition_bytes;
  text.body = r;
  SkipBody(r);
  text.otherwise = r;
  SkipBody(r);
  text.line = line_;
  text.scope = scope_;
  return RunLoop(text, list, 0);
}

Machine::Flow Machine::RunLoop(const LoopText& text, Value list, uint32_t depth) {
  if (text.has_condition) {
    Value* kept = Take<Value>(list.size);
    if (failed()) return Flow::kOn;
    size_t n = 0;
    for (uint32_t i = 0; i < list.size; ++i) {
      Scope* const around = Enter();
      if (!failed()) Unpack(text.names, text.name_count, list.items[i]);
      Reader c = text.condition;
      const bool wanted = !failed() && Truth(Evaluate(c));
      scope_ = around;
      if (failed()) return Flow::kOn;
      if (wanted) kept[n++] = list.items[i];
    }
    list = Value::List(kept, n);
  }
  if (list.size == 0) {
    Scope* const around = Enter();
    Reader o = text.otherwise;
    const Flow flow = failed() ? Flow::kOn : Body(o);
    scope_ = around;
    return flow;
  }
  Loop* const state = Take<Loop>(1);
  if (failed()) return Flow::kOn;
  Loop& loop = *state;
  loop = {&text, list.items, 0, list.size, depth};
  for (;;) {
    uint8_t* const place = workspace_.place();
    const uint64_t kept = kept_;
    Scope* const around = Enter();
    if (failed()) return Flow::kOn;
    if (loop_name_ != UINT32_MAX) {
      Value v = Value::Of(Kind::kLoop);
      v.loop = state;
      Bind(loop_name_, v);
    }
    Unpack(text.names, text.name_count, list.items[loop.index]);
    line_ = text.line;
    Reader b = text.body;
    const Flow flow = failed() ? Flow::kOn : Body(b);
    scope_ = around;
    if (failed()) return Flow::kOn;
    if (capture_ == nullptr && kept == kept_) workspace_.GoBack(place);
    // The last item stays that of the loop, which a namespace may keep.
    if (flow == Flow::kBreak || loop.index + 1 == loop.count) break;
    ++loop.index;
  }
  return Flow::kOn;
}

// loop(list): the same loop over it, as a text.
Value Machine::CallLoop(const Loop& loop, const Arguments& arguments) {
  const Value* over = arguments.Find(0, "iterable");
  if (over == nullptr) return Fail("loop(...) needs a list");
  if (++macro_depth_ > kMaxMacroDepth) return Fail("loops that call themselves too deeply");
  const Value list = ListOf(*over);
  Scope* const outer_scope = scope_;
  Capture capture;
  Capture* const outer = capture_;
  const uint32_t line = line_;
  Value text;
  if (!failed()) {
    scope_ = loop.text->scope;
    capture_ = &capture;
    RunLoop(*loop.text, list, loop.depth + 1);
    capture_ = outer;
    if (!failed()) text = End(capture);
  }
  scope_ = outer_scope;
  line_ = line;
  --macro_depth_;
  return text;
}

}  // namespace thimble::chat
