// Packs models of the zoo through files, as the program does.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "targets/convert/pack_file.h"
#include "tests/support/model_zoo.h"

namespace thimble::test {

inline std::vector<uint8_t> ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline void WriteBytes(const std::string& path, const std::vector<uint8_t>& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

// The model's bytes with its weights packed for `table`.
inline std::vector<uint8_t> Packed(const std::vector<uint8_t>& model, const std::string& table) {
  const std::string from = TemporaryPath("unpacked.thimble"), to = TemporaryPath("packed.thimble");
  WriteBytes(from, model);
  PackOptions options;
  options.source = from;
  options.output = to;
  options.table = table;
  (void)PackFile(options);
  return ReadBytes(to);
}

}  // namespace thimble::test
