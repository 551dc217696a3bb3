// Each loop keeps enough independent sums that the multiplier never waits for a result. Functions carry the flags
// of their instruction set themselves, and call nothing but intrinsics: nothing here can leak into code that every
// CPU runs.
#include "targets/cli/bench/int8_peak.h"

#include <cstring>

#include <thimble/thimble.hpp>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace thimble::cli {
namespace {

constexpr int kSums = 12;

#if defined(__x86_64__)

// Four sums of 16 by 16, which wait for each other less than a product takes.
uint64_t RunAmx(uint64_t rounds) {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16};
  } shapes;
  __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
  for (uint64_t n = 0; n < rounds; ++n) {
    __asm__ volatile("tdpbssd %tmm1, %tmm0, %tmm2\n\ttdpbssd %tmm1, %tmm0, %tmm3\n\ttdpbssd %tmm1, %tmm0, %tmm4\n\ttdpbssd %tmm1, %tmm0, %tmm5");
  }
  __asm__ volatile("tilerelease");
  return 0;
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) uint64_t RunAvx512Vnni(uint64_t rounds) {
  __m512i sums[kSums];
  for (int i = 0; i < kSums; ++i) sums[i] = _mm512_set1_epi32(i);
  __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-2);
  for (uint64_t n = 0; n < rounds; ++n) {
    __asm__ volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
  }
  for (int i = 1; i < kSums; ++i) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
  return static_cast<uint64_t>(_mm512_cvtsi512_si32(sums[0]));
}

__attribute__((target("avx2,avxvnni"))) uint64_t RunAvxVnni(uint64_t rounds) {
  __m256i sums[kSums];
  for (int i = 0; i < kSums; ++i) sums[i] = _mm256_set1_epi32(i);
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-2);
  for (uint64_t n = 0; n < rounds; ++n) {
    __asm__ volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = _mm256_dpbusd_avx_epi32(sums[i], a, b);
  }
  for (int i = 1; i < kSums; ++i) sums[0] = _mm256_add_epi32(sums[0], sums[i]);
  return static_cast<uint64_t>(_mm256_extract_epi32(sums[0], 0));
}

// Products of neighbours in 16 bits, two such sums, then into 32 bits.
__attribute__((target("avx2"))) uint64_t RunAvx2(uint64_t rounds) {
  __m256i sums[kSums];
  for (int i = 0; i < kSums; ++i) sums[i] = _mm256_set1_epi32(i);
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-2);
  const __m256i ones = _mm256_set1_epi16(1);
  for (uint64_t n = 0; n < rounds; ++n) {
    __asm__ volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      __m256i products = _mm256_maddubs_epi16(a, b);
      __asm__ volatile("" : "+x"(products));  // the same for all i, or so the compiler thinks
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(products, ones));
    }
  }
  for (int i = 1; i < kSums; ++i) sums[0] = _mm256_add_epi32(sums[0], sums[i]);
  return static_cast<uint64_t>(_mm256_extract_epi32(sums[0], 0));
}

constexpr Int8Loop kLoops[] = {
    {"amx", 2 * 16 * 16 * 64 * 4, RunAmx},
    {"avx512vnni", 2 * 64 * kSums, RunAvx512Vnni},
    {"avxvnni", 2 * 32 * kSums, RunAvxVnni},
    {"avx2", 2 * 32 * kSums, RunAvx2},
};

#elif defined(__aarch64__)

uint64_t Sum(const int32x4_t* sums) {
  int32x4_t all = sums[0];
  for (int i = 1; i < kSums; ++i) all = vaddq_s32(all, sums[i]);
  return static_cast<uint64_t>(vaddvq_s32(all));
}

// As assembler: nothing for the compiler to fold or to reorder.
__attribute__((target("arch=armv8.2-a+i8mm"))) uint64_t RunSmmla(uint64_t rounds) {
  int32x4_t sums[kSums];
  for (int i = 0; i < kSums; ++i) sums[i] = vdupq_n_s32(i);
  const int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(-2);
  for (uint64_t n = 0; n < rounds; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      __asm__ volatile("smmla %0.4s, %1.16b, %2.16b" : "+w"(sums[i]) : "w"(a), "w"(b));
    }
  }
  return Sum(sums);
}

__attribute__((target("arch=armv8.2-a+dotprod"))) uint64_t RunSdot(uint64_t rounds) {
  int32x4_t sums[kSums];
  for (int i = 0; i < kSums; ++i) sums[i] = vdupq_n_s32(i);
  const int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(-2);
  for (uint64_t n = 0; n < rounds; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      __asm__ volatile("sdot %0.4s, %1.16b, %2.16b" : "+w"(sums[i]) : "w"(a), "w"(b));
    }
  }
  return Sum(sums);
}

// Two products of 16 bits fit one sum of 16 bits; pairs of these go into 32 bits.
uint64_t RunMlal(uint64_t rounds) {
  int32x4_t sums[kSums];
  for (int i = 0; i < kSums; ++i) sums[i] = vdupq_n_s32(i);
  int8x8_t a = vdup_n_s8(3), b = vdup_n_s8(-2);
  for (uint64_t n = 0; n < rounds; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      __asm__ volatile("" : "+w"(a), "+w"(b));
      sums[i] = vpadalq_s16(sums[i], vmlal_s8(vmull_s8(a, b), b, a));
    }
  }
  return Sum(sums);
}

constexpr Int8Loop kLoops[] = {
    {"neoni8mm", 2 * 32 * kSums, RunSmmla},
    {"neondot", 2 * 16 * kSums, RunSdot},
    {"neon", 2 * 16 * kSums, RunMlal},
};

#else
constexpr Int8Loop kLoops[] = {{"", 0, nullptr}};
#endif

// The library names its kernel tables after what the CPU must have.
bool CpuHas(const char* table) {
  const size_t length = std::strlen(table);
  for (const char* at = thimble_kernel_tables(); at != nullptr; at = std::strchr(at, ' ')) {
    while (*at == ' ') ++at;
    if (std::strncmp(at, table, length) == 0 && (at[length] == ' ' || at[length] == 0)) return length > 0;
  }
  return false;
}

}  // namespace

Int8Loop BestInt8Loop() {
  for (const Int8Loop& loop : kLoops) {
    if (CpuHas(loop.name)) return loop;
  }
  return {"", 0, nullptr};
}

}  // namespace thimble::cli
