// Small random models and sessions on them, for the harnesses of the C API. The only place that knows how a session is
// made.
#pragma once

#include <thimble/thimble.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace thimble::fuzz {

inline constexpr size_t kSetups = 6;
inline constexpr uint32_t kContextTokens = 24;
inline constexpr int32_t kOutputs = 40;

// Decoders whose caches differ: separate keys and values, one row for both, a window with sinks, int8 and int4 rows. Opened
// once.
const thimble_model* Model(size_t setup);
// An engine with one session, which close together. Does not return where it fails.
thimble_session* NewSession(size_t setup);
// Two sessions of one engine; a third is refused.
thimble_engine* NewEngine(size_t setup);

// What a call gives back: its code and the error it wrote. True for success; a failure without a code's name and a message
// is a finding, and so is a success that says something.
bool Good(thimble_code code, const thimble_error& error);

// A call whose last argument is a thimble_error.
template <typename Function, typename... Arguments>
bool Good(Function function, Arguments... arguments) {
  thimble_error error = {};
  error.struct_bytes = sizeof error;
  const thimble_code code = function(arguments..., &error);
  return Good(code, error);
}

// The session's state as bytes; its length is what was announced.
std::string Saved(thimble_session* session);
bool Load(thimble_session* session, const void* bytes, size_t size);

}  // namespace thimble::fuzz
