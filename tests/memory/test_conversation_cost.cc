// What a long conversation costs: a hundred turns with tools are rendered and tokenised in the memory that was given, without a call of the
// allocator or for a file, and rendering costs less than tokenising what comes out.
#include <time.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tests/memory/interposers.h"
#include "tests/support/call.h"
#include "tests/support/conversation.h"
#include "tests/support/model_zoo.h"
#include "tests/support/turn_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// With what the templates of models that call tools do.
constexpr char kTools[] = R"({%- macro typed(schema) %}{{ schema.type }}{%- if schema.enum %} of {{ schema.enum|join(', ') }}{%- endif %}{%- endmacro %}
{{- '<|im_start|>system\n' }}
{%- if messages[0].role == 'system' %}{{- messages[0].content + '\n\n' }}{%- endif %}
{{- 'Today is ' ~ strftime_now('%d %B %Y') ~ '.\n' }}
{%- if tools %}
  {{- '# Tools\n<tools>' }}
  {%- for tool in tools %}
    {{- '\n' ~ tool|tojson }}
    {%- for name, schema in tool.function.parameters.properties|items %}{{- '\n' ~ name ~ ': ' ~ typed(schema) }}{%- endfor %}
  {%- endfor %}
  {{- '\n</tools>' }}
{%- endif %}
{{- '<|im_end|>\n' }}
{%- set ns = namespace(last=0) %}
{%- for message in messages %}{%- if message.role == 'user' and not (message.content|trim).startswith('<tool_response>') %}{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}
{%- for message in messages %}
  {%- set content = message.content if message.content is string else '' %}
  {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
    {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}
  {%- elif message.role == 'assistant' %}
    {{- '<|im_start|>assistant\n' }}
    {%- if message.reasoning_content and loop.index0 > ns.last %}{{- '<think>\n' + message.reasoning_content.strip('\n') + '\n</think>\n\n' }}{%- endif %}
    {{- content }}
    {%- for call in message.tool_calls or [] %}
      {{- '\n<tool_call>\n{"name": "' ~ call.function.name ~ '", "arguments": ' ~ call.function.arguments|tojson ~ '}\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\n' }}
  {%- elif message.role == 'tool' %}
    {%- if loop.first or loop.previtem.role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}
    {{- '\n<tool_response>\n' + content + '\n</tool_response>' }}
    {%- if loop.last or loop.nextitem.role != 'tool' %}{{- '<|im_end|>\n' }}{%- endif %}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %})";

