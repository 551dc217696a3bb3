// A model made ready to run: every tensor resolved to a pointer, every buffer to a place in the arena. Built by ONE
// walk that measures or carves (network_walk.h); what is needed is written there and nowhere else.
#pragma once

#include "format/model_file.h"
#include "ops/linear/linear.h"
#include "runtime/core/progress.h"
#include "runtime/mixers/mixers.h"
#include "runtime/norm_op.h"
#include "runtime/options.h"

namespace thimble {

// Of the mapped file: what is read of it one after another. Empty where there is no such stretch.
struct FileStretch {
  const uint8_t* begin = nullptr;
  size_t bytes = 0;
};

struct BlockOp {
  BlockForm form = BlockForm::kResidual;
  NormOp norm, post_norm;
  NormOp sum_norm;
  bool begins_sum = false;                 // of kBranches: the first
  bool repeats = false;                    // an earlier block loads the weights
  float scale = 1.0f, output_scale = 1.0f, carry = 0;
  FileStretch weights;
  MixerOp mixer;
};

// Activations. T = chunk_tokens; widths are the largest of any layer. The groups are scratch with disjoint lifetimes.
struct Buffers {
  float* x = nullptr;                      // [S, T, D] residual streams; where not said otherwise the first
  float* h = nullptr;                      // [T, D] normed rows, where a block or the output has a norm in front
  float* y = nullptr;                      // [T, D] what a block adds
  float* sum = nullptr;                    // [T, D] what several add together
  float* layer_rows = nullptr;             // [T, count * width] of the input
  float* layer_row = nullptr;              // [count * width] one of the table
  int8_t* quantised = nullptr;             // one batch of quantised rows, whatever its width
  RowQuantisation* quantisation = nullptr;
  float* turned = nullptr;                 // a row for each worker, where weights are turned

  MixerBuffers mixers;
  // head
  float* logit_tile = nullptr;             // [logit_tile_rows, outputs] logits of several sequences on their way to them
  size_t logit_tile_rows = 0;
  // loading a packing that is not the kernels': rows on their way, for each worker
  uint8_t* repack = nullptr;
  // image input
  float* patches = nullptr;                // [patches, channels * patch * patch]
  // text: encoding one of max_text_bytes; a conversation of that many bytes, and its ids
  void* text = nullptr;
  size_t text_bytes = 0;
  uint8_t* chat_values = nullptr;          // [chat_values_bytes], for rendering it
  size_t chat_values_bytes = 0;
  char* chat_text = nullptr;               // [max_text_bytes]
  uint8_t* chat_data = nullptr;            // [max_text_bytes]
  int32_t* chat_ids = nullptr;             // [context_tokens]
};

struct Network {
  const ModelFile* file = nullptr;         // its header; its bytes are `bytes`
  const uint8_t* bytes = nullptr;          // of the file: as mapped, or a copy in the arena
  EngineOptions options;
  ModelSpec model;
  BlockOp* blocks = nullptr;
  uint32_t block_count = 0;
  const float* stream_start = nullptr;     // [S - 1, D]
  size_t stream_floats() const { return size_t{options.chunk_tokens} * model.width; }  // from one residual stream to the next
  Linear embedding;                        // kernel null for image models
  Linear patch_projection;                 // kernel null for token models
  const float* positions = nullptr;        // [max_positions, D]
  const float* cls = nullptr;
  NormOp input_norm, output_norm;
  Linear layer_table, layer_projection;    // of the input's layer rows; kernel null where absent
  NormOp layer_norm;
  Linear head;                             // kernel null: the rows are the output
  FileStretch head_weights;
  bool reads_ahead = false;                // the file is larger than memory: a pass asks for the next block's weights in time
  Buffers buffers;
  StateLine* state = nullptr;              // what is kept of a sequence, as in slot 0
  uint32_t state_lines = 0;
  unsigned cache_stages = 1;               // how often the state is there: as planned, and for rows of fewer bits
  const StateLine* Lines(unsigned stage) const { return state + size_t{stage} * state_lines; }
  // But for newest rows of those that have as many bits themselves, as yet.
  bool InUse(const StateLine& line, unsigned stage) const {
    return line.newest_of == -1 || Lines(stage)[line.newest_of].rows.type == CacheType::kQ4;
  }
  uint64_t packed_layout_id = 0;           // of how they are packed, all in order
  bool packed_are_there = false;           // in a file that holds them already
  uint64_t packed_weight_bytes = 0;        // in the arena or options.pack_cache, those that were repacked included
  uint64_t repacked_weight_bytes = 0;      // of these: the file has another packing
  uint64_t in_place_weight_bytes = 0;      // linear layers read from the mapping
  // Of one slot:
  uint64_t kv_bytes = 0;
  uint64_t kv_ring_bytes = 0;              // of these: layers with a ring
  uint64_t kv_recent_bytes = 0;            // and int8 rows beside int4 ones
  uint64_t kv_bytes_per_token = 0;
  uint64_t kv_bytes_per_context_token = 0; // layers without a ring
  bool fixed_state = false;                // some lines are fixed blocks
  uint64_t prefix_kv_bytes = 0;            // of the prefix that all slots share
  uint64_t weight_bytes_per_step = 0;      // read by the linear layers for one token, head included
};

// Writes what the walk took for weights: packs, repacks or unpacks. The bytes do not depend on the pool.
// kCancelled where `progress`, which counts blocks and the head, wants no more.
Status LoadWeights(const Network& network, ThreadPool* pool, const Progress& progress = {});

}  // namespace thimble
