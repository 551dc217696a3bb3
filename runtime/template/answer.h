// How the answers of a model are read: a small description, derived from its chat template where files are made (targets/template/), and
// a parser over the text as it comes. Allocates nothing.
//
// An answer is a row of sections: reasoning, text, tool calls. Each may have a text in front of it and one behind; a section of text may
// have neither. A call is texts and slots, and so is a field of it where its arguments are written one by one:
//
//   <tool_call>\n  {"name": "f", "arguments": {"a": 1}}  \n</tool_call>           text, object, text
//   [TOOL_CALLS]  f  [CALL_ID]  a1b2  [ARGS]  {"a": 1}                            text, name, text, id, text, value
//   <function=  f  >\n  <parameter=a>\n1\n</parameter>\n  </function>             text, name, text, fields, text
//
// Calls that nothing but a bracket marks are looked for where an answer begins; what is none then is text.
// Arguments may be an object or, as in OpenAI's interface, a text that holds one ("{\"a\": 1}"): they are told as the object.
// Sections that say their names in the same way (<|channel|>analysis<|message|>) may have others: these are text.
// White space around a section is not part of it. Where a text of the description has white space any may stand in an answer, or none.
//
// The bytes:
//   "TANS", uint8 version, uint8 flags (kAnswerCalls, ...), text lead, 2 texts around reasoning, 2 around text,
//   uint8 n, n texts that end a turn; and with kAnswerCalls 2 texts around all calls, text between calls, parts of a call, text between
//   fields, parts of a field, texts: key of the name, of the arguments, of the id; quote; what a field's type says of a text;
//   2 texts around raw texts
//   text    uint8 bytes, those            parts   uint8 n, n x (uint8 Part, and for kText its text)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/core/result.h"
#include "runtime/template/value.h"

namespace thimble::chat {

// What a call, or a field of it, is made of.
//   kText    as it stands
//   kName    of the tool        kId    of the call        kAny    whatever stands there: a number, a count
//   kObject  all of the call as one object with the keys of the description, in any order
//   kValue   the arguments as an object; in a field: its value, which says itself where it ends
//   kFields  the arguments, field by field
//   kKey     of a field         kType  of its value       kRaw    its value, up to the text behind it
enum class Part : uint8_t { kText, kName, kId, kAny, kObject, kValue, kFields, kKey, kType, kRaw, kCount };

struct AnswerPart {
  Part part = Part::kText;
  std::string_view text;
};

inline constexpr char kAnswerMagic[4] = {'T', 'A', 'N', 'S'};
inline constexpr uint8_t kAnswerVersion = 1;
inline constexpr uint8_t kAnswerCalls = 1;   // calls are known
inline constexpr uint8_t kAnswerPython = 2;  // values are written as Python prints them: True, None, 'text'
// How the template wants calls back, in the messages that it renders. Without the last two: "content": "".
inline constexpr uint8_t kAnswerArgumentsText = 4;  // "arguments" as JSON text, not as an object
inline constexpr uint8_t kAnswerNoContent = 8;      // no "content"
inline constexpr uint8_t kAnswerNullContent = 16;   // "content": null
inline constexpr uint8_t kAnswerNameInId = 32;      // "id": "functions.NAME:0", ":1", ...: the name stands nowhere else

inline constexpr size_t kMaxAnswerEnds = 8;
inline constexpr size_t kMaxAnswerParts = 8;
inline constexpr size_t kMaxAnswerText = 255;

struct AnswerParts {
  AnswerPart parts[kMaxAnswerParts];
  size_t count = 0;
};

// Views into the bytes. Only from VerifyAnswerFormat().
struct AnswerFormat {
  std::string_view lead;  // in front of every answer: where the last one stands in a prompt the answer begins
  std::string_view reasoning_open, reasoning_close, text_open, text_close;
  std::string_view ends[kMaxAnswerEnds];
  size_t end_count = 0;
  bool calls = false, python = false, arguments_as_text = false, no_content = false, null_content = false, name_in_id = false;
  std::string_view calls_open, calls_close, calls_between;
  AnswerParts call;
  std::string_view fields_between;
  AnswerParts field;
  std::string_view name_key, arguments_key, id_key;  // of kObject
  std::string_view quote;                            // around texts instead of ", with bare keys; may be empty
  std::string_view text_type;                        // kType of a text; any other type: JSON
  std::string_view raw_open, raw_close;              // around a kRaw text that has markup in it: <![CDATA[ ]]>
};

// Every byte is looked at once: after this, reading it cannot fail. The bytes have to outlive the result.
Result<AnswerFormat> VerifyAnswerFormat(const uint8_t* bytes, size_t size);

// The special token in a text that ends a turn: its id is the one to stop at. "<|im_end|>" of "<|im_end|>\n".
std::string_view EndToken(std::string_view end);

struct AnswerEvent {
  // kText, kReasoning   a piece of it; a code point may be cut
  // kCall               a tool call begins: text is the name, id what the model called it (may be empty)
  // kArguments          a piece of its arguments: together an object, JSON
  // kCallEnd            a call is told whole, once it is known to be one
  // kBrokenCall         text: all of it as it came; why: what is wrong
  // kEnd                the turn is over; once
  enum class Kind : uint8_t { kText, kReasoning, kCall, kArguments, kCallEnd, kBrokenCall, kEnd } kind;
  std::string_view text, id;  // until the function returns
  const char* why = "";
};

struct AnswerSink {
  void* user;
  void (*put)(void* user, const AnswerEvent& event);
};

// Enough for every marker. A call that is longer than the buffer is a broken one: 64 KiB are plenty.
inline constexpr size_t kMinAnswerBuffer = 1024;

// Reads one answer as it comes: Begin, Feed for each piece, Finish. Special tokens are fed as text, those that end the turn too, if the
// caller has them. Without a format (a default one) all is text.
//
// Arguments that are written field by field become JSON by this rule: a text where the tool's schema says string (or the format says
// what type it is); else the value itself where it is JSON of another kind (or Python, where the template prints Python); else a text.
class AnswerParser {
 public:
  // The buffer (kMinAnswerBuffer bytes at least), the format's bytes and `tools` (the list that the template saw, or null) have to
  // outlive the parser.
  AnswerParser(const AnswerFormat& format, char* buffer, size_t bytes, const AnswerSink& sink, const Value* tools = nullptr)
      : format_(format), buffer_(buffer), bytes_(bytes), sink_(sink), tools_(tools) {}

