// A random attention problem with all of its buffers, each of exactly the bytes it may be read to.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>

#include "ops/attention/attention.h"
#include "ops/attention/attention_scalar.h"
#include "ops/linear/turn.h"
#include "tests/ops/support.h"

namespace thimble::test {

struct AttentionOptions {
  size_t t = 1, heads = 1, kv_heads = 1, d = 16, positions = 1;
  CacheType key_type = CacheType::kF32, value_type = CacheType::kF32;
  bool one_row = false;
  bool causal = true;
  size_t window = 0;
  float query_factor = 1.0f;  // larger: one key dominates
  bool equal_keys = false;
  bool zero_rows = false;  // every third row is zero
  bool outliers = false;  // one number of every query and row is 1,000 times the others; then turned, as a model's are
  bool int8_queries = false;  // queries that int8 holds exactly, so that only probabilities are rounded
  size_t recent_tokens = 0;  // causal only
  float softcap = 0.0f;
  bool sink_logits = false, position_bias = false, key_gain = false, rotate_keys = false, turn_back = false;
  RopeShape rope = {};
};

class AttentionCase {
 public:
  AttentionCase(Random& random, const AttentionOptions& o) : options_(o) {
    args_ = {};
    args_.t = o.t;
    args_.heads = o.heads;
    args_.kv_heads = o.kv_heads;
    args_.d = o.d;
    args_.key_type = o.key_type;
    args_.value_type = o.one_row ? o.key_type : o.value_type;
    args_.kernel = &kAttentionScalar;
    std::vector<float> q = random.Normals(o.t * o.heads * o.d, o.query_factor);
    for (size_t row = 0; o.outliers && row < o.t * o.heads; ++row) AddOutlier(&q[row * o.d], o.d / 3, o.query_factor);
    for (size_t row = 0; o.int8_queries && row < o.t * o.heads; ++row) RoundToInt8(&q[row * o.d]);
    args_.q = Floats(q);
    args_.q_stride = o.heads * o.d;
    out_.resize(o.t * o.heads * o.d, -999.0f);
    args_.out = out_.data();
    args_.out_stride = o.heads * o.d;
    args_.keys = Cache(random, o.key_type);
    args_.values = o.one_row ? args_.keys : Cache(random, o.value_type);
    if (o.recent_tokens != 0) {
      args_.recent_tokens = o.recent_tokens;
      args_.recent_keys = Cache(random, CacheType::kQ8);
      args_.recent_values = o.one_row ? args_.recent_keys : Cache(random, CacheType::kQ8);
    }
    args_.first_position = o.positions - o.t;
    args_.positions = o.positions;
    args_.causal = o.causal;
    args_.window = o.window;
    args_.scale = 1.0f / std::sqrt(static_cast<float>(o.d));
    args_.softcap = o.softcap;
    if (o.sink_logits) args_.sink_logits = Floats(random.Normals(o.heads));
    if (o.position_bias) args_.position_bias = Floats(random.Normals(o.positions));
    args_.turned_keys = o.key_gain || o.rotate_keys;
    if (o.key_gain) args_.key_gain = Floats(random.Normals(o.d));
    args_.rope = o.rope;
    const size_t half = o.rope.width / 2;
    std::vector<float> cos(o.positions * half), sin(o.positions * half);
    for (size_t p = 0; p < o.positions; ++p) {
      if (half > 0) FillRopeRow(o.rope, static_cast<uint32_t>(p), &cos[p * half], &sin[p * half]);
    }
    if (o.rotate_keys) {
      args_.key_cos = Floats(cos);
      args_.key_sin = Floats(sin);
    }
    if (o.turn_back) {
      args_.out_cos = Floats({cos.begin() + args_.first_position * half, cos.end()});
      args_.out_sin = Floats({sin.begin() + args_.first_position * half, sin.end()});
    }
  }

  const AttentionArgs& args() const { return args_; }
  void SetKernel(const AttentionKernel* kernel) { args_.kernel = kernel; }

  std::vector<float> Run(ThreadPool* pool) {
    const Block scratch(ScratchBytes(pool));
    Attention(args_, scratch.As<void>(), pool);
    return out_;
  }

  // The same queries in passes of the given lengths, as if each part of the prompt had come alone.
  std::vector<float> RunInParts(Random& random, size_t longest, ThreadPool* pool) {
    std::vector<float> all(out_.size());
    const Block scratch(ScratchBytes(pool));
    const size_t width = args_.heads * args_.d;
    for (size_t begin = 0; begin < args_.t;) {
      const size_t t = std::min(random.Integer(1, longest), args_.t - begin);
      AttentionArgs part = args_;
      part.t = t;
      part.q += begin * part.q_stride;
      part.out = &all[begin * width];
      part.first_position += begin;
      if (args_.causal) part.positions = part.first_position + t;
      if (part.out_cos != nullptr) {
        part.out_cos += begin * (part.rope.width / 2);
        part.out_sin += begin * (part.rope.width / 2);
      }
      Attention(part, scratch.As<void>(), pool);
      begin += t;
    }
    return all;
  }

