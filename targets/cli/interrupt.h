// Ctrl-C: the first asks the running command to stop after its current step, the second ends the program at
// once.
#pragma once

namespace thimble::cli {

// Also makes a closed pipe an error of write() instead of a signal.
void InstallSignalHandlers();

// True once SIGINT or SIGTERM has come.
bool Interrupted();

// While one of these lives the program is in a call that cannot be asked to stop and has nothing to save
// (loading a model): a signal ends it at once, with exit code 130.
class StopAtOnce {
 public:
  StopAtOnce();
  ~StopAtOnce();
  StopAtOnce(const StopAtOnce&) = delete;
  StopAtOnce& operator=(const StopAtOnce&) = delete;
};

}  // namespace thimble::cli
