// A restricted reader of Python's pickles, as torch.save writes them: tensors, dictionaries, lists, tuples,
// numbers, texts, None, True and False, and nothing else. It runs nothing: a pickle that names any other class
// or function is refused by that name. Values live in one flat list and refer to each other by number, so that
// neither cycles nor depth can hurt. It must not know files or models.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "targets/json/json.h"

namespace thimble {

// A view of a storage (a run of numbers in a file of its own), as torch._utils._rebuild_tensor_v2 builds it.
struct PickleTensor {
  std::string dtype;  // as safetensors calls it: "F32", "BF16", "I64", ...
  std::string key;    // of the storage
  uint64_t storage_elements = 0;
  uint64_t offset = 0;  // in elements, as are the strides
  std::vector<uint64_t> shape, strides;
};

class Pickle {
 public:
  using Ref = uint32_t;
  enum class Kind : uint8_t {
    kNone, kBool, kInt, kFloat, kText, kTuple, kList, kDict, kTensor, kStorage, kGlobal, kMark
  };
  // Small, because a byte of a pickle makes one.
  struct Value {
    Kind kind = Kind::kNone;
    uint32_t place = 0;  // where the text, the items or the tensor is
    int64_t number = 0;  // kBool, kInt; kFloat: its bits
  };

  // Throws ImportError, its text starting with "pickle byte N". Time and memory are linear in bytes.size(): see
  // kMemoryPerByte in pickle.cc.
  explicit Pickle(std::span<const uint8_t> bytes);

  Ref root() const { return root_; }
  const Value& operator[](Ref ref) const { return values_[ref]; }
  // kText, kGlobal ("torch FloatStorage"); others have the empty one.
  const std::string& Text(Ref ref) const;
  // kTuple, kList; kDict: key, value, key, value, ...; others have none.
  const std::vector<Ref>& Items(Ref ref) const;
  const PickleTensor& Tensor(Ref ref) const { return tensors_[values_[ref].place]; }
  // The value of a text key (the last, if there are several), where `dict` is a dictionary and has it.
  std::optional<Ref> Find(Ref dict, std::string_view key) const;

  // Plain values as JSON. Throws ImportError, naming the place below `name`, for tensors, for keys that are no
  // texts, and for what is nested too deep or repeats itself without end.
  Json ToJson(Ref ref, const std::string& name) const;

 private:
  friend class PickleMachine;

  std::vector<Value> values_;
  std::vector<std::string> texts_;
  std::vector<std::vector<Ref>> lists_;
  std::vector<PickleTensor> tensors_;
  Ref root_ = 0;
};

}  // namespace thimble
