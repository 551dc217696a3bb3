// A checkpoint: named tensors with shapes whose numbers can be read as floats, piece by piece. Safetensors,
// llama2.c files and whatever comes later look the same from here. It must not know what the names mean.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace thimble {

struct SourceTensor {
  std::string name;
  std::string dtype;            // as the file calls it: "F32", "BF16", ...
  std::vector<uint64_t> shape;  // [] for a scalar
  uint64_t elements = 0;        // product of the shape, checked against the file's bytes
};

// Of one checkpoint, all files together: the largest mixtures of experts have a hundred thousand.
inline constexpr size_t kMaxSourceTensors = 1u << 18;

// "[3, 4]"
std::string ShapeText(const std::vector<uint64_t>& shape);

struct GgufBlockType;

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  const std::vector<SourceTensor>& tensors() const { return tensors_; }
  // Of another part of the model, which is not brought in: nobody looks for it, and nobody misses it.
  bool IsAside(size_t tensor) const { return aside_.contains(tensor); }
  void SetAside(size_t tensor) { aside_.insert(tensor); }
  std::optional<size_t> Find(const std::string& name) const;
  // A tensor that the checkpoint makes up because it is asked for (shapes_only.h); nothing from files, which have what they have.
  virtual std::optional<size_t> Invent(const std::string&, const std::vector<uint64_t>&) const { return std::nullopt; }

  // Of all files together.
  virtual uint64_t bytes() const = 0;
  // The file that holds a tensor, for messages.
  virtual const std::string& FileOf(size_t tensor) const = 0;
  // What the file calls a tensor of this name, whether it has one or not; for messages.
  virtual std::string NameInFile(const std::string& name) const { return name; }
  // Elements [first, first + count) in row-major order. Throws ImportError for a range outside the tensor, a
  // type that is not a plain float (F32, F16, BF16, F64), or a failing read. Does not look at the values.
  virtual void ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const = 0;

  // The same range of a tensor of bytes (U8), for families that know what these mean. Throws for every other type.
  virtual void ReadBytes(size_t tensor, uint64_t first, uint64_t count, uint8_t* out) const;

  // Rows of -1, 0 and 1 times one number, whose layer rounds its inputs as BitNet's do: they become WeightType::kTernary.
  virtual bool IsTernary(size_t) const { return false; }

  // The quantised type that a tensor is stored in; null for plain numbers.
  virtual const GgufBlockType* BlocksOf(size_t) const { return nullptr; }
  // Of such a tensor the blocks that hold elements [first, first + count), which are whole blocks. Throws as ReadFloats() does.
  virtual void ReadBlocks(size_t tensor, uint64_t first, uint64_t count, uint8_t* out) const;

 protected:
  // Throws for a name that is there already, and above kMaxSourceTensors.
  size_t Add(SourceTensor tensor, const std::string& file) const;

 private:
  mutable std::vector<SourceTensor> tensors_;  // for Invent()
  mutable std::map<std::string, size_t> by_name_;
  std::set<size_t> aside_;
};

}  // namespace thimble
