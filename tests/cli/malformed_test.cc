// The catalogue of malformed sources: every one ends with a message that names file, tensor and field, exit
// code 3 or 4, and no output file. Readers are tested more closely in tests/convert.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <tuple>

#include "tests/cli/process.h"
#include "tests/convert/gguf_testing.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

namespace fs = std::filesystem;

struct Refused {
  const char* what;
  std::vector<std::string> names;  // what the message must hold
};

// `source` must not convert; `file` is the name that the message must hold beside those of the case.
void CheckRefused(const Refused& refused, const std::string& source, const std::string& file) {
  const std::string folder = TemporaryFolder(), out = folder + "/m.thimble";
  const Finished done = RunThimble({"convert", source, "-o", out});
  INFO(refused.what << ": exit " << done.exit_code << " " << done.err);
  CHECK((done.exit_code == 3 || done.exit_code == 4));
  CHECK(done.err.find(file) != std::string::npos);
  for (const std::string& name : refused.names) CHECK(done.err.find(name) != std::string::npos);
  CHECK(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) == 0);
}

// ---- safetensors: a fixture whose header or data is changed

struct Safetensors {
  Json header;
  std::string data;

  explicit Safetensors(const std::string& path) {
    const std::string bytes = ReadFile(path);
    uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    header = ParseJson(bytes.substr(8, size));
    data = bytes.substr(8 + size);
  }
  std::string Bytes(int64_t longer = 0) const {
    const std::string text = JsonText(header);
    const uint64_t size = text.size() + static_cast<uint64_t>(longer);
    return std::string(reinterpret_cast<const char*>(&size), 8) + text + data;
  }
};

constexpr char kTensor[] = "model.layers.0.mlp.down_proj.weight";

TEST_CASE("malformed safetensors are refused by file, tensor and field") {
  struct Case {
    Refused refused;
    std::function<std::string(Safetensors&)> make;
  };
  const auto with = [](std::function<void(Json&)> change) {
    return [change](Safetensors& s) {
      change(s.header[kTensor]);
      return s.Bytes();
    };
  };
  const auto put = [](float value) {
    return [value](Safetensors& s) {
      const size_t at = As<size_t>(s.header[kTensor]["data_offsets"][0]);
      std::memcpy(s.data.data() + at + 12, &value, sizeof value);
      return s.Bytes();
    };
  };
  const Case cases[] = {
      {{"header longer than the file", {"header"}}, [](Safetensors& s) { return s.Bytes(1 << 24); }},
      {{"header length that wraps", {"header"}}, [](Safetensors& s) { return s.Bytes(INT64_MIN); }},
      {{"header cut", {}}, [](Safetensors& s) { return s.Bytes().substr(0, 100); }},
      {{"data cut", {"model"}}, [](Safetensors& s) { return s.Bytes().substr(0, s.Bytes().size() - 4); }},
      {{"bytes behind", {}}, [](Safetensors& s) { return s.Bytes() + "1234"; }},
      {{"overlapping ranges", {"overlap"}}, [](Safetensors& s) {
         Json& offsets = s.header[kTensor]["data_offsets"];
         for (Json& offset : offsets.items()) offset = offset.as_signed() - 4;
         return s.Bytes();
       }},
      {{"shape times dtype", {kTensor, "shape"}}, with([](Json& t) { t["shape"] = Json::Array({3, 5}); })},
      {{"counts that wrap", {kTensor, "overflows"}},
       with([](Json& t) { t["shape"] = Json::Array({uint64_t{1} << 33, uint64_t{1} << 33}); })},
      {{"negative shape", {kTensor, "shape"}}, with([](Json& t) { t["shape"] = Json::Array({-1, 4}); })},
      {{"unknown type", {kTensor, "dtype", "Q9"}}, with([](Json& t) { t["dtype"] = "Q9"; })},
      {{"a type that is no float", {kTensor, "I32"}}, with([](Json& t) { t["dtype"] = "I32"; })},
      {{"end before begin", {kTensor, "begin"}}, with([](Json& t) { t["data_offsets"] = Json::Array({64, 0}); })},
      {{"offsets missing", {kTensor, "data_offsets"}}, with([](Json& t) { t.Erase("data_offsets"); })},
      {{"missing tensor", {"layers.0.mlp.down_proj.weight", "missing"}}, [](Safetensors& s) {
         Json tensor = s.header[kTensor];
         s.header.Erase(kTensor);
         s.header["other"] = tensor;
         return s.Bytes();
       }},
      {{"NaN", {kTensor, "element 3 is NaN"}}, put(std::nanf(""))},
      {{"infinite", {kTensor, "element 3 is infinite"}}, put(INFINITY)},
  };
  const std::string folder = TemporaryFolder() + "/model";
  fs::copy(Golden("llama"), folder);
  for (const Case& c : cases) {
    Safetensors file(Golden("llama") + "/model.safetensors");
    WriteFile(folder + "/model.safetensors", c.make(file));
    CheckRefused(c.refused, folder, "model");
    if (Emulated()) break;
  }
}

