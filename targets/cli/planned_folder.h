// A folder as `thimble plan` takes it: with a config.json alone, its header becomes a file with a hole for the weights, which is
// gone when this is.
#pragma once

#include <string>

namespace thimble::cli {

class PlannedFolder {
 public:
  // Nothing is written where `path` is no folder (nor the config.json in one). `recipe`: types of the weights, as `convert --recipe` has
  // them. Throws Error with what the converter says.
  PlannedFolder(const std::string& path, const std::string& recipe);
  ~PlannedFolder();
  PlannedFolder(const PlannedFolder&) = delete;
  PlannedFolder& operator=(const PlannedFolder&) = delete;

  const std::string& path() const { return path_; }  // of a .thimble file

 private:
  std::string path_;
  bool made_ = false;
};

}  // namespace thimble::cli
