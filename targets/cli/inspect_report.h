// What `thimble inspect` shows: gathered once as JSON from format/'s reader, then printed from that.
#pragma once

#include <string>

#include "targets/cli/output.h"

namespace thimble::cli {

// {"file", "name", "family", "container", "dimensions", "input", "output", "layers": [...], "tensors": [...],
//  "segments": [...], "tokenizer", "chat_templates": [...], "metadata"}. Kinds by name, absent parts left out. Throws
//  Error.
Json InspectJson(const std::string& path);
// Equal layers that follow each other are one entry.
std::string InspectText(const Json& report);

}  // namespace thimble::cli
