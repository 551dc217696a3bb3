// `thimble tokenize`: text to ids and back.
#include <catch2/catch_test_macros.hpp>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

TEST_CASE("tokenize gives ids with commas, and text for ids") {
  const Finished ids = RunThimble({"tokenize", ShippedModel(), "-p", "Once upon a time"});
  CHECK(ids.exit_code == 0);
  CHECK(ids.out == "1,405,408,261,382\n");
  CHECK(RunThimble({"tokenize", ShippedModel(), "-p", "Once upon a time", "--no-bos"}).out ==
        "405,408,261,382\n");
  CHECK(RunThimble({"tokenize", ShippedModel(), "--ids", "1,405,408,261,382"}).out == "Once upon a time\n");
  const Finished json = RunThimble({"tokenize", ShippedModel(), "-f", "-", "--json"}, "Once upon a time");
  CHECK(ParseJson(json.out)["ids"] == Json::Array({1, 405, 408, 261, 382}));
}

TEST_CASE("tokenize brings back any bytes") {
  const std::string text = "caf\xc3\xa9 \xf0\x9f\x98\x80  two  spaces\n\ttab";
  const Finished ids = RunThimble({"tokenize", ShippedModel(), "-f", "-"}, text);
  REQUIRE(ids.exit_code == 0);
  const Finished back = RunThimble({"tokenize", ShippedModel(), "--ids", ids.out});
  CHECK(back.out == text + "\n");
  CHECK(RunThimble({"tokenize", ShippedModel(), "-p", ""}).exit_code == 0);
}

TEST_CASE("tokenize --jsonl: a line in, a line out") {
  const Finished lines = RunThimble({"tokenize", ShippedModel(), "--jsonl"},
                                    "\"Once upon a time\"\n{\"text\": \"</s>\", \"special\": true}\n{\"ids\": [1, 405, 408]}\n"
                                    "{\"ids\": [-1]}\n7\n{\n{\"text\": \"Once\"}");
  CHECK(lines.exit_code == 0);
  std::vector<Json> answers;
  for (size_t at = 0; at < lines.out.size();) {
    const size_t end = lines.out.find('\n', at);
    answers.push_back(ParseJson(lines.out.substr(at, end - at)));
    at = end + 1;
  }
  REQUIRE(answers.size() == 7);
  CHECK(answers[0] == Json::Array({1, 405, 408, 261, 382}));
  CHECK(answers[1] == Json::Array({1, 2}));
  CHECK(answers[2] == Json{{"text", "Once upon"}});
  for (const size_t wrong : {3, 4, 5}) CHECK(answers[wrong].Has("error"));
  CHECK(answers[6] == Json::Array({1, 405}));
}

TEST_CASE("tokenize refuses ids outside the vocabulary") {
  const Finished finished = RunThimble({"tokenize", ShippedModel(), "--ids", "1,1024"});
  CHECK(finished.exit_code == 2);
  CHECK(RunThimble({"tokenize", ShippedModel(), "--ids", "-1"}).exit_code == 2);
}

}  // namespace
}  // namespace thimble::test
