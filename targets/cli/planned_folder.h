// A folder as `thimble plan` takes it: with a config.json alone. Its header becomes a file in memory, with a hole for the weights, which is
// gone when this is; nothing is written to any disk.
#pragma once

#include <string>

namespace thimble::cli {

class PlannedFolder {
 public:
  // Nothing is made where `path` is no folder (nor the config.json in one). `recipe`: types of the weights, as `convert --recipe` has
  // them. Throws Error with what the converter says.
  PlannedFolder(const std::string& path, const std::string& recipe);
  ~PlannedFolder();
  PlannedFolder(const PlannedFolder&) = delete;
  PlannedFolder& operator=(const PlannedFolder&) = delete;

  const std::string& file() const { return file_; }  // of a .thimble file, to be opened as long as this is there

 private:
  std::string file_;
  int memory_ = -1;
};

}  // namespace thimble::cli
