// The kernel tables: one per instruction set that this build carries, chosen once at load. Knows which CPU
// features a table needs; knows nothing about models.
#pragma once

#include <span>

#include "ops/rows/activation_kernel.h"
#include "ops/attention/attention_kernel.h"
#include "ops/linear/linear.h"
#include "ops/rows/row_kernel.h"
#include "ops/rows/state_kernel.h"

namespace thimble {

// What the CPU and the operating system both support.
struct CpuFeatures {
  // x86-64
  bool avx2_fma = false;  // AVX2 and FMA3
  bool avxvnni = false;   // AVX-VNNI (256-bit VEX encoding)
  bool avx512 = false;    // F, BW, DQ, VL
  bool avx512vnni = false;
  bool reads_streams = false;  // Intel's: memory is read fastest in several streams (ops/lanes/fetch.h); AMD's in one
  bool amx = false;  // AMX-TILE and AMX-INT8, and what avx512vnni needs
  // aarch64
  bool neon = false;
  bool neondot = false;   // SDOT, UDOT
  bool neoni8mm = false;  // SMMLA
};

CpuFeatures DetectCpu();

struct KernelTable {
  const char* name;         // "scalar", "neon", "neondot", "neoni8mm", "avx2", "avxvnni", "avx512vnni", "amx"
  const char* description;  // one line: what it needs
  bool (*supported)(const CpuFeatures& cpu);
  const LinearKernel* linear[4];  // of f32, q8, q4 and ternary; null: the scalar one
  const LinearKernel* blocks = nullptr;     // [kBlockTypeCount], in the order of kBlockFormats; null: the scalar ones
  const AttentionKernel* attention;              // over int8 cache rows
  ActivateFn activate;
  TurnFn turn;
  const StateKernel* state;
  const RowKernels* rows;

  // The portable kernel for a type that is not listed: never null.
  const LinearKernel* Kernel(WeightType type) const;
};

// Tables of this build, slowest first; "scalar" is always the first and runs everywhere.
std::span<const KernelTable* const> AllKernelTables();
// The fastest one that the CPU supports. Never null.
const KernelTable* BestKernelTable(const CpuFeatures& cpu);
// null when this build has no table of that name.
const KernelTable* FindKernelTable(const char* name);

}  // namespace thimble
