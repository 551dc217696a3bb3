// Whole conversions: weights that are not finite, types, names, progress, tokenizers, memory, and what is
// left behind.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>

#include "targets/convert/convert.h"
#include "tests/convert/convert_fixture.h"
#include "tests/convert/import_testing.h"

using namespace thimble;
using namespace thimble::test;

namespace {

ConvertOptions Options(const fs::path& source, const std::string& name) {
  ConvertOptions options;
  options.source = source;
  options.output = TemporaryPath(name);
  return options;
}

fs::path SmallLlama(const std::string& name, const Json& changes = {}) {
  Json config = LlamaConfig();
  if (!changes.is_null()) config.Update(changes);
  return WriteModel(name, config, LlamaTensors(config));
}

}  // namespace

TEST_CASE("weights that are not finite are refused with tensor and element") {
  const Json config = LlamaConfig();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    std::vector<TestTensor> tensors = LlamaTensors(config);
    for (TestTensor& t : tensors) {
      if (t.name == "model.layers.1.mlp.up_proj.weight") t.values[77] = bad;
    }
    const Outcome outcome = ConvertOutcome(WriteModel("not_finite", config, tensors));
    INFO(outcome.message);
    CHECK(outcome.code == Code::kInvalidModel);
    CHECK(outcome.Names("'model.layers.1.mlp.up_proj.weight'"));
    CHECK(outcome.Names("element 77 "));
  }
}

TEST_CASE("the element is named in the source's own order where it is read transposed or split") {
  const fs::path fixture = fs::path(THIMBLE_GOLDEN_DIR) / "gpt2";
  std::string bytes = ReadFile(fixture / "model.safetensors");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  const Json header = ParseJson(bytes.substr(8, header_bytes));
  const Json& tensor = header["h.1.attn.c_attn.weight"];
  const size_t element =
      As<size_t>(tensor["shape"][1]) * 3 + 50;  // row 3 of [in, out]: in the key's part
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes.data() + 8 + header_bytes + As<size_t>(tensor["data_offsets"][0]) + element * 4,
              &nan, 4);
  const fs::path folder = FreshFolder("nan_gpt2");
  fs::copy_file(fixture / "config.json", folder / "config.json");
  WriteFile(folder / "model.safetensors", bytes);
  const Outcome outcome = ConvertOutcome(folder);
  CHECK(outcome.Names("'h.1.attn.c_attn.weight'"));
  CHECK(outcome.Names("element " + std::to_string(element) + " "));
}

TEST_CASE("a model cut at every byte leaves no file") {
  const fs::path folder = SmallLlama("cut");
  const std::string whole = ReadFile(folder / "model.safetensors");
  for (size_t size = 0; size < whole.size(); size += size < 200 ? 1 : 97) {
    WriteFile(folder / "model.safetensors", whole.substr(0, size));
    CHECK(ConvertOutcome(folder).code != Code::kOk);
  }
  WriteFile(folder / "model.safetensors", whole);
  const std::string config = ReadFile(folder / "config.json");
  for (size_t size = 0; size < config.size(); ++size) {
    WriteFile(folder / "config.json", config.substr(0, size));
    CHECK(ConvertOutcome(folder).code == Code::kInvalidModel);
  }
}

TEST_CASE("a failing conversion leaves the older file as it was") {
  const fs::path good = SmallLlama("good"), bad = SmallLlama("bad", {{"sliding_window", 4}});
  const ConvertOptions options = Options(good, "kept.thimble");
  Convert(options);
  const std::string before = ReadFile(options.output);
  CHECK(OutcomeOf([&] { Convert(Options(bad, "kept.thimble")); }).code == Code::kUnsupported);
  ConvertOptions stopped = Options(good, "kept.thimble");
  stopped.weights = WeightType::kQ4;
  size_t calls = 0;
  stopped.progress = [&](const ConvertProgress& p) {
    CHECK(p.index < p.count);
    CHECK(p.done_weights < p.total_weights);
    return ++calls < 5;
  };
  const Outcome outcome = OutcomeOf([&] { Convert(stopped); });
  CHECK(outcome.code == Code::kCancelled);
  CHECK(ExitCode(outcome.code) == 130);
  CHECK(calls == 5);
  CHECK(ReadFile(options.output) == before);
}

