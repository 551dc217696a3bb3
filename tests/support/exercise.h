// Does with the bytes of a model, damaged or not, everything that a program would: open, verify, plan, load,
// run, sample, generate. The one question is whether every step ends in success or in a named error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace thimble::test {

struct Exercised {
  int32_t open_code = 0;    // what opening said
  int32_t verify_code = 0;  // when it opened
  bool ran = false;         // a session was created and logits came out
  std::string fault;        // not empty: a step ended without a name for what is wrong
};

// `bytes` is 64-byte aligned. Larger arenas are not created; `variant` chooses cache types, kernels and
// sampling.
Exercised ExerciseModel(const uint8_t* bytes, size_t size, uint32_t variant,
                        size_t max_arena_bytes = size_t{64} << 20);
// Over a copy of exactly that size, so that AddressSanitizer sees every read behind its end.
Exercised ExerciseModel(const std::vector<uint8_t>& bytes, uint32_t variant,
                        size_t max_arena_bytes = size_t{64} << 20);

}  // namespace thimble::test
