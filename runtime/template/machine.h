// The state of one rendering, and what its parts share. Private to this folder. After a failure every function returns at once, and what
// it returns does not matter.
#pragma once

#include <cstring>

#include "runtime/template/render.h"

namespace thimble::chat {

struct Binding {
  uint32_t name;
  Value value;
  Binding* next;
};

// Names that are given values: of a body that has its own.
struct Scope {
  Binding* first;
  Scope* parent;
};

struct Namespace {
  Binding* first;
};

struct Macro {
  const uint8_t* parameters;  // behind its name
  Scope* scope;               // where it was written
  std::string_view name;
};

inline constexpr size_t kMaxTargets = 8;

// A {% for %} apart from what it goes over: loop(...) goes over something else in the same way.
struct LoopText {
  uint32_t names[kMaxTargets];
  size_t name_count;
  Reader condition, body, otherwise;
  bool has_condition;
  uint32_t line;
  Scope* scope;  // where it was written
};

struct Loop {
  const LoopText* text;
  const Value* items;
  size_t index, count;
  uint32_t depth;                // 0, and one more for each loop(...)
  mutable Value last = {};       // what loop.changed(...) was asked for last
  mutable bool asked = false;
};

struct Method {
  Value object;
  std::string_view name;
};

struct Arguments {
  static constexpr size_t kMost = 16;
  Value plain[kMost];
  size_t plain_count = 0;
  std::string_view names[kMost];
  Value named[kMost];
  size_t named_count = 0;

  // The argument that is at `place` or has that name; null where it was not given.
  const Value* Find(size_t place, std::string_view name) const {
    if (place < plain_count) return &plain[place];
    for (size_t i = 0; i < named_count; ++i) {
      if (names[i] == name) return &named[i];
    }
    return nullptr;
  }
};

inline constexpr uint32_t kMaxMacroDepth = 32;
inline constexpr uint32_t kMaxDepth = 2000;
enum class Function : uint32_t { kRange, kNamespace, kRaise, kNow, kDict };

// Text that grows at the end of the workspace; nothing else may be taken meanwhile.
class TextBuilder;

class Machine {
 public:
  Machine(const Program& program, const RenderInput& input, Workspace& workspace, const TextSink& sink)
      : program_(program), input_(input), workspace_(workspace), sink_(sink) {}

  RenderError Run();

  // For the other files.
  bool failed() const { return error_.kind != RenderError::Kind::kNone; }
  Value Fail(const char* what, std::string_view detail = {});
  void OutOfMemory() { SetError(RenderError::Kind::kMemory, "the workspace for the template is too small"); }
  Workspace& workspace() { return workspace_; }
  template <typename T>
  T* Take(size_t count) {
    T* place = workspace_.Take<T>(count);
    if (place == nullptr) OutOfMemory();
    return place;
  }
  bool Step(uint64_t steps = 1) {
    steps_ += steps;
    if (steps_ > input_.most_steps) SetError(RenderError::Kind::kSteps, "the template takes too many steps");
    return !failed();
  }

  // operations.cc: Python's operators.
  static bool Truth(const Value& v);
  void Keep() { ++kept_; }  // what was made outlives its statement
  bool Equal(const Value& a, const Value& b, int depth = 0);
  int Order(const Value& a, const Value& b);  // < 0, 0, > 0; fails where there is none
  bool Contains(const Value& in, const Value& what);
  Value Operate(Binary binary, const Value& a, const Value& b);
  Value Join(const Value* texts, size_t count);              // of texts
  Value AsText(const Value& v);                              // str()
  Value Repr(const Value& v);                                // repr()
  Value Json(const Value& v, const Arguments& arguments);
  Value Attribute(const Value& object, std::string_view name);
  Value Item(const Value& object, const Value& index);
  Value Slice(const Value& object, const Value* start, const Value* stop, const Value* step);
  Value ListOf(const Value& v);  // what a loop over it sees

  // filters.cc, methods.cc, now.cc
  Value Apply(Filter filter, const Value& v, const Arguments& arguments);
  bool Check(Test test, const Value& v, const Arguments& arguments);
  Value CallMethod(const Value& object, std::string_view name, const Arguments& arguments);
  Value CallFunction(Function function, const Arguments& arguments);
  Value Now(std::string_view format);

  void SetError(RenderError::Kind kind, std::string_view what) {
    if (failed()) return;
    error_ = {kind, what, line_};
  }