TEST_CASE("malformed shards and configurations are refused by file and field") {
  const std::string folder = TemporaryFolder() + "/model", index_path = folder + "/model.safetensors.index.json";
  fs::copy(Golden("mistral_swa_sharded"), folder);
  const Json index = ParseJson(ReadFile(index_path));
  const std::string first = index["weight_map"].members()[0].key;
  const std::pair<Refused, std::function<void(Json&)>> cases[] = {
      {{"missing shard", {"model-00009-of-00002.safetensors", "missing", first}},
       [&](Json& j) {
         const Json shard = j["weight_map"][first];
         for (const auto& [tensor, name] : index["weight_map"].members())
           if (name == shard) j["weight_map"][tensor] = "model-00009-of-00002.safetensors";
       }},
      {{"a way out of the folder", {"../model.safetensors", first}},
       [&](Json& j) { j["weight_map"][first] = "../model.safetensors"; }},
      {{"an absolute path", {first}}, [&](Json& j) { j["weight_map"][first] = "/etc/passwd"; }},
      {{"no names", {"weight_map"}}, [](Json& j) { j["weight_map"] = 7; }},
      {{"a tensor that the shard lacks", {"'extra'"}},
       [&](Json& j) { j["weight_map"]["extra"] = j["weight_map"][first]; }},
  };
  for (const auto& [refused, change] : cases) {
    Json changed = index;
    change(changed);
    WriteFile(index_path, JsonText(changed));
    CheckRefused(refused, folder, "index.json");
  }
  WriteFile(index_path, JsonText(index));
  const Json config = ParseJson(ReadFile(folder + "/config.json"));
  const std::tuple<const char*, Json, const char*> fields[] = {
      {"hidden_size", 7, "hidden_size"},          {"hidden_size", "big", "hidden_size"},
      {"num_hidden_layers", -1, "num_hidden_layers"}, {"num_attention_heads", 1e30, "num_attention_heads"},
      {"vocab_size", nullptr, "vocab_size"},      {"attention_sparsity", 0.5, "attention_sparsity"},
      {"rope_scaling", {{"type", "elastic"}, {"factor", 2.0}}, "elastic"},
      {"hidden_act", "swoosh", "swoosh"},         {"partial_rotary_factor", 0.5, "partial_rotary_factor"},
      {"rms_norm_eps", -1.0, "rms_norm_eps"},     {"num_key_value_heads", 3, "num_key_value_heads"},
  };
  for (const auto& [field, value, named] : fields) {
    Json changed = config;
    changed[field] = value;
    WriteFile(folder + "/config.json", JsonText(changed));
    // A width that fits nothing shows at the first tensor.
    CheckRefused({field, {std::string(field) == "hidden_size" && value.is_number() ? "model" : named}},
                 folder, "model");
    if (Emulated()) break;
  }
}

// ---- GGUF

