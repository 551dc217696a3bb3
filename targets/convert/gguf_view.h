// A checkpoint whose tensors are those of another one, under other names and shapes, in another order of rows, in parts or put
// together. Numbers that are only moved stay what they are, quantised blocks too. It must not know what any name means.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "targets/convert/checkpoint.h"

namespace thimble {

class ViewCheckpoint final : public Checkpoint {
 public:
  // Elements [first, first + count) of a stored tensor.
  struct Run {
    size_t tensor = 0;
    uint64_t first = 0, count = 0;
  };
  // What becomes of each number: x - 1, or ln(-x).
  enum class Change : uint8_t { kNone, kMinusOne, kLogOfNegative };
  // What the stored checkpoint calls a tensor of this name, for messages about one that is missing.
  using StoredNames = std::function<std::string(const std::string& name)>;

  ViewCheckpoint(std::unique_ptr<Checkpoint> stored, StoredNames names) : stored_(std::move(stored)), names_(std::move(names)) {}

  // The runs behind each other are the elements in row-major order, `shape` of them. Throws for a name that is there already.
  void AddView(const std::string& name, const std::vector<uint64_t>& shape, std::vector<Run> runs, Change change = Change::kNone);

  const Checkpoint& stored() const { return *stored_; }
  uint64_t bytes() const override { return stored_->bytes(); }
  const std::string& FileOf(size_t tensor) const override { return stored_->FileOf(views_[tensor].runs[0].tensor); }
  std::string NameInFile(const std::string& name) const override;
  void ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const override;
  const GgufBlockType* BlocksOf(size_t tensor) const override { return views_[tensor].blocks; }
  bool IsTernary(size_t tensor) const override { return views_[tensor].ternary; }
  void ReadBlocks(size_t tensor, uint64_t first, uint64_t count, uint8_t* out) const override;

 private:
  struct View {
    std::vector<Run> runs;
    std::vector<uint64_t> ends;  // of the runs, in elements of the view
    Change change;
    const GgufBlockType* blocks;  // of all runs, where they have one type and are only moved
    bool ternary;                 // all runs are, and are only moved
  };
  // read(run, first element in the stored tensor, count) for each part of [first, first + count).
  template <typename Read>
  void EachPart(size_t tensor, uint64_t first, uint64_t count, Read read) const;

  std::unique_ptr<Checkpoint> stored_;
  StoredNames names_;
  std::vector<View> views_;
};

}  // namespace thimble
