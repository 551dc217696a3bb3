#include "targets/cli/template_source.h"

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/output.h"
#include "targets/template/compile.h"
#include "targets/template/known_texts.h"

namespace thimble::cli {

std::vector<uint8_t> CompileChatTemplate(const std::string& name_or_file) {
  const std::string_view* known = chat::FindKnownText(name_or_file);
  std::string text;
  try {
    text = known != nullptr ? std::string(*known) : ReadFile(name_or_file);
  } catch (const Error& error) {
    throw Error(error.code, std::string(error.what()) + "; a chat template is a file of Jinja or one of " + chat::KnownTextNames());
  }
  try {
    return chat::CompileTemplate(text);
  } catch (const chat::TemplateError& error) {
    throw Error(kUnsupported, name_or_file + ": " + error.what());
  }
}

std::vector<uint8_t> ChatProgramOf(const Model& model, const std::string& name) {
  Sized<thimble_chat_template> t;
  std::string names;
  for (uint32_t i = 0; i == 0 || i < t.count; ++i) {
    Check(Call(thimble_chat_get_template, model.handle(), i, &t), model.path());
    const uint8_t* bytes = static_cast<const uint8_t*>(t.program);
    if (bytes != nullptr && (name.empty() || name == t.name)) return {bytes, bytes + t.program_bytes};
    names += (i == 0 ? "" : ", ") + std::string(t.name);
  }
  if (t.count == 0) throw Error(kUnsupported, model.path() + ": holds no chat template; give one by --chat-template FILE|NAME");
  throw Error(kInvalidArgument, model.path() + ": no chat template " + Quoted(name) + "; it has " + names);
}

}  // namespace thimble::cli
