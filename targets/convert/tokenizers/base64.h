// Base64 (RFC 4648) in tokenizer files: tiktoken's pieces, and character maps in a tokenizer.json. Host only.
#pragma once

#include <string>
#include <string_view>

namespace thimble {

// False for what is no base64 with its padding.
bool DecodeBase64(std::string_view text, std::string* bytes);

}  // namespace thimble
