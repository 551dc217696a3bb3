#include "format/replace_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace thimble {
namespace {

constexpr char kTemporary[] = ".tmp-";

}  // namespace

int CreateBeside(const std::string& path, mode_t mode, std::string* temporary) {
  static std::atomic<unsigned> made{0};
  for (;;) {
    *temporary = path + kTemporary + std::to_string(getpid()) + "-" + std::to_string(made.fetch_add(1));
    // O_NOFOLLOW: nobody's link leads elsewhere.
    const int fd = open(temporary->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0 && errno != EEXIST) return -1;
    if (fd < 0) continue;
    // Somebody who removes leftovers may have found it before it was locked.
    (void)flock(fd, LOCK_EX);
    struct stat info;
    if (fstat(fd, &info) == 0 && info.st_nlink > 0) return fd;
    close(fd);
  }
}

void RemoveLeftovers(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path target = path;
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  const std::string start = target.filename().string() + kTemporary;
  for (auto it = std::filesystem::directory_iterator(folder, failed); !failed && it != std::filesystem::directory_iterator();
       it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(start) || name.find_first_not_of("0123456789-", start.size()) != std::string::npos) continue;
    const int fd = open(it->path().c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) continue;
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(it->path().c_str());
    close(fd);
  }
}

bool ReplaceFile(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return false;
  // This makes the rename durable. It is done: a failure here loses nothing that was there.
  const std::string folder = std::filesystem::path(to).parent_path().string();
  const int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return true;
  fsync(fd);
  close(fd);
  return true;
}

}  // namespace thimble
