// JSON of other people's directories: any text is a value or an ImportError.
#include "targets/convert/import_error.h"
#include "targets/convert/json_file.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    thimble::ParseJsonObject({reinterpret_cast<const char*>(data), size}, "fuzz.json");
  } catch (const thimble::ImportError&) {
  }
  return 0;
}

namespace thimble::fuzz {

std::vector<std::string> Seeds() {
  return {R"({"model_type": "llama", "hidden_size": 64, "rope_scaling": null, "layers": [1, -2.5e-7, true, {}]})",
          R"({"model": {"vocab": {"a": 0, "\u0120b": 1}, "merges": ["a b", ["c", "d"]]}, "text": "\ud83d\ude00\n"})",
          "{\"\xc3\xa4\": [[[[[]]]]], \"n\": 123456789012345678901234567890}"};
}

std::vector<std::string> Words() {
  return {"{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "\"a\":", "null", "true", "false", "-", ".",
          "1e308", "1e-400", "18446744073709551616", "\xef\xbb\xbf", "\xed\xa0\x80", std::string(1, '\0')};
}

}  // namespace thimble::fuzz
