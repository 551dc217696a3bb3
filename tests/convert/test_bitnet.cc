// BitNet's layers: packed rows, or rounded as they are trained; one scale, exactly; what contradicts itself is refused by name.
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "ops/linear/embed.h"
#include "runtime/core/float16.h"
#include "targets/convert/convert.h"
#include "tests/convert/gguf_testing.h"
#include "tests/convert/import_testing.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

bool IsProjection(const std::string& name) { return name.ends_with("_proj.weight"); }

// A llama with 24 columns whose projections are packed, or not, and have `scale`.
struct BitNetModel {
  Json config = LlamaConfig();
  std::vector<TestTensor> tensors;
  bool packed = true;
  float scale = 0.375f;
  std::string without;   // a tensor that is left out
  uint8_t first_byte = 0x55;  // of the first packed matrix: zeros

  BitNetModel() {
    tensors = LlamaTensors(config);
    config["quantization_config"] = {{"quant_method", "bitnet"}};
  }

  // -1, 0 and 1, about as often.
  static int Ternary(float random) { return random < -0.17f ? -1 : random > 0.17f ? 1 : 0; }

  fs::path Write() const {
    const fs::path folder = FreshFolder("bitnet");
    Json header = Json::Object();
    std::string data;
    const auto add = [&](const std::string& name, const char* dtype, const std::vector<uint64_t>& shape, const std::string& bytes) {
      if (name == without) return;
      header[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", Json::Array({data.size(), data.size() + bytes.size()})}};
      data += bytes;
    };
    const auto floats = [](const std::vector<float>& values) { return std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4); };
    // Floats first, as the data must be aligned.
    for (const TestTensor& t : tensors) {
      if (!packed || !IsProjection(t.name)) add(t.name, "F32", t.shape, floats(t.values));
      else add(t.name + "_scale", "F32", {1}, floats({scale}));
    }
    bool first = true;
    for (const TestTensor& t : tensors) {
      if (!packed || !IsProjection(t.name)) continue;
      const uint64_t rows = t.shape[0] / 4, columns = t.shape[1];
      std::string bytes(rows * columns, '\0');
      for (uint64_t i = 0; i < t.values.size(); ++i) {
        const uint64_t row = i / columns;
        char& byte = bytes[row % rows * columns + i % columns];
        byte = static_cast<char>(byte | (Ternary(t.values[i]) + 1) << (2 * (row / rows)));
      }
      if (first) bytes[0] = static_cast<char>(first_byte);
      first = false;
      add(t.name, "U8", {rows, columns}, bytes);
    }
    WriteFile(folder / "config.json", JsonText(config));
    WriteFile(folder / "model.safetensors", SafetensorsBytes(JsonText(header), data));
    return folder;
  }
};

// The numbers of "layer.1.ffn.gate.weight", whose source is this.
constexpr char kOurs[] = "layer.1.ffn.gate.weight", kTheirs[] = "model.layers.1.mlp.gate_proj.weight";

std::vector<float> Converted(const BitNetModel& model, const ConvertOptions& changes, ConvertReport* report = nullptr) {
  ConvertOptions options = changes;
  options.source = model.Write();
  options.output = TemporaryPath("bitnet.thimble");
  const ConvertReport done = Convert(options);
  if (report != nullptr) *report = done;
  REQUIRE_FALSE(LayersOf(options.output.string()).empty());  // opens and is verified
  ModelFile file;
  REQUIRE(file.Open(options.output.string().c_str()).ok());
  std::vector<float> numbers;
  for (uint32_t i = 0; i < file.header().tensors(); ++i) {
    const TensorSpec t = file.header().tensor(i);
    if (file.header().tensor_name(i) != kOurs) continue;
    CHECK((t.type == WeightType::kTernary && t.turn == 0 && t.block == 0));
    const WeightRows rows = {.type = t.type, .n = t.rows, .k = t.cols, .block = t.block, .data = file.TensorData(i), .scales = file.TensorScales(i)};
    numbers.resize(size_t{t.rows} * t.cols);
    for (uint32_t r = 0; r < t.rows; ++r) DecodeWeightRow(rows, r, 1, numbers.data() + size_t{r} * t.cols);
  }
  return numbers;
}

const TestTensor& Source(const BitNetModel& model) {
  for (const TestTensor& t : model.tensors) {
    if (t.name == kTheirs) return t;
  }
  FAIL("no tensor");
  return model.tensors[0];
}

Outcome Refused(const BitNetModel& model) { return ConvertOutcome(model.Write()); }

}  // namespace

