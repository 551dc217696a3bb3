// Models of several senses around a text model: the configuration of the text model, as if it stood alone, and which tensors are
// those of the other senses. It must not know any family.
#pragma once

#include <optional>
#include <string>

#include "targets/convert/json_file.h"

namespace thimble {

// The text model's configuration where `config` is that of a wrapper: its "text_config", with what the wrapper decides (whether the
// head is the table) and the type where that is not said. Nothing for other configurations. Fields of a wrapper that are not known
// to concern its other senses alone are refused by name (ImportError).
std::optional<Json> UnwrapText(const Json& config, const std::string& file);

// The part that a tensor of a wrapper belongs to ("model.visual", "mtp"), or the empty text for those of the text model.
std::string OtherPart(const std::string& tensor);

}  // namespace thimble
