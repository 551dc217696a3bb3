#include "runtime/template/answer_call.h"

namespace thimble::chat {
namespace {

constexpr size_t kMaxName = 256;

bool StartsWith(std::string_view s, std::string_view with) { return s.substr(0, with.size()) == with; }

std::string_view SpaceBehind(std::string_view text) {
  size_t n = text.size();
  while (n > 0 && IsSpace(text[n - 1])) --n;
  return text.substr(n);
}

class CallReader {
 public:
  CallReader(const AnswerFormat& format, std::string_view in, bool last, const Value* tools, JsonOut* out)
      : f_(format), in_(in), last_(last), tools_(tools), out_(out) {}

  Reading Run() {
    for (size_t i = 0; i < f_.call.count; ++i) {
      const Reading state = Read(f_.call, i);
      if (state == Reading::kDone) continue;
      // What closes a call may be missing where the answer ends.
      if (arguments_ && f_.call.parts[i].part == Part::kText && (state == Reading::kMore ? last_ : AtEnd() == Reading::kDone)) return Reading::kDone;
      if (arguments_ && state == Reading::kBad && AtEnd() == Reading::kMore && !last_) return Reading::kMore;
      return state;
    }
    return Reading::kDone;
  }

  size_t at() const { return at_; }
  const char* why() const { return why_; }
  std::string_view name() const { return name_; }
  std::string_view id() const { return id_; }

 private:
  std::string_view rest() const { return in_.substr(at_); }
  Reading Bad(const char* why) {
    why_ = why;
    return Reading::kBad;
  }
  static Reading Either(Reading a, Reading b) {
    return a == Reading::kDone || b == Reading::kDone ? Reading::kDone : a == Reading::kMore || b == Reading::kMore ? Reading::kMore : Reading::kBad;
  }
  Reading Begins(std::string_view at, std::string_view text) const {
    size_t bytes = 0;
    return Core(text).empty() ? Reading::kBad : Match(Core(text), at, &bytes);
  }
  // Is this where the turn or all calls end?
  Reading AtEnd() const {
    const std::string_view here = rest().substr(Spaces(rest()));
    if (here.empty()) return Reading::kMore;
    Reading state = Begins(here, f_.calls_close);
    for (size_t i = 0; i < f_.end_count; ++i) state = Either(state, Begins(here, f_.ends[i]));
    return state;
  }
  // The text behind the fields of a call.
  std::string_view BehindFields() const {
    for (size_t i = 0; i + 1 < f_.call.count; ++i) {
      if (f_.call.parts[i].part == Part::kFields && f_.call.parts[i + 1].part == Part::kText) return f_.call.parts[i + 1].text;
    }
    return f_.calls_close;
  }
  // May `here`, behind a field, go on so?
  Reading GoesOn(std::string_view here) const {
    here.remove_prefix(Spaces(here));
    if (here.empty()) return last_ ? Reading::kDone : Reading::kMore;
    Reading state = Begins(here, BehindFields());
    if (f_.field.parts[0].part == Part::kText) state = Either(state, Begins(here, f_.field.parts[0].text));
    if (!f_.fields_between.empty()) state = Either(state, Begins(here, f_.fields_between));
    for (size_t i = 0; i < f_.end_count; ++i) state = Either(state, Begins(here, f_.ends[i]));
    return state;
  }

  Reading Read(const AnswerParts& parts, size_t i) {
    switch (parts.parts[i].part) {
      case Part::kText: return Text(parts, i);
      case Part::kName: return Slot(parts, i, &name_);
      case Part::kId: return Slot(parts, i, &id_);
      case Part::kKey: return Slot(parts, i, &key_);
      case Part::kType: return Slot(parts, i, &type_);
      case Part::kAny: {
        std::string_view any;
        return Slot(parts, i, &any);
      }
      case Part::kObject: return Object(0);
      case Part::kValue: return &parts == &f_.call ? Arguments() : FieldValue();
      case Part::kFields: return Fields();
      default: return Raw(parts, i);
    }
  }

  Reading Text(const AnswerParts& parts, size_t i) {
    std::string_view text = parts.parts[i].text;
    const bool raw = i + 1 < parts.count && parts.parts[i + 1].part == Part::kRaw;
    const std::string_view behind = raw ? SpaceBehind(text) : std::string_view();
    text.remove_suffix(behind.size());
    const size_t spaces = Spaces(rest());
    size_t bytes = 0;
    const Reading state = Match(text, rest().substr(spaces), &bytes);
    if (state == Reading::kBad && Headed(parts, i)) return SkipHead(text);
    if (state == Reading::kBad) return Bad("a text that belongs to a tool call is missing");
    if (state == Reading::kMore) return state;
    at_ += spaces + bytes;
    for (const char c : behind) {
      if (at_ < in_.size() && in_[at_] == c) ++at_;
    }
    return Reading::kDone;
  }

