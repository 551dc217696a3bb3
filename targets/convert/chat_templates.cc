#include "targets/convert/chat_templates.h"

#include <algorithm>
#include <string_view>

#include "targets/convert/import_error.h"
#include "targets/convert/json_file.h"
#include "format/tokenizer_data.h"
#include "targets/template/compile.h"
#include "targets/template/derive.h"
#include "targets/template/known_texts.h"

namespace thimble {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFileBytes = 1u << 20;
constexpr char kDefault[] = "default";

// The first of a name counts.
void Add(const std::string& name, const std::string& text, const std::string& place, std::vector<ChatTemplateText>* texts) {
  if (std::any_of(texts->begin(), texts->end(), [&](const ChatTemplateText& t) { return t.name == name; })) return;
  const auto at = name == kDefault ? texts->begin() : texts->end();
  texts->insert(at, {name, text, place});
}

// A text, a list of {name, template}, or an object of texts by their names.
void AddField(const Json& field, const std::string& place, std::vector<ChatTemplateText>* texts) {
  if (field.is_text()) return Add(kDefault, field.as_text(), place, texts);
  if (field.is_array()) {
    for (const Json& item : field.items()) {
      const Json *name = item.is_object() ? item.Find("name") : nullptr, *text = item.is_object() ? item.Find("template") : nullptr;
      if (name != nullptr && text != nullptr && name->is_text() && text->is_text()) {
        Add(name->as_text(), text->as_text(), place + ", " + name->as_text(), texts);
      }
    }
  } else if (field.is_object()) {
    for (const Json::Member& m : field.members()) {
      if (m.value.is_text()) Add(m.key, m.value.as_text(), place + ", " + m.key, texts);
    }
  }
}

void AddJsonFile(const fs::path& file, std::vector<ChatTemplateText>* texts) {
  if (!fs::exists(file)) return;
  const Json json = ReadJsonObject(file);
  if (const Json* field = json.Find("chat_template")) AddField(*field, file.filename().string() + ", chat_template", texts);
}

}  // namespace

std::vector<ChatTemplateText> ReadChatTemplates(const fs::path& directory) {
  std::vector<ChatTemplateText> texts;
  const fs::path own = directory / "chat_template.jinja", more = directory / "additional_chat_templates";
  if (fs::exists(own)) Add(kDefault, ReadSmallFile(own, kMaxFileBytes), own.filename().string(), &texts);
  if (fs::is_directory(more)) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(more)) {
      if (entry.path().extension() == ".jinja") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) {
      Add(file.stem().string(), ReadSmallFile(file, kMaxFileBytes), "additional_chat_templates/" + file.filename().string(), &texts);
    }
  }
  AddJsonFile(directory / "tokenizer_config.json", &texts);
  AddJsonFile(directory / "chat_template.json", &texts);
  return texts;
}

std::vector<ChatTemplateText> ReadChatTemplates(const GgufCheckpoint& checkpoint) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  std::vector<ChatTemplateText> texts;
  for (const Json::Member& m : checkpoint.metadata().members()) {
    if (!m.value.is_text() || !m.key.starts_with(kKey)) continue;
    if (m.key.size() == kKey.size()) Add(kDefault, m.value.as_text(), m.key, &texts);
    else if (m.key[kKey.size()] == '.') Add(m.key.substr(kKey.size() + 1), m.value.as_text(), m.key, &texts);
  }
  return texts;
}

ChatTemplateText NamedChatTemplate(const std::string& name_or_file) {
  if (const std::string_view* known = chat::FindKnownText(name_or_file)) return {kDefault, std::string(*known), "our own " + name_or_file};
  if (fs::exists(name_or_file)) return {kDefault, ReadSmallFile(name_or_file, kMaxFileBytes), name_or_file};
  throw ImportError(Code::kInvalidArgument, "chat template '" + name_or_file + "': no file, and none of " + chat::KnownTextNames());
}

std::vector<ChatFormat> CompileChatTemplates(const std::vector<ChatTemplateText>& texts, const std::vector<uint8_t>& tokenizer,
                                             std::vector<std::string>* no_calls) {
  std::vector<ChatFormat> formats;
  // What templates are given always.
  Json variables = Json::Object();
  if (!tokenizer.empty()) {
    const TokenizerData data = ParseTokenizerData(tokenizer.data(), tokenizer.size()).value();
    if (data.bos != kNoToken) variables["bos_token"] = data.Piece(data.bos);
    if (data.eos != kNoToken) variables["eos_token"] = data.Piece(data.eos);
  }
  if (texts.size() > kMaxChatFormats) {
    throw ImportError(Code::kUnsupported, std::to_string(texts.size()) + " chat templates; expected at most " + std::to_string(kMaxChatFormats));
  }
  for (const ChatTemplateText& t : texts) {
    try {
      ChatFormat format = {t.name, t.text, chat::CompileTemplate(t.text), {}};
      chat::DerivedAnswer derived = chat::DeriveAnswer(format.program, variables);
      format.answer = std::move(derived.bytes);
      no_calls->push_back(derived.calls ? std::string() : derived.why);
      formats.push_back(std::move(format));
    } catch (const chat::TemplateError& error) {
      throw ImportError(Code::kUnsupported, "the chat template (" + t.place + "): " + error.what() +
                                                "; --chat-template FILE|NAME takes another one, none leaves it out. NAME is one of " +
                                                chat::KnownTextNames());
    }
  }
  return formats;
}

}  // namespace thimble
