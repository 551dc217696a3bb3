// GGUF files: broken ones of every kind, values that change the mathematics, ranges that start inside a
// block, vocabularies.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <functional>

#include "runtime/template/answer.h"
#include "targets/convert/convert.h"
#include "targets/convert/family_gguf.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/convert/gguf_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

using Model = GgufModelFile;

template <typename T>
std::string Bytes(T value) {
  return GgufWriter::Number(value);
}

}  // namespace

TEST_CASE("GGUF: a Llama with its rotary pairs side by side, head tied") {
  Model model;
  model.Fields();
  model.file.String("tokenizer.chat_template",
                    "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% for c in m.tool_calls %}<c>{{ c.function|tojson }}</c>{% endfor %}<|e|>{% endfor %}");
  model.file.String("tokenizer.chat_template.plain", "{% for m in messages %}{{ m.content }}<|e|>{% endfor %}");
  model.Tensors();
  const fs::path path = TemporaryPath("tiny.gguf"), out = TemporaryPath("tiny.thimble");
  WriteFile(path, model.file.Bytes());
  ConvertOptions options;
  options.source = path;
  options.output = out;
  options.weights = WeightType::kQ8;
  const ConvertReport report = Convert(options);
  CHECK(report.name == "tiny");
  CHECK(report.family == "llama");
  CHECK(report.chat_templates == std::vector<std::string>{"default from tokenizer.chat_template", "plain from tokenizer.chat_template.plain"});
  CHECK(report.no_calls == std::vector<std::string>{"", "the template writes no tool calls"});
  ModelFile file;
  REQUIRE(file.Open(out.string().c_str()).ok());
  const ChatFormatView format = file.header().chat_format(0);
  const Result<chat::AnswerFormat> answer = chat::VerifyAnswerFormat(format.answer, format.answer_bytes);
  REQUIRE(answer.ok());
  CHECK(answer.value().calls);
  CHECK(answer.value().ends[0] == "<|e|>");
  CHECK_FALSE(report.has_tokenizer);
  LayerSpec layer = LayersOf(out.string()).at(1);
  CHECK(layer.attention().rope.pairing == RopePairing::kInterleaved);
  CHECK((layer.attention().rope.width == 8 && layer.attention().rope.theta == 10000));
  CHECK((layer.attention().heads == 4 && layer.attention().kv_heads == 2 && layer.ffn().width == 64));
  CHECK(SpecOf(out.string()).output.tied);
}

TEST_CASE("GGUF: ranges that start and end inside of blocks") {
  Model model;
  model.Fields();
  model.Tensors();
  std::string data;
  for (int i = 0; i < 64 * 34; ++i) data += static_cast<char>(i % 34 == 1 ? 0x3c : i % 34 == 0 ? 0 : i % 251);
  model.file.Tensor("extra", {64, 32}, kQ8_0, data);
  const fs::path path = TemporaryPath("ranges.gguf");
  WriteFile(path, model.file.Bytes());
  const auto checkpoint = GgufCheckpoint::Open(path);
  const size_t tensor = *checkpoint->Find("extra");
  CHECK(checkpoint->tensors()[tensor].shape == std::vector<uint64_t>{64, 32});
  std::vector<float> all(64 * 32), part(64 * 32);
  checkpoint->ReadFloats(tensor, 0, all.size(), all.data());
  CHECK(all[0] == 2);
  for (const auto& [first, count] : std::vector<std::pair<size_t, size_t>>{
           {0, 1}, {31, 2}, {5, 90}, {32, 32}, {33, 31}, {2047, 1}, {7, 0}}) {
    checkpoint->ReadFloats(tensor, first, count, part.data());
    CHECK(std::equal(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count),
                     all.begin() + static_cast<std::ptrdiff_t>(first)));
  }
  CHECK(OutcomeOf([&] { checkpoint->ReadFloats(tensor, 2047, 2, part.data()); }).code == Code::kOutOfRange);
}

TEST_CASE("GGUF: every length of a file but its own is refused") {
  Model model;
  model.Fields();
  model.Tensors();
  const std::string whole = model.file.Bytes();
  REQUIRE(ConvertBytes(whole).code == Code::kOk);
  const fs::path path = TemporaryPath("cut.gguf");
  for (size_t size = 4; size < whole.size(); size += size < 3000 ? 13 : 1009) {
    WriteFile(path, whole.substr(0, size));
    const Outcome outcome = OutcomeOf([&] { GgufCheckpoint::Open(path); });
    INFO(size << ": " << outcome.message);
    CHECK(outcome.code == Code::kTruncated);
  }
  CHECK(ConvertBytes(whole + "1").code == Code::kTrailingBytes);
}

