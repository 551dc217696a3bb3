// Helpers of the tokenizer tests.
#include "tests/tokenizer/tokenizer_testing.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "targets/convert/import_error.h"
#include "runtime/core/poison.h"
#include "runtime/tokenizer/detokenizer.h"

namespace thimble::testing {

size_t Scaled(size_t full, size_t reduced) {
  // aarch64 is mostly an emulator here.
#if defined(THIMBLE_ASAN) || defined(__aarch64__)
  return full < reduced ? full : reduced;
#else
  return full > reduced ? full : reduced;
#endif
}

Json GoldenJson(const std::string& name) {
  std::ifstream file(std::string(THIMBLE_GOLDEN_DIR) + "/" + name);
  REQUIRE(file.is_open());
  std::ostringstream text;
  text << file.rdbuf();
  return ParseJson(text.str());
}

std::string SharedPath(const std::string& name) {
  const char* directory = std::getenv("THIMBLE_SHARED_DATA");
  const std::string path =
      std::string(directory != nullptr ? directory : THIMBLE_SHARED_DATA_DEFAULT) + "/" + name;
  if (!std::filesystem::exists(path)) SKIP("shared data is absent: " << name);
  return path;
}

std::string SharedFile(const std::string& name) {
  std::ifstream stream(SharedPath(name), std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
}

LoadedTokenizer::LoadedTokenizer(const TokenizerModel& model) {
  const std::vector<uint8_t> bytes = WriteTokenizerSegment(model);
  segment_.resize((bytes.size() + 3) / 4);
  std::memcpy(segment_.data(), bytes.data(), bytes.size());
  const Result<TokenizerData> data = ParseTokenizerData(segment_.data(), bytes.size());
  REQUIRE(data.ok());
  data_ = data.value();
}

std::vector<int32_t> LoadedTokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  const size_t text_bytes = EncodedTextBytes(data_, text, options);
  const size_t workspace_bytes = EncodeWorkspaceBytes(data_, text_bytes);
  const std::vector<uint32_t> workspace((workspace_bytes + 3) / 4);
  std::vector<int32_t> ids(EncodeMaxIds(data_, text_bytes));
  size_t count = 0;
  const Status status = thimble::Encode(data_, text, options, const_cast<uint32_t*>(workspace.data()),
                                        workspace_bytes, ids.data(), ids.size(), &count);
  if (!status.ok()) FAIL(status.what << ", field " << status.field);
  ids.resize(count);
  return ids;
}

std::string LoadedTokenizer::Decode(const std::vector<int32_t>& ids) const {
  std::vector<char> buffer(Detokenizer::BufferBytes(data_));
  Detokenizer detokenizer(data_, buffer.data(), buffer.size());
  std::string text;
  for (const int32_t id : ids) {
    const Result<std::string_view> part = detokenizer.Push(id);
    REQUIRE(part.ok());
    text += part.value();
  }
  text += detokenizer.Flush();
  return text;
}

int32_t LoadedTokenizer::Id(std::string_view piece) const {
  for (uint32_t id = 0; id < data_.piece_count; ++id) {
    if (data_.Type(id) != PieceType::kByte && data_.Piece(id) == piece) return static_cast<int32_t>(id);
  }
  FAIL("no piece " << piece);
  return -1;
}

TokenizerModel SmallSpm(const std::vector<std::string>& pieces, bool byte_fallback) {
  TokenizerModel model;
  model.kind = TokenizerKind::kSpmBpe;
  model.flags = kTokenizerAddBos | kTokenizerAddDummyPrefix | kTokenizerEscapeWhitespace;
  const auto add = [&](std::string piece, float score, PieceType type) {
    model.pieces.push_back(std::move(piece));
    model.scores.push_back(score);
    model.types.push_back(type);
  };
  add("<unk>", 0, PieceType::kUnknown);
  add("<s>", 0, PieceType::kControl);
  add("</s>", 0, PieceType::kControl);
  if (byte_fallback) {
    model.flags |= kTokenizerByteFallback;
    for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)), 0, PieceType::kByte);
  }
  float score = 0;
  for (const std::string& piece : pieces) add(piece, -score++, PieceType::kNormal);
  model.unk = 0;
  model.bos = 1;
  model.eos = 2;
  return model;
}

TokenizerModel SmallByteBpe(const std::vector<std::pair<std::string, std::string>>& merges) {
  TokenizerModel model;
  model.kind = TokenizerKind::kByteLevelBpe;
  model.split = SplitPattern::kGpt2;
  std::map<std::string, uint32_t> ids;
  const auto add = [&](const std::string& piece, PieceType type) {
    const uint32_t id = static_cast<uint32_t>(model.pieces.size());
    if (const auto [at, added] = ids.emplace(piece, id); !added) return at->second;
    model.pieces.push_back(piece);
    model.types.push_back(type);
    return id;
  };
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)), PieceType::kNormal);
  for (const auto& [left, right] : merges) {
    const uint32_t merged = add(left + right, PieceType::kNormal);
    model.merges.push_back({ids.at(left), ids.at(right), merged});
  }
  model.eos = add("<|end|>", PieceType::kControl);
  add("<|user|>", PieceType::kUserDefined);
  return model;
}

