// The program at a terminal of 80 columns, as a person has it: typed into, read from, Ctrl-C and all. Must not know what any
// command does.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace thimble::test {

class Terminal {
 public:
  // `environment`: NAME, VALUE; TERM is xterm where it is not in there.
  explicit Terminal(const std::vector<std::string>& arguments, const std::vector<std::pair<std::string, std::string>>& environment = {});
  ~Terminal();  // ends it, if need be
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // As typed: "\r" is the Enter key, "\x03" Ctrl-C, "\x04" Ctrl-D.
  void Type(const std::string& keys);
  // What the program wrote since the last call up to and with `text`, without control sequences. False, after a
  // minute or when it ended: not there; the test's message then says what was.
  bool Sees(const std::string& text);
  // Types, and waits.
  bool Types(const std::string& keys, const std::string& then_sees) {
    Type(keys);
    return Sees(then_sees);
  }
  // Reads to its end. 128 + n when signal n ended it.
  int ExitCode();
  // Everything it wrote so far: as it came, and without control sequences and carriage returns.
  const std::string& raw() const { return raw_; }
  const std::string& said() const { return said_; }

 private:
  bool ReadSome(int milliseconds);  // false at its end

  int fd_ = -1;
  pid_t child_ = -1;
  std::string raw_, said_;
  size_t seen_ = 0;
};

}  // namespace thimble::test
