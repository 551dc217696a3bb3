// Every family of the shared data with int8 weights and int8 cache rows, beside the same rounded weights in floats: what integer
// kernels add to the loss is of the size that the weights' own rounding has, since rows of activations are rounded as finely.
#include <catch2/catch_test_macros.hpp>
#include <algorithm>
#include <cstdio>

#include "format/model_file.h"
#include "ops/linear/embed.h"
#include "ops/linear/turn.h"
#include "targets/convert/describe_file.h"
#include "targets/convert/import_error.h"
#include "tests/golden/golden.h"

using namespace thimble;
using namespace thimble::test;

namespace {

using Rows = std::vector<std::vector<float>>;
using Expected = std::vector<std::vector<double>>;

// The file with every matrix in floats: the numbers that its blocks stand for. Ternary ones stay: the model itself rounds their inputs.
std::string InFloats(const std::string& path) {
  ModelFile file;
  REQUIRE(file.Open(path.c_str()).ok());
  ModelDescription d = DescribeFile(file);
  std::vector<std::vector<float>> values;
  for (uint32_t i = 0; i < file.header().tensors(); ++i) {
    const TensorSpec t = file.header().tensor(i);
    const WeightRows rows = {.type = t.type, .n = t.rows, .k = t.cols, .block = t.block, .data = file.TensorData(i), .scales = file.TensorScales(i), .turn = t.turn};
    values.emplace_back();
    if (t.type == WeightType::kTernary) continue;
    values.back().resize(size_t{t.rows} * t.cols);
    for (uint32_t r = 0; r < t.rows; ++r) DecodeWeightRow(rows, r, 1, values.back().data() + size_t{r} * t.cols);
    if (t.turn != 0) Turn(values.back().data(), values.back().size(), t.turn);  // back
    d.tensors[i].spec.type = WeightType::kF32;
    d.tensors[i].spec.block = d.tensors[i].spec.turn = 0;
  }
  const std::string out = path + ".floats";
  ModelWriter writer(out, d);
  for (uint32_t i = 0; i < values.size(); ++i) {
    if (values[i].empty()) writer.WriteTensor(i, file.TensorData(i), file.TensorScales(i));
    else writer.WriteTensor(i, values[i].data(), nullptr);
  }
  writer.Finish();
  return out;
}

Rows Run(const std::string& path, const std::vector<int32_t>& ids, int32_t cache) {
  ApiOptions options = CacheOptions(cache);
  options.threads = 1;
  options.context_tokens = static_cast<uint32_t>(ids.size());
  Runner runner(path, options);
  return InfoOf(runner.model()).is_decoder ? runner.Prefill(ids) : runner.EncodeRows(ids);
}

double Distance(const Rows& a, const Expected& b) {
  double square = 0;
  size_t count = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t c = 0; c < a[i].size(); ++c, ++count) {
      const double apart = static_cast<double>(a[i][c]) - b[i][c];
      square += apart * apart;
    }
  }
  return std::sqrt(square / static_cast<double>(count));
}

}  // namespace

TEST_CASE("families in int8 are as near as rounded weights in floats are", "[slow]") {
  const std::string root = SharedDataPath("golden/families");
  if (root.empty()) SKIP("golden/families is not in the shared data");
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (!std::filesystem::exists(entry.path() / "expected.json")) continue;
    const std::string name = entry.path().filename().string();
    const Json json = ReadJson(entry.path() / "expected.json");
    const auto ids = As<std::vector<int32_t>>(json["ids"]);
    const auto reference = As<Expected>(json[json.Has("hidden") ? "hidden" : "logits"]);
    std::string path;
    try {
      path = ConvertByRecipe(name + "-int8", entry.path(), "quality");
    } catch (const ImportError&) {
      continue;  // test_families.cc names those that are refused
    }
    const Rows integers = Run(path, ids, THIMBLE_CACHE_Q8);
    if (integers[0].size() != reference[0].size()) continue;  // dense layers behind the rows
    const double predicted = Distance(Run(InFloats(path), ids, THIMBLE_CACHE_Q8), reference), found = Distance(integers, reference);
    INFO(name << ": " << found << " from the reference, rounded weights in floats " << predicted);
    if (std::getenv("THIMBLE_PRINT") != nullptr) std::printf("%-22s %.5f %.5f %.2f\n", name.c_str(), found, predicted, found / predicted);
    // Two roundings of one size, that of weights and that of rows, make sqrt(2); measured 0.7 to 1.9, and 2.6 in one of delta nets.
    CHECK((found < 2 * std::sqrt(2.0) * predicted && found > predicted / 2));
  }
}
