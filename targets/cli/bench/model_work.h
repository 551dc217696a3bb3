// Parameters, bytes and operations of a model, from its header alone. Knows no speed.
#pragma once

#include <cstdint>
#include <string>

namespace thimble::cli {

struct ModelWork {
  std::string name, type;          // type: name and storage of most of the weights, "llama 1.10 B q4"
  uint64_t parameters = 0;         // numbers in all tensors
  uint64_t tensor_bytes = 0;       // as stored, scales included
  double layer_weights = 0;        // of the linear layers, head and embedding left out
  double heads_width_per_key = 0;  // sum over the layers of H * d

  // Multiplications and additions of int8 values for `tokens` prompt tokens behind `depth` others: two per weight, and
  // four per pair of query and key and element of a head. Windows are not looked at.
  double PromptOperations(uint64_t depth, uint64_t tokens) const;
  // Those of attention alone.
  double AttentionOperations(uint64_t depth, uint64_t tokens) const;
};

// Throws Error as every command does about files.
ModelWork ReadModelWork(const std::string& path);

}  // namespace thimble::cli
