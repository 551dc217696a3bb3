// What each kind of mixer does for the writer: append its table to the root's vector of its kind. Private to format/.
#pragma once

#include <cstdint>
#include <vector>

#include "format/mixers/mixers.h"
#include "format/schema/thimble_generated.h"

namespace thimble {

struct MixerTables {
  std::vector<flatbuffers::Offset<fb::Attention>> attentions;
  std::vector<flatbuffers::Offset<fb::FeedForward>> feed_forwards;
  std::vector<flatbuffers::Offset<fb::Experts>> experts;
  std::vector<flatbuffers::Offset<fb::ShortConv>> short_convs;
  std::vector<flatbuffers::Offset<fb::StateSpace>> state_spaces;
  std::vector<flatbuffers::Offset<fb::Streams>> streams;
};

flatbuffers::Offset<fb::FeedForward> Pack(flatbuffers::FlatBufferBuilder& b, const FfnSpec& ffn);

// Return the index in the vector.
uint32_t WriteMixer(flatbuffers::FlatBufferBuilder& b, const AttentionSpec& attention, MixerTables* tables);
uint32_t WriteMixer(flatbuffers::FlatBufferBuilder& b, const FfnSpec& ffn, MixerTables* tables);
uint32_t WriteMixer(flatbuffers::FlatBufferBuilder& b, const ExpertsSpec& experts, MixerTables* tables);
uint32_t WriteMixer(flatbuffers::FlatBufferBuilder& b, const ShortConvSpec& conv, MixerTables* tables);
uint32_t WriteMixer(flatbuffers::FlatBufferBuilder& b, const StateSpaceSpec& state_space, MixerTables* tables);
uint32_t WriteMixer(flatbuffers::FlatBufferBuilder& b, const StreamsSpec& streams, MixerTables* tables);

}  // namespace thimble
