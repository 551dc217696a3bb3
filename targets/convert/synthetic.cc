// Stored values are drawn directly in the weight's type; nothing is quantised. The dimensions are those of the
// real models, so that other runtimes can be measured beside us on files of the same shape.
#include "targets/convert/synthetic.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "targets/convert/plan.h"
#include "format/writer.h"
#include "ops/linear/turn.h"
#include "runtime/core/float16.h"

namespace thimble {
namespace {

constexpr SyntheticShape kShapes[] = {
    {"smollm2-135m", "SmolLM2 135M: 30 layers of 576, 9 heads, 3 kv heads, tied head", 8192},
    {"tinyllama-1.1b", "TinyLlama 1.1B: 22 layers of 2048, 32 heads, 4 kv heads", 8192},
    {"gemma-2b", "Gemma 2B: 18 layers of 2048, 8 heads of 256, 1 kv head, tied head", 8192},
    {"paper-300m-qkv", "the paper's 300M model: 20 layers of 1024, 16 heads, separate keys and values", 2048},
    {"paper-300m-qmqa", "the same with one K=V row for its 16 heads", 2048},
    {"tiny", "two layers of 64, for tests", 512},
};

struct Dimensions {
  const char* name;
  uint32_t D, L, H, G, d, F, V;
  uint32_t vocabulary;  // real ids
  bool tied, gemma, paper;
  Sharing sharing;
};

constexpr Dimensions kDimensions[] = {
    {"smollm2-135m", 576, 30, 9, 3, 64, 1536, 49152, 49152, true, false, false, Sharing::kNone},
    {"tinyllama-1.1b", 2048, 22, 32, 4, 64, 5632, 32000, 32000, false, false, false, Sharing::kNone},
    {"gemma-2b", 2048, 18, 8, 1, 256, 16384, 256000, 256000, true, true, false, Sharing::kNone},
    {"paper-300m-qkv", 1024, 20, 16, 16, 64, 4096, 50304, 50257, true, false, true, Sharing::kNone},
    {"paper-300m-qmqa", 1024, 20, 16, 1, 64, 4096, 50304, 50257, true, false, true, Sharing::kKV},
    {"tiny", 64, 2, 4, 2, 16, 96, 256, 256, false, false, false, Sharing::kNone},
};

// Root mean square of a token's row when it enters the first layer. Small against what the layers add, or a tied
// head would find the last token again.
constexpr float kEmbeddingRms = 0.02f;

// How a tensor is filled: `centre` everywhere, plus uniform numbers of this standard deviation.
struct Fill {
  TensorRole role = TensorRole::kExact;
  float centre = 0, deviation = 0;
};

// splitmix64: eight good bytes per nanosecond, and the same on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

class Builder {
 public:
  Builder(const Dimensions& m, uint32_t positions) : m_(m) {
    ModelSpec& spec = model.spec;
    spec.width = m.D;
    spec.outputs = m.V;
    spec.vocabulary = m.vocabulary;
    spec.max_positions = positions;
    spec.input.scale = m.gemma ? static_cast<float>(std::sqrt(static_cast<double>(m.D))) : 1.0f;
    spec.input.table = Add("input.table", m.V, m.D, {TensorRole::kTable, 0, kEmbeddingRms / spec.input.scale});
    if (m.paper) {
      spec.input.positions = Add("input.positions", positions, m.D, {TensorRole::kExact, 0, kEmbeddingRms / 2});
    }
    for (uint32_t i = 0; i < m.L; ++i) model.layers.push_back(Layer("layer." + std::to_string(i) + "."));
    spec.output.norm = Norm("output.norm");
    spec.output.tied = m.tied;
    if (!m.tied) {
      spec.output.head.weight = Add("output.head.weight", m.V, m.D, {TensorRole::kHead, 0, kEmbeddingRms});
    }
  }

  ModelDescription model;
  std::vector<Fill> fills;

