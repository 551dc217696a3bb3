// How answers are read: descriptions derived from small templates of every style, and from published ones where these are, read back
// whole, byte by byte and in random pieces; broken calls; random bytes.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>

#include "targets/template/compile.h"
#include "targets/template/derive.h"
#include "targets/template/json_values.h"
#include "targets/template/probe.h"
#include "targets/template/read_answer.h"
#include "targets/template/text_cuts.h"
#include "tests/template/answer_styles.h"

using namespace thimble;
using namespace thimble::chat;

namespace {

namespace fs = std::filesystem;

const fs::path kShared = fs::path(THIMBLE_SOURCE_DIR).parent_path() / "shared" / "data" / "chat";

std::string ReadText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

AnswerFormat FormatOf(const DerivedAnswer& derived) {
  const Result<AnswerFormat> format = VerifyAnswerFormat(derived.bytes.data(), derived.bytes.size());
  REQUIRE(format.ok());
  return format.value();
}

struct Derived {
  std::vector<uint8_t> program;
  Json variables;
  DerivedAnswer answer;
  AnswerFormat format;
};

Derived Derive(const std::string& text, const Json& variables) {
  Derived d = {CompileTemplate(text), variables, {}, {}};
  d.answer = DeriveAnswer(d.program, variables);
  d.format = FormatOf(d.answer);
  return d;
}

// In the way in which the template wants them, or with arguments as a text, as OpenAI's interface has them.
Json CallMessage(const AnswerFormat& f, const std::vector<ReadCallText>& calls, bool as_text = false) {
  Json message = {{"role", "assistant"}};
  if (f.null_content) message["content"] = nullptr;
  else if (!f.no_content) message["content"] = "";
  message["tool_calls"] = Json::Array();
  for (const ReadCallText& call : calls) {
    const Json arguments = f.arguments_as_text || as_text ? Json(JsonText(call.arguments)) : call.arguments;
    const std::string number = std::to_string(message["tool_calls"].size());
    message["tool_calls"].Push({{"id", f.name_in_id ? "functions." + call.name + ":" + number : "call0000" + number}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", arguments}}}});
  }
  return message;
}

// What the template writes for an answer, from its lead on.
std::optional<std::string> Written(const Derived& d, const Json& answer, const Json& more) {
  const Prober prober(d.program, d.variables);
  const std::optional<std::string> all = prober.Render(Json::Array({Prober::User(Prober::kAsk), answer}), false, more);
  if (!all || all->rfind(Prober::kAsk) == all->npos) return std::nullopt;
  const std::string behind(Behind(*all, Prober::kAsk));
  const std::string_view lead = Trimmed(d.format.lead);
  if (const size_t place = lead.empty() ? behind.npos : behind.find(lead); place != behind.npos) return behind.substr(place + lead.size());
  const std::optional<std::string> prompt = prober.Render(Json::Array({Prober::User(Prober::kAsk)}), true, more);
  return prompt ? behind.substr(CommonStart(behind, Behind(*prompt, Prober::kAsk)).size()) : behind;
}

ReadAnswerText ReadInRandomPieces(const AnswerFormat& format, std::string_view answer, const Value* tools, std::mt19937& random) {
  ReadAnswerText read;
  std::string arguments;
  struct To {
    ReadAnswerText* read;
    std::string* arguments;
  } to = {&read, &arguments};
  const AnswerSink sink = {&to, [](void* user, const AnswerEvent& event) {
                             const To& out = *static_cast<To*>(user);
                             if (event.kind == AnswerEvent::Kind::kText) out.read->text += event.text;
                             if (event.kind == AnswerEvent::Kind::kCall) out.arguments->clear(), out.read->calls.push_back({std::string(event.text), {}});
                             if (event.kind == AnswerEvent::Kind::kArguments) *out.arguments += event.text;
                             if (event.kind == AnswerEvent::Kind::kCallEnd) out.read->calls.back().arguments = ParseJson(*out.arguments);
                           }};
  std::vector<char> buffer(8192);
  AnswerParser parser(format, buffer.data(), buffer.size(), sink, tools);
  parser.Begin("");
  while (!answer.empty()) {
    const size_t n = std::min<size_t>(answer.size(), 1 + random() % 9);
    parser.Feed(answer.substr(0, n));
    answer.remove_prefix(n);
  }
  parser.Finish();
  return read;
}

const Json kTools = ParseJson(R"([
  {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": {"type": "object", "properties": {
    "place": {"type": "string", "description": "City"}, "days": {"type": "integer"}, "unit": {"type": "string"}}, "required": ["place"]}}},
  {"type": "function", "function": {"name": "book_table", "description": "Books.", "parameters": {"type": "object", "properties": {
    "guest": {"type": "object", "properties": {}}, "dishes": {"type": "array", "items": {"type": "object"}}, "tags": {"type": "array", "items": {"type": "string"}},
    "when": {"anyOf": [{"type": "string"}, {"type": "number"}]}, "outside": {"type": "boolean"}}, "required": ["guest"]}}}])");
