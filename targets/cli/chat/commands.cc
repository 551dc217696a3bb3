#include "targets/cli/chat/commands.h"

#include <algorithm>

#include "targets/cli/error.h"
#include "targets/cli/output.h"
#include "targets/cli/suggest.h"

namespace thimble::cli {
namespace {

struct Row {
  Verb verb;
  const char* word;
  const char* argument;
  bool needs_argument;
  const char* help;
};

constexpr Row kRows[] = {
    {Verb::kHelp, "/help", "", false, "this list"},
    {Verb::kReset, "/reset", "", false, "forget everything that was said, but not what --system or /system told"},
    {Verb::kUndo, "/undo", "", false, "take your last message back, and its answer"},
    {Verb::kRetry, "/retry", "", false, "another answer to your last message"},
    {Verb::kSave, "/save", "FILE", true, "write the conversation as JSON, for /load and `thimble template`"},
    {Verb::kLoad, "/load", "FILE", true, "go on from such a file"},
    {Verb::kStats, "/stats", "", false, "how full the context is, and how fast it went"},
    {Verb::kPlan, "/plan", "", false, "every byte that this takes"},
    {Verb::kTrim, "/trim", "LEVEL", true, "give memory back: 1 buffers, 2 and weights, 3 and half of the rows (--kv-min), 4 the conversation (--park), 5 and packed weights"},
    {Verb::kSystem, "/system", "[TEXT]", false, "show or change what the model is told first"},
    {Verb::kSet, "/set", "[NAME VALUE]", false, "show or change how answers are drawn"},
    {Verb::kQuit, "/quit", "", false, "the end; so does Ctrl-D"},
};

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string_view WordOf(std::string_view line) {
  size_t end = 1;
  while (end < line.size() && IsLetter(line[end])) ++end;
  return line.substr(0, end);
}

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

bool IsCommand(std::string_view line) {
  if (line.size() < 2 || line[0] != '/') return false;
  const size_t end = WordOf(line).size();
  return end > 1 && (end == line.size() || IsSpace(line[end]));
}

std::string_view MessageOf(std::string_view line) { return line.starts_with("//") ? line.substr(1) : line; }

ChatCommand ParseCommand(std::string_view line) {
  const std::string_view word = WordOf(line);
  std::string_view rest = line.substr(word.size());
  while (!rest.empty() && IsSpace(rest.front())) rest.remove_prefix(1);
  while (!rest.empty() && IsSpace(rest.back())) rest.remove_suffix(1);
  const auto row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return word == r.word; });
  if (row == std::end(kRows)) {
    if (word == "/exit" || word == "/bye") return {Verb::kQuit, {}};
    const std::string nearest = Suggest(word, CommandWords());
    throw Error(kInvalidArgument, "there is no command " + std::string(word) + (nearest.empty() ? "; " : "; did you mean " + nearest + "? ") +
                                      "/help shows them, and // begins a message with a slash");
  }
  if (row->needs_argument && rest.empty()) throw Error(kInvalidArgument, std::string(row->word) + ": needs a " + row->argument);
  if (row->argument[0] == 0 && !rest.empty())
    throw Error(kInvalidArgument, std::string(row->word) + ": takes nothing behind it, got " + Quoted(rest));
  return {row->verb, std::string(rest)};
}

std::vector<std::string> CommandWords() {
  std::vector<std::string> words;
  for (const Row& row : kRows) words.emplace_back(row.word);
  return words;
}

std::string CommandHelp() {
  std::string text;
  for (const Row& row : kRows) text += Format("  %-20s %s\n", (std::string(row.word) + " " + row.argument).c_str(), row.help);
  return text + "  a \\ at the end of a line goes on in the next one, // begins a message with a slash, Ctrl-C stops an answer\n";
}

}  // namespace thimble::cli
