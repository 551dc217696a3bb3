// Template programs against what Jinja makes of the same text: cases of our own for everyone (make_cases.py), those of published
// templates where the larger data are. Damaged programs, and budgets that run out.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "runtime/template/conversation.h"
#include "targets/template/compile.h"
#include "targets/template/json_values.h"

using namespace thimble;
using namespace thimble::chat;

namespace {

namespace fs = std::filesystem;

const fs::path kHere = fs::path(THIMBLE_SOURCE_DIR) / "tests" / "template";
const fs::path kShared = fs::path(THIMBLE_SOURCE_DIR).parent_path() / "shared" / "data" / "chat";

std::string ReadText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Rendered {
  RenderError::Kind kind = RenderError::Kind::kNone;
  std::string text, marked, what;
  size_t workspace = 0;
};

Rendered Render(const std::vector<uint8_t>& program, const std::vector<Member>& variables, size_t bytes = size_t{4} << 20, uint64_t steps = 10'000'000) {
  const Result<Program> verified = VerifyProgram(program.data(), program.size());
  REQUIRE(verified.ok());
  RenderInput input;
  input.variables = variables.data();
  input.count = variables.size();
  input.clock = {2026, 11, 28, 10, 30, 5};
  input.most_steps = steps;
  // Exactly so many bytes: AddressSanitizer sees one more.
  const std::unique_ptr<uint64_t[]> memory(new uint64_t[bytes / 8]);
  Workspace workspace(memory.get(), bytes / 8 * 8);
  Rendered out;
  const TextSink sink = {&out, [](void* user, std::string_view text, bool data) {
                           Rendered& to = *static_cast<Rendered*>(user);
                           to.text += text;
                           to.marked.append(text.size(), data ? 'd' : 't');
                         }};
  const RenderError error = RenderTemplate(verified.value(), input, workspace, sink);
  out.kind = error.kind;
  out.what = error.what;
  out.workspace = workspace.most();
  return out;
}

// A conversation as JSON, by the calls that the C interface makes.
Rendered RenderCase(const std::vector<uint8_t>& program, const std::string& json) {
  const Result<Program> verified = VerifyProgram(program.data(), program.size());
  REQUIRE(verified.ok());
  Conversation conversation;
  conversation.json = json;
  conversation.clock = {2026, 11, 28, 10, 30, 0};
  std::vector<uint64_t> memory(size_t{1} << 19);
  Workspace workspace(memory.data(), memory.size() * sizeof memory[0]);
  std::string text(1 << 20, 0);
  RenderedText out{text.data(), nullptr, text.size()};
  const RenderError error = RenderConversation(verified.value(), conversation, workspace, &out);
  REQUIRE(out.fits());
  Rendered rendered;
  rendered.kind = error.kind;
  rendered.what = error.what;
  rendered.text = text.substr(0, out.bytes);
  rendered.workspace = workspace.most();
  return rendered;
}

std::vector<Member> Variables(JsonValues& values, const Json& json) {
  std::vector<Member> out;
  for (const Json::Member& m : json.members()) out.push_back({Value::Text(m.key, kTemplate), values.Make(m.value)});
  return out;
}

void Set(std::vector<Member>& variables, std::string_view name, const Value& value) {
  for (Member& m : variables) {
    if (m.key.str() == name) {
      m.value = value;
      return;
    }
  }
  variables.push_back({Value::Text(name, kTemplate), value});
}

}  // namespace

TEST_CASE("templates of our own are rendered as Jinja renders them") {
  const Json all = ParseJson(ReadText(kHere / "cases.json"));
  JsonValues values;
  const std::vector<Member> variables = Variables(values, all["variables"]);
  for (const Json& c : all["cases"].items()) {
    INFO(c["template"].as_text());
    const Rendered out = Render(CompileTemplate(c["template"].as_text()), variables);
    INFO(out.what);
    if (const Json* error = c.Find("error")) {
      CHECK(out.kind == (error->is_null() ? RenderError::Kind::kRuntime : RenderError::Kind::kRaised));
      if (!error->is_null()) CHECK(out.what == error->as_text());
    } else {
      CHECK(out.kind == RenderError::Kind::kNone);
      CHECK(out.text == c["text"].as_text());
    }
  }
}

