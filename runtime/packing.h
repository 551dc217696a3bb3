// Packed tensors of a file: against the layouts that are known (ops/linear/packing/layouts.h), and against the kernels of
// this CPU. Knows no arenas.
#pragma once

#include "format/model_file.h"
#include "ops/tables/kernel_table.h"
#include "ops/linear/packing/layouts.h"

namespace thimble {

// How a tensor lies in the file; null: portable rows. Of a tensor that CheckPackedTensors() has passed.
const PackedLayout* StoredLayout(const TensorSpec& tensor);

// Every packed tensor has a known layout and exactly the bytes that the layout takes for its shape, with the slack
// that kernels may read behind it. Called once when a model is opened; afterwards packed segments are used as they are.
Status CheckPackedTensors(const Header& header);

// Reads every packed tensor: its numbers are finite, its sums and padding are what its weights give, its biases are
// those of the model. Takes memory for a few rows.
Status VerifyPackedTensors(const ModelFile& file, const Progress& progress = {});

// The table for a file when nobody named one. The rule: the best table that the CPU runs, unless the file is packed
// for another one that the CPU runs, too, and that is not much slower. Much slower is a table without int8 dot
// products where the CPU has them (avx2 under avxvnni, neon under neondot): several times in prefill.
const KernelTable* ChooseKernelTable(const Header& header, const CpuFeatures& cpu);

// For people: "portable", the name of a table whose layouts the file has (`preferred` first), or "mixed".
const char* FilePackingName(const Header& header, const char* preferred);

}  // namespace thimble
