// How tool calls are written: as an object, as a name and an object, or as a name and fields.
#include <algorithm>

#include "runtime/template/answer_call.h"
#include "targets/template/derive_steps.h"
#include "targets/template/text_cuts.h"

namespace thimble::chat {
namespace {

using std::string;
using std::string_view;
using DraftPart = AnswerDraft::DraftPart;

constexpr const char* kWhole = "73519";

Json Word(const char* key, const char* value) { return Json{{key, value}}; }
size_t Behind(string_view text, size_t place, string_view what) { return text.find(what, place) + what.size(); }

// The value at text[at], and `at` behind it.
std::optional<Json> Value(string_view text, size_t* at, const AnswerDraft& draft) {
  AnswerFormat format;
  format.python = draft.python;
  format.quote = draft.quote;
  string json;
  const AnswerSink sink = {&json, [](void* user, const AnswerEvent& event) { *static_cast<string*>(user) += event.text; }};
  JsonOut out(sink);
  if (ReadValue(text, at, format, true, &out) != Reading::kDone) return std::nullopt;
  out.Flush();
  try {
    return ParseJson(json);
  } catch (const JsonError&) {
    return std::nullopt;
  }
}

class CallDeriver {
 public:
  CallDeriver(Derivation& d, CallShape* shape) : d_(d), draft_(d.draft), shape_(*shape) {}

  string Run() {
    if (!FindShape()) return "the template writes no tool calls";
    two_ = Two();
    const std::optional<string> python = Written(Json{{Prober::kKey, true}, {Prober::kKey2, Json::Array({"x", nullptr, true})}});
    if (python) {
      const string_view behind = string_view(*python).substr(python->find(Prober::kTool));
      draft_.python = behind.find("True") != behind.npos || behind.find("None") != behind.npos;
    }
    name_ = LastName(one_, 0, Prober::kTool);
    if (!Object() && !NameAndValue() && !NameAndFields()) return "how a tool call is written is not understood";
    return Around();
  }

 private:
  struct Site {
    size_t begin, end;  // from a call's name or object to the end of its arguments
  };

  // Where a name stands twice in front of the arguments, as in "to=NAME<call name=NAME>", the later one counts.
  static size_t LastName(string_view text, size_t from, const char* name) {
    const size_t first = text.find(name, from), key = text.find(Prober::kKey, first), last = text.substr(0, key).rfind(name);
    return first == text.npos || key == text.npos ? first : last;
  }

  std::optional<string> Written(const Json& arguments) const {
    const std::optional<string> text = d_.Answered(Prober::Calls({Prober::Call(Prober::kTool, arguments, Prober::kId, shape_)}, shape_), shape_.Tools());
    if (!text || text->find(Prober::kTool) == text->npos) return std::nullopt;
    return text;
  }
  bool FindShape() {
    for (int way = 0; way < 8; ++way) {
      for (const CallShape::Content content : {CallShape::Content::kEmpty, CallShape::Content::kMissing, CallShape::Content::kNull}) {
        shape_ = {content, (way & 1) != 0, (way & 2) == 0, (way & 4) != 0};
        const std::optional<string> text = Written(Word(Prober::kKey, Prober::kValue));
        if (!text || text->find(Prober::kValue) == text->npos) continue;
        one_ = *text;
        return true;
      }
    }
    return false;
  }
  // Empty where a template writes one call only. Ids are made alike: they do not tell one call from the next.
  string Two() const {
    const Json call = Prober::Call(Prober::kTool, Word(Prober::kKey, Prober::kValue), Prober::kId, shape_);
    const Json next = Prober::Call(Prober::kTool2, Word(Prober::kKey, Prober::kValue2), Prober::kId2, shape_);
    std::optional<string> text = d_.Answered(Prober::Calls({call, next}, shape_), shape_.Tools());
    if (!text || text->find(Prober::kTool2) == text->npos || text->find(Prober::kValue2) == text->npos) return {};
    for (size_t at; (at = text->find(Prober::kId2)) != text->npos;) text->replace(at, string_view(Prober::kId2).size(), Prober::kId);
    return *text;
  }

