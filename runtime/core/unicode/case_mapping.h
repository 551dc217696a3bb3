// Upper, lower and title case of characters, with the special cases of one character that becomes several (Unicode's
// SpecialCasing without languages).
#pragma once

#include <cstddef>
#include <cstdint>

namespace thimble {

enum class CaseForm : uint8_t { kLower, kUpper, kTitle };

inline constexpr size_t kMaxCaseBytes = 6;

// The form of a character as UTF-8: bytes written to `out`, of which there is room for kMaxCaseBytes. What a capital sigma
// becomes at the end of a word is the caller's to know.
size_t CaseMapped(uint32_t code_point, CaseForm form, char* out);

}  // namespace thimble
