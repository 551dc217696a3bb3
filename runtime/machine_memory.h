// How much memory this process can still have, as the system, its control groups and its own limits say. Knows no plans.
#pragma once

#include "runtime/include/thimble/thimble.h"

namespace thimble {

// `root` is where proc/ and sys/ are, with '/' at its end. Files that are not there say nothing. Takes no memory; opens and closes files.
thimble_memory ReadMachineMemory(const char* root = "/");

// Sets available_bytes and limit from the other figures; a tie goes to the first.
void TakeSmallest(thimble_memory* memory);

// Of a plan with so many anonymous bytes: how much of the file_bytes finds no room beside them and is read again and again.
uint64_t FileBytesWithoutRoom(const thimble_memory& memory, uint64_t anonymous_bytes, uint64_t file_bytes);

// Whether the kernel reads mappings that want huge pages, as a model's does, 4 MiB at a time and ahead by itself (Linux 5.18 and later, with
// huge pages): asking for the next weights then only costs, since what is asked for comes in small pages.
bool KernelReadsLargePieces();

// "this machine", "RLIMIT_DATA", ...; static text.
const char* LimitName(int32_t limit);

}  // namespace thimble