TEST_CASE("converting twice gives the same bytes, wherever the source lies") {
  const fs::path a = SmallLlama("same"), b = FreshFolder("elsewhere") / "same";
  fs::copy(a, b, fs::copy_options::recursive);
  const auto bytes = [](const fs::path& source) {
    ConvertOptions options = Options(source, "same.thimble");
    options.weights = WeightType::kQ4;
    Convert(options);
    return ReadFile(options.output);
  };
  const std::string first = bytes(a);
  CHECK(bytes(b) == first);
  CHECK(bytes(a / "") == first);
  CHECK(bytes(a / "config.json") == first);
  CHECK(bytes(a / "model.safetensors") == first);
  CHECK(first.find(b.parent_path().string()) == std::string::npos);
}

TEST_CASE("types: linears and tables follow the choice, vectors stay f32, the head can differ") {
  const auto types = [](const Json& changes, WeightType weights, std::optional<WeightType> head) {
    ConvertOptions options = Options(SmallLlama("types", changes), "types.thimble");
    options.weights = weights;
    options.head = head;
    options.block = 64;
    const ConvertReport report = Convert(options);
    ModelFile file;
    REQUIRE(file.Open(options.output.c_str()).ok());
    std::map<std::string, WeightType> found;
    for (const ConvertedTensor& t : report.tensors) {
      found[t.name] = t.type;
      if (t.type == WeightType::kQ4) CHECK((t.relative_error > 0.02 && t.relative_error < 0.2));
      if (t.type == WeightType::kQ8) CHECK((t.relative_error > 0.0005 && t.relative_error < 0.01));
      if (t.type == WeightType::kF32) CHECK(t.relative_error == 0);
    }
    for (uint32_t i = 0; i < file.header().tensors(); ++i) {
      const TensorSpec spec = file.header().tensor(i);
      CHECK(found.at(std::string(file.header().tensor_name(i))) == spec.type);
      CHECK(spec.block == (spec.type == WeightType::kQ4 ? 64 : 0));
    }
    CHECK(report.file_bytes == fs::file_size(options.output));
    CHECK(report.peak_buffer_bytes > 0);
    return found;
  };
  const WeightType f32 = WeightType::kF32, q8 = WeightType::kQ8, q4 = WeightType::kQ4;
  auto t = types({}, q4, std::nullopt);
  CHECK((t["input.table"] == q4 && t["output.head.weight"] == q4 && t["layer.0.attention.q.weight"] == q4));
  CHECK((t["layer.0.attention_norm.weight"] == f32 && t["output.norm.weight"] == f32));
  t = types({}, q4, q8);
  CHECK((t["input.table"] == q4 && t["output.head.weight"] == q8));
  t = types({{"tie_word_embeddings", true}}, q4, q8);
  CHECK((t["input.table"] == q8 && t["layer.1.ffn.down.weight"] == q4));
}

TEST_CASE("f32 conversion keeps every number, split and transposed ones too") {
  const fs::path fixture = fs::path(THIMBLE_GOLDEN_DIR) / "gpt2";
  const std::string bytes = ReadFile(fixture / "model.safetensors");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  const Json tensor = ParseJson(bytes.substr(8, header_bytes))["h.0.attn.c_attn.weight"];
  const size_t in = As<size_t>(tensor["shape"][0]), out = As<size_t>(tensor["shape"][1]);
  std::vector<float> source(in * out);
  std::memcpy(source.data(), bytes.data() + 8 + header_bytes + As<size_t>(tensor["data_offsets"][0]),
              source.size() * 4);

  ModelFile file;
  REQUIRE(file.Open(ConvertForTest(fixture, WeightType::kF32).c_str()).ok());
  const AttentionSpec a = ReadLayer(file.header(), 0).attention();
  const int32_t parts[] = {a.q.weight, a.k.weight, a.v.weight};
  for (size_t part = 0; part < 3; ++part) {
    const float* w = static_cast<const float*>(file.TensorData(static_cast<uint32_t>(parts[part])));
    size_t different = 0;
    for (size_t r = 0; r < out / 3; ++r) {
      for (size_t c = 0; c < in; ++c) different += w[r * in + c] != source[c * out + part * (out / 3) + r];
    }
    CHECK(different == 0);
  }
}

