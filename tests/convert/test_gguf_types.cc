// Every quantised type against the format's own Python package (golden/gguf_types): the numbers of its dequantisation,
// bit by bit.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

#include "targets/convert/gguf_file.h"
#include "tests/convert/import_testing.h"

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

}  // namespace

TEST_CASE("GGUF types: rows of every type are the package's numbers") {
  const auto checkpoint = GgufCheckpoint::Open(fs::path(THIMBLE_GOLDEN_DIR) / "gguf_types" / "types.gguf");
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
