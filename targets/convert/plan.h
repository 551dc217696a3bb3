// What a family makes of a configuration and a checkpoint: the description of the model, and for each of its
// tensors where its rows come from. The builder checks every shape, and that no tensor of the checkpoint is
// left over. It must not know any family, and reads no numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "targets/convert/checkpoint.h"
#include "format/writer.h"

namespace thimble {

// Rows of a source tensor, seen through strides: element (r, c) is offset + r * row_stride + c * col_stride.
struct SourceRows {
  size_t tensor = 0;
  uint64_t offset = 0;
  uint64_t rows = 0, cols = 0;
  uint64_t row_stride = 0, col_stride = 1;
};

// Rows that are made, not read: [first, first + count) of a matrix whose rows have `cols` numbers. `reader` gives the numbers of
// the checkpoint as they are needed, so that no whole matrix is held but those that the maker holds itself.
using MakeRows = std::function<void(const Checkpoint& reader, uint64_t first, uint64_t count, float* out)>;

// kExact stays f32: norms, biases, positions, tables of numbers. The others get the weight type asked for.
// kLookup is a table that is read row by row and multiplied by nothing.
enum class TensorRole : uint8_t { kExact, kLinear, kTable, kHead, kLookup };

// The pieces below each other, or numbers that were computed, or rows that are when they are written.
struct Recipe {
  TensorRole role = TensorRole::kExact;
  std::vector<SourceRows> pieces;
  std::vector<float> values;
  MakeRows make = {};
};

struct ModelPlan {
  ModelDescription model;       // all tensors f32; the converter sets the types
  std::vector<Recipe> recipes;  // one per tensor of the model
  // Pairs that must hold the same numbers (a tied head that is stored all the same).
  std::vector<std::pair<size_t, size_t>> duplicates;
};

enum class Bias : uint8_t { kAbsent, kRequired };

// Rows [first, first + n) of a source of `total` rows; total 0 means that the source has exactly n.
struct Split {
  uint64_t first = 0;
  uint64_t total = 0;
};

class PlanBuilder {
 public:
  // Names are looked up without the prefixes, which are cut from each name in the order given ("module.",
  // "model."). Throws when two tensors get the same name by that.
  PlanBuilder(const Checkpoint& checkpoint, std::string file, const std::vector<std::string>& prefixes);
  // Names are looked up as `ours` translates the stored ones; `theirs` is the way back, for messages about tensors that
  // are missing. Both return the empty text for a name that they do not know, which then stays as it is.
  using Translate = std::string (*)(const std::string& name);
  PlanBuilder(const Checkpoint& checkpoint, std::string file, Translate ours, Translate theirs);

  bool Has(const std::string& source) const { return by_name_.contains(source); }
  const std::vector<uint64_t>& Shape(const std::string& source) const;  // throws when it is missing

  // The checkpoint is that of a model without a head: the names of its tensors say nothing in front, and there is no lm_head.
  bool IsBase(const std::string& table) const;

  // Linears are stored [in, out] (Conv1D) instead of [out, in].
  void SetTransposedLinears() { transposed_ = true; }

  // All return the index of a new tensor called `name`. Shapes are as stored in the .thimble file.
  int32_t Matrix(const std::string& name, const std::string& source, uint64_t rows, uint64_t cols,
                 TensorRole role);
  int32_t Vector(const std::string& name, const std::string& source, uint64_t n, Split split = {});
  int32_t Values(const std::string& name, std::vector<float> values, uint64_t rows = 1);
  // A source of another shape with the same numbers in the same order.
  int32_t Reshaped(const std::string& name, const std::string& source,
                   const std::vector<uint64_t>& source_shape, uint64_t rows, uint64_t cols, TensorRole role);
  // source + ".weight", and ".bias" where there is one.
  LinearSpec Linear(const std::string& name, const std::string& source, uint64_t n, uint64_t k, Bias bias,
                    Split split = {});
  // One matrix below the other, each of shape [n, k]; without biases.
  LinearSpec Stack(const std::string& name, const std::vector<std::string>& sources, uint64_t n, uint64_t k);
  // `stack` matrices [n, k] of one tensor, below each other: element (r, c) of matrix e is offset + e * matrix + r * row + c * col.
  struct Strides {
    uint64_t offset = 0, matrix = 0, row = 0, col = 1;
  };
  LinearSpec Strided(const std::string& name, const std::string& source, const std::vector<uint64_t>& source_shape, uint64_t stack,
                     uint64_t n, uint64_t k, const Strides& strides);
  // A matrix of rows of [k] numbers from anywhere.
  LinearSpec Gathered(const std::string& name, uint64_t k, std::vector<SourceRows> pieces);
  // A matrix that is made row by row of tensors that count as used; they are asked for by Tensor().
  int32_t Made(const std::string& name, uint64_t rows, uint64_t cols, MakeRows make);
  size_t Tensor(const std::string& source, const std::vector<uint64_t>& shape) { return Take(source, shape); }
  // Of a tensor [E, total, k] rows [first, first + n) of each of the E matrices, below each other; without biases.
  LinearSpec Slices(const std::string& name, const std::string& source, const std::vector<uint64_t>& source_shape, uint64_t first,
                    uint64_t n, uint64_t k);
  // The same numbers with rows and columns changed over: [cols, 1..., rows] in the source.
  int32_t Transposed(const std::string& name, const std::string& source, const std::vector<uint64_t>& source_shape, uint64_t rows,
                     uint64_t cols);
  NormSpec RmsNorm(const std::string& name, const std::string& source, uint64_t n, double eps);
  NormSpec LayerNorm(const std::string& name, const std::string& source, uint64_t n, double eps, Bias bias);

  // Numbers that the description itself needs, as written in the source: `count` of them from `first` of a tensor with
  // this shape, which counts as used.
  std::vector<float> Numbers(const std::string& source, const std::vector<uint64_t>& shape, uint64_t first,
                             uint64_t count);

  // The tensor may be there and is not needed.
  void Drop(const std::string& source);
  // The tensor, if there, must hold the same numbers as tensor `same`.
  void DropDuplicate(const std::string& source, const std::string& same);
  // spec->output: the table `table` where it is tied, which a stored head must equal; else lm_head.weight [n, k].
  void Head(ModelSpec* spec, bool tied, const std::string& table, uint64_t n, uint64_t k);
  // Drops all that `unwanted` says yes to.
  template <typename Predicate>
  void DropIf(Predicate unwanted) {
    for (const auto& [name, index] : by_name_) {
      if (unwanted(name, checkpoint_.tensors()[index].shape)) used_[index] = true;
    }
  }

  // Ids below this are real where no tokenizer says it. Then the plan is complete: every tensor must have
  // been used.
  ModelPlan Finish(std::string family, ModelSpec spec, std::vector<LayerSpec> layers,
                   std::vector<std::pair<std::string, std::string>> metadata = {});

  [[noreturn]] void Refuse(Code code, const std::string& source, const std::string& text) const;

 private:
  void AddName(const std::string& name, size_t tensor);
  size_t Take(const std::string& source, const std::vector<uint64_t>& shape);
  int32_t AddTensor(const std::string& name, uint64_t rows, uint64_t cols, Recipe recipe);

  const Checkpoint& checkpoint_;
  std::string file_;  // for messages about tensors that are missing
  Translate theirs_ = nullptr;
  std::map<std::string, size_t> by_name_;
  std::vector<bool> used_;
  bool transposed_ = false;
  ModelPlan plan_;
};

}  // namespace thimble
