#include "runtime/template/answer.h"

#include <algorithm>

#include "runtime/template/answer_call.h"

namespace thimble::chat {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
// Nothing that people write by chance; and what they often do.
bool IsTag(std::string_view text) { return text.size() > 1 && (text[0] == '<' || (text[0] == '[' && (IsLetter(text[1]) || text[1] == '/'))); }
bool IsWeak(std::string_view text) { return text.size() < 3 && std::none_of(text.begin(), text.end(), IsLetter); }

// The text that every call begins with; empty where that is an object.
std::string_view CallStart(const AnswerFormat& f) {
  return f.calls && f.call.parts[0].part == Part::kText ? Core(f.call.parts[0].text) : std::string_view();
}

std::string_view CallEnd(const AnswerFormat& f) {
  const AnswerPart& part = f.call.parts[f.call.count - 1];
  return f.call.count > 1 && part.part == Part::kText ? Core(part.text) : std::string_view();
}

// Where every section says its name between two tags, as <|channel|>final<|message|>: these. A section of another name is text.
struct Head {
  std::string_view open, close;
};
constexpr size_t kMaxHead = 192;

Head HeadOf(const AnswerFormat& f) {
  const std::string_view a = f.reasoning_open, b = f.text_open;
  size_t start = 0, end = 0;
  while (start < a.size() && start < b.size() && a[start] == b[start]) ++start;
  while (end < a.size() && end < b.size() && a[a.size() - 1 - end] == b[b.size() - 1 - end]) ++end;
  while (start > 0 && a[start - 1] != '>') --start;
  while (end > 0 && a[a.size() - end] != '<') --end;
  if (start == 0 || end == 0 || start + end >= a.size() || start + end >= b.size()) return {};
  return {a.substr(0, start), a.substr(a.size() - end)};
}

}  // namespace

// Calls that nothing marks: an answer that is an object, or begins with a bracket. What is no call then is text.
bool AnswerParser::Bare() const { return format_.calls && IsWeak(format_.calls_open.empty() ? CallStart(format_) : format_.calls_open); }

void AnswerParser::Begin(std::string_view prompt) {
  state_ = State::kBetween;
  begin_ = end_ = silent_ = tried_ = 0;
  fresh_ = true;
  const std::string_view lead = Core(format_.lead);
  const size_t place = lead.empty() ? prompt.npos : prompt.rfind(lead);
  if (place == prompt.npos) return;
  const std::string_view opened = prompt.substr(place + lead.size());
  for (size_t i = 0; i < format_.end_count; ++i) {
    if (opened.find(format_.ends[i]) != opened.npos) return;  // the last turn was another's
  }
  silent_ = opened.size();
  Add(opened);
}

void AnswerParser::Feed(std::string_view piece) { Add(piece); }