const ReadCallText kWeather = {"get_weather", ParseJson(R"({"place": "Z\u00fcrich \"HB\" 12", "days": 3, "unit": "7"})")};
const ReadCallText kEmpty = {"get_weather", Json::Object()};
const ReadCallText kBook = {"book_table", ParseJson(R"({"guest": {"name": "Ana <b>", "age": 31, "address": {"city": "S\u00e3o \u6f22", "zip": "01\\n"}}, "dishes": [{"dish": "soup", "count": 1.5},
    {"dish": "rice", "count": 2}], "tags": [], "when": 1e21, "outside": true})")};

struct ListsOfCalls {
  size_t written = 0, read_back = 0;
};

// Every list of calls that the template writes is read back, however it is cut.
ListsOfCalls ReadBack(const Derived& d, bool as_text) {
  std::mt19937 random(7);
  JsonValues values;
  const Value tools = values.Make(kTools);
  ListsOfCalls lists;
  for (const std::vector<ReadCallText>& calls : std::vector<std::vector<ReadCallText>>{{kWeather}, {kEmpty}, {kBook}, {kWeather, kBook}, {kEmpty, kBook, kWeather}}) {
    std::optional<std::string> answer = Written(d, CallMessage(d.format, calls, as_text), {{"tools", kTools}});
    if (!answer) answer = Written(d, CallMessage(d.format, calls, as_text), {});
    if (!answer) continue;
    // Some write the first one only.
    if (calls.size() > 1 && answer->find(calls[1].name, answer->find(calls[0].name) + 1) == answer->npos) continue;
    // One family's template ends the turn behind the second call, and again behind the third.
    if (const size_t end = answer->find(d.format.end_count > 0 ? d.format.ends[0] : "\xff"); calls.size() > 2 && answer->find(kWeather.name, end) != answer->npos) continue;
    ++lists.written;
    const ReadAnswerText whole = ReadAnswer(d.format, "", *answer, &tools);
    const bool read = whole.broken.empty() && whole.calls == calls && whole.text.empty() && ReadAnswer(d.format, "", *answer, &tools, 1).calls == calls &&
                      ReadInRandomPieces(d.format, *answer, &tools, random).calls == calls;
    lists.read_back += read;
    if (!read) UNSCOPED_INFO(*answer << "\nread as " << whole.calls.size() << " calls, " << whole.broken << ", text " << whole.text);
  }
  return lists;
}

}  // namespace

TEST_CASE("from small templates of every style is derived how their answers are read") {
  const Json variables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  for (const AnswerStyle& style : kAnswerStyles) {
    INFO(style.name);
    const Derived d = Derive(style.text, variables);
    CHECK(AnswerText(d.format) == style.derived);
    CHECK((d.answer.calls ? d.answer.why.empty() : d.answer.why == "the template writes no tool calls"));
    if (!d.answer.calls) continue;
    const ListsOfCalls lists = ReadBack(d, false);
    CHECK(lists.written >= 3);
    CHECK(lists.read_back == lists.written);
  }
}

