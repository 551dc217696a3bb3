// What /set shows and changes while a conversation goes on: how answers are drawn and shown.
#pragma once

#include <string>

#include "targets/cli/generation.h"
#include "targets/cli/options.h"

namespace thimble::cli {

struct ChatSettings {
  Sampling sampling;
  AnswerEnds ends;
  bool hide_reasoning = false;

  // "NAME VALUE" or "NAME=VALUE". Throws Error for a name that is none, saying which was likely meant, and for a value that is out of
  // bounds. True: the sampling has changed, and the session is to hear of it.
  bool Set(const std::string& assignment);
  // One line for each.
  std::string Text() const;
};

}  // namespace thimble::cli
