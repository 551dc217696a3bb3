// Weights that the kernels do not read where the file has them, written to the places that the walk took for them.
#pragma once

#include "runtime/linear_stack.h"
#include "runtime/network.h"

namespace thimble {

// Bytes of one linear layer's weights as a kernel with this layout reads them; null: portable rows, scales behind them.
uint64_t LinearBytes(const PackedLayout* layout, const WeightRows& rows);
// Where in them the scales of portable rows begin.
uint64_t ScaleOffset(const WeightRows& rows);

struct WeightLoader {
  const Network& network;
  ThreadPool* pool;

  // Does nothing for what is absent or used in place.
  void Load(const LinearSpec& spec, const Linear& linear) const;
  void Load(const LinearSpec& spec, const LinearStack& stack) const;

 private:
  void LoadOne(uint32_t tensor, uint32_t index, const Linear& linear) const;
};

}  // namespace thimble
