// A checkpoint with BitNet's linear layers ("quantization_config" of quant_method bitnet), for any family: packed rows look like the
// matrices that they stand for, and floats that are rounded to three numbers before each use like these. The rules are those of
// transformers (integrations/bitnet.py).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "targets/convert/checkpoint.h"
#include "targets/convert/config.h"

namespace thimble {

class BitNetCheckpoint final : public Checkpoint {
 public:
  // What a configuration says; finished, so that other fields of the object are refused by name.
  struct Rules {
    bool divides = true;  // by weight_scale; else products are multiplied with it
    bool online = false;  // weights are stored as they were trained
    std::vector<std::string> unconverted;  // modules that stay as they are, where `online`
  };
  // `config` is that of the model. Nothing where its weights are not BitNet's.
  static std::optional<Rules> ReadRules(Config& config);

  BitNetCheckpoint(std::unique_ptr<Checkpoint> stored, const Rules& rules);

  uint64_t bytes() const override { return stored_->bytes(); }
  const std::string& FileOf(size_t tensor) const override { return stored_->FileOf(views_[tensor].stored); }
  void ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const override;
  void ReadBytes(size_t tensor, uint64_t first, uint64_t count, uint8_t* out) const override {
    stored_->ReadBytes(views_[tensor].stored, first, count, out);
  }
  bool IsTernary(size_t tensor) const override { return views_[tensor].kind != Kind::kPlain; }

 private:
  enum class Kind : uint8_t { kPlain, kPacked, kRounded };
  struct View {
    size_t stored;
    Kind kind;
    float scale;  // of -1 and 1
  };
  float PackedScale(size_t scale_tensor, bool divides) const;
  float MeanSize(size_t tensor) const;

  std::unique_ptr<Checkpoint> stored_;
  std::vector<View> views_;
};

}  // namespace thimble
