// The fastest instruction of this CPU that multiplies and adds int8 values, repeated on registers: the most that a
// kernel could do if memory, shuffles and scales cost nothing. Knows no models.
#pragma once

#include <cstdint>

namespace thimble::cli {

struct Int8Loop {
  const char* name;                  // "avx512vnni", "sdot", ...; "" where the CPU has nothing that we know
  uint64_t operations;               // of one round; a product and an addition are two
  uint64_t (*run)(uint64_t rounds);  // the result means nothing
};

// The best of what this build knows and the CPU can run; `run` is null where there is none.
Int8Loop BestInt8Loop();

}  // namespace thimble::cli
