// Every committed fixture converts with every weight type and passes the reader's full scan.
#include <catch2/catch_test_macros.hpp>

#include "tests/convert/convert_fixture.h"
#include "tests/convert/import_testing.h"

using namespace thimble;
using namespace thimble::test;

TEST_CASE("all fixtures convert to all types") {
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(THIMBLE_GOLDEN_DIR)) {
    if (!fs::exists(entry.path() / "expected.json")) continue;
    INFO(entry.path().filename().string());
    ++count;
    for (const WeightType type : {WeightType::kF32, WeightType::kQ8, WeightType::kQ4}) {
      const std::string path = ConvertForTest(entry.path(), type);
      CHECK_FALSE(LayersOf(path).empty());
    }
  }
  CHECK(count >= 17);
}

TEST_CASE("the trained models convert with their tokenizers") {
  const std::string bin = SharedDataPath("models/stories260K.bin"),
                    qmqa = SharedDataPath("models/stories-qmqa");
  if (bin.empty() || qmqa.empty()) SKIP("the shared data is not there (THIMBLE_SHARED_DATA)");
  const std::string stories = ConvertForTest(bin, WeightType::kQ8, SharedDataPath("tokenizers/tok512.bin"));
  CHECK(SpecOf(stories).tokenizer_segment >= 0);
  CHECK(LayersOf(stories).at(0).attention().kv_heads == 4);
  const std::string paper = ConvertForTest(qmqa, WeightType::kQ8);
  CHECK(SpecOf(paper).tokenizer_segment >= 0);
  CHECK(LayersOf(paper).at(0).attention().sharing == Sharing::kKV);
  CHECK(LayersOf(paper).at(0).attention().kv_heads == 1);
}
