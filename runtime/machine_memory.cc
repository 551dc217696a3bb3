// MemAvailable and VmData of proc(5); memory.max, memory.current and memory.stat of cgroups(7), version 2, and their names in
// version 1; getrlimit(2).
#include "runtime/machine_memory.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string_view>

namespace thimble {
namespace {

constexpr uint64_t kNone = THIMBLE_NO_LIMIT;

// The begin of a file of the system's, as text.
class SmallFile {
 public:
  SmallFile(const char* root, const char* folder, const char* name) {
    char path[1024];
    const int length = std::snprintf(path, sizeof path, "%s%s%s", root, folder, name);
    if (length < 0 || static_cast<size_t>(length) >= sizeof path) return;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    size_t size = 0;
    for (ssize_t n; size < sizeof bytes_ && (n = read(fd, bytes_ + size, sizeof bytes_ - size)) > 0;) size += static_cast<size_t>(n);
    close(fd);
    text_ = {bytes_, size};
  }
  std::string_view text() const { return text_; }

 private:
  char bytes_[8192];
  std::string_view text_;
};

// Without its end; the rest stays in *text.
std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return line;
}

// kNone: also "max".
uint64_t Number(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  uint64_t value = 0;
  bool any = false;
  for (size_t i = first; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
    const uint64_t digit = static_cast<uint64_t>(text[i] - '0');
    if (value > (UINT64_MAX - digit) / 10) return kNone;
    value = value * 10 + digit;
    any = true;
  }
  return any ? value : kNone;
}

uint64_t ReadNumber(const char* root, const char* folder, const char* name) { return Number(SmallFile(root, folder, name).text()); }

// Of lines "key value", or "key: value kB".
uint64_t ReadField(const char* root, const char* folder, const char* name, std::string_view key) {
  const SmallFile file(root, folder, name);
  for (std::string_view text = file.text(); !text.empty();) {
    std::string_view line = TakeLine(&text);
    if (line.substr(0, key.size()) != key) continue;
    line.remove_prefix(key.size());
    if (!line.empty() && line[0] == ':') line.remove_prefix(1);
    if (line.empty() || (line[0] != ' ' && line[0] != '\t')) continue;
    const uint64_t value = Number(line);
    const bool kilobytes = line.size() > 3 && line.substr(line.size() - 3) == " kB";
    return value != kNone && kilobytes ? value * 1024 : value;
  }
  return kNone;
}

// What one version calls its files.
struct Version {
  std::string_view controller;  // in /proc/self/cgroup; "" is version 2
  const char* mount;
  const char* limit;
  const char* usage;
  const char* droppable[2];
};
constexpr Version kVersions[] = {
    {"", "sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file", "active_file"}},
    {"memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", {"total_inactive_file", "total_active_file"}},
};

bool Names(std::string_view list, std::string_view controller) {
  while (true) {
    const size_t end = list.find(',');
    if (list.substr(0, end) == controller) return true;
    if (end == std::string_view::npos) return false;
    list.remove_prefix(end + 1);
  }
}

// The process's group: a line "0::/user.slice", or "5:cpu,memory:/user.slice". False: none.
bool GroupOf(const char* root, std::string_view controller, char* group, size_t capacity) {
  const SmallFile file(root, "proc/self/", "cgroup");
  for (std::string_view text = file.text(); !text.empty();) {
    const std::string_view line = TakeLine(&text);
    const size_t first = line.find(':'), second = line.find(':', first == std::string_view::npos ? first : first + 1);
    if (second == std::string_view::npos) continue;
    if (!Names(line.substr(first + 1, second - first - 1), controller)) continue;
    const std::string_view path = line.substr(second + 1);
    if (path.size() >= capacity) return false;
    std::memcpy(group, path.data(), path.size());
    group[path.size()] = 0;
    return true;
  }
  return false;
}

// A longer one is its end, behind "...".
void SetName(const char* group, thimble_memory* memory) {
  const size_t size = std::strlen(group), most = sizeof memory->group - 1;
  std::memset(memory->group, 0, sizeof memory->group);
  if (size <= most) {
    std::memcpy(memory->group, group, size);
    return;
  }
  std::memcpy(memory->group, group + size - most, most);
  std::memcpy(memory->group, "...", 3);
}

