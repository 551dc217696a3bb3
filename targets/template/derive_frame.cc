// Where answers begin and end, and the reasoning in them.
#include <algorithm>
#include <set>

#include "targets/template/derive_steps.h"
#include "targets/template/text_cuts.h"

namespace thimble::chat {
namespace {

using std::string;
using std::string_view;

bool StartsWith(string_view s, string_view with) { return s.substr(0, with.size()) == with; }
bool EndsWith(string_view s, string_view with) { return s.size() >= with.size() && s.substr(s.size() - with.size()) == with; }

string_view LeftTrimmed(string_view s) {
  const string_view trimmed = Trimmed(s);
  return trimmed.empty() ? trimmed : s.substr(static_cast<size_t>(trimmed.data() - s.data()));
}

// The tags in the texts of a program.
std::vector<string> TagsOf(const Program& program) {
  const string_view pool(program.pool, static_cast<size_t>(reinterpret_cast<const char*>(program.body) - program.pool));
  std::set<string> tags;
  for (size_t i = 0; i < pool.size(); ++i) {
    if (pool[i] != '<' && pool[i] != '[') continue;
    const size_t end = pool.find(pool[i] == '<' ? '>' : ']', i);
    if (end == pool.npos || end - i < 3 || end - i > 40) continue;
    tags.emplace(pool.substr(i, end + 1 - i));
  }
  return {tags.begin(), tags.end()};
}

// "</x>" of "<x>"; empty where it is no such tag.
string Closing(string_view open) {
  const std::vector<string_view> cuts = Cuts(Trimmed(open));
  if (cuts.size() != 1 || !IsTagCut(cuts[0])) return {};
  return string(1, open[0]) + "/" + string(cuts[0].substr(1));
}

struct Reasoned {
  string before, behind;  // around the reasoning: from where the answer begins, up to its text
  string after;           // the text
};

// A conversation that has the reasoning in the rendered text, from a field of the message or a part of its content.
bool FindReasoning(const Derivation& d, Reasoned* found) {
  const Json parts = Json::Array({Json{{"type", "thinking"}, {"thinking", Prober::kReason}}, Json{{"type", "text"}, {"text", Prober::kAnswer}}});
  const Json calling = Prober::WithReason(Prober::Calls({Prober::Call(Prober::kTool, {{Prober::kKey, Prober::kValue}}, Prober::kId, {})}, {}));
  const std::pair<Json, const char*> answers[] = {
      {Prober::Reasoned(Prober::kAnswer), Prober::kAnswer}, {Prober::Answer(parts), Prober::kAnswer}, {calling, Prober::kTool}};
  for (const auto& [answer, behind] : answers) {
    for (Json more : Ways()) {
      if (&answer == &answers[2].first) more.Update(Prober::Tools());
      const std::optional<string> text = d.Answered(answer, more);
      if (!text) continue;
      const size_t reason = text->find(Prober::kReason);
      size_t place = text->find(behind);
      // Where the id says the name there is none: its arguments are behind the reasoning all the same.
      if (&answer == &answers[2].first && place == text->npos) place = text->find(Prober::kValue);
      if (reason == text->npos || place == text->npos || place < reason) continue;
      if (text->find("'type'") != text->npos || text->find("\"type\"") != text->npos) continue;  // a list that is printed as one
      found->before = text->substr(0, reason);
      const size_t begin = reason + string_view(Prober::kReason).size();
      found->behind = text->substr(begin, place - begin);
      found->after = text->substr(place + string_view(behind).size());
      // Of a call only what certainly stands in front of it.
      if (&answer == &answers[2].first) {
        const std::vector<string_view> cuts = Cuts(Trimmed(found->behind));
        if (cuts.empty()) continue;
        found->behind = string(cuts[0]);
      }
      return true;
    }
  }
  return false;
}

string_view WithTag(string_view start, string_view text, string_view open) {
  // <|close|>think of <|open|>think<|sep|> goes on with the same <|sep|>.
  const std::vector<string_view> of_open = Cuts(open);
  if (of_open.size() < 2 || !IsTagCut(of_open.back())) return start;
  const size_t place = text.find(start) + start.size();
  return StartsWith(text.substr(place), of_open.back()) ? text.substr(text.find(start), start.size() + of_open.back().size()) : start;
}

void FromFields(Derivation& d, const Reasoned& found, string_view answer_start, string_view around) {
  AnswerDraft& draft = d.draft;
  string_view common = CommonStart(Trimmed(found.before), answer_start);
  for (const string& open : d.opens) common = CommonStart(common, open);
  string_view open = Trimmed(Trimmed(found.before).substr(common.size()));
  // Only a prompt may open it: with words that answers do not repeat.
  for (const string& prompt : d.opens) {
    const string_view rest = Trimmed(Without(prompt, found.before));
    if (open.empty() && rest.size() < Trimmed(prompt).size() && !rest.empty() && CommonStart(rest, Trimmed(found.behind)).empty()) open = rest;
  }
  if (open.empty() || (!IsTagCut(Cuts(open)[0]) && found.before.rfind(open) != string::npos)) {
    const string_view end = UniqueEnd(Trimmed(found.before), string(around) + found.behind);
    // All of it is more than what opens the reasoning, where answers begin alike.
    if (!end.empty() && (end.size() < Trimmed(found.before).size() || common.empty())) open = end;
  }
  draft.reasoning_open = open;
  draft.lead = found.before.substr(0, found.before.rfind(open));  // all of it where that is not there
  string_view rest = answer_start;
  if (StartsWith(rest, Trimmed(draft.lead))) rest.remove_prefix(std::min(rest.size(), draft.lead.size()));
  rest = Trimmed(Without(rest, open));
  const string_view behind = Trimmed(found.behind);
  if (!rest.empty() && rest == behind) {
    const string_view close = WithTag(UniqueStart(behind, string(around) + found.before + found.after), behind, open);
    draft.reasoning_close = close;
    draft.text_open = Trimmed(behind.substr(close.size()));
    return;
  }
  string_view close = behind;
  if (!rest.empty() && EndsWith(behind, rest)) {
    close = Trimmed(behind.substr(0, behind.size() - rest.size()));
    if (const string_view lead = Trimmed(draft.lead); EndsWith(close, lead)) close = Trimmed(close.substr(0, close.size() - lead.size()));
  }
  draft.reasoning_close = close;
  draft.text_open = Trimmed(Without(rest, close));
}

// The template takes reasoning out of old answers, or opens it in the prompt.
void FromTexts(Derivation& d, const Program& program, string_view answer_start) {
  AnswerDraft& draft = d.draft;
  string_view lead = answer_start;
  for (const string& open : d.opens) lead = CommonStart(lead, open);
  // Reasoning that every answer opens, if only to close it at once, is no part of what is in front of it.
  if (const std::vector<string_view> cuts = Cuts(Trimmed(lead)); !cuts.empty()) {
    const string close = Closing(cuts.back());
    if (!close.empty() && StartsWith(LeftTrimmed(answer_start.substr(lead.size())), close)) lead = lead.substr(0, lead.rfind(cuts.back()));
  }
  draft.lead = lead;
  string_view opened;
  for (const string& open : d.opens) {
    const string_view rest = Trimmed(string_view(open).substr(lead.size()));
    if (!rest.empty() && (opened.empty() || rest.size() < opened.size())) opened = rest;
  }
  // What is cut out of an old answer, up to a tag: with what stands in front of it where a prompt writes both.
  for (const string& tag : TagsOf(program)) {
    const size_t place = opened.find(tag);
    const string open(place == opened.npos ? string_view() : Trimmed(opened.substr(0, place)));
    const string content = open + Prober::kReason + tag + Prober::kAnswer;
    const std::optional<string> text = d.probe->Render(Json::Array({Prober::User(Prober::kAsk), Prober::Answer(content), Prober::User(Prober::kAskMore)}), false);
    if (!text || text->find(Prober::kReason) != text->npos || text->find(Prober::kAnswer) == text->npos) continue;
    draft.reasoning_close = tag;
    if (!open.empty()) opened = opened.substr(0, opened.find(open) + open.size());
    break;
  }
  // Reasoning switched off is an empty one in the prompt.
  if (const std::vector<string_view> cuts = Cuts(opened); draft.reasoning_close.empty() && cuts.size() > 1 && cuts.size() < 8 && IsTagCut(cuts[0]) && IsTagCut(cuts.back())) {
    draft.reasoning_close = cuts.back();
    opened = Trimmed(opened.substr(0, opened.size() - cuts.back().size()));
  }
  if (!opened.empty()) {
    draft.reasoning_open = opened;
    if (draft.reasoning_close.empty()) draft.reasoning_close = Closing(opened);
  } else if (const string& close = draft.reasoning_close; close.size() > 3 && close[1] == '/') {
    draft.reasoning_open = close.substr(0, 1) + close.substr(2);
  }
  if (draft.reasoning_open.empty() || draft.reasoning_close.empty()) {
    draft.reasoning_open.clear();
    draft.reasoning_close.clear();
  }
  draft.text_open = Trimmed(Without(Without(answer_start.substr(lead.size()), draft.reasoning_open), draft.reasoning_close));
}

void DeriveEnd(Derivation& d, string_view behind) {
  AnswerDraft& draft = d.draft;
  const string eos = d.probe->eos();
  string_view close, end;
  const std::vector<string_view> cuts = Cuts(behind);
  const auto last = std::find_if(cuts.rbegin(), cuts.rend(), IsTagCut);
  const auto first = std::find_if(cuts.begin(), cuts.end(), IsTagCut);
  if (draft.text_open.empty() && first != cuts.end()) {
    // What stands behind it may end the conversation.
    end = *first;
  } else if (const size_t place = eos.empty() ? behind.npos : behind.find(eos); place != behind.npos) {
    end = behind.substr(place, eos.size());
  } else if (last != cuts.rend()) {
    end = *last;
  }
  if (!end.empty()) close = behind.substr(0, static_cast<size_t>(end.data() - behind.data()));
  d.own_end = !end.empty();
  // A text that is closed before calls follow too: what comes behind that ends the turn.
  for (const CallShape shape : {CallShape{}, CallShape{CallShape::Content::kEmpty, true}}) {
    const Json call = Prober::Call(Prober::kTool, {{Prober::kKey, Prober::kValue}}, Prober::kId, shape);
    const std::optional<string> text = d.Answered(Prober::Calls({call}, shape, Prober::kAnswer), Prober::Tools());
    if (!text || close.empty()) continue;
    const string_view common = CommonStart(Trimmed(behind), Trimmed(Behind(*text, Prober::kAnswer)));
    if (common.empty() || common.size() >= Trimmed(close).size()) continue;
    end = behind.substr(behind.find(common) + common.size(), static_cast<size_t>(end.data() + end.size() - behind.data()) - behind.find(common) - common.size());
    close = common;
    break;
  }
  if (end.empty()) {
    // The next turn's beginning, where that is a token.
    const std::optional<string> text =
        d.probe->Render(Json::Array({Prober::User(Prober::kAsk), Prober::Answer(Prober::kAnswer), Prober::User(Prober::kAskMore)}), false);
    if (text) {
      const string_view next = Trimmed(Behind(*text, Prober::kAnswer)), common = Trimmed(CommonStart(Trimmed(behind), next));
      const std::vector<string_view> of_next = Cuts(Trimmed(next.substr(0, next.find(Prober::kAskMore))));
      if (!common.empty()) draft.ends.emplace_back(common);
      else if (!of_next.empty() && IsTagCut(of_next[0])) draft.ends.emplace_back(of_next[0]);
    }
    return;
  }
  draft.text_close = Trimmed(close);
  draft.ends.emplace_back(Trimmed(end));
}

}  // namespace

std::optional<string> Derivation::Answered(const Json& answer, const Json& more) const {
  const std::optional<string> text = probe->Render(Json::Array({Prober::User(Prober::kAsk), answer}), false, more);
  if (!text || text->find(Prober::kAsk) == text->npos) return std::nullopt;
  string_view behind = Behind(*text, Prober::kAsk);
  if (StartsWith(behind, user_end)) behind.remove_prefix(user_end.size());
  if (!always.empty() && EndsWith(behind, always)) behind.remove_suffix(always.size());
  return string(behind);
}

bool DeriveFrame(Derivation& d, const Program& program) {
  const Json ask = Json::Array({Prober::User(Prober::kAsk)});
  const std::optional<string> asked = d.probe->Render(ask, false), answered = d.probe->Render(Json::Array({Prober::User(Prober::kAsk), Prober::Answer(Prober::kAnswer)}), false);
  if (!asked || !answered || Behind(*answered, Prober::kAsk).find(Prober::kAnswer) == string_view::npos) return false;
  const string_view bare = Behind(*asked, Prober::kAsk), with = Behind(*answered, Prober::kAsk);
  std::vector<string> prompts;
  for (const Json& more : Ways()) {
    if (const std::optional<string> prompt = d.probe->Render(ask, true, more)) prompts.emplace_back(Behind(*prompt, Prober::kAsk));
  }
  const bool honoured = !prompts.empty() && prompts[0] != bare;
  if (StartsWith(with, bare)) {
    d.user_end = bare;
  } else if (honoured) {
    d.user_end = CommonStart(bare, with);
  } else if (const size_t place = d.probe->eos().empty() ? bare.npos : bare.find(d.probe->eos()); place != bare.npos) {
    d.user_end = bare.substr(0, place + d.probe->eos().size());
  }
  for (const string& prompt : prompts) {
    string_view open = StartsWith(prompt, d.user_end) ? string_view(prompt).substr(d.user_end.size()) : string_view();
    open.remove_prefix(open.size() - LeftTrimmed(open).size());
    // A switch that is written into the question says nothing.
    if (open.empty() || (!d.opens.empty() && CommonStart(open, d.opens[0]).empty())) continue;
    d.opens.emplace_back(open);
  }
  if (!honoured && !StartsWith(with, bare)) d.always = bare.substr(d.user_end.size());
  const string region = *d.Answered(Prober::Answer(Prober::kAnswer));
  const string_view start = string_view(region).substr(0, region.find(Prober::kAnswer));
  Reasoned found;
  const size_t place = asked->rfind(Prober::kAsk);
  if (FindReasoning(d, &found)) FromFields(d, found, LeftTrimmed(start), string_view(*asked).substr(place > 200 ? place - 200 : 0));
  else FromTexts(d, program, LeftTrimmed(start));
  DeriveEnd(d, string_view(region).substr(start.size() + string_view(Prober::kAnswer).size()));
  return true;
}

}  // namespace thimble::chat
