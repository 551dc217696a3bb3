#include "targets/convert/tokenizers/base64.h"

#include <cstdint>

namespace thimble {
namespace {

int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

bool DecodeBase64(std::string_view text, std::string* bytes) {
  bytes->clear();
  if (text.empty() || text.size() % 4 != 0) return false;
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  uint32_t bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool pads = i >= text.size() - padding;
    const int digit = pads ? 0 : Base64Digit(text[i]);
    if (digit < 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if (i % 4 != 3) continue;
    const size_t count = i + 1 == text.size() ? 3 - padding : 3;
    for (size_t byte = 0; byte < count; ++byte) bytes->push_back(static_cast<char>(bits >> (16 - 8 * byte)));
    bits = 0;
  }
  return true;
}

}  // namespace thimble