// What a valid file begins with, so that only the mistake is wrong.
GgufWriter Gguf() {
  GgufWriter gguf;
  gguf.String("general.architecture", "llama");
  gguf.U32("llama.embedding_length", 32);
  gguf.U32("llama.block_count", 1);
  gguf.U32("llama.context_length", 16);
  gguf.U32("llama.feed_forward_length", 32);
  gguf.U32("llama.attention.head_count", 2);
  gguf.F32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  gguf.U32("llama.vocab_size", 8);
  return gguf;
}
void GgufTensors(GgufWriter& gguf, const std::string& skip, float value = 0.5f) {
  const std::pair<const char*, std::vector<uint64_t>> tensors[] = {
      {"token_embd.weight", {8, 32}},       {"output_norm.weight", {32}},        {"blk.0.attn_norm.weight", {32}},
      {"blk.0.attn_q.weight", {32, 32}},    {"blk.0.attn_k.weight", {32, 32}},   {"blk.0.attn_v.weight", {32, 32}},
      {"blk.0.attn_output.weight", {32, 32}}, {"blk.0.ffn_norm.weight", {32}},   {"blk.0.ffn_gate.weight", {32, 32}},
      {"blk.0.ffn_up.weight", {32, 32}},    {"blk.0.ffn_down.weight", {32, 32}},
  };
  for (const auto& [name, shape] : tensors) {
    if (name == skip) continue;
    const size_t n = shape.size() == 1 ? shape[0] : shape[0] * shape[1];
    gguf.Floats(name, shape, std::vector<float>(n, value));
  }
}

TEST_CASE("malformed GGUF files are refused by file, tensor and field") {
  const std::string name = "blk.0.ffn_up.weight", data(32 * 32 * 4, '\0');
  struct Case {
    Refused refused;
    std::function<std::string(GgufWriter&)> make;
  };
  const auto tensor = [&](std::vector<uint64_t> shape, uint32_t type, const std::string& bytes,
                          uint64_t offset = UINT64_MAX) {
    return [=](GgufWriter& g) {
      g.Tensor(name, shape, type, bytes, offset);
      GgufTensors(g, name);
      return g.Bytes();
    };
  };
  const auto field = [](std::function<void(GgufWriter&)> add) {
    return [add](GgufWriter& g) {
      add(g);
      GgufTensors(g, "");
      return g.Bytes();
    };
  };
  const uint64_t huge = (UINT64_MAX >> 2) + 2;
  const Case cases[] = {
      {{"header longer than the file", {"tensor count"}}, [](GgufWriter& g) {
         g.extra_tensors = uint64_t{1} << 40;
         return g.Bytes();
       }},
      {{"cut", {"blk.0"}}, [](GgufWriter& g) {
         GgufTensors(g, "");
         return g.Bytes().substr(0, g.Bytes().size() - 4096);
       }},
      {{"bytes behind", {}}, [](GgufWriter& g) {
         GgufTensors(g, "");
         return g.Bytes() + "1";
       }},
      {{"array count that wraps", {"'general.x'"}}, field([&](GgufWriter& g) {
         g.Pair("general.x", 9, GgufWriter::Number<uint32_t>(4) + GgufWriter::Number(huge));
       })},
      {{"array count of texts", {"'general.x'"}}, field([](GgufWriter& g) {
         g.Pair("general.x", 9, GgufWriter::Number<uint32_t>(8) + GgufWriter::Number(UINT64_MAX));
       })},
      {{"unknown field type", {"'general.x'", "type 99"}}, field([](GgufWriter& g) { g.Pair("general.x", 99, ""); })},
      {{"unknown architecture field", {"llama.mystery"}}, field([](GgufWriter& g) { g.U32("llama.mystery", 1); })},
      {{"field twice", {"'llama.block_count'"}}, field([](GgufWriter& g) { g.U32("llama.block_count", 1); })},
      {{"unknown tensor type", {name, "type"}}, tensor({32, 32}, 200, data)},
      {{"a type that cannot be read", {name, "IQ4_XS"}}, tensor({32, 32}, 23, data)},
      {{"shape of another size", {"tensor '"}}, tensor({16, 32}, 0, data)},
      {{"dimensions that wrap", {name}}, tensor({huge, huge}, 0, data)},
      {{"zero dimensions", {name}}, tensor({0, 32}, 0, data)},
      {{"overlapping ranges", {name}}, tensor({32, 32}, 0, data, 4096)},
      {{"offset outside", {name}}, tensor({32, 32}, 0, data, uint64_t{1} << 50)},
      {{"offset that wraps", {name}}, tensor({32, 32}, 0, data, UINT64_MAX - 31)},
      {{"rows that are no whole blocks", {name, "Q4_0"}}, tensor({32, 31}, 2, data)},
      {{"missing tensor", {name, "missing"}}, [&](GgufWriter& g) {
         GgufTensors(g, name);
         return g.Bytes();
       }},
      {{"NaN", {"is NaN"}}, [](GgufWriter& g) {
         GgufTensors(g, "", std::nanf(""));
         return g.Bytes();
       }},
      {{"NaN as a block's scale", {name, "is NaN"}}, tensor({32, 32}, 2, [] {
         std::string blocks;
         for (int i = 0; i < 32; ++i) blocks += std::string("\0\x7e", 2) + std::string(16, '\1');
         return blocks;
       }())},
      {{"another version", {"version"}}, [](GgufWriter& g) {
         g.version = 9;
         return g.Bytes();
       }},
  };
  const std::string path = TemporaryFolder() + "/broken.gguf";
  {  // The base is right.
    GgufWriter gguf = Gguf();
    GgufTensors(gguf, "");
    WriteFile(path, gguf.Bytes());
    const Finished done = RunThimble({"convert", path, "-o", TemporaryFolder() + "/m.thimble"});
    INFO(done.err);
    REQUIRE(done.exit_code == 0);
  }
  for (const Case& c : cases) {
    GgufWriter gguf = Gguf();
    WriteFile(path, c.make(gguf));
    CheckRefused(c.refused, path, "broken.gguf");
    if (Emulated()) break;
  }
}