 private:
  int32_t Add(const std::string& name, uint32_t rows, uint32_t cols, Fill fill) {
    NamedTensor tensor;
    tensor.name = name;
    tensor.spec.rows = rows;
    tensor.spec.cols = cols;
    model.tensors.push_back(std::move(tensor));
    fills.push_back(fill);
    return static_cast<int32_t>(fills.size() - 1);
  }

  // Inputs of deviation 1 give outputs of deviation `gain`.
  LinearSpec Linear(const std::string& name, uint32_t n, uint32_t k, double gain = 1) {
    LinearSpec linear;
    const float deviation = static_cast<float>(gain / std::sqrt(static_cast<double>(k)));
    linear.weight = Add(name + ".weight", n, k, {TensorRole::kLinear, 0, deviation});
    if (m_.paper) linear.bias = Add(name + ".bias", 1, n, {TensorRole::kExact, 0, 0.01f});
    return linear;
  }

  NormSpec Norm(const std::string& name) {
    NormSpec norm;
    norm.kind = m_.paper ? NormKind::kLayerNorm : NormKind::kRmsNorm;
    norm.eps = 1e-5f;
    norm.weight_offset = m_.gemma ? 1.0f : 0.0f;
    norm.weight = Add(name + ".weight", 1, m_.D, {TensorRole::kExact, 1 - norm.weight_offset, 0});
    if (m_.paper) norm.bias = Add(name + ".bias", 1, m_.D, {TensorRole::kExact, 0, 0.01f});
    return norm;
  }

  AttentionSpec Attention(const std::string& name) {
    AttentionSpec a;
    a.heads = m_.H;
    a.kv_heads = m_.G;
    a.head_width = m_.d;
    a.sharing = m_.sharing;
    a.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(m_.d)));
    if (!m_.paper) {
      a.rotation = KeyRotation::kOnWrite;
      a.rope.width = a.rope.denominator = m_.d;
      a.rope.pair_stride = m_.d / 2;
    }
    a.q = Linear(name + "q", m_.H * m_.d, m_.D);
    a.k = Linear(name + "k", m_.G * m_.d, m_.D);
    if (m_.sharing == Sharing::kNone) a.v = Linear(name + "v", m_.G * m_.d, m_.D);
    // Random attention averages: with more of it all positions would end up with the same numbers, and so the same id.
    a.o = Linear(name + "o", m_.D, m_.H * m_.d, 0.2);
    return a;
  }

  LayerSpec Layer(const std::string& name) {
    BlockSpec attention_block, ffn_block;
    attention_block.norm = Norm(name + "attention_norm");
    attention_block.mixer = Attention(name + "attention.");
    ffn_block.norm = Norm(name + "ffn_norm");
    FfnSpec f;
    f.kind = m_.paper ? FfnKind::kPlain : FfnKind::kGated;
    f.activation = m_.paper ? Activation::kGeluErf : m_.gemma ? Activation::kGeluTanh : Activation::kSilu;
    f.width = m_.F;
    if (!m_.paper) f.gate = Linear(name + "ffn.gate", m_.F, m_.D);
    f.up = Linear(name + "ffn.up", m_.F, m_.D);
    f.down = Linear(name + "ffn.down", m_.D, m_.F);
    ffn_block.mixer = f;
    return {{attention_block, ffn_block}};
  }

  const Dimensions& m_;
};

void SetTypes(const SyntheticOptions& options, Builder& b) {
  const WeightType usual_head =
      options.weights == WeightType::kQ4 || options.weights == WeightType::kTernary ? WeightType::kQ8 : options.weights;
  const WeightType head = options.head.value_or(usual_head);
  for (size_t i = 0; i < b.fills.size(); ++i) {
    TensorSpec& spec = b.model.tensors[i].spec;
    const TensorRole role = b.fills[i].role;
    const bool is_head = role == TensorRole::kHead || (role == TensorRole::kTable && b.model.spec.output.tied);
    spec.type = role == TensorRole::kExact ? WeightType::kF32 : is_head ? head : options.weights;
    spec.block = BlockOf(spec.type, options.block);
    const bool looked_up = role == TensorRole::kTable && !is_head;
    const uint32_t turn = TurnBlock(spec.cols);
    const bool turned = options.turn && spec.type != WeightType::kF32 && spec.type != WeightType::kTernary && !looked_up;
    spec.turn = turned && turn > 1 ? turn : 0;
  }
}

