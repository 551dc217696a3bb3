// Looks characters up in the generated table of runs.
#include "runtime/core/unicode/bert_classes.h"

#include <iterator>

#include "runtime/core/unicode/runs.h"

namespace thimble {
namespace {
#include "runtime/core/unicode/bert_classes.inc"
}

BertClass BertClassOf(uint32_t code_point) {
  if (code_point < 0x80) {
    const uint32_t lower = code_point | 0x20;
    if ((lower >= 'a' && lower <= 'z') || (code_point >= '0' && code_point <= '9')) return BertClass::kOther;
    if (code_point == ' ' || code_point == '\t' || code_point == '\n' || code_point == '\r') return BertClass::kOther;
    return code_point < ' ' || code_point == 0x7F ? BertClass::kRemoved : BertClass::kPunctuation;
  }
  if (code_point > 0x10FFFF) return BertClass::kOther;
  return static_cast<BertClass>(FindRun(kBertRuns, std::size(kBertRuns), 2, code_point) & 3);
}

}  // namespace thimble
