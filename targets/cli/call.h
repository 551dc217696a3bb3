// The C interface as the program calls it: an error per call. Knows no command.
#pragma once

#include <thimble/thimble.hpp>

namespace thimble::cli {

// What a call came to: Check(Call(thimble_rewind, session, 3)).
template <typename F, typename... A>
thimble_error Call(F function, A... arguments) {
  thimble_error error = {sizeof error, THIMBLE_OK, {}};
  (void)function(arguments..., &error);
  return error;
}

// One id more in the context.
inline thimble_error Append(thimble_session* session, int32_t id) {
  return Call(thimble_prefill, session, static_cast<const int32_t*>(&id), size_t{1});
}

}  // namespace thimble::cli
