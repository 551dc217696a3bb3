#include "targets/convert/plan.h"

#include <cmath>

#include "targets/convert/import_error.h"

namespace thimble {

PlanBuilder::PlanBuilder(const Checkpoint& checkpoint, std::string file,
                         const std::vector<std::string>& prefixes)
    : checkpoint_(checkpoint), file_(std::move(file)), used_(checkpoint.tensors().size(), false) {
  for (size_t i = 0; i < checkpoint.tensors().size(); ++i) {
    if (checkpoint.IsAside(i)) continue;
    std::string name = checkpoint.tensors()[i].name;
    for (const std::string& prefix : prefixes) {
      if (name.starts_with(prefix)) name.erase(0, prefix.size());
    }
    AddName(name, i);
  }
}

PlanBuilder::PlanBuilder(const Checkpoint& checkpoint, std::string file, Translate ours, Translate theirs)
    : checkpoint_(checkpoint), file_(std::move(file)), theirs_(theirs), used_(checkpoint.tensors().size(), false) {
  for (size_t i = 0; i < checkpoint.tensors().size(); ++i) {
    const std::string& stored = checkpoint.tensors()[i].name;
    const std::string name = ours(stored);
    AddName(name.empty() ? stored : name, i);
  }
}

void PlanBuilder::AddName(const std::string& name, size_t tensor) {
  const auto [it, inserted] = by_name_.emplace(name, tensor);
  if (inserted) return;
  throw ImportError(Code::kInvalidModel,
                    "tensors '" + checkpoint_.tensors()[it->second].name + "' and '" +
                        checkpoint_.tensors()[tensor].name + "' are the same without their prefixes",
                    checkpoint_.FileOf(tensor));
}

void PlanBuilder::Refuse(Code code, const std::string& source, const std::string& text) const {
  const auto it = by_name_.find(source);
  const bool there = it != by_name_.end();
  std::string name = checkpoint_.NameInFile(there ? checkpoint_.tensors()[it->second].name : source);
  if (const std::string stored = !there && theirs_ != nullptr ? theirs_(source) : ""; !stored.empty()) name = stored;
  throw ImportError(code, "tensor '" + name + "': " + text,
                    there ? checkpoint_.FileOf(it->second) : file_);
}

const std::vector<uint64_t>& PlanBuilder::Shape(const std::string& source) const {
  const auto it = by_name_.find(source);
  if (it == by_name_.end()) Refuse(Code::kInvalidModel, source, "is missing");
  return checkpoint_.tensors()[it->second].shape;
}

bool PlanBuilder::IsBase(const std::string& table) const {
  const auto it = by_name_.find(table);
  return it != by_name_.end() && checkpoint_.tensors()[it->second].name == table && !Has("lm_head.weight");
}

size_t PlanBuilder::Take(const std::string& source, const std::vector<uint64_t>& shape) {
  if (!by_name_.contains(source)) {
    if (const std::optional<size_t> invented = checkpoint_.Invent(source, shape)) {
      by_name_.emplace(source, *invented);
      used_.resize(*invented + 1, false);
    }
  }
  const std::vector<uint64_t>& found = Shape(source);
  if (found != shape) {
    Refuse(Code::kInvalidModel, source, "shape " + ShapeText(found) + ", expected " + ShapeText(shape));
  }
  const size_t index = by_name_.at(source);
  used_[index] = true;
  return index;
}

int32_t PlanBuilder::AddTensor(const std::string& name, uint64_t rows, uint64_t cols, Recipe recipe) {
  if (rows > UINT32_MAX || cols > UINT32_MAX) {
    throw ImportError(Code::kUnsupported,
                      "tensor '" + name + "' would have shape " + ShapeText({rows, cols}) +
                          ", larger than a .thimble file holds",
                      file_);
  }
  NamedTensor tensor;
  tensor.name = name;
  tensor.spec.rows = static_cast<uint32_t>(rows);
  tensor.spec.cols = static_cast<uint32_t>(cols);
  plan_.model.tensors.push_back(std::move(tensor));
  plan_.recipes.push_back(std::move(recipe));
  return static_cast<int32_t>(plan_.recipes.size() - 1);
}

int32_t PlanBuilder::Matrix(const std::string& name, const std::string& source, uint64_t rows, uint64_t cols,
                            TensorRole role) {
  const size_t tensor = Take(source, {rows, cols});
  return AddTensor(name, rows, cols, {role, {{tensor, 0, rows, cols, cols, 1}}, {}});
}

int32_t PlanBuilder::Vector(const std::string& name, const std::string& source, uint64_t n, Split split) {
  const size_t tensor = Take(source, {split.total > 0 ? split.total : n});
  return AddTensor(name, 1, n, {TensorRole::kExact, {{tensor, split.first, 1, n, n, 1}}, {}});
}

int32_t PlanBuilder::Values(const std::string& name, std::vector<float> values, uint64_t rows) {
  const uint64_t cols = values.size() / rows;
  return AddTensor(name, rows, cols, {TensorRole::kExact, {}, std::move(values)});
}

int32_t PlanBuilder::Reshaped(const std::string& name, const std::string& source,
                              const std::vector<uint64_t>& source_shape, uint64_t rows, uint64_t cols,
                              TensorRole role) {
  const size_t tensor = Take(source, source_shape);
  return AddTensor(name, rows, cols, {role, {{tensor, 0, rows, cols, cols, 1}}, {}});
}

LinearSpec PlanBuilder::Linear(const std::string& name, const std::string& source, uint64_t n, uint64_t k,
                               Bias bias, Split split) {
  const uint64_t total = split.total > 0 ? split.total : n;
  SourceRows rows;
  if (transposed_) {
    rows = {Take(source + ".weight", {k, total}), split.first, n, k, 1, total};
  } else {
    rows = {Take(source + ".weight", {total, k}), split.first * k, n, k, k, 1};
  }
  LinearSpec linear;
  linear.weight = AddTensor(name + ".weight", n, k, {TensorRole::kLinear, {rows}, {}});
  if (bias == Bias::kRequired) linear.bias = Vector(name + ".bias", source + ".bias", n, split);
  return linear;
}

LinearSpec PlanBuilder::Stack(const std::string& name, const std::vector<std::string>& sources, uint64_t n, uint64_t k) {
  Recipe recipe{TensorRole::kLinear, {}, {}};
  for (const std::string& source : sources) recipe.pieces.push_back({Take(source + ".weight", {n, k}), 0, n, k, k, 1});
  LinearSpec linear;
  linear.stack = static_cast<uint32_t>(sources.size());
  linear.weight = AddTensor(name + ".weight", n * sources.size(), k, std::move(recipe));
  return linear;
}

LinearSpec PlanBuilder::Slices(const std::string& name, const std::string& source, const std::vector<uint64_t>& source_shape,
                               uint64_t first, uint64_t n, uint64_t k) {
  return Strided(name, source, source_shape, source_shape[0], n, k, {first * k, source_shape[1] * k, k, 1});
}

LinearSpec PlanBuilder::Strided(const std::string& name, const std::string& source, const std::vector<uint64_t>& source_shape,
                                uint64_t stack, uint64_t n, uint64_t k, const Strides& strides) {
  const size_t tensor = Take(source, source_shape);
  Recipe recipe{TensorRole::kLinear, {}, {}};
  for (uint64_t e = 0; e < stack; ++e) {
    recipe.pieces.push_back({tensor, strides.offset + e * strides.matrix, n, k, strides.row, strides.col});
  }
  LinearSpec linear;
  linear.stack = static_cast<uint32_t>(stack);
  linear.weight = AddTensor(name + ".weight", n * stack, k, std::move(recipe));
  return linear;
}

LinearSpec PlanBuilder::Gathered(const std::string& name, uint64_t k, std::vector<SourceRows> pieces) {
  uint64_t rows = 0;
  for (const SourceRows& piece : pieces) rows += piece.rows;
  LinearSpec linear;
  linear.weight = AddTensor(name + ".weight", rows, k, {TensorRole::kLinear, std::move(pieces), {}});
  return linear;
}

int32_t PlanBuilder::Made(const std::string& name, uint64_t rows, uint64_t cols, MakeRows make) {
  Recipe recipe{TensorRole::kLinear, {}, {}};
  recipe.make = std::move(make);
  return AddTensor(name, rows, cols, std::move(recipe));
}

int32_t PlanBuilder::Transposed(const std::string& name, const std::string& source, const std::vector<uint64_t>& source_shape,
                                uint64_t rows, uint64_t cols) {
  const size_t tensor = Take(source, source_shape);
  return AddTensor(name, rows, cols, {TensorRole::kExact, {{tensor, 0, rows, cols, 1, rows}}, {}});
}

NormSpec PlanBuilder::RmsNorm(const std::string& name, const std::string& source, uint64_t n, double eps) {
  NormSpec norm;
  norm.kind = NormKind::kRmsNorm;
  norm.eps = static_cast<float>(eps);
  norm.weight = Vector(name + ".weight", source + ".weight", n);
  return norm;
}

NormSpec PlanBuilder::LayerNorm(const std::string& name, const std::string& source, uint64_t n, double eps,
                                Bias bias) {
  NormSpec norm;
  norm.kind = NormKind::kLayerNorm;
  norm.eps = static_cast<float>(eps);
  norm.weight = Vector(name + ".weight", source + ".weight", n);
  if (bias == Bias::kRequired) norm.bias = Vector(name + ".bias", source + ".bias", n);
  return norm;
}

std::vector<float> PlanBuilder::Numbers(const std::string& source, const std::vector<uint64_t>& shape, uint64_t first,
                                        uint64_t count) {
  const size_t tensor = Take(source, shape);
  std::vector<float> numbers(count);
  checkpoint_.ReadFloats(tensor, first, count, numbers.data());
  for (uint64_t i = 0; i < count; ++i) {
    if (!std::isfinite(numbers[i]))
      Refuse(Code::kInvalidModel, source, "element " + std::to_string(first + i) + " is not finite");
  }
  return numbers;
}

void PlanBuilder::Drop(const std::string& source) {
  const auto it = by_name_.find(source);
  if (it != by_name_.end()) used_[it->second] = true;
}

void PlanBuilder::Head(ModelSpec* spec, bool tied, const std::string& table, uint64_t n, uint64_t k) {
  spec->output.tied = tied;
  if (tied) return DropDuplicate("lm_head.weight", table);
  spec->output.head.weight = Matrix("output.head.weight", "lm_head.weight", n, k, TensorRole::kHead);
}

void PlanBuilder::DropDuplicate(const std::string& source, const std::string& same) {
  const auto it = by_name_.find(source);
  if (it == by_name_.end()) return;
  const size_t other = by_name_.at(same);
  Take(source, checkpoint_.tensors()[other].shape);
  plan_.duplicates.emplace_back(it->second, other);
}

ModelPlan PlanBuilder::Finish(std::string family, ModelSpec spec, std::vector<LayerSpec> layers,
                              std::vector<std::pair<std::string, std::string>> metadata) {
  for (const auto& [name, index] : by_name_) {
    if (used_[index]) continue;
    Refuse(Code::kUnsupported, name,
           "shape " + ShapeText(checkpoint_.tensors()[index].shape) + " has no place in a " + family +
               " model of this configuration; leaving it out could change the mathematics");
  }
  plan_.model.family = std::move(family);
  plan_.model.spec = spec;
  plan_.model.layers = std::move(layers);
  plan_.model.metadata = std::move(metadata);
  return std::move(plan_);
}

}  // namespace thimble
