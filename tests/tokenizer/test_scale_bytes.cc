// Many texts through byte-level BPE and through a slow implementation with nothing of ours in it: ICU (Debian's
// libicu-dev) for the regular expressions, the classes of characters and the normal form, and a plain merge loop.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <unordered_map>

#include "targets/convert/tokenizers/tokenizers.h"
#include "runtime/core/unicode/unicode.h"
#include "tests/tokenizer/split_patterns.h"
#include "tests/tokenizer/tokenizer_testing.h"

#ifdef THIMBLE_HAS_ICU
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uregex.h>
#endif

using namespace thimble;
using namespace thimble::testing;

namespace {

using Ids = std::vector<int32_t>;

// GPT-2's vocabulary where the shared data is there, else one that is learnt on the spot. Every pattern is tried with
// it: which ids come out depends on the pattern, how the vocabulary was made does not matter.
TokenizerModel Vocabulary() {
  const char* directory = std::getenv("THIMBLE_SHARED_DATA");
  const std::string path =
      std::string(directory != nullptr ? directory : THIMBLE_SHARED_DATA_DEFAULT) + "/tokenizers/gpt2_vocab.json";
  if (std::filesystem::exists(path)) return LoadTokenizer(path);
  Pcg32 random(8);
  std::string text;
  for (int i = 0; i < 150; ++i) text += MixedText(&random, false);
  TokenizerModel model = LearnByteBpe(text, 400);
  // The slow implementation knows no special pieces.
  for (PieceType& type : model.types) {
    if (type == PieceType::kUserDefined) type = PieceType::kControl;
  }
  return model;
}

#ifdef THIMBLE_HAS_ICU

// Text for ICU: a byte that is no UTF-8 becomes a character of private use, which is in no class either. units[i]
// starts at byte offsets[i].
struct IcuText {
  std::u16string units;
  std::vector<size_t> offsets;
  bool same_classes = true;  // does ICU's Unicode version agree with ours on every character?
};

bool HasSameClass(uint32_t c) {
  const int32_t type = u_charType(static_cast<UChar32>(c));
  const auto is = [type](uint32_t mask) { return (U_MASK(type) & mask) != 0; };
  CharClass kind = CharClass::kOther;
  if (is(U_GC_L_MASK)) kind = CharClass::kLetter;
  if (is(U_GC_N_MASK)) kind = CharClass::kNumber;
  if (is(U_GC_P_MASK)) kind = CharClass::kPunctuation;
  if (is(U_GC_S_MASK)) kind = CharClass::kSymbol;
  if (is(U_GC_M_MASK)) kind = CharClass::kMark;
  if (u_isUWhiteSpace(static_cast<UChar32>(c))) kind = CharClass::kSpace;
  return ClassOf(c) == kind;
}

IcuText ToIcu(const std::string& text) {
  IcuText icu;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = DecodeUtf8(std::string_view(text).substr(at));
    const uint32_t code = c.valid ? c.code_point : 0xE000 + static_cast<uint8_t>(text[at]);
    if (c.valid && !HasSameClass(code)) icu.same_classes = false;
    if (code >= 0x10000) {
      icu.units += static_cast<char16_t>(0xD7C0 + (code >> 10));
      icu.offsets.push_back(at);
    }
    icu.units += static_cast<char16_t>(code >= 0x10000 ? 0xDC00 + (code & 0x3FF) : code);
    icu.offsets.push_back(at);
    at += c.bytes;
  }
  icu.offsets.push_back(text.size());
  return icu;
}

std::string FromIcu(const std::u16string& units) {
  std::string text;
  for (size_t i = 0; i < units.size(); ++i) {
    uint32_t c = units[i];
    if (c >= 0xD800 && c < 0xDC00) c = 0x10000 + ((c - 0xD800) << 10) + (units[++i] - 0xDC00u);
    AppendUtf8(c, &text);
  }
  return text;
}

std::string IcuNfc(const std::string& text) {
  const IcuText icu = ToIcu(text);
  UErrorCode error = U_ZERO_ERROR;
  std::u16string out(3 * icu.units.size() + 16, u'\0');
  const int32_t size = unorm2_normalize(unorm2_getNFCInstance(&error), icu.units.data(),
                                        static_cast<int32_t>(icu.units.size()), out.data(),
                                        static_cast<int32_t>(out.size()), &error);
  REQUIRE(U_SUCCESS(error));
  out.resize(static_cast<size_t>(size));
  return FromIcu(out);
}

class IcuRegex {
 public:
  explicit IcuRegex(std::string pattern) {
    // ICU's \\s leaves characters out that Unicode calls white space, and its $ also stands before a line end.
    const auto replace = [&pattern](const std::string& from, const std::string& to) {
      for (size_t at = 0; (at = pattern.find(from, at)) != std::string::npos; at += to.size())
        pattern.replace(at, from.size(), to);
    };
    replace("\\s", "\\p{White_Space}");
    replace("\\S", "\\P{White_Space}");
    if (pattern.ends_with('$')) pattern.replace(pattern.size() - 1, 1, "\\z");
    const IcuText icu = ToIcu(pattern);
    UErrorCode error = U_ZERO_ERROR;
    UParseError where;
    regex_ = uregex_open(icu.units.data(), static_cast<int32_t>(icu.units.size()), 0, &where, &error);
    INFO(pattern << " at " << where.offset);
    REQUIRE(U_SUCCESS(error));
  }
  ~IcuRegex() { uregex_close(regex_); }
  IcuRegex(const IcuRegex&) = delete;