TEST_CASE("conversations are rendered as transformers renders them: continuing, keys, reasoning, words") {
  const Json cases = ParseJson(ReadText(kHere / "conversations.json"));
  for (const Json& c : cases.items()) {
    const Rendered out = RenderCase(CompileTemplate(c["template"].as_text()), JsonText(c));
    INFO(JsonText(c));
    INFO(out.text << " " << out.what);
    const Json* error = c.Find("error");
    if (error == nullptr) {
      CHECK(out.kind == RenderError::Kind::kNone);
      CHECK(out.text == c["text"].as_text());
    } else if ((*error)["kind"] == "raise") {
      CHECK(out.kind == RenderError::Kind::kRaised);
      CHECK(out.what == (*error)["message"].as_text());
    } else {
      CHECK(out.kind == ((*error)["kind"] == "caller" ? RenderError::Kind::kInput : RenderError::Kind::kRuntime));
    }
  }
}

TEST_CASE("published templates are rendered as transformers renders them") {
  if (!fs::exists(kShared / "expected")) SKIP("the published templates are not here: " << kShared.string());
  size_t wrong = 0, cases = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(kShared / "expected")) {
    const std::string name = entry.path().stem().string(), text = ReadText(kShared / "templates" / (name + ".jinja"));
    const Json expected = ParseJson(ReadText(entry.path()));
    const std::vector<uint8_t> program = CompileTemplate(text);
    CHECK(program.size() <= 2 * text.size() + 512);
    for (const Json& c : expected["cases"].items()) {
      const Json* error = c.Find("error");
      // The tokenizer's pieces as variables.
      Json variables = expected["tokens"];
      if (const Json* more = c.Find("variables")) variables.Update(*more);
      Json whole = c;
      whole["variables"] = std::move(variables);
      const Rendered out = RenderCase(program, JsonText(whole));
      ++cases;
      const bool fits = error == nullptr ? out.kind == RenderError::Kind::kNone && out.text == c["text"].as_text()
                        : (*error)["kind"] == "raise" ? out.kind == RenderError::Kind::kRaised && out.what == (*error)["message"].as_text()
                        : (*error)["kind"] == "caller" ? out.kind == RenderError::Kind::kInput
                                                      : out.kind == RenderError::Kind::kRuntime;
      wrong += !fits;
      if (!fits) UNSCOPED_INFO(name << "/" << c["name"].as_text() << ": " << out.what);
    }
  }
  CHECK(cases > 4500);
  CHECK(wrong == 0);
}

TEST_CASE("what stands behind an answer ends a turn") {
  if (!fs::exists(kShared / "templates")) SKIP("the published templates are not here: " << kShared.string());
  const std::pair<const char*, const char*> ends[] = {{"openai-gpt-oss-120b", "<|return|>"},  {"Qwen-Qwen2.5-7B-Instruct", "<|im_end|>"}, {"meta-llama-Llama-3.1-8B-Instruct", "<|eot_id|>"},
                                                      {"google-gemma-2-2b-it", "<end_of_turn>"}, {"gguf-gemma-4", "<turn|>"}, {"lcpp-phi-4", "<|im_end|>"}};
  for (const auto& [name, end] : ends) {
    INFO(name);
    const std::vector<uint8_t> bytes = CompileTemplate(ReadText(kShared / "templates" / (std::string(name) + ".jinja")));
    const Result<Program> program = VerifyProgram(bytes.data(), bytes.size());
    std::vector<uint64_t> memory(1 << 15);
    Workspace workspace(memory.data(), memory.size() * sizeof memory[0]);
    char text[8192];
    RenderedText out{text, nullptr, sizeof text};
    CHECK(BehindAnswer(program.value(), {}, true, workspace, &out).starts_with(end));
  }
}

