// Errors of the program: a code of the library's ranges, from which the exit code follows, and a sentence for
// people. Knows no command.
#pragma once

#include <stdexcept>
#include <string>

#include <thimble/thimble.hpp>

namespace thimble::cli {

// The library's codes that the program raises itself.
inline constexpr int kInvalidArgument = THIMBLE_INVALID_ARGUMENT;
inline constexpr int kOutOfRange = THIMBLE_OUT_OF_RANGE;
inline constexpr int kNotAModel = THIMBLE_NOT_A_MODEL;
inline constexpr int kUnsupported = THIMBLE_UNSUPPORTED;
inline constexpr int kOutOfMemory = THIMBLE_OUT_OF_MEMORY;
inline constexpr int kOverBudget = THIMBLE_OVER_BUDGET;
inline constexpr int kIo = THIMBLE_IO;
inline constexpr int kContextFull = THIMBLE_CONTEXT_FULL;
inline constexpr int kWrongState = THIMBLE_WRONG_STATE;
inline constexpr int kCancelled = THIMBLE_CANCELLED;

inline constexpr int kExitArgument = 2;
inline constexpr int kExitCancelled = 130;

// 0 ok, 2 argument, 3 bad model, 4 unsupported, 5 memory, 6 I/O, 7 run limit, 130 cancelled.
int ExitCodeOf(int code);

struct Error : std::runtime_error {
  Error(int c, const std::string& message) : std::runtime_error(message), code(c) {}
  int code;
};

// Throws what the status says, with `about` (a path, usually) in front.
void Check(const thimble_error& status, const std::string& about = {});

// "PATH: cannot be opened: No such file or directory", code kIo.
Error IoError(const std::string& path, const std::string& what, int error_number);

// "thimble: error: ...", and {"error":{code,name,message}}: each a line.
std::string ErrorLine(const Error& error);
std::string ErrorObject(const Error& error);
// "thimble: error: ..." on stderr; with json also {"error":{code,name,message}} on stdout. Returns the exit
// code.
int Report(const Error& error, bool json);

}  // namespace thimble::cli
