// One tool call in an answer, read whole; values as models write them, told as JSON. For the parser, and for who derives descriptions.
#pragma once

#include <cstring>

#include "runtime/template/answer.h"

namespace thimble::chat {

enum class Reading : uint8_t { kDone, kMore, kBad };

inline bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
inline size_t Spaces(std::string_view s, size_t at = 0) {
  size_t n = at;
  while (n < s.size() && IsSpace(s[n])) ++n;
  return n - at;
}
inline std::string_view Core(std::string_view s) {
  s.remove_prefix(Spaces(s));
  while (!s.empty() && IsSpace(s.back())) s.remove_suffix(1);
  return s;
}

// Does `in` begin with the text? Where the text has white space any may stand, or none. kDone: *bytes of it.
Reading Match(std::string_view text, std::string_view in, size_t* bytes);

// Pieces of JSON, gathered to fewer and longer ones.
class JsonOut {
 public:
  explicit JsonOut(const AnswerSink& sink) : sink_(sink) {}
  void Put(std::string_view text) {
    for (const char c : text) Put(c);
  }
  void Put(char c) {
    if (size_ == sizeof pending_) Flush();
    pending_[size_++] = c;
  }
  void PutText(std::string_view text);  // in quotes
  void PutEscaped(char c);
  void Flush() {
    if (size_ > 0) sink_.put(sink_.user, {.kind = AnswerEvent::Kind::kArguments, .text = {pending_, size_}, .id = {}});
    size_ = 0;
  }

 private:
  const AnswerSink& sink_;
  char pending_[256];
  size_t size_ = 0;
};

// A value at in[*at], and *at behind it. `out` may be null. `whole`: nothing can follow, so that a number may end at the end.
Reading ReadValue(std::string_view in, size_t* at, const AnswerFormat& format, bool whole, JsonOut* out);

// Arguments as OpenAI's interface has them: a text that holds an object, or nothing. in[*at] is what the text is quoted with.
Reading ReadObjectInText(std::string_view in, size_t* at, const AnswerFormat& format, JsonOut* out);
inline bool BeginsText(char c, const AnswerFormat& format) { return c == '"' || (c == '\'' && format.python); }

struct CallReading {
  Reading state = Reading::kMore;
  size_t bytes = 0;      // of a call that is done
  const char* why = "";  // it is bad
};

// The call that `in` begins with. `last`: nothing follows. With a sink it is told: of calls that are known to be done.
CallReading ReadCall(const AnswerFormat& format, std::string_view in, bool last, const Value* tools, const AnswerSink* sink);

// Does the schema of a tool's parameter say that it is a text?
bool SchemaSaysText(const Value* tools, std::string_view tool, std::string_view parameter);

}  // namespace thimble::chat
