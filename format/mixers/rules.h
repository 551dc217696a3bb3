// What each kind of mixer does for the reader: read its table, check it. Private to format/.
#pragma once

#include "format/mixers/mixers.h"
#include "format/spec.h"
#include "format/validate_rules.h"
#include "runtime/core/status.h"

namespace thimble {
namespace fb {
struct Header;
}

// Where the mixer stands: everything that its own table does not say.
struct BlockPlace {
  const ModelSpec& part;
  uint32_t block;  // of the file
};

inline Status NoSuchMixer(uint32_t index) {
  return Status::Error(Code::kInvalidModel, "no such mixer").Field("mixer.index").Got(index);
}

// Entries in the root's vector of this kind.
uint32_t CountMixers(const fb::Header& header, const AttentionSpec& kind);
uint32_t CountMixers(const fb::Header& header, const FfnSpec& kind);
uint32_t CountMixers(const fb::Header& header, const ExpertsSpec& kind);
uint32_t CountMixers(const fb::Header& header, const ShortConvSpec& kind);
uint32_t CountMixers(const fb::Header& header, const StateSpaceSpec& kind);
uint32_t CountMixers(const fb::Header& header, const StreamsSpec& kind);

// Any index. Kinds inside the table that are unknown, or not run, are refused by name; nothing else is checked.
Status ReadMixer(const fb::Header& header, uint32_t index, AttentionSpec* out);
Status ReadMixer(const fb::Header& header, uint32_t index, FfnSpec* out);
Status ReadMixer(const fb::Header& header, uint32_t index, ExpertsSpec* out);
Status ReadMixer(const fb::Header& header, uint32_t index, ShortConvSpec* out);
Status ReadMixer(const fb::Header& header, uint32_t index, StateSpaceSpec* out);
Status ReadMixer(const fb::Header& header, uint32_t index, StreamsSpec* out);

Status CheckMixer(const Rules& rules, const BlockPlace& place, const AttentionSpec& attention);
Status CheckMixer(const Rules& rules, const BlockPlace& place, const FfnSpec& ffn);
Status CheckMixer(const Rules& rules, const BlockPlace& place, const ExpertsSpec& experts);
Status CheckMixer(const Rules& rules, const BlockPlace& place, const ShortConvSpec& conv);
Status CheckMixer(const Rules& rules, const BlockPlace& place, const StateSpaceSpec& state_space);
Status CheckMixer(const Rules& rules, const BlockPlace& place, const StreamsSpec& streams);

// Of a feed-forward network, also one of many experts.
Status CheckShape(const Rules& rules, const FfnSpec& ffn, const char* field);

}  // namespace thimble
