// The fixtures of Hugging Face checkpoints once more, rewritten as the GGUF files that they would be: the
// same logits. The rewriting follows the format's own conversion, so that what differs between the two is
// tested, too: the order of rows for rotary pairs, norms with their 1 added, transposed linears, tables of
// frequency divisors.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <map>
#include <set>

#include "format/model_file.h"
#include "ops/linear/embed.h"
#include "runtime/core/float16.h"
#include "targets/convert/rotary.h"
#include "targets/convert/safetensors.h"
#include "tests/golden/golden.h"
#include "tests/convert/gguf_testing.h"

using namespace thimble;
using namespace thimble::test;

namespace {

namespace fs = std::filesystem;

// Parts of names, longest first where one holds another.
const std::vector<std::pair<std::string, std::string>> kNames = {
    {"model.layers.", "blk."},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.qkv_proj", "attn_qkv"},
    {"self_attn.o_proj", "attn_output"},
    {"input_layernorm", "attn_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
    {"mlp.gate_up_proj", "ffn_up"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
    {"h.", "blk."},
    {"ln_1", "attn_norm"},
    {"ln_2", "ffn_norm"},
    {"attn.c_attn", "attn_qkv"},
    {"attn.c_proj", "attn_output"},
    {"mlp.c_fc", "ffn_up"},
    {"mlp.c_proj", "ffn_down"},
    {"ln_f", "output_norm"},
    {"wte", "token_embd"},
    {"wpe", "position_embd"},
};

std::string Renamed(std::string name, bool four_norms) {
  for (const auto& [from, to] : kNames) {
    const size_t at = name.find(from);
    if (at != std::string::npos && (at == 0 || name[at - 1] == '.')) name.replace(at, from.size(), to);
  }
  const std::string after = "post_attention_layernorm";
  if (const size_t at = name.find(after); at != std::string::npos) {
    name.replace(at, after.size(), four_norms ? "post_attention_norm" : "ffn_norm");
  }
  return name;
}

struct Fixture {
  const char* name;
  const char* architecture;
};
const Fixture kFixtures[] = {{"llama", "llama"},
                             {"llama3_rope", "llama"},
                             {"llama_bias_f16", "llama"},
                             {"smollm2", "llama"},
                             {"mistral_swa_sharded", "llama"},
                             {"qwen2_bf16", "qwen2"},
                             {"qwen3", "qwen3"},
                             {"gemma", "gemma"},
                             {"gemma2", "gemma2"},
                             {"gemma3", "gemma3"},
                             {"phi3", "phi3"},
                             {"phi3_partial_rotary", "phi3"},
                             {"gpt2", "gpt2"}};

// Row i of each half of a head to row 2i and 2i + 1.
void Interleave(std::vector<float>& rows, size_t heads, size_t cols) {
  const std::vector<float> from = rows;
  const size_t head_rows = rows.size() / cols / heads;
  for (size_t h = 0; h < heads; ++h) {
    for (size_t r = 0; r < head_rows; ++r) {
      const size_t half = r / (head_rows / 2), i = r % (head_rows / 2);
      std::copy_n(from.begin() + static_cast<std::ptrdiff_t>((h * head_rows + r) * cols), cols,
                  rows.begin() + static_cast<std::ptrdiff_t>((h * head_rows + 2 * i + half) * cols));
    }
  }
}

void Transpose(std::vector<float>& values, std::vector<uint64_t>& shape) {
  const std::vector<float> from = values;
  const size_t rows = shape[0], cols = shape[1];
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) values[c * rows + r] = from[r * cols + c];
  }
  std::swap(shape[0], shape[1]);
}

struct Dimensions {
  uint32_t D, H, G, d;
};

Dimensions WriteFields(const Json& c, const std::string& architecture, GgufWriter& gguf) {
  const std::string a = architecture + ".";
  const auto first = [&](const char* one, const char* other) {
    return c.Has(one) ? c[one] : c[other];
  };
  Dimensions n{};
  n.D = As<uint32_t>(first("hidden_size", "n_embd"));
  n.H = As<uint32_t>(first("num_attention_heads", "n_head"));
  n.G = MemberOr(c, "num_key_value_heads", n.H);
  n.d = c.Has("head_dim") ? As<uint32_t>(c["head_dim"]) : n.D / n.H;
  gguf.String("general.architecture", architecture);
  gguf.U32("general.quantization_version", 2);
  gguf.U32(a + "embedding_length", n.D);
  gguf.U32(a + "block_count", As<uint32_t>(first("num_hidden_layers", "n_layer")));
  gguf.U32(a + "context_length", As<uint32_t>(first("max_position_embeddings", "n_positions")));
  gguf.U32(a + "feed_forward_length", MemberOr(c, "intermediate_size", 4 * n.D));
  gguf.U32(a + "attention.head_count", n.H);
  gguf.U32(a + "attention.head_count_kv", n.G);
  if (c.Has("head_dim")) {
    gguf.U32(a + "attention.key_length", n.d);
    gguf.U32(a + "attention.value_length", n.d);
  }
  if (architecture == "gpt2") {
    gguf.F32(a + "attention.layer_norm_epsilon", As<float>(c["layer_norm_epsilon"]));
    return n;
  }
  gguf.F32(a + "attention.layer_norm_rms_epsilon", As<float>(c["rms_norm_eps"]));
  gguf.F32(a + "rope.freq_base", As<float>(c["rope_theta"]));
  gguf.U32(a + "rope.dimension_count", static_cast<uint32_t>(n.d * MemberOr(c, "partial_rotary_factor", 1.0)));
  gguf.U32(a + "vocab_size", As<uint32_t>(c["vocab_size"]));
  if (architecture != "qwen2" && c.Has("sliding_window")) {
    gguf.U32(a + "attention.sliding_window",
             c["sliding_window"].is_null() ? 0u : As<uint32_t>(c["sliding_window"]));
  }
  if (c.Has("sliding_window_pattern")) {
    gguf.U32(a + "attention.sliding_window_pattern", As<uint32_t>(c["sliding_window_pattern"]));
  }
  for (const char* cap : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    if (c.Has(cap) && !c[cap].is_null()) gguf.F32(a + cap, As<float>(c[cap]));
  }
  const Json scaling = c.Has("rope_scaling") ? c["rope_scaling"] : Json();
  if (scaling.is_object() && scaling["rope_type"] == "linear") {
    gguf.String(a + "rope.scaling.type", "linear");
    gguf.F32(a + "rope.scaling.factor", As<float>(scaling["factor"]));
  }
  if (scaling.is_object() && scaling["rope_type"] == "llama3") {
    gguf.Floats(
        "rope_freqs.weight", {n.d / 2},
        Llama3Divisors(n.d, As<double>(c["rope_theta"]), As<double>(scaling["factor"]), As<double>(scaling["low_freq_factor"]),
                       As<double>(scaling["high_freq_factor"]), As<double>(scaling["original_max_position_embeddings"])));
  }
  return n;
}

// Q8_0, plainly rounded.
std::string Q8Blocks(const std::vector<float>& values) {
  std::string bytes;
  for (size_t start = 0; start < values.size(); start += 32) {
    float largest = 0;
    for (size_t i = start; i < start + 32; ++i) largest = std::max(largest, std::fabs(values[i]));
    const uint16_t half = FloatToHalf(largest / 127);
    bytes += GgufWriter::Number(half);
    for (size_t i = start; i < start + 32; ++i)
      bytes += static_cast<char>(half == 0 ? 0 : std::lround(std::clamp(values[i] / HalfToFloat(half), -127.0f, 127.0f)));
  }
  return bytes;
}

// With `blocks`, matrices whose rows are whole blocks are in Q8_0.
std::string AsGguf(const Fixture& fixture, bool blocks = false) {
  const fs::path folder = fs::path(THIMBLE_GOLDEN_DIR) / fixture.name;
  const Json config = ReadJson(folder / "config.json");
  const std::string architecture = fixture.architecture;
  GgufWriter gguf;
  const Dimensions n = WriteFields(config, architecture, gguf);
  const bool gemma = architecture.starts_with("gemma"), four_norms = gemma && architecture != "gemma";
  // The format has no field for gemma's own attention scale, 1 / sqrt(d) but for one size; q takes the rest.
  const double q_factor = four_norms ? std::sqrt(n.d / config["query_pre_attn_scalar"].as_double()) : 1;
  const auto checkpoint = SafetensorsCheckpoint::OpenDirectory(folder);
  for (size_t i = 0; i < checkpoint->tensors().size(); ++i) {
    const SourceTensor& tensor = checkpoint->tensors()[i];
    if (tensor.shape.size() > 2) continue;  // causal masks
    std::vector<float> values(tensor.elements);
    checkpoint->ReadFloats(i, 0, values.size(), values.data());
    std::vector<uint64_t> shape = tensor.shape;
    const std::string name = Renamed(tensor.name, four_norms);
    const bool q = name.find("attn_q.") != std::string::npos, k = name.find("attn_k.") != std::string::npos;
    if (architecture == "llama" && (q || k))
      Interleave(values, q ? n.H : n.G, shape.size() == 2 ? shape[1] : 1);
    if (architecture == "gpt2" && shape.size() == 2 && name.starts_with("blk.")) Transpose(values, shape);
    if (gemma && name.ends_with("norm.weight")) {
      for (float& v : values) v += 1;
    }
    if (name.find(architecture == "gemma3" ? "attn_q_norm." : "attn_q.") != std::string::npos && four_norms) {
      for (float& v : values) v = static_cast<float>(v * q_factor);
    }
    if (blocks && shape.size() == 2 && shape[1] % 32 == 0 && name != "position_embd.weight") {
      gguf.Tensor(name, shape, 8, Q8Blocks(values));
    } else {
      gguf.Floats(name, shape, values);
    }
  }
  return gguf.Bytes();
}

std::vector<float> Decoded(const ModelFile& file, uint32_t tensor) {
  const TensorSpec t = file.header().tensor(tensor);
  const WeightRows rows = {
      .type = t.type, .n = t.rows, .k = t.cols, .block = t.block, .data = file.TensorData(tensor), .scales = file.TensorScales(tensor)};
  std::vector<float> values(size_t{t.rows} * t.cols);
  for (uint32_t r = 0; r < t.rows; ++r) DecodeWeightRow(rows, r, 1, values.data() + size_t{r} * t.cols);
  return values;
}

}  // namespace

