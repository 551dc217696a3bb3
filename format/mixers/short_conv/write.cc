// The short convolution into a header: the mirror image of rules.cc.
#include "format/mixers/write.h"
#include "format/write_pieces.h"

namespace thimble {

uint32_t WriteMixer(FlatBufferBuilder& b, const ShortConvSpec& c, MixerTables* tables) {
  const fb::Linear before = Pack(c.before), after = Pack(c.after), value = Pack(c.value), out = Pack(c.out);
  tables->short_convs.push_back(fb::CreateShortConv(b, c.taps, c.channels, &before, &after, &value, &out, c.weight, c.bias));
  return static_cast<uint32_t>(tables->short_convs.size()) - 1;
}

}  // namespace thimble
