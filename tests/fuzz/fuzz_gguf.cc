// A GGUF file: its header, its vocabulary, its plan, the last elements of each tensor.
#include <algorithm>
#include <cstdio>

#include "targets/convert/family_gguf.h"
#include "targets/convert/gguf_file.h"
#include "targets/convert/gguf_rows.h"
#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/fuzz/fuzz.h"
#include "tests/convert/gguf_testing.h"

namespace {

// The start of a tensor's first row, as the conversion moves it.
void Carry(const thimble::GgufCheckpoint& checkpoint, size_t tensor, const thimble::GgufBlockType& type) {
  using namespace thimble;
  const uint32_t k = static_cast<uint32_t>(std::min<uint64_t>(checkpoint.tensors()[tensor].shape.back(), 1024));
  std::vector<uint8_t> blocks(k / type.elements * type.bytes), data(k / 8 * FormatOf(type.weights)->bits),
      scales(BlockScaleBytes(*FormatOf(type.weights), k));
  checkpoint.ReadBlocks(tensor, 0, k, blocks.data());
  CarryGgufRow(type, blocks.data(), k, data.data(), scales.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace thimble;
  const auto attempt = [](auto what) {
    try {
      what();
    } catch (const ImportError&) {
    }
  };
  attempt([&] {
    auto checkpoint = GgufCheckpoint::Open(fuzz::AsFile(data, size));
    attempt([&] { (void)WriteTokenizerSegment(ReadGgufVocabulary(checkpoint->metadata())); });
    for (size_t i = 0; i < std::min<size_t>(checkpoint->tensors().size(), 64); ++i) {
      const SourceTensor& tensor = checkpoint->tensors()[i];
      float last[64];
      const uint64_t n = std::min<uint64_t>(tensor.elements, 64);
      checkpoint->ReadFloats(i, tensor.elements - n, n, last);
      if (const GgufBlockType* type = checkpoint->BlocksOf(i)) Carry(*checkpoint, i, *type);
    }
    (void)PlanGguf(std::move(checkpoint), {});
  });
  return 0;
}

namespace thimble::fuzz {

// A model of one layer.
std::string Model(const std::string& architecture) {
  test::GgufWriter model;
  model.String("general.architecture", architecture);
  for (const auto& [key, value] : std::vector<std::pair<std::string, uint32_t>>{
           {"context_length", 8}, {"embedding_length", 8}, {"block_count", 1}, {"feed_forward_length", 8}, {"attention.head_count", 2}}) {
    model.U32(architecture + "." + key, value);
  }
  model.Array<uint32_t>(architecture + ".attention.head_count_kv", 4, {1});
  model.F32(architecture + ".attention.layer_norm_rms_epsilon", 1e-5f);
  const auto floats = [&](const std::string& name, const std::vector<uint64_t>& shape) {
    uint64_t n = 1;
    for (const uint64_t d : shape) n *= d;
    model.Floats(name, shape, std::vector<float>(n, 0.5f));
  };
  floats("token_embd.weight", {4, 8});
  for (const char* name : {"attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) floats(std::string("blk.0.") + name + ".weight", {8, 8});
  for (const char* name : {"attn_k", "attn_v"}) floats(std::string("blk.0.") + name + ".weight", {4, 8});
  for (const char* name : {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"}) floats(name, {8});
  return model.Bytes();
}

std::vector<std::string> Seeds() {
  test::GgufWriter vocabulary;
  vocabulary.String("tokenizer.ggml.model", "llama");
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "\xe2\x96\x81" "a", "b"};
  std::vector<int32_t> types = {2, 3, 3, 1, 1};
  for (unsigned byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    tokens.push_back(name);
    types.push_back(6);
  }
  vocabulary.Strings("tokenizer.ggml.tokens", tokens);
  vocabulary.Array<float>("tokenizer.ggml.scores", 6, std::vector<float>(tokens.size(), -1.0f));
  vocabulary.Array<int32_t>("tokenizer.ggml.token_type", 5, types);
  vocabulary.Tensor("q8", {1, 32}, 8, std::string(34, '?'));
  for (const uint32_t type : {2u, 3u, 6u, 7u, 10u, 11u, 12u, 13u, 14u, 20u, 23u, 34u, 35u, 39u}) {
    const GgufBlockType* blocks = FindGgufBlockType(type);
    vocabulary.Tensor(blocks->name, {1, 256}, type, std::string(256 / blocks->elements * blocks->bytes, 'x'));
  }
  test::GgufWriter bytes;
  bytes.String("tokenizer.ggml.model", "gpt2");
  bytes.String("tokenizer.ggml.pre", "gpt-2");
  bytes.Strings("tokenizer.ggml.tokens", {"a", "b", "ab", "<|endoftext|>"});
  bytes.Strings("tokenizer.ggml.merges", {"a b"});
  bytes.Array<int32_t>("tokenizer.ggml.token_type", 5, {1, 1, 1, 3});
  bytes.U32("general.alignment", 64);
  return {Model("llama"), Model("smollm3"), vocabulary.Bytes(), bytes.Bytes()};
}

std::vector<std::string> Words() {
  using test::GgufWriter;
  std::vector<std::string> words = {"GGUF", "llama.", "smollm3.", "qwen3moe.", "granitehybrid.", "lfm2moe.", "deepseek2.", "gemma4.", "qwen35.", "nemotron_h.", "bert.",
                                    "attention.head_count_kv", "ffn_gate_exps.weight", "ssm.inner_size", "attention.sliding_window_pattern", "general.alignment", "tokenizer.ggml.merges", "rope_freqs.weight",
                                    "\xe2\x96\x81", "<0x41>", "a b"};
  for (const uint32_t type : {0u, 4u, 8u, 9u, 12u}) words.push_back(GgufWriter::Number(type));
  words.push_back(GgufWriter::Text("llama.rope.scaling.type"));
  words.push_back(GgufWriter::Number<uint64_t>(1));
  return words;
}

}  // namespace thimble::fuzz
