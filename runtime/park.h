// Parked sessions: what they hold lies in a file instead of the arena. Two files take turns: the older one is written, so that at
// every moment one of them is whole, however the process ends.
//
//   byte 0   ParkHeader, written last
//   byte 64  for each session: ParkedSession; its state (saved_state.h)
//
// Here are the files; Engine::Park(), Engine::Recover() and Session::Wake() are what sessions have to do with them.
#pragma once

#include <cstdint>

#include "runtime/core/status.h"

namespace thimble {

inline constexpr char kParkMagic[8] = {'T', 'H', 'I', 'M', 'P', 'R', 'K', '1'};

struct ParkHeader {
  char magic[8];
  uint64_t generation;       // the larger one is the newer one
  uint64_t content_id;       // of the model
  uint64_t bytes;            // behind the header
  uint64_t checksum;         // of these
  uint32_t sessions;
  uint32_t reserved[3];      // 0
  uint64_t header_checksum;  // of what is before
};
static_assert(sizeof(ParkHeader) == 64);

struct ParkedSession {
  uint64_t state_bytes;
  uint32_t slot;
  uint32_t reserved;         // 0
};
static_assert(sizeof(ParkedSession) == 16);

// Trivial, so that engines can hold one; closed by hand.
struct ParkFiles {
  int fds[2] = {-1, -1};
  int newest = -1;           // which of them is whole and newer; -1: none
  ParkHeader header = {};    // its own

  bool open() const { return fds[0] >= 0; }
};

// PATH.0 and PATH.1, made where they are not there, for this process's user alone. kIo with the system's reason; kBusy: another engine
// has them. What they hold of another model counts for nothing.
Status OpenParkFiles(const char* path, uint64_t content_id, ParkFiles* files);
void CloseParkFiles(ParkFiles* files);

}  // namespace thimble
