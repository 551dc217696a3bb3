// The C interface as tests call it: an error per call, options with their sampling inside, results as values. Knows no test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "runtime/include/thimble/thimble.h"

namespace thimble::test {

// What a call came to: Call(thimble_rewind, session, 3).code.
template <typename F, typename... A>
thimble_error Call(F function, A... arguments) {
  thimble_error error = {sizeof error, -1, {}};
  const enum thimble_code code = function(arguments..., &error);
  if (error.code != code) error.code = -2;  // both ways of telling must agree
  return error;
}

struct ApiOptions : thimble_engine_options {
  thimble_sampling sampling = THIMBLE_SAMPLING_DEFAULTS;

  ApiOptions() : thimble_engine_options{} {
    struct_bytes = sizeof(thimble_engine_options);
    Point();
  }
  ApiOptions(const ApiOptions& other) : thimble_engine_options(other), sampling(other.sampling) { Point(); }
  ApiOptions& operator=(const ApiOptions& other) {
    static_cast<thimble_engine_options&>(*this) = other;
    sampling = other.sampling;
    Point();
    return *this;
  }

 private:
  void Point() { thimble_engine_options::sampling = &sampling; }
};

// An engine with one session, in the caller's block where there is one.
inline thimble_error CreateSession(const thimble_model* model, const thimble_engine_options* options, void* arena,
                                   size_t arena_bytes, thimble_session** session) {
  if (options == nullptr) return Call(thimble_session_create, model, options, session);
  thimble_engine_options placed = *options;
  placed.arena = arena;
  placed.arena_bytes = arena_bytes;
  return Call(thimble_session_create, model, static_cast<const thimble_engine_options*>(&placed), session);
}

inline thimble_error DecodeId(thimble_session* session, int32_t id) {
  return Call(thimble_prefill, session, static_cast<const int32_t*>(&id), size_t{1});
}
inline const float* LogitsOf(const thimble_session* session) { return thimble_logits(session, nullptr); }

inline thimble_model_info InfoOf(const thimble_model* model) {
  thimble_model_info info = {};
  info.struct_bytes = sizeof info;
  (void)thimble_model_get_info(model, &info, nullptr);
  return info;
}
template <typename Struct>
Struct Sized() {
  Struct value = {};
  value.struct_bytes = sizeof value;
  return value;
}

// Text as it comes, and the last event's numbers.
using TextFunction = int32_t (*)(void* user, const char* text, size_t bytes);
inline thimble_error GenerateText(thimble_session* session, const char* prompt, size_t prompt_bytes, uint32_t max_tokens,
                              TextFunction on_text, void* user, thimble_event* last) {
  thimble_generation generation = Sized<thimble_generation>();
  generation.text = prompt;
  generation.text_bytes = prompt_bytes;
  generation.max_tokens = max_tokens;
  struct Stream {
    TextFunction on_text;
    void* user;
    thimble_event* last;
  } stream = {on_text, user, last};
  const auto each = [](void* s, const thimble_event* event) -> int32_t {
    const Stream& to = *static_cast<Stream*>(s);
    if (to.last != nullptr) *to.last = *event;
    return to.on_text == nullptr || event->text_bytes == 0 || to.on_text(to.user, event->text, event->text_bytes);
  };
  return Call(thimble_generate, session, static_cast<const thimble_generation*>(&generation),
              static_cast<thimble_event_fn>(each), static_cast<void*>(&stream));
}

// A saved state in a block of `capacity` bytes.
struct StateInMemory {
  void* bytes;
  size_t capacity;
  size_t size;

  static int32_t Write(void* user, const void* bytes, size_t count) {
    StateInMemory& m = *static_cast<StateInMemory*>(user);
    if (count > m.capacity - m.size) return 0;
    std::memcpy(static_cast<char*>(m.bytes) + m.size, bytes, count);
    m.size += count;
    return 1;
  }
  static int32_t Read(void* user, uint64_t offset, void* bytes, size_t count) {
    const StateInMemory& m = *static_cast<StateInMemory*>(user);
    if (offset > m.size || count > m.size - offset) return 0;
    std::memcpy(bytes, static_cast<const char*>(m.bytes) + offset, count);
    return 1;
  }
};

inline thimble_error SaveState(thimble_session* session, std::vector<char>* block) {
  block->resize(static_cast<size_t>(thimble_state_bytes(session)));
  StateInMemory memory = {block->data(), block->size(), 0};
  const thimble_error error = Call(thimble_state_save, session, &StateInMemory::Write, &memory);
  block->resize(memory.size);
  return error;
}
inline thimble_error LoadState(thimble_session* session, const void* bytes, size_t size) {
  StateInMemory memory = {const_cast<void*>(bytes), size, size};
  return Call(thimble_state_load, session, uint64_t{size}, &StateInMemory::Read, &memory);
}

}  // namespace thimble::test
