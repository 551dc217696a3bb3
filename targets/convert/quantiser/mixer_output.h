// The linear layer that brings what a mixer computed back into the residual stream.
#pragma once

#include "format/mixers/mixers.h"

namespace thimble {

// Null where there is no single one.
inline LinearSpec* OutputOf(MixerSpec* mixer) {
  if (auto* a = std::get_if<AttentionSpec>(mixer)) return &a->o;
  if (auto* f = std::get_if<FfnSpec>(mixer)) return &f->down;
  if (auto* c = std::get_if<ShortConvSpec>(mixer)) return &c->out;
  if (auto* s = std::get_if<StateSpaceSpec>(mixer)) return &s->out;
  return nullptr;
}

}  // namespace thimble
