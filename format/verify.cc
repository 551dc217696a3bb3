// The full scan behind `thimble verify`: every byte of the payload is read once.
#include "format/checksum.h"
#include "format/container.h"
#include "format/model_file.h"
#include "runtime/core/checked.h"
#include "runtime/core/finite.h"

namespace thimble {
namespace {

Status CheckPadding(const uint8_t* base, uint64_t begin, uint64_t end) {
  for (uint64_t i = begin; i < end; ++i) {
    if (base[i] != 0) {
      return Status::Error(Code::kCorrupt, "bytes between segments must be zero").At("padding").Offset(i).Got(base[i]).Wanted(0);
    }
  }
  return Status::Ok();
}

Status CheckFinite(const ModelFile& file, uint32_t tensor) {
  const TensorSpec t = file.header().tensor(tensor);
  if (t.packing.packed()) return Status::Ok();  // where layouts are known: runtime/packing.cc
  const bool floats = t.type == WeightType::kF32;
  const uint32_t segment = static_cast<uint32_t>(floats ? t.data_segment : t.scale_segment);
  const uint64_t bytes = file.header().segment(segment).bytes;
  const uint8_t* data = file.Segment(segment);
  const uint64_t at = floats ? FirstNotFinite(data, bytes, sizeof(float)) : FirstScaleNotFinite(t.type, data, t.rows, t.cols, bytes);
  if (at == bytes) return Status::Ok();
  return Status::Error(Code::kInvalidModel, "a weight or scale is not a finite number")
      .At("tensor", tensor).Field(floats ? "data" : "scales").Offset(file.header().segment(segment).offset + at);
}

// In pieces, so that the caller hears of each.
Status CheckSegment(const uint8_t* base, const SegmentSpec& s, uint32_t index, const Progress& progress, uint64_t file_bytes) {
  constexpr uint64_t kPieceBytes = 8u << 20;
  Checksum checksum;
  for (uint64_t at = 0; at < s.bytes; at += kPieceBytes) {
    THIMBLE_RETURN_IF_ERROR(progress.Report(s.offset + at, file_bytes));
    checksum.Update(base + s.offset + at, static_cast<size_t>(s.bytes - at < kPieceBytes ? s.bytes - at : kPieceBytes));
  }
  if (checksum.Digest() == s.checksum) return Status::Ok();
  return Status::Error(Code::kCorrupt, "the segment is damaged (checksum differs); copy or convert the file again")
      .At("segment", index).Field("checksum").Offset(s.offset);
}

}  // namespace

Status VerifyPayload(const ModelFile& file, const Progress& progress) {
  const Header& header = file.header();
  uint64_t end = kPrefixBytes + file.header_copy_bytes();
  const uint8_t* base = header.segments() > 0 ? file.Segment(0) - header.segment(0).offset : nullptr;
  for (uint32_t i = 0; i < header.segments(); ++i) {
    const SegmentSpec s = header.segment(i);
    THIMBLE_RETURN_IF_ERROR(CheckPadding(base, end, s.offset));
    THIMBLE_RETURN_IF_ERROR(CheckSegment(base, s, i, progress, file.file_bytes()));
    end = s.offset + s.bytes;
  }
  bool packed = false;
  for (uint32_t i = 0; i < header.tensors(); ++i) {
    THIMBLE_RETURN_IF_ERROR(progress.Report(file.file_bytes(), file.file_bytes()));
    THIMBLE_RETURN_IF_ERROR(CheckFinite(file, i));
    packed = packed || header.tensor(i).packing.packed();
  }
  if (!packed && header.contracts() == 0 && header.content_id() != header.ComputeContentId()) {
    return Status::Error(Code::kInvalidModel, "the id of the content is not what the header gives; convert the model again")
        .At("header").Field("content_id").Got(header.content_id()).Wanted(header.ComputeContentId());
  }
  return Status::Ok();
}

}  // namespace thimble
