// A model made ready to run: every tensor resolved to a pointer, every buffer to a place in the arena. Built by ONE
// walk that measures or carves (WalkNetwork); what is needed is written there and nowhere else.
#pragma once

#include "format/model_file.h"
#include "ops/linear/linear.h"
#include "runtime/core/progress.h"
#include "runtime/core/arena.h"
#include "runtime/kv_cache.h"
#include "runtime/options.h"
#include "runtime/rope_table.h"

namespace thimble {

struct NormOp {
  NormKind kind = NormKind::kNone;
  NormScope scope = NormScope::kRow;
  float eps = 0;
  float weight_offset = 0;
  const float* weight = nullptr;
  const float* bias = nullptr;
};

struct AttentionOp {
  AttentionSpec spec;
  Linear q, k, v, o;                       // kernel null where absent
  NormOp q_norm, k_norm, v_norm;
  const float* key_gain = nullptr;
  const float* sinks = nullptr;
  const float* score_bias = nullptr;
  const RopeTable* rope = nullptr;         // null without rotation
  LayerCache cache;                        // own rows, or those of cache_source
  uint32_t window = 0;                     // of this layer, with the options'; 0 = all
  uint32_t sink_tokens = 0;
};

struct FfnOp {
  FfnSpec spec;
  Linear gate, up, down;
};

struct BlockOp {
  BlockForm form = BlockForm::kResidual;
  MixerKind kind = MixerKind::kAttention;
  NormOp norm, post_norm;
  float scale = 1.0f, output_scale = 1.0f;
  AttentionOp attention;                   // of the kind, or unused
  FfnOp ffn;
  RopeTable own_rope;                      // used by this and later blocks with the same rotation

  bool has_rows() const { return kind == MixerKind::kAttention && attention.spec.cache_source == -1; }
};

// Activations. T = chunk_tokens; widths are the largest of any layer. The groups are scratch with disjoint lifetimes.
struct Buffers {
  float* x = nullptr;                      // [T, D] residual stream
  float* h = nullptr;                      // [T, D] normed rows
  float* y = nullptr;                      // [T, D] what a block adds
  int8_t* quantised = nullptr;             // one batch of quantised rows, whatever its width
  RowQuantisation* quantisation = nullptr;

  // attention
  float* q = nullptr;                      // [T, H d]
  float* k = nullptr;                      // [T, G d]
  float* v = nullptr;
  float* heads = nullptr;                  // [T, H d] what the heads give
  void* attention_scratch = nullptr;
  // feed-forward
  float* gate = nullptr;                   // [T, F]
  float* up = nullptr;
  // head
  float* logit_tile = nullptr;             // [logit_tile_rows, outputs] logits of several sequences on their way to them
  size_t logit_tile_rows = 0;
  // loading a packing that is not the kernels': rows on their way, for each worker
  uint8_t* repack = nullptr;
  // image input
  float* patches = nullptr;                // [patches, channels * patch * patch]
  // text
  void* text = nullptr;
  size_t text_bytes = 0;
};

struct Network {
  const ModelFile* file = nullptr;         // its header; its bytes are `bytes`
  const uint8_t* bytes = nullptr;          // of the file: as mapped, or a copy in the arena
  EngineOptions options;
  ModelSpec model;
  BlockOp* blocks = nullptr;
  uint32_t block_count = 0;
  Linear embedding;                        // kernel null for image models
  Linear patch_projection;                 // kernel null for token models
  const float* positions = nullptr;        // [max_positions, D]
  const float* cls = nullptr;
  NormOp input_norm, output_norm;
  Linear head;                             // kernel null: the rows are the output
  Buffers buffers;
  StateLine* state = nullptr;              // what is kept of a sequence, as in slot 0
  uint32_t state_lines = 0;
  uint64_t packed_weight_bytes = 0;        // in the arena, those that were repacked included
  uint64_t repacked_weight_bytes = 0;      // of these: the file has another packing
  uint64_t in_place_weight_bytes = 0;      // linear layers read from the mapping
  // Of one slot:
  uint64_t kv_bytes = 0;
  uint64_t kv_ring_bytes = 0;              // of these: layers with a ring
  uint64_t kv_recent_bytes = 0;            // and int8 rows beside int4 ones
  uint64_t kv_bytes_per_token = 0;
  uint64_t kv_bytes_per_context_token = 0; // layers without a ring
  uint64_t weight_bytes_per_step = 0;      // read by the linear layers for one token, head included
};

// The walk in three parts, one after the other, over the same *network. When carving fills it; weights in the arena are not
// there before LoadWeights(). When measuring the pointers stay null. Sizes are checked by the arena.
class NetworkWalk {
 public:
  NetworkWalk(const ModelFile& file, const EngineOptions& options, Arena& arena, Network* network);
  // Weights, tables, activations that live as long as the engine.
  void Shared();
  // The state of one sequence; `first`: of slot 0, whose places are the network's. Returns its begin.
  uint8_t* SlotState(bool first);
  // Activations with disjoint lifetimes. text_workspace_bytes: what encoding max_text_bytes takes, 0 without tokenizer.
  void Scratch(size_t text_workspace_bytes);

 private:
  // The widest of every kind of row over all layers, so that one set of buffers serves them all.
  struct Widths {
    uint64_t q = 0, k = 0, v = 0, ffn = 0, quantised_input = 0;
    uint64_t attention_scratch_bytes = 0;
    bool gated = false;
  };

  const uint8_t* SegmentBytes(int32_t segment) const;
  const float* Vector(int32_t tensor) const;
  NormOp Norm(const NormSpec& spec) const;
  // Weights where they lie in the file, or a place in the arena that LoadWeights() fills.
  Linear MakeLinear(const LinearSpec& spec, int32_t layer);
  WeightRows Rows(uint32_t tensor) const;
  void TakeRope(const AttentionSpec& a, uint32_t block, BlockOp* op);
  void Attention(const AttentionSpec& spec, uint32_t block, BlockOp* op);
  void FeedForward(const FfnSpec& spec, BlockOp* op);
  uint32_t WidestWindow(const AttentionSpec& own, uint32_t block) const;
  void Measure(const AttentionSpec& a);
  // visit(number, spec), with layer_ set.
  template <typename Visit>
  void ForEachBlock(Visit visit);
  void Blocks();
  void InputAndOutput();
  // store(block, its attention, what it declares) for every block with rows of its own.
  template <typename Store>
  void DeclareState(StateWalk& state, Store store);

  const ModelFile& file_;
  const Header& header_;
  const EngineOptions& options_;
  Arena& arena_;
  Network* network_;
  Widths widths_;
  int32_t layer_ = -1;         // of the block that is walked
  uint64_t repack_bytes_ = 0;  // for one worker
};

// Writes what the walk took for weights: packs, repacks or unpacks. The bytes do not depend on the pool.
// kCancelled where `progress`, which counts blocks and the head, wants no more.
Status LoadWeights(const Network& network, ThreadPool* pool, const Progress& progress = {});

}  // namespace thimble