void AnswerParser::Add(std::string_view piece) {
  while (!piece.empty() && state_ != State::kEnded) {
    if (begin_ > 0) {
      std::memmove(buffer_, buffer_ + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    const size_t fits = std::min(piece.size(), bytes_ - end_);
    std::memcpy(buffer_ + end_, piece.data(), fits);
    end_ += fits;
    piece.remove_prefix(fits);
    Run(false);
  }
}

void AnswerParser::Finish() {
  if (state_ == State::kEnded) return;
  Run(true);
  if (state_ != State::kEnded) End();
}

void AnswerParser::Run(bool last) {
  while (state_ != State::kEnded && Step(last)) {
  }
  // What is too long to be waited for counts as it is.
  while (state_ != State::kEnded && end_ - begin_ == bytes_ && Step(true)) {
  }
}

bool AnswerParser::Step(bool last) {
  if (begin_ == end_ && state_ != State::kBroken) return false;
  switch (state_) {
    case State::kCalls: return CallsStep(last);
    case State::kCall: return CallStep(last);
    case State::kBroken: return BrokenStep(last);
    case State::kEnded: return false;
    default: return ScanStep(last);
  }
}

bool AnswerParser::Looks(Marker marker) const {
  const std::string_view calls = format_.calls_open.empty() ? CallStart(format_) : format_.calls_open;
  const bool tag = IsTag(calls) || (!calls.empty() && format_.text_open.substr(0, calls.size()) == calls);
  switch (state_) {
    case State::kBetween: return true;
    case State::kReasoning: return marker == Marker::kReasoningClose || marker == Marker::kEnd;
    case State::kText:
      return marker == Marker::kTextClose || marker == Marker::kCallsOpen || marker == Marker::kCall || marker == Marker::kEnd;
    case State::kOpenText:
      return marker == Marker::kTextClose || marker == Marker::kEnd || (marker == Marker::kReasoningClose && format_.text_close.empty()) || (tag && (marker == Marker::kCallsOpen || marker == Marker::kCall));
    default: return false;
  }
}

// The longest marker that the text begins with; kPart where it may yet become a longer one.
AnswerParser::Found AnswerParser::Find(std::string_view at, bool last) const {
  Found found;
  bool part = false;
  const auto look = [&](Marker marker, std::string_view text) {
    if (text.empty() || !Looks(marker)) return;
    size_t bytes = 0;
    const Reading state = Match(text, at, &bytes);
    part |= state == Reading::kMore;
    if (state == Reading::kDone && bytes > found.bytes) found = {marker, bytes};
  };
  const std::string_view start = CallStart(format_);
  look(Marker::kLead, Core(format_.lead));
  look(Marker::kReasoningOpen, format_.reasoning_open);
  look(Marker::kReasoningClose, format_.reasoning_close);
  look(Marker::kTextOpen, format_.text_open);
  look(Marker::kTextClose, format_.text_close);
  look(Marker::kCallsClose, format_.calls_close);
  if (!Bare()) {
    look(Marker::kCallsOpen, format_.calls_open);
    if (format_.calls_open.empty() || IsTag(start)) look(Marker::kCall, start);
  } else if (state_ == State::kBetween) {
    look(Marker::kCall, !format_.calls_open.empty() ? format_.calls_open : !start.empty() ? start : "{");
  }
  for (size_t i = 0; i < format_.end_count; ++i) look(Marker::kEnd, format_.ends[i]);
  if (found.marker == Marker::kCall) found.bytes = 0;  // it is read from there
  if (found.marker == Marker::kNone && (last || !part) && state_ == State::kBetween) found = FindHead(at, last);
  return part && !last ? Found{Marker::kPart, 0} : found;
}

// A section with a name that is not known, or a call in its head: "<|channel|>commentary to=functions.f <|constrain|>json<|message|>".
AnswerParser::Found AnswerParser::FindHead(std::string_view at, bool last) const {
  const Head head = HeadOf(format_);
  if (head.open.empty() || at.substr(0, head.open.size()) != head.open) return {};
  const std::string_view start = CallStart(format_), within = at.substr(0, kMaxHead);
  const size_t call = start.empty() ? at.npos : within.find(start), close = within.find(head.close);
  if (call < close) return {Marker::kCall, call};
  if (close != at.npos) return {Marker::kTextOpen, close + head.close.size()};
  return {last || at.size() >= kMaxHead ? Marker::kNone : Marker::kPart, 0};
}

// Bytes up to where a marker or white space may begin; at least one.
size_t AnswerParser::Plain(std::string_view text) const {
  const std::string_view starts[] = {Core(format_.lead), format_.reasoning_open, format_.reasoning_close, format_.text_open,
                                     format_.text_close, format_.calls_open, format_.calls_close, CallStart(format_)};
  const auto begins = [&](char c) {
    for (const std::string_view start : starts) {
      if (!start.empty() && start[0] == c) return true;
    }
    for (size_t i = 0; i < format_.end_count; ++i) {
      if (format_.ends[i][0] == c) return true;
    }
    return IsSpace(c);
  };
  size_t n = 1;
  while (n < text.size() && !begins(text[n])) ++n;
  return n;
}

bool AnswerParser::ScanStep(bool last) {
  const size_t spaces = Spaces(held());
  const std::string_view rest = held().substr(spaces);
  if (rest.empty()) {
    if (last) Drop(spaces);
    return last;
  }
  const Found found = Find(rest, last);
  if (found.marker == Marker::kPart) return false;
  if (found.marker == Marker::kNone) {
    if (fresh_) Drop(spaces);
    if (state_ == State::kBetween) state_ = State::kText;
    Tell((fresh_ ? 0 : spaces) + Plain(rest));
    return true;
  }
  Drop(spaces + found.bytes);
  Take(found);
  return true;
}

void AnswerParser::Take(const Found& found) {
  fresh_ = true;
  switch (found.marker) {
    case Marker::kReasoningOpen: state_ = State::kReasoning; break;
    case Marker::kTextOpen: state_ = State::kOpenText; break;
    case Marker::kCallsOpen: state_ = State::kCalls; break;
    case Marker::kCall: state_ = State::kCall; break;
    case Marker::kEnd: End(); break;
    default: state_ = State::kBetween;
  }
}

// Between calls.
bool AnswerParser::CallsStep(bool last) {
  Drop(Spaces(held()));
  if (held().empty()) return false;
  size_t bytes = 0;
  const std::string_view start = CallStart(format_);
  const bool named = format_.call.parts[0].part == Part::kName;
  Reading call = named ? Reading::kBad : start.empty() ? (held()[0] == '{' ? Reading::kDone : Reading::kBad) : Match(start, held(), &bytes);
  if (named) {
    // Whatever does not end them.
    Reading other = Match(format_.calls_close, held(), &bytes);
    for (size_t i = 0; i < format_.end_count && other == Reading::kBad; ++i) other = Match(format_.ends[i], held(), &bytes);
    if (other == Reading::kBad && !format_.calls_between.empty()) other = Match(format_.calls_between, held(), &bytes);
    call = other == Reading::kBad ? Reading::kDone : other == Reading::kMore ? Reading::kMore : Reading::kBad;
  }
  if (call == Reading::kDone) {
    state_ = State::kCall;
    return true;
  }
  bool part = call == Reading::kMore;
  if (!format_.calls_between.empty()) {
    const Reading between = Match(format_.calls_between, held(), &bytes);
    if (between == Reading::kDone) Drop(bytes);
    if (between == Reading::kDone) return true;
    part |= between == Reading::kMore;
  }
  if (part && !last) return false;
  // Their end, the turn's, or more text.
  state_ = State::kBetween;
  fresh_ = true;
  return true;
}

bool AnswerParser::CallStep(bool last) {
  // A bracket that may be text yet is still there.
  size_t open = 0;
  if (!Bare() || format_.calls_open.empty() || Match(format_.calls_open, held(), &open) != Reading::kDone) open = 0;
  const CallReading call = ReadCall(format_, held().substr(open), last, tools_, nullptr);
  if (call.state == Reading::kMore && !last) return false;
  if (call.state != Reading::kDone) {
    Break(call.state == Reading::kMore && end_ - begin_ == bytes_ ? "a tool call that is longer than the buffer" : call.why);
    return true;
  }
  if (silent_ < open + call.bytes) (void)ReadCall(format_, held().substr(open), last, tools_, &sink_);  // the prompt may have begun it
  Drop(open + call.bytes);
  state_ = State::kCalls;
  return true;
}

void AnswerParser::Break(const char* why) {
  fresh_ = true;
  state_ = Bare() ? State::kText : State::kBroken;
  why_ = why;
  tried_ = 1;  // of what began it one byte belongs to it
}

// Up to the next place where something else begins.
bool AnswerParser::BrokenStep(bool last) {
  const std::string_view start = CallStart(format_), end = CallEnd(format_);
  const auto tell = [&](size_t bytes) {
    if (why_ != nullptr && silent_ < bytes) sink_.put(sink_.user, {AnswerEvent::Kind::kBrokenCall, held().substr(0, bytes), {}, why_});
    why_ = nullptr;
    Drop(bytes);
  };
  for (; tried_ < held().size(); ++tried_) {
    const std::string_view here = held().substr(tried_);
    bool part = false;
    const auto is = [&](std::string_view text, size_t* bytes) {
      const Reading state = text.empty() ? Reading::kBad : Match(text, here, bytes);
      part |= state == Reading::kMore;
      return state == Reading::kDone;
    };
    size_t bytes = 0, none = 0;
    const bool closed = is(end, &bytes);
    bool other = is(format_.calls_close, &none) || (tried_ > 0 && IsTag(start) && is(start, &none));
    for (size_t i = 0; i < format_.end_count && !other; ++i) other = is(format_.ends[i], &none);
    if (closed || other) {
      tell(tried_ + (closed ? bytes : 0));
      state_ = State::kCalls;
      return true;
    }
    if (part && !last) return false;
  }
  if (!last) return false;
  tell(held().size());
  tried_ = 0;
  return false;
}

void AnswerParser::Tell(size_t bytes) {
  const size_t hidden = std::min(bytes, silent_);
  const auto kind = state_ == State::kReasoning ? AnswerEvent::Kind::kReasoning : AnswerEvent::Kind::kText;
  if (bytes > hidden) sink_.put(sink_.user, {.kind = kind, .text = held().substr(hidden, bytes - hidden), .id = {}});
  fresh_ = false;
  Drop(bytes);
}

void AnswerParser::Drop(size_t bytes) {
  begin_ += bytes;
  silent_ -= std::min(silent_, bytes);
}

void AnswerParser::End() {
  state_ = State::kEnded;
  begin_ = end_ = 0;
  sink_.put(sink_.user, {.kind = AnswerEvent::Kind::kEnd, .text = {}, .id = {}});
}

}  // namespace thimble::chat
