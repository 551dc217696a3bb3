#include "targets/cli/profile/arena_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

namespace thimble::cli {
namespace {

constexpr size_t kEntriesAtOnce = 8192;
// Of an entry of /proc/self/pagemap (the kernel's Documentation/admin-guide/mm/pagemap.rst). A page that was only read is the common
// page of zeros, which no process has for itself.
constexpr uint64_t kPresent = uint64_t{1} << 63, kSwapped = uint64_t{1} << 62, kExclusive = uint64_t{1} << 56;

}  // namespace

Region RegionOf(const thimble_plan_line& line) {
  const std::string_view name = line.name;
  if (line.scratch != 0) return Region::kScratch;
  if (name.starts_with("kv_")) return Region::kCache;
  if (line.session != -1) return Region::kSession;
  if (name == "packed_weights" || name == "repacked_weights" || name == "model_copy") return Region::kWeights;
  return name.starts_with("profile.") ? Region::kProfiler : Region::kEngine;
}

ArenaPages::ArenaPages(const std::vector<thimble_plan_line>& lines, uint64_t arena_bytes)
    : page_bytes_(static_cast<uint64_t>(sysconf(_SC_PAGESIZE))), arena_bytes_(arena_bytes), pagemap_("/proc/self/pagemap") {
  const size_t pages = static_cast<size_t>((arena_bytes + page_bytes_ - 1) / page_bytes_);
  before_.resize(pages + 1);
  entries_.resize(std::min(pages, kEntriesAtOnce));
  states_.resize(std::min(pages, kEntriesAtOnce));
  for (const thimble_plan_line& line : lines) {
    if (line.lifetime != THIMBLE_ARENA || line.bytes == 0) continue;
    std::vector<Stretch>& stretches = regions_[static_cast<size_t>(RegionOf(line))];
    // In the order of addresses, but for scratch, whose phases begin where the first began.
    if (!stretches.empty() && line.offset <= stretches.back().end) {
      stretches.back().end = std::max(stretches.back().end, line.offset + line.bytes);
    } else {
      stretches.push_back({line.offset, line.offset + line.bytes});
    }
  }
}

void ArenaPages::Count(size_t page, bool touched, bool resident, bool dirty) {
  const Before& before = before_[page];
  before_[page + 1] = {before.touched + touched, before.resident + resident, before.dirty + dirty};
}

void ArenaPages::Look(const void* arena) {
  source_ = ReadPagemap(arena) ? "pagemap" : AskMincore(arena) ? "mincore" : "";
  if (source_[0] == 0) std::fill(before_.begin(), before_.end(), Before{});
}

bool ArenaPages::ReadPagemap(const void* arena) {
  const size_t pages = before_.size() - 1;
  const uint64_t first = reinterpret_cast<uintptr_t>(arena) / page_bytes_;
  for (size_t done = 0; done < pages;) {
    const size_t count = std::min(pages - done, entries_.size());
    const std::span<char> bytes(reinterpret_cast<char*>(entries_.data()), count * sizeof(uint64_t));
    if (pagemap_.Read(bytes, (first + done) * sizeof(uint64_t)).size() != bytes.size()) return false;
    for (size_t i = 0; i < count; ++i) {
      const uint64_t entry = entries_[i];
      Count(done + i, (entry & (kPresent | kSwapped)) != 0, (entry & kPresent) != 0, (entry & (kExclusive | kSwapped)) != 0);
    }
    done += count;
  }
  return true;
}

bool ArenaPages::AskMincore(const void* arena) {
  const size_t pages = before_.size() - 1;
  const uintptr_t base = reinterpret_cast<uintptr_t>(arena) / page_bytes_ * page_bytes_;
  for (size_t done = 0; done < pages;) {
    const size_t count = std::min(pages - done, states_.size());
    if (mincore(reinterpret_cast<void*>(base + done * page_bytes_), count * page_bytes_, states_.data()) != 0) return false;
    for (size_t i = 0; i < count; ++i) {
      const bool resident = (states_[i] & 1) != 0;
      Count(done + i, resident, resident, false);
    }
    done += count;
  }
  return true;
}

PageBytesCount ArenaPages::OfRange(uint64_t begin, uint64_t end) const {
  PageBytesCount sum;
  if (begin >= end) return sum;
  // A part of the first page, whole pages, a part of the last one.
  const auto add = [&](uint64_t from, uint64_t to) {
    const uint64_t first = from / page_bytes_, last = (to + page_bytes_ - 1) / page_bytes_;
    const Before &a = before_[first], &b = before_[last];
    const uint64_t bytes = last - first == 1 ? to - from : page_bytes_;
    sum.touched += (b.touched - a.touched) * bytes;
    sum.resident += (b.resident - a.resident) * bytes;
    sum.dirty += (b.dirty - a.dirty) * bytes;
  };
  const uint64_t whole_from = (begin + page_bytes_ - 1) / page_bytes_ * page_bytes_, whole_to = end / page_bytes_ * page_bytes_;
  if (whole_from > whole_to) {
    add(begin, end);
    return sum;
  }
  if (begin < whole_from) add(begin, whole_from);
  if (whole_from < whole_to) add(whole_from, whole_to);
  if (whole_to < end) add(whole_to, end);
  return sum;
}

PageBytesCount ArenaPages::Of(Region region) const {
  PageBytesCount sum;
  for (const Stretch& stretch : regions_[static_cast<size_t>(region)]) {
    const PageBytesCount part = OfRange(stretch.begin, stretch.end);
    sum.touched += part.touched;
    sum.resident += part.resident;
    sum.dirty += part.dirty;
  }
  return sum;
}

uint64_t ArenaPages::own_bytes() const {
  return before_.size() * sizeof(Before) + entries_.size() * sizeof(uint64_t) + states_.size();
}

}  // namespace thimble::cli