  // Between a name and the arguments the last tag counts: models say there what they like, <|constrain|>json<|message|>.
  static bool Headed(const AnswerParts& parts, size_t i) {
    return i > 0 && i + 1 < parts.count && parts.parts[i - 1].part == Part::kName && parts.parts[i].part == Part::kText && parts.parts[i + 1].part == Part::kValue &&
           Core(parts.parts[i].text).find('<') != std::string_view::npos && Core(parts.parts[i].text).back() == '>';
  }
  Reading SkipHead(std::string_view text) {
    const std::string_view tag = Core(text).substr(Core(text).rfind('<')), within = rest().substr(0, kMaxName);
    const size_t place = within.find(tag), value = within.find('{');
    if (place < value) {
      at_ += place + tag.size();
      return Reading::kDone;
    }
    return value == within.npos && within.size() < kMaxName ? Reading::kMore : Bad("a text that belongs to a tool call is missing");
  }

  // Does a slot end here?
  Reading SlotEnds(const AnswerParts& parts, size_t i, std::string_view here) const {
    const AnswerPart& next = parts.parts[i + 1];
    if (next.part == Part::kFields) return Either(Begins(here, BehindFields()), f_.field.parts[0].part == Part::kText ? Begins(here, f_.field.parts[0].text) : Reading::kBad);
    if (Headed(parts, i + 1) && (IsSpace(here[0]) || (here[0] == '<' && Begins(here, next.text) == Reading::kBad))) return Reading::kDone;
    if (next.part == Part::kText && !Core(next.text).empty()) return Begins(here, next.text);
    return IsSpace(here[0]) || here[0] == '{' ? Reading::kDone : Reading::kBad;
  }
  Reading Slot(const AnswerParts& parts, size_t i, std::string_view* slot) {
    at_ += Spaces(rest());
    // A tool's name, or a key as Python writes it: what it cannot have says at once that this is no call.
    const bool name = parts.parts[i].part == Part::kName, key = parts.parts[i].part == Part::kKey;
    const char* const never = name ? "\"'[](){}<>,;=" : key && Core(parts.parts[i + 1].text) == "=" ? "\"'[](){}<>,;\n" : key ? "\n" : "";
    for (size_t end = at_; end < in_.size() && end - at_ <= kMaxName; ++end) {
      const Reading state = SlotEnds(parts, i, in_.substr(end));
      if (state == Reading::kMore) return state;
      if (state == Reading::kBad) {
        if (in_[end] != 0 && std::strchr(never, in_[end]) != nullptr) return Bad("a name that is none");
        continue;
      }
      *slot = Core(in_.substr(at_, end - at_));
      at_ = end;
      if ((name || key) && slot->empty()) return Bad("a tool call without a name");
      if (name && slot->find_first_of(" \t\n") != slot->npos) return Bad("a name that is none");
      return Reading::kDone;
    }
    return in_.size() - at_ > kMaxName ? Bad("a name that does not end") : Reading::kMore;
  }

  Reading Arguments() {
    at_ += Spaces(rest());
    if (at_ == in_.size()) return Reading::kMore;
    const bool text = BeginsText(in_[at_], f_);
    if (in_[at_] != '{' && !text) return Bad("arguments that are no object");
    const Reading state = text ? ReadObjectInText(in_, &at_, f_, out_) : ReadValue(in_, &at_, f_, false, out_);
    arguments_ = state == Reading::kDone;
    return state == Reading::kBad ? Bad("arguments that are no JSON") : state;
  }