TEST_CASE("GGUF: headers at their worst") {
  CHECK(ConvertWith([](Model& m) { m.file.version = 1; }).Names("header version"));
  CHECK(ConvertWith([](Model& m) { m.file.version = 0x03000000; }).Names("big-endian"));
  CHECK(ConvertWith([](Model& m) { m.file.version = 2; }).code == Code::kOk);
  for (const uint64_t count : {uint64_t{1} << 20, uint64_t{1} << 60, UINT64_MAX / 2}) {
    CHECK(ConvertWith([&](Model& m) { m.file.extra_pairs = count; }).Names("key count"));
    CHECK(ConvertWith([&](Model& m) { m.file.extra_tensors = count; }).Names("tensor count"));
  }
  CHECK(WithField([](GgufWriter& f) {
          f.U32("llama.block_count", 2);
        }).Names("'llama.block_count': is there twice"));
  CHECK(WithField([](GgufWriter& f) { f.U32("", 2); }).Names("is empty"));
  CHECK(WithField([](GgufWriter& f) { f.Pair("general.x", 13, ""); }).Names("'general.x': unknown type 13"));
  CHECK(WithField([](GgufWriter& f) { f.Pair("general.x", 7, "\2"); }).Names("'general.x': truth value 2"));
  CHECK(WithField([](GgufWriter& f) {
          f.Pair("general.x", 8, Bytes(UINT64_MAX));
        }).Names("field 'general.x': needs"));
  const auto array = [](uint32_t type, uint64_t count) {
    return WithField([&](GgufWriter& f) { f.Pair("general.x", 9, Bytes(type) + Bytes(count)); });
  };
  CHECK(array(9, 1).Names("'general.x': arrays of arrays"));
  CHECK(array(77, 1).Names("'general.x': array of the unknown type 77"));
  for (const uint32_t type : {0u, 4u, 8u, 12u}) {
    CHECK(array(type, UINT64_MAX).Names("field 'general.x'"));
    CHECK(array(type, (UINT64_MAX >> 3) + 2).Names("field 'general.x'"));
  }
  for (const uint32_t alignment : {0u, 3u, 1u << 21}) {
    CHECK(
        WithField([&](GgufWriter& f) { f.U32("general.alignment", alignment); }).Names("general.alignment"));
  }
  CHECK(ConvertWith([](Model& m) { m.file.alignment = 64; },
                    [](GgufWriter& f) { f.U32("general.alignment", 64); })
            .code == Code::kOk);
}

TEST_CASE("GGUF: tensors at their worst") {
  const std::string data(128, '\0');
  const auto refused = [&](const std::vector<uint64_t>& shape, uint32_t type, uint64_t offset,
                           const char* text) {
    const Outcome outcome = WithTensor([&](GgufWriter& f) { f.Tensor("bad", shape, type, data, offset); });
    INFO(text << " in: " << outcome.message);
    CHECK(outcome.Names("tensor 'bad'"));
    CHECK(outcome.Names(text));
  };
  refused({32}, 17, UINT64_MAX, "type IQ2_XS is not supported");
  refused({32}, 99, UINT64_MAX, "type number 99 is not supported");
  refused({}, 0, UINT64_MAX, "0 dimensions");
  refused({1, 1, 1, 1, 32}, 0, UINT64_MAX, "5 dimensions");
  refused({0, 32}, 0, UINT64_MAX, "no sensible product");
  refused({uint64_t{1} << 40, uint64_t{1} << 40}, 0, UINT64_MAX, "no sensible product");
  refused({uint64_t{1} << 62}, 0, UINT64_MAX, "ends behind the file");
  refused({4, 40}, kQ8_0, UINT64_MAX, "multiple of 32");
  refused({1000}, 0, UINT64_MAX, "ends behind the file");
  refused({32}, 0, 1 << 30, "ends behind the file");
  refused({32}, 0, UINT64_MAX - 31, "ends behind the file");
  refused({32}, 0, 33, "not a multiple of the alignment");
  CHECK(WithTensor([&](GgufWriter& f) { f.Tensor("bad", {32}, 0, "", 0); }).Names("overlaps tensor"));
  CHECK(WithTensor([&](GgufWriter& f) {
          f.Tensor("bad", {32}, 0, data);
        }).Names("tensor 'bad': shape [32] has no place"));
  CHECK(WithTensor([&](GgufWriter& f) {
          f.Tensor("output_norm.weight", {32}, 0, data);
        }).Names("is there twice"));
  CHECK(WithTensor([&](GgufWriter& f) { f.Tensor("", {32}, 0, data); }).Names("has no name"));
  CHECK(WithTensor([&](GgufWriter& f) {
          f.Tensor("output.weight", {32}, 0, data);
        }).Names("'output.weight': shape [32]"));
  CHECK(ConvertWith([](Model& m) {
          m.drop = "blk.1.ffn_up.weight";
        }).Names("tensor 'blk.1.ffn_up.weight': is missing"));
  CHECK(ConvertWith([](Model& m) {
          m.drop = "token_embd.weight";
        }).Names("tensor 'token_embd.weight': is missing"));
  CHECK(ConvertWith([](Model& m) {
          m.q8_scale_nan = true;
        }).Names("tensor 'blk.0.attn_q.weight' [32, 32]: element 0 is NaN"));
}

