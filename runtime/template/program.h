// A compiled template: a tree in prefix order, as bytes. There are no jumps: what may be skipped has its length in front of it, and all
// of it lies inside of what it belongs to. Names and texts are parts of one pool.
//
//   "TMPL", uint8 version, varint pool bytes, varint names, the names (varint offset, varint length in the pool), pool, body
//   body        varint bytes, then statements up to its end
//   statement   Statement, varint line, then
//     kText        text                        kOut          expression
//     kIf          varint n, n x (skip expression, body), body (else)
//     kFor         varint n, n names, expression, skip condition (may be empty), body, body (else)
//     kSet         varint n, n names, expression          kSetAttribute  name, name, expression
//     kSetBlock    name, body, varint n, n filters        kFilterBlock   body, varint n, n filters
//     kMacro       name, varint n, n x (name, skip default, may be empty), body
//     kScope       body                        kBreak, kContinue
//   expression  Expression, then
//     kText text   kInt varint (zigzag)   kFloat 8 bytes   kTrue kFalse kNone   kName name
//     kAttribute expression name          kItem expression expression
//     kSlice expression, uint8 which (1 start, 2 stop, 4 step), those
//     kCall expression arguments          kMethod expression name arguments
//     kFilter expression filter           kTest expression, uint8 test, arguments
//     kNot kNegative kPositive expression kAnd kOr expression, skip expression
//     kCondition expression, skip expression, skip expression (may be empty)
//     kBinary uint8 operator, 2 expressions
//     kCompare expression, varint n, n x (uint8 operator, expression)
//     kConcat kList kTuple varint n, n expressions        kDict varint n, n x 2 expressions
//   filter      uint8 Filter, arguments
//   arguments   varint n, n x (expression, or kSpread or kSpreadDict of a list or dict of them), varint m, m x (name, expression)
//   skip X      varint bytes, X             text     varint offset, varint length in the pool     name     varint index
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/core/result.h"

namespace thimble::chat {

enum class Statement : uint8_t { kText, kOut, kIf, kFor, kSet, kSetAttribute, kSetBlock, kFilterBlock, kMacro, kScope, kBreak, kContinue };
enum class Expression : uint8_t {
  kText, kInt, kFloat, kTrue, kFalse, kNone, kName, kAttribute, kItem, kSlice, kCall, kMethod, kFilter, kTest, kNot, kNegative,
  kPositive, kAnd, kOr, kCondition, kBinary, kCompare, kConcat, kList, kTuple, kDict, kSpread, kSpreadDict
};
enum class Binary : uint8_t { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
enum class Compare : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

#define THIMBLE_TEMPLATE_FILTERS(each)                                                                                               \
  each(abs) each(capitalize) each(count) each(d) each(default) each(dictsort) each(e) each(escape) each(first) each(float) each(unknown) each(indent) \
      each(int) each(items) each(join) each(last) each(length) each(list) each(lower) each(map) each(max) each(min) each(reject)        \
          each(rejectattr) each(replace) each(reverse) each(round) each(safe) each(select) each(selectattr) each(sort) each(string)     \
              each(sum) each(title) each(tojson) each(trim) each(unique) each(upper) each(format)
#define THIMBLE_TEMPLATE_TESTS(each)                                                                                                 \
  each(boolean) each(callable) each(defined) each(divisibleby) each(eq) each(equalto) each(even) each(false) each(float) each(ge)       \
      each(greaterthan) each(gt) each(in) each(integer) each(iterable) each(le) each(lessthan) each(lower) each(lt) each(mapping)       \
          each(ne) each(none) each(number) each(odd) each(sameas) each(sequence) each(string) each(true) each(undefined) each(upper) each(unknown) each(escaped)

#define THIMBLE_NAME(name) k_##name,
enum class Filter : uint8_t { THIMBLE_TEMPLATE_FILTERS(THIMBLE_NAME) kCount };
enum class Test : uint8_t { THIMBLE_TEMPLATE_TESTS(THIMBLE_NAME) kCount };
#undef THIMBLE_NAME

inline constexpr char kProgramMagic[4] = {'T', 'M', 'P', 'L'};
inline constexpr uint8_t kProgramVersion = 1;

// Limits of a program.
inline constexpr size_t kMaxTemplateBytes = 32 * 1024;
inline constexpr size_t kMaxProgramNodes = 2048;
inline constexpr size_t kMaxStatementDepth = 16;
inline constexpr size_t kMaxExpressionDepth = 64;

inline bool IsSpread(uint8_t expression) {
  return expression == static_cast<uint8_t>(Expression::kSpread) || expression == static_cast<uint8_t>(Expression::kSpreadDict);
}

// Where its parts lie. Only from Verify().
struct Program {
  const uint8_t* names = nullptr;
  const uint8_t* body = nullptr;
  const char* pool = nullptr;
  uint32_t pool_bytes = 0;
  uint32_t name_count = 0;
  uint32_t nodes = 0;
};

// Every byte is looked at once: after this, reading it cannot fail.
Result<Program> VerifyProgram(const uint8_t* bytes, size_t size);

// Reading what was verified.
struct Reader {
  const uint8_t* at;
  uint8_t Byte() { return *at++; }
  uint32_t Number() {
    uint32_t n = 0;
    for (int shift = 0;; shift += 7) {
      const uint8_t byte = *at++;
      n |= uint32_t{byte & 127u} << shift;
      if (byte < 128) return n;
    }
  }
};

}  // namespace thimble::chat
