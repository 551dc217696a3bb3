// Values, reading and writing: what comes back, what is refused, and where the message says it is.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "tests/support/json_testing.h"

using namespace thimble;

namespace {

std::string Refusal(std::string_view text, JsonRules rules = {}) {
  try {
    ParseJson(text, rules);
  } catch (const JsonError& error) {
    return error.what();
  }
  return "taken";
}

TEST_CASE("values that are written and read are the same, members in their order") {
  const Json value = {{"z", 1},
                      {"a", Json::Array({nullptr, true, false, -7, 2.5, "text"})},
                      {"", {{"nested", Json::Object()}, {"list", Json::Array()}}},
                      {"m", "\"\\\b\f\n\r\t\x01\x7f \xc3\xa4\xf0\x9f\x98\x80"}};
  const std::string line = JsonText(value);
  CHECK(line.starts_with(R"({"z":1,"a":[null,true,false,-7,2.5,"text"],"":{"nested":{},"list":[]},"m":"\"\\\b\f\n\r\t\u0001)"));
  CHECK(ParseJson(line) == value);
  CHECK(JsonText(ParseJson(line)) == line);
  CHECK(JsonText(ParseJson(JsonText(value, 2))) == line);
  CHECK(ParseJson(JsonText(value, 0, true)) == value);
  CHECK(JsonText({{"a", Json::Array({1, {{"b", 2}}})}}, 1) == "{\n \"a\": [\n  1,\n  {\n   \"b\": 2\n  }\n ]\n}");
  CHECK(JsonText("\xc3\xa4\xf0\x9f\x98\x80", -1, true) == R"("\u00e4\ud83d\ude00")");
}

TEST_CASE("what is not UTF-8 is written as U+FFFD, a beginning of a character at a time") {
  CHECK(JsonText("a\xff"
                 "b") == "\"a\xef\xbf\xbd"
                         "b\"");
  CHECK(JsonText("\xe2\x82", -1, true) == R"("\ufffd")");                  // cut off
  CHECK(JsonText("\xed\xa0\x80", -1, true) == R"("\ufffd\ufffd\ufffd")");  // a surrogate
  CHECK(JsonText("\xc0\xaf", -1, true) == R"("\ufffd\ufffd")");            // a long form
  CHECK(JsonText("\xf4\x90\x80\x80", -1, true) == R"("\ufffd\ufffd\ufffd\ufffd")");
}

TEST_CASE("whole numbers of 64 bits and doubles come back as they were") {
  for (const uint64_t n : {uint64_t{0}, uint64_t{1} << 53, (uint64_t{1} << 53) + 1, UINT64_MAX})
    CHECK(ParseJson(JsonText(n)).as_unsigned() == n);
  for (const int64_t n : {int64_t{-1}, -(int64_t{1} << 53) - 1, INT64_MIN}) CHECK(ParseJson(JsonText(n)).as_signed() == n);
  for (const double x : {0.1, 1e-5, 1e300, 5e-324, -0.0, 3.0, 1.7976931348623157e308, 18446744073709551616.0}) {
    const Json back = ParseJson(JsonText(x));
    CHECK(back.kind() == Json::Kind::kReal);
    CHECK(back.as_double() == x);
    CHECK(std::signbit(back.as_double()) == std::signbit(x));
  }
  CHECK(ParseJson("18446744073709551616").as_double() == 18446744073709551616.0);  // beyond: the nearest double
  CHECK(ParseJson("1.00000000000000011102230246251565404").as_double() == 1.0);     // exactly between two
  CHECK(JsonText(std::numeric_limits<double>::infinity()) == "null");
  CHECK(Json(2) == Json(2.0));
  CHECK(Json(2) != Json(-2));
  CHECK(Json(INT64_MIN).as_signed() == INT64_MIN);
}

TEST_CASE("members are found, added, replaced and taken out, few or many") {
  for (const size_t count : {size_t{3}, size_t{1000}}) {
    Json made;
    std::vector<Json::Member> members;
    for (size_t i = 0; i < count; ++i) {
      const std::string key = "k" + std::to_string(i * 7919 % count);
      made[key] = i;
      members.push_back({key, i});
    }
    CHECK(made == Json::Object(members));
    CHECK(made.size() == count);
    for (size_t i = 0; i < count; ++i) REQUIRE(made["k" + std::to_string(i * 7919 % count)] == i);
    CHECK(!made.Has("k"));
    made["k1"] = "new";
    CHECK(made.size() == count);
    made.Erase("k1");
    made.Erase("absent");
    CHECK(made.size() == count - 1);
    CHECK(!made.Has("k1"));
    CHECK(made.Has("k2"));
    members.push_back(members[0]);
    CHECK_THROWS_AS(Json::Object(members), JsonError);
    members.back().value = "last";
    const Json last = Json::Object(members, Json::Repeated::kLastCounts);
    CHECK(last.size() == count);
    CHECK(last[members[0].key] == "last");
  }
  const Json object = {{"a", 1}};
  CHECK_THROWS_AS(object["b"], JsonError);
  CHECK_THROWS_AS(object["a"].as_text(), JsonError);
  CHECK_THROWS_AS(object.items(), JsonError);
  CHECK_THROWS_AS(Json::Array({1})[1], JsonError);
  CHECK(Json::Object({{"a", 1}, {"b", 2}}) == Json::Object({{"b", 2}, {"a", 1}}));
}

TEST_CASE("malformed text is refused by line, column and byte") {
  CHECK(Refusal("{\"a\":\n  nul}").starts_with("line 2, column 3 (byte 8): "));
  for (const char* text : {"", " ", "[1,]", "{\"a\":1,}", "{a:1}", "'a'", "[1 2]", "01", "1.", "+1", ".5", "1e", "[1e999]", "\"a",
                           "\"\\x\"", "\"\n\"", "[\"\xff\"]", "\"\\ud800\"", "tru", "[1] x", "{\"a\"}", "// no\n1", "[NaN]",
                           "[Infinity]", "\xef\xbb\xbf"}) {
    INFO(text);
    CHECK(Refusal(text) != "taken");
  }
  CHECK(Refusal(R"({"b":{"a":1,"a":2}})") == "duplicate key 'a'");
  CHECK(ParseJson(R"({"a":1,"b":3,"a":2})", {.repeated = Json::Repeated::kLastCounts}) == Json{{"b", 3}, {"a", 2}});
  CHECK(ParseJson("\xef\xbb\xbf{}").is_object());
  CHECK(ParseJson(std::string("\"a\\u0000b\"")).as_text() == std::string("a\0b", 3));
}

TEST_CASE("infinities and NaN are taken where they are asked for") {
  const Json list = ParseJson("[Infinity, -Infinity, NaN, 1]", {.infinities = true});
  CHECK(list[0].as_double() == std::numeric_limits<double>::infinity());
  CHECK(list[1].as_double() == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(list[2].as_double()));
}

}  // namespace