TEST_CASE("GGUF: values that change the mathematics are refused by name") {
  CHECK(ConvertWith([](Model& m) {
          m.architecture = "mamba";
        }).Names("'general.architecture': 'mamba' is not supported"));
  const auto refused = [](const char* key, const std::function<void(GgufWriter&)>& fields) {
    const Outcome outcome = WithField(fields);
    INFO(outcome.message);
    CHECK(outcome.Names(std::string("field '") + key + "'"));
  };
  for (const char* key :
       {"llama.logit_scale", "llama.attention.clamp_kqv", "llama.rope.scaling.yarn_beta_fast", "other.key"}) {
    refused(key, [&](GgufWriter& f) { f.F32(key, 0.5f); });
  }
  refused("general.type", [](GgufWriter& f) { f.String("general.type", "adapter"); });
  refused("general.quantization_version", [](GgufWriter& f) { f.U32("general.quantization_version", 1); });
  refused("split.count", [](GgufWriter& f) { f.U32("split.count", 3); });
  refused("llama.expert_count", [](GgufWriter& f) { f.U32("llama.expert_count", 8); });
  refused("llama.vocab_size", [](GgufWriter& f) { f.U32("llama.vocab_size", 21); });
  refused("llama.attention.value_length", [](GgufWriter& f) { f.U32("llama.attention.value_length", 4); });
  refused("llama.attention.causal", [](GgufWriter& f) { f.Bool("llama.attention.causal", false); });
  refused("llama.rope.scaling.type", [](GgufWriter& f) { f.String("llama.rope.scaling.type", "yarn"); });
  refused("llama.rope.dimension_count", [](GgufWriter& f) { f.U32("llama.rope.dimension_count", 7); });
  refused("llama.rope.freq_base", [](GgufWriter& f) { f.F32("llama.rope.freq_base", -1); });
  CHECK(WithField([](GgufWriter& f) { f.U32("llama.expert_count", 0); }).code == Code::kOk);
}

// Writers that keep numbers by layer write lists where others write one number.
TEST_CASE("GGUF: a list with a number for each layer") {
  const auto convert = [](const std::vector<uint32_t>& kv, const std::vector<uint32_t>& ffn) {
    Model model;
    model.lists = [&](GgufWriter& f) {
      f.Array<uint32_t>("llama.attention.head_count", 4, {4, 4});
      f.Array<uint32_t>("llama.attention.head_count_kv", 4, kv);
      f.Array<uint32_t>("llama.feed_forward_length", 4, ffn);
    };
    for (size_t i = 0; i < 2; ++i) model.kv_heads[i] = std::max(kv[i], 1u);
    model.ffn = ffn;
    model.Fields();
    model.Tensors();
    return ConvertBytes(model.file.Bytes());
  };
  CHECK(convert({2, 2}, {64, 64}).code == Code::kOk);
  CHECK(convert({4, 1}, {64, 96}).code == Code::kOk);
  Model model;
  model.lists = [](GgufWriter& f) {
    f.Array<uint32_t>("llama.attention.head_count", 4, {4, 4});
    f.Array<uint32_t>("llama.attention.head_count_kv", 4, {4, 1});
    f.Array<uint32_t>("llama.feed_forward_length", 4, {64, 96});
  };
  model.kv_heads = {4, 1};
  model.ffn = {64, 96};
  model.Fields();
  model.Tensors();
  const fs::path path = TemporaryPath("lists.gguf"), out = TemporaryPath("lists.thimble");
  WriteFile(path, model.file.Bytes());
  ConvertOptions options;
  options.source = path;
  options.output = out;
  Convert(options);
  const std::vector<LayerSpec> layers = LayersOf(out.string());
  CHECK((layers.at(0).attention().kv_heads == 4 && layers.at(1).attention().kv_heads == 1));
  CHECK((layers.at(0).ffn().width == 64 && layers.at(1).ffn().width == 96));

  CHECK(convert({2, 3}, {64, 64}).Names("field 'llama.attention.head_count_kv': found 3"));
  CHECK(convert({2, 2, 2}, {64, 64}).Names("'llama.attention.head_count_kv': has 3 numbers"));
  CHECK(convert({2, 0}, {64, 64}).Names("'llama.attention.head_count_kv': found 0"));
  CHECK(convert({2, 2}, {64, 64, 64}).Names("'llama.feed_forward_length': has 3 numbers"));
}

