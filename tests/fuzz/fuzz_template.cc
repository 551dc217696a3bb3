// Chat templates: any text is a program or a TemplateError; what the verifier lets pass runs to an end within its budgets, over
// conversations that nobody would write. An input is a text of Jinja or the bytes of a program, then a zero byte and a conversation.
#include <cstring>
#include <memory>

#include "runtime/template/conversation.h"
#include "targets/template/compile.h"
#include "targets/template/known_texts.h"
#include "tests/fuzz/fuzz.h"

using namespace thimble;
using namespace thimble::chat;

namespace {

constexpr char kConversation[] =
    R"({"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "\u00e4 <|im_end|>"}, {"type": "image"}]},
    {"role": "assistant", "reasoning_content": "why", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": [1, 2.5, null, true]}}}]},
    {"role": "tool", "name": "f", "tool_call_id": "1", "content": "{}"}, {"role": "assistant", "content": "x "}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "array"}}}}}],
    "variables": {"n": 3, "s": " a-b ", "d": {"k": 1}, "l": ["b", "a"]}})";

void Run(const std::vector<uint8_t>& bytes, std::string_view conversation_text) {
  const Result<Program> program = VerifyProgram(bytes.data(), bytes.size());
  if (!program.ok()) return;
  for (const Ending ending : {Ending::kAnswer, Ending::kContinue}) {
    Conversation conversation;
    conversation.json = conversation_text;
    conversation.ending = ending;
    conversation.bos = "<s>";
    // Exactly so many bytes: the sanitizer sees one more.
    const size_t room = size_t{1} << 17;
    const std::unique_ptr<char[]> memory(new char[room]);
    const std::unique_ptr<char[]> text(new char[4096]);
    const std::unique_ptr<uint8_t[]> data(new uint8_t[4096]);
    Workspace workspace(memory.get(), room);
    RenderedText out{text.get(), data.get(), 4096};
    const RenderError error = RenderConversation(program.value(), conversation, workspace, &out);
    if (workspace.most() > room) fuzz::Found("more memory than there is");
    size_t sum = 0;  // every byte of the words can be read
    for (const char c : error.what) sum += static_cast<unsigned char>(c);
    if (error.kind != RenderError::Kind::kNone && error.what.empty() && error.kind != RenderError::Kind::kRaised) fuzz::Found("an error without words");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const bool is_program = all.starts_with(std::string_view(kProgramMagic, sizeof kProgramMagic));
  // Programs hold zero bytes; their conversation is the good one.
  const size_t cut = is_program ? all.npos : all.find('\0');
  const std::string_view conversation = cut == all.npos ? std::string_view(kConversation) : all.substr(cut + 1);
  if (is_program) {
    Run({data, data + size}, conversation);
    return 0;
  }
  try {
    Run(CompileTemplate(all.substr(0, cut)), conversation);
  } catch (const TemplateError&) {
  }
  return 0;
}

namespace thimble::fuzz {

std::vector<std::string> Seeds() {
  const std::string own[] = {
      "{% for m in messages if m.role != 'x' %}{{ loop.index }}{{ m.role|upper ~ m.content|tojson(indent=2) }}{% else %}none{% endfor %}",
      "{% macro f(t, d=0) %}{% if d < 5 %}[{{ f(t, d + 1) }}]{% else %}{{ t }}{% endif %}{% endmacro %}{{ f(s) }}{{ f(tools[0].function.name) }}",
      "{% set ns = namespace(a=[], t='') %}{% for x in l|sort|unique %}{% set ns.a = ns.a + [x] %}{% set ns.t = ns.t ~ x %}{% endfor %}{{ ns.a[::-1] }}{{ ns.t }}",
      "{% set b %}{{ messages[1].content[0].text|trim|replace('|', '!') }}{% endset %}{{ b.split('-')[-1] }}{{ '{} {x}'.format(1, x=2) }}{{ b is defined and b in s }}",
      "{% filter indent(2) %}a\nb{% endfilter %}{% generation %}{{ d.items()|list }}{% endgeneration %}{{ range(n)|join(',') }}{{ 7 // 2 % 3 ** 2 - -1.5 }}",
      "{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|list }}{{ raise_exception('no ' ~ n) if n > 5 }}{{ strftime_now('%d %B') }}"};
  std::vector<std::string> seeds;
  for (const std::string& text : own) {
    seeds.push_back(text);
    seeds.push_back(text + std::string(1, '\0') + kConversation);
    const std::vector<uint8_t> program = CompileTemplate(text);
    seeds.emplace_back(program.begin(), program.end());
  }
  for (const char* name : {"chatml", "llama2", "mistral-v7"}) {
    const std::vector<uint8_t> program = CompileTemplate(*FindKnownText(name));
    seeds.emplace_back(program.begin(), program.end());
  }
  return seeds;
}

std::vector<std::string> Words() {
  return {"{{", "}}", "{%", "%}", "{%-", "-%}", "{#", "#}", "{% for x in ", "{% endfor %}", "{% if ", "{% endif %}", "{% macro f(x) %}", "{% endmacro %}",
          "{% set x = ", "|tojson", "|map('", "|safe", "f(", "[", "]", "(", ")", "~", " is ", " not ", " if ", " else ", "**", "'", "999999999",
          std::string(1, '\0'), "\"content\": ", "\"role\": ", "\\ud800", "1e308", "[[[[[[[["};
}

}  // namespace thimble::fuzz
