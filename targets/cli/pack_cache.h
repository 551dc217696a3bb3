// Packed models kept in a folder: written once for each model and kernels, mapped from then on. Knows no command.
#pragma once

#include <string>

#include "targets/cli/options.h"

namespace thimble::cli {

// The file to open for `path` with these options: itself, where nothing of it is packed at load; else FOLDER/ID-KERNELS.thimble, which holds
// the same model (ID is what the model computes, a checksum of all of it) as the kernels read it. Written now where it is not
// there or damaged, complete or not at all; where that fails it is said, and `path` is opened as it is. An empty folder is none.
std::string InPackCache(const std::string& path, const std::string& folder, const ContextOptions& context);

}  // namespace thimble::cli