TEST_CASE("BitNet: packed rows keep their numbers whatever type is asked for, divided or multiplied by their scale") {
  for (const char* kind : {"bitlinear", "autobitlinear"}) {
    for (const WeightType asked : {WeightType::kF32, WeightType::kQ8, WeightType::kQ4}) {
      BitNetModel model;
      model.config["quantization_config"]["linear_class"] = kind;
      ConvertOptions options;
      options.weights = asked;
      options.kv = asked;
      ConvertReport report;
      const std::vector<float> found = Converted(model, options, &report);
      const TestTensor& source = Source(model);
      REQUIRE(found.size() == source.values.size());
      const float scale = std::string(kind) == "bitlinear" ? 1 / 0.375f : 0.375f;
      size_t wrong = 0;
      for (size_t i = 0; i < found.size(); ++i) wrong += found[i] != static_cast<float>(BitNetModel::Ternary(source.values[i])) * scale;
      CHECK(wrong == 0);
      size_t ternary = 0;
      for (const ConvertedTensor& t : report.tensors) {
        ternary += t.type == WeightType::kTernary;
        CHECK((t.type == WeightType::kTernary) == (t.kept && t.relative_error == 0 && t.bytes == t.rows * (CeilDiv(t.cols, 16u) * 4 + 4)));
      }
      CHECK(ternary == 2 * 7);
    }
  }
}

TEST_CASE("BitNet: weights as they are trained are rounded by their mean size") {
  BitNetModel model;
  model.packed = false;
  model.config["quantization_config"] = {{"quant_method", "bitnet"}, {"linear_class", "autobitlinear"}, {"quantization_mode", "online"}};
  const std::vector<float> found = Converted(model, {});
  const TestTensor& source = Source(model);
  double mean = 0;
  for (const float v : source.values) mean += std::fabs(v) / static_cast<double>(source.values.size());
  size_t wrong = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    const double rounded = std::fmin(1, std::fmax(-1, std::nearbyint(source.values[i] / mean)));
    wrong += std::fabs(found[i] - rounded * mean) > 1e-6;
  }
  CHECK((wrong == 0 && found.size() == source.values.size()));
  // A module that is left as it is keeps its floats.
  model.config["quantization_config"]["modules_to_not_convert"] = Json::Array({"mlp.gate_proj"});
  ConvertOptions options;
  options.source = model.Write();
  options.output = TemporaryPath("bitnet-but.thimble");
  for (const ConvertedTensor& t : Convert(options).tensors) {
    if (t.name == kOurs) CHECK(t.type == WeightType::kF32);
    if (t.name == "layer.1.ffn.up.weight") CHECK(t.type == WeightType::kTernary);
  }
}

