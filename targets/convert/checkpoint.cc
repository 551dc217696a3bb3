#include "targets/convert/checkpoint.h"

#include "targets/convert/import_error.h"

namespace thimble {

std::string ShapeText(const std::vector<uint64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::optional<size_t> Checkpoint::Find(const std::string& name) const {
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return std::nullopt;
  return it->second;
}

void Checkpoint::ReadBytes(size_t tensor, uint64_t, uint64_t, uint8_t*) const {
  throw ImportError(Code::kUnsupported, "tensor '" + tensors()[tensor].name + "': holds no bytes", FileOf(tensor));
}

void Checkpoint::ReadBlocks(size_t tensor, uint64_t, uint64_t, uint8_t*) const {
  throw ImportError(Code::kUnsupported, "tensor '" + tensors()[tensor].name + "': has no blocks", FileOf(tensor));
}

size_t Checkpoint::Add(SourceTensor tensor, const std::string& file) const {
  const size_t index = tensors_.size();
  if (index == kMaxSourceTensors) {
    throw ImportError(Code::kInvalidModel,
                      "tensor '" + tensor.name + "' is one more than the " + std::to_string(kMaxSourceTensors) +
                          " that are allowed",
                      file);
  }
  const auto [it, inserted] = by_name_.emplace(tensor.name, index);
  if (!inserted) {
    throw ImportError(Code::kInvalidModel,
                      "tensor '" + tensor.name + "' is there twice (also in " + FileOf(it->second) + ")",
                      file);
  }
  tensors_.push_back(std::move(tensor));
  return index;
}

}  // namespace thimble
