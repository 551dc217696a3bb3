// On which processors the program computes: -C, -Cr, --cpu-strict as llama.cpp has them, and what the system made of it.
#pragma once

#include <cstdint>
#include <string>

#include <thimble/thimble.hpp>
#include <CLI/CLI.hpp>

namespace thimble::cli {

struct PlacementOptions {
  std::string mask, range;
  int64_t strict = 0;

  void Add(CLI::App* app, const char* group);
  // Bit i is processor i; 0 = none was asked for. Throws Error naming the option.
  uint64_t Mask() const;
};

// "0xf0", "f0".
uint64_t ParseCpuMask(const std::string& text);
// "4-7".
uint64_t ParseCpuRange(const std::string& text);

// Processors that this process may use.
uint32_t AllowedCpus();
// The fast processors of a big.LITTLE system that this process may use, or 0 where there is no difference.
uint64_t FastCpus();

// Moves the calling thread to what `options` asks of worker 0, then compares all threads of the session with it: a
// mask that did not take is reported on standard error.
void Place(thimble_session* session, const EngineOptions& options);

}  // namespace thimble::cli
