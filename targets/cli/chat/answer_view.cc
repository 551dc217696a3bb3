#include "targets/cli/chat/answer_view.h"

#include <unistd.h>

#include <cstdio>

#include "targets/cli/output.h"

namespace thimble::cli {

// Reasoning is no part of what a pipe gets: it goes to standard error then.
AnswerView::AnswerView(const Options& options, Message* answer)
    : options_(options), answer_(answer), coloured_(HasColours(STDERR_FILENO)), reasoning_to_text_(isatty(STDOUT_FILENO) == 1),
      spinner_(options.terminal && !options.silent) {}

void AnswerView::Text(std::string_view text) {
  EndReasoning();
  answer_->content += text;
  if (options_.silent || text.empty()) return;
  Print(text);
  shown_ = Shown::kText;
}

void AnswerView::Reasoning(std::string_view text) {
  answer_->reasoning += text;
  if (options_.silent) return;
  if (options_.hide_reasoning) {
    spinner_.Show("thinking, " + std::to_string(++thought_) + " tokens");
    return;
  }
  if (shown_ != Shown::kReasoning) std::fputs(std::string(BeginLook(Look::kDim, coloured_)).c_str(), stderr);
  std::fwrite(text.data(), 1, text.size(), stderr);
  shown_ = Shown::kReasoning;
}

void AnswerView::EndReasoning() {
  spinner_.Clear();
  if (shown_ != Shown::kReasoning) return;
  std::fprintf(stderr, "%s\n%s", std::string(EndLook(coloured_)).c_str(), reasoning_to_text_ ? "\n" : "");
  shown_ = Shown::kNothing;
}

void AnswerView::Take(const thimble_turn_part& part) {
  const std::string_view text(part.text, part.text_bytes);
  switch (part.kind) {
    case THIMBLE_PART_TEXT:
      Text(text);
      break;
    case THIMBLE_PART_REASONING:
      Reasoning(text);
      break;
    case THIMBLE_PART_CALL:
      EndReasoning();
      answer_->calls.push_back({std::string(part.id, part.id_bytes), std::string(text), {}});
      break;
    case THIMBLE_PART_ARGUMENTS:
      answer_->calls.back().arguments += text;
      break;
    case THIMBLE_PART_CALL_END: {
      if (options_.silent) break;
      const ToolCall& call = answer_->calls.back();
      if (shown_ == Shown::kText) Print("\n");
      shown_ = Shown::kNothing;
      std::fprintf(stderr, "%s %s %s\n", Styled("call", Look::kGood, coloured_).c_str(), call.name.c_str(), call.arguments.c_str());
      break;
    }
    case THIMBLE_PART_BROKEN_CALL:
      Text(text);
      if (!options_.silent) std::fprintf(stderr, "\n%s\n", Styled(std::string("a call that cannot be read: ") + part.why, Look::kBad, coloured_).c_str());
      break;
    default:
      break;
  }
}

void AnswerView::Finish() {
  const bool text = shown_ == Shown::kText;
  EndReasoning();
  if (!options_.silent && (text || (!options_.terminal && answer_->calls.empty()))) Print("\n");
}

}  // namespace thimble::cli
