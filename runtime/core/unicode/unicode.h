// UTF-8 and the character classes that split patterns ask for. Inline and free of tables typed by
// hand; it must not know tokenizers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace thimble {

enum class CharClass : uint8_t {
  kOther = 0,
  kLetter = 1,
  kNumber = 2,
  kSpace = 3,
  kPunctuation = 4,
  kSymbol = 5,
  kMark = 6,
};

// \p{L}, \p{N}, \s (White_Space), \p{P}, \p{S} and \p{M} of the Unicode version that UnicodeVersion() names, which is
// that of the library whose ids models are trained with.
// O(log runs), O(1) in ASCII.
CharClass ClassOf(uint32_t code_point);
const char* UnicodeVersion();

enum class LetterCase : uint8_t { kNone = 0, kUpper = 1, kLower = 2 };

// \p{Lu} and \p{Lt}, \p{Ll}, or neither. O(log runs), O(1) in ASCII.
LetterCase CaseOf(uint32_t code_point);

// \d, which is \p{Nd}: of the numbers those that are digits of a decimal system.
bool IsDecimalDigit(uint32_t code_point);

// The simple lower case of a character, itself where it has none. O(log runs), O(1) in ASCII.
uint32_t LowercaseOf(uint32_t code_point);
// The first character whose simple lower case it is, itself where there is none. O(runs), O(1) in ASCII.
uint32_t SimpleUppercaseOf(uint32_t code_point);

struct Utf8Char {
  uint32_t code_point;  // U+FFFD for a byte that starts no valid sequence
  uint32_t bytes;       // 1 then
  bool valid;
};

// What a lead byte asks for: how many bytes follow, and the range of the first of them, which is what rules
// out overlong forms, surrogates and numbers past U+10FFFF (Unicode standard, table 3-7).
// continuation_bytes is 0 for ASCII and for bytes that start nothing.
struct Utf8Lead {
  uint32_t continuation_bytes;
  uint8_t first_min;
  uint8_t first_max;
};

inline Utf8Lead Utf8LeadOf(uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {1, 0x80, 0xBF};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {2, 0x80, 0xBF};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {3, 0x80, 0xBF};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  return {0, 0, 0};
}

// The character at the start of `text`, which is not empty.
inline Utf8Char DecodeUtf8(std::string_view text) {
  const uint8_t lead_byte = static_cast<uint8_t>(text[0]);
  if (lead_byte < 0x80) return {lead_byte, 1, true};
  const Utf8Lead lead = Utf8LeadOf(lead_byte);
  if (lead.continuation_bytes == 0 || text.size() <= lead.continuation_bytes) return {0xFFFD, 1, false};
  uint32_t code_point = lead_byte & (0x3Fu >> lead.continuation_bytes);
  for (uint32_t i = 1; i <= lead.continuation_bytes; ++i) {
    const uint8_t byte = static_cast<uint8_t>(text[i]);
    const uint8_t min = i == 1 ? lead.first_min : 0x80;
    const uint8_t max = i == 1 ? lead.first_max : 0xBF;
    if (byte < min || byte > max) return {0xFFFD, 1, false};
    code_point = code_point << 6 | (byte & 0x3Fu);
  }
  return {code_point, lead.continuation_bytes + 1, true};
}

// Writes the character to out[0, 4) and returns its bytes.
inline uint32_t EncodeUtf8(uint32_t c, char* out) {
  const auto byte = [&out](uint32_t value) { *out++ = static_cast<char>(value); };
  if (c < 0x80) {
    byte(c);
    return 1;
  }
  const uint32_t continuations = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr uint32_t kLeads[] = {0, 0xC0, 0xE0, 0xF0};
  byte(kLeads[continuations] | c >> (6 * continuations));
  for (uint32_t i = continuations; i-- > 0;) byte(0x80 | (c >> (6 * i) & 0x3F));
  return continuations + 1;
}

}  // namespace thimble
