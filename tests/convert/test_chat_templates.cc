// Where chat templates lie, what is taken of them, what is stored, and what is refused with the way out.
#include <catch2/catch_test_macros.hpp>
#include <map>

#include "format/model_file.h"
#include "targets/convert/chat_templates.h"
#include "targets/convert/convert.h"
#include "targets/convert/pack_file.h"
#include "targets/template/compile.h"
#include "targets/template/known_texts.h"
#include "tests/convert/convert_fixture.h"
#include "tests/convert/gguf_testing.h"
#include "tests/convert/import_testing.h"

using namespace thimble;
using namespace thimble::test;

namespace {

using Texts = std::vector<std::pair<std::string, std::string>>;

Texts NamesAndTexts(const std::vector<ChatTemplateText>& found) {
  Texts texts;
  for (const ChatTemplateText& t : found) texts.emplace_back(t.name, t.text);
  return texts;
}

Texts Stored(const fs::path& path) {
  ModelFile file;
  REQUIRE(file.Open(path.c_str()).ok());
  Texts texts;
  for (uint32_t i = 0; i < file.header().chat_formats(); ++i) {
    const ChatFormatView format = file.header().chat_format(i);
    const std::vector<uint8_t> program = chat::CompileTemplate(format.text);
    CHECK(program == std::vector<uint8_t>(format.program, format.program + format.program_bytes));
    texts.emplace_back(format.name, format.text);
  }
  return texts;
}

}  // namespace

TEST_CASE("chat templates are found in every place, the newer one first") {
  const fs::path folder = FreshFolder("chat_places");
  CHECK(ReadChatTemplates(folder).empty());
  WriteFile(folder / "chat_template.json", R"({"chat_template": "json"})");
  CHECK(NamesAndTexts(ReadChatTemplates(folder)) == Texts{{"default", "json"}});
  WriteFile(folder / "tokenizer_config.json", R"({"chat_template": "config"})");
  CHECK(NamesAndTexts(ReadChatTemplates(folder)) == Texts{{"default", "config"}});
  WriteFile(folder / "tokenizer_config.json",
            R"({"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}, 7]})");
  CHECK(NamesAndTexts(ReadChatTemplates(folder)) == Texts{{"default", "d"}, {"rag", "r"}, {"tool_use", "t"}});
  WriteFile(folder / "tokenizer_config.json", R"({"chat_template": {"tool_use": "t", "default": "d"}})");
  CHECK(NamesAndTexts(ReadChatTemplates(folder)) == Texts{{"default", "d"}, {"tool_use", "t"}});
  WriteFile(folder / "chat_template.jinja", "jinja");
  fs::create_directory(folder / "additional_chat_templates");
  WriteFile(folder / "additional_chat_templates/rag.jinja", "more");
  const std::vector<ChatTemplateText> all = ReadChatTemplates(folder);
  CHECK(NamesAndTexts(all) == Texts{{"default", "jinja"}, {"rag", "more"}, {"tool_use", "t"}});
  CHECK(all[0].place == "chat_template.jinja");
  CHECK(all[2].place == "tokenizer_config.json, chat_template, tool_use");
}

TEST_CASE("GGUF keys hold the default template and named ones") {
  GgufWriter file;
  file.String("general.architecture", "llama");
  file.String("tokenizer.chat_template.tool_use", "t");
  file.String("tokenizer.chat_template", "d");
  file.String("tokenizer.chat_templates", "no");
  const fs::path path = TemporaryPath("chat.gguf");
  WriteFile(path, file.Bytes());
  CHECK(NamesAndTexts(ReadChatTemplates(*GgufCheckpoint::Open(path))) == Texts{{"default", "d"}, {"tool_use", "t"}});
}

TEST_CASE("templates are stored with their programs, packed files keep them, and others take their place") {
  const Json config = LlamaConfig();
  ConvertOptions options;
  options.source = WriteModel("chat_stored", config, LlamaTensors(config));
  options.output = TemporaryPath("chat_stored.thimble");
  CHECK(Convert(options).chat_templates.empty());
  CHECK(Stored(options.output).empty());
  WriteFile(options.source / "chat_template.jinja", "{{ messages[0].content }}");
  WriteFile(options.source / "tokenizer_config.json", R"({"chat_template": {"tool_use": "{{ tools|tojson }}"}})");
  CHECK(Convert(options).chat_templates == std::vector<std::string>{"default from chat_template.jinja", "tool_use from tokenizer_config.json, chat_template, tool_use"});
  const Texts both = {{"default", "{{ messages[0].content }}"}, {"tool_use", "{{ tools|tojson }}"}};
  CHECK(Stored(options.output) == both);
  PackOptions pack;
  pack.source = options.output;
  pack.output = TemporaryPath("chat_packed.thimble");
  pack.table = "portable";
  PackFile(pack);
  CHECK(Stored(pack.output) == both);

  options.chat_template = "none";
  CHECK((Convert(options).chat_templates.empty() && Stored(options.output).empty()));
  options.chat_template = "zephyr";
  CHECK(Convert(options).chat_templates == std::vector<std::string>{"default from our own zephyr"});
  CHECK(Stored(options.output) == Texts{{"default", std::string(*chat::FindKnownText("zephyr"))}});
  const fs::path own = FreshFolder("chat_own") / "own.jinja";
  WriteFile(own, "own");
  options.chat_template = own.string();
  Convert(options);
  CHECK(Stored(options.output) == Texts{{"default", "own"}});
  options.chat_template = "nosuch";
  const Outcome unknown = OutcomeOf([&] { Convert(options); });
  CHECK((unknown.code == Code::kInvalidArgument && unknown.Names("nosuch") && unknown.Names("chatml")));
}

TEST_CASE("what the compiler does not know is refused with its place and the way out") {
  const Json config = LlamaConfig();
  ConvertOptions options;
  options.source = WriteModel("chat_refused", config, LlamaTensors(config));
  options.output = TemporaryPath("chat_refused.thimble");
  WriteFile(options.source / "tokenizer_config.json", R"({"chat_template": "a\n{{ x|nosuch }}"})");
  const Outcome refused = OutcomeOf([&] { Convert(options); });
  INFO(refused.message);
  CHECK(refused.code == Code::kUnsupported);
  CHECK(refused.Names("tokenizer_config.json, chat_template"));
  CHECK(refused.Names("line 2, column 6: the filter 'nosuch' is not known"));
  CHECK(refused.Names("--chat-template FILE|NAME"));
  options.chat_template = "chatml";
  CHECK(OutcomeOf([&] { Convert(options); }).code == Code::kOk);
}
