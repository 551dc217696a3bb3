#include "targets/convert/rotary.h"

#include <algorithm>
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

std::vector<float> YarnDivisors(uint32_t width, double theta, double factor, double beta_fast, double beta_slow,
                                double original_positions, bool truncate) {
  // The pair that turns `rotations` times within the original context.
  const auto pair_of = [&](double rotations) {
    return width * std::log(original_positions / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  double low = pair_of(beta_fast), high = pair_of(beta_slow);
  if (truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, width - 1.0);
  if (low == high) high += 0.001;
  std::vector<float> divisors(width / 2);
  for (uint32_t i = 0; i < width / 2; ++i) {
    const double stretched = std::clamp((i - low) / (high - low), 0.0, 1.0);
    divisors[i] = static_cast<float>(1 / (stretched / factor + (1 - stretched)));
  }
  return divisors;
}

namespace {

// A factor given as a number, or null for the one that follows from the others.
std::optional<double> AttentionFactor(Config& scaling) {
  if (!scaling.Has("attention_factor")) return std::nullopt;
  return scaling.Positive("attention_factor");
}

double YarnMagnitude(double factor, double weight) { return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1; }

double LongestContext(Config& config) { return config.Positive("max_position_embeddings", 2048); }

// The length of the context that the model was trained with first: beside the rotation, where transformers prefers it, inside of
// it, or that of all.
double OriginalPositions(Config& config, Config& scaling, const RotaryRules& rules) {
  const char* field = "original_max_position_embeddings";
  const bool outside = config.Has(field) || rules.original_positions > 0;
  if (outside) scaling.Ignore({field});
  if (outside) return config.Positive(field, rules.original_positions);
  return scaling.Has(field) ? scaling.Positive(field) : LongestContext(config);
}

// How many times as long as it texts may be.
double LengthFactor(Config& config, Config& scaling, double original) {
  return scaling.Has("factor") ? scaling.Positive("factor") : LongestContext(config) / original;
}

void Keep(PlanBuilder& builder, const char* name, std::vector<float> divisors, const RotaryRules& rules, int32_t* tensor) {
  for (float& divisor : divisors) divisor = rules.backwards ? -divisor : divisor;
  *tensor = builder.Values(name, std::move(divisors));
}

void ReadYarn(Config& config, Config& scaling, RopeSpec& rope, PlanBuilder& builder, const RotaryRules& rules) {
  const double original = OriginalPositions(config, scaling, rules);
  // Here a factor must be written, if only as null.
  const double factor = scaling.Mentions("factor") ? LengthFactor(config, scaling, original) : scaling.Positive("factor");
  const double fast = scaling.Positive("beta_fast", 32.0), slow = scaling.Positive("beta_slow", 1.0);
  if (factor < 1) scaling.Refuse(Code::kInvalidModel, "factor", "must be at least 1");
  if (!(fast > slow)) scaling.Refuse(Code::kInvalidModel, "beta_fast", "must be larger than beta_slow");
  std::optional<double> magnitude = AttentionFactor(scaling);
  const double weight = scaling.NotNegative("mscale", 0), weight_all = scaling.NotNegative("mscale_all_dim", 0);
  if (!magnitude) {
    magnitude = weight > 0 && weight_all > 0 ? YarnMagnitude(factor, weight) / YarnMagnitude(factor, weight_all) : YarnMagnitude(factor, 1);
  }
  rope.magnitude = static_cast<float>(*magnitude);
  const bool truncate = scaling.Flag("truncate", true) || rules.always_truncate;
  Keep(builder, "rope.freq_divisors", YarnDivisors(rope.width, rope.theta, factor, fast, slow, original, truncate), rules, &rope.freq_divisors);
}

// One number for each pair.
std::vector<float> ReadDivisors(Config& scaling, const char* name, const RopeSpec& rope) {
  const std::vector<double> list = scaling.PositiveNumbers(name);
  if (list.size() != rope.width / 2) {
    scaling.Refuse(Code::kInvalidModel, name, "has " + std::to_string(list.size()) + " numbers, expected " +
                                                  std::to_string(rope.width / 2) + ", half the rotated width");
  }
  return {list.begin(), list.end()};
}

void ReadLongRope(Config& config, Config& scaling, RopeSpec& rope, PlanBuilder& builder, const RotaryRules& rules) {
  const double original = OriginalPositions(config, scaling, rules), factor = LengthFactor(config, scaling, original);
  const std::optional<double> magnitude = AttentionFactor(scaling);
  const double usual = factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(original));
  rope.magnitude = static_cast<float>(magnitude.value_or(usual));
  Keep(builder, "rope.freq_divisors", ReadDivisors(scaling, "short_factor", rope), rules, &rope.freq_divisors);
  Keep(builder, "rope.long_divisors", ReadDivisors(scaling, "long_factor", rope), rules, &rope.long_divisors);
  rope.long_from = static_cast<uint32_t>(original);
}

RopeSpec WholeHead(const Config& config, uint32_t head_width) {
  RopeSpec rope;
  rope.width = head_width;
  rope.pair_stride = head_width / 2;
  rope.denominator = head_width;
  if (head_width % 2 != 0) {
    config.Refuse(Code::kUnsupported, "head_dim",
                  "rotary positions need an even head width, found " + std::to_string(head_width));
  }
  return rope;
}

// Of a part with an odd number of elements the last one has a partner beside it, as in the reference, but for pairs across the head.
uint32_t PartWidth(const Config& config, double factor, uint32_t head_width, bool across) {
  const uint32_t part = static_cast<uint32_t>(factor * head_width), width = (across ? part : part + 1) / 2 * 2;
  if (factor > 1 || width == 0 || width > head_width) {
    config.Refuse(Code::kInvalidModel, "partial_rotary_factor", "leaves " + std::to_string(width) + " of " +
                                                                    std::to_string(head_width) + " elements to rotate");
  }
  return width;
}

void SetPart(const Config& config, double factor, uint32_t head_width, RopeSpec& rope) {
  rope.width = PartWidth(config, factor, head_width, false);
  rope.denominator = static_cast<uint32_t>(factor * head_width);
  rope.pair_stride = rope.width / 2;
}

// The dictionary of either style; theta may be inside it, too.
void ReadScaling(Config& config, Config& scaling, uint32_t head_width, RopeSpec& rope, PlanBuilder& builder,
                 const RotaryRules& rules = {}) {
  // Text has one position where pictures have three: its rotation is the ordinary one.
  scaling.Ignore({"mrope_section", "mrope_interleaved", "max_position_embeddings"});
  if (scaling.Has("rope_theta")) rope.theta = scaling.Positive("rope_theta");
  if (rules.always_theta > 0) rope.theta = rules.always_theta;
  const char* kind_field = scaling.Has("rope_type") ? "rope_type" : "type";
  // Older files call the same field "type"; with both present they must agree.
  if (scaling.Has("rope_type") && scaling.Has("type")) scaling.Only("type", scaling.Text("rope_type", ""));
  const std::string written = scaling.Text(kind_field, "default");
  const bool other_name = rules.other_longrope && (written == "su" || written == "yarn");
  const size_t kind = other_name ? 5 : scaling.Choice(
      kind_field, {"default", "linear", "llama3", "proportional", "yarn", "longrope", "dynamic", "mrope", "divisors"}, "default");
  if (kind == 3) {
    rope.width = PartWidth(scaling, scaling.Positive("partial_rotary_factor", 1.0), head_width, true);
    rope.pair_stride = head_width / 2;
    rope.denominator = head_width;
    rope.position_scale = 1 / scaling.Positive("factor", 1.0);
  } else if (scaling.Has("partial_rotary_factor")) {
    SetPart(scaling, scaling.Positive("partial_rotary_factor"), head_width, rope);
  }
  if (kind == 1) rope.position_scale = 1 / scaling.Positive("factor");
  if (kind == 2) {
    const double factor = scaling.Positive("factor");
    const double low = scaling.Positive("low_freq_factor");
    const double high = scaling.Positive("high_freq_factor");
    const double original = OriginalPositions(config, scaling, rules);
    if (!(high > low)) scaling.Refuse(Code::kInvalidModel, "high_freq_factor", "must be larger than low_freq_factor");
    Keep(builder, "rope.freq_divisors", Llama3Divisors(rope.width, rope.theta, factor, low, high, original), rules, &rope.freq_divisors);
  }
  if (kind == 4) ReadYarn(config, scaling, rope, builder, rules);
  // As a file of another format stores what llama3 computes.
  if (kind == 8) rope.freq_divisors = builder.Values("rope.freq_divisors", ReadDivisors(scaling, "divisors", rope));
  if (kind == 5) ReadLongRope(config, scaling, rope, builder, rules);
  if (kind == 6 && !(rules.fixed_alpha && scaling.Has("alpha"))) {
    scaling.Positive("factor");
  } else if (kind == 6) {
    rope.theta *= std::pow(scaling.Positive("alpha"), head_width / (head_width - 2.0));
    scaling.Only("factor", 1.0);
    scaling.Ignore({"beta_fast", "beta_slow", "mscale", "mscale_all_dim"});
  }
  if (rules.query_growth != nullptr && scaling.Has("llama_4_scaling_beta")) {
    *rules.query_growth = scaling.NotNegative("llama_4_scaling_beta", 0);
    *rules.query_period = static_cast<uint32_t>(OriginalPositions(config, scaling, rules));
  }
  scaling.Finish();
}

}  // namespace

RopeSpec ReadRotary(Config& config, uint32_t head_width, PlanBuilder& builder, const RotaryRules& rules) {
  RopeSpec rope = WholeHead(config, head_width);
  rope.pairing = rules.pairing;
  rope.theta = config.Positive("rope_theta", rules.theta);
  if (const double part = config.Positive("partial_rotary_factor", rules.part); part != 1) SetPart(config, part, head_width, rope);
  if (config.Has("rope_scaling") && config.Has("rope_parameters")) {
    config.Refuse(Code::kInvalidModel, "rope_scaling", "is given together with 'rope_parameters'; keep one");
  }
  const char* field = config.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (std::optional<Config> scaling = config.Object(field)) {
    const double outer = rope.theta;
    if (scaling->Has("rope_theta") && config.Has("rope_theta") && scaling->Positive("rope_theta") != outer) {
      config.Refuse(Code::kInvalidModel, "rope_theta", "differs from '" + std::string(field) + ".rope_theta'");
    }
    ReadScaling(config, *scaling, head_width, rope, builder, rules);
  } else if (rules.usual != nullptr) {
    const Json usual = ParseJson(rules.usual);
    Config inner(usual, config.file(), "rope_parameters.");
    ReadScaling(config, inner, head_width, rope, builder, rules);
  }
  if (rules.backwards && rope.freq_divisors == kNoTensor)
    Keep(builder, "rope.freq_divisors", std::vector<float>(rope.width / 2, 1.0f), rules, &rope.freq_divisors);
  return rope;
}

RopeSpec ReadWholeRotary(Config& config, uint32_t head_width, PlanBuilder& builder, const RotaryRules& rules) {
  config.Only("partial_rotary_factor", 1.0);
  const RopeSpec rope = ReadRotary(config, head_width, builder, rules);
  if (rope.width != head_width) {
    const std::string field = config.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
    config.Refuse(Code::kUnsupported, field + ".partial_rotary_factor", "only 1.0 is supported");
  }
  return rope;
}

RotaryKinds ReadRotaryKinds(Config& config, uint32_t full_width, uint32_t sliding_width, PlanBuilder& builder, double full_theta,
                            double sliding_theta, const char* usual) {
  RotaryKinds kinds;
  std::optional<Config> parameters = config.Object("rope_parameters");
  const Json kept = usual != nullptr ? ParseJson(usual) : Json();
  if (!parameters && usual != nullptr && !config.Has("rope_scaling")) parameters.emplace(kept, config.file(), "rope_parameters.");
  if (parameters && (parameters->Has("full_attention") || parameters->Has("sliding_attention"))) {
    kinds.full = WholeHead(config, full_width);
    kinds.sliding = WholeHead(config, sliding_width);
    kinds.full.theta = config.Positive("rope_theta", full_theta > 0 ? full_theta : kinds.full.theta);
    kinds.sliding.theta = config.Positive("rope_local_base_freq", sliding_theta);
    std::optional<Config> full = parameters->Object("full_attention"),
                          sliding = parameters->Object("sliding_attention");
    if (full) ReadScaling(config, *full, full_width, kinds.full, builder, {.always_truncate = true});
    if (sliding) ReadScaling(config, *sliding, sliding_width, kinds.sliding, builder, {.always_truncate = true});
    parameters->Finish();
    // The reference takes a part's factor from where it does not find it.
    for (const auto& [rope, width] : {std::pair{kinds.full, full_width}, std::pair{kinds.sliding, sliding_width}}) {
      if (rope.pair_stride != width / 2) config.Refuse(Code::kUnsupported, "rope_parameters", "partial_rotary_factor goes with proportional alone");
    }
    return kinds;
  }
  // What the reference makes of another object is the ordinary rotation, whatever the object says.
  if (parameters) config.Refuse(Code::kUnsupported, "rope_parameters", "expected an object for full_attention, sliding_attention or both");
  if (!config.Has("rope_theta") && full_theta == 0) config.Refuse(Code::kInvalidModel, "rope_theta", "is missing");
  kinds.full = ReadRotary(config, full_width, builder, {.theta = full_theta});
  kinds.sliding = WholeHead(config, sliding_width);
  kinds.sliding.theta = config.Positive("rope_local_base_freq", sliding_theta);
  return kinds;
}

}  // namespace thimble