  // `prompt`: the text that the model answers, or the end of it. It may have opened the answer: "<think>\n".
  void Begin(std::string_view prompt);
  void Feed(std::string_view piece);
  // No more comes. Tells what was held back, and the end where that was not told yet.
  void Finish();
  // What is fed behind the end is ignored.
  bool ended() const { return state_ == State::kEnded; }

 private:
  enum class State : uint8_t { kBetween, kReasoning, kText, kOpenText, kCalls, kCall, kBroken, kEnded };
  enum class Marker : uint8_t { kNone, kPart, kLead, kReasoningOpen, kReasoningClose, kTextOpen, kTextClose, kCallsOpen, kCall, kCallsClose, kEnd };
  struct Found {
    Marker marker = Marker::kNone;
    size_t bytes = 0;
  };

  std::string_view held() const { return {buffer_ + begin_, end_ - begin_}; }
  void Add(std::string_view piece);
  void Run(bool last);
  bool Step(bool last);
  bool ScanStep(bool last);
  bool CallsStep(bool last);
  bool CallStep(bool last);
  bool BrokenStep(bool last);
  Found Find(std::string_view at, bool last) const;
  Found FindHead(std::string_view at, bool last) const;
  bool Looks(Marker marker) const;
  bool Bare() const;
  size_t Plain(std::string_view text) const;
  void Tell(size_t bytes);
  void Take(const Found& found);
  void Drop(size_t bytes);
  void Break(const char* why);
  void End();

  AnswerFormat format_;
  char* buffer_;
  size_t bytes_;
  AnswerSink sink_;
  const Value* tools_;
  State state_ = State::kBetween;
  size_t begin_ = 0, end_ = 0;  // of what is held in the buffer
  size_t silent_ = 0;           // bytes at its front that are the prompt's
  size_t tried_ = 0;            // bytes of a broken call that were looked at
  bool fresh_ = true;           // nothing of this section was told
  const char* why_ = "";
};

}  // namespace thimble::chat
