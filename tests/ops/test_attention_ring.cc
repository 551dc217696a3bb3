// Attention over a ring of rows: the bits of attention over all rows, and near the oracle, at every place of the ring and
// whatever lies in rows that nobody sees.
#include <catch2/catch_test_macros.hpp>
#include <memory>

#include "ops/tables/kernel_table.h"
#include "tests/ops/attention_case.h"
#include "tests/ops/attention_oracle.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr size_t kRows = kAttentionTileRows;

struct Shape {
  size_t heads = 2, kv_heads = 1, d = 16, window = 1, longest = 1, sinks = 0, positions = 1;
  CacheType keys = CacheType::kF32, values = CacheType::kF32;
  bool one_row = false, rotated = false, biased = false;
};

// The same text in two caches: every position at its own place, and in a ring.
class Text {
 public:
  Text(Random& random, const Shape& s) : random_(random), s_(s) {
    ring_rows_ = RoundUp(s.window + s.longest - 1, kRows);
    Make(&full_keys_, &ring_keys_, s.keys);
    Make(&full_values_, &ring_values_, s.one_row ? s.keys : s.values);
    rope_.width = static_cast<uint32_t>(s.d / 4 * 2);
    rope_.pair_stride = rope_.width / 2;
    rope_.denominator = static_cast<double>(rope_.width);
    const size_t half = rope_.width / 2;
    cos_.resize(s.positions * half);
    sin_.resize(s.positions * half);
    for (size_t p = 0; p < s.positions; ++p) FillRopeRow(rope_, static_cast<uint32_t>(p), &cos_[p * half], &sin_[p * half]);
    bias_ = random.Normals(s.positions);
  }

  // Rows of the next t positions.
  void Append(size_t t) {
    for (size_t i = 0; i < t; ++i, ++written_) {
      for (size_t g = 0; g < s_.kv_heads; ++g) {
        Store(full_keys_, ring_keys_, g);
        if (!s_.one_row) Store(full_values_, ring_values_, g);
      }
    }
  }

  // The pass of the last t positions. Adds to `worst` how far it is from the oracle, if that is asked for.
  bool SameAsFull(size_t t, const AttentionKernel* kernel, Worst* worst) {
    const std::vector<float> q = random_.Normals(t * s_.heads * s_.d);
    AttentionArgs a;
    a.t = t;
    a.heads = s_.heads;
    a.kv_heads = s_.kv_heads;
    a.d = s_.d;
    a.key_type = full_keys_.type;
    a.value_type = s_.one_row ? full_keys_.type : full_values_.type;
    a.kernel = kernel;
    a.q = q.data();
    a.q_stride = a.out_stride = s_.heads * s_.d;
    a.first_position = written_ - t;
    a.positions = written_;
    a.window = s_.window;
    a.sink_tokens = s_.sinks;
    a.scale = 1.0f / std::sqrt(static_cast<float>(s_.d));
    a.rope = rope_;
    a.turned_keys = s_.rotated;
    if (s_.rotated) a.key_cos = cos_.data(), a.key_sin = sin_.data();
    if (s_.biased) a.position_bias = bias_.data();
    a.keys = full_keys_;
    a.values = s_.one_row ? full_keys_ : full_values_;
    const std::vector<float> full = Run(a, nullptr);
    if (worst != nullptr) {
      const std::vector<double> expected = AttentionOracle(a);
      for (size_t i = 0; i < full.size(); ++i) worst->See(std::fabs(full[i] - expected[i]) / (1.0 + std::fabs(expected[i])), i);
    }
    a.keys = ring_keys_;
    a.values = s_.one_row ? ring_keys_ : ring_values_;
    return SameBits(full, Run(a, nullptr)) && SameBits(full, Run(a, four_.get()));
  }

 private:
  void Make(CacheRows* full, CacheRows* ring, CacheType type) {
    const size_t row_bytes = CacheRowBytes(type, s_.d);
    *full = {.type = type, .row_bytes = row_bytes, .rows = static_cast<size_t>(CacheRowsTaken(type, s_.positions))};
    *ring = {.type = type, .row_bytes = row_bytes, .rows = RoundUp(s_.sinks, kCacheBlockRows) + ring_rows_,
             .sink_tokens = s_.sinks, .ring_rows = ring_rows_};
    for (CacheRows* rows : {full, ring}) {
      const size_t bytes = rows->rows * row_bytes * s_.kv_heads;
      blocks_.push_back(std::make_unique<Block>(bytes));
      // Scales and numbers that were never written are NaN.
      std::memset(blocks_.back()->As<void>(), 0xff, bytes);
      rows->base = blocks_.back()->As<uint8_t>();
    }
  }
  void Store(const CacheRows& full, const CacheRows& ring, size_t head) {
    const std::vector<float> x = random_.Normals(s_.d);
    for (const CacheRows* rows : {&full, &ring}) {
      const CacheRows::Where where = rows->At(head, written_);
      StoreCacheRow(rows->type, x.data(), s_.d, where.row, where.head);
    }
  }
  std::vector<float> Run(AttentionArgs a, ThreadPool* pool) {
    const Block scratch(AttentionScratchBytes(a, WorkerCount(pool)));
    std::vector<float> out(a.t * a.out_stride, -999.0f);
    a.out = out.data();
    Attention(a, scratch.As<void>(), pool);
    return out;
  }