  // A call that is an object: the outermost one with the name and the arguments in it.
  std::optional<Site> ObjectAt(string_view text, size_t from, const char* name, const Json& arguments) {
    for (size_t begin = text.find('{', from); begin != text.npos; begin = text.find('{', begin + 1)) {
      size_t end = begin;
      const std::optional<Json> object = Value(text, &end, draft_);
      if (object && Keys(*object, name, arguments, 0)) return Site{begin, end};
    }
    return std::nullopt;
  }
  bool Keys(const Json& object, const char* name, const Json& arguments, int depth) {
    if (!object.is_object()) return false;
    string name_key, arguments_key;
    for (const Json::Member& m : object.members()) {
      if (m.value == Json(name)) name_key = m.key;
      else if (m.value == arguments) arguments_key = m.key;
      else if (m.value == Json(Prober::kId)) draft_.id_key = m.key;
      else if (m.value.is_object() && depth == 0 && Keys(m.value, name, arguments, 1)) return true;
    }
    if (name_key.empty() || arguments_key.empty()) return false;
    draft_.name_key = name_key;
    draft_.arguments_key = arguments_key;
    return true;
  }
  bool Object() {
    const std::optional<Site> site = ObjectAt(one_, 0, Prober::kTool, Word(Prober::kKey, Prober::kValue));
    if (!site || site->begin > name_) return false;
    site_ = *site;
    parts_ = {{Part::kObject}};
    if (two_.empty()) return true;
    const std::optional<Site> first = ObjectAt(two_, 0, Prober::kTool, Word(Prober::kKey, Prober::kValue));
    const std::optional<Site> second = first ? ObjectAt(two_, first->end, Prober::kTool2, Word(Prober::kKey, Prober::kValue2)) : std::nullopt;
    if (!second) return two_.clear(), true;
    // An id that looks like one, though not as the conversation has it.
    if (draft_.id_key.empty()) {
      size_t end = second->begin;
      const std::optional<Json> object = Value(two_, &end, draft_);
      for (const Json::Member& m : object->members()) {
        if (m.key.find("id") != m.key.npos && m.key != draft_.name_key && m.key != draft_.arguments_key && !m.value.is_object()) draft_.id_key = m.key;
      }
    }
    first_ = *first;
    second_ = *second;
    return true;
  }

  std::optional<Site> ValueAt(string_view text, size_t name, string_view called, const Json& arguments, string_view* between) {
    const size_t behind = name + called.size(), begin = text.find('{', behind), key = text.find(Prober::kKey, behind);
    if (begin == text.npos || key < begin) return std::nullopt;
    *between = text.substr(behind, begin - behind);
    size_t end = begin;
    if (const std::optional<Json> value = Value(text, &end, draft_); value && *value == arguments) return Site{name, end};
    // Between quotes of its own?
    const size_t colon = key + string_view(Prober::kKey).size(), word = text.find("ZqValue", key);
    if (!draft_.quote.empty() || text[colon] != ':' || word == text.npos) return std::nullopt;
    draft_.quote = Trimmed(text.substr(colon + 1, word - colon - 1));
    end = begin;
    if (const std::optional<Json> value = Value(text, &end, draft_); value && *value == arguments) return Site{name, end};
    draft_.quote.clear();
    return std::nullopt;
  }
  bool NameAndValue() {
    string_view between, next;
    const std::optional<Site> site = ValueAt(one_, name_, Prober::kTool, Word(Prober::kKey, Prober::kValue), &between);
    if (!site) return false;
    site_ = *site;
    if (!two_.empty()) {
      const std::optional<Site> first = ValueAt(two_, LastName(two_, 0, Prober::kTool), Prober::kTool, Word(Prober::kKey, Prober::kValue), &between);
      const std::optional<Site> second = ValueAt(two_, LastName(two_, two_.find(Prober::kTool2), Prober::kTool2), Prober::kTool2, Word(Prober::kKey, Prober::kValue2), &next);
      if (!first || !second) return false;
      first_ = *first;
      second_ = *second;
    }
    parts_ = {{Part::kName}};
    Pieces(between, two_.empty() ? between : next);
    parts_.push_back({Part::kValue});
    return true;
  }

