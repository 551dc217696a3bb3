// The semantic rules of a header: what FlatBuffers cannot express. Private to format/.
#pragma once

#include "format/spec.h"
#include "runtime/core/status.h"

namespace thimble {
namespace fb {
struct Header;
}

// `header` has passed the verifier, and its parts, layers and segments have been checked (header.cc). The first rule that is
// broken comes back with section, index and field named.
Status ValidateModel(const fb::Header& header);

}  // namespace thimble
