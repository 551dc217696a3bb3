// JSON of model directories, read strictly: bounded size and depth, no duplicate keys, errors that name the file and
// the place. It must not know what any key means.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "targets/json/json.h"

namespace thimble {

// `file` is for messages. Throws ImportError (kInvalidModel) for malformed text, what the rules do not allow, or no
// object on top.
Json ParseJsonObject(std::string_view text, const std::string& file, JsonRules rules = {});

// The same of a whole file; kIo when it cannot be read, kInvalidModel when it is larger than `limit_bytes`.
Json ReadJsonObject(const std::filesystem::path& path, uint64_t limit_bytes = 64u << 20);

// The whole file as bytes, with the same errors.
std::string ReadSmallFile(const std::filesystem::path& path, uint64_t limit_bytes);

// A value in a message: on one line, at most 80 characters.
std::string Shown(const Json& value);

}  // namespace thimble
