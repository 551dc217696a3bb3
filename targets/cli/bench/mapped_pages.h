// How the system holds a mapped file: what of it is entered into the page table in pieces of 2 MiB and not page by page. That is
// the luck of its page cache, and decides how long a first token takes. Knows no models.
#pragma once

#include <optional>
#include <string>

namespace thimble::cli {

// The share of this process's resident pages of the file at `path` that are mapped as huge ones, 0 to 1. Nothing where none is
// mapped, and where the system does not say (/proc/self/smaps).
std::optional<double> HugeShareOfMapping(const std::string& path);

}  // namespace thimble::cli