  // The members of an object, or of the object in it.
  Reading Object(int depth) {
    at_ += Spaces(rest());
    if (at_ == in_.size()) return Reading::kMore;
    if (in_[at_] != '{') return Bad("a tool call that is no object");
    ++at_;
    size_t inner = 0, arguments = 0, arguments_end = 0;
    for (bool first = true;; first = false) {
      at_ += Spaces(rest());
      if (at_ == in_.size()) return Reading::kMore;
      if (in_[at_] == '}' && first) break;
      std::string_view key, value;
      if (const Reading state = Member(&key, &value); state != Reading::kDone) return state;
      const size_t begin = static_cast<size_t>(value.data() - in_.data());
      if (key == f_.name_key && value.size() > 2 && value.front() != '{') name_ = value.substr(1, value.size() - 2);
      else if (key == f_.arguments_key) arguments = begin, arguments_end = begin + value.size();
      else if (key == f_.id_key && value.size() > 2) id_ = value.front() == '"' ? value.substr(1, value.size() - 2) : value;
      else if (value.front() == '{') inner = begin;
      at_ += Spaces(rest());
      if (at_ == in_.size()) return Reading::kMore;
      if (in_[at_] == '}') break;
      if (in_[at_] != ',') return Bad("a tool call that is no JSON");
      ++at_;
    }
    ++at_;
    if (name_.empty() && inner != 0 && depth == 0) {
      const size_t end = at_;
      at_ = inner;
      const Reading state = Object(1);
      at_ = end;
      return state;
    }
    if (name_.empty()) return Bad("a tool call without a name");
    if (arguments == 0 || StartsWith(in_.substr(arguments), "null")) {
      if (out_ != nullptr) out_->Put("{}");
    } else if (BeginsText(in_[arguments], f_)) {
      if (ReadObjectInText(in_.substr(0, arguments_end), &arguments, f_, out_) != Reading::kDone) return Bad("arguments that are no object");
    } else if (in_[arguments] != '{') {
      return Bad("arguments that are no object");
    } else if (out_ != nullptr) {
      ReadValue(in_.substr(0, arguments_end), &arguments, f_, true, out_);
    }
    arguments_ = true;
    return Reading::kDone;
  }
  Reading Member(std::string_view* key, std::string_view* value) {
    const size_t begin = at_;
    if (in_[begin] != '"' && in_[begin] != '\'') return Bad("a tool call that is no JSON");
    Reading state = ReadValue(in_, &at_, f_, false, nullptr);
    if (state != Reading::kDone) return state == Reading::kBad ? Bad("a tool call that is no JSON") : state;
    *key = in_.substr(begin + 1, at_ - begin - 2);
    at_ += Spaces(rest());
    if (at_ == in_.size()) return Reading::kMore;
    if (in_[at_] != ':') return Bad("a tool call that is no JSON");
    ++at_;
    at_ += Spaces(rest());
    const size_t place = at_;
    state = ReadValue(in_, &at_, f_, false, nullptr);
    if (state != Reading::kDone) return state == Reading::kBad ? Bad("a tool call that is no JSON") : state;
    *value = in_.substr(place, at_ - place);
    return state;
  }

  Reading Fields() {
    if (out_ != nullptr) out_->Put("{");
    for (bool first = true;; first = false) {
      size_t between = 0;
      std::string_view here = rest().substr(Spaces(rest()));
      if (here.empty() && !last_) return Reading::kMore;
      if (!first && !f_.fields_between.empty()) {
        const Reading state = Match(Core(f_.fields_between), here, &between);
        if (state == Reading::kMore && !last_) return state;
        if (state != Reading::kDone) break;
        here.remove_prefix(between);
        here.remove_prefix(Spaces(here));
      } else {
        // The longer one counts where both begin alike.
        const bool marked = f_.field.parts[0].part == Part::kText;
        const Reading begins = marked ? Begins(here, f_.field.parts[0].text) : Reading::kBad, ends = Begins(here, BehindFields());
        if (begins == Reading::kMore && !last_) return begins;
        if (begins != Reading::kDone && (marked || ends == Reading::kDone)) break;
        if (!marked && ends == Reading::kMore) return ends;
      }
      at_ = in_.size() - here.size();
      first_ = first;
      key_ = type_ = {};
      for (size_t i = 0; i < f_.field.count; ++i) {
        if (const Reading state = Read(f_.field, i); state != Reading::kDone) return state;
      }
    }
    if (out_ != nullptr) out_->Put("}");
    arguments_ = true;
    return Reading::kDone;
  }
  void PutKey() {
    if (!first_) out_->Put(", ");
    out_->PutText(key_);
    out_->Put(": ");
  }
  Reading FieldValue() {
    size_t end = at_;
    Reading state = ReadValue(in_, &end, f_, false, nullptr);
    if (const char quote = at_ < in_.size() ? in_[at_] : ' '; quote == '"' || quote == '\'') {
      // Some write texts between quotes as they are, quotes and all: one ends where a call goes on behind it.
      if (state == Reading::kDone) state = GoesOn(in_.substr(end));
      if (state == Reading::kBad) return TextAsItIs(quote);
    }
    if (state != Reading::kDone) return state == Reading::kBad ? Bad("a value that is no JSON") : state;
    if (out_ != nullptr) {
      PutKey();
      ReadValue(in_, &at_, f_, false, out_);
    }
    at_ = end;
    return state;
  }
  Reading TextAsItIs(char quote) {
    for (size_t end = in_.find(quote, at_ + 1); end != in_.npos; end = in_.find(quote, end + 1)) {
      const Reading state = GoesOn(in_.substr(end + 1));
      if (state == Reading::kMore) return state;
      if (state == Reading::kBad) continue;
      if (out_ != nullptr) {
        PutKey();
        out_->PutText(in_.substr(at_ + 1, end - at_ - 1));
      }
      at_ = end + 1;
      return Reading::kDone;
    }
    return last_ ? Bad("a text that does not end") : Reading::kMore;
  }
  Reading Raw(const AnswerParts& parts, size_t i) {
    const std::string_view behind = parts.parts[i + 1].text;
    const bool final = i + 2 == parts.count;
    for (size_t end = at_; end < in_.size(); ++end) {
      size_t bytes = 0;
      if (in_[end] != Core(behind)[0]) continue;
      Reading state = Match(Core(behind), in_.substr(end), &bytes);
      // A value may hold the text that closes it: what follows decides.
      if (state == Reading::kDone && final) state = GoesOn(in_.substr(end + bytes));
      if (state == Reading::kMore) return state;
      if (state == Reading::kBad) continue;
      std::string_view value = in_.substr(at_, end - at_);
      std::string_view space = behind.substr(0, Spaces(behind));
      for (; !space.empty() && !value.empty() && value.back() == space.back(); space.remove_suffix(1)) value.remove_suffix(1);
      at_ = end;
      if (out_ != nullptr) PutRaw(value);
      return Reading::kDone;
    }
    return Reading::kMore;
  }
  // A text, or the value itself? The rule is in answer.h.
  void PutRaw(std::string_view value) {
    PutKey();
    if (!f_.raw_open.empty() && value.size() >= f_.raw_open.size() + f_.raw_close.size() && StartsWith(value, f_.raw_open) &&
        value.substr(value.size() - f_.raw_close.size()) == f_.raw_close) {
      value.remove_prefix(f_.raw_open.size());
      value.remove_suffix(f_.raw_close.size());
      return out_->PutText(value);
    }
    const bool text = type_.data() != nullptr && !f_.text_type.empty() ? type_ == f_.text_type : SchemaSaysText(tools_, name_, key_);
    const size_t spaces = Spaces(value);
    if (!text && spaces < value.size() && value[spaces] != '"' && value[spaces] != '\'') {
      size_t at = 0;
      if (ReadValue(value, &at, f_, true, nullptr) == Reading::kDone && at + Spaces(value, at) == value.size()) {
        at = 0;
        ReadValue(value, &at, f_, true, out_);
        return;
      }
    }
    out_->PutText(value);
  }

