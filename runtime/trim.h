// Giving memory back while an engine lives. Pages that hold nothing between passes, that lie in a file anyway, or whose content was
// written to one (park.h) go back to the system; which those are, the engine's walk says (LineUse). Figures are the kernel's.
#pragma once

#include "runtime/engine.h"

namespace thimble {

// Of enum thimble_trim_level. Nothing of the engine may be held.
Status Trim(thimble_engine& engine, int32_t level, thimble_trimmed* trimmed);

}  // namespace thimble
