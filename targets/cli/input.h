// What the program reads: texts, files, lists of ids, and numbers in arguments. Knows no command.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace thimble::cli {

// Texts, ids and numbers that are read into memory whole.
inline constexpr size_t kMaxInputBytes = size_t{64} << 20;

// The whole file; "-" is standard input. Waits for what comes through a pipe. Throws Error(kIo) with the path and the
// system's reason, kOutOfRange where there is more than `most_bytes`: a device may never end.
std::string ReadFile(const std::string& path, size_t most_bytes = kMaxInputBytes);

// Somebody sends a text through standard input: it is open, and no terminal.
bool InputIsPiped();

// Throws Error(kIo) when `path` is not a readable regular file (a directory, a missing file).
void CheckReadable(const std::string& path);

// \n \r \t \\ \" \' \0 and \xHH; anything else stays as it is written.
std::string Unescape(std::string_view text);

// Decimal digits with an optional minus, nothing else; throws Error(kInvalidArgument) naming `option`.
int64_t ParseInteger(std::string_view text, int64_t minimum, int64_t maximum, const std::string& option);
double ParseReal(std::string_view text, double minimum, double maximum, const std::string& option);

// A number of bytes: "1000", "64K", "300MiB", "1.5G"; K, M and G count by 1024, with or without "iB" or "B" behind them. Not 0.
uint64_t ParseBytes(std::string_view text, const std::string& option);

// "1,403,407" (commas or white space).
std::vector<int32_t> ParseIds(std::string_view text, const std::string& option);
// A JSON list of integers, an object with such a list as "ids", or a text of numbers.
std::vector<int32_t> ReadIds(const std::string& path);
// Every number of nested JSON lists in order; of an object, its "images" or "pixels".
std::vector<float> ReadNumbers(const std::string& path);

}  // namespace thimble::cli
