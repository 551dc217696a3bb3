// A safetensors file, most of all its header: what opens can be read to the last element.
#include <algorithm>
#include <cstring>

#include "targets/convert/import_error.h"
#include "targets/convert/safetensors.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace thimble;
  try {
    const auto checkpoint = SafetensorsCheckpoint::OpenFile(fuzz::AsFile(data, size));
    uint64_t elements = 0;
    for (size_t i = 0; i < checkpoint->tensors().size(); ++i) {
      const SourceTensor& tensor = checkpoint->tensors()[i];
      elements += tensor.elements;
      float last[16];
      const uint64_t n = std::min<uint64_t>(tensor.elements, 16);
      try {
        checkpoint->ReadFloats(i, tensor.elements - n, n, last);
      } catch (const ImportError&) {  // a type that is no float
      }
    }
    if (elements > size) fuzz::Found("more elements than bytes");
  } catch (const ImportError&) {
  }
  return 0;
}

namespace thimble::fuzz {
namespace {

std::string File(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file + header + std::string(data_bytes, '?');
}

}  // namespace

std::vector<std::string> Seeds() {
  return {File("{}", 0),
          File(R"({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}})", 24),
          File(R"({"__metadata__": {"format": "pt"}, "a": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]},)"
               R"( "b": {"dtype": "F16", "shape": [], "data_offsets": [8, 10]}, "c": {"dtype": "I64", "shape": [1],)"
               R"( "data_offsets": [10, 18]}, "d": {"dtype": "F64", "shape": [0, 9], "data_offsets": [18, 18]}})",
               18)};
}

std::vector<std::string> Words() {
  return {"\"dtype\":", "\"shape\":", "\"data_offsets\":", "\"F32\"", "\"F64\"", "\"BOOL\"", "\"F8_E4M3\"",
          "18446744073709551615", "4294967296", "[", "]", "{", "}", ",", "\"__metadata__\":{}", "-1", "0"};
}

}  // namespace thimble::fuzz
