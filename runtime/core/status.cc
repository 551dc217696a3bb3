// Status to text, names and exit codes. Knows nothing about models.
#include "runtime/core/status.h"

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace thimble {
namespace {

// snprintf that appends and never passes the end.
struct Writer {
  char* buffer;
  size_t capacity;
  size_t length = 0;

  void Text(const char* text) {
    while (*text != 0 && length + 1 < capacity) buffer[length++] = *text++;
  }
  void Number(uint64_t value) {
    char digits[24];
    std::snprintf(digits, sizeof digits, "%" PRIu64, value);
    Text(digits);
  }
};

// strerror_r is one of two functions, by system.
[[maybe_unused]] const char* ReasonOf(const char* text, const char*) { return text; }
[[maybe_unused]] const char* ReasonOf(int failed, const char* buffer) { return failed == 0 ? buffer : "unknown reason"; }

const char* RangeName(Code code) {
  switch (static_cast<int32_t>(code) / 100) {
    case 1: return "argument";
    case 2: return "model file";
    case 3: return "unsupported";
    case 4: return "memory";
    case 5: return "system";
    case 6: return "state";
    case 7: return "numeric";
    default: return "ok";
  }
}

}  // namespace

Status& Status::Detail(const char* text, size_t size) {
  size_t n = size < sizeof detail - 1 ? size : sizeof detail - 1;
  for (size_t i = 0; i < n; ++i) detail[i] = (text[i] >= 0x20 && text[i] < 0x7f) ? text[i] : '?';
  detail[n] = 0;
  return *this;
}

Status& Status::DetailPath(const char* path) {
  const size_t size = std::strlen(path), most = sizeof detail - 1;
  if (size <= most) return Detail(path, size);
  Detail(path + size - most, most);
  std::memcpy(detail, "...", 3);
  return *this;
}

size_t FormatStatus(const Status& s, char* buffer, size_t buffer_bytes) {
  if (buffer_bytes == 0) return 0;
  Writer w{buffer, buffer_bytes};
  if (s.code != Code::kTemplateRaised) {  // whose words are a template's
    w.Text(RangeName(s.code));
    w.Text(": ");
  }
  if (s.section[0] != 0) {
    w.Text(s.section);
    if (s.index != Status::kNone) {
      w.Text(" ");
      w.Number(static_cast<uint64_t>(s.index));
    }
    w.Text(s.field[0] != 0 ? ", " : ": ");
  }
  if (s.field[0] != 0) {
    w.Text(s.field);
    w.Text(": ");
  }
  w.Text(s.ok() ? "ok" : s.what);
  if (s.detail[0] != 0) {
    w.Text(" '");
    w.Text(s.detail);
    w.Text("'");
  }
  if (s.system_error != 0) {
    const int before = errno;
    char reason[96];
    w.Text(": ");
    w.Text(ReasonOf(strerror_r(s.system_error, reason, sizeof reason), reason));
    errno = before;
  }
  if (s.has_got || s.has_wanted || s.offset != Status::kNone) {
    const char* separator = " (";
    if (s.has_got) {
      w.Text(separator);
      w.Text("got ");
      if (s.got_is_negative) w.Text("-");
      w.Number(s.got_is_negative ? uint64_t{0} - s.got : s.got);
      separator = ", ";
    }
    if (s.has_wanted) {
      w.Text(separator);
      w.Text("wanted ");
      w.Number(s.wanted);
      separator = ", ";
    }
    if (s.offset != Status::kNone) {
      w.Text(separator);
      w.Text("at byte ");
      w.Number(static_cast<uint64_t>(s.offset));
    }
    w.Text(")");
  }
  w.buffer[w.length] = 0;
  return w.length;
}

const char* CodeName(Code code) {
  switch (code) {
#define THIMBLE_CASE(NAME, kName, number, name, help) \
  case Code::kName: return name;
    THIMBLE_CODES(THIMBLE_CASE)
#undef THIMBLE_CASE
  }
  return "unknown";
}

const char* CodeHelp(Code code) {
  switch (code) {
#define THIMBLE_CASE(NAME, kName, number, name, help) \
  case Code::kName: return help;
    THIMBLE_CODES(THIMBLE_CASE)
#undef THIMBLE_CASE
  }
  return "unknown";
}

int ExitCode(Code code) {
  if (code == Code::kCancelled) return 130;
  switch (static_cast<int32_t>(code) / 100) {
    case 0: return 0;
    case 1: return 2;
    case 2: return 3;
    case 3: return 4;
    case 4: return 5;
    case 5: return 6;
    case 6: return 7;
    default: return 3;  // numbers that are not finite come from the model's weights
  }
}

}  // namespace thimble
