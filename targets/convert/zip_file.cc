// minizip reads through callbacks that end in SourceFile, so that offsets have 64 bits and errors are ours.
// What it reports is then checked once more: ranges against the file and against each other.
#include "targets/convert/zip_file.h"

#include <minizip/unzip.h>

#include <algorithm>

#include "targets/convert/import_error.h"
#include "runtime/core/checked.h"

namespace thimble {

// Nothing may be thrown through minizip, which is C: a read that fails has read nothing.
struct ZipCallbacks {
  static ZipFile* Self(voidpf opaque) { return static_cast<ZipFile*>(opaque); }
  static voidpf Open(voidpf opaque, const void*, int) { return opaque; }
  static uLong Read(voidpf opaque, voidpf, void* out, uLong size) {
    ZipFile* zip = Self(opaque);
    if (zip->position_ >= zip->file_.bytes()) return 0;
    const uLong got = static_cast<uLong>(std::min<uint64_t>(size, zip->file_.bytes() - zip->position_));
    try {
      zip->file_.ReadAt(zip->position_, out, got);
    } catch (const ImportError&) {
      return 0;
    }
    zip->position_ += got;
    return got;
  }
  static uLong Write(voidpf, voidpf, const void*, uLong) { return 0; }
  static ZPOS64_T Tell(voidpf opaque, voidpf) { return Self(opaque)->position_; }
  static long Seek(voidpf opaque, voidpf, ZPOS64_T offset, int origin) {
    ZipFile* zip = Self(opaque);
    uint64_t base = 0;
    if (origin == ZLIB_FILEFUNC_SEEK_CUR) base = zip->position_;
    if (origin == ZLIB_FILEFUNC_SEEK_END) base = zip->file_.bytes();
    uint64_t position;
    if (!CheckedAdd(base, offset, &position) || position > zip->file_.bytes()) return -1;
    zip->position_ = position;
    return 0;
  }
  static int Close(voidpf, voidpf) { return 0; }
  static int Error(voidpf, voidpf) { return 0; }
};

namespace {

constexpr size_t kMaxNameBytes = 1024;
constexpr uLong kEncrypted = 1;
constexpr size_t kMaxEntries = 1u << 17;
// What all entries together may unpack to, for each byte of the archive and beyond. torch.save stores; packed weights
// shrink by less than 2, where deflate can make a thousand bytes of one.
constexpr uint64_t kUnpackedPerByte = 16, kFreeUnpackedBytes = 1u << 20;

[[noreturn]] void Refuse(Code code, const std::string& entry, const std::string& text,
                         const std::string& file) {
  throw ImportError(code, "entry '" + entry + "' of the ZIP archive " + text, file);
}

}  // namespace

ZipFile::ZipFile(const std::filesystem::path& path) : file_(path) {
  zlib_filefunc64_def callbacks = {ZipCallbacks::Open, ZipCallbacks::Read,  ZipCallbacks::Write,
                                   ZipCallbacks::Tell, ZipCallbacks::Seek,  ZipCallbacks::Close,
                                   ZipCallbacks::Error, this};
  zip_ = unzOpen2_64(path.c_str(), &callbacks);
  if (zip_ == nullptr) {
    throw ImportError(Code::kTruncated, "is no whole ZIP archive: it has no directory at its end", name());
  }
  try {
    unz_global_info64 info = {};
    unzGetGlobalInfo64(zip_, &info);
    if (info.number_entry > kMaxEntries) {
      throw ImportError(Code::kInvalidModel,
                        "the ZIP archive has " + std::to_string(info.number_entry) + " entries, expected at most " +
                            std::to_string(kMaxEntries),
                        name());
    }
    int state = info.number_entry == 0 ? UNZ_END_OF_LIST_OF_FILE : unzGoToFirstFile(zip_);
    for (; state == UNZ_OK; state = unzGoToNextFile(zip_)) AddCurrent();
    if (state != UNZ_END_OF_LIST_OF_FILE || entries_.size() != info.number_entry) {
      throw ImportError(Code::kCorrupt,
                        "the ZIP directory is broken behind entry " + std::to_string(entries_.size()) +
                            " of " + std::to_string(info.number_entry),
                        name());
    }
    CheckPlaces();
  } catch (...) {
    unzClose(zip_);
    throw;
  }
}

ZipFile::~ZipFile() { unzClose(zip_); }

void ZipFile::AddCurrent() {
  unz_file_info64 info = {};
  char text[kMaxNameBytes + 1] = {};
  if (unzGetCurrentFileInfo64(zip_, &info, text, kMaxNameBytes, nullptr, 0, nullptr, 0) != UNZ_OK) {
    throw ImportError(Code::kCorrupt,
                      "entry " + std::to_string(entries_.size()) + " of the ZIP directory is broken", name());
  }
  ZipEntry entry;
  entry.name = text;
  if (info.size_filename > kMaxNameBytes || entry.name.size() != info.size_filename) {
    Refuse(Code::kCorrupt, entry.name, "has a name that is too long or holds a zero", name());
  }
  if ((info.flag & kEncrypted) != 0) Refuse(Code::kUnsupported, entry.name, "is encrypted", name());
  if (info.compression_method != 0 && info.compression_method != Z_DEFLATED) {
    Refuse(Code::kUnsupported, entry.name,
           "has compression method " + std::to_string(info.compression_method) +
               ", expected 0 (stored) or 8 (deflated)",
           name());
  }
  entry.stored = info.compression_method == 0;
  entry.bytes = info.uncompressed_size;
  entry.packed_bytes = info.compressed_size;
  unz64_file_pos position = {};
  unzGetFilePos64(zip_, &position);
  entry.directory_pos = position.pos_in_zip_directory;
  entry.directory_num = position.num_of_file;
  // Opening compares the entry's own header with the directory, and knows where the data starts.
  if (unzOpenCurrentFile(zip_) != UNZ_OK) {
    Refuse(Code::kCorrupt, entry.name, "has a header that is not what the directory says", name());
  }
  entry.offset = unzGetCurrentFileZStreamPos64(zip_);
  unzCloseCurrentFile(zip_);
  if (entry.stored && entry.bytes != entry.packed_bytes) {
    Refuse(Code::kCorrupt, entry.name,
           "is stored in " + std::to_string(entry.packed_bytes) + " bytes, expected " +
               std::to_string(entry.bytes),
           name());
  }
  if (!RangeFits(entry.offset, entry.packed_bytes, file_.bytes())) {
    Refuse(Code::kTruncated, entry.name,
           "announces " + std::to_string(entry.packed_bytes) + " bytes at " + std::to_string(entry.offset) +
               ", the file ends at " + std::to_string(file_.bytes()),
           name());
  }
  entries_.push_back(std::move(entry));
}

void ZipFile::CheckPlaces() {
  uint64_t limit = 0;
  const bool fits = CheckedMul(file_.bytes(), kUnpackedPerByte, &limit) && CheckedAdd(limit, kFreeUnpackedBytes, &limit);
  for (const ZipEntry& entry : entries_) {
    if (fits && CheckedAdd(unpacked_bytes_, entry.bytes, &unpacked_bytes_) && unpacked_bytes_ <= limit) continue;
    Refuse(Code::kInvalidModel, entry.name,
           "unpacks to " + std::to_string(entry.bytes) + " bytes; the limit for all of an archive of " +
               std::to_string(file_.bytes()) + " bytes is " + std::to_string(limit) +
               "; save it anew with torch.save, which does not pack",
           name());
  }
  std::vector<const ZipEntry*> by_place;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const ZipEntry& entry = entries_[i];
    if (!by_name_.emplace(entry.name, i).second) Refuse(Code::kCorrupt, entry.name, "is there twice", name());
    if (entry.packed_bytes > 0) by_place.push_back(&entry);
  }
  std::sort(by_place.begin(), by_place.end(),
            [](const ZipEntry* a, const ZipEntry* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < by_place.size(); ++i) {
    const ZipEntry& before = *by_place[i - 1];
    if (before.offset + before.packed_bytes <= by_place[i]->offset) continue;
    Refuse(Code::kCorrupt, by_place[i]->name, "overlaps entry '" + before.name + "'", name());
  }
}

const ZipEntry* ZipFile::Find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

std::vector<uint8_t> ZipFile::ReadAll(const ZipEntry& entry, uint64_t limit_bytes) const {
  if (entry.bytes > limit_bytes) {
    Refuse(Code::kInvalidModel, entry.name,
           "has " + std::to_string(entry.bytes) + " bytes, expected at most " + std::to_string(limit_bytes),
           name());
  }
  const unz64_file_pos position = {entry.directory_pos, entry.directory_num};
  if (unzGoToFilePos64(zip_, &position) != UNZ_OK || unzOpenCurrentFile(zip_) != UNZ_OK) {
    Refuse(Code::kCorrupt, entry.name, "cannot be read", name());
  }
  // Grows with what is really there: the announced size may be a lie.
  std::vector<uint8_t> bytes;
  int got = 1;
  while (got > 0 && bytes.size() <= entry.bytes) {
    const size_t at = bytes.size(), chunk = 1u << 20;
    bytes.resize(at + std::min<uint64_t>(chunk, entry.bytes - at + 1));
    got = unzReadCurrentFile(zip_, bytes.data() + at, static_cast<unsigned>(bytes.size() - at));
    bytes.resize(at + static_cast<size_t>(std::max(got, 0)));
  }
  const int closed = unzCloseCurrentFile(zip_);
  if (got < 0 || bytes.size() != entry.bytes) {
    Refuse(Code::kCorrupt, entry.name,
           "unpacks to " + std::to_string(bytes.size()) + " bytes or more, expected " +
               std::to_string(entry.bytes),
           name());
  }
  if (closed == UNZ_CRCERROR) Refuse(Code::kCorrupt, entry.name, "has a wrong CRC", name());
  return bytes;
}

void ZipFile::ReadAt(const ZipEntry& entry, uint64_t offset, void* out, size_t size) const {
  if (!entry.stored || !RangeFits(offset, size, entry.bytes)) {
    Refuse(Code::kOutOfRange, entry.name, "is read outside its bytes", name());
  }
  file_.ReadAt(entry.offset + offset, out, size);
}

}  // namespace thimble
