// Templates by their characteristic text, and what they make of conversations.
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "runtime/chat/chat.h"

using namespace thimble;

namespace {

constexpr ChatRole kSystem = ChatRole::kSystem, kUser = ChatRole::kUser, kAnswer = ChatRole::kAssistant;
using Conversation = std::vector<ChatMessage>;

ChatTemplate Find(std::string_view text) {
  const Result<ChatTemplate> chat = FindChatTemplate(text);
  INFO(text);
  REQUIRE(chat.ok());
  return chat.value();
}

void Append(void* user, ChatPart, std::string_view text) { *static_cast<std::string*>(user) += text; }

std::string Render(std::string_view name, const Conversation& messages, ChatPieces pieces = {"<s>", "</s>"}) {
  const ChatTemplate chat = Find(name);
  const Status status = CheckConversation(chat, {messages.data(), messages.size()});
  if (!status.ok()) return std::string("refused: ") + status.what;
  std::string text;
  RenderChat(chat, pieces, {messages.data(), messages.size()}, {&text, Append});
  return text;
}

const Conversation kOne = {{kUser, "Hi"}};
const Conversation kSystemOne = {{kSystem, "Be kind."}, {kUser, "Hi"}};
const Conversation kThree = {{kUser, "Hi"}, {kAnswer, "Hello."}, {kUser, "Who are you?"}};
const Conversation kFour = {{kSystem, "Be kind."}, {kUser, "Hi"}, {kAnswer, "Hello."}, {kUser, "Who?"}};
const Conversation kAnswered = {{kUser, "Hi"}, {kAnswer, "Hello."}};
const Conversation kSpaced = {{kUser, "  Hi \n"}, {kAnswer, " Hello. "}, {kUser, ""}};

// Characteristic parts of the published texts.
constexpr char kChatMl[] =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
constexpr char kQwen2[] =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>"
    "system\\nYou are a "
    "helpful assistant.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>' + '\\n'}}{% endfor %}";
constexpr char kQwen25[] =
    "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- if messages[0]['role'] == 'system' %}\n        {{- "
    "messages[0]['content'] }}{%- endif %}{{- \"<|im_end|>\\n\" }}\n{%- else %}\n"
    " {%- if messages[0]['role'] == 'system' %}{{- "
    "'<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n    {%- else %}\n        {{- "
    "'<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}";
constexpr char kLlama3[] =
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}";
constexpr char kLlama2[] =
    "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + "
    "system_message + '\\n<</SYS>>\\n\\n' + "
    "message['content'] %}{% endif %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}";
