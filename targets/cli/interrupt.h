// Ctrl-C: the first asks the running command to stop after its current step, the second ends the program at
// once.
#pragma once

struct thimble_session;

namespace thimble::cli {

// Also makes a closed pipe an error of write() instead of a signal.
void InstallSignalHandlers();

// True once SIGINT or SIGTERM has come.
bool Interrupted();
// True once SIGTERM has come.
bool Terminated();
// For a program that goes on after Ctrl-C: the next one is a first one again. SIGTERM is not forgotten.
void ForgetInterrupt();
// From now on a second Ctrl-C does not end the program, whatever became of the first.
void GoOnAfterInterrupts();

// While one of these lives the program is in a call that cannot be asked to stop and has nothing to save
// (loading a model): a signal ends it at once, with exit code 130.
class StopAtOnce {
 public:
  StopAtOnce();
  ~StopAtOnce();
  StopAtOnce(const StopAtOnce&) = delete;
  StopAtOnce& operator=(const StopAtOnce&) = delete;
};

// While it lives a signal cancels what the session computes, after the layer at hand; also one that has come before.
class CancelOnInterrupt {
 public:
  explicit CancelOnInterrupt(thimble_session* session);
  ~CancelOnInterrupt();
  CancelOnInterrupt(const CancelOnInterrupt&) = delete;
  CancelOnInterrupt& operator=(const CancelOnInterrupt&) = delete;
};

}  // namespace thimble::cli
