// Ctrl-C. The handler does what is allowed in a handler: it sets a flag, or writes a line and ends the
// program.
#include "targets/cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include <thimble/thimble.h>

#include "targets/cli/error.h"

namespace thimble::cli {
namespace {

volatile sig_atomic_t interrupted = 0;
volatile sig_atomic_t terminated = 0;
volatile sig_atomic_t goes_on = 0;
volatile sig_atomic_t stop_at_once = 0;
std::atomic<thimble_session*> cancelled_session = nullptr;
static_assert(std::atomic<thimble_session*>::is_always_lock_free);

void EndNow() {
  constexpr char kText[] = "\nthimble: cancelled\n";
  if (write(STDERR_FILENO, kText, sizeof kText - 1) < 0) {
    // There is nobody left to tell.
  }
  _exit(kExitCancelled);
}

void OnSignal(int number) {
  if (stop_at_once || (interrupted && (!goes_on || terminated))) EndNow();
  interrupted = 1;
  if (number == SIGTERM) terminated = 1;
  thimble_cancel(cancelled_session.load());
}

}  // namespace

void InstallSignalHandlers() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // no SA_RESTART: a read from the terminal must return
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes (`ulimit -f`) is then an error of write, after which we clean up
}

bool Interrupted() { return interrupted != 0; }

bool Terminated() { return terminated != 0; }

void GoOnAfterInterrupts() { goes_on = 1; }

void ForgetInterrupt() {
  if (!terminated) interrupted = 0;
}

StopAtOnce::StopAtOnce() {
  stop_at_once = 1;
  if (interrupted) EndNow();
}

StopAtOnce::~StopAtOnce() { stop_at_once = 0; }

CancelOnInterrupt::CancelOnInterrupt(thimble_session* session) {
  cancelled_session.store(session);
  if (interrupted) thimble_cancel(session);
}

CancelOnInterrupt::~CancelOnInterrupt() { cancelled_session.store(nullptr); }

}  // namespace thimble::cli
