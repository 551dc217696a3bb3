// Opening a header: structure (FlatBuffers verifier, bounded), then segments, tensors, and the meaning
// (format/validate.cc).
#include "format/header.h"

#include "format/container.h"
#include "format/decode.h"
#include "format/schema/thimble_generated.h"
#include "format/validate.h"
#include "runtime/core/checked.h"

namespace thimble {
namespace {

std::string_view View(const flatbuffers::String* s) {
  return s == nullptr ? std::string_view{} : std::string_view{s->data(), s->size()};
}

template <typename V>
uint32_t Size(const V* vector) {
  return vector == nullptr ? 0 : vector->size();
}

// Names of features that a file may require and this build has. None so far.
bool KnownFeature(std::string_view) { return false; }

Status CheckStructure(const void* bytes, size_t size) {
  flatbuffers::Verifier::Options options;
  options.max_depth = 8;
  // Tables have at least 8 bytes of their own; a header that visits more shares tables to make verification slow.
  options.max_tables = static_cast<flatbuffers::uoffset_t>(size / 8);
  options.assert = false;
  flatbuffers::Verifier verifier(static_cast<const uint8_t*>(bytes), size, options);
  if (!fb::VerifyHeaderBuffer(verifier)) {
    return Status::Error(Code::kCorrupt, "the header's structure is broken").At("header").Offset(kPrefixBytes);
  }
  return Status::Ok();
}

Status CheckSegments(const fb::Header& header, uint64_t header_end, uint64_t file_bytes) {
  uint64_t end = header_end;
  const uint32_t count = Size(header.segments());
  if (count > 0 && reinterpret_cast<uintptr_t>(header.segments()->Data()) % alignof(uint64_t) != 0) {
    return Status::Error(Code::kCorrupt, "misaligned segment table").At("header").Field("segments");
  }
  for (uint32_t i = 0; i < count; ++i) {
    const SegmentSpec s = DecodeSegment(header, i);
    uint64_t start = 0;
    if (!CheckedAlignUp(end, i == 0 ? kFirstSegmentAlignment : kSegmentAlignment, &start) || s.offset != start) {
      return Status::Error(Code::kInvalidModel, "segments must follow each other at the next aligned byte")
          .At("segment", i).Field("offset").Got(s.offset).Wanted(start);
    }
    if (s.bytes == 0 || !RangeFits(s.offset, s.bytes, file_bytes)) {
      return Status::Error(Code::kInvalidModel, "the segment does not lie inside the file")
          .At("segment", i).Field("bytes").Got(s.bytes).Wanted(file_bytes - (s.offset < file_bytes ? s.offset : 0));
    }
    end = s.offset + s.bytes;
  }
  if (end != file_bytes) {
    return Status::Error(Code::kInvalidModel, "the file must end with its last segment")
        .At("prefix").Field("file_bytes").Got(file_bytes).Wanted(end);
  }
  return Status::Ok();
}

Status CheckFeatures(const fb::Header& header) {
  for (uint32_t i = 0; i < Size(header.required_features()); ++i) {
    const std::string_view name = View(header.required_features()->Get(i));
    if (!KnownFeature(name)) {
      return Status::Error(Code::kUnsupportedFeature, "the file requires a feature this build does not have; update")
          .At("required_features", i).Detail(name.data(), name.size());
    }
  }
  return Status::Ok();
}

}  // namespace

Result<Header> Header::Parse(const void* bytes, size_t size, uint64_t file_bytes) {
  THIMBLE_RETURN_IF_ERROR(CheckStructure(bytes, size));
  const fb::Header* root = fb::GetHeader(bytes);
  THIMBLE_RETURN_IF_ERROR(CheckFeatures(*root));
  Header h;
  h.fb_ = root;
  THIMBLE_RETURN_IF_ERROR(DecodeModel(*root, &h.model_));
  THIMBLE_RETURN_IF_ERROR(CheckSegments(*root, kPrefixBytes + size, file_bytes));
  THIMBLE_RETURN_IF_ERROR(ValidateModel(*root, h.model_, &h.decoder_));
  return h;
}

LayerSpec Header::layer(uint32_t i) const {
  LayerSpec spec;
  (void)DecodeLayer(*fb_, i, &spec);  // decoded without error in Parse()
  return spec;
}

TensorSpec Header::tensor(uint32_t i) const {
  TensorSpec spec;
  (void)DecodeTensor(*fb_, i, &spec);
  return spec;
}

SegmentSpec Header::segment(uint32_t i) const { return DecodeSegment(*fb_, i); }
uint32_t Header::tensors() const { return Size(fb_->tensors()); }
uint32_t Header::segments() const { return Size(fb_->segments()); }
std::string_view Header::name() const { return View(fb_->name()); }
std::string_view Header::family() const { return View(fb_->family()); }
std::string_view Header::chat_template() const { return View(fb_->chat_template()); }
std::string_view Header::tensor_name(uint32_t i) const { return View(fb_->tensors()->Get(i)->name()); }
uint32_t Header::metadata() const { return Size(fb_->metadata()); }
std::string_view Header::metadata_key(uint32_t i) const { return View(fb_->metadata()->Get(i)->key()); }
std::string_view Header::metadata_value(uint32_t i) const { return View(fb_->metadata()->Get(i)->value()); }

}  // namespace thimble
