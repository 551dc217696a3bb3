// The feed-forward network into a header: the mirror image of rules.cc.
#include "format/mixers/write.h"
#include "format/write_pieces.h"

namespace thimble {

Offset<fb::FeedForward> Pack(FlatBufferBuilder& b, const FfnSpec& f) {
  const fb::Linear gate = Pack(f.gate), up = Pack(f.up), down = Pack(f.down);
  const auto norm = Pack(b, f.norm);
  fb::FeedForwardBuilder t(b);
  // Fields that came later leave no trace in files without.
  if (!norm.IsNull()) t.add_norm(norm);
  if (f.sparse || f.deviations != 0) t.add_deviations(f.deviations);
  if (f.kind == FfnKind::kLayerRow) t.add_row(f.row);
  if (f.shape != kNoTensor) t.add_shape(f.shape);
  t.add_down(&down);
  t.add_up(&up);
  t.add_gate(&gate);
  t.add_width(f.width);
  t.add_activation(static_cast<uint8_t>(f.activation));
  t.add_kind(static_cast<uint8_t>(f.kind));
  if (f.sparse) t.add_sparse(true);
  return t.Finish();
}

uint32_t WriteMixer(FlatBufferBuilder& b, const FfnSpec& f, MixerTables* tables) {
  tables->feed_forwards.push_back(Pack(b, f));
  return static_cast<uint32_t>(tables->feed_forwards.size()) - 1;
}

}  // namespace thimble