// Bytes of a tensor, chunk by chunk.
class Generator {
 public:
  explicit Generator(ModelWriter& writer) : writer_(writer) {}

  void Write(size_t index, const TensorSpec& spec, const Fill& fill, uint64_t seed) {
    Random seeds(seed ^ (index * 0x2545f4914f6cdd1du));
    Random data(seeds.Next()), scales(seeds.Next());
    uint64_t data_bytes = 0, scale_bytes = 0;
    if (!WeightDataBytes(spec.type, spec.rows, spec.cols, spec.block, &data_bytes) ||
        !WeightScaleBytes(spec.type, spec.rows, spec.cols, spec.block, &scale_bytes)) {
      throw ImportError(Code::kSizeOverflow, "a tensor is too large");
    }
    const float spread = fill.deviation;
    writer_.BeginSegment(writer_.DataSegment(index));
    switch (spec.type) {
      case WeightType::kF32:
        Chunks(data_bytes, [&](size_t n) { Floats(n, fill.centre, spread * std::sqrt(3.0f), data); });
        break;
      case WeightType::kQ8:
        Chunks(data_bytes, [&](size_t n) { Bytes(n, data, true); });
        break;
      case WeightType::kQ4:
        Nibbles(spec, data_bytes, data);
        break;
      case WeightType::kTernary:
        Chunks(data_bytes, [&](size_t n) {
          Bytes(n, data, false);
          // 3 becomes 1, which is zero.
          for (uint64_t& word : buffer_) word &= ~((word & word >> 1 & 0x5555555555555555u) << 1);
        });
        break;
      default:
        Chunks(data_bytes, [&](size_t n) { Bytes(n, data, false); });
        break;
    }
    writer_.EndSegment();
    if (scale_bytes == 0) return;
    writer_.BeginSegment(writer_.ScaleSegment(index));
    if (FormatOf(spec.type) != nullptr) {
      BlockScaleRows(spec, spread, scales);
      writer_.EndSegment();
      return;
    }
    // Deviation of uniform int8 in [-127, 127], and of nibbles 0..15. The latter mean -0.5; scales of both signs
    // take that out of the sums.
    if (spec.type == WeightType::kQ8 || spec.type == WeightType::kTernary) {
      const float scale = spread / (spec.type == WeightType::kQ8 ? 73.3f : std::sqrt(0.5f));
      Chunks(scale_bytes, [&](size_t n) { Floats(n, scale, scale / 4, scales); });
    } else {
      const uint16_t scale = FloatToBfloat16(spread / 4.61f);
      Chunks(scale_bytes, [&](size_t n) { Signs(n, scale, scales); });
    }
    writer_.EndSegment();
  }

