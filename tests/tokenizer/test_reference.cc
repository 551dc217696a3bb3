// The small tokenizers in tests/golden/tokenizers, which are laid out as published models are, against what the library that
// such files come from makes of the same texts (make.py there). Each is there for faults that real files had: Unicode's
// versions, literal U+2581, added tokens of all kinds, missing bytes, two pieces with one spelling, which ids end a text.
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "runtime/tokenizer/split.h"
#include "targets/convert/tokenizers/pre_tokenizer.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/support/json_testing.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

using Ids = std::vector<int32_t>;

std::string Golden(const std::string& name) { return std::string(THIMBLE_GOLDEN_DIR) + "/tokenizers/" + name; }

Json Read(const std::string& name) { return GoldenJson("tokenizers/" + name); }

// The reference shows what is no UTF-8 as U+FFFD.
bool SameText(const std::string& ours, const std::string& theirs) {
  return JsonText(Json(ours)) == JsonText(Json(theirs));
}

void CheckCases(const std::string& name) {
  const LoadedTokenizer tokenizer(LoadTokenizer(Golden(name)));
  const Json cases = Read(name + "/cases.json");
  REQUIRE(cases.size() > 60);
  for (const Json& one : cases.items()) {
    const std::string& text = one["text"].as_text();
    INFO(name << ", text " << JsonText(one["text"], -1, true));
    const Ids ids = test::As<Ids>(one["ids"]);
    CHECK(tokenizer.EncodePlain(text) == ids);
    if (one.Has("decoded")) CHECK(SameText(tokenizer.Decode(ids), one["decoded"].as_text()));
    const Ids special = one.Has("special") ? test::As<Ids>(one["special"]) : ids;
    CHECK(tokenizer.Encode(text, {.add_bos = false, .parse_special = true}) == special);
    if (one.Has("special_decoded")) CHECK(SameText(tokenizer.Decode(special), one["special_decoded"].as_text()));
  }
}

std::set<std::string> Ends(const std::string& name) {
  const LoadedTokenizer tokenizer(LoadTokenizer(Golden(name)));
  const TokenizerData& data = tokenizer.data();
  std::set<std::string> ends;
  for (uint32_t id = 0; id < data.piece_count; ++id) {
    if (data.IsEndOfGeneration(id)) ends.emplace(data.Piece(id));
  }
  return ends;
}

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("Reference: Qwen's kind: normal form C of Unicode 9, classes of Unicode 16") { CheckCases("qwen"); }
TEST_CASE("Reference: gpt-oss's kind: a Split that removes what does not match, where everything does") {
  CheckCases("gptoss");
}
TEST_CASE("Reference: Llama 3's kind") { CheckCases("llama3"); }
TEST_CASE("Reference: SmolLM2's kind") { CheckCases("smollm2"); }
TEST_CASE("Reference: Gemma's kind: literal U+2581, and a byte that is not there") { CheckCases("gemma"); }
TEST_CASE("Reference: Llama 2's kind: added tokens that are not special, raw, normalised, stripping") {
  CheckCases("llama2");
}
TEST_CASE("Reference: Mistral's kind: Metaspace, unknown characters one by one") { CheckCases("mistral"); }
TEST_CASE("Reference: DeepSeek Coder's kind: two pieces with one spelling, #version among the merges") {
  CheckCases("deepseek_coder");
}
TEST_CASE("Reference: GPT-NeoX's kind: runs of spaces as added tokens and as pieces") { CheckCases("neox"); }
TEST_CASE("Reference: XLM-R's kind: unigram, words cut at white space") { CheckCases("xlm_roberta"); }
TEST_CASE("Reference: E5's kind: the same, and white space that the map leaves alone") { CheckCases("e5"); }
TEST_CASE("Reference: unigram, words cut at white space, no map") { CheckCases("white_space"); }
TEST_CASE("Reference: T5's kind: unigram, the end stripped, runs of spaces one") { CheckCases("t5"); }
TEST_CASE("Reference: BGE-M3's kind: unigram, a space stays at the end") { CheckCases("bge_m3"); }

TEST_CASE("End ids: as the configurations say, never by a spelling") {
  CHECK(Ends("gemma") == Names{"<eos>", "<end_of_turn>"});  // "</s>" is an HTML tag
  CHECK(Ends("gptoss") == Names{"<|return|>", "<|call|>", "<|endoftext|>"});  // goes on after <|end|>
  CHECK(Ends("qwen") == Names{"<|im_end|>", "<|endoftext|>"});
  CHECK(Ends("llama3") == Names{"<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"});
  CHECK(Ends("smollm2") == Names{"<|im_end|>"});
}

TEST_CASE("Reference: every split pattern of a tokenizer.json") {
  const Json patterns = Read("splits.json");
  REQUIRE(patterns.size() > 20);
  for (const Json& pattern : patterns.items()) {
    const std::string& name = pattern["name"].as_text();
    TokenizerModel model;
    ReadPreTokenizer({{"type", "Sequence"}, {"pretokenizers", pattern["steps"]}}, &model);
    for (const Json& one : pattern["texts"].items()) {
      const std::string& text = one[0].as_text();
      std::vector<size_t> ends;
      Splitter splitter(model.split, model.Has(kTokenizerSplitDigits), text);
      size_t at = 0;
      for (std::string_view word; splitter.Next(&word);) ends.push_back(at += word.size());
      INFO(name << ", text " << JsonText(one[0], -1, true));
      CHECK(ends == test::As<std::vector<size_t>>(one[1]));
    }
  }
}
