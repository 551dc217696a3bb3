// Errors of the program: a code of the library's ranges, from which the exit code follows, and a sentence for
// people. Knows no command.
#pragma once

#include <stdexcept>
#include <string>

#include <thimble/thimble.h>

namespace thimble::cli {

// The library's numbers (thimble.h, "errors") that the program raises itself.
inline constexpr int kInvalidArgument = 100;
inline constexpr int kOutOfRange = 101;
inline constexpr int kNotAModel = 200;
inline constexpr int kUnsupported = 300;
inline constexpr int kOutOfMemory = 403;
inline constexpr int kIo = 500;
inline constexpr int kContextFull = 600;
inline constexpr int kCancelled = 602;

inline constexpr int kExitArgument = 2;
inline constexpr int kExitCancelled = 130;

// 0 ok, 2 argument, 3 bad model, 4 unsupported, 5 memory, 6 I/O, 7 run limit, 130 cancelled.
int ExitCodeOf(int code);

struct Error : std::runtime_error {
  Error(int c, const std::string& message) : std::runtime_error(message), code(c) {}
  int code;
};

// Throws what the status says, with `about` (a path, usually) in front.
void Check(const thimble_status& status, const std::string& about = {});

// "PATH: cannot be opened: No such file or directory", code kIo.
Error IoError(const std::string& path, const std::string& what, int error_number);

// "thimble: error: ..." on stderr; with json also {"error":{code,name,message}} on stdout. Returns the exit
// code.
int Report(const Error& error, bool json);

}  // namespace thimble::cli
