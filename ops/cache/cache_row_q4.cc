// int4 rows: a nibble, times a small whole factor of its 32 numbers, times the row's scale. Nibble times factor fits
// int8, so that a block becomes an int8 block without rounding and goes through the int8 kernels (attention_widen.h).
//
// Rounding error at 4 bits is what a user would see, so scales are searched: the extreme value of 32 numbers goes to -8
// (one step more than +7 gives), and scales around that one are tried for the least squared error. The row's scale makes
// the widest group's factor 15; a narrower group's scale is off by at most half a step.
#include "ops/cache/cache_row_q4.h"

#include <bit>
#include <cstring>

#include "ops/cache/cache_row.h"
#include "ops/lanes/vec4.h"

namespace thimble {
namespace {

constexpr int kMostFactor = 15;
constexpr size_t kMostGroups = 64;  // twice what the widest legal head has

// Where the parts of row `position` lie.
struct Q4Row {
  uint8_t* nibbles;  // 4 bytes for 8 numbers, 64 bytes apart: low nibbles are the first four
  int8_t* factors;   // 16 bytes apart
  uint8_t* scale;    // bfloat16

  Q4Row(const void* head, size_t position, size_t d) {
    const size_t row = position % kCacheBlockRows, eights = CeilDiv(d, 8);
    uint8_t* block = const_cast<uint8_t*>(static_cast<const uint8_t*>(head)) +
                     position / kCacheBlockRows * kCacheBlockRows * CacheRowBytes(CacheType::kQ4, d);
    nibbles = block + 4 * row;
    block += 4 * kCacheBlockRows * eights;
    factors = reinterpret_cast<int8_t*>(block) + row;
    scale = block + kCacheBlockRows * CeilDiv(d, kCacheQ4Group) + 2 * row;
  }
};

// Groups are taken as 32 numbers, zeros beyond the head.
struct Group {
  Vec4 x[8];
};

Group LoadGroup(const float* x, size_t count) {
  Group group = {};
  std::memcpy(&group, x, count * sizeof(float));
  return group;
}

// [-8, 7], to nearest even; -8 for NaN.
inline Int4 Nibbles(Vec4 v) {
  return AsInt4(Min4(Max4(v, Splat4(-8.0f)), Splat4(7.0f)) + 12582912.0f) - 0x4b400000;
}

float SquaredError(const Group& group, float scale) {
  const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
  Vec4 sum = {};
  for (const Vec4 v : group.x) {
    const Vec4 difference = __builtin_convertvector(Nibbles(v * inverse), Vec4) * scale - v;
    sum += difference * difference;
  }
  return Sum4(sum);
}

float Magnitude(float x) { return x < 0.0f ? -x : x; }

float BestScale(const Group& group) {
  Vec4 least = {}, most = {};
  for (const Vec4 v : group.x) {
    least = Min4(v, least);
    most = Max4(v, most);
  }
  float low = 0.0f, high = 0.0f;
  for (int l = 0; l < 4; ++l) {
    low = least[l] < low ? least[l] : low;
    high = most[l] > high ? most[l] : high;
  }
  const float extreme = -low > high ? low : high;
  float best = 0.0f, best_error = SquaredError(group, 0.0f);
  // 1 / 8.6 ... 1 / 6.6 of the extreme: smaller scales clip it a little, larger ones waste steps.
  constexpr float kDivisors[] = {-8.0f, -8.6f, -8.3f, -7.7f, -7.3f, -7.0f, -6.6f, 7.0f, 7.4f, 7.8f};
  for (const float divisor : kDivisors) {
    const float scale = extreme / divisor;
    // Infinity and what would have an infinite inverse: keep what is finite.
    if (!(Magnitude(scale) < 1e30f && Magnitude(scale) > 1e-30f)) continue;
    const float error = SquaredError(group, scale);
    if (error < best_error) {
      best_error = error;
      best = scale;
    }
  }
  return best;
}

// The bfloat16 at or above x >= 0.
uint16_t ScaleAbove(float x) { return static_cast<uint16_t>((std::bit_cast<uint32_t>(x) + 0xffff) >> 16); }
float ScaleValue(uint16_t scale) { return std::bit_cast<float>(static_cast<uint32_t>(scale) << 16); }

}  // namespace

void StoreQ4Row(const float* x, size_t d, size_t position, void* head) {
  const Q4Row row(head, position, d);
  const size_t groups = CeilDiv(d, kCacheQ4Group);
  const auto load = [&](size_t g) {
    const size_t begin = g * kCacheQ4Group;
    return LoadGroup(x + begin, d - begin < kCacheQ4Group ? d - begin : kCacheQ4Group);
  };
  float scales[kMostGroups], widest = 0.0f;
  for (size_t g = 0; g < groups; ++g) {
    scales[g] = BestScale(load(g));
    widest = Magnitude(scales[g]) > widest ? Magnitude(scales[g]) : widest;
  }
  const uint16_t stored = ScaleAbove(widest / kMostFactor);
  const float scale = ScaleValue(stored), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  for (size_t g = 0; g < groups; ++g) {
    const int factor = static_cast<int>(scales[g] * inverse + (scales[g] < 0.0f ? -0.5f : 0.5f));
    const float step = static_cast<float>(factor) * scale, inverse_step = factor != 0 ? 1.0f / step : 0.0f;
    const Group group = load(g);
    row.factors[g * kCacheBlockRows] = static_cast<int8_t>(factor);
    for (size_t i = 0; i < 8 && g * kCacheQ4Group + 4 * i < RoundUp(d, 8); i += 2) {
      const Int4 low = Nibbles(group.x[i] * inverse_step) + 8, high = Nibbles(group.x[i + 1] * inverse_step) + 8;
      using Byte4 = uint8_t __attribute__((vector_size(4)));
      const Byte4 bytes = __builtin_convertvector(low | high << 4, Byte4);
      std::memcpy(row.nibbles + (4 * g + i / 2) * 4 * kCacheBlockRows, &bytes, sizeof bytes);
    }
  }
  std::memcpy(row.scale, &stored, sizeof stored);
}

void LoadQ4Row(const void* head, size_t position, size_t d, float* x) {
  const Q4Row row(head, position, d);
  uint16_t stored;
  std::memcpy(&stored, row.scale, sizeof stored);
  const float scale = ScaleValue(stored);
  for (size_t i = 0; i < d; ++i) {
    const int byte = row.nibbles[i / 8 * 4 * kCacheBlockRows + i % 4];
    const int nibble = (i % 8 < 4 ? byte & 15 : byte >> 4) - 8;
    x[i] = static_cast<float>(nibble * row.factors[i / kCacheQ4Group * kCacheBlockRows]) * scale;
  }
}

}  // namespace thimble
