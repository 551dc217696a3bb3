// Every file that a command writes goes through here: asked for before the work starts, so that a name that cannot be
// written, names what is being read, or would cost somebody a file is refused while nothing is lost yet. Knows no
// command.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace thimble::cli {

// What a file is, by its first bytes: a file may be replaced by a newer one of its kind.
enum class OutputKind { kModel, kState, kConversionPage, kConversionJson, kMemoryText, kMemoryJson, kLogits, kQualityPlot, kConversation, kProfileJson, kProfilePage, kProfileTrace };

class OutputFile {
 public:
  // Where the bytes go: symbolic links are followed.
  const std::string& path() const { return path_; }
  OutputKind kind() const { return kind_; }
  // All of the file at once: a temporary beside it, synced, which then takes its place, so that whatever happens there
  // is the old file or the new one. A device or a pipe stays what it is and is written into. Throws Error(kIo).
  void Write(std::string_view bytes) const;
  // The same with what `write` puts into a descriptor; false, with errno set, gives up, and so does an exception.
  void Write(const std::function<bool(int)>& write) const;

 private:
  friend class OutputFiles;
  std::string path_;
  OutputKind kind_ = OutputKind::kModel;
  bool through_ = false;  // not a regular file
};

// For what OutputFile::Write() calls. False with errno set.
bool WriteAll(int fd, std::string_view bytes);

// One per command: first what it reads, then what it writes.
class OutputFiles {
 public:
  // With `force` (--force) files of other kinds may be replaced, too; inputs never.
  explicit OutputFiles(bool force) : force_(force) {}

  // A file, or a folder with all that lies in it. Nothing for an empty name and for "-". `own`: an output of this kind
  // may take the place of just this file (`pack MODEL`, the state that was loaded).
  void Reads(const std::string& path, std::optional<OutputKind> own = std::nullopt);
  // Throws Error, naming `option`: for a folder, an input or what lies in one, another output of this command, a file of
  // another kind, and what cannot be created. A model has to be a regular file.
  OutputFile Writes(const char* option, const std::string& path, OutputKind kind);

 private:
  struct Input {
    std::string path;
    std::optional<OutputKind> own;
  };
  void RefuseInputs(const std::string& what, const OutputFile& file) const;

  bool force_;
  std::vector<Input> inputs_;
  std::vector<std::string> outputs_;
};

}  // namespace thimble::cli
