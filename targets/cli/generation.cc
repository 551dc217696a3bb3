// The loop of `thimble run`.
#include "targets/cli/generation.h"

#include <algorithm>
#include <chrono>

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

uint64_t NowNs() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

// Bytes at the end that begin a character without finishing it: 0 to 3.
size_t UnfinishedBytes(std::string_view text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    const size_t length = byte >= 0xf0 && byte < 0xf8 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    return byte < 0xf8 && length > back ? back : 0;
  }
  return 0;
}

// The text of one id: nothing for control pieces (</s>), which thimble_piece names and thimble_detokenize
// leaves out. The id itself where the model has no tokenizer.
std::string TextOf(const Model& model, int32_t id, bool starts_text) {
  if (!model.info().has_tokenizer) return std::to_string(id) + " ";
  const std::string piece = model.Piece(id);
  std::string alone(piece.size() + 8, 0);
  size_t written = 0;
  Check(Call(thimble_detokenize, model.handle(), &id, 1, alone.data(), alone.size(), &written));
  alone.resize(written);
  if (starts_text) return alone;
  return alone.empty() && (piece.empty() || piece[0] != ' ') ? std::string() : piece;
}

}  // namespace

const char* StopName(StopReason reason) {
  switch (reason) {
    case StopReason::kEnd:
      return "end";
    case StopReason::kLimit:
      return "limit";
    case StopReason::kContextFull:
      return "context";
    case StopReason::kCancelled:
      return "cancelled";
    case StopReason::kPipeClosed:
      return "pipe";
  }
  return "?";
}

std::string CharacterStream::Push(std::string_view bytes) {
  held_ += bytes;
  const size_t ready = held_.size() - UnfinishedBytes(held_);
  std::string out = held_.substr(0, ready);
  held_.erase(0, ready);
  return out;
}

Generation Generate(thimble_session* session, const Model& model, const std::vector<int32_t>& prompt,
                    const GenerationLimits& limits, bool starts_text,
                    const std::function<void(std::string_view)>& on_text) {
  Generation result;
  CharacterStream stream;
  const auto show = [&](const std::string& text) {
    if (text.empty()) return true;
    try {
      on_text(text);
      return true;
    } catch (const PipeClosed&) {
      result.stop = StopReason::kPipeClosed;
      return false;
    }
  };

  const uint64_t start = NowNs();
  // The same chunks that one call would make, so that the numbers are the same, too.
  while (result.prompt_tokens_done < prompt.size() && !Interrupted()) {
    const size_t count = std::min(limits.chunk_tokens, prompt.size() - result.prompt_tokens_done);
    Check(Call(thimble_prefill, session, prompt.data() + result.prompt_tokens_done, count));
    result.prompt_tokens_done += count;
  }
  const uint64_t prefilled = NowNs();
  result.prefill_ns = prefilled - start;
  if (result.prompt_tokens_done < prompt.size()) {
    result.stop = StopReason::kCancelled;
    return result;
  }

  result.stop = StopReason::kLimit;
  while (limits.max_tokens < 0 || static_cast<int64_t>(result.ids.size()) < limits.max_tokens) {
    if (Interrupted()) {
      result.stop = StopReason::kCancelled;
      break;
    }
    int32_t id = 0;
    Check(Call(thimble_sample, session, &id));
    if (thimble_is_end(model.handle(), id) || id == limits.end_of_turn) {
      result.stop = StopReason::kEnd;
      break;
    }
    const bool first = result.ids.empty();
    result.ids.push_back(id);
    if (!show(stream.Push(TextOf(model, id, starts_text && first)))) break;
    if (limits.max_tokens >= 0 && static_cast<int64_t>(result.ids.size()) == limits.max_tokens) break;
    if (thimble_position(session) == thimble_capacity(session)) {
      result.stop = StopReason::kContextFull;
      break;
    }
    Check(Append(session, id));
    ++result.decode_steps;
  }
  result.decode_ns = NowNs() - prefilled;
  if (result.stop != StopReason::kPipeClosed) show(stream.Flush());
  return result;
}

}  // namespace thimble::cli