 private:
  // Of normal numbers times `factor`: the median of their magnitudes is 0.6745 * factor.
  void AddOutlier(float* x, size_t column, float factor) const {
    x[column] = std::copysign(674.5f * factor, x[column]);
    Turn(x, options_.d, options_.d);
  }

  void RoundToInt8(float* x) const {
    float largest = 0.0f;
    for (size_t i = 0; i < options_.d; ++i) largest = std::max(largest, std::fabs(x[i]));
    if (largest == 0.0f) return;
    for (size_t i = 0; i < options_.d; ++i) {
      x[i] = static_cast<float>(std::nearbyint(x[i] / largest * 127.0) * (largest / 127.0));
    }
  }

  size_t ScratchBytes(ThreadPool* pool) const {
    return AttentionScratchBytes(args_, WorkerCount(pool));
  }

  float* Floats(const std::vector<float>& values) {
    blocks_.push_back(std::make_unique<Block>(values.size() * sizeof(float)));
    if (!values.empty())
      std::memcpy(blocks_.back()->As<void>(), values.data(), values.size() * sizeof(float));
    return blocks_.back()->As<float>();
  }

  CacheRows Cache(Random& random, CacheType type) {
    const size_t taken = static_cast<size_t>(CacheRowsTaken(type, options_.positions));
    CacheRows rows = {.type = type, .row_bytes = CacheRowBytes(type, options_.d), .rows = taken};
    // One chunk, or chunks with something else before the rows: that must make no difference.
    if (blocks_.size() % 2 != 0) {
      rows.rows = RoundUp(taken, kCacheBlockRows);
      rows.strip = 12;
      rows.chunk_bytes = kCacheChunkRows * (rows.strip + RoundUp(options_.kv_heads * rows.row_bytes, 4));
    }
    const size_t bytes = rows.rows * (rows.strip + RoundUp(options_.kv_heads * rows.row_bytes, 4));
    blocks_.push_back(std::make_unique<Block>(bytes));
    rows.base = blocks_.back()->As<uint8_t>();
    std::vector<float> x = random.Normals(options_.d);
    for (size_t i = 0; i < options_.positions * options_.kv_heads; ++i) {
      if (!options_.equal_keys) x = random.Normals(options_.d);
      if (options_.outliers) AddOutlier(x.data(), options_.d / 2, 1.0f);
      if (options_.zero_rows && i % 3 == 0) x.assign(options_.d, 0.0f);
      const CacheRows::Where where = rows.At(i % options_.kv_heads, i / options_.kv_heads);
      StoreCacheRow(type, x.data(), options_.d, where.row, where.head);
    }
    return rows;
  }

  AttentionOptions options_;
  AttentionArgs args_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<float> out_;
};

// Everything random; sizes such that the oracle stays quick.
inline AttentionOptions RandomAttention(Random& random, size_t longest) {
  AttentionOptions o;
  o.d = random.Pick<size_t>({16, 32, 64, 80, 128, 256, 5, 7, 9});
  const size_t group = random.Pick<size_t>({1, 2, 3, 4, 8, 32});
  o.kv_heads = group > 4 ? 1 : random.Integer(1, 3);
  o.heads = group * o.kv_heads;
  o.positions = random.Integer(1, longest);
  o.t = random.Integer(0, 1) != 0 ? 1 : random.Integer(1, std::min<size_t>(o.positions, 40));
  while (o.t * o.heads * o.positions * o.d > 1500000 && o.t > 1) o.t /= 2;
  o.key_type = static_cast<CacheType>(random.Integer(0, kCacheTypeCount - 1));
  o.value_type = static_cast<CacheType>(random.Integer(0, kCacheTypeCount - 1));
  o.one_row = random.Integer(0, 1) != 0;
  o.causal = random.Integer(0, 3) != 0;
  if (o.causal && random.Integer(0, 2) == 0) o.recent_tokens = random.Integer(1, o.positions + 3);
  if (random.Integer(0, 2) == 0) o.window = random.Integer(1, o.positions + 3);
  o.query_factor = random.Pick({1.0f, 0.0f, 8.0f});
  o.equal_keys = random.Integer(0, 7) == 0;
  o.zero_rows = random.Integer(0, 5) == 0;
  if (random.Integer(0, 3) == 0) o.softcap = 5.0f;
  o.sink_logits = random.Integer(0, 3) == 0;
  o.position_bias = random.Integer(0, 3) == 0;
  o.key_gain = random.Integer(0, 3) == 0;
  o.rope.width = static_cast<uint32_t>(2 * random.Integer(1, o.d / 2));
  o.rope.pairing = random.Pick({RopePairing::kHalfSplit, RopePairing::kInterleaved});
  o.rope.pair_stride = o.rope.width / 2;
  if (random.Integer(0, 1) != 0) o.rope.pair_stride = static_cast<uint32_t>(o.d / 2);
  o.rope.denominator = static_cast<double>(o.d);
  if (o.rope.pairing == RopePairing::kInterleaved) {
    o.rope.offset = static_cast<uint32_t>(random.Integer(0, o.d - o.rope.width));
  }
  o.rotate_keys = random.Integer(0, 2) == 0;
  o.turn_back = random.Integer(0, 2) == 0;
  return o;
}

}  // namespace thimble::test
