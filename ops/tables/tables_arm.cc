// The tables of ARM. NEON is part of the 64-bit architecture, where float kernels are the same in all three; with 32 bits there is
// the first one.
#include "ops/tables/isa_tables.h"

#if defined(__aarch64__) || defined(__arm__)

#include "ops/linear/packed_linear.h"
#include "ops/linear/turn.h"
#include "ops/neon/kernels.h"
#include "ops/rows/activation.h"
#include "ops/rows/row_kernels.h"
#include "ops/rows/state_space.h"
#include "ops/xnnpack/kernels.h"

namespace thimble {
namespace {

#if defined(__aarch64__)
constinit const LinearKernel kQ8NeonDot =
    PackedLinear<kQ8x16c4, LinearQ8NeonDot>("linear_q8_4x16c4__neondot", QuantiseRowNeon, kGemmRowTile);
constinit const LinearKernel kQ8NeonI8mm =
    PackedLinear<kQ8x16c4, LinearQ8NeonI8mm>("linear_q8_12x16c4__neoni8mm", QuantiseRowNeonPairs, kGemmRowTile);
constinit const LinearKernel kQ4NeonDot =
    PackedLinear<kQ4x16c4, LinearQ4NeonDot>("linear_q4_4x16c4__neondot", QuantiseRowNeon, kGemmRowTile);
constinit const LinearKernel kQ4NeonI8mm =
    PackedLinear<kQ4x16c4, LinearQ4NeonI8mm>("linear_q4_16x16c4__neoni8mm", QuantiseRowNeonPairs, kGemmRowTile);

constinit const LinearKernel kTernaryNeonDot = PackedLinear<kTernary16, LinearTernaryNeonDot>("linear_ternary_4x16__neondot", QuantiseTernary, kGemmRowTile);

#define THIMBLE_KERNEL(Name, index) BlockLinear<WeightType::k##Name>("linear_" #Name "__neondot", QuantiseBlocksNeon, Linear##Name##NeonDot),
constinit const LinearKernel kBlocksNeonDot[] = {THIMBLE_BLOCK_TYPES(THIMBLE_KERNEL)};
#undef THIMBLE_KERNEL
#define THIMBLE_KERNEL(Name, index) BlockLinear<WeightType::k##Name>("linear_" #Name "__neoni8mm", QuantiseBlocksNeon, Linear##Name##NeonI8mm),
constinit const LinearKernel kBlocksNeonI8mm[] = {THIMBLE_BLOCK_TYPES(THIMBLE_KERNEL)};
#undef THIMBLE_KERNEL
#endif
constinit const LinearKernel kTernaryNeon = PackedLinear<kTernary16, LinearTernaryNeon>("linear_ternary_4x16__neon", QuantiseTernary, kGemmRowTile);

#define THIMBLE_KERNEL(Name, index) BlockLinear<WeightType::k##Name>("linear_" #Name "__neon", QuantiseBlocksNeon, Linear##Name##Neon),
constinit const LinearKernel kBlocksNeon[] = {THIMBLE_BLOCK_TYPES(THIMBLE_KERNEL)};
#undef THIMBLE_KERNEL

}  // namespace

constinit const KernelTable kNeonTable = {
    .name = "neon",
    .description = "NEON, every 64-bit ARM CPU, and 32-bit ones with VFPv4 (Cortex-A7 and later)",
    .supported = [](const CpuFeatures& cpu) { return cpu.neon; },
    .linear = {&kF32Neon, &kQ8Neon, &kQ4Neon, &kTernaryNeon},
    .blocks = kBlocksNeon,
    .attention = &kAttentionNeon,
    .activate = ActivatePortable,
    .turn = Turn,
    .state = &kStatePortable,
    .rows = &kRowsPortable,
};

#if defined(__aarch64__)
constinit const KernelTable kNeonDotTable = {
    .name = "neondot",
    .description = "NEON with dot products (Cortex-A55, A75 and later)",
    .supported = [](const CpuFeatures& cpu) { return cpu.neondot; },
    .linear = {&kF32Neon, &kQ8NeonDot, &kQ4NeonDot, &kTernaryNeonDot},
    .blocks = kBlocksNeonDot,
    .attention = &kAttentionNeonDot,
    .activate = ActivatePortable,
    .turn = Turn,
    .state = &kStatePortable,
    .rows = &kRowsPortable,
};

constinit const KernelTable kNeonI8mmTable = {
    .name = "neoni8mm",
    .description = "NEON with int8 matrix products (Cortex-A510, A710, X2 and later)",
    .supported = [](const CpuFeatures& cpu) { return cpu.neoni8mm; },
    .linear = {&kF32Neon, &kQ8NeonI8mm, &kQ4NeonI8mm, &kTernaryNeonDot},
    .blocks = kBlocksNeonI8mm,
    .attention = &kAttentionNeonDot,
    .activate = ActivatePortable,
    .turn = Turn,
    .state = &kStatePortable,
    .rows = &kRowsPortable,
};
#endif

}  // namespace thimble

#endif
