// The C API as a sequence of calls: each byte is a call or an argument of one. Every call succeeds or names what is wrong;
// the position is what the calls that succeeded make of it; two sessions of one engine do not disturb each other.
#include <algorithm>
#include <array>
#include <cmath>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/small_sessions.h"

namespace thimble::fuzz {
namespace {

class Calls {
 public:
  Calls(const uint8_t* data, size_t size) : data_(data), end_(data + size), setup_(Byte() % kSetups), engine_(NewEngine(setup_)) {}
  ~Calls() {
    if (thimble_engine_close(engine_) != THIMBLE_OK) Found("an engine that is not used cannot be closed");
  }

  void Run() {
    for (size_t calls = 0; data_ != end_ && calls < 64; ++calls) {
      Slot& slot = slots_[Byte() % slots_.size()];
      if (slot.session == nullptr && !Good(thimble_session_open, engine_, &slot.session)) Found("a free session is refused");
      Call(slot);
      for (const Slot& each : slots_) {
        if (each.session != nullptr && thimble_position(each.session) != each.position) Found("a position that no call explains");
      }
    }
  }

 private:
  struct Slot {
    thimble_session* session = nullptr;
    size_t position = 0;
  };

  uint8_t Byte() { return data_ == end_ ? 0 : *data_++; }
  // Ids that there are, mostly.
  int32_t Id() {
    const uint8_t byte = Byte();
    return byte < 250 ? byte % kOutputs : byte == 250 ? -1 : byte == 251 ? INT32_MAX : byte == 252 ? INT32_MIN : byte;
  }
  std::vector<int32_t> Ids() {
    std::vector<int32_t> ids(Byte() % (kContextTokens + 3));
    for (int32_t& id : ids) id = Id();
    return ids;
  }
  std::string Text() {
    std::string text(Byte() % 64, 'a');
    for (char& c : text) c = static_cast<char>(Byte());
    return text;
  }
  float Number() {
    const uint8_t byte = Byte();
    return byte == 255 ? NAN : byte == 254 ? INFINITY : byte == 253 ? -1.0f : static_cast<float>(byte) / 64.0f;
  }
  static int32_t Stop(void* user, size_t, const float* logits) {
    if (std::isnan(logits[0])) Found("logits that are no numbers");
    return --*static_cast<int*>(user) > 0;
  }
  static int32_t StopEvent(void* user, const thimble_event*) { return --*static_cast<int*>(user) > 0; }

