// Rewrites a .thimble file with its weights in the layouts of one kernel table, or back in portable rows: tensor by
// tensor in bounded memory, the same bytes on every machine. Knows no kernels, only layouts (ops/linear/packing/layouts.h).
#pragma once

#include "format/spec.h"
#include "targets/convert/convert.h"

namespace thimble {

struct PackOptions {
  std::filesystem::path source;
  std::filesystem::path output;  // may be the source: it is replaced by a rename when the new file is complete
  std::string table;             // a name of AllTablePackings(); "portable" for rows
  // Called for each piece of the source that is checked and before each block of rows that is written; false stops with kCancelled and leaves the output as it was.
  std::function<bool(const ConvertProgress&)> progress;
  // Not empty: the new file carries what this gives for it. Called before anything is written, with the file as it will be but for its
  // weights, which are zeros; its texts must live as long as the call of PackFile().
  std::function<MemoryContract(const void* bytes, size_t size)> contract;
};

struct PackReport {
  uint64_t source_bytes = 0, file_bytes = 0;
  uint64_t packed_tensors = 0;     // in the new file
  uint64_t packed_bytes = 0;       // that they take
  uint64_t peak_buffer_bytes = 0;  // largest sum of the buffers for weights at one time
};

// Reads and checks all of the source first (its new checksums would hide any damage). Throws ImportError.
PackReport PackFile(const PackOptions& options);

// Whether --pack and --for know the name, and all names for messages: "portable, avx2, ...".
bool IsTablePacking(const std::string& name);
std::string TablePackingNames();

// All tables that read the weights of a model where they lie in its file, as several share a layout: "avx512vnni, amx, neondot,
// neoni8mm"; "portable" where none is packed; "" where no table reads all of them, or the file cannot be read.
std::string PackingsOfFile(const std::filesystem::path& path);

}  // namespace thimble
