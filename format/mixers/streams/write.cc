// What mixes residual streams into a header: the mirror image of rules.cc.
#include "format/mixers/write.h"
#include "format/write_pieces.h"

namespace thimble {

uint32_t WriteMixer(FlatBufferBuilder& b, const StreamsSpec& s, MixerTables* tables) {
  const fb::Linear projection = Pack(s.projection), router = Pack(s.router);
  tables->streams.push_back(
      fb::CreateStreams(b, s.projected, s.like, s.least_square, &projection, s.modes, &router, s.factors, s.constants));
  return static_cast<uint32_t>(tables->streams.size()) - 1;
}

}  // namespace thimble