TEST_CASE("what people wrote stays data, whatever the template does with it; roles are the template's") {
  const Json json = ParseJson(R"({"messages": [{"role": "user", "content": " <|im_end|> "}]})");
  JsonValues values;
  const std::vector<Member> variables = Variables(values, json);
  const auto marks = [&](const char* text) {
    const Rendered out = Render(CompileTemplate(text), variables);
    CHECK(out.kind == RenderError::Kind::kNone);
    CHECK(out.text.size() == out.marked.size());
    return out.marked;
  };
  CHECK(marks("<{{ messages[0].content|trim }}>") == "tddddddddddt");
  CHECK(marks("{{ '<' + messages[0].content.strip() + '>' }}") == "tddddddddddt");
  CHECK(marks("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(messages[0].content[2:4]) }}") == "tddt");
  CHECK(marks("{{ messages[0].content.split('|')[1].upper() ~ 'x' }}") == "ddddddt");
  CHECK(marks("{{ messages[0].content|trim|replace('|', '!') }}") == "dtddddddtd");
  CHECK(marks("{{ '<|' + messages[0].role + '|>' }}") == "tttttttt");
  CHECK(marks("{{ {'a': 1}|tojson }}{{ messages[0].content[1]|tojson }}") == "ttttttttddd");
}

TEST_CASE("templates that are not known are refused with the place") {
  struct Bad {
    const char* text;
    const char* what;
  };
  for (const Bad& bad : {Bad{"a\n {% include 'x' %}", "line 2, column 5: the statement 'include' is not known"}, {"{{ x|nosuch }}", "line 1, column 6: the filter 'nosuch' is not known"},
                         {"{{ x is nosuch }}", "the test 'nosuch' is not known"}, {"{% if x %}", "expected {% elif %}"}, {"{{ x", "a tag without its end"},
                         {"{% endif %}", "the statement 'endif' is not known"}, {"{{ joiner('x')() }}", "line 1, column 10: the function 'joiner' is not known"}, {"{% macro m() %}{{ varargs }}{% endmacro %}", "'varargs' is not known"},
                         {"{% for (a, b), c in x %}{% endfor %}", "names in brackets"}, {"{% if x %}{% for y in z %}{{ y|nosuch }}{% endfor %}{% endif %}", "the filter 'nosuch'"}, {"{% if x %}{{ y|batch(2) }}{% endif %}", "the filter 'batch'"}, {"{% raw %}{{", "{% raw %} without"},
                         {"{{ x.zfill(3) }}", "line 1, column 6: the method 'zfill' is not known"}, {"{{ '{:>3}'.format(x) }}", "a field of format"}, {"{{ x.find('a', 1) }}", "'find' within a part"}, {"{{ '{}{{:'.format(x) }}{{ x|groupby('y') }}", "the filter 'groupby'"}, {"{% break %}", "outside of a loop"},
                         {"{{ [1 }}", "a bracket that does not fit"}, {"{{ 'a }}", "a string without its end"}, {"{# a", "a comment without its end"}}) {
    INFO(bad.text);
    std::string what;
    try {
      CompileTemplate(bad.text);
    } catch (const TemplateError& error) {
      what = error.what();
    }
    INFO(what);
    CHECK(what.find(bad.what) != std::string::npos);
  }
  CHECK_THROWS_AS(CompileTemplate(std::string(kMaxTemplateBytes + 1, 'x')), TemplateError);
  CHECK_THROWS_AS(CompileTemplate("{{ " + std::string(1000, '(') + "1" + std::string(1000, ')') + " }}"), TemplateError);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "{{ 1 }}";
  CHECK_THROWS_AS(CompileTemplate(many), TemplateError);
}

TEST_CASE("budgets that run out are errors of their own") {
  const std::vector<Member> none;
  const auto kind = [&](const char* text, size_t bytes, uint64_t steps) { return Render(CompileTemplate(text), none, bytes, steps).kind; };
  CHECK(kind("{% for i in range(1000) %}{{ i }}{% endfor %}", 1 << 20, 1000) == RenderError::Kind::kSteps);
  CHECK(kind("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", 1 << 20, 1'000'000) == RenderError::Kind::kRuntime);
  const char* const grows = "{% set ns = namespace(s='ab') %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}";
  CHECK(kind(grows, 1 << 20, 10'000'000) == RenderError::Kind::kMemory);
  // A long loop needs no more memory than a short one: what a statement made is given back.
  const std::vector<uint8_t> loop = CompileTemplate("{% for i in range(n) %}{% set x = 'a' ~ i %}{{ x ~ 'b' }}{% endfor %}");
  std::vector<Member> variables;
  Set(variables, "n", Value::Int(10));
  const size_t few = Render(loop, variables).workspace;
  Set(variables, "n", Value::Int(1000));
  CHECK(Render(loop, variables).workspace < few + 1000 * sizeof(Value) + 256);
}

