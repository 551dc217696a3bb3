#include "targets/convert/bitnet_checkpoint.h"

#include <algorithm>
#include <cmath>

#include "runtime/core/checked.h"
#include "targets/convert/import_error.h"

namespace thimble {
namespace {

constexpr uint64_t kRowsOfByte = 4;  // rows i, i + R, i + 2 R and i + 3 R, from the lowest bits on; value + 1
constexpr float kLeast = 1e-5f;
constexpr uint64_t kChunk = 1u << 18;

bool EndsWith(const std::string& text, const std::string& end) { return text.ends_with(end); }

// Of a linear layer, as far as the name tells.
bool IsProjection(const SourceTensor& t, const std::vector<std::string>& unconverted) {
  if (t.shape.size() != 2 || !EndsWith(t.name, "_proj.weight")) return false;
  return std::none_of(unconverted.begin(), unconverted.end(), [&](const std::string& module) { return t.name.find(module) != std::string::npos; });
}

}  // namespace

std::optional<BitNetCheckpoint::Rules> BitNetCheckpoint::ReadRules(Config& config) {
  if (!config.Has("quantization_config")) return std::nullopt;
  if (!config.IsObjectWith("quantization_config", "quant_method", "bitnet")) return std::nullopt;
  std::optional<Config> quantised = config.Object("quantization_config");
  Rules rules;
  quantised->Only("quant_method", "bitnet");
  rules.divides = quantised->Choice("linear_class", {"autobitlinear", "bitlinear"}, "bitlinear") == 1;
  rules.online = quantised->Choice("quantization_mode", {"offline", "online"}, "offline") == 1 && !rules.divides;
  quantised->Only("use_rms_norm", false);
  quantised->Ignore({"rms_norm_eps"});  // without that norm
  if (const auto modules = quantised->Texts("modules_to_not_convert")) rules.unconverted = *modules;
  quantised->Finish();
  return rules;
}

BitNetCheckpoint::BitNetCheckpoint(std::unique_ptr<Checkpoint> stored, const Rules& rules) : stored_(std::move(stored)) {
  for (size_t i = 0; i < stored_->tensors().size(); ++i) {
    SourceTensor t = stored_->tensors()[i];
    View view = {i, Kind::kPlain, 0};
    const auto refuse = [&](const std::string& text) {
      throw ImportError(Code::kInvalidModel, "tensor '" + t.name + "': " + text, stored_->FileOf(i));
    };
    if (t.dtype == "U8" && EndsWith(t.name, ".weight")) {
      if (rules.online) refuse("is packed, but field 'quantization_config.quantization_mode' says online");
      const std::optional<size_t> scale = stored_->Find(t.name + "_scale");
      if (!scale) refuse("is packed, and '" + t.name + "_scale' is missing");
      if (t.shape.size() != 2) refuse("shape " + ShapeText(t.shape) + ", expected rows and columns");
      view = {i, Kind::kPacked, PackedScale(*scale, rules.divides)};
      if (!CheckedMul(t.shape[0], kRowsOfByte, &t.shape[0]) || !CheckedMul(t.elements, kRowsOfByte, &t.elements)) refuse("is too large");
      t.dtype = "ternary";
    } else if (EndsWith(t.name, ".weight_scale")) {
      const std::optional<size_t> weight = stored_->Find(t.name.substr(0, t.name.size() - std::string("_scale").size()));
      if (weight && stored_->tensors()[*weight].dtype == "U8") continue;
    } else if (rules.online && IsProjection(t, rules.unconverted)) {
      view = {i, Kind::kRounded, std::max(MeanSize(i), kLeast)};
    }
    views_.push_back(view);
    const size_t added = Add(std::move(t), stored_->FileOf(i));
    if (stored_->IsAside(i)) SetAside(added);
  }
}

float BitNetCheckpoint::PackedScale(size_t scale_tensor, bool divides) const {
  const SourceTensor& t = stored_->tensors()[scale_tensor];
  float scale = 0;
  if (t.elements == 1) stored_->ReadFloats(scale_tensor, 0, 1, &scale);
  if (t.elements != 1 || !(std::isfinite(scale) && scale > 0)) {
    throw ImportError(Code::kInvalidModel, "tensor '" + t.name + "': expected one finite number above 0", stored_->FileOf(scale_tensor));
  }
  return divides ? 1 / scale : scale;
}

float BitNetCheckpoint::MeanSize(size_t tensor) const {
  const uint64_t elements = stored_->tensors()[tensor].elements;
  std::vector<float> chunk(std::min(elements, kChunk));
  double sum = 0;
  for (uint64_t at = 0; at < elements; at += kChunk) {
    const uint64_t n = std::min(elements - at, kChunk);
    stored_->ReadFloats(tensor, at, n, chunk.data());
    for (uint64_t i = 0; i < n; ++i) sum += std::fabs(chunk[i]);
  }
  return static_cast<float>(sum / static_cast<double>(std::max<uint64_t>(elements, 1)));
}

void BitNetCheckpoint::ReadFloats(size_t tensor, uint64_t first, uint64_t count, float* out) const {
  const View& view = views_[tensor];
  if (view.kind == Kind::kPlain) return stored_->ReadFloats(view.stored, first, count, out);
  const SourceTensor& t = tensors()[tensor];
  if (view.kind == Kind::kRounded) {
    stored_->ReadFloats(view.stored, first, count, out);
    const float inverse = 1.0f / view.scale;
    for (uint64_t i = 0; i < count; ++i) out[i] = std::clamp(std::nearbyint(out[i] * inverse), -1.0f, 1.0f) * view.scale;
    return;
  }
  if (!RangeFits(first, count, t.elements)) throw ImportError(Code::kOutOfRange, "tensor '" + t.name + "': read outside its elements", FileOf(tensor));
  const uint64_t columns = t.shape[1], rows = t.shape[0] / kRowsOfByte;
  std::vector<uint8_t> bytes(std::min(count, columns));
  while (count > 0) {
    const uint64_t row = first / columns, column = first % columns, n = std::min(count, columns - column);
    stored_->ReadBytes(view.stored, row % rows * columns + column, n, bytes.data());
    for (uint64_t i = 0; i < n; ++i) {
      const int code = bytes[i] >> (2 * (row / rows)) & 3;
      if (code == 3) {
        throw ImportError(Code::kInvalidModel, "tensor '" + t.name + "': element " + std::to_string(first + i) +
                                                   " is 2, expected -1, 0 or 1", FileOf(tensor));
      }
      out[i] = static_cast<float>(code - 1) * view.scale;
    }
    first += n, count -= n, out += n;
  }
}

}  // namespace thimble
