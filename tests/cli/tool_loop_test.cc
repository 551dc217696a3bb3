// Tools in `thimble chat` at a terminal: the call is shown, its result asked for, and the answer goes on from there. The model
// calls a tool after every message of a person, and answers after every result: its table and head are written for that.
#include <catch2/catch_test_macros.hpp>

#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "tests/cli/process.h"
#include "tests/cli/terminal.h"
#include "tests/support/json_testing.h"
#include "tests/support/turn_model.h"

namespace thimble::test {
namespace {

// One token says one of these.
constexpr char kCall[] = "<call>{\"name\": \"weather\", \"arguments\": {\"place\": \"Bern\"}}</call>";
constexpr char kAnswer[] = "It will snow.";

// "<|assistant|>" after a message, "<|answers|>" after a result.
constexpr char kTemplate[] =
    "{% for m in messages %}{{ '<|' + m.role + '|>' }}{{ m.content }}{% for c in m.tool_calls %}{{ '<call>' + {'name': c.function.name, "
    "'arguments': c.function.arguments}|tojson + '</call>' }}{% endfor %}{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|answers|>' if messages[-1].role == 'tool' else '<|assistant|>' }}{% endif %}";

std::string WriteModel() {
  TokenizerModel tokenizer;
  tokenizer.flags = kTokenizerByteFallback | kTokenizerEscapeWhitespace;
  const auto add = [&](const std::string& piece, PieceType type) {
    tokenizer.pieces.push_back(piece);
    tokenizer.types.push_back(type);
    tokenizer.scores.push_back(0);
  };
  add("<unk>", PieceType::kUnknown);
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)), PieceType::kByte);
  add(kCall, PieceType::kNormal);
  add(kAnswer, PieceType::kNormal);
  for (const char* name : {"<|assistant|>", "<|answers|>", "<|end|>"}) add(name, PieceType::kControl);
  const uint32_t count = static_cast<uint32_t>(tokenizer.pieces.size());
  const uint32_t call = count - 5, answer = count - 4, asked = count - 3, told = count - 2, end = count - 1;
  tokenizer.unk = 0;
  tokenizer.eos = end;
  tokenizer.eog = {end};

  ModelBuilder builder(count, count, 512);
  AttentionSpec heads;
  heads.heads = heads.kv_heads = 1;
  heads.head_width = 8;
  builder.AddLayer(heads, std::nullopt, Activation::kSilu, 0, NormKind::kRmsNorm, false);
  builder.Finish(false, false, NormKind::kRmsNorm);
  // A token's row is one large number in a place of its own, which the layer does not drown; the head goes by that.
  const ModelSpec& spec = builder.description().spec;
  const auto next = [&](uint32_t id) { return id == asked ? call : id == told ? answer : end; };
  for (uint32_t id = 0; id < count; ++id) {
    for (uint32_t i = 0; i < count; ++i) {
      builder.SetValue(spec.input.table, size_t{id} * count + i, i == id ? 1000.0f : 0.0f);
      builder.SetValue(spec.output.head.weight, size_t{id} * count + i, next(i) == id ? 1.0f : 0.0f);
    }
  }
  builder.description().tokenizer = WriteTokenizerSegment(tokenizer);
  ChatFormat format = Compiled(kTemplate);
  format.answer = chat::DeriveAnswer(format.program, Json::Object()).bytes;
  builder.description().chat_formats = {format};
  const std::string path = TemporaryFolder() + "/weather.thimble";
  builder.WriteFile(path);
  return path;
}

TEST_CASE("chat at a terminal: a call is shown, its result asked for, and the answer goes on") {
  const std::string folder = TemporaryFolder();
  const std::string tools = WriteFile(folder + "/tools.json", R"([{"type": "function", "function": {"name": "weather", "parameters": {
      "type": "object", "properties": {"place": {"type": "string"}}}}}])");
  Terminal terminal({"chat", WriteModel(), "--tools", tools, "-n", "8", "--temp", "0", "--kernels", "scalar", "--no-history"});
  REQUIRE(terminal.Sees("> "));
  REQUIRE(terminal.Types("Shall I take a coat?\r", "call weather {\"place\": \"Bern\"}"));
  REQUIRE(terminal.Sees("result of weather> "));
  REQUIRE(terminal.Types("{\"sky\": \"snow\"}\r", "It will snow."));
  REQUIRE(terminal.Sees("> "));
  // No result: the call stays unanswered, and the program goes on.
  REQUIRE(terminal.Types("And now?\r", "result of weather> "));
  REQUIRE(terminal.Types("\x03", "> "));
  REQUIRE(terminal.Types("/save " + folder + "/talk.json\r", "messages in"));
  terminal.Type("/quit\r");
  CHECK(terminal.ExitCode() == 0);
  const Json talk = ParseJson(ReadFile(folder + "/talk.json"));
  REQUIRE(talk["messages"].size() == 6);
  CHECK(talk["messages"][1]["tool_calls"][0]["function"]["name"] == "weather");
  CHECK(talk["messages"][2]["role"] == "tool");
  CHECK(talk["messages"][2]["content"] == "{\"sky\": \"snow\"}");
  CHECK(talk["messages"][3]["content"] == "It will snow.");
}

}  // namespace
}  // namespace thimble::test
