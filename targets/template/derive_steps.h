// The steps of a derivation, and what they share. Private to this folder.
#pragma once

#include "targets/template/derive.h"
#include "targets/template/probe.h"

namespace thimble::chat {

struct Derivation {
  const Prober* probe;
  AnswerDraft draft = {};
  std::string user_end = {};       // between a question and its answer, without what belongs to the answer
  std::vector<std::string> opens = {};  // what prompts write for an answer to begin, with and without reasoning
  std::string always = {};         // what the template writes behind every answer, asked for or not
  bool own_end = false;            // a turn ends with a text of its own, not with the next one's beginning

  // The answer's part of a rendered conversation whose last message is one to kAsk; nothing where it fails.
  std::optional<std::string> Answered(const Json& answer, const Json& more = {}) const;
};

// How to ask: as it is, and with reasoning switched on and off.
inline std::vector<Json> Ways() {
  return {Json::Object(), Json{{"enable_thinking", true}, {"thinking", true}}, Json{{"enable_thinking", false}, {"thinking", false}}};
}

// Where answers begin and end, and their reasoning. False: the template writes no answers.
bool DeriveFrame(Derivation& d, const Program& program);
// How calls are written; where it cannot be said: why.
std::string DeriveCalls(Derivation& d, CallShape* shape);
// Reads conversations back; empty, or what was read otherwise. `with_text`: a call behind a text, too.
std::string CheckAnswer(const Derivation& d, const std::vector<uint8_t>& bytes, const CallShape& shape, bool with_text = true);

}  // namespace thimble::chat
