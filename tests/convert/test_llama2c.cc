// llama2.c files: sizes must match the header exactly.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "targets/convert/convert.h"
#include "targets/convert/llama2c_file.h"
#include "tests/convert/import_testing.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// dim 8, hidden 12, 2 layers, 2 heads, 1 kv head, 11 ids, 16 positions.
struct Llama2c {
  int32_t header[7] = {8, 12, 2, 2, 1, 11, 16};

  std::string Bytes() const {
    const bool own_head = header[5] < 0;
    const size_t D = 8, F = 12, L = 2, d = 4, kv = 4, V = 11, P = 16;
    const size_t n =
        V * D * (own_head ? 2 : 1) + L * (2 * D + 2 * D * D + 2 * kv * D + 3 * F * D) + D + P * d;
    std::vector<float> weights(n);
    for (size_t i = 0; i < n; ++i) weights[i] = static_cast<float>(i % 97) / 97.0f;
    std::string bytes(sizeof header + n * sizeof(float), '\0');
    std::memcpy(bytes.data(), header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, weights.data(), n * sizeof(float));
    return bytes;
  }
};

Outcome ConvertBytes(const std::string& bytes) {
  const fs::path path = TemporaryPath("model.bin");
  WriteFile(path, bytes);
  return ConvertOutcome(path);
}

}  // namespace

TEST_CASE("llama2.c: interleaved pairs, grouped heads, shared or own head") {
  Llama2c file;
  const fs::path path = TemporaryPath("tiny.bin"), out = TemporaryPath("tiny.thimble");
  for (const bool own_head : {false, true}) {
    file.header[5] = own_head ? -11 : 11;
    WriteFile(path, file.Bytes());
    ConvertOptions options;
    options.source = path;
    options.output = out;
    const ConvertReport report = Convert(options);
    CHECK(report.family == "llama2.c");
    CHECK(report.name == "tiny");
    CHECK(report.vocabulary == 11);
    LayerSpec layer = LayersOf(out.string()).at(1);
    CHECK(layer.attention().rope.pairing == RopePairing::kInterleaved);
    CHECK((layer.attention().heads == 2 && layer.attention().kv_heads == 1 && layer.attention().head_width == 4));
    CHECK(layer.blocks[0].norm.eps == 1e-5f);
    const ModelSpec spec = SpecOf(out.string());
    CHECK(spec.output.tied == !own_head);
    CHECK(spec.max_positions == 16);
  }
}

TEST_CASE("llama2.c: the head is read from behind the frequency tables") {
  Llama2c file;
  file.header[5] = -11;
  const std::string bytes = file.Bytes();
  const fs::path path = TemporaryPath("head.bin");
  WriteFile(path, bytes);
  const auto checkpoint = Llama2cCheckpoint::Open(path);
  std::vector<float> head(11 * 8), expected(11 * 8);
  checkpoint->ReadFloats(*checkpoint->Find("output.weight"), 0, head.size(), head.data());
  std::memcpy(expected.data(), bytes.data() + bytes.size() - expected.size() * 4, expected.size() * 4);
  CHECK(head == expected);
}

TEST_CASE("llama2.c: a file of any other length is refused") {
  const std::string whole = Llama2c().Bytes();
  REQUIRE(ConvertBytes(whole).code == Code::kOk);
  for (size_t size = 0; size < whole.size(); size += size < 64 ? 1 : 211) {
    CHECK(ConvertBytes(whole.substr(0, size)).code == Code::kTruncated);
  }
  CHECK(ConvertBytes(whole + "1").code == Code::kTrailingBytes);
}

TEST_CASE("llama2.c: every field at its worst") {
  for (int field = 0; field < 7; ++field) {
    for (const int32_t value : {0, -1, INT32_MIN, INT32_MAX, 3, 5, 1 << 30}) {
      Llama2c file;
      const std::string good = file.Bytes();
      file.header[field] = value;
      std::string bytes = good;
      std::memcpy(bytes.data(), file.header, sizeof file.header);
      const Outcome outcome = ConvertBytes(bytes);
      INFO("field " << field << " = " << value << ": " << outcome.message);
      CHECK(outcome.code != Code::kOk);
      CHECK(outcome.Names("model.bin"));
    }
  }
}

TEST_CASE("other files called .bin are told apart") {
  CHECK(ConvertBytes("PK\3\4 a torch archive, long enough to have a header").Names("ZIP archive"));
  CHECK(ConvertBytes("ak42 a newer llama2.c file, with a header behind it").Names("version 1 and 2"));
  CHECK(ConvertBytes("GGUF and so on, more than twenty-eight bytes of it").Names("header version"));
}
