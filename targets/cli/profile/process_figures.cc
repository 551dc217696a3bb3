#include "targets/cli/profile/process_figures.h"

#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>

namespace thimble::cli {
namespace {

uint64_t Nanoseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1000000000u + static_cast<uint64_t>(time.tv_usec) * 1000u;
}

// "7f00-7f80 rw-p 00000000 00:00 0      /path": the ends, and what is behind the inode. False: a line of another kind.
bool ParseMapping(std::string_view line, uint64_t* begin, uint64_t* end, std::string_view* name) {
  const auto first = std::from_chars(line.data(), line.data() + line.size(), *begin, 16);
  if (first.ec != std::errc() || first.ptr == line.data() + line.size() || *first.ptr != '-') return false;
  const auto second = std::from_chars(first.ptr + 1, line.data() + line.size(), *end, 16);
  if (second.ec != std::errc()) return false;
  line.remove_prefix(static_cast<size_t>(second.ptr - line.data()));
  for (int fields = 0; fields < 4; ++fields) {  // rights, offset, device, inode
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    line.remove_prefix(std::min(line.find(' '), line.size()));
  }
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  *name = line;
  return true;
}

MappedRegion* Find(std::span<MappedRegion> regions, size_t* count, std::string_view name) {
  constexpr size_t kRoom = sizeof(MappedRegion::name) - 1;
  if (name.size() > kRoom) name = name.substr(name.size() - kRoom);  // of a path the end says more
  for (size_t i = 0; i < *count; ++i) {
    if (std::string_view(regions[i].name.data()) == name) return &regions[i];
  }
  // What finds no room is counted with the last one.
  if (*count == regions.size()) return &regions.back();
  MappedRegion& added = regions[(*count)++];
  added = {};
  std::memcpy(added.name.data(), name.data(), name.size());
  return &added;
}

}  // namespace

ProcessFigures::ProcessFigures()
    : rollup_("/proc/self/smaps_rollup"), smaps_("/proc/self/smaps"), pressure_("/proc/pressure/memory"), text_(size_t{64} << 10) {}

ProcessBytes ProcessFigures::Bytes() {
  const std::string_view text = rollup_.Read(text_);
  return {NumberBehind(text, "Rss"), NumberBehind(text, "Pss"), NumberBehind(text, "Private_Dirty"), NumberBehind(text, "Anonymous"),
          NumberBehind(text, "Swap")};
}

ProcessWork ProcessFigures::Work() const {
  rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return {};
  return {static_cast<uint64_t>(usage.ru_minflt), static_cast<uint64_t>(usage.ru_majflt),
          Nanoseconds(usage.ru_utime) + Nanoseconds(usage.ru_stime)};
}

Pressure ProcessFigures::MemoryPressure() {
  const std::string_view text = pressure_.Read(text_);
  const size_t full = text.find("full ");
  if (full == std::string_view::npos) return {NumberBehind(text, "total"), 0};
  return {NumberBehind(text.substr(0, full), "total"), NumberBehind(text.substr(full), "total")};
}

size_t ProcessFigures::Regions(const void* arena, uint64_t arena_bytes, std::span<MappedRegion> regions) {
  const uint64_t arena_begin = reinterpret_cast<uintptr_t>(arena), arena_end = arena_begin + arena_bytes;
  size_t count = 0, kept = 0;
  uint64_t offset = 0;
  MappedRegion* region = nullptr;
  // Pieces of the text, line by line; a line that a piece cuts is read again with the next one.
  while (!regions.empty()) {
    std::string_view text = smaps_.Read(text_, offset);
    const size_t lines = text.rfind('\n');
    if (lines == std::string_view::npos) break;
    text = text.substr(0, lines + 1);
    offset += text.size();
    while (!text.empty()) {
      const size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(end + 1);
      uint64_t from = 0, to = 0;
      std::string_view name;
      if (ParseMapping(line, &from, &to, &name)) {
        if (name.starts_with("[anon:")) name = name.substr(6, name.size() - 7);
        if (name.empty()) name = from < arena_end && to > arena_begin ? "arena" : "anonymous";
        region = Find(regions, &count, name);
        ++region->mappings;
        region->size += to - from;
        ++kept;
      } else if (region != nullptr) {
        constexpr std::pair<std::string_view, uint64_t ProcessBytes::*> kLines[] = {{"Rss", &ProcessBytes::resident},
                                                                                    {"Pss", &ProcessBytes::proportional},
                                                                                    {"Private_Dirty", &ProcessBytes::private_dirty},
                                                                                    {"Anonymous", &ProcessBytes::anonymous},
                                                                                    {"Swap", &ProcessBytes::swapped}};
        for (const auto& [key, bytes] : kLines) {
          if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ':') region->bytes.*bytes += NumberBehind(line, key);
        }
      }
    }
  }
  return kept == 0 ? 0 : count;
}

void ThreadTimes::Open() {
  namespace fs = std::filesystem;
  std::vector<long> ids;
  std::error_code failed;
  for (auto it = fs::directory_iterator("/proc/self/task", failed); !failed && it != fs::directory_iterator(); it.increment(failed)) {
    ids.push_back(std::atol(it->path().filename().c_str()));
  }
  std::sort(ids.begin(), ids.end());
  for (const long id : ids) {
    SystemFile file("/proc/self/task/" + std::to_string(id) + "/schedstat");
    if (file.there()) files_.push_back(std::move(file));
  }
}

uint64_t ThreadTimes::CpuNs(size_t thread) const { return files_[thread].Number().value_or(0); }

}  // namespace thimble::cli