  // A text with an id in it, or with something that changes from call to call.
  void Pieces(string_view text, string_view next) {
    const auto add = [&](string_view piece) {
      if (!piece.empty()) parts_.push_back({Part::kText, string(piece)});
    };
    string_view start = text, end;
    Part slot = Part::kText;
    if (const size_t id = text.find(Prober::kId); id != text.npos) {
      slot = Part::kId;
      start = text.substr(0, id);
      end = text.substr(Behind(text, id, Prober::kId));
    } else if (const size_t name = text.find(Prober::kTool); name != text.npos) {
      slot = Part::kAny;
      start = text.substr(0, name);
      end = text.substr(Behind(text, name, Prober::kTool));
    } else if (text != next) {
      slot = Part::kAny;
      start = CommonStart(text, next);
      end = CommonEnd(text.substr(start.size()), next.substr(std::min(next.size(), start.size())));
    }
    add(start);
    if (slot == Part::kText) return;
    parts_.push_back({slot});
    add(end);
  }

  bool NameAndFields() {
    const std::optional<string> both = Written(Json{{Prober::kKey, Prober::kValue}, {Prober::kKey2, Prober::kValue2}});
    if (!both) return false;
    const size_t behind_name = name_ + string_view(Prober::kTool).size(), key = one_.find(Prober::kKey, behind_name), value = one_.find(Prober::kValue, behind_name);
    if (key == one_.npos || value < key) return false;
    string_view before = string_view(one_).substr(behind_name, key - behind_name);
    const size_t value2 = both->find(Prober::kValue2), key2 = both->find(Prober::kKey2), first_value = Behind(*both, 0, Prober::kValue);
    if (value2 == both->npos || key2 == both->npos || key2 < first_value) return false;
    const string_view between = string_view(*both).substr(first_value, key2 - first_value), tail = string_view(*both).substr(Behind(*both, 0, Prober::kValue2));
    const string_view behind_key = string_view(one_).substr(Behind(one_, key, Prober::kKey), value - Behind(one_, key, Prober::kKey));
    string close(CommonStart(between, tail));
    string_view open = between.substr(close.size());
    if (const string_view trimmed = Trimmed(open); !trimmed.empty() && Trimmed(before).size() >= trimmed.size() && before.rfind(trimmed) != before.npos &&
                                                   Trimmed(before.substr(before.rfind(trimmed))) == trimmed) {
      before = before.substr(0, before.rfind(trimmed));
      open = open.substr(open.find(trimmed));
    } else {
      draft_.fields_between = open;
      open = {};
    }
    draft_.field.clear();
    if (!Trimmed(open).empty()) draft_.field.push_back({Part::kText, string(open)});
    draft_.field.push_back({Part::kKey});
    const size_t closed = BehindKey(behind_key, &close);
    if (!close.empty()) draft_.field.push_back({Part::kText, close});
    site_ = {name_, Behind(one_, value, Prober::kValue) + closed};
    string_view next = before;
    if (!two_.empty()) {
      const size_t name2 = LastName(two_, two_.find(Prober::kTool2), Prober::kTool2), behind_name2 = name2 + string_view(Prober::kTool2).size();
      first_ = {LastName(two_, 0, Prober::kTool), Behind(two_, 0, Prober::kValue) + closed};
      second_ = {name2, Behind(two_, 0, Prober::kValue2) + closed};
      next = string_view(two_).substr(behind_name2, two_.find(Prober::kKey, behind_name2) - behind_name2);
      if (!Trimmed(open).empty()) next = next.substr(0, next.rfind(Trimmed(open)));
    }
    parts_ = {{Part::kName}};
    if (!Trimmed(before).empty()) Pieces(before, next);
    parts_.push_back({Part::kFields});
    return true;
  }
  // Between a key and its value, and how the value is written. Returns the bytes that close a text.
  size_t BehindKey(string_view of_text, string* close) {
    const size_t bytes = close->size();
    const std::optional<string> whole = Written(Json{{Prober::kKey, 73519}});
    const size_t value = whole ? whole->find(kWhole) : string::npos;
    string_view of_number = of_text;
    if (value != string::npos) {
      const size_t begin = Behind(*whole, whole->find(Prober::kTool), Prober::kKey);
      if (begin <= value) of_number = string_view(*whole).substr(begin, value - begin);
    }
    const auto add = [&](string_view text) {
      if (!text.empty()) draft_.field.push_back({Part::kText, string(text)});
    };
    // A text with markup in it may be wrapped.
    if (const std::optional<string> markup = Written(Word(Prober::kKey, "Zq<b>&Zq\n")); markup) {
      const size_t begin = Behind(*markup, markup->find(Prober::kTool), Prober::kKey) + of_text.size(), word = markup->find("Zq<b>&Zq\n", begin);
      const size_t end = word == string::npos ? word : markup->find(*close, word);
      if (end != string::npos && word > begin) {
        draft_.raw_open = string_view(*markup).substr(begin, word - begin);
        draft_.raw_close = Trimmed(string_view(*markup).substr(word + 9, end - word - 9));
      }
    }
    if (of_number == of_text) {
      add(of_text);
      draft_.field.push_back({Part::kRaw});
      return bytes;
    }
    // Texts in quotes: every value says itself where it ends.
    if (of_text.size() == of_number.size() + 1 && of_text.substr(0, of_number.size()) == of_number && close->substr(0, 1) == of_text.substr(of_number.size())) {
      add(of_number);
      draft_.field.push_back({Part::kValue});
      *close = close->substr(1);
      return bytes;
    }
    const string_view start = CommonStart(of_text, of_number), rest = of_text.substr(start.size());
    const string_view end = CommonEnd(rest, of_number.substr(start.size()));
    draft_.text_type = rest.substr(0, rest.size() - end.size());
    add(start);
    draft_.field.push_back({Part::kType});
    add(end);
    draft_.field.push_back({Part::kRaw});
    return bytes;
  }

