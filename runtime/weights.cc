#include "runtime/weights.h"

#include "runtime/core/checked.h"
#include "runtime/packing.h"

namespace thimble {

uint64_t ScaleOffset(const WeightRows& rows) {
  uint64_t data = 0;
  (void)WeightDataBytes(rows.type, rows.n, rows.k, rows.block, &data);
  return RoundUp(data, kArenaAlignment);
}

uint64_t LinearBytes(const PackedLayout* layout, const WeightRows& rows) {
  if (layout != nullptr) return PackedBytes(*layout, rows.n, rows.k, rows.block);
  uint64_t data = 0, scales = 0;
  (void)WeightDataBytes(rows.type, rows.n, rows.k, rows.block, &data);
  (void)WeightScaleBytes(rows.type, rows.n, rows.k, rows.block, &scales);
  return scales == 0 ? data : ScaleOffset(rows) + scales;
}

// `index` counts stacks of linear.rows.n rows in the tensor.
void WeightLoader::LoadOne(uint32_t tensor, uint32_t index, const Linear& linear) const {
  const ModelFile& file = *network.file;
  const PackedLayout* stored = StoredLayout(file.header().tensor(tensor));
  const PackedLayout* wanted = linear.kernel->layout;
  // The walk took these places for us to write.
  void* packed = const_cast<void*>(linear.packed);
  WeightRows rows = linear.rows;
  const uint8_t* data = static_cast<const uint8_t*>(file.TensorData(tensor));
  const uint8_t* scales = static_cast<const uint8_t*>(file.TensorScales(tensor));
  uint64_t data_bytes = 0, scale_bytes = 0;
  (void)WeightDataBytes(rows.type, rows.n, rows.k, rows.block, &data_bytes);
  (void)WeightScaleBytes(rows.type, rows.n, rows.k, rows.block, &scale_bytes);
  if (stored != nullptr) data_bytes = PackedBytes(*stored, rows.n, rows.k, rows.block);
  rows.data = data + index * data_bytes;
  rows.scales = scales == nullptr ? nullptr : scales + index * scale_bytes;
  if (stored == nullptr) return PackRows(*wanted, rows, linear.bias, packed, pool);
  if (wanted != nullptr) {
    return RepackRows(*stored, rows.data, *wanted, rows, linear.bias, packed, network.buffers.repack, pool);
  }
  const UnpackedRows out = {const_cast<void*>(linear.rows.data), const_cast<void*>(linear.rows.scales), nullptr};
  UnpackRows(*stored, rows, rows.data, 0, rows.n, out, pool);
}

void WeightLoader::Load(const LinearSpec& spec, const Linear& linear) const {
  if (linear.kernel == nullptr) return;
  const uint32_t tensor = static_cast<uint32_t>(spec.weight);
  if (StoredLayout(network.file->header().tensor(tensor)) != linear.kernel->layout) LoadOne(tensor, 0, linear);
}

void WeightLoader::Load(const LinearSpec& spec, const LinearStack& stack) const {
  if (stack.first.kernel == nullptr) return;
  const uint32_t tensor = static_cast<uint32_t>(spec.weight);
  if (StoredLayout(network.file->header().tensor(tensor)) == stack.first.kernel->layout) return;
  for (uint32_t i = 0; i < stack.count; ++i) LoadOne(tensor, i, stack.At(i));
}

}  // namespace thimble
