// A ZIP archive, read through minizip (of zlib): the list of its entries, and their bytes. Entries that are
// stored lie in the file as they are and are read in place; deflated ones are unpacked whole. It must not know
// what the entries are for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "targets/convert/source_file.h"

namespace thimble {

struct ZipEntry {
  std::string name;
  uint64_t bytes = 0;  // unpacked
  bool stored = false;
  uint64_t offset = 0;         // of the data in the file
  uint64_t packed_bytes = 0;   // in the file
  uint64_t directory_pos = 0;  // minizip's way back to it
  uint64_t directory_num = 0;
};

class ZipFile {
 public:
  // Every entry lies inside the file, and no two overlap; a name is there once; what they unpack to is in proportion to
  // the file (kUnpackedPerByte in zip_file.cc). Throws ImportError for what is
  // not so, for encryption, and for compression other than deflate. No data is read yet.
  explicit ZipFile(const std::filesystem::path& path);
  ~ZipFile();
  ZipFile(const ZipFile&) = delete;
  ZipFile& operator=(const ZipFile&) = delete;

  const std::string& name() const { return file_.name(); }
  uint64_t bytes() const { return file_.bytes(); }
  const std::vector<ZipEntry>& entries() const { return entries_; }
  // Of all entries; bounded by the size of the file.
  uint64_t unpacked_bytes() const { return unpacked_bytes_; }
  // Null when it is not there.
  const ZipEntry* Find(const std::string& name) const;

  // All of an entry, unpacked and its CRC checked. kInvalidModel above the limit.
  std::vector<uint8_t> ReadAll(const ZipEntry& entry, uint64_t limit_bytes) const;
  // Part of a stored entry, in place.
  void ReadAt(const ZipEntry& entry, uint64_t offset, void* out, size_t size) const;

 private:
  void AddCurrent();
  void CheckPlaces();

  SourceFile file_;
  uint64_t position_ = 0;  // minizip's
  void* zip_ = nullptr;
  std::vector<ZipEntry> entries_;
  std::map<std::string, size_t> by_name_;
  uint64_t unpacked_bytes_ = 0;

  friend struct ZipCallbacks;
};

}  // namespace thimble
