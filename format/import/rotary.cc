#include "format/import/rotary.h"

#include <cmath>
#include <numbers>

namespace thimble {

std::vector<float> Llama3Divisors(uint32_t width, double theta, double factor, double low_freq_factor,
                                  double high_freq_factor, double original_positions) {
  std::vector<float> divisors(width / 2);
  for (uint32_t i = 0; i < width / 2; ++i) {
    const double frequency = std::pow(theta, -2.0 * i / width);
    const double wavelength = 2 * std::numbers::pi / frequency;
    double divisor = 1;
    if (wavelength > original_positions / low_freq_factor) {
      divisor = factor;
    } else if (wavelength >= original_positions / high_freq_factor) {
      const double keep =
          (original_positions / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
      divisor = 1 / ((1 - keep) / factor + keep);
    }
    divisors[i] = static_cast<float>(divisor);
  }
  return divisors;
}

namespace {

RopeSpec WholeHead(const Config& config, uint32_t head_width) {
  RopeSpec rope;
  rope.width = head_width;
  rope.pair_stride = head_width / 2;
  rope.denominator = head_width;
  if (head_width % 2 != 0) {
    config.Refuse(Code::kUnsupported, "head_dim", "rotary positions need an even head width, found " + std::to_string(head_width));
  }
  return rope;
}

uint32_t PartWidth(const Config& config, double factor, uint32_t head_width) {
  const uint32_t width = static_cast<uint32_t>(factor * head_width) / 2 * 2;
  if (factor > 1 || width == 0) {
    config.Refuse(Code::kInvalidModel, "partial_rotary_factor", "leaves " + std::to_string(width) + " of " +
                                                                    std::to_string(head_width) + " elements to rotate");
  }
  return width;
}

void SetPart(const Config& config, double factor, uint32_t head_width, RopeSpec& rope) {
  rope.width = rope.denominator = PartWidth(config, factor, head_width);
  rope.pair_stride = rope.width / 2;
}

// The dictionary of either style; theta may be inside it, too.
void ReadScaling(Config& scaling, uint32_t head_width, RopeSpec& rope, PlanBuilder& builder) {
  if (scaling.Has("rope_theta")) rope.theta = scaling.Positive("rope_theta");
  const char* kind_field = scaling.Has("rope_type") ? "rope_type" : "type";
  // Older files call the same field "type"; with both present they must agree.
  if (scaling.Has("rope_type") && scaling.Has("type")) scaling.Only("type", scaling.Text("rope_type", ""));
  const size_t kind = scaling.Choice(kind_field, {"default", "linear", "llama3", "proportional"}, "default");
  if (kind == 3) {
    rope.width = PartWidth(scaling, scaling.Positive("partial_rotary_factor", 1.0), head_width);
    rope.pair_stride = head_width / 2;
    rope.denominator = head_width;
    scaling.Only("factor", 1.0);
  } else if (scaling.Has("partial_rotary_factor")) {
    SetPart(scaling, scaling.Positive("partial_rotary_factor"), head_width, rope);
  }
  if (kind == 1) rope.position_scale = 1 / scaling.Positive("factor");
  if (kind == 2) {
    const double factor = scaling.Positive("factor");
    const double low = scaling.Positive("low_freq_factor");
    const double high = scaling.Positive("high_freq_factor");
    const double original = scaling.Positive("original_max_position_embeddings");
    if (!(high > low)) scaling.Refuse(Code::kInvalidModel, "high_freq_factor", "must be larger than low_freq_factor");
    rope.freq_divisors =
        builder.Values("rope.freq_divisors", Llama3Divisors(rope.width, rope.theta, factor, low, high, original));
  }
  scaling.Finish();
}

}  // namespace

RopeSpec ReadRotary(Config& config, uint32_t head_width, PlanBuilder& builder) {
  RopeSpec rope = WholeHead(config, head_width);
  rope.theta = config.Positive("rope_theta", 10000.0);
  if (config.Has("partial_rotary_factor")) SetPart(config, config.Positive("partial_rotary_factor"), head_width, rope);
  if (config.Has("rope_scaling") && config.Has("rope_parameters")) {
    config.Refuse(Code::kInvalidModel, "rope_scaling", "is given together with 'rope_parameters'; keep one");
  }
  const char* field = config.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (std::optional<Config> scaling = config.Object(field)) {
    const double outer = rope.theta;
    ReadScaling(*scaling, head_width, rope, builder);
    if (config.Has("rope_theta") && rope.theta != outer) {
      config.Refuse(Code::kInvalidModel, "rope_theta", "differs from '" + std::string(field) + ".rope_theta'");
    }
  }
  return rope;
}

RotaryKinds ReadRotaryKinds(Config& config, uint32_t full_width, uint32_t sliding_width, PlanBuilder& builder) {
  RotaryKinds kinds;
  std::optional<Config> parameters = config.Object("rope_parameters");
  if (parameters && parameters->Has("full_attention")) {
    kinds.full = WholeHead(config, full_width);
    kinds.sliding = WholeHead(config, sliding_width);
    std::optional<Config> full = parameters->Object("full_attention"), sliding = parameters->Object("sliding_attention");
    ReadScaling(*full, full_width, kinds.full, builder);
    if (sliding) ReadScaling(*sliding, sliding_width, kinds.sliding, builder);
    parameters->Finish();
    return kinds;
  }
  kinds.full = ReadRotary(config, full_width, builder);
  kinds.sliding = WholeHead(config, sliding_width);
  kinds.sliding.theta = config.Positive("rope_local_base_freq", 10000.0);
  return kinds;
}

}  // namespace thimble