TEST_CASE("GGUF files of the fixtures' numbers give the fixtures' logits") {
  for (const Fixture& fixture : kFixtures) {
    INFO(fixture.name);
    const std::string path = TemporaryPath(std::string(fixture.name) + ".gguf");
    std::ofstream(path, std::ios::binary) << AsGguf(fixture);
    const Json expected = ReadJson(fs::path(THIMBLE_GOLDEN_DIR) / fixture.name / "expected.json");
    const auto ids = As<std::vector<int32_t>>(expected["ids"]);
    const auto logits = As<std::vector<std::vector<double>>>(expected["logits"]);
    Runner runner(ConvertTo(std::string(fixture.name) + "-gguf", path, WeightType::kF32),
                  CacheOptions(THIMBLE_CACHE_F32));
    CHECK(MaxDifference(runner.Prefill(ids), logits) < 2e-4);
  }
}

// Among them rows of q, k and v, and of gate and up, out of one stored tensor.
TEST_CASE("GGUF: matrices that keep their blocks are those of the same file in floats") {
  for (const Fixture& fixture : kFixtures) {
    INFO(fixture.name);
    ConvertOptions options;
    options.source = TemporaryPath(std::string(fixture.name) + "-blocks.gguf");
    std::ofstream(options.source, std::ios::binary) << AsGguf(fixture, true);
    ModelFile files[2];
    std::set<std::string> kept;
    for (const bool as_is : {false, true}) {
      options.output = TemporaryPath(std::string(fixture.name) + (as_is ? "-kept.thimble" : "-floats.thimble"));
      options.as_is = as_is;
      for (const ConvertedTensor& tensor : Convert(options).tensors) {
        if (tensor.kept) kept.insert(tensor.name);
      }
      REQUIRE(files[as_is].Open(options.output.string().c_str()).ok());
    }
    REQUIRE(files[0].header().tensors() == files[1].header().tensors());
    for (uint32_t i = 0; i < files[0].header().tensors(); ++i) {
      INFO(files[1].header().tensor_name(i));
      if (!kept.contains(std::string(files[1].header().tensor_name(i)))) continue;
      CHECK(files[1].header().tensor(i).type == WeightType::kQ8_0);
      const bool same = Decoded(files[0], i) == Decoded(files[1], i);
      CHECK(same);
    }
    const std::string name = fixture.name;
    const bool rows_of_blocks = name == "llama3_rope" || name == "phi3_partial_rotary" || name == "gpt2";
    if (rows_of_blocks) CHECK((kept.contains("layer.1.attention.k.weight") && kept.contains("layer.1.ffn.up.weight")));
  }
}