 private:
  template <typename Make>
  void Chunks(uint64_t bytes, Make make) {
    while (bytes > 0) {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(bytes, buffer_.size() * 8));
      make(n);
      writer_.Append(buffer_.data(), n);
      bytes -= n;
    }
  }

  // Where the block does not divide the row, the elements behind it are nibble 8, which is zero.
  void Nibbles(const TensorSpec& spec, uint64_t data_bytes, Random& random) {
    if (spec.cols % spec.block == 0) return Chunks(data_bytes, [&](size_t n) { Bytes(n, random, false); });
    uint64_t row_bytes = 0;
    (void)WeightRowBytes(spec.type, spec.cols, spec.block, &row_bytes);
    buffer_.resize(std::max<size_t>(buffer_.size(), row_bytes / 8 + 1));
    uint8_t* row = reinterpret_cast<uint8_t*>(buffer_.data());
    for (uint32_t r = 0; r < spec.rows; ++r) {
      Bytes(row_bytes, random, false);
      if (spec.cols % 2 != 0) row[spec.cols / 2] = static_cast<uint8_t>((row[spec.cols / 2] & 15) | 0x80);
      std::memset(row + (spec.cols + 1) / 2, 0x88, row_bytes - (spec.cols + 1) / 2);
      writer_.Append(row, row_bytes);
    }
  }

  // Rows of scales (runtime/core/weight_type.h), of both signs, that give weights of that deviation; minimums that make their mean 0.
  void BlockScaleRows(const TensorSpec& spec, float spread, Random& random) {
    const BlockFormat& f = *FormatOf(spec.type);
    const size_t groups = static_cast<size_t>(BlockGroups(f, spec.cols)), supers = static_cast<size_t>(SuperBlocks(spec.cols));
    const size_t row_bytes = static_cast<size_t>(BlockScaleBytes(f, spec.cols)), codes = size_t{1} << f.bits;
    double mean = 0, squares = 0;
    for (size_t c = 0; c < codes; ++c) {
      const double v = f.book != 0 ? kCodebooks[f.book][c] : f.bits == 8 ? static_cast<int8_t>(c) : static_cast<double>(c) - f.zero;
      mean += v / static_cast<double>(codes);
      squares += v * v / static_cast<double>(codes);
    }
    const float scale = spread / static_cast<float>(std::sqrt(f.minimum ? squares - mean * mean : squares));
    std::vector<uint8_t> row(row_bytes);
    const auto half = [&](size_t at, float value) {
      const uint16_t bits = FloatToHalf(value);
      std::memcpy(row.data() + 2 * at, &bits, sizeof bits);
    };
    for (uint32_t r = 0; r < spec.rows; ++r) {
      const uint64_t signs = random.Next();
      for (size_t g = 0; f.scales == BlockScales::kHalf && g < groups; ++g) {
        const float signed_scale = (signs >> g % 64 & 1) != 0 ? scale : -scale;
        half(g, signed_scale);
        if (f.minimum) half(groups + g, static_cast<float>(-mean) * signed_scale);
      }
      for (size_t s = 0; f.scales == BlockScales::kSuper && s < supers; ++s) {
        const float signed_scale = ((signs >> s % 64 & 1) != 0 ? scale : -scale) / 48;  // times 32 to 63
        half(s, signed_scale);
        if (f.minimum) half(supers + s, static_cast<float>(-mean) * signed_scale);
      }
      for (size_t s = 0; f.scales == BlockScales::kWide && s < supers; ++s) half(s, (signs >> s % 64 & 1) != 0 ? scale : -scale);
      uint8_t* bytes = row.data() + (f.scales == BlockScales::kSuper ? supers * (f.minimum ? 4 : 2) : 0);
      for (size_t g = 0; f.scales != BlockScales::kHalf && f.scales != BlockScales::kWide && g < groups; ++g) {
        bytes[g] = static_cast<uint8_t>(f.scales == BlockScales::kSuper ? 32 + (signs >> g % 59 & 31) : 128 + std::lround(std::log2(scale)));
        if (f.minimum) bytes[groups + g] = bytes[g];
      }
      writer_.Append(row.data(), row.size());
    }
  }

  void Floats(size_t bytes, float centre, float reach, Random& random) {
    float* out = reinterpret_cast<float*>(buffer_.data());
    for (size_t i = 0; i < bytes / sizeof(float); ++i) {
      const int32_t bits = static_cast<int32_t>(random.Next() >> 32);
      out[i] = centre + static_cast<float>(bits) * 0x1p-31f * reach;
    }
  }

  // 0x80 would be -128, which int8 weights never are.
  void Bytes(size_t bytes, Random& random, bool no_minimum) {
    for (size_t i = 0; i < (bytes + 7) / 8; ++i) buffer_[i] = random.Next();
    if (!no_minimum) return;
    uint8_t* out = reinterpret_cast<uint8_t*>(buffer_.data());
    for (size_t i = 0; i < bytes; ++i) out[i] = out[i] == 0x80 ? 0x81 : out[i];
  }

  void Signs(size_t bytes, uint16_t scale, Random& random) {
    uint16_t* out = reinterpret_cast<uint16_t*>(buffer_.data());
    for (size_t i = 0; i < bytes / sizeof(uint16_t); ++i) {
      out[i] = static_cast<uint16_t>(scale | (random.Next() >> 63 << 15));
    }
  }

  ModelWriter& writer_;
  std::vector<uint64_t> buffer_ = std::vector<uint64_t>(1 << 17);  // 1 MiB
};

