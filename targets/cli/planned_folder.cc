#include "targets/cli/planned_folder.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "targets/cli/error.h"
#include "targets/convert/convert.h"

namespace thimble::cli {

PlannedFolder::PlannedFolder(const std::string& path, const std::string& recipe) : file_(path) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path) && fs::path(path).filename() != "config.json") return;
  const WeightRecipe* types = FindWeightRecipe(recipe);
  if (types == nullptr) throw Error(kInvalidArgument, "--recipe: no such recipe: " + recipe);
  ConvertOptions options;
  options.source = path;
  ApplyRecipe(*types, &options);
  const ConvertedHeader header = ConvertHeader(options);
  // By number: Android's C library has the function since API 30 only.
  memory_ = static_cast<int>(syscall(SYS_memfd_create, "plan", MFD_CLOEXEC));
  if (memory_ < 0) throw IoError(path, "no memory for its header", errno);
  // Nobody reads the hole, so that it takes none.
  if (ftruncate(memory_, static_cast<off_t>(header.file_bytes)) != 0 ||
      pwrite(memory_, header.bytes.data(), header.bytes.size(), 0) != static_cast<ssize_t>(header.bytes.size())) {
    const int reason = errno;
    close(memory_);
    throw IoError(path, "its header cannot be kept in memory", reason);
  }
  file_ = "/proc/self/fd/" + std::to_string(memory_);
}

PlannedFolder::~PlannedFolder() {
  if (memory_ >= 0) close(memory_);
}

}  // namespace thimble::cli