void LookAtGroups(const char* root, const Version& version, thimble_memory* memory) {
  char group[512], folder[640];
  if (!GroupOf(root, version.controller, group, sizeof group)) return;
  // Every group above has its own limit. In a container the path may be one of outside: then only the mount itself is there.
  for (size_t size = std::strlen(group);;) {
    while (size > 0 && group[size - 1] == '/') --size;
    group[size] = 0;
    std::snprintf(folder, sizeof folder, "%s%s/", version.mount, group);
    const uint64_t limit = ReadNumber(root, folder, version.limit), usage = ReadNumber(root, folder, version.usage);
    if (limit != kNone && usage != kNone) {
      uint64_t held = usage;
      for (const char* key : version.droppable) {
        const uint64_t bytes = ReadField(root, folder, "memory.stat", key);
        if (bytes != kNone) held -= bytes < held ? bytes : held;
      }
      const uint64_t left = limit > held ? limit - held : 0;
      if (left < memory->group_bytes) {
        memory->group_bytes = left;
        SetName(size == 0 ? "/" : group, memory);
      }
    }
    if (size == 0) return;
    while (size > 0 && group[size - 1] != '/') --size;
    if (size == 0) return;
  }
}

uint64_t LeftOf(int resource, uint64_t taken) {
  struct rlimit limit;
  if (taken == kNone || getrlimit(static_cast<decltype(RLIMIT_DATA)>(resource), &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kNone;
  return limit.rlim_cur > taken ? limit.rlim_cur - taken : 0;
}

}  // namespace

thimble_memory ReadMachineMemory(const char* root) {
  thimble_memory memory = {};
  memory.struct_bytes = sizeof memory;
  memory.group_bytes = memory.caller_bytes = kNone;
  memory.machine_bytes = ReadField(root, "proc/", "meminfo", "MemAvailable");
  for (const Version& version : kVersions) LookAtGroups(root, version, &memory);
  memory.data_bytes = LeftOf(RLIMIT_DATA, ReadField(root, "proc/self/", "status", "VmData"));
  memory.address_bytes = LeftOf(RLIMIT_AS, ReadField(root, "proc/self/", "status", "VmSize"));
  TakeSmallest(&memory);
  return memory;
}

void TakeSmallest(thimble_memory* memory) {
  const struct {
    uint64_t bytes;
    int32_t limit;
  } all[] = {{memory->machine_bytes, THIMBLE_LIMIT_MACHINE},     {memory->group_bytes, THIMBLE_LIMIT_GROUP},
             {memory->data_bytes, THIMBLE_LIMIT_DATA},           {memory->address_bytes, THIMBLE_LIMIT_ADDRESSES},
             {memory->caller_bytes, THIMBLE_LIMIT_CALLER}};
  memory->available_bytes = kNone;
  memory->limit = THIMBLE_LIMIT_NONE;
  for (const auto& one : all) {
    if (one.bytes >= memory->available_bytes) continue;
    memory->available_bytes = one.bytes;
    memory->limit = one.limit;
  }
}

// Limits of address space and data know no pages that can be dropped.
uint64_t FileBytesWithoutRoom(const thimble_memory& memory, uint64_t anonymous_bytes, uint64_t file_bytes) {
  const uint64_t room = memory.machine_bytes < memory.group_bytes ? memory.machine_bytes : memory.group_bytes;
  const uint64_t left = room > anonymous_bytes ? room - anonymous_bytes : 0;
  return file_bytes > left ? file_bytes - left : 0;
}

bool KernelReadsLargePieces() {
  utsname system;
  unsigned major = 0, minor = 0;
  if (uname(&system) != 0 || std::sscanf(system.release, "%u.%u", &major, &minor) != 2) return false;
  return (major > 5 || (major == 5 && minor >= 18)) && access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0;
}

const char* LimitName(int32_t limit) {
  switch (limit) {
    case THIMBLE_LIMIT_MACHINE: return "this machine";
    case THIMBLE_LIMIT_GROUP: return "the control group";
    case THIMBLE_LIMIT_DATA: return "RLIMIT_DATA";
    case THIMBLE_LIMIT_ADDRESSES: return "RLIMIT_AS";
    case THIMBLE_LIMIT_CALLER: return "the caller";
    default: return "nobody";
  }
}

}  // namespace thimble
