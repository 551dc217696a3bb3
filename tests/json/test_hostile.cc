// Texts made to hurt: depth, size, repetition, and mutations of a sound file. Reading ends with a value or a JsonError.
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdint>
#include <random>

#include "tests/support/json_testing.h"

using namespace thimble;

namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

std::string Repeated(std::string_view text, size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST_CASE("nesting is limited, by line and column") {
  const auto nested = [](size_t levels) { return "{\"a\":\"[[\\\"[\",\n\"b\":" + Repeated("[", levels) + Repeated("]", levels) + "}"; };
  CHECK(ParseJson(nested(Json::kMaxDepth - 1)).size() == 2);
  for (const std::string& text : {nested(Json::kMaxDepth), nested(80'000), Repeated("{\"a\":", 80'000) + "1" + Repeated("}", 80'000)}) {
    std::string message;
    try {
      ParseJson(text);
    } catch (const JsonError& error) {
      message = error.what();
    }
    INFO(message);
    CHECK(message.starts_with("line "));
    CHECK(message.ends_with(": nested deeper than 64 levels"));
  }
  try {
    ParseJson(nested(Json::kMaxDepth));
  } catch (const JsonError& error) {
    // The object is the first level, so that the 64th bracket of the list is one too many: "b": and 64.
    CHECK(std::string(error.what()).starts_with("line 2, column 68 "));
  }
}

// A limit leaves room for sanitizers and a busy machine; a quadratic reader takes minutes.
TEST_CASE("time is linear in the text, whatever it holds") {
  struct Shape {
    const char* name;
    std::string text;
  };
  std::string keys, equal;
  for (size_t i = 0; i < 100'000; ++i) keys += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":{}";
  for (size_t i = 0; i < 100'000; ++i) equal += i == 0 ? "\"k\":1" : ",\"k\":1";
  // Measured at -O3, idle: 9, 28, 66, 21 and 22 ms.
  const Shape shapes[] = {{"empty objects", "[{}" + Repeated(",{}", 350'000) + "]"},
                          {"small numbers", "[1" + Repeated(",1", 2'000'000) + "]"},
                          {"small objects", "[{\"a\":[1,2]}" + Repeated(",{\"a\":[1,2]}", 300'000) + "]"},
                          {"many keys", "{" + keys + "}"},
                          {"one key again and again", "{" + equal + "}"}};
  for (const Shape& shape : shapes) {
    INFO(shape.name);
    const auto start = Clock::now();
    const Json value = ParseJson(shape.text, {.repeated = Json::Repeated::kLastCounts});
    CHECK(value.size() > 0);
    CHECK(ParseJson(JsonText(value)) == value);
    INFO(Seconds(start) << " s");
    CHECK(Seconds(start) < 10);
  }
}

TEST_CASE("a mutated file is read or refused, and reads the same again") {
  const std::string sound =
      R"({"model_type":"llama","n":[0,-1,1.5e-7,18446744073709551615],"t":[true,false,null],"s":"\u00e4\ud83d\ude00\n \"","o":)"
      R"({"a":{"b":[[],{},[{"c":"x"}]]}},"long":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})";
  const std::string pieces[] = {"[", "]", "{", "}", "\"", "\\", ",", ":", "\\u", "\xff", "\xc3", "1e", "-", "null", std::string(1, '\0')};
  std::mt19937 random(20);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  size_t read = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = sound;
    for (size_t changes = 1 + below(3); changes > 0 && !text.empty(); --changes) {
      const size_t at = below(text.size());
      const size_t kind = below(5);
      if (kind == 0) text[at] = static_cast<char>(below(256));
      if (kind == 1) text.insert(at, pieces[below(std::size(pieces))]);
      if (kind == 2) text.erase(at, 1 + below(8));
      if (kind == 3) text.insert(at, text.substr(below(text.size()), below(40)));
      if (kind == 4) text.resize(at + 1);
    }
    JsonRules rules;
    if (below(2) == 0) rules.repeated = Json::Repeated::kLastCounts;
    rules.infinities = below(4) == 0;
    try {
      const Json value = ParseJson(text, rules);
      ++read;
      const std::string again = JsonText(value, static_cast<int>(below(3)) - 1, below(2) == 0);
      INFO(again);
      REQUIRE(JsonText(ParseJson(again)) == JsonText(value));
    } catch (const JsonError&) {
    }
  }
  CHECK(read > 100);  // else the mutations never get past the first check
}

}  // namespace
