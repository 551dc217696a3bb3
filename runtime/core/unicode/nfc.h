// Unicode's normal form C (Unicode standard, chapter 3.11; annex 15): characters and the marks behind them in one
// order, composed where Unicode has a character for them. Allocates nothing; time is linear in the text, with a
// factor for the number of different combining classes in one run of marks. It must not know tokenizers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace thimble {

// Writes the normal form of `text` to out[0, capacity) and returns its bytes, also those for which there is no
// room. Bytes that are no UTF-8 stay as they are, and nothing composes across them. Three times the text's bytes
// are always enough.
size_t NormalizeNfc(std::string_view text, char* out, size_t capacity);

// Part `index` of a character's full canonical decomposition, which has *count parts, 1 to 4; itself where it has none.
uint32_t DecomposedPart(uint32_t code_point, uint32_t index, uint32_t* count);

// The canonical combining class, by which marks behind each other are ordered; 0 for a starter.
uint8_t CombiningClass(uint32_t code_point);

}  // namespace thimble
