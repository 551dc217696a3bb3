// Which matrices of a source that is quantised keep their blocks, and why the others cannot: rows are moved whole, of any
// number of source tensors and in any order; columns and numbers stay as they are.
#pragma once

#include <string>

#include "targets/convert/gguf_blocks.h"
#include "targets/convert/plan.h"

namespace thimble {

// Has the source matrices of quantised types, or ternary ones?
bool HoldsBlocks(const Checkpoint& checkpoint);

struct CarryAnswer {
  const GgufBlockType* type = nullptr;  // of all rows; null: they cannot be carried
  std::string obstacle;                 // then
};

// Of a tensor of the model that has rows of the source.
CarryAnswer CanCarry(const Checkpoint& checkpoint, const Recipe& recipe);
// All its rows are ternary, and multiplied.
bool IsTernary(const Checkpoint& checkpoint, const Recipe& recipe);
// Of a tensor that can be carried in blocks of three numbers: each row has one scale for all of its blocks, as BitNet's have, so that two
// bits and a scale for the row are the same numbers. Reads all of it.
bool HasTernaryRows(const Checkpoint& checkpoint, const Recipe& recipe);

}  // namespace thimble
