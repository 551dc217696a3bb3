// Where a model's chat templates lie, and what is stored of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "format/writer.h"
#include "targets/convert/gguf_file.h"

namespace thimble {

struct ChatTemplateText {
  std::string name, text;  // "default" is used where none is named
  std::string place;       // the file and the field, for people
};

// chat_template.jinja, or chat_template of tokenizer_config.json (a text, or several with names), or chat_template.json; and
// additional_chat_templates/NAME.jinja. "default" first where there is one.
std::vector<ChatTemplateText> ReadChatTemplates(const std::filesystem::path& directory);
// tokenizer.chat_template, and tokenizer.chat_template.NAME.
std::vector<ChatTemplateText> ReadChatTemplates(const GgufCheckpoint& checkpoint);
// What the user named: one of our own texts, or a file of Jinja.
ChatTemplateText NamedChatTemplate(const std::string& name_or_file);

// With how answers are read (targets/template/derive.h), given the tokenizer's segment; may be empty. Throws ImportError (kUnsupported) that names the place, the feature, line and column, and the way out.
// `no_calls`: for each why its tool calls cannot be read; empty where they can.
std::vector<ChatFormat> CompileChatTemplates(const std::vector<ChatTemplateText>& texts, const std::vector<uint8_t>& tokenizer,
                                             std::vector<std::string>* no_calls);

}  // namespace thimble
