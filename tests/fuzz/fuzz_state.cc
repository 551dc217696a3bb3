// Saved states: whatever the bytes, thimble_state_load takes them or names what is wrong and changes nothing; a session
// that took them goes on. Checksums would hide everything behind them, so each input is tried as it is and sealed anew.
#include <cstring>

#include "format/checksum.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/small_sessions.h"

namespace thimble::fuzz {
namespace {

// Of runtime/saved_state.h: a header of 128 bytes whose last 8 are its checksum, and one of all behind it at the end.
constexpr size_t kHeaderBytes = 128, kChecksumBytes = 8;

void Seal(std::vector<uint8_t>* state) {
  if (state->size() < kHeaderBytes + kChecksumBytes) return;
  const uint64_t header = ChecksumOf(state->data(), kHeaderBytes - kChecksumBytes);
  std::memcpy(state->data() + kHeaderBytes - kChecksumBytes, &header, sizeof header);
  const size_t end = state->size() - kChecksumBytes;
  const uint64_t rest = ChecksumOf(state->data() + kHeaderBytes, end - kHeaderBytes);
  std::memcpy(state->data() + end, &rest, sizeof rest);
}

bool Prefill(thimble_session* session, std::vector<int32_t> ids) {
  const int32_t* given = ids.data();
  return Good(thimble_prefill, session, given, ids.size());
}

void Try(thimble_session* session, const std::vector<uint8_t>& state) {
  const std::string before = Saved(session);
  if (!Load(session, state.data(), state.size())) {
    if (Saved(session) != before) Found("a state that was refused has changed the session");
    return;
  }
  if (thimble_position(session) > thimble_capacity(session)) Found("a position behind the context");
  (void)Saved(session);
  // Nonsense is allowed to end in an error, not in anything else.
  int32_t id = 0;
  if (Prefill(session, {5, 6, 7}) && Good(thimble_sample, session, &id)) Prefill(session, {id});
  Good(thimble_rewind, session, thimble_position(session) / 2);
  Prefill(session, {1});
  Good(thimble_rewind, session, size_t{0});
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (size_t setup = 0; setup < kSetups; ++setup) {
    thimble_session* session = NewSession(setup);
    for (const size_t tokens : {size_t{0}, size_t{1}, size_t{13}}) {
      for (size_t i = 0; i < tokens; ++i) Prefill(session, {static_cast<int32_t>(4 + i)});
      seeds.push_back(static_cast<char>(setup) + Saved(session));
    }
    thimble_engine_close(thimble_session_engine(session));
  }
  return seeds;
}

std::vector<std::string> Words() { return {"THIMSTA\x1a", std::string(8, '\0'), std::string(8, '\xff')}; }

}  // namespace thimble::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace thimble::fuzz;
  if (size == 0) return 0;
  thimble_session* session = NewSession(data[0] % kSetups);
  Prefill(session, {3});
  std::vector<uint8_t> state(data + 1, data + size);
  Try(session, state);
  Seal(&state);
  Try(session, state);
  thimble_engine_close(thimble_session_engine(session));
  return 0;
}
