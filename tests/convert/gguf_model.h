// A small GGUF model for tests, with something done to it, and what its conversion comes to.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "tests/convert/gguf_testing.h"
#include "tests/convert/import_testing.h"
#include "tests/support/model_builder.h"

namespace thimble::test {

inline constexpr uint32_t kQ8_0 = 8;

// Two layers, D 32, H 4, G 2, F 64, V 20; q of the first layer in Q8_0.
struct GgufModelFile {
  GgufWriter file;
  std::string architecture = "llama";
  bool q8_scale_nan = false;
  std::string drop;  // a tensor that is left out
  std::vector<uint32_t> kv_heads = {2, 2}, ffn = {64, 64};
  std::function<void(GgufWriter&)> lists;  // the fields of heads and F, where they are lists

  void Fields() {
    const std::string a = architecture + ".";
    file.String("general.architecture", architecture);
    file.String("general.name", "tiny");
    file.U32(a + "context_length", 64);
    file.U32(a + "embedding_length", 32);
    file.U32(a + "block_count", 2);
    if (lists) {
      lists(file);
    } else {
      file.U32(a + "feed_forward_length", 64);
      file.U32(a + "attention.head_count", 4);
      file.U32(a + "attention.head_count_kv", 2);
    }
    file.F32(a + "attention.layer_norm_rms_epsilon", 1e-5f);
  }
  void Tensors() {
    const auto add = [this](const std::string& name, std::vector<uint64_t> shape) {
      if (name != drop) file.Floats(name, shape, RandomTensor(name, shape).values);
    };
    add("token_embd.weight", {20, 32});
    for (size_t layer = 0; layer < 2; ++layer) {
      const std::string b = "blk." + std::to_string(layer) + ".";
      const uint64_t F = ffn[layer], kv = uint64_t{8} * kv_heads[layer];
      add(b + "attn_norm.weight", {32});
      if (b == "blk.0.") {
        std::string block(34, '\1');
        if (q8_scale_nan) block[0] = block[1] = '\x7f';
        std::string data;
        for (int i = 0; i < 32; ++i) data += block;
        file.Tensor(b + "attn_q.weight", {32, 32}, kQ8_0, data);
      } else {
        add(b + "attn_q.weight", {32, 32});
      }
      add(b + "attn_k.weight", {kv, 32});
      add(b + "attn_v.weight", {kv, 32});
      add(b + "attn_output.weight", {32, 32});
      add(b + "ffn_norm.weight", {32});
      add(b + "ffn_gate.weight", {F, 32});
      add(b + "ffn_up.weight", {F, 32});
      add(b + "ffn_down.weight", {32, F});
    }
    add("output_norm.weight", {32});
  }
};

inline Outcome ConvertBytes(const std::string& bytes) {
  const fs::path path = TemporaryPath("model.gguf");
  WriteFile(path, bytes);
  const Outcome outcome = ConvertOutcome(path);
  if (outcome.code != Code::kOk) CHECK(outcome.Names("model.gguf"));
  return outcome;
}

// The model with something done to it before its fields, after them, or after its tensors.
inline Outcome ConvertWith(const std::function<void(GgufModelFile&)>& before,
                    const std::function<void(GgufWriter&)>& fields = {},
                    const std::function<void(GgufWriter&)>& tensors = {}) {
  GgufModelFile model;
  if (before) before(model);
  model.Fields();
  if (fields) fields(model.file);
  model.Tensors();
  if (tensors) tensors(model.file);
  return ConvertBytes(model.file.Bytes());
}

inline Outcome WithField(const std::function<void(GgufWriter&)>& fields) { return ConvertWith({}, fields); }
inline Outcome WithTensor(const std::function<void(GgufWriter&)>& tensors) { return ConvertWith({}, {}, tensors); }

}  // namespace thimble::test
