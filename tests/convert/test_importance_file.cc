// llama.cpp's importance matrices in both forms, and what is said of damaged ones.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <fstream>

#include "targets/convert/import_error.h"
#include "targets/convert/quantiser/importance_file.h"
#include "tests/convert/gguf_testing.h"
#include "tests/convert/import_testing.h"

using namespace thimble;
using test::GgufWriter;

namespace {

std::string Entry(const std::string& name, int32_t calls, const std::vector<float>& values) {
  std::string bytes = GgufWriter::Number(static_cast<int32_t>(name.size())) + name + GgufWriter::Number(calls) +
                      GgufWriter::Number(static_cast<int32_t>(values.size()));
  for (const float value : values) bytes += GgufWriter::Number(value);
  return bytes;
}

ImportanceMatrix Read(const std::string& bytes) {
  const auto path = test::FreshFolder("importance") / "imatrix";
  std::ofstream(path, std::ios::binary) << bytes;
  return ReadImportanceMatrix(path);
}

std::string Refusal(const std::string& bytes) {
  try {
    (void)Read(bytes);
  } catch (const ImportError& error) {
    CHECK(error.code() == Code::kInvalidModel);
    return error.text();
  }
  return "taken";
}

GgufWriter Gguf() {
  GgufWriter w;
  w.String("general.type", "imatrix");
  w.U32("imatrix.chunk_count", 2);
  return w;
}

}  // namespace

TEST_CASE("importance matrix: the binary form gives mean squares") {
  const std::string bytes = GgufWriter::Number<int32_t>(2) + Entry("blk.0.attn_q.weight", 4, {8, 2, 0}) + Entry("output.weight", 0, {3}) +
                            GgufWriter::Number<int32_t>(4) + GgufWriter::Number<int32_t>(1) + "t";
  const ImportanceMatrix matrix = Read(bytes);
  REQUIRE(matrix.size() == 2);
  CHECK(matrix.at("blk.0.attn_q.weight") == std::vector<float>{2, 0.5f, 0});
  CHECK(matrix.at("output.weight") == std::vector<float>{3});
}

TEST_CASE("importance matrix: the GGUF form gives mean squares, matrix by matrix") {
  GgufWriter w = Gguf();
  w.Floats("blk.1.ffn_up.weight.in_sum2", {1, 2}, {8, 4});
  w.Floats("blk.1.ffn_up.weight.counts", {1, 1}, {4});
  w.Floats("blk.1.ffn_up_exps.weight.in_sum2", {3, 2}, {2, 4, 9, 6, 5, 5});
  w.Floats("blk.1.ffn_up_exps.weight.counts", {3, 1}, {2, 3, 0});
  const ImportanceMatrix matrix = Read(w.Bytes());
  REQUIRE(matrix.size() == 2);
  CHECK(matrix.at("blk.1.ffn_up.weight") == std::vector<float>{2, 1});
  CHECK(matrix.at("blk.1.ffn_up_exps.weight") == std::vector<float>{1, 2, 3, 2, 0, 0});
}

TEST_CASE("importance matrix: damaged files are refused by name") {
  using Catch::Matchers::ContainsSubstring;
  const std::string good = GgufWriter::Number<int32_t>(1) + Entry("a.weight", 1, {1, 2});
  REQUIRE(Refusal(good) == "taken");
  for (size_t size = 0; size < good.size(); ++size) CHECK(Refusal(good.substr(0, size)) != "taken");
  CHECK_THAT(Refusal(good.substr(0, good.size() - 1)), ContainsSubstring("entry 1: the values takes 8 bytes, 7 are left"));
  CHECK_THAT(Refusal(GgufWriter::Number<int32_t>(-1)), ContainsSubstring("the number of entries is -1, expected 1 to"));
  CHECK_THAT(Refusal(GgufWriter::Number<int32_t>(2) + Entry("a", 1, {1}) + Entry("a", 1, {1})), ContainsSubstring("entry 2: 'a' is there twice"));
  CHECK_THAT(Refusal(GgufWriter::Number<int32_t>(1) + GgufWriter::Number<int32_t>(1 << 20)), ContainsSubstring("the length of the name is 1048576"));
  CHECK_THAT(Refusal(GgufWriter::Number<int32_t>(1) + GgufWriter::Number<int32_t>(1) + "a" + GgufWriter::Number<int32_t>(1) +
                     GgufWriter::Number<int32_t>(1 << 26)),
             ContainsSubstring("67108864 values do not fit the file"));
  for (const float bad : {-1.0f, NAN, INFINITY})
    CHECK_THAT(Refusal(GgufWriter::Number<int32_t>(1) + Entry("a.weight", 1, {1, bad})), ContainsSubstring("'a.weight': value 1 is"));

  GgufWriter no_type;
  no_type.Floats("a.in_sum2", {1, 2}, {1, 2});
  CHECK_THAT(Refusal(no_type.Bytes()), ContainsSubstring("field 'general.type': is missing, expected \"imatrix\""));
  GgufWriter no_counts = Gguf();
  no_counts.Floats("a.weight.in_sum2", {1, 2}, {1, 2});
  CHECK_THAT(Refusal(no_counts.Bytes()), ContainsSubstring("'a.weight.counts' is missing"));
  GgufWriter uneven = Gguf();
  uneven.Floats("a.weight.in_sum2", {1, 3}, {1, 2, 3});
  uneven.Floats("a.weight.counts", {2, 1}, {1, 2});
  CHECK_THAT(Refusal(uneven.Bytes()), ContainsSubstring("sums [1, 3] do not belong to counts [2, 1]"));
  CHECK_THAT(Refusal(Gguf().Bytes()), ContainsSubstring("holds no tensor NAME.in_sum2"));
}
