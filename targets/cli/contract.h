// Memory contracts: what a file promises about the bytes that it takes, made from a plan and compared with one. A contract names kernels
// and is about every machine of 64 bits that has them, with pages of the size that it says; the kernels "scalar" all have.
#pragma once

#include <string>
#include <vector>

#include "format/model_file.h"
#include "targets/cli/options.h"

namespace thimble::cli {

// Of an engine with these options; of `plan` the kernels' name lives on. Throws Error.
MemoryContract ContractFor(const EngineOptions& options, const thimble_plan& plan);

// "512 tokens, f16 rows, 1 thread, kernels scalar: 3,600,000 bytes anonymous, 3,500,000 file-backed".
std::string ContractText(const MemoryContract& contract);

// Of the file. Throws kUnsupported where it has none, where one is for pages of another size, or in a program of 32 bits, and what planning throws
// where this machine lacks the kernels; kInvalidModel with both numbers where a contract is not kept.
std::vector<std::string> CheckContracts(const Model& model);

}  // namespace thimble::cli
