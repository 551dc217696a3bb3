#include "targets/template/derive.h"

#include "targets/template/derive_steps.h"

namespace thimble::chat {

DerivedAnswer DeriveAnswer(const std::vector<uint8_t>& program, const Json& variables) {
  // Some templates know conversations with tools only.
  Json with_tools = variables.is_object() ? variables : Json::Object();
  with_tools.Update(Prober::Tools());
  const Prober plain(program, variables), tools(program, with_tools), parts(program, variables, true);
  Derivation d{&plain};
  DerivedAnswer derived;
  const Program verified = VerifyProgram(program.data(), program.size()).value();
  bool found = DeriveFrame(d, verified);
  for (const Prober* other : {&tools, &parts}) {
    if (found) break;
    d = {other};
    found = DeriveFrame(d, verified);
  }
  if (!found) {
    derived.bytes = WriteAnswerFormat({});
    derived.why = "the template does not write a question and its answer";
    return derived;
  }
  AnswerDraft frame = d.draft;
  CallShape shape;
  derived.why = DeriveCalls(d, &shape);
  if (derived.why.empty()) {
    d.draft.calls = true;
    d.draft.arguments_as_text = shape.arguments_as_text;
    d.draft.no_content = shape.content == CallShape::Content::kMissing;
    d.draft.null_content = shape.content == CallShape::Content::kNull;
    d.draft.name_in_id = shape.id_has_name;
    derived.bytes = WriteAnswerFormat(d.draft);
    derived.why = derived.bytes.empty() ? "how a tool call is written does not fit a description" : CheckAnswer(d, derived.bytes, shape);
    derived.calls = derived.why.empty();
    // Calls that a template writes apart from a text are read where no text is with them.
    if (!derived.calls && !derived.bytes.empty() && CheckAnswer(d, derived.bytes, shape, false).empty()) derived.calls = true;
    if (derived.calls) return derived;
  }
  // What is certain without calls.
  frame.ends = d.draft.ends;
  d.draft = frame;
  derived.bytes = WriteAnswerFormat(d.draft);
  if (derived.bytes.empty() || !CheckAnswer(d, derived.bytes, shape).empty()) {
    derived.why += "; its texts are not read back either";
    AnswerDraft ends;
    ends.ends = frame.ends;
    ends.lead = frame.lead;
    derived.bytes = WriteAnswerFormat(ends);
    if (derived.bytes.empty()) derived.bytes = WriteAnswerFormat({});
  }
  return derived;
}

}  // namespace thimble::chat
