// THE walk: takes what a model needs of the arena, block by block. What one kind of mixer takes is in its folder.
#pragma once

#include <variant>

#include "format/checksum.h"
#include "runtime/core/arena.h"
#include "runtime/network.h"

namespace thimble {

constexpr uint64_t Max(uint64_t a, uint64_t b) { return a > b ? a : b; }

// In three parts, one after the other, over the same *network. When carving fills it; weights in the arena are not there before
// LoadWeights(). When measuring the pointers stay null. Sizes are checked by the arena.
class NetworkWalk {
 public:
  // `packed`: where packed weights go; the arena itself, or a file's (options.pack_cache).
  NetworkWalk(const ModelFile& file, const EngineOptions& options, Arena& arena, Arena& packed, Network* network);
  // Weights, tables, activations that live as long as the engine.
  void Shared();
  // The state of one sequence; `first`: of slot 0, whose places are the network's. Returns its begin.
  uint8_t* SlotState(bool first);
  // The state of the prefix that all sequences have in common, after the slots.
  void PrefixState();
  // Activations with disjoint lifetimes. text_workspace_bytes: what encoding max_text_bytes takes, 0 without tokenizer.
  void Scratch(size_t text_workspace_bytes);

  // For mixers, while their block is walked.
  const Header& header() const { return header_; }
  const ModelSpec& part() const { return network_->model; }
  const EngineOptions& options() const { return options_; }
  Arena& arena() { return arena_; }
  MixerNeeds& needs() { return needs_; }
  uint32_t block() const { return block_; }   // its number in the file
  int32_t layer() const { return layer_; }    // for people
  const float* Vector(int32_t tensor) const;  // null for kNoTensor
  NormOp Norm(const NormSpec& spec) const;
  // Weights where they lie in the file, or a place in the arena that LoadWeights() fills.
  Linear MakeLinear(const LinearSpec& spec) { return MakeStack(spec, 1).first; }
  // spec.stack of them, of which a token reads `used`.
  LinearStack MakeStack(const LinearSpec& spec, uint32_t used);
  // The op of an earlier block; null when measuring.
  template <typename Op>
  const Op* Earlier(uint32_t block) const {
    if (network_->blocks == nullptr) return nullptr;
    return std::get_if<Op>(&network_->blocks[block - part().first_block].mixer);
  }

 private:
  const uint8_t* SegmentBytes(int32_t segment) const;
  WeightRows Rows(uint32_t tensor) const;
  // visit(number in the part, spec), with block_ and layer_ set.
  template <typename Visit>
  void ForEachBlock(Visit visit);
  void Blocks();
  void InputAndOutput();
  StateShape Shape() const { return {options_.context_tokens, options_.chunk_tokens, options_.prefix_tokens, options_.min_cache != CacheType::kF16}; }
  void DeclareState(StateWalk& state, bool store);
  // The lines of slot 0 for rows of fewer bits, where they lie as planned.
  void LoweredLines();

  const ModelFile& file_;
  const Header& header_;
  const EngineOptions& options_;
  Arena& arena_;
  Arena& packed_;
  // Weights that are used where they lie, while a block is walked: from the first byte to the last, and bytes of them.
  struct Stretch {
    const uint8_t *begin = nullptr, *end = nullptr;
    uint64_t bytes = 0;
    void Add(const void* weights, uint64_t count) {
      const uint8_t* first = static_cast<const uint8_t*>(weights);
      if (first == nullptr || count == 0) return;
      if (begin == nullptr || first < begin) begin = first;
      if (end == nullptr || first + count > end) end = first + count;
      bytes += count;
    }
    // None where other things lie in between, such as other layers.
    FileStretch Take() {
      const size_t all = static_cast<size_t>(end - begin);
      const FileStretch stretch = all > 2 * bytes ? FileStretch() : FileStretch{begin, all};
      *this = {};
      return stretch;
    }
  };

  Stretch stretch_;
  Checksum layouts_;              // of all packed weights, in order
  Network* network_;
  MixerNeeds needs_;
  uint64_t quantised_row_ = 0;    // bytes of the widest row that is quantised
  uint64_t turned_input_ = 0;     // numbers of the widest that is turned before
  uint64_t repack_bytes_ = 0;     // for one worker
  bool normed_ = false;           // some rows are normed beside the residual stream
  bool sums_ = false;             // some blocks are summed before they are added
  bool repeating_ = false;        // the block has the weights of an earlier one
  uint32_t block_ = 0;
  int32_t layer_ = -1;
};

}  // namespace thimble
