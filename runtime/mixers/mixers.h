// The kinds of mixers as they run, one row each, in the order of MixerKind (format/mixers/mixers.h). What each has to give is in
// README.md.
#pragma once

#include <variant>

#include "format/mixers/mixers.h"
#include "runtime/mixers/attention/op.h"
#include "runtime/mixers/experts/op.h"
#include "runtime/mixers/feed_forward/op.h"
#include "runtime/mixers/short_conv/op.h"
#include "runtime/mixers/state_space/op.h"
#include "runtime/mixers/streams/op.h"

namespace thimble {

using MixerOp = std::variant<AttentionOp, FfnOp, ExpertsOp, ShortConvOp, StateSpaceOp, StreamsOp>;
static_assert(std::variant_size_v<MixerOp> == std::variant_size_v<MixerSpec>);

// The op of a spec's kind, for decltype alone.
AttentionOp OpOf(const AttentionSpec&);
FfnOp OpOf(const FfnSpec&);
ExpertsOp OpOf(const ExpertsSpec&);
ShortConvOp OpOf(const ShortConvSpec&);
StateSpaceOp OpOf(const StateSpaceSpec&);
StreamsOp OpOf(const StreamsSpec&);

// What all blocks of a kind need of scratch, the widest of each.
struct MixerNeeds {
  AttentionNeeds attention;
  FfnNeeds ffn;
  ExpertsNeeds experts;
  ShortConvNeeds short_conv;
  StateSpaceNeeds state_space;
  StreamsNeeds streams;
};

// Scratch: one mixer's at a time.
struct MixerBuffers {
  AttentionBuffers attention;
  FfnBuffers ffn;
  ExpertsBuffers experts;
  ShortConvBuffers short_conv;
  StateSpaceBuffers state_space;
  StreamsBuffers streams;
};

}  // namespace thimble
