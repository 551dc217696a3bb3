// FlatBuffers header -> plain structs of spec.h. The only reader of the generated schema besides the writer.
// Enumerations are checked here (an unknown kind is refused by name); everything else in validate.h.
#pragma once

#include "format/spec.h"
#include "runtime/core/status.h"

namespace thimble {
namespace fb {
struct Header;
struct Tensor;
}  // namespace fb

// `header` has passed the FlatBuffers verifier, and its parts and layers the check in header.cc.
Status DecodePart(const fb::Header& header, uint32_t part, ModelSpec* spec);
LayerRange DecodeLayer(const fb::Header& header, uint32_t layer);
Status DecodeBlock(const fb::Header& header, uint32_t block, BlockSpec* spec);
Status DecodeTensor(const fb::Header& header, uint32_t tensor, TensorSpec* spec);
SegmentSpec DecodeSegment(const fb::Header& header, uint32_t segment);

}  // namespace thimble
