#include "targets/cli/bench/mapped_pages.h"

#include <sys/stat.h>

#include <cstdio>
#include <memory>

namespace thimble::cli {

std::optional<double> HugeShareOfMapping(const std::string& path) {
  struct stat file;
  if (stat(path.c_str(), &file) != 0) return std::nullopt;
  const std::unique_ptr<FILE, int (*)(FILE*)> smaps(std::fopen("/proc/self/smaps", "re"), std::fclose);
  if (!smaps) return std::nullopt;
  // A line with the addresses and the inode of each mapping, then lines "Name: N kB" about it. Only the inode is compared: some
  // file systems name another device here than stat does.
  bool ours = false;
  unsigned long long resident = 0, huge = 0, inode = 0, kilobytes = 0;
  char line[512], name[64];
  while (std::fgets(line, sizeof line, smaps.get()) != nullptr) {
    if (std::sscanf(line, "%*x-%*x %*4s %*x %*x:%*x %llu", &inode) == 1) {
      ours = inode == file.st_ino;
    } else if (ours && std::sscanf(line, "%63[^:]: %llu kB", name, &kilobytes) == 2) {
      const std::string what = name;
      if (what == "Rss") resident += kilobytes;
      if (what == "FilePmdMapped" || what == "ShmemPmdMapped") huge += kilobytes;
    }
  }
  if (resident == 0) return std::nullopt;
  return static_cast<double>(huge) / static_cast<double>(resident);
}

}  // namespace thimble::cli
