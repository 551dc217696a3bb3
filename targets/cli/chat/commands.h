// The commands of a conversation: lines that start with a slash. Knows their names and how they are written, not what they do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace thimble::cli {

enum class Verb { kHelp, kReset, kUndo, kRetry, kSave, kLoad, kStats, kPlan, kTrim, kSystem, kSet, kQuit };

struct ChatCommand {
  Verb verb;
  std::string argument;  // without white space around it
};

// True for a line that is meant as a command: a slash and a word of letters. "//" begins a message that starts with a slash,
// and "/etc/passwd" is none.
bool IsCommand(std::string_view line);
// What a line that is no command says: the first of two slashes goes.
std::string_view MessageOf(std::string_view line);
// Throws Error for a word that is no command, saying which was likely meant, and for an argument that is missing.
ChatCommand ParseCommand(std::string_view line);

// "/help", "/reset", ...
std::vector<std::string> CommandWords();
// One line for each.
std::string CommandHelp();

}  // namespace thimble::cli
