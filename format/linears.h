// Every linear layer of a model, in one place: who packs, checks or rewrites weights goes through this list.
#pragma once

#include "format/header.h"

namespace thimble {

// Calls fn(LinearSpec) for each; a tied head comes with the token table as its weight. A tensor may come more than once.
template <typename F>
void ForEachLinear(const Header& header, F fn) {
  for (uint32_t p = 0; p < header.parts(); ++p) {
    const ModelSpec m = header.part(p);
    if (m.input.patch_projection.weight != kNoTensor) fn(m.input.patch_projection);
    if (m.input.layer_rows.projection.weight != kNoTensor) fn(m.input.layer_rows.projection);
    const LinearSpec head = m.output.tied ? LinearSpec{m.input.table, m.output.head.bias} : m.output.head;
    if (head.weight != kNoTensor) fn(head);
    for (uint32_t b = m.first_block; b < m.first_block + m.blocks; ++b) {
      VisitAlternative(header.block(b).mixer, [&](const auto& mixer) { ForEachLinear(mixer, fn); });
    }
  }
}

}  // namespace thimble
