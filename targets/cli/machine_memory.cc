// MemAvailable of proc(5); memory.max, memory.current and memory.stat of cgroups(7), version 2, and their names in version 1.
#include "targets/cli/machine_memory.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace thimble::cli {
namespace {

std::optional<uint64_t> ReadNumber(const std::string& path) {
  std::ifstream in(path);
  uint64_t value = 0;
  if (in >> value) return value;
  return std::nullopt;  // also "max"
}

// Of lines "key value", or "key: value kB".
std::optional<uint64_t> ReadField(const std::string& path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string word, unit;
    uint64_t value = 0;
    if (!(words >> word) || (word != key && word != key + ":") || !(words >> value)) continue;
    return words >> unit && unit == "kB" ? value * 1024 : value;
  }
  return std::nullopt;
}

// What one version calls its files.
struct Version {
  const char* controller;  // in /proc/self/cgroup; "" is version 2
  const char* mount;
  const char* limit;
  const char* usage;
  const char* droppable[2];
};
constexpr Version kVersions[] = {
    {"", "sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file", "active_file"}},
    {"memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", {"total_inactive_file", "total_active_file"}},
};

// The process's group: a line "0::/user.slice", or "5:cpu,memory:/user.slice".
std::optional<std::string> GroupOf(const std::string& root, const std::string& controller) {
  std::ifstream in(root + "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (names == ",," ? controller.empty() : !controller.empty() && names.find("," + controller + ",") != std::string::npos)
      return line.substr(second + 1);
  }
  return std::nullopt;
}

void Keep(uint64_t available, const std::string& limit, std::optional<MachineMemory>* least) {
  if (*least && (*least)->available_bytes <= available) return;
  *least = MachineMemory{available, limit};
}

void LookAtGroups(const std::string& root, const Version& version, std::optional<MachineMemory>* least) {
  std::optional<std::string> group = GroupOf(root, version.controller);
  if (!group) return;
  // Every group above has its own limit. In a container the path may be one of outside: then only the mount itself is there.
  for (std::string path = *group;; path.resize(path.rfind('/'))) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    const std::string folder = root + version.mount + path + "/";
    const std::optional<uint64_t> limit = ReadNumber(folder + version.limit), usage = ReadNumber(folder + version.usage);
    if (limit && usage) {
      uint64_t held = *usage;
      for (const char* key : version.droppable) held -= std::min(held, ReadField(folder + "memory.stat", key).value_or(0));
      Keep(*limit > held ? *limit - held : 0, path.empty() ? "the control group" : "the control group " + path, least);
    }
    if (path.empty() || path.rfind('/') == std::string::npos) return;
  }
}

}  // namespace

std::optional<MachineMemory> AvailableMemory(const std::string& root) {
  std::optional<MachineMemory> least;
  if (const auto available = ReadField(root + "proc/meminfo", "MemAvailable")) Keep(*available, "this machine", &least);
  for (const Version& version : kVersions) LookAtGroups(root, version, &least);
  return least;
}

}  // namespace thimble::cli
