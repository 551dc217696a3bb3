// A model against classes of devices: what each leaves to one program, from a table that is part of the source.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "targets/cli/options.h"
#include "targets/json/json.h"

namespace thimble::cli {

struct DeviceClass {
  const char* name;
  uint64_t memory_bytes;  // that it has
  thimble_budget budget;  // for one program
  const char* whose;      // where the budget comes from
};
std::span<const DeviceClass> DeviceClasses();

// Fits, fits with other options and which, or does not and why: a line for each class.
std::string DevicesText(const Model& model, const EngineOptions& options, const Plan& plan);
Json DevicesJson(const Model& model, const EngineOptions& options, const Plan& plan);

}  // namespace thimble::cli