  Random& random_;
  Shape s_;
  size_t ring_rows_ = 0, written_ = 0;
  CacheRows full_keys_, full_values_, ring_keys_, ring_values_;
  RopeShape rope_ = {};
  std::vector<float> cos_, sin_, bias_;
  std::vector<std::unique_ptr<Block>> blocks_;
  Pool four_{4};
};

bool Small(CacheType type) { return type == CacheType::kQ8 || type == CacheType::kQ4; }

}  // namespace

TEST_CASE("a row's place: sinks in front, then round and round, in step with the position") {
  CacheRows rows;
  CHECK(rows.Place(12345) == 12345);
  rows.ring_rows = 512;
  CHECK(rows.Place(0) == 0);
  CHECK(rows.Place(511) == 511);
  CHECK(rows.Place(512) == 0);
  rows.sink_tokens = 20;
  CHECK(rows.Place(19) == 19);
  CHECK(rows.Place(20) == 32 + 20);
  CHECK(rows.Place(512 + 19) == 32 + 19);
  size_t wrong = 0;
  for (size_t p = 0; p < 3000; ++p) wrong += rows.Place(p) % kCacheBlockRows != p % kCacheBlockRows;
  CHECK(wrong == 0);
}

TEST_CASE("a ring gives the bits of all rows, and these agree with the oracle") {
  Random random(60);
  std::vector<const AttentionKernel*> kernels;
  for (const KernelTable* table : AllKernelTables()) {
    if (table->supported(DetectCpu())) kernels.push_back(table->attention);
  }
  Worst in_float, in_int8;
  size_t wrong = 0;
  for (size_t round = 0; round < 48; ++round) {
    Shape s;
    s.kv_heads = random.Integer(1, 2);
    s.heads = s.kv_heads * random.Pick<size_t>({1, 2, 4});
    s.d = random.Pick<size_t>({16, 24, 32, 64, 128});
    s.longest = random.Integer(1, 70);
    s.window = random.Integer(1, round % 3 == 0 ? 40 : 600);
    s.sinks = round % 2 == 0 ? 0 : random.Integer(1, 20);
    if (round % 12 == 7) s.sinks = 300;  // more than a chunk
    s.positions = round % 8 == 0 ? 3000 : random.Integer(200, 1500);
    s.keys = static_cast<CacheType>(round / 2 % kCacheTypeCount);
    s.values = static_cast<CacheType>((round / 2 + round / 8) % kCacheTypeCount);
    s.one_row = random.Integer(0, 1) != 0;
    s.rotated = random.Integer(0, 2) == 0;
    s.biased = random.Integer(0, 3) == 0;
    Text text(random, s);
    for (size_t done = 0, pass = 0; done < s.positions; ++pass) {
      const size_t t = std::min(random.Integer(1, s.longest), s.positions - done);
      text.Append(t);
      done += t;
      // Where the ring is young, and every now and then; the last one beside the oracle.
      const bool last = done == s.positions;
      if (pass > 2 && pass % 9 != 0 && !last) continue;
      const bool int8 = Small(s.keys) && (s.one_row || Small(s.values));
      Worst* worst = int8 ? &in_int8 : &in_float;
      wrong += !text.SameAsFull(t, kernels[(round + pass) % kernels.size()], last ? worst : nullptr);
    }
  }
  CHECK(wrong == 0);
  CHECK(in_float.error < 3e-5);
  CHECK(in_int8.error < 0.06);
}

TEST_CASE("sinks and window: each position once, in any split of a text") {
  // Equal scores, so that the result is the mean of what is seen.
  Random random(61);
  for (const size_t window : std::vector<size_t>{1, 5, 300}) {
    for (const size_t sinks : std::vector<size_t>{0, 1, 4, 260}) {
      AttentionCase c(random, {.t = 40, .heads = 2, .kv_heads = 1, .d = 8, .positions = 620, .window = window, .query_factor = 0.0f});
      const_cast<AttentionArgs&>(c.args()).sink_tokens = sinks;
      const std::vector<float> whole = c.Run(nullptr);
      const std::vector<double> expected = AttentionOracle(c.args());
      Worst worst;
      for (size_t i = 0; i < whole.size(); ++i) worst.See(std::fabs(whole[i] - expected[i]), i);
      CHECK(worst.error < 1e-5);
      CHECK(SameBits(whole, c.RunInParts(random, 7, nullptr)));
    }
  }
}
