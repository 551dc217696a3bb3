#include "runtime/core/unicode/case_mapping.h"

#include <cstring>
#include <iterator>

#include "runtime/core/unicode/unicode.h"

namespace thimble {
namespace {

// The text of up to six bytes is filled up with zeros.
struct CaseException {
  uint16_t code_point;
  char text[kMaxCaseBytes + 1];
};

#include "runtime/core/unicode/case_exceptions.inc"

template <size_t kCount>
size_t Find(const CaseException (&table)[kCount], uint32_t code_point, char* out) {
  size_t low = 0;
  size_t high = kCount;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    (table[middle].code_point <= code_point ? low : high) = middle;
  }
  if (table[low].code_point != code_point) return 0;
  const size_t size = std::strlen(table[low].text);
  std::memcpy(out, table[low].text, size);
  return size;
}

}  // namespace

size_t CaseMapped(uint32_t code_point, CaseForm form, char* out) {
  if (form == CaseForm::kLower) {
    constexpr char kDottedI[] = "i\xcc\x87";
    if (code_point != 0x130) return EncodeUtf8(LowercaseOf(code_point), out);
    std::memcpy(out, kDottedI, 3);
    return 3;
  }
  if (form == CaseForm::kTitle && code_point >= 0x10d0 && code_point < 0x1100) return EncodeUtf8(code_point, out);
  const size_t special = form == CaseForm::kUpper ? Find(kUpperExceptions, code_point, out) : Find(kTitleExceptions, code_point, out);
  return special > 0 ? special : EncodeUtf8(SimpleUppercaseOf(code_point), out);
}

}  // namespace thimble
