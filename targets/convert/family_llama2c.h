// Models of llama2.c: the header of the file is their configuration.
#pragma once

#include "targets/convert/llama2c_file.h"
#include "targets/convert/plan.h"

namespace thimble {

ModelPlan PlanLlama2c(const Llama2cCheckpoint& checkpoint, const std::string& file);

}  // namespace thimble
