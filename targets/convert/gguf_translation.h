// A GGUF file as the checkpoint and the configuration that its model was published with: its tensors under their first names, its
// keys as the fields of a config.json, so that the families of the hub read both. What an architecture's names mean is in
// gguf_architectures.cc; what is not understood is refused by its name in the file.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "targets/convert/gguf_file.h"
#include "targets/convert/gguf_view.h"

namespace thimble {

// How a tensor lies in the file, against the published one.
enum class Stored : uint8_t {
  kSame,
  kTurned,      // rows of q and k: the halves of each head's rotary pairs side by side
  kExperts,     // [E, ...] instead of one tensor for each expert, the % of the name
  kFirstHalf,   // of a published tensor with the rows of two
  kSecondHalf,
  kPlusOne,     // w + 1 instead of w
  kDecay,       // -exp(x) instead of x, in a column
  kFlat,        // the same numbers, published as one row
  kTaps,        // [C, taps] instead of [C, 1, taps]
};

// Which of the value heads of a delta net the rows are, where those of one key lie apart: one for each key, then the next.
enum class Tiled : uint8_t { kNo, kRows, kTail, kOnes, kColumns };  // kTail: behind the rows of q and k; kOnes: a row for each head
struct TiledHeads {
  uint32_t keys = 0, per_key = 0, width = 0;
  uint64_t in_front = 0;  // rows of q and k
};

// Names without "blk.N."; with a suffix (".weight") only where it is not the same in both. "/" in front: nothing comes before it.
struct TensorName {
  const char *theirs, *ours;
  Stored stored = Stored::kSame;
  Tiled tiled = Tiled::kNo;
};

class GgufTranslation {
 public:
  // `own`: the keys of the architecture without its prefix, null for what counts as not written. All must outlive this.
  GgufTranslation(const GgufCheckpoint& file, std::string prefix, const Json& own);

  // Values of the file. What is asked for counts as understood.
  bool Has(const std::string& key) const { return own_.Has(key) && !own_[key].is_null(); }
  bool IsZero(const std::string& key) const { return Has(key) && own_[key] == 0; }
  bool Asked(const std::string& key) const { return used_.contains(key); }
  const Json* Find(const std::string& key);
  std::optional<double> Number(const std::string& key);
  uint32_t Count(const std::string& key);  // required, from 1 on
  // One for each layer, written as a list or as a number for all.
  std::vector<uint32_t> Layers(const std::string& key);
  // The same where all layers must have one, but for those that have none (0).
  uint32_t OfAllLayers(const std::string& key);
  uint32_t layers();
  void Only(const std::string& key, const Json& value);
  void Ignore(const std::string& key) { used_.insert(key); }

  const GgufCheckpoint& file() const { return file_; }
  bool HasTensor(const std::string& name) const { return file_.Find(name).has_value(); }
  std::vector<Json> TensorNumbers(const std::string& name);

  // Fields of the configuration. `key`: what errors about it name.
  void Set(const std::string& field, Json value, const std::string& key = {});
  void Copy(const std::string& key, const std::string& field);
  void Unset(const std::string& field);
  Json* Field(const std::string& field);  // null where it is not set

  // Refuses keys that nobody asked for.
  Json Configuration() const;
  const std::map<std::string, std::string>& field_names() const { return field_names_; }
  TiledHeads tiled;
  std::string pooling;  // of hidden rows, where the file says it
  std::vector<std::string> dense;  // tensors of linear layers behind it, one after the other

  [[noreturn]] void Refuse(const std::string& key, const std::string& text) const;

 private:
  const GgufCheckpoint& file_;
  std::string prefix_;
  const Json& own_;
  std::set<std::string> used_;
  std::vector<Json::Member> fields_;
  std::map<std::string, std::string> field_names_;  // of the configuration: keys of the file
};

// Where the published names of layers begin, and all others.
struct NamePrefixes {
  std::string layers = "model.layers.", others = "model.";
};

// Every tensor of the file, by the first of the names that is its own; one that has none keeps its name. `aside` have been read
// already. Rows are turned back by `heads` and `kv_heads`, one number for each layer.
std::unique_ptr<ViewCheckpoint> TranslateTensors(std::unique_ptr<GgufCheckpoint> file, std::vector<TensorName> names,
                                                 const NamePrefixes& prefixes, const std::vector<uint32_t>& heads,
                                                 const std::vector<uint32_t>& kv_heads, const TiledHeads& tiled,
                                                 const std::set<std::string>& aside);

}  // namespace thimble
