// Importance matrices of llama.cpp: for each tensor the mean squares of the inputs of its columns, in the older binary form
// (.dat) or as GGUF. Knows no model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace thimble {

// By GGUF's names ("blk.3.attn_q.weight"): k mean squares, or of a stack of n matrices n * k, matrix by matrix. Matrices that saw
// no input have zeros.
using ImportanceMatrix = std::map<std::string, std::vector<float>>;

// Throws ImportError naming the file, the entry, what was found and what was expected.
ImportanceMatrix ReadImportanceMatrix(const std::filesystem::path& path);

}  // namespace thimble
