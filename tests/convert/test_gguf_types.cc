// Every quantised type against the format's own Python package (golden/gguf_types): the numbers of its dequantisation,
// bit by bit, of the source and of what a conversion makes of it.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

#include "ops/linear/embed.h"
#include "targets/convert/carry.h"
#include "targets/convert/convert.h"
#include "targets/convert/gguf_file.h"
#include "targets/convert/gguf_rows.h"
#include "tests/convert/gguf_testing.h"
#include "tests/convert/import_testing.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

uint32_t Crc32(const void* bytes, size_t size) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < size; ++i) {
    crc ^= static_cast<const uint8_t*>(bytes)[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
  }
  return ~crc;
}

// What the package's numbers of a row add up to.
uint32_t ExpectedCrc32(const GgufCheckpoint& checkpoint, const std::string& type, size_t row) {
  const std::string text = checkpoint.metadata()["expected." + type].items()[row].as_text();
  return static_cast<uint32_t>(std::strtoul(text.c_str(), nullptr, 16));
}

std::unique_ptr<GgufCheckpoint> Types() {
  return GgufCheckpoint::Open(fs::path(THIMBLE_GOLDEN_DIR) / "gguf_types" / "types.gguf");
}

struct Rows {
  uint64_t rows;
  uint32_t type;
  std::string bytes;
};

Rows RowsOf(const GgufCheckpoint& types, size_t tensor) {
  const SourceTensor& t = types.tensors()[tensor];
  const GgufBlockType& type = *types.BlocksOf(tensor);
  Rows rows{t.shape[0], type.type, std::string(t.elements / type.elements * type.bytes, '\0')};
  types.ReadBlocks(tensor, 0, t.elements, reinterpret_cast<uint8_t*>(rows.bytes.data()));
  return rows;
}

