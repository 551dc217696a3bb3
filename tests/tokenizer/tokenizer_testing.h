// What the tokenizer tests share: a loaded tokenizer with its own workspace, small vocabularies built on
// the spot, and random text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "format/tokenizer_data.h"
#include "runtime/sampler.h"
#include "runtime/tokenizer/tokenizer.h"
#include "tests/support/json_testing.h"

namespace thimble::testing {

// The smaller amount where the test runs slowly: under a sanitizer, or on aarch64, which may be an emulator.
size_t Scaled(size_t full, size_t reduced);

// A file below the shared data; SKIPs the test when it is absent.
std::string SharedFile(const std::string& name);
std::string SharedPath(const std::string& name);
// A JSON file below tests/golden.
Json GoldenJson(const std::string& name);

class LoadedTokenizer {
 public:
  explicit LoadedTokenizer(const TokenizerModel& model);

  const TokenizerData& data() const { return data_; }
  std::vector<int32_t> Encode(std::string_view text, const EncodeOptions& options = {}) const;
  std::vector<int32_t> EncodePlain(std::string_view text) const { return Encode(text, {.add_bos = false}); }
  // In one go through a Detokenizer.
  std::string Decode(const std::vector<int32_t>& ids) const;
  int32_t Id(std::string_view piece) const;

 private:
  std::vector<uint32_t> segment_;
  TokenizerData data_;
};

// SentencePiece BPE: unk, <s>, </s>, the 256 bytes (if byte_fallback), then the pieces, each scoring minus
// its place.
TokenizerModel SmallSpm(const std::vector<std::string>& pieces, bool byte_fallback = true);
// Byte-level BPE: the 256 bytes, then what the merges build, then <|end|> (control) and <|user|>
// (user-defined).
TokenizerModel SmallByteBpe(const std::vector<std::pair<std::string, std::string>>& merges);
// A byte-level vocabulary learnt from `text` the slow way.
TokenizerModel LearnByteBpe(std::string_view text, size_t merges);

enum class RandomKind { kAscii, kUnicode, kBytes, kFewLetters };
std::string RandomText(Pcg32* random, RandomKind kind, size_t characters);
// What people and machines write, and what nobody does: words, code, runs of spaces, digits, emoji, marks, random
// characters of all planes. With invalid_bytes also bytes that are no UTF-8.
std::string MixedText(Pcg32* random, bool invalid_bytes);
// How many of them to compare: THIMBLE_TOKENIZER_STRINGS, or a number that takes a second or two.
size_t MixedTexts(size_t otherwise);
void AppendUtf8(uint32_t code_point, std::string* text);

}  // namespace thimble::testing
