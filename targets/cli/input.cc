// What the program reads: texts, files, lists of ids, and numbers in arguments.
#include "targets/cli/input.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <memory>

#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/output.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Error TooLarge(const std::string& path, size_t most_bytes) {
  return Error(kOutOfRange, Format("%s: is larger than the %zu MiB that are read at most", path.c_str(), most_bytes >> 20));
}

bool IsSeparator(char c) { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

Json Parse(const std::string& text, const std::string& path) {
  try {
    return ParseJson(text);
  } catch (const JsonError& error) {
    throw Error(kInvalidArgument, path + ": is not JSON: " + error.what());
  }
}

void Flatten(const Json& value, const std::string& path, int depth, std::vector<float>* out) {
  if (value.is_number()) {
    out->push_back(static_cast<float>(value.as_double()));
  } else if (value.is_array() && depth < 8) {
    for (const Json& item : value.items()) Flatten(item, path, depth + 1, out);
  } else {
    throw Error(kInvalidArgument, path + ": must hold nothing but numbers in lists");
  }
}

}  // namespace

bool InputIsPiped() {
  struct stat info;
  return fstat(STDIN_FILENO, &info) == 0 && isatty(STDIN_FILENO) == 0;
}

void CheckReadable(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) throw IoError(path, "cannot be opened", errno);
  if (S_ISDIR(info.st_mode)) throw IoError(path, "cannot be read", EISDIR);
  // Opening a pipe would wait for a writer, and a device may never end.
  if (!S_ISREG(info.st_mode)) throw Error(kIo, path + ": is not a regular file");
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) throw IoError(path, "cannot be opened", errno);
  std::fclose(file);
}

std::string ReadFile(const std::string& path, size_t most_bytes) {
  std::unique_ptr<std::FILE, CloseFile> file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  const int open_error = errno;
  if (Interrupted()) throw Error(kCancelled, "cancelled");  // opening a pipe waits for its writer
  if (file == nullptr) throw IoError(path, "cannot be opened", open_error);
  std::string text;
  char buffer[1 << 16];
  while (true) {
    errno = 0;
    const size_t n = std::fread(buffer, 1, sizeof buffer, file.get());
    text.append(buffer, n);
    if (text.size() > most_bytes) throw TooLarge(path == "-" ? "standard input" : path, most_bytes);
    if (Interrupted()) throw Error(kCancelled, "cancelled");
    if (n < sizeof buffer) {
      if (std::ferror(file.get()))
        throw IoError(path == "-" ? "standard input" : path, "cannot be read", errno);
      return text;
    }
  }
}

std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (const char c = text[++i]) {
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case '0':
        out += '\0';
        break;
      case '\\':
      case '"':
      case '\'':
        out += c;
        break;
      case 'x':
        if (i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0) {
          out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
          i += 2;
          break;
        }
        [[fallthrough]];
      default:
        out += '\\';
        out += c;
    }
  }
  return out;
}

int64_t ParseInteger(std::string_view text, int64_t minimum, int64_t maximum, const std::string& option) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size())
    throw Error(kInvalidArgument, option + ": must be a whole number, got " + Quoted(text));
  if (error == std::errc::result_out_of_range || value < minimum || value > maximum)
    throw Error(kOutOfRange, option + ": must be between " + std::to_string(minimum) + " and " +
                                 std::to_string(maximum) + ", got " + std::string(text));
  return value;
}

double ParseReal(std::string_view text, double minimum, double maximum, const std::string& option) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    throw Error(kInvalidArgument, option + ": must be a number, got " + Quoted(text));
  if (value < minimum || value > maximum)
    throw Error(kOutOfRange,
                Format("%s: must be between %g and %g, got %g", option.c_str(), minimum, maximum, value));
  return value;
}

uint64_t ParseBytes(std::string_view text, const std::string& option) {
  const Error bad(kInvalidArgument, option + ": must be a number of bytes, as in 300MiB, 1.5G or 4096, got " + Quoted(text));
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc()) throw bad;
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  int shift = 0;
  if (const size_t at = std::string_view("KMG").find(unit.empty() ? ' ' : unit[0]); at != std::string_view::npos) {
    shift = 10 * static_cast<int>(at + 1);
    unit.remove_prefix(1);
    if (unit.starts_with('i')) {
      unit.remove_prefix(1);
      if (unit.empty()) throw bad;
    }
  }
  const double bytes = std::ldexp(number, shift);
  if ((!unit.empty() && unit != "B") || !(bytes >= 1 && bytes < 0x1p63) || bytes != std::floor(bytes)) throw bad;
  return static_cast<uint64_t>(bytes);
}

std::vector<int32_t> ParseIds(std::string_view text, const std::string& option) {
  std::vector<int32_t> ids;
  size_t at = 0;
  while (at < text.size()) {
    if (IsSeparator(text[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && !IsSeparator(text[end])) ++end;
    ids.push_back(static_cast<int32_t>(ParseInteger(text.substr(at, end - at), 0, INT32_MAX, option)));
    at = end;
  }
  return ids;
}

std::vector<int32_t> ReadIds(const std::string& path) {
  const std::string text = ReadFile(path);
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string::npos || (text[start] != '[' && text[start] != '{')) return ParseIds(text, path);
  const Json whole = Parse(text, path);
  const Json* list = whole.Find("ids");
  const Json& value = list != nullptr ? *list : whole;
  if (!value.is_array()) throw Error(kInvalidArgument, path + ": must be a JSON list of ids");
  std::vector<int32_t> ids;
  ids.reserve(value.size());
  for (const Json& item : value.items()) {
    if (!item.is_whole())
      throw Error(kInvalidArgument, path + ": must hold nothing but whole numbers");
    if (!item.is_unsigned() || item.as_unsigned() > INT32_MAX)
      throw Error(kOutOfRange, path + ": " + JsonText(item) + " is not an id");
    ids.push_back(static_cast<int32_t>(item.as_unsigned()));
  }
  return ids;
}

std::vector<float> ReadNumbers(const std::string& path) {
  const Json whole = Parse(ReadFile(path), path);
  const Json* list = whole.is_object() ? whole.Find("images") : &whole;
  if (list == nullptr) list = whole.Find("pixels");
  if (list == nullptr) throw Error(kInvalidArgument, path + ": has neither \"images\" nor \"pixels\"");
  std::vector<float> numbers;
  Flatten(*list, path, 0, &numbers);
  return numbers;
}

}  // namespace thimble::cli
