// Cosines and sines for the positions that a step needs. One table per distinct rotation in the model: the positions
// of the current pass for keys rotated when written, all positions for keys rotated when read.
#pragma once

#include "format/spec.h"
#include "ops/rows/rope.h"
#include "runtime/core/arena.h"

namespace thimble {

struct ThreadPool;

struct RopeTable {
  RopeShape shape;
  bool all_positions = false;
  float* cos = nullptr;  // [rows, width / 2]
  float* sin = nullptr;

  // Of a position whose token is a row of the current pass.
  size_t Offset(size_t position, size_t row) const { return (all_positions ? position : row) * (shape.width / 2); }
};

RopeTable TakeRopeTable(Arena& arena, const RopeSpec& spec, const float* freq_divisors, bool all_positions, uint64_t rows,
                        int32_t layer);

// Positions [first, first + t), rows of the pass from first_row on.
void FillRopeTable(const RopeTable& table, size_t first, size_t t, size_t first_row, ThreadPool* pool);

// Two layers with equal specifications share a table.
bool SameRope(const RopeSpec& a, const RopeSpec& b);

}  // namespace thimble
