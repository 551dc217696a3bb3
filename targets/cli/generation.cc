#include "targets/cli/generation.h"

#include <cstdio>
#include <exception>

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/output.h"
#include "targets/cli/progress.h"

namespace thimble::cli {
namespace {

// The library's bounds.
constexpr size_t kMostStops = 16, kMostStopBytes = 128;

StopReason ReasonOf(int32_t end) {
  switch (end) {
    case THIMBLE_END_MAX_TOKENS:
      return StopReason::kLimit;
    case THIMBLE_END_CONTEXT_FULL:
      return StopReason::kContextFull;
    case THIMBLE_END_CANCELLED:
      return StopReason::kCancelled;
    default:
      return StopReason::kEnd;
  }
}

void Show(const Model& model, const thimble_event& event, bool counts, const std::function<void(std::string_view)>& on_text) {
  if (event.text_bytes > 0) on_text({event.text, event.text_bytes});
  if (!counts || model.info().has_tokenizer) return;
  char id[16];
  on_text({id, static_cast<size_t>(std::snprintf(id, sizeof id, "%d ", event.id))});
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

void AnswerEnds::Add(CLI::App* app) {
  AddInteger(app, "-n,--predict,--n-predict", &max_tokens, -1, INT32_MAX,
             "Tokens to generate, -1 = until the text ends or the context is full")
      ->default_str("-1");
  app->add_option("--stop,-r,--reverse-prompt", stops, "Ends the text where it comes to say this; may be given 16 times")
      ->type_name("TEXT")
      ->take_all()
      ->expected(1);
  app->add_flag("--ignore-eos", ignore_ids, "Go on where the model would end its text");
}

void AnswerEnds::Check() const {
  if (stops.size() > kMostStops) throw Error(kOutOfRange, Format("--stop: at most %zu", kMostStops));
  for (const std::string& stop : stops) {
    if (stop.empty() || stop.size() > kMostStopBytes)
      throw Error(kOutOfRange, Format("--stop: must have 1 to %zu bytes, got %zu", kMostStopBytes, stop.size()));
  }
}

namespace {

// start(generation) and next(event) give what the library says, show(event, counts) what comes of it: `counts` where its id is part
// of the answer.
template <typename Start, typename Next, typename Show>
Generation Run(thimble_session* session, thimble_generation input, const AnswerEnds& ends, const Start& start, const Next& next, const Show& show) {
  Generation result;
  std::vector<const char*> stops;
  for (const std::string& stop : ends.stops) stops.push_back(stop.c_str());
  input.stop_strings = stops.data();
  input.stop_string_count = stops.size();
  input.flags |= ends.ignore_ids ? uint32_t{THIMBLE_IGNORE_ENDS} : 0u;
  const int64_t max_tokens = ends.max_tokens;
  const CancelOnInterrupt cancel(session);
  // Nothing is allocated while text is written.
  const size_t room = thimble_capacity(session) + 1;
  result.ids.reserve(max_tokens < 0 || static_cast<uint64_t>(max_tokens) > room ? room : static_cast<size_t>(max_tokens));
  input.max_tokens = max_tokens < 0 ? 0 : static_cast<uint32_t>(max_tokens);
  {
    TerminalProgress progress("reading the prompt", "tokens");
    input.prompt_progress = TerminalProgress::Show;
    input.prompt_progress_user = &progress;
    const thimble_error started = start(static_cast<const thimble_generation*>(&input));
    result.prefill_ns = progress.elapsed_ns();
    if (started.code == kCancelled) {
      result.stop = StopReason::kCancelled;
      result.prompt_tokens_done = progress.done();
      return result;
    }
    cli::Check(started);
    result.prompt_tokens_done = progress.done();
  }
  if (max_tokens == 0) {
    result.stop = StopReason::kLimit;
    return result;
  }
  Sized<thimble_event> event;
  try {
    while (event.end == THIMBLE_END_NOT_YET) {
      cli::Check(next(static_cast<thimble_event*>(&event)));
      const bool counts = event.generated_tokens > result.ids.size();
      if (counts) result.ids.push_back(event.id);
      show(event, counts);
    }
    result.stop = ReasonOf(event.end);
  } catch (const PipeClosed&) {
    result.stop = StopReason::kPipeClosed;
  }
  result.decode_ns = event.decode_ns;
  return result;
}

// A callback of the library's may not throw: what it wanted to throw waits until the call is over.
struct PartSink {
  const std::function<void(const thimble_turn_part&)>& on_part;
  std::exception_ptr thrown;

  static int32_t Take(void* user, const thimble_turn_part* part) {
    PartSink& sink = *static_cast<PartSink*>(user);
    try {
      if (part->kind != THIMBLE_PART_END) sink.on_part(*part);
    } catch (...) {
      sink.thrown = std::current_exception();
      return 0;
    }
    return 1;
  }
};

// Long calls fit.
constexpr size_t kTurnBytes = size_t{256} << 10;

}  // namespace

Generation Generate(thimble_session* session, const Model& model, thimble_generation input, const AnswerEnds& ends,
                    const std::function<void(std::string_view)>& on_text) {
  return Run(
      session, input, ends, [&](const thimble_generation* g) { return Call(thimble_generation_start, session, g); },
      [&](thimble_event* event) { return Call(thimble_generation_next, session, event); },
      [&](const thimble_event& event, bool counts) { Show(model, event, counts, on_text); });
}

Generation GenerateTurn(thimble_session* session, thimble_generation input, const AnswerEnds& ends,
                        const std::function<void(const thimble_turn_part&)>& on_part) {
  std::vector<char> memory(kTurnBytes);
  thimble_turn* turn = nullptr;
  PartSink sink{on_part, nullptr};
  return Run(
      session, input, ends,
      [&](const thimble_generation* g) { return Call(thimble_turn_start, session, g, static_cast<void*>(memory.data()), memory.size(), &turn); },
      [&](thimble_event* event) { return Call(thimble_turn_next, turn, PartSink::Take, static_cast<void*>(&sink), event); },
      [&](const thimble_event&, bool) {
        if (sink.thrown) std::rethrow_exception(sink.thrown);
      });
}

}  // namespace thimble::cli
