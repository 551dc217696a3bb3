#include "tests/support/model_builder.h"

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "ops/linear/turn.h"
#include "ops/linear/block_row.h"
#include "runtime/core/float16.h"

namespace thimble::test {
namespace {

// Plainly: the nearest code, one scale (and minimum) for a group. `values` become what is stored.
void EncodeBlocks(const TensorSpec& t, std::vector<float>& values, std::vector<uint8_t>& data, std::vector<uint8_t>& scales) {
  const BlockFormat& f = *FormatOf(t.type);
  const uint32_t blocks = CeilDiv(t.cols, 32u), groups = blocks * 32 / f.group, supers = CeilDiv(t.cols, 256u);
  const size_t row_scales = static_cast<size_t>(BlockScaleBytes(f, t.cols));
  std::fill(data.begin(), data.end(), uint8_t{0});
  const int codes = 1 << f.bits;
  int largest_value = 0;
  for (int c = 0; c < codes; ++c) largest_value = std::max(largest_value, BlockValue(f, static_cast<uint8_t>(c)));
  for (uint32_t r = 0; r < t.rows; ++r) {
    float* row = values.data() + size_t{r} * t.cols;
    uint8_t* row_scale = scales.data() + r * row_scales;
    float largest = 0;
    for (uint32_t c = 0; c < t.cols; ++c) largest = std::max(largest, std::fabs(row[c]));
    const float step = f.minimum ? 2 * largest / static_cast<float>(codes - 1) : largest / static_cast<float>(largest_value);
    const auto half = [&](size_t at, float value) {
      const uint16_t bits = FloatToHalf(value);
      std::memcpy(row_scale + 2 * at, &bits, 2);
    };
    if (f.scales == BlockScales::kHalf) {
      for (uint32_t g = 0; g < groups; ++g) half(g, step);
      for (uint32_t g = 0; f.minimum && g < groups; ++g) half(groups + g, -largest);
    } else if (f.scales == BlockScales::kSuper) {
      for (uint32_t s = 0; s < supers; ++s) half(s, step / 32);
      for (uint32_t s = 0; f.minimum && s < supers; ++s) half(supers + s, -largest / 32);
      std::memset(row_scale + supers * (f.minimum ? 4 : 2), 32, groups * (f.minimum ? 2 : 1));
    } else if (f.scales == BlockScales::kWide) {
      for (uint32_t s = 0; s < supers; ++s) half(s, step);
    } else {
      std::memset(row_scale, 129 + std::ilogb(std::max(step, 1e-30f)), groups);
    }
    const BlockScaleRow stored(f, t.cols, row_scale);
    for (uint32_t b = 0; b < blocks; ++b) {
      uint8_t block_codes[32];
      for (uint32_t i = 0; i < 32; ++i) {
        const uint32_t c = b * 32 + i, g = c / f.group;
        block_codes[i] = f.zero;
        if (c >= t.cols) continue;
        float best = 0, error = INFINITY;
        for (int code = 0; code < codes; ++code) {
          const float product = stored.Scale(g) * static_cast<float>(BlockValue(f, static_cast<uint8_t>(code)));
          const float value = f.minimum ? product + stored.Minimum(g) : product;
          if (std::fabs(value - row[c]) >= error) continue;
          error = std::fabs(value - row[c]);
          best = value;
          block_codes[i] = static_cast<uint8_t>(code);
        }
        row[c] = best;
      }
      PackBlockCodes(f, block_codes, data.data() + (size_t{r} * blocks + b) * 4 * f.bits);
    }
  }
}

// Round-to-nearest quantisation, enough for tests; `values` become what was stored.
void Quantise(const TensorSpec& t, std::vector<float>& values, std::vector<uint8_t>& data, std::vector<uint8_t>& scales) {
  uint64_t data_bytes = 0, scale_bytes = 0;
  if (!WeightDataBytes(t.type, t.rows, t.cols, t.block, &data_bytes) ||
      !WeightScaleBytes(t.type, t.rows, t.cols, t.block, &scale_bytes)) {
    throw std::runtime_error("tensor too large");
  }
  data.assign(data_bytes, t.type == WeightType::kQ4 ? 0x88 : 0);
  scales.assign(scale_bytes, 0);
  if (t.type == WeightType::kF32) {
    std::memcpy(data.data(), values.data(), data_bytes);
    return;
  }
  if (t.type == WeightType::kTernary) {
    // Halves of the largest size on become it.
    for (uint32_t r = 0; r < t.rows; ++r) {
      float* row = values.data() + size_t{r} * t.cols;
      float scale = 0;
      for (uint32_t c = 0; c < t.cols; ++c) scale = std::max(scale, std::fabs(row[c]));
      std::memcpy(scales.data() + size_t{r} * 4, &scale, 4);
      for (uint32_t c = 0; c < t.cols; ++c) {
        const uint32_t code = row[c] > scale / 2 ? 2 : row[c] < -scale / 2 ? 0 : 1;
        row[c] = (static_cast<float>(code) - 1) * scale;
        uint8_t& byte = data[(size_t{r} * CeilDiv(t.cols, kTernaryColumns) + c / kTernaryColumns) * 4 + c % 4];
        byte = static_cast<uint8_t>(byte | code << c % kTernaryColumns / 4 * 2);
      }
    }
    return;
  }
  if (FormatOf(t.type) != nullptr) return EncodeBlocks(t, values, data, scales);
  const uint32_t block = t.type == WeightType::kQ8 ? t.cols : t.block;
  const uint32_t blocks = static_cast<uint32_t>(CeilDiv(t.cols, block));
  uint64_t row_bytes = 0;
  (void)WeightRowBytes(t.type, t.cols, t.block, &row_bytes);
  for (uint32_t r = 0; r < t.rows; ++r) {
    for (uint32_t b = 0; b < blocks; ++b) {
      const uint32_t begin = b * block, end = std::min(t.cols, begin + block);
      float largest = 0;
      for (uint32_t c = begin; c < end; ++c) largest = std::max(largest, std::fabs(values[size_t{r} * t.cols + c]));
      float scale = largest / (t.type == WeightType::kQ8 ? 127.0f : 7.0f);
      if (t.type == WeightType::kQ4) {
        const uint16_t stored = FloatToBfloat16(scale);
        scale = Bfloat16ToFloat(stored);
        std::memcpy(scales.data() + (size_t{r} * blocks + b) * 2, &stored, 2);
      } else {
        std::memcpy(scales.data() + size_t{r} * 4, &scale, 4);
      }
      for (uint32_t c = begin; c < end; ++c) {
        float& v = values[size_t{r} * t.cols + c];
        const int q = scale > 0 ? static_cast<int>(std::lround(v / scale)) : 0;
        if (t.type == WeightType::kQ8) {
          const int clamped = std::max(-127, std::min(127, q));
          data[size_t{r} * t.cols + c] = static_cast<uint8_t>(static_cast<int8_t>(clamped));
          v = static_cast<float>(clamped) * scale;
        } else {
          const int clamped = std::max(-8, std::min(7, q));
          uint8_t& byte = data[r * row_bytes + c / 2];
          const uint8_t nibble = static_cast<uint8_t>(clamped + 8);
          byte = c % 2 == 0 ? static_cast<uint8_t>((byte & 0xf0) | nibble) : static_cast<uint8_t>((byte & 0x0f) | (nibble << 4));
          v = static_cast<float>(clamped) * scale;
        }
      }
    }
  }
}

struct TemporaryFolder {
  std::filesystem::path path;
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "thimble-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

ModelBuilder::ModelBuilder(uint32_t width, uint32_t vocabulary, uint32_t max_positions, uint64_t seed) : random_(seed) {
  description_.name = "random";
  description_.family = "test";
  description_.spec.width = width;
  description_.spec.outputs = description_.spec.vocabulary = vocabulary;
  description_.spec.max_positions = max_positions;
}

ModelBuilder& ModelBuilder::Weights(WeightType type, uint32_t block) {
  type_ = type;
  block_ = block;
  return *this;
}

int32_t ModelBuilder::Add(const std::string& name, const TensorSpec& spec, std::vector<float> values) {
  std::vector<uint8_t> data, scales;
  Quantise(spec, values, data, scales);
  // What is stored is the turned matrix: the values are those that it stands for.
  if (spec.turn != 0) Turn(values.data(), values.size(), spec.turn);
  description_.tensors.push_back({name, spec});
  values_.push_back(std::move(values));
  data_.push_back(std::move(data));
  scales_.push_back(std::move(scales));
  return static_cast<int32_t>(values_.size()) - 1;
}

void ModelBuilder::SetValue(int32_t tensor, size_t index, float value) {
  const size_t t = static_cast<size_t>(tensor);
  values_[t][index] = value;
  std::memcpy(data_[t].data() + index * sizeof(float), &value, sizeof value);
}

int32_t ModelBuilder::AddMatrix(const std::string& name, uint32_t rows, uint32_t cols, float scale) {
  std::vector<float> v(size_t{rows} * cols);
  for (float& x : v) x = scale * (static_cast<float>(random_() >> 40) * 0x1p-23f - 1.0f);
  const uint32_t turn = turned_ && type_ != WeightType::kF32 && TurnBlock(cols) > 1 ? TurnBlock(cols) : 0;
  return Add(name, {.type = type_, .rows = rows, .cols = cols, .block = block_, .turn = turn}, std::move(v));
}

int32_t ModelBuilder::AddVector(const std::string& name, uint32_t n, float centre, float spread) {
  std::vector<float> v(n);
  for (float& x : v) x = centre + spread * (static_cast<float>(random_() >> 40) * 0x1p-23f - 1.0f);
  return Add(name, {.type = WeightType::kF32, .rows = 1, .cols = n}, std::move(v));
}

LinearSpec ModelBuilder::AddLinear(const std::string& name, uint32_t n, uint32_t k, bool bias) {
  LinearSpec spec;
  spec.weight = AddMatrix(name + ".weight", n, k, 1.7f / std::sqrt(static_cast<float>(k)));
  if (bias) spec.bias = AddVector(name + ".bias", n, 0, 0.2f);
  return spec;
}

NormSpec ModelBuilder::AddNorm(NormKind kind, uint32_t width, NormScope scope, float weight_offset) {
  NormSpec spec;
  spec.kind = kind;
  spec.scope = scope;
  spec.eps = 1e-5f;
  if (kind == NormKind::kNone) return spec;
  spec.weight_offset = weight_offset;
  spec.weight = AddVector("norm.weight", width, 1.0f - weight_offset, 0.3f);
  if (kind == NormKind::kLayerNorm) spec.bias = AddVector("norm.bias", width, 0, 0.3f);
  return spec;
}

AttentionSpec ModelBuilder::AddAttention(AttentionSpec a, bool bias) {
  const uint32_t D = description_.spec.width, q_width = a.heads * a.head_width, kv_width = a.kv_heads * a.head_width;
  const bool own_q = a.sharing == Sharing::kNone || a.sharing == Sharing::kKV;
  const bool own_v = a.sharing == Sharing::kNone || a.sharing == Sharing::kQK;
  if (own_q) a.q = AddLinear("q", q_width, D, bias);
  if (a.cache_source == -1) {
    a.k = AddLinear("k", kv_width, D, bias);
    if (own_v) a.v = AddLinear("v", kv_width, D, bias);
  }
  a.o = AddLinear("o", D, q_width, bias);
  if (a.scale == 0) a.scale = 1.0f / std::sqrt(static_cast<float>(a.head_width));
  return a;
}

LayerSpec& ModelBuilder::AddLayer(AttentionSpec a, std::optional<FfnKind> ffn, Activation activation, uint32_t ffn_width,
                                  NormKind norm, bool bias) {
  const uint32_t D = description_.spec.width;
  LayerSpec layer;
  BlockSpec attention;
  attention.mixer = AddAttention(a, bias);
  attention.norm = AddNorm(norm, D);
  layer.blocks.push_back(attention);
  if (ffn) {
    BlockSpec block;
    block.norm = AddNorm(norm, D);
    block.mixer = AddFfn(*ffn, activation, ffn_width, bias);
    layer.blocks.push_back(block);
  }
  description_.layers.push_back(layer);
  return description_.layers.back();
}

LayerSpec& ModelBuilder::AddLayer(const MixerSpec& only) {
  BlockSpec block;
  block.norm = AddNorm(NormKind::kRmsNorm, description_.spec.width);
  block.mixer = only;
  description_.layers.push_back({{block}});
  return description_.layers.back();
}

LayerSpec& ModelBuilder::AddLayer(const MixerSpec& first, const MixerSpec& second) {
  LayerSpec layer;
  for (const MixerSpec* mixer : {&first, &second}) {
    BlockSpec block;
    block.norm = AddNorm(NormKind::kRmsNorm, description_.spec.width);
    block.mixer = *mixer;
    layer.blocks.push_back(block);
  }
  description_.layers.push_back(layer);
  return description_.layers.back();
}

LinearSpec ModelBuilder::AddStack(const std::string& name, uint32_t count, uint32_t n, uint32_t k) {
  LinearSpec spec;
  spec.weight = AddMatrix(name + ".weight", count * n, k, 1.7f / std::sqrt(static_cast<float>(k)));
  spec.bias = AddVector(name + ".bias", count * n, 0, 0.2f);
  spec.stack = count;
  return spec;
}

FfnSpec ModelBuilder::AddFfn(FfnKind kind, Activation activation, uint32_t width, bool bias) {
  const uint32_t D = description_.spec.width;
  FfnSpec f;
  f.kind = kind;
  f.activation = activation;
  f.width = width;
  f.up = AddLinear("up", width, D, bias);
  if (kind == FfnKind::kGated) f.gate = AddLinear("gate", width, D, bias);
  f.down = AddLinear("down", D, width, bias);
  return f;
}

ExpertsSpec ModelBuilder::AddExperts(uint32_t experts, uint32_t chosen, uint32_t width, FfnKind kind) {
  const uint32_t D = description_.spec.width;
  ExpertsSpec e;
  e.experts = experts;
  e.chosen = chosen;
  e.router = AddLinear("router", experts, D, false);
  e.ffn.kind = kind;
  e.ffn.activation = Activation::kSilu;
  e.ffn.width = width;
  if (kind == FfnKind::kGated) e.ffn.gate = AddStack("experts.gate", experts, width, D);
  e.ffn.up = AddStack("experts.up", experts, width, D);
  e.ffn.down = AddStack("experts.down", experts, D, width);
  return e;
}

ShortConvSpec ModelBuilder::AddShortConv(uint32_t taps, uint32_t channels, bool bias) {
  const uint32_t D = description_.spec.width;
  ShortConvSpec c;
  c.taps = taps;
  c.channels = channels;
  c.before = AddLinear("before", channels, D, bias);
  c.after = AddLinear("after", channels, D, bias);
  c.value = AddLinear("value", channels, D, bias);
  c.out = AddLinear("out", D, channels, bias);
  const WeightType type = type_;
  const uint32_t block = block_;
  Weights(WeightType::kF32);
  c.weight = AddMatrix("taps", taps, channels, 1.0f);
  Weights(type, block);
  if (bias) c.bias = AddVector("conv.bias", channels, 0, 0.2f);
  return c;
}

StateSpaceSpec ModelBuilder::AddStateSpace(uint32_t heads, uint32_t head_width, uint32_t groups, uint32_t states, uint32_t taps,
                                           bool bias) {
  const uint32_t D = description_.spec.width;
  StateSpaceSpec s;
  s.heads = heads;
  s.head_width = head_width;
  s.groups = groups;
  s.states = states;
  s.taps = taps;
  s.max_step = std::numeric_limits<float>::infinity();
  const uint32_t inner = static_cast<uint32_t>(s.inner()), channels = static_cast<uint32_t>(s.channels());
  s.gate = AddLinear("gate", inner, D, bias);
  s.input = AddLinear("input", channels, D, bias);
  s.step = AddLinear("step", heads, D, bias);
  s.out = AddLinear("out", D, inner, bias);
  const WeightType type = type_;
  const uint32_t block = block_;
  Weights(WeightType::kF32);
  s.conv_weight = AddMatrix("taps", taps, channels, 1.0f);
  Weights(type, block);
  if (bias) s.conv_bias = AddVector("conv.bias", channels, 0, 0.2f);
  s.decay = AddVector("decay", heads, -1.0f, 0.5f);
  s.step_bias = AddVector("step_bias", heads, -1.0f, 1.0f);
  s.skip = AddVector("skip", heads, 1.0f, 0.3f);
  s.norm = AddNorm(NormKind::kRmsNorm, inner);
  s.norm_groups = groups;
  return s;
}

void ModelBuilder::Finish(bool learned_positions, bool tied, NormKind norm) {
  ModelSpec& m = description_.spec;
  m.input.table = AddMatrix("embedding", m.outputs, m.width, 1.0f);
  if (learned_positions) {
    const WeightType type = type_;
    const uint32_t block = block_;
    Weights(WeightType::kF32);
    m.input.positions = AddMatrix("positions", m.max_positions, m.width, 0.5f);
    Weights(type, block);
  }
  m.output.norm = AddNorm(norm, m.width);
  m.output.tied = tied;
  if (!tied) m.output.head = AddLinear("head", m.outputs, m.width, false);
}

std::vector<uint8_t> ModelBuilder::Bytes() const {
  ModelDescription copy = description_;
  uint64_t file_bytes = 0;
  std::vector<SegmentSpec> segments = LayOut(copy, &file_bytes);
  std::vector<uint8_t> out(file_bytes);
  auto put = [&](int32_t segment, const std::vector<uint8_t>& bytes) {
    if (segment < 0) return;
    SegmentSpec& s = segments[static_cast<size_t>(segment)];
    std::memcpy(out.data() + s.offset, bytes.data(), bytes.size());
    s.checksum = ChecksumOf(bytes.data(), bytes.size());
  };
  for (size_t i = 0; i < copy.tensors.size(); ++i) {
    put(copy.tensors[i].spec.data_segment, data_[i]);
    put(copy.tensors[i].spec.scale_segment, scales_[i]);
  }
  put(copy.spec.tokenizer_segment, copy.tokenizer);
  const std::vector<uint8_t> header = HeaderBytes(copy, segments, file_bytes);
  std::memcpy(out.data(), header.data(), header.size());
  return out;
}

void ModelBuilder::WriteFile(const std::string& path) const {
  ModelWriter writer(path, description_);
  for (size_t i = 0; i < data_.size(); ++i) writer.WriteTensor(i, data_[i].data(), scales_[i].data());
  writer.Finish();
}

AlignedBytes::AlignedBytes(size_t size) : data_(nullptr), size_(size) {
  void* block = nullptr;
  if (posix_memalign(&block, 64, size > 0 ? size : 64) != 0) throw std::bad_alloc();
  data_ = static_cast<uint8_t*>(block);
}

AlignedBytes::AlignedBytes(const std::vector<uint8_t>& bytes) : AlignedBytes(bytes.size()) {
  if (!bytes.empty()) std::memcpy(data_, bytes.data(), bytes.size());
}

AlignedBytes::~AlignedBytes() { std::free(data_); }

std::string TemporaryPath(const std::string& name) {
  static const TemporaryFolder folder;
  return (folder.path / name).string();
}

std::string SharedDataPath(const std::string& relative) {
  const char* given = std::getenv("THIMBLE_SHARED_DATA");
  const std::string path = std::string(given != nullptr ? given : THIMBLE_SHARED_DATA_DEFAULT) + "/" + relative;
  return std::filesystem::exists(path) ? path : "";
}

}  // namespace thimble::test
