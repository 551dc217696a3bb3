// For a build without libedit: lines are read as they come.
#include "targets/cli/chat/edited_lines.h"

namespace thimble::cli {

std::unique_ptr<EditedLines> EditedLines::Make(const std::string&, const std::vector<std::string>&) { return nullptr; }

}  // namespace thimble::cli