TEST_CASE("from published templates is derived how their answers are read") {
  if (!fs::exists(kShared / "templates")) SKIP("the published templates are not here: " << kShared.string());
  const Json origins = ParseJson(ReadText(kShared / "origins.json"));
  size_t derived = 0, texts = 0;
  std::set<std::string> unread;
  std::map<std::string, std::string> others;
  for (const fs::directory_entry& entry : fs::directory_iterator(kShared / "templates")) {
    const std::string name = entry.path().stem().string();
    INFO(name);
    Json variables = origins[name]["tokens"];
    if (const Json* more = origins[name].Find("variables")) variables.Update(*more);
    const Derived d = Derive(ReadText(entry.path()), variables);
    if (d.answer.calls) {
      ++derived;
      const ListsOfCalls lists = ReadBack(d, false);
      CHECK(lists.written >= 3);
      CHECK(lists.read_back == lists.written);
      const ListsOfCalls with_texts = ReadBack(d, true);
      texts += with_texts.written > 0;
      if (with_texts.read_back != with_texts.written) unread.insert(name);
    } else if (d.answer.why != "the template writes no tool calls") {
      others[name] = d.answer.why;
    }
  }
  // The table is in targets/template/README.md.
  CHECK(derived == 38);
  // The 11 others raise where arguments are a text. Gemma 4 sets it between the braces of its own notation, Kimi K3 apart from fields.
  CHECK(texts == 27);
  CHECK(unread == std::set<std::string>{"Kimi-K3", "gguf-gemma-4", "google-gemma-4-31B-it-interleaved"});
  CHECK(others == std::map<std::string, std::string>{
                      {"CohereForAI-c4ai-command-r-plus-tool_use", "how a tool call is written does not fit a description"},
                      {"lcpp-yandex-YandexGPT-5-Lite-8B-instruct", "the template does not write a question and its answer"}});
}