  // What stands behind a call, without the end of the turn.
  string_view WithoutEnd(string_view tail, string_view between_calls) {
    for (const string& end : draft_.ends) {
      if (const size_t place = tail.find(end); place != tail.npos) return tail.substr(0, place);
    }
    const std::vector<string_view> cuts = Cuts(Trimmed(tail));
    if (d_.own_end && !cuts.empty() && IsTagCut(cuts.back()) && between_calls.find(cuts.back()) == between_calls.npos) {
      draft_.ends.emplace_back(cuts.back());
      return tail.substr(0, tail.rfind(cuts.back()));
    }
    return tail;
  }

  string Around() {
    string again;  // what stands between two calls, with the first one's name for the second's
    string_view full = string_view(one_).substr(0, site_.begin), head = Without(full, draft_.lead);
    // Reasoning and text that are there, but empty.
    for (const string* text : {&draft_.reasoning_open, &draft_.reasoning_close, &draft_.text_open, &draft_.text_close}) head = Without(head, *text);
    string_view tail = string_view(one_).substr(site_.end), open = head, close;
    if (two_.empty()) {
      close = WithoutEnd(tail, "");
    } else {
      again = two_.substr(first_.end, second_.begin - first_.end);
      if (const size_t name = again.find(Prober::kTool2); name != string::npos) again.replace(name, string_view(Prober::kTool2).size(), Prober::kTool);
      const string_view between = again;
      const string_view all = tail = WithoutEnd(string_view(two_).substr(second_.end), between);
      close = CommonStart(between, all);
      const string_view rest = between.substr(close.size());
      const string_view next = CommonEnd(rest, full);
      open = next.substr(next.find(Trimmed(next)));
      draft_.calls_between = Trimmed(rest.substr(0, rest.size() - next.size()));
      draft_.calls_close = Trimmed(all.substr(close.size()));
      if (const string_view lead = Trimmed(draft_.lead); open.size() > head.size() && !lead.empty() && !Trimmed(head).empty() && Trimmed(open.substr(0, open.size() - head.size())) == lead) {
        // Every call is an answer of its own: in front of the next one stands what is in front of all of them.
        open = head;
        draft_.calls_between = Trimmed(rest.substr(0, rest.size() - head.size()));
      } else if (open.size() > head.size()) {
        // The lead opens a call already: it is shorter.
        const string_view taken = open.substr(0, open.size() - head.size());
        if (const size_t place = draft_.lead.rfind(taken); !Trimmed(taken).empty() && place != draft_.lead.npos && place + taken.size() == draft_.lead.size()) {
          draft_.lead.resize(place);
          if (!draft_.text_open.empty()) draft_.text_open.insert(0, taken);
        }
      } else {
        draft_.calls_open = Trimmed(head.substr(0, head.size() - open.size()));
      }
    }
    std::vector<DraftPart> inner;
    inner.swap(parts_);
    if (!Trimmed(open).empty()) Pieces(open, open);
    parts_.insert(parts_.end(), inner.begin(), inner.end());
    if (!Trimmed(close).empty()) Pieces(close, close);
    draft_.call = parts_;
    if (draft_.call[0].part != Part::kObject && draft_.call[0].part != Part::kText && draft_.calls_open.empty()) return "nothing marks where a tool call begins";
    EndBehindCalls();
    return {};
  }
  // Where a turn ends with the next one's beginning, a call's end may be another.
  void EndBehindCalls() {
    if (d_.own_end) return;
    const Json call = Prober::Call(Prober::kTool, Word(Prober::kKey, Prober::kValue), Prober::kId, shape_);
    const Json result = {{"role", "tool"}, {"tool_call_id", Prober::kId}, {"name", Prober::kTool}, {"content", Prober::kAnswer}};
    const std::optional<string> text = d_.probe->Render(Json::Array({Prober::User(Prober::kAsk), Prober::Calls({call}, shape_), result}), false, shape_.Tools());
    const size_t answer = text ? text->rfind(Prober::kAnswer) : string::npos, value = text ? text->rfind(Prober::kValue) : string::npos;
    if (answer == string::npos || value > answer) return;
    const string_view tail = Trimmed(string_view(one_).substr(site_.end));
    for (const string& end : draft_.ends) {
      if (tail.find(end) != tail.npos) return;
    }
    const string_view behind = string_view(*text).substr(value, answer - value);
    const size_t place = behind.find(tail);
    if (place == behind.npos) return;
    const std::vector<string_view> cuts = Cuts(Trimmed(behind.substr(place + tail.size())));
    if (cuts.empty() || !IsTagCut(cuts[0])) return;
    if (std::find(draft_.ends.begin(), draft_.ends.end(), cuts[0]) == draft_.ends.end()) draft_.ends.emplace_back(cuts[0]);
  }

  Derivation& d_;
  AnswerDraft& draft_;
  CallShape& shape_;
  string one_, two_;
  size_t name_ = 0;
  Site site_ = {}, first_ = {}, second_ = {};
  std::vector<DraftPart> parts_;
};

}  // namespace

string DeriveCalls(Derivation& d, CallShape* shape) { return CallDeriver(d, shape).Run(); }

}  // namespace thimble::chat