constexpr char kGemma[] =
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{{ "
    "'<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}";
constexpr char kGemma3[] =
    "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}"
    "{%- set first_user_prefix = messages[0]['content'] + '\\n\\n' "
    "-%}{%- endif -%}{{ '<start_of_turn>' + role + '\\n' + first_user_prefix }}";
constexpr char kPhi3[] =
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\\n' + message['content'] + "
    "'<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{{ "
    "'<|assistant|>\\n' }}";
constexpr char kZephyr[] =
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\\n' + "
    "message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\\n'  + message['content'] + eos_token }}\n"
    "{% endif %}";
constexpr char kMistralV0[] =
    "{{ bos_token }}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif "
    "message['role'] == 'assistant' %}{{ message['content'] + eos_token }}";
constexpr char kMistralV01[] =
    "{{ bos_token }}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif "
    "message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}";
constexpr char kMistralV1[] =
    "{{- bos_token }}{%- if loop.first and system_message is defined %}"
    "{{- \" [INST] \" + system_message + \"\\n\\n\" + "
    "message[\"content\"] + \" [/INST]\" }}{%- else %}{{- \" [INST] \" + message[\"content\"] + \" [/INST]\" }}";
constexpr char kMistralV3[] =
    "{{- bos_token }}{{- \"[AVAILABLE_TOOLS] [\" }}{{- \"[INST] \" + message[\"content\"] + \"[/INST]\" }}{{- \" \" + "
    "message[\"content\"]|trim + eos_token}}";
constexpr char kMistralV3Tekken[] =
    "{{- bos_token }}{{- \"[AVAILABLE_TOOLS][\" }}{{- \"[INST]\" + message[\"content\"] + \"[/INST]\" }}{{- "
    "message[\"content\"] + eos_token}}";
constexpr char kMistralV7[] =
    "{{- bos_token }}{{- \"[SYSTEM_PROMPT] \" + message[\"content\"] + \"[/SYSTEM_PROMPT]\" }}{{- \"[INST] \" + "
    "message[\"content\"] + \"[/INST]\" }}";
constexpr char kMistralV7Tekken[] =
    "{{- bos_token }}{{- '[SYSTEM_PROMPT]' + system_message + '[/SYSTEM_PROMPT]' }}{{- '[INST]' + message['content'] + "
    "'[/INST]' }}";

}  // namespace

TEST_CASE("templates are recognised by their text and by their name") {
  const std::pair<const char*, const char*> texts[] = {
      {kChatMl, "chatml"},         {kQwen2, "chatml"},         {kQwen25, "chatml"},
      {kLlama3, "llama3"},         {kLlama2, "llama2"},        {kGemma, "gemma"},
      {kGemma3, "gemma"},          {kPhi3, "phi3"},            {kZephyr, "zephyr"},
      {kMistralV0, "mistral-v0"},  {kMistralV01, "mistral-v0"}, {kMistralV1, "mistral-v1"},
      {kMistralV3, "mistral-v3"},  {kMistralV3Tekken, "mistral-v3-tekken"},
      {kMistralV7, "mistral-v7"},  {kMistralV7Tekken, "mistral-v7-tekken"},
  };
  const std::string names = ChatTemplateNames();
  for (const auto& [text, name] : texts) {
    CHECK(std::string(Find(text).name) == name);
    CHECK(std::string(Find(name).name) == name);
    CHECK(names.find(name) != std::string::npos);
  }
}

TEST_CASE("unknown templates are refused, and the message names known ones") {
  for (const char* text : {"", "mamba", "{% for m in messages %}{{ m['content'] }}{% endfor %}", "<|im_start|>",
                           "{{ '<|im_start|>' + role + '<|im_sep|>' }}",
                           "{{ '<|user|>\\n' + message['content'] + '\\n' }}"
                           "{{ '<|assistant|>\\n' + message['content'] + eos_token }}"}) {
    const Result<ChatTemplate> chat = FindChatTemplate(text);
    INFO(text);
    REQUIRE_FALSE(chat.ok());
    CHECK(chat.status().code == Code::kUnsupported);
    CHECK(std::string(chat.status().what).find("chatml, llama3") != std::string::npos);
  }
}

TEST_CASE("chatml") {
  CHECK(Render(kChatMl, kOne) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  CHECK(Render(kChatMl, kFour) ==
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        "Hello.<|im_end|>\n"
        "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(Render(kChatMl, kAnswered) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n");
  CHECK(Render(kChatMl, kSpaced) ==
        "<|im_start|>user\n  Hi \n<|im_end|>\n<|im_start|>assistant\n Hello. <|im_end|>\n<|im_start|>user\n<|im_end|>\n"
        "<|im_start|>assistant\n");
  CHECK(Render(kQwen2, kOne) ==
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n");
  CHECK(Render(kQwen2, kSystemOne) ==
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  CHECK(Render(kQwen25, kOne).starts_with(
      "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
      "<|im_start|>user\n"));
}

TEST_CASE("llama3 trims and begins with bos") {
  CHECK(Render(kLlama3, kSystemOne, {"<|begin_of_text|>", "<|end_of_text|>"}) ==
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>user"
        "<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  CHECK(Render(kLlama3, kSpaced, {"<B>", "<E>"}) ==
        "<B><|start_header_id|>user<|end_header_id|>\n\n"
        "Hi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello."
        "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
}

TEST_CASE("llama2 puts the system text into the first turn") {
  CHECK(Render(kLlama2, kThree) == "<s>[INST] Hi [/INST] Hello. </s><s>[INST] Who are you? [/INST]");
  CHECK(Render(kLlama2, kFour) ==
        "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] Who? [/INST]");
  CHECK(Render(kLlama2, kSpaced) == "<s>[INST] Hi [/INST] Hello. </s><s>[INST]  [/INST]");
  CHECK(Render(kLlama2, {{kSystem, "S"}, {kUser, " \n"}}) == "<s>[INST] <<SYS>>\nS\n<</SYS>> [/INST]");
  CHECK(Render(kLlama2, {{kSystem, ""}, {kUser, " a "}}) == "<s>[INST] <<SYS>>\n\n<</SYS>>\n\n a [/INST]");
}

TEST_CASE("gemma calls the assistant model, and knows a system text since its third version") {
  const ChatPieces pieces{"<bos>", "<eos>"};
  CHECK(Render(kGemma, kThree, pieces) ==
        "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n<start_of_turn>user\n"
        "Who are you?<end_of_turn>\n<start_of_turn>model\n");
  CHECK(Render(kGemma, kSystemOne, pieces).starts_with("refused: this chat template knows no system role"));
  CHECK(Render(kGemma3, kSystemOne, pieces) ==
        "<bos><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\n");
  CHECK(Render(kGemma3, kSpaced, pieces) ==
        "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n<start_of_turn>user\n"
        "<end_of_turn>\n<start_of_turn>model\n");
}

TEST_CASE("phi3 and zephyr") {
  CHECK(Render(kPhi3, kFour) ==
        "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello.<|end|>\n<|user|>\n"
        "Who?<|end|>\n<|assistant|>\n");
  CHECK(Render(kZephyr, kFour) ==
        "<|system|>\nBe kind.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello.</s>\n<|user|>\nWho?</s>\n<|assistant|>\n");
  CHECK(Render(kZephyr, {{kUser, ""}}) == "<|user|>\n</s>\n<|assistant|>\n");
}

TEST_CASE("mistral, version by version") {
  CHECK(Render(kMistralV0, kThree) == "<s>[INST] Hi [/INST]Hello.</s>[INST] Who are you? [/INST]");
  CHECK(Render(kMistralV01, kThree) == "<s>[INST] Hi [/INST]Hello.</s> [INST] Who are you? [/INST]");
  CHECK(Render(kMistralV0, kSystemOne).starts_with("refused: this chat template knows no system role"));
  CHECK(Render(kMistralV1, kFour) == "<s> [INST] Be kind.\n\nHi [/INST] Hello.</s> [INST] Who? [/INST]");
  CHECK(Render(kMistralV3, kFour) == "<s>[INST] Be kind.\n\nHi[/INST] Hello.</s>[INST] Who?[/INST]");
  CHECK(Render(kMistralV3, kSpaced) == "<s>[INST]   Hi \n[/INST] Hello.</s>[INST] [/INST]");
  CHECK(Render(kMistralV3Tekken, kFour) == "<s>[INST]Be kind.\n\nHi[/INST]Hello.</s>[INST]Who?[/INST]");
  CHECK(Render(kMistralV7, kFour) == "<s>[SYSTEM_PROMPT] Be kind.[/SYSTEM_PROMPT][INST] Hi[/INST] "
                                     "Hello.</s>[INST] Who?[/INST]");
  CHECK(Render(kMistralV7Tekken, kFour) ==
        "<s>[SYSTEM_PROMPT]Be kind.[/SYSTEM_PROMPT][INST]Hi[/INST]Hello.</s>[INST]Who?[/INST]");
}

TEST_CASE("conversations that a template cannot take are refused by message and role") {
  const auto code = [](std::string_view name, const Conversation& messages) {
    return CheckConversation(Find(name), {messages.data(), messages.size()}).code;
  };
  for (const char* name : {"chatml", "llama3", "phi3", "zephyr", "llama2", "gemma", "mistral-v1", "mistral-v7"}) {
    INFO(name);
    CHECK(code(name, {}) == Code::kInvalidArgument);
    CHECK(code(name, {{kUser, "a"}, {kSystem, "b"}}) == Code::kInvalidArgument);
    CHECK(code(name, {{kSystem, "a"}, {kUser, "b"}, {kAnswer, "c"}, {kUser, "d"}}) == Code::kOk);
  }
  for (const char* name : {"llama2", "gemma", "mistral-v0", "mistral-v3"}) {
    INFO(name);
    CHECK(code(name, {{kUser, "a"}, {kUser, "b"}}) == Code::kInvalidArgument);
    CHECK(code(name, {{kAnswer, "a"}}) == Code::kInvalidArgument);
    CHECK(code(name, {{kSystem, "a"}}) == Code::kInvalidArgument);
  }
  CHECK(code("chatml", {{kUser, "a"}, {kUser, "b"}}) == Code::kOk);
}
