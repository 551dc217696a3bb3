// int4 cache rows, in blocks of 16: what StoreCacheRow() and LoadCacheRow() (cache_row.h) do for them.
#pragma once

#include <cstddef>

namespace thimble {

// Writes x[0, d) as row `position` of the head whose blocks begin at `head`; touches no other row's bytes.
void StoreQ4Row(const float* x, size_t d, size_t position, void* head);
void LoadQ4Row(const void* head, size_t position, size_t d, float* x);

}  // namespace thimble
