// int4 blocks made int8 blocks, exactly, for any vector width: included by each attention kernel's file like
// attention_softmax.h.
#include "ops/attention/attention_lanes.h"

namespace thimble {
namespace {

typedef uint8_t FactorLanes __attribute__((vector_size(THIMBLE_LANES)));
typedef uint16_t ScaleLanes __attribute__((vector_size(THIMBLE_LANES * 2)));
typedef uint8_t WideBytes __attribute__((vector_size(THIMBLE_LANES * 4)));

template <typename T>
static inline T LoadAs(const void* p) {
  T v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

static void WidenTile(const uint8_t* from, size_t d, size_t count, uint8_t* to) {
  const size_t fours = (d + 3) / 4, eights = (d + 7) / 8, groups = (d + 31) / 32;
  const size_t from_bytes = 64 * eights + 16 * groups + 32, to_bytes = 64 * fours + 64;
  for (size_t b = 0; b < count; ++b, from += from_bytes, to += to_bytes) {
    const uint8_t* factors = from + 64 * eights;
    const uint8_t* scales = factors + 16 * groups;
    for (size_t v = 0; v < kVectors; ++v) {  // kLanes rows at a time
      for (size_t g = 0; g < groups; ++g) {
        // Every row's factor four times.
        const FactorLanes narrow = LoadAs<FactorLanes>(factors + 16 * g + v * kLanes);
        const WideBytes factor = (WideBytes)(__builtin_convertvector(narrow, WordLanes) * 0x01010101u);
        const size_t end = 4 * g + 4 < eights ? 4 * g + 4 : eights;
        for (size_t i = 4 * g; i < end; ++i) {
          const size_t at = 64 * i + 4 * kLanes * v;
          __builtin_prefetch(from + at + from_bytes * count);
          const WideBytes bytes = LoadAs<WideBytes>(from + at);
          const WideBytes low = ((bytes & 15) - 8) * factor, high = ((bytes >> 4) - 8) * factor;
          __builtin_memcpy(to + 64 * i + at, &low, sizeof low);
          if (2 * i + 1 < fours) __builtin_memcpy(to + 64 * i + 64 + at, &high, sizeof high);
        }
      }
      const ScaleLanes halves = LoadAs<ScaleLanes>(scales + 2 * v * kLanes);
      const WordLanes floats = __builtin_convertvector(halves, WordLanes) << 16;
      __builtin_memcpy(to + 64 * fours + 4 * v * kLanes, &floats, sizeof floats);
    }
  }
}

}  // namespace
}  // namespace thimble