TEST_CASE("memory stays bounded by a block of rows") {
  Json config = LlamaConfig();
  config.Update(
      {{"vocab_size", 60000}, {"hidden_size", 64}, {"num_hidden_layers", 1}, {"tie_word_embeddings", true}});
  ConvertOptions options = Options(WriteModel("wide", config, LlamaTensors(config)), "wide.thimble");
  options.weights = WeightType::kQ8;
  const ConvertReport report = Convert(options);
  CHECK(report.source_bytes > 15'000'000);
  CHECK(report.peak_buffer_bytes < 8'000'000);
}

TEST_CASE("tokenizers: real ids, end ids, too many ids, none") {
  const std::string tokenizer = SharedDataPath("models/stories-qmqa/tokenizer.model");
  if (tokenizer.empty()) SKIP("the shared data is not there (THIMBLE_SHARED_DATA)");
  ConvertOptions options = Options(SmallLlama("vocabulary", {{"vocab_size", 1100}, {"eos_token_id", Json::Array({2, 5})}}),
                                   "tokenizer.thimble");
  options.tokenizer = tokenizer;
  ConvertReport report = Convert(options);
  CHECK(report.has_tokenizer);
  CHECK(report.vocabulary == 1024);
  const ModelSpec spec = SpecOf(options.output.string());
  CHECK((spec.vocabulary == 1024 && spec.outputs == 1100));

  options.source = SmallLlama("vocabulary", {{"vocab_size", 1023}});
  const Outcome small = OutcomeOf([&] { Convert(options); });
  CHECK((small.code == Code::kInvalidModel && small.Names("1024 ids") && small.Names("1023 rows")));

  // One that lies in the source directory is taken unless it is not wanted.
  options.source = SmallLlama("vocabulary", {{"vocab_size", 1024}});
  options.tokenizer.clear();
  fs::copy_file(tokenizer, options.source / "tokenizer.model");
  WriteFile(options.source / "tokenizer_config.json", R"({"chat_template": "{{ messages }}"})");
  report = Convert(options);
  CHECK((report.has_tokenizer && report.chat_templates.size() == 1));
  options.no_tokenizer = true;
  CHECK_FALSE(Convert(options).has_tokenizer);
  options.no_tokenizer = false;
  options.tokenizer = "no/such/file";
  CHECK(OutcomeOf([&] { Convert(options); }).code == Code::kIo);
}

TEST_CASE("arguments: sources and outputs that cannot be") {
  const fs::path good = SmallLlama("arguments");
  CHECK(ConvertOutcome("no/such/model").code == Code::kIo);
  CHECK(ConvertOutcome(FreshFolder("nothing")).Names("config.json"));
  const fs::path other = TemporaryPath("model.xyz");
  WriteFile(other, "what is this");
  CHECK(ConvertOutcome(other).code == Code::kUnsupported);
  ConvertOptions options = Options(good, "x.thimble");
  options.output.clear();
  CHECK(OutcomeOf([&] { Convert(options); }).code == Code::kInvalidArgument);
  options.output = FreshFolder("folder");
  CHECK(OutcomeOf([&] { Convert(options); }).code == Code::kInvalidArgument);
  options.output = options.output / "missing" / "x.thimble";
  CHECK(OutcomeOf([&] { Convert(options); }).code == Code::kIo);
  options = Options(good, "x.thimble");
  options.block = 48;
  CHECK(OutcomeOf([&] { Convert(options); }).code == Code::kInvalidArgument);
  options = Options(SmallLlama("ignored", {{"my_own_field", 7}}), "x.thimble");
  CHECK(OutcomeOf([&] { Convert(options); }).Names("'my_own_field'"));
  options.ignore_fields = {"my_own_field"};
  CHECK(OutcomeOf([&] { Convert(options); }).code == Code::kOk);
  CHECK(WeightTypeFromName("q4") == WeightType::kQ4);
  CHECK_FALSE(WeightTypeFromName("q5"));
}

