// Which files may be written, and how they are.
#include "targets/cli/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "format/replace_file.h"
#include "targets/cli/error.h"

namespace thimble::cli {
namespace {

namespace fs = std::filesystem;

struct KindFacts {
  const char* noun;
  std::string_view mark;
  size_t latest;  // where the mark starts, at most
};

KindFacts Facts(OutputKind kind) {
  switch (kind) {
    case OutputKind::kModel:
      return {"a .thimble file", {"THIMBLE\x1a", 8}, 0};
    case OutputKind::kState:
      return {"a saved state", {"THIMSTA\x1a", 8}, 0};
    case OutputKind::kConversionPage:
      return {"a conversion report of ours", "<meta name=\"generator\" content=\"thimble\">", 100};
    case OutputKind::kConversionJson:
      return {"a conversion report of ours", "\"report\": \"thimble conversion\"", 8};
    case OutputKind::kMemoryText:
      return {"a memory report of ours", "thimble memory report", 0};
    case OutputKind::kMemoryJson:
      return {"a memory report of ours", "\"report\": \"thimble memory\"", 8};
    case OutputKind::kLogits:
      return {"saved logits", {"THIMLOG\x1a", 8}, 0};
    case OutputKind::kQualityPlot:
      return {"a plot of `thimble quality`", "<!-- thimble quality -->", 0};
    case OutputKind::kConversation:
      return {"a saved conversation", "\"messages\":", 8};
    case OutputKind::kProfileJson:
      return {"a report of `thimble profile`", "\"report\": \"thimble profile", 8};
    case OutputKind::kProfilePage:
      return {"a page of `thimble profile`", "<meta name=\"generator\" content=\"thimble profile\">", 100};
    case OutputKind::kProfileTrace:
      return {"a trace of `thimble profile`", "\"otherData\": {", 8};
  }
  return {};
}

// An empty file loses nothing and is of every kind.
bool IsOfKind(const std::string& path, OutputKind kind) {
  char start[256];
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return false;
  const size_t size = std::fread(start, 1, sizeof start, file);
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed) return false;
  const KindFacts facts = Facts(kind);
  const size_t at = std::string_view(start, size).find(facts.mark);
  return size == 0 || (at != std::string_view::npos && at <= facts.latest);
}

bool SameFile(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

bool IsSameFile(const struct stat& a, const std::string& path) {
  struct stat b;
  return stat(path.c_str(), &b) == 0 && SameFile(a, b);
}

// A descriptor that is closed whatever happens.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int fd() const { return fd_; }
  // False with errno set to the first failure: not `good`, or what closing says.
  bool Close(bool good) {
    const int error_number = errno;
    const bool closed = close(fd_) == 0;
    fd_ = -1;
    if (!good) errno = error_number;
    return good && closed;
  }

 private:
  int fd_;
};

// A file that is removed unless it takes its place.
class Temporary {
 public:
  Temporary(const std::string& target, mode_t mode)
      : target_(target), file_(CreateBeside(target, mode, &path_)), exists_(file_.fd() >= 0) {}
  ~Temporary() {
    if (exists_) unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  int fd() const { return file_.fd(); }
  // False with errno set.
  bool TakePlace(bool good) {
    const Descriptor lock(dup(file_.fd()));  // until it has its name; closing the last one ends the lock
    if (!file_.Close(good) || !ReplaceFile(path_, target_)) return false;
    exists_ = false;
    return true;
  }

 private:
  const std::string& target_;
  std::string path_;
  Descriptor file_;
  bool exists_;
};

}  // namespace

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void OutputFile::Write(std::string_view bytes) const {
  Write([bytes](int fd) { return WriteAll(fd, bytes); });
}

void OutputFile::Write(const std::function<bool(int)>& write) const {
  if (through_) {
    Descriptor file(open(path_.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.fd() < 0 || !file.Close(write(file.fd()))) throw IoError(path_, "cannot be written", errno);
    return;
  }
  // The new file is as private as the old one.
  struct stat old;
  const bool replaces = stat(path_.c_str(), &old) == 0;
  Temporary file(path_, replaces ? 0600 : 0666);
  if (file.fd() < 0) throw IoError(path_, "cannot be written", errno);
  const bool written = write(file.fd()) && (!replaces || fchmod(file.fd(), old.st_mode & 0777) == 0) && fsync(file.fd()) == 0;
  if (!file.TakePlace(written)) throw IoError(path_, "cannot be written", errno);
}

void OutputFiles::Reads(const std::string& path, std::optional<OutputKind> own) {
  if (!path.empty() && path != "-") inputs_.push_back({path, own});
}

void OutputFiles::RefuseInputs(const std::string& what, const OutputFile& file) const {
  struct stat info;
  if (stat(file.path_.c_str(), &info) != 0) return;
  for (const Input& input : inputs_) {
    if (IsSameFile(info, input.path)) {
      if (input.own == file.kind_) return;
      throw Error(kInvalidArgument, what + " is what is being read; give another name");
    }
    std::error_code failed;
    // Entries by what they lead to: a folder of links is read as well.
    for (auto it = fs::directory_iterator(input.path, failed); !failed && it != fs::directory_iterator();
         it.increment(failed)) {
      // A file of our own kinds is no model of somebody else's, so it is not what is read.
      if (IsSameFile(info, it->path().string()) && !(S_ISREG(info.st_mode) && IsOfKind(file.path_, file.kind_)))
        throw Error(kInvalidArgument, what + " lies in the folder that is being read; give another name");
    }
  }
}

OutputFile OutputFiles::Writes(const char* option, const std::string& path, OutputKind kind) {
  const std::string what = std::string(option) + ": " + path;
  struct stat info, link;
  const bool exists = stat(path.c_str(), &info) == 0;
  if (!exists && errno != ENOENT) throw IoError(path, "cannot be written", errno);
  if (!exists && lstat(path.c_str(), &link) == 0)
    throw Error(kInvalidArgument, what + " is a symbolic link to nothing; name the file that it should lead to");
  if (exists && S_ISDIR(info.st_mode)) throw IoError(path, "cannot be written", EISDIR);
  OutputFile file;
  file.kind_ = kind;
  file.through_ = exists && !S_ISREG(info.st_mode);
  std::error_code failed;
  if (file.through_) {
    file.path_ = path;
    if (kind == OutputKind::kModel)
      throw Error(kInvalidArgument, what + " is no regular file, which a model must be; give another name");
    if (access(path.c_str(), W_OK) != 0) throw IoError(path, "cannot be written", errno);
  } else if (exists) {
    file.path_ = fs::canonical(path, failed).string();
  } else {
    const fs::path name = path;
    file.path_ = (fs::canonical(name.has_parent_path() ? name.parent_path() : fs::path("."), failed) / name.filename()).string();
  }
  if (failed) throw IoError(path, "cannot be written", failed.value());
  RefuseInputs(what, file);
  if (!file.through_) {
    if (std::find(outputs_.begin(), outputs_.end(), file.path_) != outputs_.end())
      throw Error(kInvalidArgument, what + " is given for two outputs; give another name");
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
      struct stat standard;
      if (exists && fstat(fd, &standard) == 0 && SameFile(info, standard))
        throw Error(kInvalidArgument, what + " is where this program's own output goes; give another name");
    }
    if (exists && !force_ && !IsOfKind(file.path_, kind))
      throw Error(kInvalidArgument, what + " exists and is not " + Facts(kind).noun + "; --force replaces it");
    RemoveLeftovers(file.path_);
    // Whether a file can be made there is found out by making one.
    std::string temporary;
    const int fd = CreateBeside(file.path_, 0600, &temporary);
    if (fd < 0) throw IoError(path, "cannot be written", errno);
    close(fd);
    unlink(temporary.c_str());
  }
  outputs_.push_back(file.path_);
  return file;
}

}  // namespace thimble::cli
