// Whole files onto block types: what is written is what the quantiser meant, the budget is kept, importance and moments are used.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>
#include <random>

#include "format/model_file.h"
#include "ops/linear/block_row.h"
#include "targets/convert/import_error.h"
#include "targets/convert/quantiser/block_types.h"
#include "targets/convert/quantiser/model_quantiser.h"
#include "targets/convert/quantiser/quantise_matrix.h"
#include "tests/convert/import_testing.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using Catch::Matchers::ContainsSubstring;

namespace {

// A decoder of two layers with separate table and head, [96] wide.
test::ModelBuilder SmallModel(uint64_t seed = 1) {
  test::ModelBuilder m(96, 40, 32, seed);
  AttentionSpec a;
  a.heads = 4;
  a.kv_heads = 2;
  a.head_width = 24;
  a.scale = 0.2f;
  for (int i = 0; i < 2; ++i) m.AddLayer(m.AddAttention(a, false), m.AddFfn(FfnKind::kGated, Activation::kSilu, 160, false));
  m.Finish(false, false, NormKind::kRmsNorm);
  return m;
}

std::string Written(test::ModelBuilder m) {
  const std::string path = test::TemporaryPath("floats.thimble");
  m.WriteFile(path);
  return path;
}

QuantisedModel Quantise(const std::string& source, const std::string& output, double bits, size_t threads = 2,
                        const ImportanceMatrix* importance = nullptr) {
  ModelQuantiserOptions options;
  options.source = source;
  options.output = output;
  options.bits = bits;
  options.threads = threads;
  options.importance = importance;
  return QuantiseModel(options);
}

std::string Refusal(const std::string& source, double bits, const ImportanceMatrix* importance = nullptr) {
  try {
    (void)Quantise(source, test::TemporaryPath("refused.thimble"), bits, 1, importance);
  } catch (const ImportError& error) {
    return error.what();
  }
  return "taken";
}

}  // namespace

TEST_CASE("rows in the portable layout decode to what the quantiser meant, bit for bit") {
  std::mt19937 random(1);
  size_t types = 0;
  for (uint8_t i = 0; i < kWeightTypeCount; ++i) {
    const WeightType type = static_cast<WeightType>(i);
    if (!CanQuantiseTo(type)) continue;
    ++types;
    const BlockFormat& format = *FormatOf(type);
    const BlockGrid grid = GridOf(type);
    for (const size_t k : {size_t{32}, size_t{40}, size_t{80}, size_t{256}, size_t{576}}) {
      INFO(WeightTypeName(type) << ", " << k << " columns");
      std::vector<float> w(k), want(k);
      for (float& v : w) v = static_cast<float>(static_cast<int>(random() % 2001) - 1000) * 1e-4f;
      uint64_t row_bytes = 0;
      REQUIRE(WeightRowBytes(type, k, kBlockColumns, &row_bytes));
      std::vector<uint8_t> data(row_bytes, 0xaa), scales(BlockScaleBytes(format, k), 0xaa);
      (void)QuantiseMatrix(grid, w.data(), 1, k, {}, 1, [&](size_t, const GridRow& row) {
        PackGridRow(type, row, k, data.data(), scales.data());
        DecodeGridRow(grid, row, k, want.data());
      });
      const BlockScaleRow of(format, k, scales.data());
      for (size_t at = 0; at < row_bytes / (4 * format.bits) * 32; at += 32) {
        uint8_t codes[32];
        UnpackBlockCodes(format, data.data() + at / 32 * 4 * format.bits, codes);
        for (size_t e = 0; e < 32; ++e) {
          if (at + e >= k) {
            CHECK(codes[e] == (format.book != 0 ? 0 : format.zero));
            continue;
          }
          const size_t group = (at + e) / format.group;
          const float product = of.Scale(group) * static_cast<float>(BlockValue(format, codes[e]));
          CHECK((format.minimum ? product + of.Minimum(group) : product) == want[at + e]);
        }
      }
    }
  }
  CHECK(types == 12);
}

