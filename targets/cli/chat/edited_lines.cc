// libedit works in wide characters and asks the locale what bytes mean: here they are UTF-8, whatever the locale says else.
#include "targets/cli/chat/edited_lines.h"

#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>

#include "targets/cli/chat/terminal.h"
#include "targets/cli/interrupt.h"

namespace thimble::cli {
namespace {

constexpr int kRememberedLines = 1000;

bool SetUtf8() {
  for (const char* locale : {"", "C.UTF-8"}) {
    const char* name = std::setlocale(LC_CTYPE, locale);
    if (name != nullptr && MB_CUR_MAX > 1) return true;
  }
  return false;
}

// Ctrl-C and the end wait while it lives. *outside: the mask without that.
class SignalsHeld {
 public:
  explicit SignalsHeld(sigset_t* outside) : outside_(outside) {
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &held, outside);
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, outside_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  const sigset_t* outside_;
};

class Lines : public EditedLines {
 public:
  // `out` is closed with it.
  Lines(std::FILE* out, const std::string& path, const std::vector<std::string>& words)
      : out_(out), path_(path), words_(words), edit_(el_init("thimble", stdin, out, out)), history_(history_init()) {
    HistEvent event;
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT_ESC, &Prompt, kInvisible);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_SIGNAL, 0);  // ours stay
    el_set(edit_, EL_GETCFN, &Character);
    history(history_, &event, H_SETSIZE, kRememberedLines);
    history(history_, &event, H_SETUNIQUE, 1);
    if (!path_.empty()) history(history_, &event, H_LOAD, path_.c_str());
    el_set(edit_, EL_HIST, &history, history_);
    el_wset(edit_, EL_ADDFN, L"complete-word", L"Complete a command", &Complete);  // the narrow call keeps copies for ever
    for (const auto& [keys, command] : kKeys) el_set(edit_, EL_BIND, keys, command, nullptr);
    el_source(edit_, nullptr);  // the person's own .editrc
  }
  ~Lines() override {
    el_end(edit_);
    history_end(history_);
    std::fclose(out_);
  }

  LineResult Read(const std::string& prompt, bool coloured, std::string* line) override {
    // libedit loses a sequence that no character follows: the look ends before the last space.
    const size_t body = prompt.find_last_not_of(' ') + 1;
    const std::string invisible(1, kInvisible);
    prompt_ = !coloured ? prompt
                        : invisible + std::string(BeginLook(Look::kBold, true)) + invisible + prompt.substr(0, body) + invisible +
                              std::string(EndLook(true)) + invisible + prompt.substr(body);
    // Before the prompt is seen: what is typed at once must not meet the terminal's own editing, where Ctrl-D is gone when it changes.
    el_set(edit_, EL_PREP_TERM, 1);
    int count = 0;
    const SignalsHeld held(&waiting_mask_);
    const char* text = el_gets(edit_, &count);
    if (text == nullptr || count <= 0) {
      const bool interrupted = Interrupted();
      el_reset(edit_);
      std::fputs("\n", out_);
      std::fflush(out_);
      return interrupted ? LineResult::kInterrupted : LineResult::kEnd;
    }
    line->assign(text, static_cast<size_t>(count));
    while (!line->empty() && (line->back() == '\n' || line->back() == '\r')) line->pop_back();
    return LineResult::kLine;
  }

  void Remember(const std::string& line) override {
    HistEvent event;
    history(history_, &event, H_ENTER, line.c_str());
    if (!path_.empty()) history(history_, &event, H_SAVE, path_.c_str());  // for this person's eyes only: libedit sets mode 600
  }

 private:
  static constexpr char kInvisible = '\1';
  static constexpr std::pair<const char*, const char*> kKeys[] = {
      {"^I", "complete-word"},          {"^R", "em-inc-search-prev"},      {"\033[1;5C", "em-next-word"},
      {"\033[1;5D", "ed-prev-word"},    {"\033[H", "ed-move-to-beg"},      {"\033[F", "ed-move-to-end"},
      {"\033[1~", "ed-move-to-beg"},    {"\033[4~", "ed-move-to-end"},     {"\033[3~", "ed-delete-next-char"},
  };

  static Lines* Of(EditLine* edit) {
    Lines* lines = nullptr;
    el_get(edit, EL_CLIENTDATA, &lines);
    return lines;
  }
  static char* Prompt(EditLine* edit) { return Of(edit)->prompt_.data(); }

  // 1: one of UTF-8; 0: the end; -1: interrupted. A signal comes in while this waits and at no other time: one that came just before a
  // read would be noticed with the next key.
  static int Character(EditLine* edit, wchar_t* out) {
    char bytes[MB_LEN_MAX];
    for (size_t count = 0; count < sizeof bytes;) {
      pollfd input = {STDIN_FILENO, POLLIN, 0};
      if (!Interrupted()) ppoll(&input, 1, nullptr, &Of(edit)->waiting_mask_);
      if (Interrupted()) return -1;
      if (input.revents == 0) continue;
      const ssize_t n = read(STDIN_FILENO, bytes + count, 1);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return n == 0 ? 0 : -1;
      std::mbstate_t state = {};
      const size_t used = std::mbrtowc(out, bytes, ++count, &state);
      if (used == static_cast<size_t>(-1)) count = 0;  // no UTF-8
      if (used < static_cast<size_t>(-2)) return 1;
    }
    return -1;
  }

  // Only at the start of a line, where a command stands.
  static unsigned char Complete(EditLine* edit, int) {
    const LineInfo* info = el_line(edit);
    const std::string typed(info->buffer, static_cast<size_t>(info->cursor - info->buffer));
    std::string common;
    size_t matches = 0;
    for (const std::string& word : Of(edit)->words_) {
      if (!word.starts_with(typed) || typed.empty()) continue;
      size_t same = 0;
      while (matches > 0 && same < common.size() && same < word.size() && common[same] == word[same]) ++same;
      common = matches == 0 ? word : common.substr(0, same);
      ++matches;
    }
    if (matches == 1) common += ' ';
    if (matches == 0 || common.size() <= typed.size()) return CC_ERROR;
    return el_insertstr(edit, common.c_str() + typed.size()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  std::FILE* out_;
  std::string path_;
  std::vector<std::string> words_;
  std::string prompt_;
  sigset_t waiting_mask_ = {};  // while a character is waited for
  EditLine* edit_;
  History* history_;
};

}  // namespace

std::unique_ptr<EditedLines> EditedLines::Make(const std::string& history, const std::vector<std::string>& words) {
  const char* kind = std::getenv("TERM");
  if (kind == nullptr || std::strcmp(kind, "dumb") == 0 || !SetUtf8()) return nullptr;
  // Standard error without its habit of writing each character by itself.
  const int copy = dup(STDERR_FILENO);
  std::FILE* out = copy < 0 ? nullptr : fdopen(copy, "w");
  if (out == nullptr) {
    if (copy >= 0) close(copy);
    return nullptr;
  }
  return std::make_unique<Lines>(out, history, words);
}

}  // namespace thimble::cli
