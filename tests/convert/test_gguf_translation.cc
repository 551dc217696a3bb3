// GGUF files that are read as what they were made from: what is refused, and what is kept.
#include <catch2/catch_test_macros.hpp>

#include "targets/convert/convert.h"
#include "tests/convert/gguf_model.h"

using namespace thimble;
using namespace thimble::test;

using Model = GgufModelFile;

TEST_CASE("GGUF: translated names and keys are refused by those in the file") {
  const auto with = [](const std::function<void(Model&)>& before, const std::function<void(GgufWriter&)>& fields = {}) {
    return ConvertWith([&](Model& m) {
      m.architecture = "smollm3";
      if (before) before(m);
    }, fields);
  };
  REQUIRE(with({}).code == Code::kOk);
  for (const char* tensor : {"blk.1.ffn_up.weight", "token_embd.weight", "output_norm.weight", "blk.0.attn_k.weight"})
    CHECK(with([&](Model& m) { m.drop = tensor; }).Names("tensor '" + std::string(tensor) + "': is missing"));
  CHECK(with([](Model& m) { m.q8_scale_nan = true; }).Names("tensor 'blk.0.attn_q.weight' [32, 32]: element 0 is NaN"));
  CHECK(with([](Model& m) { m.kv_heads = {2, 3}; }).Names("tensor 'blk.1.attn_k.weight': shape [24, 32]"));
  for (const char* key : {"smollm3.logit_scale", "smollm3.expert_count", "smollm3.rope.scaling.yarn_ext_factor", "smollm3.vocab_size",
                          "smollm3.rope.dimension_count", "smollm3.attention.causal", "other.key"}) {
    const Outcome outcome = with({}, [&](GgufWriter& f) {
      if (key == std::string("smollm3.attention.causal")) f.Bool(key, false);
      else f.U32(key, 3);
    });
    INFO(outcome.message);
    CHECK(outcome.Names("field '" + std::string(key) + "'"));
  }
  CHECK(with({}, [](GgufWriter& f) { f.String("smollm3.rope.scaling.type", "su"); }).Names("'smollm3.rope.scaling.type': 'su'"));
  CHECK(with([](Model& m) {
          m.lists = [](GgufWriter& f) {
            f.U32("smollm3.feed_forward_length", 64);
            f.U32("smollm3.attention.head_count", 4);
            f.Array<uint32_t>("smollm3.attention.head_count_kv", 4, {2, 1});
          };
        }).Names("'smollm3.attention.head_count_kv': layers with different numbers"));
  // A name that only looks like a layer's, and one of no expert.
  for (const char* name : {"blk.x.attn_q.weight", "blk.99999999999.attn_q.weight", "blk.1.ffn_gate_exps.weight", "blk.", "blk.1", "."}) {
    const Outcome outcome = ConvertWith([](Model& m) { m.architecture = "smollm3"; }, {}, [&](GgufWriter& f) { f.Floats(name, {2, 1, 1}, {1, 2}); });
    INFO(name << ": " << outcome.message);
    CHECK(outcome.code == Code::kUnsupported);
    CHECK(outcome.Names("tensor '" + std::string(name) + "'"));
  }
}

TEST_CASE("GGUF: rows that are turned back keep their blocks") {
  Model model;
  model.architecture = "smollm3";
  model.Fields();
  model.Tensors();
  ConvertOptions options;
  options.source = TemporaryPath("turned.gguf");
  options.output = TemporaryPath("turned.thimble");
  WriteFile(options.source, model.file.Bytes());
  options.as_is = true;
  for (const ConvertedTensor& tensor : Convert(options).tensors) CHECK(tensor.kept == (tensor.name == "layer.0.attention.q.weight"));
}
