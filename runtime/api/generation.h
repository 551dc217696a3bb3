// The generation loop as other files here drive it. The session is held.
#pragma once

#include "runtime/api/text.h"
#include "runtime/core/status.h"
#include "runtime/include/thimble/thimble.h"

namespace thimble {

// `show_special`: special tokens are part of the text.
Status StartGeneration(thimble_session* session, const thimble_generation* generation, bool show_special, ChatWords* words);
// *out is of this library's size.
Status NextEvent(thimble_session* session, thimble_event* out);

}  // namespace thimble
