// Known texts and ids of real tokenizers. The vocabularies are not ours: they are read from the shared data.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <sstream>

#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/support/json_testing.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

struct Case {
  std::string text;
  std::vector<int32_t> ids;
};

std::vector<Case> ReadCases(const std::string& name) {
  const std::string input = SharedFile("tokenizers/ggml_vocab/ggml-vocab-" + name + ".gguf.inp");
  std::istringstream output(SharedFile("tokenizers/ggml_vocab/ggml-vocab-" + name + ".gguf.out"));
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<Case> cases;
  for (size_t at = 0;;) {
    const size_t end = input.find(separator, at);
    Case one;
    one.text = input.substr(at, end == std::string::npos ? end : end - at);
    std::string line;
    if (!std::getline(output, line)) {
      REQUIRE((end == std::string::npos && one.text.empty()));  // both files end with a line end
      break;
    }
    std::istringstream numbers(line);
    for (int32_t id; numbers >> id;) one.ids.push_back(id);
    cases.push_back(std::move(one));
    if (end == std::string::npos) break;
    at = end + separator.size();
  }
  return cases;
}

void CheckCases(const LoadedTokenizer& tokenizer, const std::vector<Case>& cases) {
  REQUIRE(cases.size() > 40);
  for (const Case& one : cases) {
    INFO("text: " << one.text);
    CHECK(tokenizer.EncodePlain(one.text) == one.ids);
    CHECK(tokenizer.Decode(tokenizer.Encode(one.text)) == one.text);
  }
}

// A byte-level tokenizer.json whose ids differ from the vectors' vocabulary only in the order of the merges
// would not pass; so the vectors' own vocabulary is read from the head of its GGUF file, which holds arrays
// of strings.
class GgufStrings {
 public:
  explicit GgufStrings(std::string bytes) : bytes_(std::move(bytes)) {}
  std::vector<std::string> Array(const std::string& key) const {
    const size_t at = bytes_.find(key);
    REQUIRE(at != std::string::npos);
    size_t offset = at + key.size() + 4;  // the type "array"
    REQUIRE(Number<uint32_t>(&offset) == 8);
    std::vector<std::string> strings(Number<uint64_t>(&offset));
    for (std::string& string : strings) {
      const uint64_t length = Number<uint64_t>(&offset);
      string = bytes_.substr(offset, length);
      offset += length;
    }
    return strings;
  }

 private:
  template <typename T>
  T Number(size_t* offset) const {
    T value;
    REQUIRE(*offset + sizeof value <= bytes_.size());
    std::memcpy(&value, bytes_.data() + *offset, sizeof value);
    *offset += sizeof value;
    return value;
  }
  std::string bytes_;
};

std::vector<int32_t> ReadIds(const Json& json) { return test::As<std::vector<int32_t>>(json); }

}  // namespace

TEST_CASE("Llama 2's vectors") {
  const LoadedTokenizer tokenizer(LoadTokenizer(SharedPath("tokenizers/llama2_tokenizer.model")));
  CheckCases(tokenizer, ReadCases("llama-spm"));
  CHECK(tokenizer.Encode("Hello") == std::vector<int32_t>{1, 15043});
  CHECK(tokenizer.Encode("<s>Hi</s>", {.add_bos = false, .parse_special = true}) ==
        std::vector<int32_t>{1, 6324, 2});
  CHECK(tokenizer.EncodePlain("<s>").size() > 1);
}

TEST_CASE("GPT-2's vectors") {
  const LoadedTokenizer tokenizer(LoadTokenizer(SharedPath("tokenizers/gpt2_vocab.json")));
  CheckCases(tokenizer, ReadCases("gpt-2"));
  CHECK(tokenizer.Encode("a<|endoftext|>b", {.parse_special = true}) == std::vector<int32_t>{64, 50256, 65});
  CHECK(tokenizer.data().IsEndOfGeneration(50256));
  const LoadedTokenizer same(LoadTokenizer(SharedPath("tokenizers/gpt2_vocab.bpe")));
  CHECK(same.EncodePlain("Hello world") == tokenizer.EncodePlain("Hello world"));
}

