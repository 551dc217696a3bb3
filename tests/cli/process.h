// Runs the program as a user would: a child process with arguments, what it wrote, and how it ended. It must
// not know what any command does.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace thimble::test {

struct Finished {
  int exit_code = -1;  // 128 + n when signal n ended it
  std::string out, err;
};

// `input` becomes standard input. `while_running` is called with the child's id once it has written its first
// byte to standard output, or `patience_ms` after its start. The child is killed after two minutes.
Finished RunThimble(const std::vector<std::string>& arguments, const std::string& input = {},
                    const std::function<void(pid_t)>& while_running = {}, int patience_ms = 10000);
// The same with a terminal of 80 columns for standard error.
Finished RunThimbleOnTerminal(const std::vector<std::string>& arguments, const std::function<void(pid_t)>& while_running = {},
                              int patience_ms = 10000);

// The program's path, behind what emulates it.
std::vector<std::string> ProgramWords();

// A folder of its own for each call, removed at the end of the test program.
std::string TemporaryFolder();
std::string WriteFile(const std::string& path, const std::string& bytes);
std::string ReadFile(const std::string& path);

// The committed model, and folders of committed fixtures.
std::string ShippedModel();
std::string Golden(const std::string& name);

// True under an emulator, where a process costs a second: tests then do a part of their work.
bool Emulated();

}  // namespace thimble::test
