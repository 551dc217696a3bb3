// Prefix checks, outermost first, so that the message names the first thing that is wrong.
#include "format/container.h"

#include <cstring>

#include "format/checksum.h"
#include "runtime/core/checked.h"

namespace thimble {

Result<Prefix> ParsePrefix(const void* bytes, size_t available_bytes, uint64_t file_bytes) {
  const size_t magic_bytes = available_bytes < sizeof kMagic ? available_bytes : sizeof kMagic;
  if (magic_bytes == 0 || std::memcmp(bytes, kMagic, magic_bytes) != 0) {
    return Status::Error(Code::kNotAModel, "not a .thimble file; make one with 'thimble convert'")
        .At("prefix").Field("magic").Offset(0);
  }
  if (available_bytes < kPrefixBytes) {
    return Status::Error(Code::kTruncated, "the file ends inside its prefix")
        .At("prefix").Got(available_bytes).Wanted(kPrefixBytes);
  }
  Prefix p;
  std::memcpy(&p, bytes, sizeof p);
  if (ChecksumOf(bytes, offsetof(Prefix, prefix_checksum)) != p.prefix_checksum) {
    return Status::Error(Code::kCorrupt, "the prefix is damaged (checksum differs)")
        .At("prefix").Field("prefix_checksum").Offset(offsetof(Prefix, prefix_checksum));
  }
  if (p.version != kContainerVersion) {
    return Status::Error(Code::kUnsupportedVersion, p.version < kContainerVersion
                                                        ? "written by an older thimble; convert the model again"
                                                        : "container version not known to this build; update thimble")
        .At("prefix").Field("version").Got(p.version).Wanted(kContainerVersion);
  }
  if (p.flags != 0 || p.reserved != 0) {
    return Status::Error(Code::kUnsupportedFeature, "container flags not known to this build; update thimble")
        .At("prefix").Field("flags").Got(p.flags).Wanted(0);
  }
  if (p.header_offset != kPrefixBytes) {
    return Status::Error(Code::kInvalidModel, "the header must follow the prefix")
        .At("prefix").Field("header_offset").Got(p.header_offset).Wanted(kPrefixBytes);
  }
  if (p.header_bytes < 16 || p.header_bytes > kMaxHeaderBytes) {
    return Status::Error(Code::kInvalidModel, "header size outside 16 bytes to 16 MiB")
        .At("prefix").Field("header_bytes").Got(p.header_bytes).Wanted(kMaxHeaderBytes);
  }
  if (p.file_bytes > static_cast<uint64_t>(INT64_MAX) || !RangeFits(p.header_offset, p.header_bytes, p.file_bytes)) {
    return Status::Error(Code::kInvalidModel, "announced file length does not hold the header")
        .At("prefix").Field("file_bytes").Got(p.file_bytes).Wanted(p.header_offset + p.header_bytes);
  }
  if (file_bytes < p.file_bytes) {
    return Status::Error(Code::kTruncated, "the file is shorter than it announces; copy it again")
        .At("prefix").Field("file_bytes").Got(file_bytes).Wanted(p.file_bytes);
  }
  if (file_bytes > p.file_bytes) {
    return Status::Error(Code::kTrailingBytes, "the file is longer than it announces")
        .At("prefix").Field("file_bytes").Got(file_bytes).Wanted(p.file_bytes);
  }
  return p;
}

Prefix MakePrefix(uint64_t file_bytes, uint64_t header_bytes, uint64_t header_checksum) {
  Prefix p{};
  std::memcpy(p.magic, kMagic, sizeof kMagic);
  p.version = kContainerVersion;
  p.file_bytes = file_bytes;
  p.header_offset = kPrefixBytes;
  p.header_bytes = header_bytes;
  p.header_checksum = header_checksum;
  p.prefix_checksum = ChecksumOf(&p, offsetof(Prefix, prefix_checksum));
  return p;
}

}  // namespace thimble
