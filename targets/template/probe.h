// Conversations with words that stand nowhere else, rendered by a template. Host only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/template/program.h"
#include "targets/json/json.h"

namespace thimble::chat {

// How a template wants its tool calls: found out by trying.
struct CallShape {
  enum class Content : uint8_t { kEmpty, kMissing, kNull } content = Content::kEmpty;
  bool arguments_as_text = false, with_tools = true;
  bool id_has_name = false;  // "functions.NAME:0", and the name stands nowhere else
  Json Tools() const;  // what it wants to be given
};

class Prober {
 public:
  // The bytes have to outlive it. `variables`: an object with what the template is given always: bos_token, eos_token, ...
  // `parts`: what is said is given as a list of one text, as some templates of models that see want it.
  Prober(const std::vector<uint8_t>& program, const Json& variables, bool parts = false);

  // Nothing where the template raises or fails.
  std::optional<std::string> Render(const Json& messages, bool prompt, const Json& more = {}) const;

  static constexpr const char* kAsk = "ZqAskOne";
  static constexpr const char* kAskMore = "ZqAskTwo";
  static constexpr const char* kAnswer = "ZqAnswerWord";
  static constexpr const char* kReason = "ZqReasonWord";
  static constexpr const char* kTool = "zqtoolone";
  static constexpr const char* kTool2 = "zqtooltwo";
  static constexpr const char* kKey = "zqkeyone";
  static constexpr const char* kKey2 = "zqkeytwo";
  static constexpr const char* kValue = "ZqValueOne";
  static constexpr const char* kValue2 = "ZqValueTwo";
  static constexpr const char* kId = "Qcall0id1";  // nine letters and digits: one family of templates wants exactly that
  static constexpr const char* kId2 = "Qcall0id2";

  static Json User(const char* text) { return Json{{"role", "user"}, {"content", text}}; }
  static Json Answer(const Json& content) { return Json{{"role", "assistant"}, {"content", content}}; }
  static Json Reasoned(const Json& content);
  static Json WithReason(Json answer);  // in all fields that templates look for it in
  static Json Call(const char* name, const Json& arguments, const char* id, const CallShape& shape);
  // An assistant's message with calls; text null: as the shape says.
  static Json Calls(std::vector<Json> calls, const CallShape& shape, const Json& text = {});
  static const Json& Tools();

  std::string eos() const;

 private:
  const std::vector<uint8_t>& bytes_;
  Program program_;
  Json variables_;
  bool parts_;
  mutable std::vector<uint64_t> memory_;
};

}  // namespace thimble::chat