TokenizerModel LearnByteBpe(std::string_view text, size_t merges) {
  std::vector<std::string> symbols;
  for (const char c : text) symbols.emplace_back(1, c);
  std::vector<std::pair<std::string, std::string>> learnt;
  while (learnt.size() < merges) {
    std::map<std::pair<std::string, std::string>, int> counts;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) ++counts[{symbols[i], symbols[i + 1]}];
    auto best = counts.begin();
    for (auto at = counts.begin(); at != counts.end(); ++at) {
      if (at->second > best->second) best = at;
    }
    if (best == counts.end() || best->second < 2) break;
    learnt.push_back(best->first);
    std::vector<std::string> next;
    for (size_t i = 0; i < symbols.size(); ++i) {
      const bool joins =
          i + 1 < symbols.size() && symbols[i] == best->first.first && symbols[i + 1] == best->first.second;
      next.push_back(joins ? symbols[i] + symbols[i + 1] : symbols[i]);
      if (joins) ++i;
    }
    symbols = std::move(next);
  }
  return SmallByteBpe(learnt);
}

void AppendUtf8(uint32_t code_point, std::string* text) {
  const auto put = [&](uint32_t byte) { text->push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::string RandomText(Pcg32* random, RandomKind kind, size_t characters) {
  // Scripts and symbols that exercise every class: accents, marks, CJK, digits of other scripts, odd
  // spaces, emoji.
  static constexpr uint32_t kStarts[] = {0x20,   0x41,    0x61,    0xA0,    0xC0,   0x300,  0x391,
                                         0x430,  0x5D0,   0x660,   0x905,   0x1780, 0x2000, 0x2028,
                                         0x2150, 0x2460,  0x3000,  0x3041,  0x4E00, 0xAC00, 0xFB00,
                                         0xFF10, 0x1D7CE, 0x1F600, 0x20000, 0xE000};
  static constexpr char kSpaces[] = " \t\n\r  \n ";
  std::string text;
  for (size_t i = 0; i < characters; ++i) {
    const uint32_t dice = random->Next();
    switch (kind) {
      case RandomKind::kFewLetters:
        text.push_back("ab '\n1"[dice % 6]);
        break;
      case RandomKind::kBytes:
        text.push_back(static_cast<char>(dice >> 7));
        break;
      case RandomKind::kAscii:
        text.push_back(dice % 4 == 0 ? kSpaces[(dice >> 8) % 8] : static_cast<char>(' ' + (dice >> 8) % 95));
        break;
      case RandomKind::kUnicode:
        if (dice % 3 == 0) {
          text.push_back(kSpaces[(dice >> 8) % 8]);
        } else {
          AppendUtf8(kStarts[(dice >> 4) % std::size(kStarts)] + (dice >> 16) % 16, &text);
        }
        break;
    }
  }
  return text;
}

size_t MixedTexts(size_t otherwise) {
  const char* count = std::getenv("THIMBLE_TOKENIZER_STRINGS");
  return count != nullptr ? static_cast<size_t>(std::strtoull(count, nullptr, 10)) : Scaled(otherwise, otherwise / 10);
}

std::string MixedText(Pcg32* random, bool invalid_bytes) {
  static constexpr const char* kWords[] = {
      "the", " The", " cat", "don't", "I'LL", "we've", "HTMLParser", "camelCase", " na\u00efve",
      "nai\u0308ve", "\u00c5", "\u212b",
      " stra\u00dfe", "\u4f60\u597d", "\u3053\u3093\u306b\u3061\u306f", "\ud55c\uad6d\uc5b4",
      "\u1112\u1161\u11ab", "\u0440\u0443\u0441\u0441\u043a\u0438\u0439",
      "\u0627\u0644\u0639\u0631\u0628\u064a\u0629", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0958",
      "\u0e44\u0e17\u0e22", " 12345", "3.14159", "0x7fff", "\u0661\u0662",
      "for (int i = 0; i < n; ++i) {\n", "  return x->y[0] != '\\0';\n}\n\n", "def f(a, b=None):\n\tpass\n",
      "https://example.org/a?b=c#d",
      "<|user|>", "<s>", "</s>", "#include <stdio.h>\r\n", "...", "!?", "--", "\u2026", "\u201cquoted\u201d",
      "\u00bd", "\ufb01", "\uff21\uff22"};
  static constexpr const char* kEmoji[] = {"\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
                                           "\U0001f1eb\U0001f1f7",
                                           "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "1\ufe0f\u20e3"};
  static constexpr const char* kSpaces[] = {" ", "  ", "\t", "\n", "\n\n", "\r\n", " \n", "\u00a0", "\u3000",
                                            "\u2028", "\v", "\u0085", "\u2581"};
  std::string text;
  for (uint32_t parts = 1 + random->Next() % 12; parts > 0; --parts) {
    uint32_t n = 1 + random->Next() % 4;
    switch (random->Next() % 10) {
      case 0:
      case 1:
        text += ' ';
        [[fallthrough]];
      case 2:
        text += kWords[random->Next() % std::size(kWords)];
        break;
      case 3:
        for (n *= 2; n > 0; --n) text += static_cast<char>('a' + random->Next() % 26);
        break;
      case 4:
        for (n *= 2; n > 0; --n) text += static_cast<char>(' ' + random->Next() % 95);
        break;
      case 5:
        for (; n > 0; --n) text += kSpaces[random->Next() % std::size(kSpaces)];
        break;
      case 6:
        text += kEmoji[random->Next() % std::size(kEmoji)];
        break;
      case 7:
        for (; n > 0; --n) AppendUtf8(0x300 + random->Next() % 0x50, &text);
        break;
      case 8:  // what is a surrogate here becomes something else
        for (; n > 0; --n) {
          const uint32_t c = random->Next() % (random->Next() % 4 == 0 ? 0x20000 : 0x3000);
          AppendUtf8(c >= 0xD800 && c < 0xE000 ? c - 0xD000 : c, &text);
        }
        break;
      default:
        for (; n > 0; --n) text += static_cast<char>(invalid_bytes ? random->Next() : '0' + random->Next() % 10);
    }
  }
  return text;
}

}  // namespace thimble::testing