TEST_CASE("arguments may be a text that holds an object") {
  AnswerDraft draft;
  draft.calls = true;
  draft.call = {{Part::kText, "<call>"}, {Part::kObject}, {Part::kText, "</call>"}};
  draft.name_key = "name";
  draft.arguments_key = "arguments";
  const auto read = [&](const std::string& arguments, bool python = false) {
    draft.python = python;
    const std::vector<uint8_t> bytes = WriteAnswerFormat(draft);
    const AnswerFormat f = VerifyAnswerFormat(bytes.data(), bytes.size()).value();
    const std::string answer = "<call>{\"name\": \"f\", \"arguments\": " + arguments + "}</call>";
    const ReadAnswerText whole = ReadAnswer(f, "", answer, nullptr), cut = ReadAnswer(f, "", answer, nullptr, 1);
    CHECK(whole.calls == cut.calls);
    CHECK(whole.broken == cut.broken);
    return whole.calls.empty() ? whole.broken : JsonText(whole.calls[0].arguments);
  };
  // Of any object, as JSON and as Python print the text that JSON has of it.
  for (const Json& object : {kWeather.arguments, kEmpty.arguments, kBook.arguments, ParseJson(R"({"\\\"'": ["\\", "\"\"", "'", "\b\u0007/", "\\n", true, null, -1.5e-7], "{": {"}": []}})")}) {
    INFO(JsonText(object));
    CHECK(read(JsonText(Json(JsonText(object)))) == JsonText(object));
    CHECK(read(JsonText(Json(JsonText(object, 2)))) == JsonText(object));  // in lines
    CHECK(read(JsonText(Json(JsonText(object)), -1, true)) == JsonText(object));
    CHECK(read(JsonText(Json(JsonText(object, -1, true)), -1, true)) == JsonText(object));
    std::string repr = "'";
    for (const char c : JsonText(object)) repr += c == '\\' ? "\\\\" : c == '\'' ? "\\'" : std::string(1, c);
    CHECK(read(repr + "'", true) == JsonText(object));
  }
  CHECK(read("\"\"") == "{}");
  CHECK(read("\" \"") == "{}");
  CHECK(read("\"\\n\"") == "{}");
  for (const char* none : {R"("a")", R"("{")", R"("{a: 1}")", R"("[1]")", R"("{} {}")", R"("{\"a\": 1")", R"("{\"a: 1}")", R"("{\"a\": \"b}")", R"("{'a': 1}")"}) {
    INFO(none);
    CHECK(read(none) == "arguments that are no object");
  }
  // Where they stand alone.
  draft.call = {{Part::kText, "<call>"}, {Part::kName}, {Part::kText, "<args>"}, {Part::kValue}, {Part::kText, "</call>"}};
  const std::vector<uint8_t> bytes = WriteAnswerFormat(draft);
  const AnswerFormat f = VerifyAnswerFormat(bytes.data(), bytes.size()).value();
  for (const size_t cut : {size_t{0}, size_t{1}}) {
    CHECK(ReadAnswer(f, "", "<call>f<args>" + JsonText(Json(JsonText(kBook.arguments))) + "</call>", nullptr, cut).calls == std::vector<ReadCallText>{{"f", kBook.arguments}});
  }
}

TEST_CASE("an answer is told as text, reasoning, calls and its end") {
  AnswerDraft draft;
  draft.lead = "<|a|>\n";
  draft.reasoning_open = "<think>";
  draft.reasoning_close = "</think>";
  draft.ends = {"<|e|>"};
  draft.calls = true;
  draft.call = {{Part::kText, "<call>\n"}, {Part::kObject}, {Part::kText, "\n</call>"}};
  draft.name_key = "name";
  draft.arguments_key = "arguments";
  const std::vector<uint8_t> bytes = WriteAnswerFormat(draft);
  const AnswerFormat f = VerifyAnswerFormat(bytes.data(), bytes.size()).value();
  const std::string call = "<call>{\"arguments\": {\"a\": [1]}, \"name\":\"f\"}</call>";
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{3}}) {
    ReadAnswerText r = ReadAnswer(f, "<|u|>x<|e|><|a|>\n", "<think>\nhm\n</think>\n\n so <b> </call> it is.\n" + call + "\n" + call + "<|e|>\nrest", nullptr, cut);
    CHECK(r.reasoning == "hm");
    CHECK(r.text == "so <b> </call> it is.");
    CHECK(r.calls == std::vector<ReadCallText>{{"f", ParseJson(R"({"a": [1]})")}, {"f", ParseJson(R"({"a": [1]})")}});
    CHECK(r.ended);
    CHECK(r.broken.empty());
    // The prompt has opened it.
    r = ReadAnswer(f, "<|u|>x<|e|><|a|>\n<think>\n", "hm</think>yes", nullptr, cut);
    CHECK(r.reasoning == "hm");
    CHECK(r.text == "yes");
    CHECK(!r.ended);
    // And closed it again; <think> in a text is text.
    r = ReadAnswer(f, "<|a|>\n<think>\n\n</think>\n\n", "a <think> b<|e", nullptr, cut);
    CHECK(r.reasoning == "");
    CHECK(r.text == "a <think> b<|e");
    // What the prompt says already is not told.
    CHECK(ReadAnswer(f, "<|a|>\nOf all", " things <|e|>", nullptr, cut).text == " things");
    // Broken calls are told, and what stands behind them is read.
    r = ReadAnswer(f, "", "so<call>{\"name\": \"f\", \"arguments\": {a}}</call>" + call + "<|e|>", nullptr, cut);
    CHECK(r.broken == "a tool call that is no JSON");
    CHECK(r.calls.size() == 1);
    CHECK(r.text == "so");
    r = ReadAnswer(f, "", "<call>{\"name\": \"f\", \"argum", nullptr, cut);
    CHECK(r.broken == "a tool call that ends too early");
    r = ReadAnswer(f, "", "<call>{\"nam\": \"f\"}</call>", nullptr, cut);
    CHECK(r.broken == "a tool call without a name");
    // What closes it may be missing at the end, and arguments are an empty object where there are none.
    r = ReadAnswer(f, "", "<call>{\"name\": \"f\"}<|e|>", nullptr, cut);
    CHECK(r.calls == std::vector<ReadCallText>{{"f", Json::Object()}});
    CHECK(r.ended);
  }
  // Without a description all is text.
  CHECK(ReadAnswer({}, "", "<think>a<|e|>", nullptr).text == "<think>a<|e|>");
}

