// The feed-forward network into a header: the mirror image of rules.cc.
#include "format/mixers/write.h"
#include "format/write_pieces.h"

namespace thimble {

uint32_t WriteMixer(FlatBufferBuilder& b, const FfnSpec& f, MixerTables* tables) {
  const fb::Linear gate = Pack(f.gate), up = Pack(f.up), down = Pack(f.down);
  tables->feed_forwards.push_back(fb::CreateFeedForward(b, static_cast<uint8_t>(f.kind), static_cast<uint8_t>(f.activation),
                                                        f.width, &gate, &up, &down));
  return static_cast<uint32_t>(tables->feed_forwards.size()) - 1;
}

}  // namespace thimble
