// A derivation read back: what a template writes of an answer has to be read as that answer.
#include <algorithm>

#include "targets/template/derive_steps.h"
#include "targets/template/json_values.h"
#include "targets/template/read_answer.h"
#include "targets/template/text_cuts.h"

namespace thimble::chat {
namespace {

using std::string;
using std::string_view;

struct Tried {
  const char* what;
  Json answer;
  std::vector<ReadCallText> calls;
};

std::vector<Tried> Conversations(const CallShape& shape, bool calls, bool with_text) {
  std::vector<Tried> all = {{"a text", Prober::Answer(Prober::kAnswer), {}}, {"reasoning", Prober::Reasoned(Prober::kAnswer), {}}};
  if (!calls) return all;
  const auto call = [&](const char* name, const Json& arguments, const char* id = Prober::kId) { return Prober::Call(name, arguments, id, shape); };
  const Json word = {{Prober::kKey, Prober::kValue}};
  const Json kinds = {{Prober::kKey, "Z\xc3\xbcrich \"HB\" 'x' \\ <b> \xe6\xbc\xa2"},
                      {"whole", 42},
                      {"real", -1.5},
                      {"flag", true},
                      {"list", Json::Array({1, "a b", Json{{"c", false}}})},
                      {"dict", Json{{"city", "S\xc3\xa3o"}, {"none", nullptr}, {"empty", Json::Array()}}}};
  all.push_back({"a call", Prober::Calls({call(Prober::kTool, word)}, shape), {{Prober::kTool, word}}});
  all.push_back({"a call without arguments", Prober::Calls({call(Prober::kTool, Json::Object())}, shape), {{Prober::kTool, Json::Object()}}});
  all.push_back({"a call with values of all kinds", Prober::Calls({call(Prober::kTool, kinds)}, shape), {{Prober::kTool, kinds}}});
  all.push_back({"two calls", Prober::Calls({call(Prober::kTool, kinds), call(Prober::kTool2, word, Prober::kId2)}, shape), {{Prober::kTool, kinds}, {Prober::kTool2, word}}});
  if (with_text) all.push_back({"a call behind a text", Prober::Calls({call(Prober::kTool, word)}, shape, Prober::kAnswer), {{Prober::kTool, word}}});
  all.push_back({"a call behind reasoning", Prober::WithReason(Prober::Calls({call(Prober::kTool, word)}, shape)), {{Prober::kTool, word}}});
  return all;
}

}  // namespace

string CheckAnswer(const Derivation& d, const std::vector<uint8_t>& bytes, const CallShape& shape, bool with_text) {
  const AnswerFormat format = VerifyAnswerFormat(bytes.data(), bytes.size()).value();
  JsonValues values;
  const Value tools = values.Make(Prober::Tools()["tools"]);
  for (const Tried& tried : Conversations(shape, format.calls, with_text)) {
    const std::optional<string> all = d.probe->Render(Json::Array({Prober::User(Prober::kAsk), tried.answer}), false, shape.Tools());
    const std::optional<string> region = d.Answered(tried.answer, shape.Tools());
    if (!all || !region) continue;
    // A template that writes one call only says nothing about two.
    if (tried.calls.size() == 2 && region->find(Prober::kTool2) == region->npos) continue;
    if (!tried.calls.empty() && region->find(Prober::kTool) == region->npos) continue;
    const size_t begin = all->rfind(Prober::kAsk) + string_view(Prober::kAsk).size();
    size_t split = all->find(*region, begin);
    const std::optional<string> prompt = d.probe->Render(Json::Array({Prober::User(Prober::kAsk)}), true, shape.Tools());
    if (prompt && all->substr(0, prompt->size()) == *prompt) split = std::max(split, prompt->size());
    else if (region->substr(0, d.draft.lead.size()) == d.draft.lead) split += d.draft.lead.size();
    string answer = all->substr(split);
    const bool text = region->find(Prober::kAnswer) != region->npos, reasoning = region->find(Prober::kReason) != region->npos;
    // Reasoning that only a prompt opens.
    string asked = all->substr(0, split);
    if (reasoning && prompt && answer.find(format.reasoning_open) == answer.npos && prompt->find(format.reasoning_open, begin) != prompt->npos) asked = *prompt;
    if (!d.always.empty() && answer.size() > d.always.size() && answer.substr(answer.size() - d.always.size()) == d.always) answer.resize(answer.size() - d.always.size());
    const ReadAnswerText read = ReadAnswer(format, asked, answer, &tools);
    const bool said = Trimmed(read.text) == (text ? Prober::kAnswer : "") && Trimmed(read.reasoning) == (reasoning ? Prober::kReason : "");
    // Some write what is said in front of a call as reasoning, and some end the turn behind it: the calls are another's then.
    const bool thought = !tried.calls.empty() && text && !reasoning && read.text.empty() && Trimmed(read.reasoning) == Prober::kAnswer;
    const string_view behind = Trimmed(Behind(*region, Prober::kAnswer));
    bool over = false;
    for (size_t i = 0; i < format.end_count; ++i) over |= text && behind.substr(0, format.ends[i].size()) == format.ends[i];
    if (over && said && read.calls.empty()) continue;
    string wrong;
    if (!read.broken.empty()) wrong = read.broken;
    else if (read.calls != tried.calls) wrong = read.calls.size() == tried.calls.size() ? "its name or arguments are read otherwise" : "as many calls are not read";
    else if (!said && !thought) wrong = "its text or reasoning is read otherwise";
    if (!wrong.empty()) return string(tried.what) + ": " + wrong;
  }
  return {};
}

}  // namespace thimble::chat
