// A model whose layers have windows of several kinds, rows of their own and of others: what tests of rings and of saved
// states run.
#pragma once

#include <random>
#include <vector>

#include "tests/support/model_builder.h"

namespace thimble::test {

inline constexpr uint32_t kWindowContext = 700;

inline AttentionSpec WindowLayer(Sharing sharing, KeyRotation rotation, uint32_t window) {
  AttentionSpec a;
  a.heads = 4;
  a.kv_heads = sharing == Sharing::kNone ? 2 : 1;
  a.head_width = 8;
  a.sharing = sharing;
  a.rotation = rotation;
  a.window = window;
  if (rotation == KeyRotation::kNone) return a;
  a.rope.width = 8;
  a.rope.pair_stride = 4;
  a.rope.denominator = 8;
  return a;
}

// A reader with a wider window than the layer whose rows it reads; K = V beside separate rows; a layer that sees all.
inline ModelBuilder WindowModel() {
  ModelBuilder m(16, 44, kWindowContext, 77);
  m.AddLayer(WindowLayer(Sharing::kNone, KeyRotation::kOnWrite, 40), FfnKind::kPlain, Activation::kSilu, 20, NormKind::kRmsNorm, false);
  m.AddLayer(WindowLayer(Sharing::kKV, KeyRotation::kOnRead, 70), FfnKind::kPlain, Activation::kSilu, 20, NormKind::kRmsNorm, false);
  AttentionSpec reader = WindowLayer(Sharing::kNone, KeyRotation::kOnWrite, 90);
  reader.cache_source = 0;
  m.AddLayer(reader, FfnKind::kPlain, Activation::kSilu, 20, NormKind::kRmsNorm, false);
  m.AddLayer(WindowLayer(Sharing::kNone, KeyRotation::kNone, 0), FfnKind::kPlain, Activation::kSilu, 20, NormKind::kRmsNorm, false);
  m.Finish(false, true, NormKind::kRmsNorm);
  return m;
}

inline std::vector<int32_t> WindowIds(size_t count) {
  std::mt19937_64 random(5);
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % 44);
  return ids;
}

}  // namespace thimble::test