TEST_CASE("what lies too deeply in each other is an error, whatever the stack") {
  std::string deep = "{% macro f(n) %}";
  for (int i = 0; i < 14; ++i) deep += "{% if n %}";
  deep += "{{ " + std::string(30, '[') + "f(n)" + std::string(30, ']') + " }}";
  for (int i = 0; i < 14; ++i) deep += "{% endif %}";
  deep += "{% endmacro %}{{ f(1) }}";
  const Rendered ran = Render(CompileTemplate(deep), {});
  CHECK(ran.kind == RenderError::Kind::kRuntime);
  CHECK(ran.what == "what is nested too deeply");
  const auto refused = [](const std::string& text) {
    try {
      CompileTemplate(text);
    } catch (const TemplateError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refused("{{ " + std::string(10'000, '-') + "1 }}") == "line 1, column 131: an expression that is nested too deeply");
  std::string nots = "{{ ";
  for (int i = 0; i < 5'000; ++i) nots += "not ";
  CHECK(refused(nots + "1 }}").find("an expression that is nested too deeply") != std::string::npos);
  std::string ifs;
  for (int i = 0; i < 2'000; ++i) ifs += "{% if 1 %}";
  CHECK(refused(ifs).find("statements that are nested too deeply") != std::string::npos);
}

TEST_CASE("JSON is read as Python reads it") {
  const auto printed = [](const std::string& json) {
    const Rendered out = RenderCase(CompileTemplate("{{ x }}"), "{\"messages\": [], \"variables\": {\"x\": " + json + "}}");
    return out.kind == RenderError::Kind::kNone ? out.text : std::string(out.what);
  };
  CHECK(printed(R"([1, -2.50, 1e3, 1E-7, 12345678901, true, null, "a", {"b": []}])") == "[1, -2.5, 1000.0, 1e-07, 12345678901, True, None, 'a', {'b': []}]");
  CHECK(printed(R"("\u00e4\ud83d\ude00\"\\\/\n\ud800x")") == "\xc3\xa4\xf0\x9f\x98\x80\"\\/\n\xef\xbf\xbdx");
  CHECK(printed(R"({"a": 1, "b": 2, "a": 3})") == "{'a': 3, 'b': 2}");
  for (const char* bad : {"[1,]", "{1: 2}", "01", "1.", "-", "nul", "\"a", "\"\\x\"", "\"\\u12g4\"", "[1 2]", "{\"a\" 1}", "\"\t\"", "1 1", ""}) {
    INFO(bad);
    CHECK(printed(bad).find("conversation: JSON: ") == 0);
  }
  CHECK(printed(std::string(100, '[') + std::string(100, ']')).find("nested too deeply") != std::string::npos);
}

TEST_CASE("damaged programs are refused or do something, and no more") {
  const Json all = ParseJson(ReadText(kHere / "cases.json"));
  JsonValues values;
  const std::vector<Member> variables = Variables(values, all["variables"]);
  uint64_t state = 7;
  const auto random = [&state](size_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % below;
  };
  size_t ran = 0;
  for (const Json& c : all["cases"].items()) {
    const std::vector<uint8_t> good = CompileTemplate(c["template"].as_text());
    for (size_t length = 0; length < good.size(); ++length) {
      const std::vector<uint8_t> cut(good.begin(), good.begin() + static_cast<ptrdiff_t>(length));
      CHECK_FALSE(VerifyProgram(cut.data(), cut.size()).ok());
    }
    for (int round = 0; round < 200; ++round) {
      std::vector<uint8_t> bad = good;
      for (size_t n = 1 + random(3); n > 0; --n) bad[random(bad.size())] = static_cast<uint8_t>(random(256));
      if (!VerifyProgram(bad.data(), bad.size()).ok()) continue;
      ++ran;
      Render(bad, variables, 1 << 16, 20'000);
    }
  }
  CHECK(ran > 1000);
}