TEST_CASE("a file keeps its budget, loses less with more of it, and does not depend on threads", "[slow][threads]") {
  const std::string source = Written(SmallModel()), a = test::TemporaryPath("a.thimble"), b = test::TemporaryPath("b.thimble");
  double before = INFINITY;
  for (const double bits : {4.0, 4.7, 5.5, 7.0, 8.2, 8.6}) {
    const QuantisedModel one = Quantise(source, a, bits, 1), three = Quantise(source, b, bits, 3);
    CHECK(one.bits <= bits);
    CHECK(one.bits > bits - 0.6);
    CHECK(one.loss < before);
    before = one.loss;
    CHECK(test::ReadFile(a) == test::ReadFile(b));
    ModelFile file;
    REQUIRE(file.Open(a.c_str()).ok());
    CHECK(VerifyPayload(file).ok());
    CHECK(file.file_bytes() == one.report.file_bytes);
    REQUIRE(one.report.tensors.size() == file.header().tensors());
    for (uint32_t i = 0; i < file.header().tensors(); ++i) {
      CHECK(one.report.tensors[i].type == file.header().tensor(i).type);
      const bool matrix = file.header().tensor(i).rows > 1;
      CHECK((file.header().tensor(i).type != WeightType::kF32) == matrix);
      if (matrix) CHECK(one.report.tensors[i].relative_error > 0);
      // A table that is only looked up has no input to turn.
      if (static_cast<int32_t>(i) == file.header().model().input.table) CHECK(file.header().tensor(i).turn == 0);
    }
  }
}

TEST_CASE("too few bits, quantised sources and foreign importance matrices are refused by name", "[slow]") {
  const std::string source = Written(SmallModel());
  CHECK_THAT(Refusal(source, 2.0), ContainsSubstring("2.00 bits per weight: too few; the smallest types take 3."));
  const std::string quantised = test::TemporaryPath("quantised.thimble");
  (void)Quantise(source, quantised, 5);
  CHECK_THAT(Refusal(quantised, 5), ContainsSubstring("is quantised already; floats are expected"));
  CHECK_THAT(Refusal(test::TemporaryPath("nowhere.thimble"), 5), ContainsSubstring("nowhere.thimble"));
  const ImportanceMatrix none = {{"blk.7.attn_q.weight", std::vector<float>(96, 1)}};
  CHECK_THAT(Refusal(source, 5, &none), ContainsSubstring("has none of the model's tensors"));
  const ImportanceMatrix narrow = {{"blk.1.attn_q.weight", std::vector<float>(95, 1)}};
  CHECK_THAT(Refusal(source, 5, &narrow), ContainsSubstring("'blk.1.attn_q.weight' has 95 columns, the model 96"));
}

TEST_CASE("an importance matrix makes important columns more exact", "[slow]") {
  test::ModelBuilder model = SmallModel();
  const std::string source = Written(std::move(model)), even = test::TemporaryPath("even.thimble"), weighed = test::TemporaryPath("weighed.thimble");
  ImportanceMatrix importance;
  for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
    for (int layer = 0; layer < 2; ++layer) {
      std::vector<float> columns(std::string_view(name) == "ffn_down" ? 160 : 96, 1.0f);
      for (size_t j = 0; j < columns.size(); j += 16) columns[j] = 1000;
      importance["blk." + std::to_string(layer) + "." + name + ".weight"] = std::move(columns);
    }
  }
  ImportanceMatrix ones = importance;
  for (auto& [name, columns] : ones) std::fill(columns.begin(), columns.end(), 1.0f);
  const QuantisedModel a = Quantise(source, even, 4.5, 2, &ones), b = Quantise(source, weighed, 4.5, 2, &importance);
  CHECK(b.loss < 0.8 * a.loss);
  CHECK(test::ReadFile(even) != test::ReadFile(weighed));
}
