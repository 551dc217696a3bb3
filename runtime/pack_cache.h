// Packed weights in a file of their own, beside the model: written once for each model and kernels, mapped from then on. So they are
// clean pages of a file, not anonymous memory. Knows no weights, only how many bytes there are.
//
//   byte 0   magic, layout id, content id, bytes, checksum of these
//   byte 64  the packed weights
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/status.h"

namespace thimble {

inline constexpr size_t kPackCacheHeaderBytes = 64;

// What such a file is for; all of it is in its name or its first bytes.
struct PackCacheKey {
  uint64_t content_id;  // of the model: a checksum of all that it computes with
  uint64_t layout_id;   // of how every tensor is packed, in which order
  const char* kernels;
  uint32_t part;
  uint64_t bytes;       // of the weights
};

// A mapping of such a file. Trivial, so that engines can hold one; closed by hand.
struct PackCache {
  uint8_t* base = nullptr;   // first byte of the weights, 64-byte aligned
  size_t bytes = 0;          // of the weights
  bool filled = false;       // they are there; else they are to be written, and FinishPackCache() called
  int fd = -1;
  char path[256] = {}, temporary[272] = {};
};

// Opens FOLDER/ID-KERNELS.packed, or makes room for a new one, which no other process sees until it is finished. kIo with the system's
// reason; a file that is not what the key says is made anew.
Status OpenPackCache(const char* folder, const PackCacheKey& key, PackCache* cache);
// What was written is on the medium, takes its name, and cannot be written any more.
Status FinishPackCache(const PackCacheKey& key, PackCache* cache);
// Also of one that was not finished: nothing stays of it.
void ClosePackCache(PackCache* cache);

}  // namespace thimble
