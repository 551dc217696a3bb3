// Packed tensors of a file against the layouts that this build's kernels know.
#pragma once

#include "format/header.h"
#include "runtime/core/status.h"

namespace thimble {

// Every packed tensor has a known layout and exactly the bytes that the layout takes for its shape. Called once when a
// model is opened; afterwards packed segments are used without further checks.
Status CheckPackedTensors(const Header& header);

}  // namespace thimble