 private:
  struct Chunk {
    Value text;
    Chunk* next;
  };
  struct Capture {
    Chunk *first = nullptr, *last = nullptr;
    size_t count = 0;
  };
  enum class Flow : uint8_t { kOn, kBreak, kContinue };

  // render.cc
  std::string_view TextAt(Reader& r) const {
    const uint32_t offset = r.Number(), length = r.Number();
    return {program_.pool + offset, length};
  }
  std::string_view NameAt(uint32_t index) const { return names_[index].text; }
  bool ReadNames();
  void Put(const Value& text);
  Value End(Capture& capture);
  Flow Body(Reader& r);
  Flow OneStatement(Reader& r);
  void SkipBody(Reader& r) {
    const uint32_t bytes = r.Number();
    r.at += bytes;
  }
  Flow For(Reader& r);
  Flow RunLoop(const LoopText& text, Value list, uint32_t depth);
  Value CallLoop(const Loop& loop, const Arguments& arguments);
  Value Evaluate(Reader& r);
  __attribute__((noinline)) Value EvaluateCall(Expression kind, Reader& r);
  void ReadArguments(Reader& r, Arguments* out);
  Value ApplyAll(Reader& r, Value v);
  Value Call(const Value& callee, const Arguments& arguments);
  Value CallMacro(const Macro& macro, const Arguments& arguments);
  Scope* Enter();
  Value Lookup(uint32_t name);
  void Bind(uint32_t name, const Value& value);
  void Unpack(const uint32_t* names, size_t count, const Value& value);

  struct Name {
    std::string_view text;
    Value value;  // where nothing is bound to it: a variable, a function, or undefined
  };

  // What lies in each other costs stack, some 200 bytes a unit.
  struct Deeper {
    Deeper(Machine& machine, uint32_t count) : m(machine), n(count) {
      if ((m.depth_ += n) > kMaxDepth) m.Fail("what is nested too deeply");
    }
    ~Deeper() { m.depth_ -= n; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    Machine& m;
    uint32_t n;
  };

  const Program& program_;
  Name* names_ = nullptr;
  uint32_t loop_name_ = UINT32_MAX;
  const RenderInput& input_;
  Workspace& workspace_;
  const TextSink& sink_;
  RenderError error_;
  uint64_t steps_ = 0, kept_ = 0;  // kept_: how often a namespace got something that outlives its statement
  uint32_t line_ = 0, macro_depth_ = 0, depth_ = 0;
  Scope* scope_ = nullptr;
  Capture* capture_ = nullptr;
  Namespace empty_ = {nullptr};  // `self`
};

class TextBuilder {
 public:
  explicit TextBuilder(Machine& machine) : machine_(machine), begin_(reinterpret_cast<char*>(machine.workspace().place())) {}
  void Add(std::string_view text) {
    if (failed_) return;
    while (capacity_ - size_ < text.size()) {
      const size_t more = text.size() - (capacity_ - size_) > 64 ? (text.size() + 7) / 8 * 8 : 64;
      if (machine_.workspace().Take(more) == nullptr) {
        failed_ = true;
        return machine_.OutOfMemory();
      }
      capacity_ += more;
    }
    if (!text.empty()) std::memcpy(begin_ + size_, text.data(), text.size());
    size_ += text.size();
  }
  void Add(char c) { Add(std::string_view(&c, 1)); }
  void Data() { data_ = true; }
  std::string_view view() const { return {begin_, size_}; }
  Value Done() const { return Value::Text(view(), data_ ? kData : kTemplate); }

 private:
  Machine& machine_;
  char* begin_;
  size_t size_ = 0, capacity_ = 0;
  bool data_ = false, failed_ = false;
};

// Part of a text, with its marks.
inline Value PartOf(const Value& text, size_t offset, size_t length) {
  const uint8_t* marks = text.marks == kTemplate || text.marks == kData ? text.marks : text.marks + offset;
  return Value::Text(text.str().substr(offset, length), marks);
}

// UTF-8: bytes of the code point at s[i], and how many code points there are.
inline size_t CodePointBytes(std::string_view s, size_t i) {
  size_t n = 1;
  while (i + n < s.size() && (static_cast<uint8_t>(s[i + n]) & 0xc0) == 0x80) ++n;
  return n;
}
inline size_t CodePoints(std::string_view s) {
  size_t n = 0;
  for (size_t i = 0; i < s.size(); i += CodePointBytes(s, i)) ++n;  // of any bytes: as they are walked
  return n;
}
// Bytes of Python's white space at s[i]; 0: there is none.
size_t SpaceBytes(std::string_view s, size_t i);

}  // namespace thimble::chat
