// Descriptions of answers written: as bytes, and for people.
#include "targets/template/derive.h"
#include "targets/template/text_cuts.h"

namespace thimble::chat {
namespace {

class Writer {
 public:
  void Byte(size_t n) {
    fits_ = fits_ && n <= 255;
    bytes_.push_back(static_cast<uint8_t>(n));
  }
  void Text(std::string_view text) {
    Byte(text.size());
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  void Marker(std::string_view text) { Text(Trimmed(text)); }
  void Parts(const std::vector<AnswerDraft::DraftPart>& parts) {
    Byte(parts.size());
    for (const AnswerDraft::DraftPart& part : parts) {
      Byte(static_cast<size_t>(part.part));
      if (part.part == Part::kText) Text(part.text);
    }
  }
  std::vector<uint8_t> Done() { return fits_ ? std::move(bytes_) : std::vector<uint8_t>(); }

 private:
  std::vector<uint8_t> bytes_;
  bool fits_ = true;
};

std::string Quoted(std::string_view text) { return JsonText(Json(text)); }

std::string PartsText(const AnswerParts& parts, const AnswerFormat& f) {
  std::string text;
  for (size_t i = 0; i < parts.count; ++i) {
    if (i > 0) text += ' ';
    switch (parts.parts[i].part) {
      case Part::kText: text += Quoted(parts.parts[i].text); break;
      case Part::kName: text += "NAME"; break;
      case Part::kId: text += "ID"; break;
      case Part::kAny: text += "ANY"; break;
      case Part::kObject:
        text += "{" + Quoted(f.name_key) + ": NAME, " + Quoted(f.arguments_key) + ": ARGUMENTS" + (f.id_key.empty() ? "" : ", " + Quoted(f.id_key) + ": ID") + "}";
        break;
      case Part::kValue: text += &parts == &f.call ? "ARGUMENTS" : "VALUE"; break;
      case Part::kFields: text += "FIELDS"; break;
      case Part::kKey: text += "KEY"; break;
      case Part::kType: text += "TYPE"; break;
      default: text += "VALUE";
    }
  }
  return text;
}

}  // namespace

std::vector<uint8_t> WriteAnswerFormat(const AnswerDraft& draft) {
  Writer out;
  for (const char c : kAnswerMagic) out.Byte(static_cast<uint8_t>(c));
  out.Byte(kAnswerVersion);
  size_t flags = 0;
  for (const auto& [is, flag] : {std::pair(draft.calls, kAnswerCalls), {draft.python, kAnswerPython}, {draft.arguments_as_text, kAnswerArgumentsText},
                                 {draft.no_content, kAnswerNoContent}, {draft.null_content, kAnswerNullContent}, {draft.name_in_id, kAnswerNameInId}}) {
    if (is) flags |= flag;
  }
  out.Byte(flags);
  out.Text(draft.lead);
  for (const std::string* text : {&draft.reasoning_open, &draft.reasoning_close, &draft.text_open, &draft.text_close}) out.Marker(*text);
  out.Byte(draft.ends.size());
  for (const std::string& end : draft.ends) out.Marker(end);
  if (draft.calls) {
    for (const std::string* text : {&draft.calls_open, &draft.calls_close, &draft.calls_between}) out.Marker(*text);
    out.Parts(draft.call);
    out.Text(draft.fields_between);
    out.Parts(draft.field);
    for (const std::string* text : {&draft.name_key, &draft.arguments_key, &draft.id_key, &draft.quote, &draft.text_type, &draft.raw_open, &draft.raw_close}) out.Text(*text);
  }
  std::vector<uint8_t> bytes = out.Done();
  return VerifyAnswerFormat(bytes.data(), bytes.size()).ok() ? bytes : std::vector<uint8_t>();
}

std::string AnswerText(const AnswerFormat& f) {
  std::string text;
  const auto line = [&](std::string name, const std::string& what) { text += name + std::string(12 - name.size(), ' ') + what + "\n"; };
  const auto around = [&](const char* name, std::string_view open, std::string_view close, const char* what) {
    if (open.empty() && close.empty()) return;
    line(name, (open.empty() ? "" : Quoted(open) + " ") + what + (close.empty() ? "" : " " + Quoted(close)));
  };
  if (!f.lead.empty()) line("behind", Quoted(f.lead));
  around("reasoning", f.reasoning_open, f.reasoning_close, "REASONING");
  around("text", f.text_open, f.text_close, "TEXT");
  for (size_t i = 0; i < f.end_count; ++i) line("ends with", Quoted(f.ends[i]) + ", token " + Quoted(EndToken(f.ends[i])));
  if (!f.calls) return text;
  around("calls", f.calls_open, f.calls_close, "CALL ...");
  if (!f.calls_between.empty()) line("between", Quoted(f.calls_between));
  line("call", PartsText(f.call, f));
  if (f.field.count > 0) line("field", PartsText(f.field, f));
  if (!f.fields_between.empty()) line("between", Quoted(f.fields_between));
  if (!f.text_type.empty()) line("texts have", "TYPE " + Quoted(f.text_type));
  around("markup", f.raw_open, f.raw_close, "TEXT");
  if (!f.quote.empty()) line("quote", Quoted(f.quote));
  if (f.python) line("values", "as Python prints them");
  if (f.arguments_as_text) line("given back", "with the arguments as a text");
  if (f.no_content || f.null_content) line("given back", f.null_content ? "with \"content\": null" : "without \"content\"");
  if (f.name_in_id) line("given back", "with the name in the id: \"functions.NAME:0\"");
  return text;
}

}  // namespace thimble::chat
