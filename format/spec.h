// What a .thimble header says, as plain structs: the one description of a model in memory.
//
// The writer takes it, the reader gives it back validated, and the runtime builds its layers from it. Tensors and
// segments are referred to by index; kNoTensor means absent. Shapes: D model width, F feed-forward width, V vocabulary
// rows. What a layer can be made of has a folder each in format/mixers/. This file knows neither FlatBuffers nor kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "format/mixers/mixers.h"
#include "format/pieces.h"
#include "runtime/core/weight_layout.h"
#include "runtime/core/weight_type.h"

namespace thimble {

// How a block joins the residual stream x; f is its mixer.
//   kResidual  x = output_scale * (x + carry * norm(x) + scale * post_norm(f(norm(x)))); either norm may be absent
//   kPostNorm  x = output_scale * post_norm(x + scale * f(norm(x)))
//   kParallel  x = output_scale * (x + carry * h + scale * post_norm(f(h))), h the normed rows of the block before it in its layer
//   kReplace   x = output_scale * scale * post_norm(f(norm(x)))
//   kBranches  these blocks, one behind the other in a layer, all read x: x = output_scale * (x + sum_norm(sum scale * post_norm(f(norm(x))))),
//              sum_norm and output_scale of the last of them
//   kStreams   of a model with several residual streams: the mixer reads and writes all of them itself (mixers/streams/spec.h)
enum class BlockForm : uint8_t { kResidual, kPostNorm, kParallel, kBranches, kStreams, kReplace = 6 };

// A layer is a short list of these.
struct BlockSpec {
  BlockForm form = BlockForm::kResidual;
  NormSpec norm;
  MixerSpec mixer;
  NormSpec post_norm;
  float scale = 1.0f;
  float output_scale = 1.0f;
  NormSpec sum_norm;               // kBranches only
  float carry = 0;                 // kResidual and kParallel only
  int32_t repeats = -1;            // an earlier block of the part whose mixer this is again, the same weights with a state of its own
};

// Blocks [first_block, first_block + blocks) of the file.
struct LayerRange {
  uint32_t first_block = 0;
  uint32_t blocks = 0;
};

enum class InputKind : uint8_t { kTokens, kPatches };

// kTokens: table row of the id, times scale, plus the learned position's row.
// kPatches: image [channels, height, width] cut into patch x patch squares (zero padded right and bottom), each
// projected by `patch_projection` [D, channels * patch * patch], behind a CLS row, plus the learned position's row.
// Rows of `width` numbers, one for each of `count` places in the layers (FfnKind::kLayerRow), made once for each token:
// scale * (norm(projection x) + table_scale * table[id]), where x enters the first layer. Ids behind the table's end read row 0.
struct LayerRowsSpec {
  uint32_t width = 0;              // 0: there are none
  uint32_t count = 0;
  int32_t table = kNoTensor;       // [V', count * width] or absent; looked up where it lies in the file
  float table_scale = 1.0f;
  LinearSpec projection;           // [count * width, D]
  NormSpec norm;                   // of each row
  float scale = 1.0f;
};

struct InputSpec {
  InputKind kind = InputKind::kTokens;
  int32_t table = kNoTensor;       // [V, D]
  float scale = 1.0f;
  int32_t positions = kNoTensor;   // f32 [max_positions, D]
  uint32_t image_height = 0, image_width = 0, image_channels = 0, patch = 0;
  LinearSpec patch_projection;
  int32_t cls = kNoTensor;         // f32 [D]
  NormSpec norm;                   // of the rows that enter the first layer
  LayerRowsSpec layer_rows;        // kTokens only
  // Residual streams (mixers/streams/spec.h). Stream 0 begins as said above, the others as rows of stream_start, or as stream 0.
  uint32_t streams = 1;            // S; kTokens only
  int32_t stream_start = kNoTensor;  // f32 [S - 1, D]
};

// Which rows give logits: every row, or the first (CLS).
enum class OutputRows : uint8_t { kEvery, kFirst };

struct OutputSpec {
  NormSpec norm;
  LinearSpec head;                 // [outputs, D]; the input table when tied; absent: the rows are the output
  bool tied = false;
  float scale = 1.0f;              // factor on the logits
  float softcap = 0;
  OutputRows rows = OutputRows::kEvery;
};

// What a part is for. The main one is the first; an encoder makes rows for it, a draft guesses tokens for it.
enum class PartRole : uint8_t { kMain, kEncoder, kDraft };

// A network of its own. A file has one, or several beside each other; they share tensors and the tokenizer.
struct ModelSpec {
  PartRole role = PartRole::kMain;
  uint32_t width = 0;              // D
  uint32_t first_layer = 0;        // of the file's; 0 in the first part
  uint32_t layers = 0;             // L
  uint32_t first_block = 0;        // of the file's: those of its layers
  uint32_t blocks = 0;
  uint32_t outputs = 0;            // rows of the head: V, or classes; D without a head
  uint32_t vocabulary = 0;         // real ids; table and head may have more rows, which are never sampled
  uint32_t max_positions = 0;      // trained context; a hard limit with learned positions or score_bias
  bool causal = false;             // no row sees a later one
  bool decoder = false;            // reads tokens, causal, logits for every row: prefills and decodes. Else an encoder
  InputSpec input;
  OutputSpec output;
  int32_t tokenizer_segment = -1;  // of the file
};

// A promise about memory that a file carries (`thimble pack --contract`): for an engine with these options, resolved, that runs part 0.
struct MemoryContract {
  std::string_view kernels;        // in the header's bytes
  uint32_t key_cache = 0, value_cache = 0;  // enum thimble_cache_type
  uint32_t threads = 0, context_tokens = 0, chunk_tokens = 0, max_sessions = 0;
  uint32_t window_tokens = 0, sink_tokens = 0, prefix_tokens = 0;
  uint32_t page_bytes = 0;
  uint64_t anonymous_bytes = 0, file_backed_bytes = 0;
};

// Stored rows of `type`, shape [rows, cols]; vectors are [1, n] in f32. Quantised tensors in portable rows have a scale
// segment; a packed tensor holds scales and the bias of its linear layer inside its data segment.
// What a file with turned tensors requires of its reader.
inline constexpr const char kTurnedWeights[] = "turned_weights";

struct TensorSpec {
  WeightType type = WeightType::kF32;
  uint32_t rows = 0;
  uint32_t cols = 0;
  uint32_t block = 0;              // types with blocks: elements per scale
  uint32_t turn = 0;               // not 0: rows are turned, blocks of so many columns (ops/linear/turn.h)
  bool fine_inputs = false;        // of turned rows of block types: their layer's inputs are two int8 planes (ops/linear/linear.h)
  int32_t data_segment = -1;
  int32_t scale_segment = -1;
  WeightLayout packing{};
  uint64_t packed_bytes = 0;       // for the writer: size of the data segment of a packed tensor
};

// Bytes [offset, offset + bytes) of the file; offset is a multiple of 64. checksum is XXH64 with seed 0.
struct SegmentSpec {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t checksum = 0;
};

}  // namespace thimble
