// Shapes with random weights: complete, valid, the same every time, and small in memory.
#include <catch2/catch_test_macros.hpp>

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
