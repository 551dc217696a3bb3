// The x86-64 tables. AVX2 is the floor; a table without a kernel of its own for a type takes that of the
// table below.
#include "ops/tables/isa_tables.h"

#if defined(__x86_64__)

#include "ops/linear/packed_linear.h"
#include "ops/x86/kernels.h"
#include "ops/xnnpack/kernels.h"

namespace thimble {
namespace {

bool ReadsStreams() { return DetectCpu().reads_streams; }

constinit const LinearKernel kF32Avx512 = FloatLinear<kF32x16, LinearF32Avx512>("linear_f32_12x32__avx512f");
constinit const LinearKernel kQ8Avx512Vnni = PackedLinear<kQ8x16c4, LinearQ8Avx512Vnni, ReadsStreams>(
    "linear_q8_12x16c4__avx512vnni", QuantiseRowAvx512, kGemmRowTile);
constinit const LinearKernel kQ4Avx512Vnni = PackedLinear<kQ4x16c4, LinearQ4Avx512Vnni, ReadsStreams>(
    "linear_q4_6x16c4__avx512vnni", QuantiseRowAvx512, kGemmRowTile);

constinit const LinearKernel kTernaryAvx2 = PackedLinear<kTernary16, LinearTernaryAvx2>("linear_ternary_8x16__avx2", QuantiseTernaryAvx2, kGemmRowTile);
constinit const LinearKernel kTernaryAvxVnni =
    PackedLinear<kTernary16, LinearTernaryAvxVnni>("linear_ternary_8x16__avxvnni", QuantiseTernaryAvx2, kGemmRowTile);
constinit const LinearKernel kTernaryAvx512Vnni =
    PackedLinear<kTernary16, LinearTernaryAvx512Vnni, ReadsStreams>("linear_ternary_12x16__avx512vnni", QuantiseTernaryAvx512, kGemmRowTile);

#define THIMBLE_AVX2(Name, index) BlockLinear<WeightType::k##Name>("linear_" #Name "__avx2", QuantiseBlocksAvx2, Linear##Name##Avx2),
#define THIMBLE_AVXVNNI(Name, index) \
  BlockLinear<WeightType::k##Name>("linear_" #Name "__avxvnni", QuantiseBlocksAvx2, Linear##Name##AvxVnni),
#define THIMBLE_AVX512VNNI(Name, index) \
  BlockLinear<WeightType::k##Name, ReadsStreams>("linear_" #Name "__avx512vnni", QuantiseBlocksAvx512, Linear##Name##Avx512Vnni),
#define THIMBLE_AMX(Name, index) \
  BlockLinear<WeightType::k##Name, ReadsStreams>("linear_" #Name "__amx", QuantiseBlocksAvx512, Linear##Name##Amx),
constinit const LinearKernel kBlocksAvx2[] = {THIMBLE_BLOCK_TYPES(THIMBLE_AVX2)};
constinit const LinearKernel kBlocksAvxVnni[] = {THIMBLE_BLOCK_TYPES(THIMBLE_AVXVNNI)};
constinit const LinearKernel kBlocksAvx512Vnni[] = {THIMBLE_BLOCK_TYPES(THIMBLE_AVX512VNNI)};
constinit const LinearKernel kBlocksAmx[] = {THIMBLE_BLOCK_TYPES(THIMBLE_AMX)};
#undef THIMBLE_AVX2
#undef THIMBLE_AVXVNNI
#undef THIMBLE_AVX512VNNI
#undef THIMBLE_AMX

}  // namespace

constinit const KernelTable kAvx2Table = {
    .name = "avx2",
    .description = "AVX2 and FMA3",
    .supported = [](const CpuFeatures& cpu) { return cpu.avx2_fma; },
    .linear = {&kF32Fma3, &kQ8Avx2, &kQ4Avx2, &kTernaryAvx2},
    .blocks = kBlocksAvx2,
    .attention = &kAttentionAvx2,
    .activate = ActivateAvx2,
    .turn = TurnAvx2,
    .state = &kStateAvx2,
    .rows = &kRowsAvx2,
};

constinit const KernelTable kAvxVnniTable = {
    .name = "avxvnni",
    .description = "AVX-VNNI for q8, block types and attention; f32 and q4 as avx2",
    .supported = [](const CpuFeatures& cpu) { return cpu.avxvnni; },
    .linear = {&kF32Fma3, &kQ8AvxVnni, &kQ4Avx2, &kTernaryAvxVnni},
    .blocks = kBlocksAvxVnni,
    .attention = &kAttentionAvxVnni,
    .activate = ActivateAvx2,
    .turn = TurnAvx2,
    .state = &kStateAvx2,
    .rows = &kRowsAvx2,
};

constinit const KernelTable kAvx512VnniTable = {
    .name = "avx512vnni",
    .description = "AVX-512 F, BW, DQ, VL and VNNI",
    .supported = [](const CpuFeatures& cpu) { return cpu.avx512vnni; },
    .linear = {&kF32Avx512, &kQ8Avx512Vnni, &kQ4Avx512Vnni, &kTernaryAvx512Vnni},
    .blocks = kBlocksAvx512Vnni,
    .attention = &kAttentionAvx512Vnni,
    .activate = ActivateAvx512,
    .turn = TurnAvx512,
    .state = &kStateAvx512,
    .rows = &kRowsAvx512,
};

constinit const KernelTable kAmxTable = {
    .name = "amx",
    .description = "AMX-INT8 for several rows of block types; the rest as avx512vnni",
    .supported = [](const CpuFeatures& cpu) { return cpu.amx; },
    .linear = {&kF32Avx512, &kQ8Avx512Vnni, &kQ4Avx512Vnni, &kTernaryAvx512Vnni},
    .blocks = kBlocksAmx,
    .attention = &kAttentionAvx512Vnni,
    .activate = ActivateAvx512,
    .turn = TurnAvx512,
    .state = &kStateAvx512,
    .rows = &kRowsAvx512,
};

}  // namespace thimble

#endif