  // Matches and what lies between them.
  std::vector<std::string> Split(const std::string& text) const {
    const IcuText icu = ToIcu(text);
    UErrorCode error = U_ZERO_ERROR;
    uregex_setText(regex_, icu.units.data(), static_cast<int32_t>(icu.units.size()), &error);
    std::vector<std::string> parts;
    size_t done = 0;
    const auto add = [&](size_t end) {
      if (end > done) parts.push_back(text.substr(done, end - done));
      done = std::max(done, end);
    };
    while (uregex_findNext(regex_, &error)) {
      add(icu.offsets[static_cast<size_t>(uregex_start(regex_, 0, &error))]);
      add(icu.offsets[static_cast<size_t>(uregex_end(regex_, 0, &error))]);
    }
    REQUIRE(U_SUCCESS(error));
    add(text.size());
    return parts;
  }

 private:
  URegularExpression* regex_ = nullptr;
};

// Merges as they are defined: of all neighbours that have a rank the lowest, leftmost first, until there are none.
class SlowMerger {
 public:
  explicit SlowMerger(const TokenizerModel& model) {
    for (size_t i = 0; i < model.merges.size(); ++i) {
      const TokenizerModel::Merge& m = model.merges[i];
      merges_[uint64_t{m.left} << 32 | m.right] = {i, m.merged};
    }
    for (uint32_t id = 0; id < model.pieces.size(); ++id) {
      if (model.types[id] == PieceType::kNormal && model.pieces[id].size() == 1)
        bytes_[static_cast<uint8_t>(model.pieces[id][0])] = id;
    }
  }
  void Append(const std::string& word, Ids* ids) const {
    std::vector<uint32_t> parts;
    for (const char c : word) parts.push_back(bytes_[static_cast<uint8_t>(c)]);
    for (;;) {
      size_t best = parts.size();
      std::pair<size_t, uint32_t> best_merge;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto found = merges_.find(uint64_t{parts[i]} << 32 | parts[i + 1]);
        if (found != merges_.end() && (best == parts.size() || found->second.first < best_merge.first))
          best = i, best_merge = found->second;
      }
      if (best == parts.size()) break;
      parts[best] = best_merge.second;
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
    ids->insert(ids->end(), parts.begin(), parts.end());
  }

 private:
  std::unordered_map<uint64_t, std::pair<size_t, uint32_t>> merges_;
  uint32_t bytes_[256] = {};
};

#endif

}  // namespace

TEST_CASE("Byte-level BPE: the ids of a slow implementation on ICU for many texts, with every split pattern") {
#ifdef THIMBLE_HAS_ICU
  TokenizerModel model = Vocabulary();
  const SlowMerger merger(model);
  for (const Reference& reference : References()) {
    model.split = reference.pattern;
    model.flags = reference.split_digits ? uint32_t{kTokenizerSplitDigits} : 0;
    const bool nfc = reference.pattern == SplitPattern::kQwen2;
    if (nfc) model.flags |= kTokenizerNfc;
    const LoadedTokenizer tokenizer(model);
    std::vector<std::unique_ptr<IcuRegex>> regexes;
    for (const std::string& regex : reference.regexes) regexes.push_back(std::make_unique<IcuRegex>(regex));
    Pcg32 random(31 + static_cast<uint64_t>(reference.pattern));
    size_t compared = 0;
    for (size_t i = 0; i < MixedTexts(1000); ++i) {
      // Normal forms are for text; elsewhere any bytes will do.
      const std::string text = MixedText(&random, !nfc);
      if (!ToIcu(text).same_classes) continue;
      std::vector<std::string> words = {nfc ? IcuNfc(text) : text};
      for (const auto& regex : regexes) {
        std::vector<std::string> parts;
        for (const std::string& word : words) {
          for (std::string& part : regex->Split(word)) parts.push_back(std::move(part));
        }
        words = std::move(parts);
      }
      Ids expected;
      for (const std::string& word : words) merger.Append(word, &expected);
      const Ids ids = tokenizer.EncodePlain(text);
      if (ids != expected) FAIL("pattern " << static_cast<int>(reference.pattern) << ", text " << i << ": " << text);
      if (!nfc && tokenizer.Decode(ids) != text)
        FAIL("pattern " << static_cast<int>(reference.pattern) << ", bytes of text " << i);
      ++compared;
    }
    if (std::getenv("THIMBLE_TOKENIZER_STRINGS") != nullptr) {
      WARN("pattern " << static_cast<int>(reference.pattern) << (reference.split_digits ? " with digits" : "") << ": "
                      << compared << " texts");
    }
    CHECK(compared > MixedTexts(1000) / 3);
  }
#else
  SKIP("built without libicu-dev");
#endif
}

TEST_CASE("Byte-level BPE: a million equal characters take linear time, normalised too", "[slow]") {
  TokenizerModel model = Vocabulary();
  for (const SplitPattern split : {SplitPattern::kLlama3, SplitPattern::kO200k}) {
    model.split = split;
    model.flags = split == SplitPattern::kLlama3 ? uint32_t{kTokenizerNfc} : 0;
    const LoadedTokenizer tokenizer(model);
    for (const char* unit : {"a", " ", "\n", "\u4f60", "\u0301", "\u0958", "\xff", "!"}) {
      double seconds[2];
      for (int i = 0; i < 2; ++i) {
        std::string text;
        while (text.size() < Scaled(1000000, 100000) / (i == 0 ? 8 : 1)) text += unit;
        const std::clock_t start = std::clock();
        tokenizer.EncodePlain(text);
        seconds[i] = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      }
      INFO(static_cast<int>(split) << ", " << unit << ": " << seconds[1] << " s");
      CHECK(seconds[1] < 40 * seconds[0] + 0.3);
    }
  }
}