TEST_CASE("GGUF: which layers slide, as a list") {
  const auto windows = [](const std::vector<uint8_t>& slides) {
    Model model;
    model.Fields();
    model.file.U32("llama.attention.sliding_window", 8);
    model.file.Array<uint8_t>("llama.attention.sliding_window_pattern", 7, slides);
    model.Tensors();
    const fs::path path = TemporaryPath("slides.gguf"), out = TemporaryPath("slides.thimble");
    WriteFile(path, model.file.Bytes());
    ConvertOptions options;
    options.source = path;
    options.output = out;
    Convert(options);
    std::vector<uint32_t> found;
    for (const LayerSpec& layer : LayersOf(out.string())) found.push_back(layer.attention().window);
    return found;
  };
  CHECK(windows({1, 0}) == std::vector<uint32_t>{8, 0});
  CHECK(windows({0, 1}) == std::vector<uint32_t>{0, 8});
  CHECK(OutcomeOf([&] { windows({0, 1, 1}); }).Names("sliding_window_pattern': has 3 values"));
}

// Phi-3 with long contexts: one table of divisors for short texts and one for long ones.
TEST_CASE("GGUF: rope factors of longrope") {
  const std::vector<float> shorts = {1, 1.5f, 2, 3}, longs = {4, 5, 6, 7};
  const auto convert = [&](const std::function<void(GgufWriter&)>& fields) {
    Model model;
    model.Fields();
    model.file.U32("llama.rope.scaling.original_context_length", 16);
    model.file.F32("llama.rope.scaling.attn_factor", 1.25f);
    fields(model.file);
    model.Tensors();
    model.file.Floats("rope_factors_long.weight", {4}, longs);
    model.file.Floats("rope_factors_short.weight", {4}, shorts);
    return model.file.Bytes();
  };
  const fs::path path = TemporaryPath("factors.gguf"), out = TemporaryPath("factors.thimble");
  WriteFile(path, convert([](GgufWriter&) {}));
  ConvertOptions options;
  options.source = path;
  options.output = out;
  Convert(options);
  const RopeSpec rope = LayersOf(out.string()).at(1).attention().rope;
  CHECK(rope.magnitude == 1.25f);
  CHECK(SpecOf(out.string()).max_positions == 16);
  ModelFile file;
  REQUIRE(file.Open(out.string().c_str()).ok());
  REQUIRE(rope.freq_divisors != kNoTensor);
  const float* divisors = static_cast<const float*>(file.TensorData(static_cast<uint32_t>(rope.freq_divisors)));
  CHECK(std::vector<float>(divisors, divisors + 4) == shorts);
  CHECK(ConvertBytes(convert([](GgufWriter& f) { f.String("llama.rope.scaling.type", "longrope"); })).code == Code::kOk);
  CHECK(ConvertBytes(convert([](GgufWriter& f) { f.String("llama.rope.scaling.type", "yarn"); }))
            .Names("'llama.rope.scaling.type'"));
}

TEST_CASE("GGUF: alignments that the format allows") {
  for (const uint32_t alignment : {8u, 24u, 64u, 96u, 4096u}) {
    INFO(alignment);
    CHECK(ConvertWith([&](Model& m) { m.file.alignment = alignment; },
                      [&](GgufWriter& f) { f.U32("general.alignment", alignment); })
              .code == Code::kOk);
  }
}