TEST_CASE("StarCoder's vectors: digits one by one") {
  const GgufStrings gguf(SharedFile("tokenizers/ggml_vocab/ggml-vocab-starcoder.gguf"));
  Json json = ParseJson(SharedFile("tokenizers/hf_tokenizer.json"));
  // SmolLM2 splits like StarCoder; with StarCoder's vocabulary in its file the vectors apply.
  Json vocab = Json::Object();
  const std::vector<std::string> pieces = gguf.Array("tokenizer.ggml.tokens");
  for (size_t id = 0; id < pieces.size(); ++id) vocab[pieces[id]] = id;
  json["model"]["vocab"] = vocab;
  json["model"]["merges"] = gguf.Array("tokenizer.ggml.merges");
  json["added_tokens"] = Json::Array();
  const LoadedTokenizer tokenizer(ReadTokenizerJson(JsonText(json)));
  CheckCases(tokenizer, ReadCases("starcoder"));
}

TEST_CASE("the vectors' own vocabularies inside GGUF files") {
  for (const std::string name : {"llama-spm", "gpt-2", "starcoder"}) {
    INFO(name);
    CheckCases(
        LoadedTokenizer(LoadTokenizer(SharedPath("tokenizers/ggml_vocab/ggml-vocab-" + name + ".gguf"))),
        ReadCases(name));
  }
}

TEST_CASE("SmolLM2's tokenizer.json") {
  const LoadedTokenizer tokenizer(LoadTokenizer(SharedPath("tokenizers/hf_tokenizer.json")));
  REQUIRE(tokenizer.data().piece_count == 49152);
  const std::string chat = "<|im_start|>user\nWhat is 1984?<|im_end|>\n";
  const std::vector<int32_t> ids = tokenizer.Encode(chat, {.parse_special = true});
  REQUIRE(ids.front() == 1);
  CHECK(!tokenizer.data().IsEndOfGeneration(2));  // which the file alone does not say
  CHECK(tokenizer.Encode(chat).size() > ids.size());
  CHECK(tokenizer.Decode(tokenizer.Encode(chat)) == chat);
  const std::vector<int32_t> digits = tokenizer.EncodePlain("1984");
  CHECK(digits.size() == 4);
}

TEST_CASE("stories260K: 20000 ids of a text") {
  const LoadedTokenizer tokenizer(LoadTokenizer(SharedPath("tokenizers/tok512.bin")));
  const Json json = ParseJson(SharedFile("golden/public/stories260K/ids.json"));
  const std::vector<int32_t> ids = ReadIds(json.is_array() ? json : json["ids"]);
  REQUIRE(ids.size() >= 20000);
  std::string text = SharedFile("corpora/tinystories_smallGPT.txt");
  const std::string decoded = tokenizer.Decode(ids);
  REQUIRE(text.starts_with(decoded));
  // The last merge may have been cut by the 20000.
  std::vector<int32_t> encoded = tokenizer.Encode(std::string_view(text).substr(0, decoded.size() + 100));
  encoded.resize(ids.size());
  CHECK(encoded == ids);
}

TEST_CASE("stories-qmqa: the ids of its held-out text and of its prompt") {
  const LoadedTokenizer tokenizer(LoadTokenizer(SharedPath("models/stories-qmqa/tokenizer.model")));
  const Json fixture = ParseJson(SharedFile("models/stories-qmqa/fixture.json"));
  CHECK(tokenizer.Encode(fixture["prompt_text"].as_text()) == ReadIds(fixture["prompt_ids"]));
  CHECK(tokenizer.Decode(ReadIds(fixture["greedy"])) == fixture["greedy_text"].as_text());

  std::vector<int32_t> ids = ReadIds(ParseJson(SharedFile("models/stories-qmqa/ids.json")));
  // The text is a sequence of stories, each between bos and eos.
  std::vector<int32_t> again;
  for (size_t begin = 0; begin < ids.size();) {
    size_t end = begin + 1;
    while (end < ids.size() && ids[end] != 1) ++end;
    const bool whole = end < ids.size();
    const std::vector<int32_t> story(ids.begin() + static_cast<ptrdiff_t>(begin),
                                     ids.begin() + static_cast<ptrdiff_t>(end));
    const std::vector<int32_t> encoded = tokenizer.Encode(tokenizer.Decode(story));
    again.insert(again.end(), encoded.begin(), encoded.end());
    if (whole) again.push_back(2);
    begin = end;
  }
  size_t same = 0;
  while (same < ids.size() && same < again.size() && ids[same] == again[same]) ++same;
  CHECK(same + 20 >= ids.size());  // the last story is cut
}
