// The mixture of experts into a header: the mirror image of rules.cc.
#include "format/mixers/write.h"
#include "format/write_pieces.h"

namespace thimble {
namespace {

Offset<fb::FeedForward> Pack(FlatBufferBuilder& b, const FfnSpec& f) {
  if (f.width == 0) return 0;
  const fb::Linear gate = Pack(f.gate), up = Pack(f.up), down = Pack(f.down);
  return fb::CreateFeedForward(b, static_cast<uint8_t>(f.kind), static_cast<uint8_t>(f.activation), f.width, &gate, &up, &down);
}

}  // namespace

uint32_t WriteMixer(FlatBufferBuilder& b, const ExpertsSpec& e, MixerTables* tables) {
  const fb::Linear router = Pack(e.router), shared_gate = Pack(e.shared_gate);
  const auto ffn = Pack(b, e.ffn), shared = Pack(b, e.shared);
  tables->experts.push_back(fb::CreateExperts(b, e.experts, e.chosen, static_cast<uint8_t>(e.score), e.normalise, e.normalise_eps,
                                              e.scale, &router, e.selection_bias, ffn, shared, &shared_gate));
  return static_cast<uint32_t>(tables->experts.size()) - 1;
}

}  // namespace thimble
