// The mixture of experts into a header: the mirror image of rules.cc.
#include "format/mixers/write.h"
#include "format/write_pieces.h"

namespace thimble {

uint32_t WriteMixer(FlatBufferBuilder& b, const ExpertsSpec& e, MixerTables* tables) {
  const fb::Linear router = Pack(e.router), shared_gate = Pack(e.shared_gate);
  const auto ffn = e.ffn.width == 0 ? 0 : Pack(b, e.ffn);
  const auto shared = e.shared.width == 0 ? 0 : Pack(b, e.shared);
  fb::ExpertsBuilder t(b);
  // Fields that came later leave no trace in files without.
  if (e.groups != 0 || e.chosen_groups != 0) {
    t.add_chosen_groups(e.chosen_groups);
    t.add_groups(e.groups);
  }
  t.add_shared_gate(&shared_gate);
  t.add_shared(shared);
  t.add_ffn(ffn);
  t.add_selection_bias(e.selection_bias);
  t.add_router(&router);
  t.add_scale(e.scale);
  t.add_normalise_eps(e.normalise_eps);
  t.add_chosen(e.chosen);
  t.add_experts(e.experts);
  t.add_normalise(e.normalise);
  t.add_score(static_cast<uint8_t>(e.score));
  tables->experts.push_back(t.Finish());
  return static_cast<uint32_t>(tables->experts.size()) - 1;
}

}  // namespace thimble
