// Models in GGUF files: which architectures are known, and a file's values and tensors as a plan.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "targets/convert/gguf_file.h"
#include "targets/convert/plan.h"

namespace thimble {

struct GgufFamily {
  const char* architecture;  // general.architecture
  const char* summary;       // one line for people
};

// For `thimble convert --list`.
std::vector<GgufFamily> GgufFamilies();

struct GgufModel {
  ModelPlan plan;
  std::unique_ptr<Checkpoint> checkpoint;  // that the plan's recipes read: the file, or a view of it
};

// Throws ImportError: an architecture that is not known, a value that changes the mathematics and is not
// understood, or a tensor that is missing or left over is refused by name. `ignore_fields` are keys that the
// caller vouches for.
GgufModel PlanGguf(std::unique_ptr<GgufCheckpoint> checkpoint, const std::vector<std::string>& ignore_fields);

}  // namespace thimble
