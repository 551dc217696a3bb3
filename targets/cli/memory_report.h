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
  ProcessMemory loaded;               // when it had been made ready
  ProcessMemory after;                // at the end
  uint64_t arena_resident_bytes = 0;  // of the arena, whole pages that were touched
  uint64_t file_without_room = 0;     // of the model file, by what the system had before (CheckMemory)

  // The larger of what the kernel said after loading and at the end; between them nothing is given back.
  uint64_t PeakAnonymousBytes() const;
  uint64_t PeakFileBytes() const;
};

// Planned / peak anonymous / peak file-backed, in one line for standard error.
std::string TruthText(const Plan& plan, uint64_t peak_anonymous_bytes, uint64_t peak_file_bytes);
// That, and what the arena came to.
std::string MemoryText(const Plan& plan, const MemoryUse& use);
// Of weights larger than memory, where they are: what was read of the file in `ns`, and how fast. Else empty.
std::string FileReadText(const MemoryUse& use, uint64_t ns);
Json MemoryJson(const MemoryUse& use);

// JSON when the name ends in .json, text otherwise.
OutputKind MemoryReportKind(const std::string& path);
// The plan in full and the measurements. Throws Error(kIo).
void WriteMemoryReport(const OutputFile& file, const Model& model, const EngineOptions& options,
                       const Plan& plan, const MemoryUse& use);

}  // namespace thimble::cli
