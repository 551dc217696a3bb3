// Every linear layer of a model, in one place: who packs, checks or rewrites weights goes through this list.
#pragma once

#include "format/header.h"

namespace thimble {

// Calls fn(LinearSpec) for each of a layer.
template <typename F>
void ForEachLinear(const LayerSpec& layer, F fn) {
  const AttentionSpec& a = layer.attention;
  for (const LinearSpec& linear : {a.q, a.k, a.v, a.o, layer.ffn.gate, layer.ffn.up, layer.ffn.down}) {
    if (linear.weight != kNoTensor) fn(linear);
  }
}

// Calls fn(LinearSpec) for each; a tied head comes with the token table as its weight. A tensor may come more than once.
template <typename F>
void ForEachLinear(const Header& header, F fn) {
  const ModelSpec& m = header.model();
  if (m.input.patch_projection.weight != kNoTensor) fn(m.input.patch_projection);
  fn(m.output.tied ? LinearSpec{m.input.table, m.output.head.bias} : m.output.head);
  for (uint32_t i = 0; i < m.layers; ++i) ForEachLinear(header.layer(i), fn);
}

}  // namespace thimble