// ---- llama2.c

TEST_CASE("malformed llama2.c files are refused by file and field") {
  struct Case {
    Refused refused;
    std::vector<int32_t> header;
    int64_t floats;  // more (or fewer) than the header says
    float value = 0.25f;
  };
  const std::vector<int32_t> right = {8, 12, 1, 2, 1, 11, 16};
  const auto with = [&](size_t i, int32_t value) {
    std::vector<int32_t> header = right;
    header[i] = value;
    return header;
  };
  const size_t floats = 11 * 8 + 2 * 8 + 2 * 64 + 2 * 4 * 8 + 3 * 12 * 8 + 8 + 16 * 4;
  const Case cases[] = {
      {{"cut", {"implies"}}, right, -1},
      {{"bytes behind", {"implies"}}, right, 1},
      {{"no width", {"'dim'"}}, with(0, 0), 0},
      {{"negative layers", {"'n_layers'"}}, with(2, -3), 0},
      {{"heads that do not divide", {"'n_heads'"}}, with(3, 3), 0},
      {{"kv heads that do not divide", {"'n_kv_heads'"}}, with(4, 2000), 0},
      {{"sizes that wrap", {"implies"}}, {INT32_MAX - 3, INT32_MAX, INT32_MAX, 2, 1, INT32_MAX, INT32_MAX}, 0},
      {{"smallest number", {"'vocab_size'"}}, with(5, INT32_MIN), 0},
      {{"NaN", {"tok_embeddings.weight", "is NaN"}}, right, 0, std::nanf("")},
  };
  const std::string path = TemporaryFolder() + "/broken.bin";
  for (const Case& c : cases) {
    std::string bytes(reinterpret_cast<const char*>(c.header.data()), 28);
    const std::vector<float> values(static_cast<size_t>(static_cast<int64_t>(floats) + c.floats), c.value);
    bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    WriteFile(path, bytes);
    CheckRefused(c.refused, path, "broken.bin");
    if (Emulated()) break;
  }
}

}  // namespace
}  // namespace thimble::test
