// What the Granite families have in common.
#pragma once

#include "targets/convert/gated_decoder.h"

namespace thimble {

// Dimensions and factors; those of the embedding and the logits to *spec.
DecoderShape ReadGranite(Config& config, ModelSpec* spec);

}  // namespace thimble
