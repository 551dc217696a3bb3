// What a run planned beside what it took: the last lines of `thimble run` and the file of --memory-report.
#pragma once

#include <string>

#include "targets/cli/memory.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"

namespace thimble::cli {

struct MemoryUse {
  ProcessMemory before;               // just before the arena was taken: the program itself
  ProcessMemory after;                // at the end
  uint64_t arena_given_bytes = 0;     // the block handed to the library
  uint64_t arena_resident_bytes = 0;  // of it, whole pages that were touched
};

// Two lines for standard error.
std::string MemoryText(const Plan& plan, const MemoryUse& use);
Json MemoryJson(const MemoryUse& use);

// JSON when the name ends in .json, text otherwise.
OutputKind MemoryReportKind(const std::string& path);
// The plan in full and the measurements. Throws Error(kIo).
void WriteMemoryReport(const OutputFile& file, const Model& model, const EngineOptions& options,
                       const Plan& plan, const MemoryUse& use);

}  // namespace thimble::cli
