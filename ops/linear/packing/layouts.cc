// The lists.
#include "ops/linear/packing/layouts.h"

#include <cstring>

namespace thimble {
namespace {

#define THIMBLE_BLOCK_LAYOUT(Name, index) &kBlocks16c4<WeightType::k##Name>,
#define THIMBLE_BLOCK_LAYOUTS THIMBLE_BLOCK_TYPES(THIMBLE_BLOCK_LAYOUT)

constinit const PackedLayout* const kLayouts[] = {
    &kF32x8, &kF32x16, &kQ8x8c2s4, &kQ8x8c8, &kQ8x16c4, &kQ4x8c8, &kQ4x16c1, &kQ4x16c4, &kTernary16, THIMBLE_BLOCK_LAYOUTS
};

constinit const TablePacking kTables[] = {
    {"portable", false, {}},
    {"avx2", false, {&kF32x16, &kQ8x8c8, &kQ4x8c8, &kTernary16, THIMBLE_BLOCK_LAYOUTS}},
    {"avxvnni", true, {&kF32x16, &kQ8x8c8, &kQ4x8c8, &kTernary16, THIMBLE_BLOCK_LAYOUTS}},
    {"avx512vnni", true, {&kF32x16, &kQ8x16c4, &kQ4x16c4, &kTernary16, THIMBLE_BLOCK_LAYOUTS}},
    {"amx", true, {&kF32x16, &kQ8x16c4, &kQ4x16c4, &kTernary16, THIMBLE_BLOCK_LAYOUTS}},
    {"neon", false, {&kF32x8, &kQ8x8c2s4, &kQ4x16c1, &kTernary16, THIMBLE_BLOCK_LAYOUTS}},
    {"neondot", true, {&kF32x8, &kQ8x16c4, &kQ4x16c4, &kTernary16, THIMBLE_BLOCK_LAYOUTS}},
    {"neoni8mm", true, {&kF32x8, &kQ8x16c4, &kQ4x16c4, &kTernary16, THIMBLE_BLOCK_LAYOUTS}},
};

#undef THIMBLE_BLOCK_LAYOUTS
#undef THIMBLE_BLOCK_LAYOUT

}  // namespace

std::span<const PackedLayout* const> AllPackedLayouts() { return kLayouts; }

const PackedLayout* FindPackedLayout(WeightType type, const WeightLayout& key) {
  for (const PackedLayout* layout : kLayouts) {
    if (layout->type == type && layout->key == key) return layout;
  }
  return nullptr;
}

const PackedLayout* TablePacking::Layout(WeightType type) const {
  for (const PackedLayout* layout : layouts) {
    if (layout != nullptr && layout->type == type) return layout;
  }
  return nullptr;
}

std::span<const TablePacking> AllTablePackings() { return kTables; }

const TablePacking* FindTablePacking(const char* name) {
  if (std::strcmp(name, "scalar") == 0) return &kTables[0];
  for (const TablePacking& table : kTables) {
    if (std::strcmp(table.name, name) == 0) return &table;
  }
  return nullptr;
}

}  // namespace thimble
