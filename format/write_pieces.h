// Structs to FlatBuffers: what every table is made of. Private to format/.
#pragma once

#include "format/pieces.h"
#include "format/schema/thimble_generated.h"

namespace thimble {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

inline fb::Linear Pack(const LinearSpec& l) { return fb::Linear(l.weight, l.bias); }

// Nothing where there is no norm.
inline Offset<fb::Norm> Pack(FlatBufferBuilder& b, const NormSpec& n) {
  if (n.kind == NormKind::kNone) return 0;
  return fb::CreateNorm(b, static_cast<uint8_t>(n.kind), static_cast<uint8_t>(n.scope), n.eps, n.weight_offset, n.weight,
                        n.bias);
}

}  // namespace thimble