TEST_CASE("GGUF: vocabularies, with tensors and without") {
  const auto open = [](const std::function<void(GgufWriter&)>& fields) {
    GgufWriter file;
    fields(file);
    const fs::path path = TemporaryPath("vocabulary.gguf");
    WriteFile(path, file.Bytes());
    return LoadTokenizer(path);
  };
  const auto llama = [](GgufWriter& f) {
    f.String("tokenizer.ggml.model", "llama");
    f.Strings("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "<0x0A>",
                                        "\xe2\x96\x81"
                                        "a",
                                        "b"});
    f.Array<float>("tokenizer.ggml.scores", 6, {0, 0, 0, 0, -1, -2});
    f.Array<int32_t>("tokenizer.ggml.token_type", 5, {2, 3, 3, 6, 1, 1});
  };
  const TokenizerModel spm = open([&](GgufWriter& f) { llama(f); });
  CHECK(spm.pieces == std::vector<std::string>{"<unk>", "<s>", "</s>", "\n", " a", "b"});
  CHECK((spm.bos == 1 && spm.eos == 2 && spm.kind == TokenizerKind::kSpmBpe));
  CHECK((spm.Has(kTokenizerAddBos) && spm.Has(kTokenizerAddDummyPrefix) && spm.Has(kTokenizerByteFallback)));
  const TokenizerModel plain = open([&](GgufWriter& f) {
    llama(f);
    f.Bool("tokenizer.ggml.add_bos_token", false);
    f.Bool("tokenizer.ggml.add_space_prefix", false);
  });
  CHECK_FALSE((plain.Has(kTokenizerAddBos) || plain.Has(kTokenizerAddDummyPrefix)));

  const auto gpt2 = [](GgufWriter& f, const std::string& pre) {
    f.String("tokenizer.ggml.model", "gpt2");
    f.String("tokenizer.ggml.pre", pre);
    f.Strings("tokenizer.ggml.tokens", {"a", "\xc4\xa0",
                                        "\xc4\xa0"
                                        "a",
                                        "<|end|>"});
    f.Strings("tokenizer.ggml.merges", {"\xc4\xa0 a"});
    f.Array<int32_t>("tokenizer.ggml.token_type", 5, {1, 1, 1, 3});
    f.U32("tokenizer.ggml.eos_token_id", 3);
  };
  const TokenizerModel bpe = open([&](GgufWriter& f) { gpt2(f, "starcoder"); });
  CHECK(bpe.pieces == std::vector<std::string>{"a", " ", " a", "<|end|>"});
  CHECK((bpe.merges.size() == 1 && bpe.merges[0].merged == 2 && bpe.Has(kTokenizerSplitDigits) &&
         bpe.eos == 3));

  const auto refused = [&](const char* text, const std::function<void(GgufWriter&)>& fields) {
    const Outcome outcome = OutcomeOf([&] { open(fields); });
    INFO(outcome.message);
    CHECK(outcome.Names("vocabulary.gguf"));
    CHECK(outcome.Names(text));
  };
  refused("'tokenizer.ggml.pre': 'nobody-knows'", [&](GgufWriter& f) { gpt2(f, "nobody-knows"); });
  refused("'tokenizer.ggml.model': is missing", [](GgufWriter&) {});
  refused("'tokenizer.ggml.model': 'rwkv'", [](GgufWriter& f) { f.String("tokenizer.ggml.model", "rwkv"); });
  refused("'tokenizer.ggml.tokens': is missing",
          [](GgufWriter& f) { f.String("tokenizer.ggml.model", "llama"); });
  refused("'tokenizer.ggml.bos_token_id'",
          [&](GgufWriter& f) { llama(f), f.U32("tokenizer.ggml.bos_token_id", 6); });
  refused("'tokenizer.ggml.scores': has 1 elements", [](GgufWriter& f) {
    f.String("tokenizer.ggml.model", "llama");
    f.Strings("tokenizer.ggml.tokens", {"<unk>", "a"});
    f.Array<float>("tokenizer.ggml.scores", 6, {0});
  });

  const fs::path path = TemporaryPath("vocabulary.gguf");
  GgufWriter file;
  file.String("general.architecture", "llama");
  llama(file);
  WriteFile(path, file.Bytes());
  CHECK(ConvertOutcome(path).Names("holds no tensors"));
}