const Dimensions& Find(const std::string& name) {
  for (const Dimensions& m : kDimensions) {
    if (name == m.name) return m;
  }
  std::string names;
  for (const SyntheticShape& shape : kShapes) names += (names.empty() ? "" : ", ") + std::string(shape.name);
  throw ImportError(Code::kInvalidArgument, "no shape is called '" + name + "'; there are " + names);
}

ConvertReport WriteUnguarded(const SyntheticOptions& options) {
  const Dimensions& m = Find(options.shape);
  if (!IsWeightBlock(WeightType::kQ4, options.block)) {
    throw ImportError(Code::kInvalidArgument, "block " + std::to_string(options.block) + ", expected 32, 64 or 128");
  }
  uint32_t positions = options.positions;
  for (const SyntheticShape& shape : kShapes) {
    if (positions == 0 && options.shape == shape.name) positions = shape.positions;
  }
  Builder b(m, positions);
  SetTypes(options, b);
  b.model.name = options.name.empty() ? "synthetic " + options.shape : options.name;
  b.model.family = "synthetic";
  b.model.metadata = {{"shape", options.shape}, {"seed", std::to_string(options.seed)},
                      {"weights", WeightTypeName(options.weights)}};

  ConvertReport report;
  report.name = b.model.name;
  report.family = b.model.family;
  report.vocabulary = b.model.spec.vocabulary;
  for (const NamedTensor& t : b.model.tensors) report.weights += uint64_t{t.spec.rows} * t.spec.cols;
  ModelWriter writer(options.output.string(), b.model);
  Generator generator(writer);
  uint64_t done = 0;
  for (size_t i = 0; i < b.fills.size(); ++i) {
    const NamedTensor& tensor = b.model.tensors[i];
    if (options.progress && !options.progress({tensor.name, i, b.fills.size(), done, report.weights})) {
      throw ImportError(Code::kCancelled, "stopped while writing tensor '" + tensor.name + "'");
    }
    generator.Write(i, tensor.spec, b.fills[i], options.seed);
    done += uint64_t{tensor.spec.rows} * tensor.spec.cols;
    uint64_t data = 0, scales = 0;
    (void)WeightDataBytes(tensor.spec.type, tensor.spec.rows, tensor.spec.cols, tensor.spec.block, &data);
    (void)WeightScaleBytes(tensor.spec.type, tensor.spec.rows, tensor.spec.cols, tensor.spec.block, &scales);
    report.tensors.push_back(
        {tensor.name, tensor.spec.type, tensor.spec.rows, tensor.spec.cols, data + scales, 0, 0, {}, 0});
  }
  report.peak_buffer_bytes = 1 << 20;
  report.file_bytes = writer.file_bytes();
  writer.Finish();
  return report;
}

}  // namespace

std::span<const SyntheticShape> SyntheticShapes() { return kShapes; }

ConvertReport WriteSynthetic(const SyntheticOptions& options) {
  try {
    return WriteUnguarded(options);
  } catch (...) {
    ThrowAsImportError();
  }
}

}  // namespace thimble