TEST_CASE("sharded checkpoints convert like whole ones") {
  const Json config = LlamaConfig();
  const std::vector<TestTensor> tensors = LlamaTensors(config);
  const fs::path whole = WriteModel("sharded", config, tensors);
  ConvertOptions options = Options(whole, "sharded.thimble");
  Convert(options);
  const std::string expected = ReadFile(options.output);
  fs::remove(whole / "model.safetensors");
  Json map;
  std::vector<TestTensor> parts[3];
  for (size_t i = 0; i < tensors.size(); ++i) {
    parts[i % 3].push_back(tensors[i]);
    map[tensors[i].name] = "part-" + std::to_string(i % 3) + ".safetensors";
  }
  for (int i = 0; i < 3; ++i)
    WriteFile(whole / ("part-" + std::to_string(i) + ".safetensors"), SafetensorsBytes(parts[i]));
  WriteFile(whole / "model.safetensors.index.json", JsonText({{"weight_map", map}}));
  Convert(options);
  CHECK(ReadFile(options.output) == expected);
  fs::remove(whole / "part-1.safetensors");
  const Outcome missing = ConvertOutcome(whole);
  CHECK((missing.code == Code::kInvalidModel && missing.Names("part-1.safetensors")));
}

TEST_CASE("a header alone is that of the whole file, and needs no weights") {
  for (const char* name : {"llama", "gemma3", "paper_gqa", "olmo2"}) {
    INFO(name);
    const fs::path fixture = fs::path(THIMBLE_GOLDEN_DIR) / name, bare = TemporaryPath(std::string(name) + "-bare");
    ConvertOptions whole = Options(fixture, std::string(name) + "-whole.thimble");
    whole.weights = WeightType::kQ8_0;
    whole.no_tokenizer = true;
    whole.name = "same";
    Convert(whole);
    ConvertOptions alone = whole;
    alone.output.clear();
    const ConvertedHeader header = ConvertHeader(alone);
    CHECK(header.file_bytes == fs::file_size(whole.output));
    // But for what only the weights say, their checksums.
    CHECK(header.bytes.size() < header.file_bytes);
    if (std::string(name) == "paper_gqa") continue;  // whose layout its tensors say
    fs::create_directory(bare);
    fs::copy_file(fixture / "config.json", bare / "config.json");
    alone.source = bare;
    CHECK(ConvertHeader(alone).bytes == header.bytes);
    ConvertOptions without = alone;
    without.output = whole.output;
    CHECK_THROWS_AS(Convert(without), ImportError);
  }
}

TEST_CASE("configurations say the same in the words of transformers 5 and in shorter ones") {
  // What differs is put in the place of @.
  struct Case {
    const char *name, *config, *theirs, *shorter;
  };
  constexpr char kTypes[] = R"("sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention", "full_attention")";
  const std::string gemma4 = R"({"model_type": "gemma4_text", "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 12, "num_attention_heads": 2,
      "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 32, "vocab_size_per_layer_input": 32, "hidden_size_per_layer_input": 4, "layer_types": [)" +
                             std::string(kTypes) + ", " + kTypes + R"(], "rope_parameters": {"full_attention": {"partial_rotary_factor": 0.25,
      "rope_theta": 1e6, "rope_type": "proportional"}, "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"}}, "per_layer_config": {@}})";
  const Case cases[] = {
      {"gemma4", gemma4.c_str(), R"("05": {"head_dim": 32}, "11": {"head_dim": 32})", R"("5": {"head_dim": 32}, "11": {"head_dim": 32})"},
      {"modernbert", R"({"model_type": "modernbert", "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2, "vocab_size": 32, @})",
       R"("rope_parameters": {"full_attention": {"rope_theta": 80000.0, "rope_type": "default"}, "sliding_attention": {"rope_theta": 5000.0, "rope_type": "default"}})",
       R"("global_rope_theta": 80000.0, "local_rope_theta": 5000.0)"},
      {"minicpm3", R"({"model_type": "minicpm3", "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 32,
      "kv_lora_rank": 8, "q_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, @ "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}})",
       R"("mlp_bias": false,)", ""},
      {"ministral3", R"({"model_type": "ministral3", "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 32,
      "num_key_value_heads": 1, "head_dim": 8, "rope_parameters": {"factor": 16.0, "llama_4_scaling_beta": 0.1, @ "original_max_position_embeddings": 16384,
      "rope_theta": 1e6, "rope_type": "yarn"}})",
       R"("max_position_embeddings": 262144,)", ""},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    const auto header = [&](const char* words) {
      const fs::path folder = FreshFolder("words");
      std::string config = c.config;
      config.replace(config.find('@'), 1, words);
      WriteFile(folder / "config.json", config);
      ConvertOptions options;
      options.source = folder;
      options.name = "same";
      return ConvertHeader(options).bytes;
    };
    CHECK(header(c.theirs) == header(c.shorter));
  }
}