  const AnswerFormat& f_;
  std::string_view in_;
  size_t at_ = 0;
  bool last_, arguments_ = false, first_ = true;
  const Value* tools_;
  JsonOut* out_;
  std::string_view name_, id_, key_, type_;
  const char* why_ = "a tool call that ends too early";
};

const Value* MemberOf(const Value* dict, std::string_view name) {
  if (dict == nullptr || !dict->is(Kind::kDict)) return nullptr;
  for (uint32_t i = 0; i < dict->size; ++i) {
    if (dict->members[i].key.is(Kind::kText) && dict->members[i].key.str() == name) return &dict->members[i].value;
  }
  return nullptr;
}

}  // namespace

Reading Match(std::string_view text, std::string_view in, size_t* bytes) {
  size_t at = 0;
  for (size_t i = 0; i < text.size();) {
    if (IsSpace(text[i])) {
      i += Spaces(text, i);
      at += Spaces(in, at);
      continue;
    }
    if (at == in.size()) return Reading::kMore;
    if (text[i++] != in[at++]) return Reading::kBad;
  }
  *bytes = at;
  return Reading::kDone;
}

CallReading ReadCall(const AnswerFormat& format, std::string_view in, bool last, const Value* tools, const AnswerSink* sink) {
  CallReader first(format, in, last, tools, nullptr);
  const Reading state = first.Run();
  if (state != Reading::kDone) return {state, 0, first.why()};
  if (sink != nullptr) {
    sink->put(sink->user, {.kind = AnswerEvent::Kind::kCall, .text = first.name(), .id = first.id()});
    JsonOut out(*sink);
    CallReader second(format, in, last, tools, &out);
    (void)second.Run();
    out.Flush();
    sink->put(sink->user, {.kind = AnswerEvent::Kind::kCallEnd, .text = {}, .id = {}});
  }
  return {state, first.at(), ""};
}

bool SchemaSaysText(const Value* tools, std::string_view tool, std::string_view parameter) {
  if (tools == nullptr || !tools->is(Kind::kList)) return false;
  for (uint32_t i = 0; i < tools->size; ++i) {
    const Value* function = MemberOf(&tools->items[i], "function");
    if (function == nullptr) function = &tools->items[i];
    const Value* name = MemberOf(function, "name");
    if (name == nullptr || !name->is(Kind::kText) || name->str() != tool) continue;
    const Value* type = MemberOf(MemberOf(MemberOf(MemberOf(function, "parameters"), "properties"), parameter), "type");
    return type != nullptr && type->is(Kind::kText) && type->str() == "string";
  }
  return false;
}

}  // namespace thimble::chat