TEST_CASE("sections that say their names may have others, and calls in their heads") {
  const auto style = std::find_if(std::begin(kAnswerStyles), std::end(kAnswerStyles), [](const AnswerStyle& s) { return std::string_view(s.name).starts_with("channels"); });
  const Derived d = Derive(style->text, Json::Object());
  const std::string prompt = "<|start|>user<|message|>x<|end|><|start|>assistant";
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{7}}) {
    ReadAnswerText r = ReadAnswer(d.format, prompt, "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>I look.<|end|><|start|>assistant"
                                                    "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>", nullptr, cut);
    CHECK(r.reasoning == "hm");
    CHECK(r.text == "I look.");
    CHECK(r.calls == std::vector<ReadCallText>{{"f", {{"a", 1}}}});
    CHECK(r.broken.empty());
    CHECK(r.ended);
    r = ReadAnswer(d.format, prompt, "<|channel|>final<|message|>a <|x|> b<|return|>", nullptr, cut);
    CHECK(r.text == "a <|x|> b");
    CHECK(r.ended);
  }
}

TEST_CASE("where nothing marks a call, what is none is text") {
  for (const char* name : {"nothing but an object", "calls as Python writes them, and nothing marks them", "a bare list of objects"}) {
    const auto style = std::find_if(std::begin(kAnswerStyles), std::end(kAnswerStyles), [&](const AnswerStyle& s) { return std::string_view(s.name) == name; });
    const Derived d = Derive(style->text, Json::Object());
    for (const std::string text : {"[see above](https://x.y/z) is {it}", "{\"a\": 1} is no call", "[1, 2]", "[f (1)]", "a [f(x=1)]", "[{\"a\": 2}, 3]", "{", "["}) {
      INFO(name << ": " << text);
      for (const size_t cut : {size_t{0}, size_t{1}}) {
        const ReadAnswerText r = ReadAnswer(d.format, "", text + "<|e|>", nullptr, cut);
        CHECK(r.text == text);
        CHECK(r.calls.empty());
        CHECK(r.broken.empty());
        CHECK(r.ended);
      }
    }
  }
}

TEST_CASE("a field is a text where the schema says so, else what it is") {
  AnswerDraft draft;
  draft.calls = true;
  draft.call = {{Part::kText, "<f="}, {Part::kName}, {Part::kText, ">"}, {Part::kFields}, {Part::kText, "</f>"}};
  draft.field = {{Part::kText, "<p="}, {Part::kKey}, {Part::kText, ">\n"}, {Part::kRaw}, {Part::kText, "\n</p>\n"}};
  draft.raw_open = "<![CDATA[";
  draft.raw_close = "]]>";
  const std::vector<uint8_t> bytes = WriteAnswerFormat(draft);
  const AnswerFormat f = VerifyAnswerFormat(bytes.data(), bytes.size()).value();
  JsonValues values;
  const Json schema = ParseJson(R"([{"type": "function", "function": {"name": "f", "parameters": {"properties": {"s": {"type": "string"}, "n": {"type": "number"}}}}}])");
  const Value tools = values.Make(schema);
  const auto value = [&](const std::string& key, const std::string& text) {
    const ReadAnswerText r = ReadAnswer(f, "", "<f=f><p=" + key + ">\n" + text + "\n</p>\n</f>", &tools, 1);
    REQUIRE(r.calls.size() == 1);
    return r.calls[0].arguments[key];
  };
  CHECK(value("s", "12") == "12");
  CHECK(value("n", "12") == Json(12));
  CHECK(value("other", "[1, {\"a\": null}]") == ParseJson("[1, {\"a\": null}]"));
  CHECK(value("other", "True") == "True");
  CHECK(value("other", "12 pm") == "12 pm");
  CHECK(value("other", "\"12\"") == "\"12\"");
  CHECK(value("other", "") == "");
  CHECK(value("s", "\n  two\nlines \n") == "\n  two\nlines \n");
  // A text may hold what closes it.
  CHECK(value("s", "a</p> b\n</p>\nc") == "a</p> b\n</p>\nc");
  CHECK(value("other", "<![CDATA[1 < 2]]>") == "1 < 2");
}

