// Errors of the program: exit codes and how they are shown.
#include "targets/cli/error.h"

#include <cstdio>
#include <cstring>

#include "targets/cli/output.h"
#include "targets/json/json.h"

namespace thimble::cli {

int ExitCodeOf(int code) { return thimble_exit_code(code); }

void Check(const thimble_error& status, const std::string& about) {
  if (status.code == 0) return;
  throw Error(status.code, about.empty() ? std::string(status.message) : about + ": " + status.message);
}

Error IoError(const std::string& path, const std::string& what, int error_number) {
  return Error(kIo, path + ": " + what + ": " + std::strerror(error_number));
}

std::string ErrorLine(const Error& error) { return std::string("thimble: error: ") + error.what() + "\n"; }

std::string ErrorObject(const Error& error) {
  Json object;
  object["error"] = {{"code", error.code}, {"name", thimble_code_name(error.code)}, {"message", error.what()}};
  return JsonText(object) + "\n";
}

int Report(const Error& error, bool json) {
  std::fflush(stdout);
  std::fputs(ErrorLine(error).c_str(), stderr);
  if (json) {
    try {
      Print(ErrorObject(error));
    } catch (const Error&) {
      // Standard output is what failed; stderr has said so.
    }
  }
  return ExitCodeOf(error.code);
}

}  // namespace thimble::cli
