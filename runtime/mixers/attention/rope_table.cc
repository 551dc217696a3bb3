#include "runtime/mixers/attention/rope_table.h"

#include "ops/pool/parallel_rows.h"

namespace thimble {

RopeTable TakeRopeTable(Arena& arena, const RopeSpec& spec, const float* freq_divisors, bool all_positions, uint64_t rows,
                        int32_t layer) {
  RopeTable table;
  table.shape.width = spec.width;
  table.shape.offset = spec.offset;
  table.shape.pairing = spec.pairing;
  table.shape.pair_stride = spec.pair_stride;
  table.shape.theta = spec.theta;
  table.shape.denominator = spec.denominator;
  table.shape.position_scale = spec.position_scale;
  table.shape.magnitude = static_cast<double>(spec.magnitude);
  table.shape.freq_divisors = freq_divisors;
  table.all_positions = all_positions;
  const uint64_t pairs = spec.width / 2;
  const uint64_t touched = all_positions && arena.tokens() < rows ? arena.tokens() : rows;
  arena.SetUse(all_positions ? LineUse::kState : LineUse::kPassing);
  table.cos = arena.TakeGrowing<float>("rope_cos", rows * pairs, touched * pairs, layer);
  table.sin = arena.TakeGrowing<float>("rope_sin", rows * pairs, touched * pairs, layer);
  arena.SetUse(LineUse::kKept);
  return table;
}

void FillRopeTable(const RopeTable& table, size_t first, size_t t, size_t first_row, ThreadPool* pool) {
  // A sine is about as much work as 64 numbers that are copied.
  ForRows(pool, t, 64 * (table.shape.width / 2), [&](size_t row, size_t count) {
    const size_t offset = table.Offset(first + row, first_row + row);
    FillRopeRows(table.shape, static_cast<uint32_t>(first + row), count, table.cos + offset, table.sin + offset);
  });
}

bool SameRope(const RopeSpec& a, const RopeSpec& b) {
  return a.width == b.width && a.offset == b.offset && a.pair_stride == b.pair_stride && a.denominator == b.denominator &&
         a.pairing == b.pairing && a.theta == b.theta && a.position_scale == b.position_scale && a.magnitude == b.magnitude &&
         a.freq_divisors == b.freq_divisors && a.long_divisors == b.long_divisors && a.long_from == b.long_from;
}

}  // namespace thimble
