#include "targets/cli/planned_folder.h"

#include <unistd.h>

#include <filesystem>

#include "targets/cli/error.h"
#include "targets/convert/convert.h"

namespace thimble::cli {

PlannedFolder::PlannedFolder(const std::string& path, const std::string& recipe) : path_(path) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path) && fs::path(path).filename() != "config.json") return;
  const WeightRecipe* types = FindWeightRecipe(recipe);
  if (types == nullptr) throw Error(kInvalidArgument, "--recipe: no such recipe: " + recipe);
  ConvertOptions options;
  options.source = path;
  options.output = fs::temp_directory_path() / ("thimble-plan-" + std::to_string(getpid()) + ".thimble");
  options.header_only = true;
  ApplyRecipe(*types, &options);
  path_ = options.output.string();
  made_ = true;
  try {
    Convert(options);
  } catch (...) {
    std::error_code ignored;
    fs::remove(path_, ignored);
    throw;
  }
}

PlannedFolder::~PlannedFolder() {
  std::error_code ignored;
  if (made_) std::filesystem::remove(path_, ignored);
}

}  // namespace thimble::cli
