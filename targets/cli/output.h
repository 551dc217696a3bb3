// What the program writes to standard output, and how it writes numbers. Knows no command.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "targets/json/json.h"

namespace thimble::cli {


// The reader of our standard output has gone (`thimble run ... | head`): not an error, the program ends
// quietly.
struct PipeClosed {};

// Writes and flushes. Throws PipeClosed, or Error with code kIo (a full disk).
void Print(std::string_view text);
// One line. Bytes that are not UTF-8 become U+FFFD.
void PrintJson(const Json& value);

// printf into a string.
std::string Format(const char* format, ...) __attribute__((format(printf, 1, 2)));

// 3145728 -> "3,145,728".
std::string Thousands(uint64_t value);
// 3145728 -> "3.00 MiB", 1536 -> "1.5 KiB".
std::string HumanBytes(uint64_t bytes);
// At most three decimals, without trailing zeros: 96.875, 50, 0.
std::string Percent(double percent);
// Full precision of a float; "null" where JSON has no number.
void AppendFloat(std::string* out, float value);

// UTF-8 and line breaks made visible, in double quotes.
std::string Quoted(std::string_view text);
// As it must be typed to be one word of a command: quoted where a shell would read something else.
std::string ShellWord(const std::string& text);

// Standard error is a terminal: progress bars and carriage returns make sense.
bool ErrorIsTerminal();

}  // namespace thimble::cli
