// An answer read by the parser of the runtime, gathered. Host only: for derivations, tests and the program.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/template/answer.h"
#include "targets/json/json.h"

namespace thimble::chat {

struct ReadCallText {
  std::string name;
  Json arguments;
  bool operator==(const ReadCallText& other) const { return name == other.name && arguments == other.arguments; }
};

struct ReadAnswerText {
  std::string text, reasoning, broken;  // broken: why, of the last call that is
  std::vector<ReadCallText> calls;
  std::vector<std::string> ids;  // of the calls
  bool ended = false;            // before the last byte was fed, or with it
};

// `cut`: bytes that are fed at once; 0: all.
inline ReadAnswerText ReadAnswer(const AnswerFormat& format, std::string_view prompt, std::string_view answer, const Value* tools, size_t cut = 0) {
  struct Gathered {
    ReadAnswerText read;
    std::string arguments;
  } all;
  const AnswerSink sink = {&all, [](void* user, const AnswerEvent& event) {
                             Gathered& to = *static_cast<Gathered*>(user);
                             switch (event.kind) {
                               case AnswerEvent::Kind::kText: to.read.text += event.text; break;
                               case AnswerEvent::Kind::kReasoning: to.read.reasoning += event.text; break;
                               case AnswerEvent::Kind::kCall:
                                 to.read.calls.push_back({std::string(event.text), {}});
                                 to.read.ids.emplace_back(event.id);
                                 to.arguments.clear();
                                 break;
                               case AnswerEvent::Kind::kArguments: to.arguments += event.text; break;
                               case AnswerEvent::Kind::kCallEnd:
                                 try {
                                   to.read.calls.back().arguments = ParseJson(to.arguments, {.repeated = Json::Repeated::kLastCounts});
                                 } catch (const JsonError& error) {
                                   to.read.broken = error.what();
                                 }
                                 break;
                               case AnswerEvent::Kind::kBrokenCall: to.read.broken = event.why; break;
                               case AnswerEvent::Kind::kEnd: to.read.ended = true;
                             }
                           }};
  std::vector<char> buffer(size_t{64} << 10);
  AnswerParser parser(format, buffer.data(), buffer.size(), sink, tools);
  parser.Begin(prompt);
  for (size_t i = 0; i < answer.size(); i += cut == 0 ? answer.size() : cut) parser.Feed(answer.substr(i, cut == 0 ? answer.npos : cut));
  const bool ended = parser.ended();
  parser.Finish();
  all.read.ended = ended;
  return all.read;
}

}  // namespace thimble::chat