  void Call(Slot& slot) {
    thimble_session* s = slot.session;
    Slot& other = &slot == &slots_[0] ? slots_[1] : slots_[0];
    switch (Byte() % 15) {
      case 0: {
        const std::vector<int32_t> ids = Ids();
        const int32_t* given = ids.data();
        if (Good(thimble_prefill, s, given, ids.size())) slot.position += ids.size();
        return;
      }
      case 1: {
        const int32_t id = Id(), *given = &id;
        if (Good(thimble_prefill, s, given, size_t{1})) ++slot.position;
        return;
      }
      case 2: {
        int32_t id = -1;
        if (Good(thimble_sample, s, &id) && (id < 0 || id >= kOutputs)) Found("a sampled id outside the vocabulary");
        return;
      }
      case 3: {
        const size_t position = Byte() % (kContextTokens + 2);
        if (Good(thimble_rewind, s, position)) slot.position = position;
        return;
      }
      case 4:
        state_ = Saved(s);
        state_position_ = slot.position;
        return;
      case 5:
        if (Load(s, state_.data(), state_.size())) slot.position = state_position_;
        return;
      case 6: {
        thimble_sampling sampling = THIMBLE_SAMPLING_DEFAULTS;
        sampling.temperature = Number();
        sampling.top_k = static_cast<int8_t>(Byte());
        sampling.top_p = Number();
        sampling.min_p = Number();
        sampling.repeat_penalty = Number();
        sampling.repeat_last_n = static_cast<int8_t>(Byte());
        sampling.seed = Byte();
        const thimble_sampling* given = &sampling;
        (void)Good(thimble_set_sampling, s, given);
        return;
      }
      case 7: {
        // Stopped in the middle, what has been read stays: the position is asked for.
        int left = Byte() % 8;
        const std::vector<int32_t> ids = Ids();
        const int32_t* given = ids.data();
        (void)Good(thimble_prefill_each, s, given, ids.size(), Stop, static_cast<void*>(&left));
        slot.position = Moved(slot, slot.position + ids.size());
        return;
      }
      case 8: {
        int left = 1 + Byte() % 8;
        const std::string text = Text();
        thimble_generation generation = {};
        generation.struct_bytes = sizeof generation;
        generation.text = text.data();
        generation.text_bytes = text.size();
        generation.max_tokens = 1 + Byte() % 6;
        generation.top_tokens = Byte() % 5;
        generation.flags = Byte() % 8;
        const thimble_generation* given = &generation;
        (void)Good(thimble_generate, s, given, StopEvent, static_cast<void*>(&left));
        slot.position = Moved(slot, kContextTokens);
        return;
      }
      case 9: {
        const std::string text = Text();
        std::array<int32_t, 16> ids;
        size_t count = 0;
        const uint32_t flags = Byte() % 4;
        (void)Good(thimble_tokenize, Model(setup_), Byte() % 2 == 0 ? s : nullptr, text.data(), text.size(), flags, ids.data(),
                   ids.size(), &count);
        const std::vector<int32_t> random = Ids();
        const int32_t* given = random.data();
        std::array<char, 32> out;
        (void)Good(thimble_detokenize, Model(setup_), given, random.size(), out.data(), out.size(), &count);
        return;
      }
      case 10: {
        const size_t tokens = Byte() % (kContextTokens + 2);
        const uint64_t seed = Byte();
        if (Good(thimble_fill_context, s, tokens, seed)) slot.position = tokens;
        return;
      }
      case 11: {
        if (thimble_rewind_limit(s) > slot.position) Found("a limit of rewinding behind the position");
        size_t count = 0;
        const float* logits = thimble_logits(s, &count);
        if ((logits == nullptr) != (count == 0)) Found("logits that are not as many as they say");
        return;
      }
      case 12: {
        if (other.session != nullptr && thimble_session_close(other.session) != THIMBLE_OK) Found("a session that is not used cannot be closed");
        other = {};
        if (!Good(thimble_session_fork, s, &other.session)) return;
        other.position = slot.position;
        if (Saved(other.session) != Saved(s)) Found("a fork that is not like what it came from");
        return;
      }
      case 13: {
        // Both in common passes.
        const std::array<std::vector<int32_t>, 2> ids = {Ids(), Ids()};
        std::array<thimble_span, 2> spans = {};
        size_t count = 0;
        for (size_t i = 0; i < 2; ++i) {
          if (slots_[i].session == nullptr) continue;
          spans[count++] = {sizeof(thimble_span), -1, slots_[i].session, ids[i].data(), ids[i].size()};
        }
        (void)Good(thimble_step, engine_, spans.data(), count);
        for (size_t i = 0; i < count; ++i) {
          if (spans[i].code == THIMBLE_OK) (slots_[0].session == spans[i].session ? slots_[0] : slots_[1]).position += spans[i].count;
        }
        return;
      }
      default:
        if (thimble_session_close(s) != THIMBLE_OK) Found("a session that is not used cannot be closed");
        slot = {};
    }
  }

  // The position, which must not have gone back nor further than `most`.
  static size_t Moved(const Slot& slot, size_t most) {
    const size_t position = thimble_position(slot.session);
    if (position < slot.position || position > most || position > thimble_capacity(slot.session)) Found("a position that moved wrongly");
    return position;
  }

  const uint8_t* data_;
  const uint8_t* end_;
  size_t setup_;
  thimble_engine* engine_;
  std::array<Slot, 2> slots_;
  std::string state_;
  size_t state_position_ = 0;
};

// With the zeros inside.
template <size_t kSize>
std::string Whole(const char (&bytes)[kSize]) {
  return {bytes, kSize - 1};
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (char setup = 0; setup < static_cast<char>(kSetups); ++setup) {
    const std::string start(1, setup);
    // prefill of four, sample, decode, save, rewind to 2, load into the other session, decode in both
    seeds.push_back(start + Whole("\0\0\4\5\6\7\x08" "\0\2" "\0\1\5" "\0\4" "\0\3\2" "\1\5" "\1\1\7" "\0\1\7"));
    // text: generate, encode, sampling, prefill with logits, filling, forking, both at once, closing
    seeds.push_back(start + Whole("\0\x08\7\3abc\4\2\4" "\0\6\x40\x10\x40\x01\x40\x20\1" "\0\x09\5hello\1\0\3\5\6\7"
                                 "\0\7\3\6\5\6\7\x08\x09\x0a" "\1\x0a\x14\1" "\1\1\5" "\1\x0b" "\0\x0c" "\0\x0d\2\5\6\3\7\x08\x09" "\1\x0e"));
  }
  return seeds;
}

std::vector<std::string> Words() {
  return {Whole("\0\1\5"), Whole("\0\3\1"), Whole("\0\4"), Whole("\1\5"), Whole("\0\2"), Whole("\0\0\x16"), Whole("\0\x0c"), Whole("\0\x0e"), Whole("\0\x0d\2\5\6\2\7\x08")};
}

}  // namespace thimble::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  thimble::fuzz::Calls(data, size).Run();
  return 0;
}
