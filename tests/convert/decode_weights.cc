// decode_weights FILE: the numbers of every tensor of a .thimble file in portable rows, as the runtime reads them, to
// standard output: a line "NAME TYPE ROWS COLS TURN" and then that many little-endian floats.
#include <cstdio>
#include <string>
#include <vector>

#include "format/model_file.h"
#include "ops/linear/embed.h"

int main(int argc, char** argv) {
  using namespace thimble;
  ModelFile file;
  if (argc != 2 || !file.Open(argv[1]).ok() || !VerifyPayload(file).ok()) {
    std::fprintf(stderr, "decode_weights FILE: a good .thimble file\n");
    return 1;
  }
  for (uint32_t i = 0; i < file.header().tensors(); ++i) {
    const TensorSpec t = file.header().tensor(i);
    std::printf("%s %s %u %u %u\n", std::string(file.header().tensor_name(i)).c_str(), WeightTypeName(t.type), t.rows, t.cols, t.turn);
    const WeightRows rows = {.type = t.type, .n = t.rows, .k = t.cols, .block = t.block, .data = file.TensorData(i), .scales = file.TensorScales(i)};
    std::vector<float> numbers(t.cols);
    for (uint32_t r = 0; r < t.rows; ++r) {
      DecodeWeightRow(rows, r, 1, numbers.data());
      std::fwrite(numbers.data(), sizeof(float), numbers.size(), stdout);
    }
  }
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? 0 : 1;
}
