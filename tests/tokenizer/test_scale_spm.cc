// Many texts through SentencePiece's own library and through ours; the library is Debian's libsentencepiece-dev.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <sstream>

#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/tokenizer/tokenizer_testing.h"

#ifdef THIMBLE_HAS_SENTENCEPIECE
#include <sentencepiece_processor.h>
#endif

using namespace thimble;
using namespace thimble::testing;

namespace {

// Committed models, those of the shared data, and what THIMBLE_SENTENCEPIECE_MODELS names (with colons between).
std::vector<std::string> Models() {
  const std::string golden = THIMBLE_GOLDEN_DIR;
  std::vector<std::string> models = {golden + "/unigram/bytes.model", golden + "/unigram/unknown.model",
                                     golden + "/charsmap/bpe.model", golden + "/charsmap/unigram.model"};
  const char* shared = std::getenv("THIMBLE_SHARED_DATA");
  const std::string directory = shared != nullptr ? shared : THIMBLE_SHARED_DATA_DEFAULT;
  models.push_back(directory + "/tokenizers/llama2_tokenizer.model");
  models.push_back(directory + "/models/stories-qmqa/tokenizer.model");
  if (const char* more = std::getenv("THIMBLE_SENTENCEPIECE_MODELS")) {
    std::istringstream paths(more);
    for (std::string path; std::getline(paths, path, ':');) models.push_back(path);
  }
  std::erase_if(models, [](const std::string& path) { return !std::filesystem::exists(path); });
  return models;
}

}  // namespace

TEST_CASE("SentencePiece models: the ids of SentencePiece's library for many texts") {
#ifdef THIMBLE_HAS_SENTENCEPIECE
  const size_t count = MixedTexts(2000);
  for (const std::string& path : Models()) {
    sentencepiece::SentencePieceProcessor library;
    REQUIRE(library.Load(path).ok());
    const LoadedTokenizer tokenizer(LoadTokenizer(path));
    Pcg32 random(2026);
    for (size_t i = 0; i < count; ++i) {
      const std::string text = MixedText(&random, false);
      std::vector<int> expected;
      REQUIRE(library.Encode(text, &expected).ok());
      if (tokenizer.EncodePlain(text) != expected) FAIL(path << ", text " << i << ": " << text);
    }
  }
#else
  SKIP("built without libsentencepiece-dev");
#endif
}

TEST_CASE("SentencePiece models: any bytes come back") {
  for (const std::string& path : Models()) {
    const TokenizerModel model = LoadTokenizer(path);
    // A character map changes text, and so does taking spaces away; without byte pieces there is unk.
    if (!model.charsmap.empty() || !model.Has(kTokenizerByteFallback) ||
        model.Has(kTokenizerRemoveExtraWhitespaces))
      continue;
    const LoadedTokenizer tokenizer(model);
    Pcg32 random(2027);
    for (size_t i = 0; i < MixedTexts(2000); ++i) {
      std::string text = MixedText(&random, true);
      for (size_t at; (at = text.find("\u2581")) != std::string::npos;) text.replace(at, 3, "_");  // reads as a space
      if (tokenizer.Decode(tokenizer.EncodePlain(text)) != text) FAIL(path << ", text " << i << ": " << text);
    }
  }
}

TEST_CASE("SentencePiece models: a million equal characters take linear time", "[slow]") {
  for (const std::string& path : Models()) {
    const LoadedTokenizer tokenizer(LoadTokenizer(path));
    for (const char* unit : {"a", " ", "\u00bd", "\xff"}) {
      double seconds[2];
      for (int i = 0; i < 2; ++i) {
        std::string text;
        while (text.size() < Scaled(1000000, 100000) / (i == 0 ? 8 : 1)) text += unit;
        const std::clock_t start = std::clock();
        tokenizer.EncodePlain(text);
        seconds[i] = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      }
      INFO(path << ", " << unit << ": " << seconds[1] << " s");
      CHECK(seconds[1] < 40 * seconds[0] + 0.3);
    }
  }
}
