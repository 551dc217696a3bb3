// Shapes with random weights: complete, valid, the same every time, and small in memory.
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "ops/linear/embed.h"
#include "targets/convert/synthetic.h"
#include "tests/convert/import_testing.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

SyntheticOptions Options(const std::string& name, WeightType weights) {
  SyntheticOptions options;
  options.shape = "tiny";
  options.output = TemporaryPath(name);
  options.weights = weights;
  return options;
}

}  // namespace

TEST_CASE("a synthetic model passes verification in every type, also where blocks do not divide rows") {
  for (const WeightType type : {WeightType::kF32, WeightType::kQ8, WeightType::kQ4}) {
    for (const uint32_t block : {32u, 64u, 128u}) {
      SyntheticOptions options = Options("synthetic.thimble", type);
      options.block = block;
      const ConvertReport report = WriteSynthetic(options);
      CHECK(report.file_bytes == fs::file_size(options.output));
      CHECK(LayersOf(options.output.string()).size() == 2);  // opens and verifies
      CHECK_FALSE(report.has_tokenizer);
    }
  }
}

TEST_CASE("a synthetic model of any type of blocks has weights as wide as one of floats") {
  for (uint8_t t = static_cast<uint8_t>(WeightType::kQ8_0); t < kWeightTypeCount; ++t) {
    const WeightType type = static_cast<WeightType>(t);
    INFO(WeightTypeName(type));
    const SyntheticOptions options = Options("blocks.thimble", type);
    WriteSynthetic(options);
    CHECK(LayersOf(options.output.string()).size() == 2);  // opens and verifies
    ModelFile file;
    REQUIRE(file.Open(options.output.string().c_str()).ok());
    for (uint32_t i = 0; i < file.header().tensors(); ++i) {
      const TensorSpec t = file.header().tensor(i);
      if (file.header().tensor_name(i) != "layer.0.ffn.down.weight") continue;
      REQUIRE((t.type == type && t.cols == 96));
      const WeightRows rows = {.type = t.type, .n = t.rows, .k = t.cols, .block = t.block, .data = file.TensorData(i), .scales = file.TensorScales(i)};
      std::vector<float> row(t.cols);
      double sum = 0, squares = 0;
      for (uint32_t r = 0; r < t.rows; ++r) {
        DecodeWeightRow(rows, r, 1, row.data());
        for (const float x : row) sum += x, squares += double{x} * x;
      }
      const double n = static_cast<double>(t.rows) * t.cols, deviation = std::sqrt(squares / n);
      CHECK(std::fabs(sum / n) < 0.1 * deviation);
      CHECK((deviation > 0.7 / std::sqrt(96) && deviation < 1.4 / std::sqrt(96)));
    }
  }
}

TEST_CASE("a seed gives the same synthetic model, another seed another one") {
  SyntheticOptions options = Options("first.thimble", WeightType::kQ4);
  WriteSynthetic(options);
  const std::string first = ReadFile(options.output);
  options.output = TemporaryPath("second.thimble");
  WriteSynthetic(options);
  CHECK(ReadFile(options.output) == first);
  options.seed = 2;
  WriteSynthetic(options);
  CHECK(ReadFile(options.output) != first);
}

TEST_CASE("synthetic 4-bit models keep the head in 8 bits unless told otherwise") {
  SyntheticOptions options = Options("head.thimble", WeightType::kQ4);
  for (const auto& [head, wanted] : {std::pair{std::optional<WeightType>(), WeightType::kQ8},
                                     std::pair{std::optional(WeightType::kQ4), WeightType::kQ4},
                                     std::pair{std::optional(WeightType::kF32), WeightType::kF32}}) {
    options.head = head;
    for (const ConvertedTensor& tensor : WriteSynthetic(options).tensors) {
      if (tensor.name == "output.head.weight") CHECK(tensor.type == wanted);
      if (tensor.name == "input.table") CHECK(tensor.type == WeightType::kQ4);
    }
  }
}

TEST_CASE("synthetic models have the context that was asked for, and unknown shapes are refused by name") {
  SyntheticOptions options = Options("positions.thimble", WeightType::kQ8);
  CHECK((WriteSynthetic(options), SpecOf(options.output.string()).max_positions) == 512);
  options.positions = 4096;
  CHECK((WriteSynthetic(options), SpecOf(options.output.string()).max_positions) == 4096);
  options.shape = "huge";
  const Outcome outcome = OutcomeOf([&] { WriteSynthetic(options); });
  CHECK(outcome.code == Code::kInvalidArgument);
  CHECK(outcome.Names("'huge'"));
  CHECK(outcome.Names("tinyllama-1.1b"));
}
