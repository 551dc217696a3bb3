// What a person at a terminal sees beside the text: looks, and a line that says what goes on. Nothing of it where there is no
// terminal, no colours with NO_COLOR. Knows no conversation.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace thimble::cli {

// Looks make sense in what goes to this descriptor: a terminal that is not dumb, and NO_COLOR is not set (no-color.org).
bool HasColours(int descriptor);

enum class Look { kPlain, kDim, kBold, kGood, kBad };
// What begins the look and what ends any; empty where not `coloured`.
std::string_view BeginLook(Look look, bool coloured);
std::string_view EndLook(bool coloured);
std::string Styled(std::string_view text, Look look, bool coloured);

// A line on standard error while nothing else is written there, such as "/ thinking, 12 tokens". Turns as often as it is told
// something, ten times a second at most, and shows nothing in the first fifth of a second.
class Spinner {
 public:
  explicit Spinner(bool shown) : wanted_(shown) {}
  ~Spinner() { Clear(); }
  Spinner(const Spinner&) = delete;
  Spinner& operator=(const Spinner&) = delete;

  void Show(const std::string& what);
  // Takes the line away, so that other text can follow.
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;

  bool wanted_, shown_ = false;
  unsigned turns_ = 0;
  Clock::time_point start_ = Clock::now(), drawn_ = {};
};

}  // namespace thimble::cli
