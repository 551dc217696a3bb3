// Checkpoints of torch.save (.pt, .pth): a ZIP archive with the pickle NAME/data.pkl, which holds dictionaries of
// tensors and the configuration, and one entry NAME/data/KEY for the numbers of each storage. It must not know
// what the tensors are for.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "targets/convert/checkpoint.h"
#include "targets/convert/json_file.h"
#include "targets/convert/pickle.h"
#include "targets/convert/zip_file.h"

namespace thimble {

class TorchCheckpoint : public Checkpoint {
 public:
  // The tensors are those of the first of these that is a dictionary of tensors: "model_state_dict",
  // "state_dict", "model", or the whole. Optimizer states and the like are not looked at. Every tensor lies inside
  // its storage; none repeats elements.
  static std::unique_ptr<TorchCheckpoint> Open(const std::filesystem::path& path);
  // Does the file start as a ZIP archive?
  static bool IsTorchFile(const std::filesystem::path& path);

  // The configuration beside the tensors, in the form of a config.json: "model_config" or "config", or, where
  // "model" is a text (the paper's encoders), "config" together with "model" and "variant".
  const std::optional<Json>& config() const { return config_; }

  uint64_t bytes() const override { return zip_.bytes(); }
  const std::string& FileOf(size_t) const override { return zip_.name(); }
  void ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const override;

 private:
  struct Place {
    const ZipEntry* entry;
    size_t element_bytes;
    uint64_t offset;  // in elements
    std::vector<uint64_t> strides;
    bool contiguous;
  };

  explicit TorchCheckpoint(const std::filesystem::path& path) : zip_(path) {}
  void Read();
  void ReadConfig(const Pickle& pickle);
  void AddTensors(const Pickle& pickle, Pickle::Ref state, const std::string& root);
  void AddTensor(const std::string& name, const PickleTensor& tensor, const std::string& root);
  const std::vector<uint8_t>& Storage(const ZipEntry* entry) const;

  ZipFile zip_;
  std::optional<Json> config_;
  std::vector<Place> places_;
  uint64_t tensor_bytes_ = 0;  // of all tensors, those that share storages counted again
  // The last storages that could not be read in place: packed, or seen through strides. Two, because two tensors may be
  // compared piece by piece.
  struct Unpacked {
    const ZipEntry* entry = nullptr;
    std::vector<uint8_t> bytes;
  };
  mutable std::array<Unpacked, 2> cache_;
};

}  // namespace thimble
