#include "targets/cli/state_file.h"

#include <vector>

#include "targets/cli/error.h"
#include "targets/cli/input.h"

namespace thimble::cli {

uint64_t WriteStateFile(const thimble_session* session, const OutputFile& file) {
  std::vector<char> block(static_cast<size_t>(thimble_state_bytes(session)));
  size_t written = 0;
  Check(thimble_state_save(session, block.data(), block.size(), &written));
  file.Write({block.data(), written});
  return written;
}

void ReadStateFile(thimble_session* session, const std::string& path) {
  const std::string block = ReadFile(path);
  Check(thimble_state_load(session, block.data(), block.size()), path);
}

}  // namespace thimble::cli
