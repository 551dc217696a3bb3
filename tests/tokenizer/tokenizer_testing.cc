// Helpers of the tokenizer tests.
#include "tests/tokenizer/tokenizer_testing.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "format/import/import_error.h"
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
  const size_t workspace_bytes = EncodeWorkspaceBytes(data_, text.size());
  const std::vector<uint32_t> workspace((workspace_bytes + 3) / 4);
  std::vector<int32_t> ids(EncodeMaxIds(data_, text.size()));
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

}  // namespace thimble::testing
