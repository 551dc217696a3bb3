// Small random models for tests: describe layers, get the bytes of a whole .thimble file. Weights are uniform with a
// variance that keeps activations near 1; the same seed gives the same bytes everywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "format/writer.h"

namespace thimble::test {

class ModelBuilder {
 public:
  explicit ModelBuilder(uint32_t width, uint32_t vocabulary, uint32_t max_positions, uint64_t seed = 1);

  // Storage of the linear layers and the embedding from here on.
  ModelBuilder& Weights(WeightType type, uint32_t block = 0);
  // Quantised matrices from here on are stored turned.
  ModelBuilder& Turned() {
    turned_ = true;
    return *this;
  }

  int32_t AddMatrix(const std::string& name, uint32_t rows, uint32_t cols, float scale);
  int32_t AddVector(const std::string& name, uint32_t n, float centre, float spread);
  LinearSpec AddLinear(const std::string& name, uint32_t n, uint32_t k, bool bias);
  NormSpec AddNorm(NormKind kind, uint32_t width, NormScope scope = NormScope::kRow, float weight_offset = 0);

  // q, k, v, o of `spec` as its sharing asks.
  AttentionSpec AddAttention(AttentionSpec spec, bool bias);
  // Attention and, where asked for, a feed-forward network, each with a norm in front.
  LayerSpec& AddLayer(AttentionSpec spec, std::optional<FfnKind> ffn, Activation activation, uint32_t ffn_width, NormKind norm, bool bias);
  // A layer of one or two blocks, each with an RMSNorm in front.
  LayerSpec& AddLayer(const MixerSpec& first, const MixerSpec& second);
  LayerSpec& AddLayer(const MixerSpec& only);
  // Their tensors; what else they say is the caller's.
  LinearSpec AddStack(const std::string& name, uint32_t count, uint32_t n, uint32_t k);
  FfnSpec AddFfn(FfnKind kind, Activation activation, uint32_t width, bool bias);
  ExpertsSpec AddExperts(uint32_t experts, uint32_t chosen, uint32_t width, FfnKind kind = FfnKind::kGated);
  ShortConvSpec AddShortConv(uint32_t taps, uint32_t channels, bool bias);
  // With an RMSNorm over each group.
  StateSpaceSpec AddStateSpace(uint32_t heads, uint32_t head_width, uint32_t groups, uint32_t states, uint32_t taps, bool bias);
  // Token table, learned positions if asked, final norm, tied or own head.
  void Finish(bool learned_positions, bool tied, NormKind norm);

  ModelDescription& description() { return description_; }
  // Of an f32 tensor.
  void SetValue(int32_t tensor, size_t index, float value);
  // Dequantised values of a tensor, as the runtime sees them.
  const std::vector<float>& values(int32_t tensor) const { return values_[static_cast<size_t>(tensor)]; }

  // A whole file in memory, first byte 64-byte aligned (see AlignedBytes).
  std::vector<uint8_t> Bytes() const;
  void WriteFile(const std::string& path) const;

 private:
  int32_t Add(const std::string& name, const TensorSpec& spec, std::vector<float> values);

  ModelDescription description_;
  std::vector<std::vector<float>> values_;
  std::vector<std::vector<uint8_t>> data_, scales_;
  std::mt19937_64 random_;
  bool turned_ = false;
  WeightType type_ = WeightType::kF32;
  uint32_t block_ = 0;
};

// A copy that starts at a multiple of 64.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size);
  explicit AlignedBytes(const std::vector<uint8_t>& bytes);
  ~AlignedBytes();
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_;
  size_t size_;
};

// A path in a private temporary folder that is removed at exit.
std::string TemporaryPath(const std::string& name);

// Folder of larger data, or "" (the caller skips).
std::string SharedDataPath(const std::string& relative);

}  // namespace thimble::test
