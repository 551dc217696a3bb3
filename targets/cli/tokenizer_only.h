// A tokenizer file as a model that holds nothing else, so that `thimble tokenize --tokenizer FILE` goes
// through the same public calls as a converted model does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace thimble::cli {

struct AlignedBytes {
  struct Free {
    void operator()(uint8_t* bytes) const;
  };
  std::unique_ptr<uint8_t, Free> data;
  size_t size = 0;
};

// The bytes of a whole .thimble file. `path` as targets/convert's LoadTokenizer takes it; throws ImportError.
AlignedBytes MakeTokenizerModel(const std::string& path);

}  // namespace thimble::cli
