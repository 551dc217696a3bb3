// `thimble chat`, and `thimble run --chat`, which is the same: arguments, and what stands around a conversation (plan, memory,
// statistics).
#pragma once

#include <string>

#include "targets/cli/run_arguments.h"

namespace thimble::cli {

struct ChatArguments {
  bool chat = false, single_turn = false, multiline = false, hide_reasoning = false, no_history = false;
  std::string system, chat_template, tools, park;

  // `flag`: also the --chat of `thimble run`.
  void Add(CLI::App* app, bool flag);
  // For `thimble run`: --system or --chat-template without --chat, and the like.
  void Check() const;
};

// The exit code.
int RunChat(const RunArguments& arguments, const ChatArguments& chat);

}  // namespace thimble::cli
