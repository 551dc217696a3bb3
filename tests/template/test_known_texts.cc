// Our own texts of well-known templates: what each writes, to the byte.
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <vector>

#include "runtime/template/conversation.h"
#include "targets/template/compile.h"
#include "targets/template/known_texts.h"

using namespace thimble;
using namespace thimble::chat;

namespace {

using Turns = std::vector<Message>;

Message Turn(std::string_view role, std::string_view text) { return {.role = role, .text = text}; }

std::string Render(std::string_view name, const Turns& turns, std::string_view bos = "<s>", std::string_view eos = "</s>") {
  const std::vector<uint8_t> bytes = CompileTemplate(*FindKnownText(name));
  const Result<Program> program = VerifyProgram(bytes.data(), bytes.size());
  REQUIRE(program.ok());
  Conversation conversation;
  conversation.owner = &turns;
  conversation.message = [](const void* owner, size_t i) { return (*static_cast<const Turns*>(owner))[i]; };
  conversation.count = turns.size();
  conversation.bos = bos;
  conversation.eos = eos;
  std::vector<uint64_t> memory(1 << 15);
  Workspace workspace(memory.data(), memory.size() * sizeof memory[0]);
  std::string text(4096, 0);
  RenderedText out{text.data(), nullptr, text.size()};
  const RenderError error = RenderConversation(program.value(), conversation, workspace, &out);
  if (error.kind != RenderError::Kind::kNone) return "refused: " + std::string(error.what);
  return text.substr(0, out.bytes);
}

const Turns kSystemOne = {Turn("system", "Be kind."), Turn("user", "Hi")};
const Turns kThree = {Turn("user", "Hi"), Turn("assistant", "Hello."), Turn("user", "Who are you?")};
const Turns kFour = {Turn("system", "Be kind."), Turn("user", "Hi"), Turn("assistant", "Hello."), Turn("user", "Who?")};
const Turns kSpaced = {Turn("user", "  Hi \n"), Turn("assistant", " Hello. "), Turn("user", "")};

}  // namespace

TEST_CASE("our own texts write what the models were trained on") {
  CHECK(Render("chatml", kFour) ==
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n"
        "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(Render("llama3", kSystemOne, "<|begin_of_text|>", "<|end_of_text|>") ==
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>user"
        "<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  CHECK(Render("llama2", kThree) == "<s>[INST] Hi [/INST] Hello. </s><s>[INST] Who are you? [/INST]");
  CHECK(Render("llama2", kFour) == "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] Who? [/INST]");
  CHECK(Render("llama2", kSpaced) == "<s>[INST] Hi [/INST] Hello. </s><s>[INST]  [/INST]");
  CHECK(Render("gemma", kFour, "<bos>", "<eos>") ==
        "<bos><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n<start_of_turn>user\n"
        "Who?<end_of_turn>\n<start_of_turn>model\n");
  CHECK(Render("phi3", kFour) ==
        "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello.<|end|>\n<|user|>\nWho?<|end|>\n<|assistant|>\n");
  CHECK(Render("zephyr", kFour) ==
        "<|system|>\nBe kind.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello.</s>\n<|user|>\nWho?</s>\n<|assistant|>\n");
  CHECK(Render("mistral-v0", kThree) == "<s>[INST] Hi [/INST]Hello.</s>[INST] Who are you? [/INST]");
  CHECK(Render("mistral-v1", kFour) == "<s> [INST] Be kind.\n\nHi [/INST] Hello.</s> [INST] Who? [/INST]");
  CHECK(Render("mistral-v3", kFour) == "<s>[INST] Be kind.\n\nHi[/INST] Hello.</s>[INST] Who?[/INST]");
  CHECK(Render("mistral-v3", kSpaced) == "<s>[INST]   Hi \n[/INST] Hello.</s>[INST] [/INST]");
  CHECK(Render("mistral-v3-tekken", kFour) == "<s>[INST]Be kind.\n\nHi[/INST]Hello.</s>[INST]Who?[/INST]");
  CHECK(Render("mistral-v7", kFour) == "<s>[SYSTEM_PROMPT] Be kind.[/SYSTEM_PROMPT][INST] Hi[/INST] Hello.</s>[INST] Who?[/INST]");
  CHECK(Render("mistral-v7-tekken", kFour) == "<s>[SYSTEM_PROMPT]Be kind.[/SYSTEM_PROMPT][INST]Hi[/INST]Hello.</s>[INST]Who?[/INST]");
}

TEST_CASE("our own texts refuse what their models were not trained on") {
  for (const char* name : {"llama2", "gemma", "mistral-v0", "mistral-v1", "mistral-v3", "mistral-v7-tekken"}) {
    INFO(name);
    CHECK(Render(name, {Turn("user", "a"), Turn("user", "b")}).starts_with("refused: user and assistant take turns"));
    CHECK(Render(name, {Turn("assistant", "a")}).starts_with("refused: user and assistant take turns"));
    CHECK(Render(name, {Turn("user", "a"), Turn("tool", "b")}).starts_with("refused: user and assistant take turns"));
  }
  CHECK(Render("mistral-v0", kSystemOne).starts_with("refused: there is no role for system messages"));
  CHECK_FALSE(Render("chatml", {Turn("user", "a"), Turn("user", "b")}).starts_with("refused"));
}
