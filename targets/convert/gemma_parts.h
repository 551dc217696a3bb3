// What Gemma 3n, Gemma 4 and EmbeddingGemma 2 have in common: rows that the input makes for the layers, and last layers that read what
// earlier ones of their kind stored.
#pragma once

#include <string>
#include <vector>

#include "targets/convert/gated_decoder.h"

namespace thimble {

NormSpec UnweightedNorm(double eps, NormScope scope);

// `prefix`: in front of the projection's and its norm's names. table_rows 0: there is no table.
LayerRowsSpec ReadLayerRows(PlanBuilder& builder, const std::string& prefix, const DecoderShape& shape, uint32_t width, uint32_t table_rows);

// down(act(gate x) * r), r the token's row for layer i. `source`: in front of the names. `scale`: not "", the name of what x is multiplied
// by first, which lies in the gate here.
BlockSpec ReadRowBlock(PlanBuilder& builder, uint32_t i, const std::string& source, const GatedLayer& layer, uint32_t width,
                       const std::string& scale = {});

// Reads num_kv_shared_layers: for each layer the earlier one whose keys and values it reads, or -1.
std::vector<int32_t> RowSources(Config& config, const std::vector<bool>& sliding, uint32_t usual = 0);
// Tensors of keys and values that such layers may have all the same.
void DropOwnRows(PlanBuilder& builder, const std::string& attention);

}  // namespace thimble
