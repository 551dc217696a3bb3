// Runs a template program over a conversation. Allocates nothing: values are views over what the caller gave, and what is made on the
// way lies in a workspace of the caller's.
#pragma once

#include <cstdint>

#include "runtime/template/program.h"
#include "runtime/template/value.h"

namespace thimble::chat {

// What strftime_now() says.
struct Clock {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0;
};

// Text in pieces, each wholly of the template's or wholly of data.
struct TextSink {
  void* user;
  void (*put)(void* user, std::string_view text, bool data);
};

struct RenderInput {
  // Variables by name: messages, tools, add_generation_prompt, bos_token, ...
  const Member* variables = nullptr;
  size_t count = 0;
  Clock clock;
  uint64_t most_steps = UINT64_MAX;  // nodes that are looked at
};

// What went wrong, in words that last as long as the workspace.
struct RenderError {
  enum class Kind : uint8_t { kNone, kRaised, kRuntime, kSteps, kMemory, kInput } kind = Kind::kNone;
  std::string_view what;  // kRaised: the template's own words; kInput: what is wrong with the conversation
  uint32_t line = 0;      // of the template
};

RenderError RenderTemplate(const Program& program, const RenderInput& input, Workspace& workspace, const TextSink& sink);

}  // namespace thimble::chat
