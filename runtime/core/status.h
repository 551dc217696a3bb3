// Status: what went wrong, as a value.
//
// One trivially copyable struct instead of exceptions: a code in a range that says who can fix it, static text, and
// the place (section, index, field, offset) with what was found and what was expected. It owns nothing and
// allocates nothing, so it can be returned from anywhere, also when memory is what ran out.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "runtime/include/thimble/codes.h"

namespace thimble {

// kOk, kInvalidArgument, ...: runtime/include/thimble/codes.h has them all, with their meaning and what to do.
#define THIMBLE_ENUMERATOR(NAME, kName, number, name, help) kName = number,
enum class Code : int32_t { THIMBLE_CODES(THIMBLE_ENUMERATOR) };
#undef THIMBLE_ENUMERATOR

struct Status {
  static constexpr int64_t kNone = -1;

  Code code = Code::kOk;
  const char* what = "";        // static: one sentence, what is wrong and, where useful, what to do
  const char* section = "";     // static: "layer", "tensor", "segment", ...; "" if none
  int64_t index = kNone;        // which one of the section
  const char* field = "";       // static: the field or argument, "attention.heads"
  int64_t offset = kNone;       // byte offset in the file
  uint64_t got = 0;
  uint64_t wanted = 0;
  bool has_got = false;
  bool has_wanted = false;
  bool got_is_negative = false;  // `got` is a number of two's complement
  int32_t system_error = 0;     // errno of the system's call that failed; FormatStatus says the reason in words. 0: none did
  char detail[40] = {};         // a name taken from the file, cut and made printable; "" if none

  constexpr bool ok() const { return code == Code::kOk; }

  static constexpr Status Ok() { return {}; }
  static constexpr Status Error(Code code, const char* what) {
    Status s;
    s.code = code;
    s.what = what;
    return s;
  }
  // The system refused: `what` is the operation ("cannot read the model file"), error_number the call's errno.
  static constexpr Status Errno(Code code, const char* what, int error_number) {
    Status s = Error(code, what);
    s.system_error = error_number;
    return s;
  }
  constexpr Status& At(const char* section_name, int64_t i = kNone) {
    section = section_name;
    index = i;
    return *this;
  }
  constexpr Status& Field(const char* name) {
    field = name;
    return *this;
  }
  constexpr Status& Offset(uint64_t bytes) {
    offset = static_cast<int64_t>(bytes);
    return *this;
  }
  // Of any integer type, so that nobody casts a sign away.
  template <std::integral T>
  constexpr Status& Got(T v) {
    got = static_cast<uint64_t>(v);
    has_got = true;
    got_is_negative = v < 0;
    return *this;
  }
  constexpr Status& Wanted(uint64_t v) {
    wanted = v;
    has_wanted = true;
    return *this;
  }
  // Copies at most 39 bytes; bytes outside printable ASCII become '?'.
  Status& Detail(const char* text, size_t size);
  // The same for paths, whose ends say more: a longer one is its last bytes behind "...".
  Status& DetailPath(const char* path);
};

static_assert(std::is_trivially_copyable_v<Status>);

// "file: layer 3, attention.heads: must be divisible by kv_heads (got 7, wanted 2)"; "system: cannot read the model file:
// Input/output error". Always terminates; returns the length written without the terminator, and leaves errno alone.
size_t FormatStatus(const Status& status, char* buffer, size_t buffer_bytes);

// "kArenaTooSmall" -> "arena-too-small"; stable names for JSON and logs.
const char* CodeName(Code code);
// What the code means and what to do. Static text, like the name; "unknown" for a number that is no code.
const char* CodeHelp(Code code);

// The exit code that a program should end with: 0 ok, 2 argument, 3 bad model, 4 unsupported, 5 memory, 6 I/O,
// 7 run limit, 130 cancelled.
int ExitCode(Code code);

}  // namespace thimble

#define THIMBLE_RETURN_IF_ERROR(expr)                      \
  do {                                                     \
    if (::thimble::Status status_ = (expr); !status_.ok()) \
      return status_;                                      \
  } while (0)

// THIMBLE_ASSIGN_OR_RETURN(auto x, MakeX());
#define THIMBLE_ASSIGN_OR_RETURN(lhs, expr) THIMBLE_ASSIGN_OR_RETURN_I_(THIMBLE_CAT_(result_, __LINE__), lhs, expr)
#define THIMBLE_ASSIGN_OR_RETURN_I_(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return tmp.status();               \
  lhs = tmp.value()
#define THIMBLE_CAT_(a, b) THIMBLE_CAT2_(a, b)
#define THIMBLE_CAT2_(a, b) a##b