std::string ToolList() {
  std::string tools = "[";
  for (int i = 0; i < 4; ++i) {
    tools += (i == 0 ? "" : ", ") + std::string(R"({"type": "function", "function": {"name": "tool_)") + std::to_string(i) +
             R"(", "description": "Looks something up, and says what it found.", "parameters": {"type": "object", "properties": {
               "place": {"type": "string", "description": "A town"}, "days": {"type": "integer", "minimum": 0},
               "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}, "required": ["place"]}}})";
  }
  return tools + "]";
}

}  // namespace

TEST_CASE("a hundred turns with tools are rendered in the memory that was given, in less time than tokenising takes", "[slow]") {
  const AlignedBytes bytes(ZooEntry("none_on_write").Bytes());
  thimble_model* model = nullptr;
  REQUIRE(Call(thimble_model_open_memory, bytes.data(), bytes.size(), &model).code == 0);
  const std::vector<uint8_t> program = chat::CompileTemplate(kTools);
  CHECK(program.size() <= 2 * sizeof kTools + 512);
  const std::string tools = ToolList();
  std::vector<thimble_chat_message> messages;
  const auto add = [&](const char* role, const char* text) -> thimble_chat_message& {
    thimble_chat_message m = Sized<thimble_chat_message>();
    m.role = role, m.text = text, m.text_bytes = static_cast<uint32_t>(std::char_traits<char>::length(text));
    messages.push_back(m);
    return messages.back();
  };
  for (int turn = 0; turn < 100; ++turn) {
    add("user", "What will the weather be like in Z\xc3\xbcrich tomorrow, and should I take an umbrella?");
    if (turn % 4 == 0) {
      add("assistant", "").tool_calls = R"([{"id": "1", "type": "function", "function": {"name": "tool_0", "arguments": {"place": "Z\u00fcrich", "days": 1}}}])";
      add("tool", R"({"sky": "clear", "t": -1.5})").name = "tool_0";
    }
    add("assistant", "It will be clear and cold: leave the umbrella at home, and take a warm coat.").reasoning = "The sky is clear.";
  }
  add("user", "Thanks!");
  thimble_conversation c = Sized<thimble_conversation>();
  c.messages = messages.data(), c.message_count = messages.size();
  c.tools = tools.c_str();
  c.program = program.data(), c.program_bytes = program.size();
  size_t need = 0, text_bytes = 0, count = 0;
  REQUIRE(Call(thimble_chat_workspace, model, &c, &need).code == 0);
  const std::unique_ptr<char[]> workspace(new char[need]);
  std::string text(1 << 16, 0);
  std::vector<int32_t> ids(1 << 16);
  const auto render = [&] {
    return Call(thimble_chat_render, model, &c, static_cast<void*>(workspace.get()), need, text.data(), nullptr, text.size(), &text_bytes).code;
  };

  const Counts before = CountsNow();
  const int32_t rendered = render();
  const int32_t tokenised = Call(thimble_chat_tokenize, model, &c, static_cast<void*>(workspace.get()), need, ids.data(), ids.size(), &count).code;
  const Counts used = CountsNow() - before;
  REQUIRE((rendered == 0 && tokenised == 0));
  CHECK((used.allocations == 0 && used.frees == 0 && used.mappings == 0 && used.files == 0));
  CHECK(text_bytes > 20'000);
  CHECK(need < 40 * text_bytes);

  // Sanitizers cost the one more than the other.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // Processor time, and the best of several: others use this machine, too.
  const auto seconds = [](const auto& work) {
    double best = 1e9;
    for (int i = 0; i < 20; ++i) {
      timespec from, to;
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
      work();
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
      best = std::min(best, static_cast<double>(to.tv_sec - from.tv_sec) + 1e-9 * static_cast<double>(to.tv_nsec - from.tv_nsec));
    }
    return best;
  };
  const double rendering = seconds(render);
  const double tokenising = seconds([&] {
    return Call(thimble_tokenize, model, nullptr, text.data(), text_bytes, uint32_t{THIMBLE_PARSE_SPECIAL}, ids.data(), ids.size(), &count).code;
  });
  INFO("rendering " << 1e6 * rendering << " us, tokenising " << 1e6 * tokenising << " us, " << text_bytes << " bytes, workspace " << need);
  CHECK(rendering < tokenising);
#endif
  thimble_model_close(model);
}

TEST_CASE("a turn with reasoning, calls and tools takes nothing from the system") {
  const AlignedBytes bytes(TurnModel().Bytes());
  thimble_model* model = nullptr;
  thimble_session* session = nullptr;
  REQUIRE(Call(thimble_model_open_memory, bytes.data(), bytes.size(), &model).code == 0);
  ApiOptions options;
  options.max_text_bytes = 4096;
  REQUIRE(Call(thimble_session_create, model, &options, &session).code == 0);
  Conversation conversation(kAsked);
  conversation->tools = R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "array"}}}}}])";
  Script script{std::string(kSaid) + "<call>{\"name\": f}</call>" + kSaid};
  thimble_generation generation = Sized<thimble_generation>();
  generation.conversation = conversation.get();
  generation.hook = Script::Hook, generation.hook_user = &script;
  std::vector<char> memory(size_t{1} << 15);
  size_t kinds[THIMBLE_PART_END + 1] = {};
  const auto count = [](void* user, const thimble_turn_part* part) -> int32_t { return ++static_cast<size_t*>(user)[part->kind] > 0; };
  thimble_turn* turn = nullptr;
  auto event = Sized<thimble_event>();

  const Counts before = CountsNow();
  thimble_error error = Call(thimble_turn_start, session, &generation, static_cast<void*>(memory.data()), memory.size(), &turn);
  while (error.code == THIMBLE_OK && event.end == THIMBLE_END_NOT_YET) {
    error = Call(thimble_turn_next, turn, static_cast<thimble_part_fn>(count), static_cast<void*>(kinds), &event);
  }
  const Counts used = CountsNow() - before;

  INFO(error.message);
  REQUIRE(error.code == THIMBLE_OK);
  CHECK((used.allocations == 0 && used.frees == 0 && used.mappings == 0 && used.files == 0));
  CHECK((kinds[THIMBLE_PART_CALL] == 2 && kinds[THIMBLE_PART_BROKEN_CALL] == 1 && kinds[THIMBLE_PART_REASONING] > 0 && kinds[THIMBLE_PART_END] == 1));
  thimble_session_close(session);
  thimble_model_close(model);
}
