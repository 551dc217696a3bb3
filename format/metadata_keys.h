// Names of free metadata that the program and the library read; all others are for people.
#pragma once

namespace thimble {

inline constexpr char kPoolingKey[] = "embedding.pooling";      // how hidden rows become one vector: mean, first or last
inline constexpr char kNormaliseKey[] = "embedding.normalise";  // true: which is brought to length 1

}  // namespace thimble