TEST_CASE("BitNet: what contradicts itself is refused by name") {
  BitNetModel good;
  CHECK(Refused(good).code == Code::kOk);
  BitNetModel no_scale = good;
  no_scale.without = std::string(kTheirs) + "_scale";
  CHECK(Refused(no_scale).Names("mlp.gate_proj.weight_scale' is missing"));
  for (const float scale : {0.0f, -1.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    BitNetModel bad = good;
    bad.scale = scale;
    CHECK(Refused(bad).Names("_scale': expected one finite number above 0"));
  }
  BitNetModel two = good;
  two.first_byte = 0x57;
  CHECK(Refused(two).Names("self_attn.q_proj.weight': element 0 is 2"));
  const auto with = [&](const char* field, const Json& value) {
    BitNetModel model = good;
    model.config["quantization_config"][field] = value;
    return Refused(model);
  };
  CHECK(with("linear_class", "bit").Names("'quantization_config.linear_class'"));
  CHECK(with("quantization_mode", "later").Names("'quantization_config.quantization_mode'"));
  CHECK(with("use_rms_norm", true).Names("'quantization_config.use_rms_norm'"));
  CHECK(with("use_rms_norm", false).code == Code::kOk);
  CHECK(with("bits", 2).Names("'quantization_config.bits'"));
  CHECK(with("quant_method", "gptq").Names("'quantization_config'"));
  BitNetModel online = good;
  online.config["quantization_config"]["linear_class"] = "autobitlinear";
  online.config["quantization_config"]["quantization_mode"] = "online";
  CHECK(Refused(online).Names("quantization_mode' says online"));
  BitNetModel plain = good;
  plain.config.Erase("quantization_config");
  CHECK(Refused(plain).code == Code::kInvalidModel);
}

namespace {

// A llama of one layer with 512 columns whose matrices are TQ2_0 with random codes; scale(row, block) of ffn_gate.
template <typename Scale>
std::string TernaryGguf(Scale scale) {
  GgufWriter file;
  file.String("general.architecture", "llama");
  for (const auto& [key, value] : std::vector<std::pair<std::string, uint32_t>>{{"context_length", 8}, {"embedding_length", 512}, {"block_count", 1},
                                                                              {"feed_forward_length", 512}, {"attention.head_count", 1}}) {
    file.U32("llama." + key, value);
  }
  file.F32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  const auto blocks = [&](const std::string& name, uint64_t rows, bool own) {
    std::string bytes;
    for (uint64_t b = 0; b < 2 * rows; ++b) {
      for (uint64_t i = 0; i < 64; ++i) {
        uint8_t byte = 0;
        for (int e = 0; e < 4; ++e) byte = static_cast<uint8_t>(byte | (b * 31 + i * 7 + static_cast<uint64_t>(e) * (b + i)) % 3 << 2 * e);
        bytes += static_cast<char>(byte);
      }
      bytes += GgufWriter::Number(FloatToHalf(own ? scale(b / 2, b % 2) : 0.25f));
    }
    file.Tensor(name, {rows, 512}, 35, bytes);
  };
  blocks("token_embd.weight", 32, false);
  for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down", "ffn_gate"})
    blocks("blk.0." + std::string(name) + ".weight", 512, std::string(name) == "ffn_gate");
  for (const char* name : {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"}) file.Floats(name, {512}, std::vector<float>(512, 1.0f));
  return file.Bytes();
}

}  // namespace

namespace {

// The first layer's gate as a file has it, row after row.
std::vector<float> GateOf(const fs::path& path) {
  std::vector<float> gate;
  ModelFile file;
  REQUIRE(file.Open(path.string().c_str()).ok());
  for (uint32_t i = 0; i < file.header().tensors(); ++i) {
    if (file.header().tensor_name(i) != "layer.0.ffn.gate.weight") continue;
    const TensorSpec t = file.header().tensor(i);
    const WeightRows rows = {.type = t.type, .n = t.rows, .k = t.cols, .block = t.block, .data = file.TensorData(i), .scales = file.TensorScales(i)};
    gate.resize(size_t{t.rows} * t.cols);
    for (uint32_t r = 0; r < t.rows; ++r) DecodeWeightRow(rows, r, 1, gate.data() + size_t{r} * t.cols);
  }
  return gate;
}

}  // namespace

TEST_CASE("BitNet: rows of a GGUF file that have one scale become ternary, others keep one for each block") {
  struct Case {
    WeightType gate;
    float (*scale)(uint64_t row, uint64_t block);
  };
  const Case cases[] = {{WeightType::kTernary, [](uint64_t, uint64_t) { return 0.5f; }},
                        {WeightType::kTernary, [](uint64_t row, uint64_t) { return static_cast<float>(row + 1) / 8; }},
                        {WeightType::kTQ2_0, [](uint64_t row, uint64_t block) { return row == 511 && block == 1 ? 0.25f : 0.5f; }},
                        {WeightType::kTQ2_0, [](uint64_t, uint64_t) { return -0.5f; }}};
  for (const Case& c : cases) {
    ConvertOptions options;
    options.source = TemporaryPath("ternary.gguf");
    options.output = TemporaryPath("ternary-gguf.thimble");
    options.as_is = true;
    WriteFile(options.source, TernaryGguf(c.scale));
    for (const ConvertedTensor& t : Convert(options).tensors) {
      if (t.type == WeightType::kF32) continue;
      INFO(t.name);
      // A table is looked up, not multiplied, or the head: its inputs are not those of BitNet's layers.
      CHECK(t.type == (t.name == "layer.0.ffn.gate.weight" ? c.gate : t.name == "input.table" ? WeightType::kTQ2_0 : WeightType::kTernary));
      CHECK((t.kept && t.relative_error == 0));
    }
    const std::vector<float> gate = GateOf(options.output);
    REQUIRE(gate.size() % 512 == 0);
    REQUIRE(!gate.empty());
    size_t wrong = 0;
    for (uint64_t r = 0; r < gate.size() / 512; ++r) {
      for (uint64_t e = 0; e < 512; ++e) {
        // Four runs of 32 elements to 32 bytes.
        const uint64_t b = 2 * r + e / 256, i256 = e % 256, byte = i256 / 128 * 32 + i256 % 32, place = i256 % 128 / 32;
        const int code = static_cast<int>((b * 31 + byte * 7 + place * (b + byte)) % 3);
        wrong += gate[r * 512 + e] != static_cast<float>(code - 1) * c.scale(r, e / 256);
      }
    }
    CHECK(wrong == 0);
  }
}

namespace {

// -1, 0 or 1 of a matrix with 256 columns; no two columns alike.
int I2sNumber(uint64_t matrix, uint64_t row, uint64_t column) { return static_cast<int>((row * 5 + column * column + column / 7 + matrix * 3) % 3) - 1; }

struct I2sFile {
  uint32_t block = 128;
  std::string name = "somebody's";
  std::string scale = GgufWriter::Number(0.375f);
  bool code_3 = false;
  uint64_t columns = 256;

  // A llama of one layer, as bitnet.cpp lays it out: for each block of the flat matrix a byte for every fourth of its weights.
  std::string Write() const {
    GgufWriter file;
    file.String("general.architecture", "llama");
    file.String("general.name", name);
    const uint32_t width = static_cast<uint32_t>(columns);
    for (const auto& [key, value] : std::vector<std::pair<std::string, uint32_t>>{{"context_length", 8}, {"embedding_length", width}, {"block_count", 1},
                                                                                  {"feed_forward_length", width}, {"attention.head_count", 1}}) {
      file.U32("llama." + key, value);
    }
    file.F32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    uint64_t matrix = 0;
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down", "ffn_gate"}) {
      std::string bytes;
      for (uint64_t at = 0; at < columns * columns; at += block) {
        for (uint64_t i = 0; i < block / 4; ++i) {
          int byte = 0;
          for (uint64_t place = 0; place < 4; ++place) {
            const uint64_t e = at + place * (block / 4) + i;
            byte = byte << 2 | (I2sNumber(matrix, e / columns, e % columns) + 1);
          }
          bytes += static_cast<char>(byte);
        }
      }
      if (code_3 && matrix == 6) bytes[0] = static_cast<char>(bytes[0] | 0x0c);  // the third of its four
      bytes += scale;
      bytes.resize(bytes.size() + 28);
      file.Tensor("blk.0." + std::string(part) + ".weight", {columns, columns}, 36, bytes);
      ++matrix;
    }
    file.Floats("token_embd.weight", {4, columns}, std::vector<float>(4 * columns, 0.5f));
    for (const char* norm : {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"}) file.Floats(norm, {columns}, std::vector<float>(columns, 1.0f));
    return file.Bytes();
  }

  Outcome Convert(uint32_t asked, std::vector<float>* gate = nullptr) const {
    ConvertOptions options;
    options.source = TemporaryPath("i2s.gguf");
    options.output = TemporaryPath("i2s.thimble");
    options.as_is = true;
    options.i2s_block = asked;
    WriteFile(options.source, Write());
    ConvertReport report;
    const Outcome outcome = OutcomeOf([&] { report = thimble::Convert(options); });
    if (outcome.code != Code::kOk || gate == nullptr) return outcome;
    size_t ternary = 0;
    for (const ConvertedTensor& t : report.tensors) {
      ternary += t.type == WeightType::kTernary;
      CHECK((t.type != WeightType::kTernary || (t.kept && t.relative_error == 0 && t.source_type == "I2_S" && t.source_bytes == columns * columns / 4)));
    }
    CHECK(ternary == 7);
    *gate = GateOf(options.output);
    return outcome;
  }
};

size_t I2sWrong(const std::vector<float>& gate) {
  size_t wrong = gate.size() != 256 * 256;
  for (size_t i = 0; i < gate.size(); ++i) wrong += gate[i] != 0.375f * static_cast<float>(I2sNumber(6, i / 256, i % 256));
  return wrong;
}

}  // namespace

TEST_CASE("BitNet: I2_S keeps its numbers, in both layouts, where it is said which one it is") {
  for (const uint32_t block : {128u, 64u}) {
    I2sFile file;
    file.block = block;
    std::vector<float> gate;
    REQUIRE(file.Convert(block, &gate).code == Code::kOk);
    CHECK(I2sWrong(gate) == 0);
    // Read as the other one it is another model.
    REQUIRE(file.Convert(192 - block, &gate).code == Code::kOk);
    CHECK(I2sWrong(gate) > 10000);
    const Outcome unsaid = file.Convert(0);
    CHECK(unsaid.code == Code::kUnsupported);
    CHECK((unsaid.Names("blk.0.attn_q.weight") && unsaid.Names("--i2s-block 128")));
  }
  I2sFile published;
  published.name = "bitnet2b";
  std::vector<float> gate;
  REQUIRE(published.Convert(0, &gate).code == Code::kOk);
  CHECK(I2sWrong(gate) == 0);
}

TEST_CASE("BitNet: I2_S that is none is refused by name") {
  for (const float scale : {-1.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    I2sFile bad;
    bad.scale = GgufWriter::Number(scale);
    const Outcome outcome = bad.Convert(128);
    CHECK((outcome.code == Code::kInvalidModel && outcome.Names("blk.0.attn_q.weight': its scale")));
  }
  I2sFile code;
  code.code_3 = true;
  CHECK(code.Convert(128).Names("blk.0.ffn_gate.weight': element 64 has the code 3"));
  CHECK(code.Convert(64).Names("blk.0.ffn_gate.weight': element 32 has the code 3"));
  // Rows that blocks of 128 would not end with.
  I2sFile narrow;
  narrow.columns = 192;
  narrow.block = 64;
  CHECK(narrow.Convert(128).Names("blk.0.attn_q.weight': shape [192, 192]"));
  CHECK(narrow.Convert(64).code == Code::kOk);
}