TEST_CASE("a call that is longer than the buffer is a broken one, and the rest of it is not told as text") {
  AnswerDraft draft;
  draft.ends = {"<|e|>"};
  draft.calls = true;
  draft.call = {{Part::kText, "[CALL]"}, {Part::kName}, {Part::kText, "[ARGS]"}, {Part::kValue}, {Part::kText, "[/CALL]"}};
  const std::vector<uint8_t> bytes = WriteAnswerFormat(draft);
  const AnswerFormat f = VerifyAnswerFormat(bytes.data(), bytes.size()).value();
  std::string told;
  const AnswerSink sink = {&told, [](void* user, const AnswerEvent& event) {
                             std::string& to = *static_cast<std::string*>(user);
                             if (event.kind == AnswerEvent::Kind::kBrokenCall) to += std::string("broken: ") + event.why + ";";
                             else to += event.text;
                           }};
  std::vector<char> buffer(kMinAnswerBuffer);
  AnswerParser parser(f, buffer.data(), buffer.size(), sink);
  parser.Begin("");
  parser.Feed("[CALL]f[ARGS]{\"a\": \"" + std::string(5000, 'x') + "\"}[/CALL] and [CALL]g[ARGS]{}[/CALL]<|e|>");
  CHECK(parser.ended());
  CHECK(told == "broken: a tool call that is longer than the buffer;andg{}");
}

TEST_CASE("damaged descriptions are refused or read, and no answer does harm") {
  std::mt19937 random(3);
  const Json variables = {{"eos_token", "</s>"}};
  std::vector<std::vector<uint8_t>> seeds;
  for (const AnswerStyle& style : kAnswerStyles) seeds.push_back(DeriveAnswer(CompileTemplate(style.text), variables).bytes);
  size_t read = 0;
  for (int round = 0; round < 4000; ++round) {
    std::vector<uint8_t> bytes = seeds[random() % seeds.size()];
    for (unsigned n = random() % 4; n > 0; --n) bytes[random() % bytes.size()] = static_cast<uint8_t>(random() % 3 == 0 ? random() : random() % 12);
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    // Exactly so many bytes: AddressSanitizer sees one more.
    const std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size() + 1]);
    std::copy(bytes.begin(), bytes.end(), exact.get());
    const Result<AnswerFormat> format = VerifyAnswerFormat(exact.get(), bytes.size());
    if (!format.ok()) continue;
    ++read;
    // Words of the description itself, in any order.
    std::string answer;
    while (answer.size() < 300) {
      if (random() % 3 == 0) {
        static constexpr const char* kWords[] = {"{\"name\": \"f\", \"arguments\": {\"a\": [1, \"x\"]}}", "{", "}", "\"", "name", " ", "\n", "<", ">", "{\"a\": 1}", "\\", "null", "'"};
        answer += kWords[random() % std::size(kWords)];
      } else {
        const size_t from = random() % bytes.size();
        answer.append(reinterpret_cast<const char*>(exact.get()) + from, std::min<size_t>(bytes.size() - from, random() % 24));
      }
    }
    std::vector<char> buffer(kMinAnswerBuffer);
    size_t ends = 0;
    const AnswerSink sink = {&ends, [](void* user, const AnswerEvent& event) { *static_cast<size_t*>(user) += event.kind == AnswerEvent::Kind::kEnd; }};
    AnswerParser parser(format.value(), buffer.data(), buffer.size(), sink);
    parser.Begin(std::string_view(answer).substr(0, random() % 40));
    for (size_t i = 0; i < answer.size(); ++i) parser.Feed(std::string_view(answer).substr(i, 1));
    parser.Finish();
    CHECK(ends == 1);
  }
  CHECK(read > 500);
}
