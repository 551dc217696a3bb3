// A GGUF file: its header, its vocabulary, its plan, the last elements of each tensor.
#include <algorithm>
#include <cstdio>

#include "targets/convert/family_gguf.h"
#include "targets/convert/gguf_file.h"
#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/fuzz/fuzz.h"
#include "tests/convert/gguf_testing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace thimble;
  const auto attempt = [](auto what) {
    try {
      what();
    } catch (const ImportError&) {
    }
  };
  attempt([&] {
    const auto checkpoint = GgufCheckpoint::Open(fuzz::AsFile(data, size));
    attempt([&] { (void)PlanGguf(*checkpoint, {}); });
    attempt([&] { (void)WriteTokenizerSegment(ReadGgufVocabulary(checkpoint->metadata())); });
    for (size_t i = 0; i < std::min<size_t>(checkpoint->tensors().size(), 64); ++i) {
      const SourceTensor& tensor = checkpoint->tensors()[i];
      float last[64];
      const uint64_t n = std::min<uint64_t>(tensor.elements, 64);
      checkpoint->ReadFloats(i, tensor.elements - n, n, last);
    }
  });
  return 0;
}

namespace thimble::fuzz {

std::vector<std::string> Seeds() {
  test::GgufWriter model, vocabulary;
  model.String("general.architecture", "llama");
  for (const auto& [key, value] : std::vector<std::pair<std::string, uint32_t>>{
           {"context_length", 8}, {"embedding_length", 8}, {"block_count", 1}, {"feed_forward_length", 8}, {"attention.head_count", 2}}) {
    model.U32("llama." + key, value);
  }
  model.Array<uint32_t>("llama.attention.head_count_kv", 4, {1});
  model.F32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  const auto floats = [&](const std::string& name, const std::vector<uint64_t>& shape) {
    uint64_t n = 1;
    for (const uint64_t d : shape) n *= d;
    model.Floats(name, shape, std::vector<float>(n, 0.5f));
  };
  floats("token_embd.weight", {4, 8});
  for (const char* name : {"attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) floats(std::string("blk.0.") + name + ".weight", {8, 8});
  for (const char* name : {"attn_k", "attn_v"}) floats(std::string("blk.0.") + name + ".weight", {4, 8});
  for (const char* name : {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"}) floats(name, {8});
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
  test::GgufWriter bytes;
  bytes.String("tokenizer.ggml.model", "gpt2");
  bytes.String("tokenizer.ggml.pre", "gpt-2");
  bytes.Strings("tokenizer.ggml.tokens", {"a", "b", "ab", "<|endoftext|>"});
  bytes.Strings("tokenizer.ggml.merges", {"a b"});
  bytes.Array<int32_t>("tokenizer.ggml.token_type", 5, {1, 1, 1, 3});
  bytes.U32("general.alignment", 64);
  return {model.Bytes(), vocabulary.Bytes(), bytes.Bytes()};
}

std::vector<std::string> Words() {
  using test::GgufWriter;
  std::vector<std::string> words = {"GGUF", "llama.", "general.alignment", "tokenizer.ggml.merges", "rope_freqs.weight",
                                    "\xe2\x96\x81", "<0x41>", "a b"};
  for (const uint32_t type : {0u, 4u, 8u, 9u, 12u}) words.push_back(GgufWriter::Number(type));
  words.push_back(GgufWriter::Text("llama.rope.scaling.type"));
  words.push_back(GgufWriter::Number<uint64_t>(1));
  return words;
}

}  // namespace thimble::fuzz