// A llama of one layer and one head with D 256, whose matrices of 256 columns are `rows` and whose others are F32.
std::string LlamaOf(const Rows& q, const Rows& others) {
  GgufWriter file;
  file.String("general.architecture", "llama");
  for (const auto& [key, value] : std::vector<std::pair<std::string, uint64_t>>{{"context_length", 8},
                                                                              {"embedding_length", 256},
                                                                              {"block_count", 1},
                                                                              {"feed_forward_length", others.rows},
                                                                              {"attention.head_count", 1},
                                                                              {"attention.key_length", q.rows}}) {
    file.U32("llama." + key, static_cast<uint32_t>(value));
  }
  file.F32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  const auto floats = [&](const std::string& name, const std::vector<uint64_t>& shape) {
    file.Floats(name, shape, RandomTensor(name, shape).values);
  };
  for (const char* name : {"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"})
    file.Tensor(name, {q.rows, 256}, q.type, q.bytes);
  for (const char* name : {"token_embd.weight", "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"})
    file.Tensor(name, {others.rows, 256}, others.type, others.bytes);
  floats("blk.0.attn_output.weight", {256, q.rows});
  floats("blk.0.ffn_down.weight", {256, others.rows});
  for (const char* name : {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"}) floats(name, {256});
  return file.Bytes();
}

ConvertReport Keep(const std::string& gguf, const fs::path& out) {
  const fs::path path = TemporaryPath("keep.gguf");
  WriteFile(path, gguf);
  ConvertOptions options;
  options.source = path;
  options.output = out;
  options.as_is = true;
  return Convert(options);
}

const ConvertedTensor& Named(const ConvertReport& report, const std::string& name) {
  const auto found = std::find_if(report.tensors.begin(), report.tensors.end(), [&](const ConvertedTensor& t) { return t.name == name; });
  REQUIRE(found != report.tensors.end());
  return *found;
}

// CRC-32 of the numbers of each row as the runtime reads them.
std::vector<uint32_t> DecodedRows(const ModelFile& file, const std::string& name) {
  for (uint32_t i = 0; i < file.header().tensors(); ++i) {
    if (name != file.header().tensor_name(i)) continue;
    const TensorSpec t = file.header().tensor(i);
    const WeightRows rows = {.type = t.type, .n = t.rows, .k = t.cols, .block = t.block, .data = file.TensorData(i), .scales = file.TensorScales(i)};
    std::vector<float> numbers(t.cols);
    std::vector<uint32_t> crcs;
    for (uint32_t r = 0; r < t.rows; ++r) {
      DecodeWeightRow(rows, r, 1, numbers.data());
      crcs.push_back(Crc32(numbers.data(), numbers.size() * sizeof(float)));
    }
    CHECK(t.turn == 0);
    return crcs;
  }
  FAIL("no tensor " << name);
  return {};
}

}  // namespace

TEST_CASE("GGUF types: a conversion keeps every type's numbers, at hardly more bytes") {
  const auto types = Types();
  for (size_t i = 0; i < types->tensors().size(); ++i) {
    const std::string type = types->tensors()[i].name;
    INFO(type);
    const fs::path out = TemporaryPath("kept.thimble");
    const Rows rows = RowsOf(*types, i);
    const ConvertReport report = Keep(LlamaOf(rows, rows), out);
    CHECK(report.quantised_source);
    REQUIRE_FALSE(LayersOf(out.string()).empty());  // and the file is verified
    ModelFile file;
    REQUIRE(file.Open(out.string().c_str()).ok());
    for (const char* name : {"layer.0.attention.q.weight", "layer.0.attention.v.weight", "layer.0.ffn.up.weight", "input.table"}) {
      INFO(name);
      const ConvertedTensor& tensor = Named(report, name);
      CHECK(tensor.kept);
      CHECK((tensor.source_type == type && tensor.type == types->BlocksOf(i)->weights && tensor.relative_error == 0));
      const std::vector<uint32_t> found = DecodedRows(file, name);
      REQUIRE(found.size() == rows.rows);
      for (size_t r = 0; r < found.size(); ++r) {
        INFO("row " << r);
        CHECK(found[r] == ExpectedCrc32(*types, type, r));
      }
      // One byte for each small integer costs Q2_K more, and TQ1_0, which has five numbers in 8 bits, becomes two bits each.
      const double ratio = static_cast<double>(tensor.bytes) / static_cast<double>(tensor.source_bytes);
      CHECK(ratio <= (type == "Q2_K" ? 1.2 : type == "TQ1_0" ? 1.25 : 1.05));
    }
    const ConvertedTensor& other = Named(report, "layer.0.ffn.down.weight");
    CHECK((!other.kept && other.type == WeightType::kQ8_0 && other.unkept == "is F32 in the source"));
  }
}

TEST_CASE("GGUF types: rows of many blocks keep their numbers") {
  const auto types = Types();
  for (size_t i = 0; i < types->tensors().size(); ++i) {
    const GgufBlockType& type = *types->BlocksOf(i);
    INFO(type.name);
    const Rows rows = RowsOf(*types, i);  // all of them as one row
    const uint32_t k = static_cast<uint32_t>(rows.rows * 256);
    uint64_t row_bytes = 0;
    REQUIRE(WeightRowBytes(type.weights, k, kBlockColumns, &row_bytes));
    std::vector<uint8_t> data(row_bytes, 0xee), scales(BlockScaleBytes(*FormatOf(type.weights), k), 0xee);
    CarryGgufRow(type, reinterpret_cast<const uint8_t*>(rows.bytes.data()), k, data.data(), scales.data());
    std::vector<float> numbers(k);
    DecodeWeightRow({.type = type.weights, .n = 1, .k = k, .block = kBlockColumns, .data = data.data(), .scales = scales.data()}, 0, 1,
                    numbers.data());
    for (size_t r = 0; r < rows.rows; ++r) {
      INFO("columns from " << r * 256);
      CHECK(Crc32(numbers.data() + r * 256, 256 * sizeof(float)) == ExpectedCrc32(*types, type.name, r));
    }
  }
}

TEST_CASE("GGUF types: several in one file, and types that are asked for tensor by tensor") {
  const auto types = Types();
  const Rows q6 = RowsOf(*types, *types->Find("Q6_K")), q4 = RowsOf(*types, *types->Find("Q4_1"));
  const fs::path path = TemporaryPath("mixed.gguf"), out = TemporaryPath("mixed.thimble");
  WriteFile(path, LlamaOf(q6, q4));
  ConvertOptions options;
  options.source = path;
  options.output = out;
  options.as_is = true;
  const ConvertReport kept = Convert(options);
  CHECK(Named(kept, "layer.0.attention.k.weight").type == WeightType::kQ6_K);
  CHECK(Named(kept, "layer.0.ffn.gate.weight").type == WeightType::kQ4_1);
  REQUIRE_FALSE(LayersOf(out.string()).empty());
  options.kv = WeightType::kQ8;
  options.head = WeightType::kF32;  // the table, as the head is tied
  const ConvertReport named = Convert(options);
  CHECK(Named(named, "layer.0.attention.q.weight").type == WeightType::kQ6_K);
  CHECK(Named(named, "layer.0.attention.k.weight").type == WeightType::kQ8);
  CHECK(Named(named, "input.table").type == WeightType::kF32);
  options.as_is = false;
  options.weights = WeightType::kQ8;
  const ConvertReport anew = Convert(options);
  CHECK(anew.quantised_source);
  CHECK((Named(anew, "layer.0.ffn.gate.weight").type == WeightType::kQ8 && !Named(anew, "layer.0.ffn.gate.weight").kept));
}

TEST_CASE("GGUF types: blocks whose numbers are not finite are not kept") {
  const auto types = Types();
  Rows q6 = RowsOf(*types, *types->Find("Q6_K"));
  q6.bytes[210 + 209] = '\x7c';  // the second row's scale is infinite or NaN
  const Outcome outcome = OutcomeOf([&] { Keep(LlamaOf(q6, q6), TemporaryPath("infinite.thimble")); });
  INFO(outcome.message);
  CHECK(outcome.code == Code::kInvalidModel);
  CHECK(outcome.Names("[4, 256]: element 256 is "));
}

TEST_CASE("GGUF types: rows are kept whole in any order, and nothing else is") {
  const auto types = Types();
  const size_t q4 = *types->Find("Q4_K"), q6 = *types->Find("Q6_K");
  const auto answer = [&](std::vector<SourceRows> pieces) { return CanCarry(*types, {TensorRole::kLinear, std::move(pieces), {}}); };
  CHECK(answer({{q4, 0, 4, 256, 256, 1}}).type == types->BlocksOf(q4));
  CHECK(answer({{q4, 256, 2, 256, 256, 1}}).type == types->BlocksOf(q4));
  CHECK(answer({{q4, 256, 2, 256, 512, 1}}).type == types->BlocksOf(q4));
  CHECK(answer({{q4, 768, 1, 256, 256, 1}, {q4, 0, 2, 256, 256, 1}}).type == types->BlocksOf(q4));
  CHECK(answer({{q4, 0, 4, 256, 256, 1}, {q6, 0, 4, 256, 256, 1}}).obstacle == "has rows in Q4_K and in Q6_K");
  CHECK(answer({{q4, 0, 256, 4, 1, 256}}).obstacle == "is Q4_K with rows and columns changed over");
  CHECK(answer({{q4, 0, 4, 128, 256, 1}}).obstacle == "is Q4_K with its rows cut");
  CHECK(answer({{q4, 128, 1, 256, 256, 1}}).obstacle == "is Q4_K with its rows cut");
  CHECK(answer({{q4, 0, 2, 256, 128, 1}}).obstacle == "is Q4_K with its rows cut");
  CHECK(answer({}).obstacle == "computed");
}

TEST_CASE("GGUF types: a source's rows of every type are the package's numbers") {
  const auto checkpoint = Types();
  CHECK(checkpoint->tensors().size() == 15);
  for (size_t i = 0; i < checkpoint->tensors().size(); ++i) {
    const SourceTensor& tensor = checkpoint->tensors()[i];
    REQUIRE(tensor.dtype == tensor.name);
    std::vector<float> row(tensor.shape[1]);
    for (size_t r = 0; r < tensor.shape[0]; ++r) {
      INFO(tensor.name << " row " << r);
      checkpoint->ReadFloats(i, r * row.size(), row.size(), row.data());
      CHECK(Crc32(row.data(), row.size() * sizeof(float)) == ExpectedCrc32(*checkpoint, tensor.name, r));
    }
  }
}
