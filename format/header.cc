// Opening a header: structure (FlatBuffers verifier, bounded), then segments, tensors, and the meaning
// (format/validate.cc).
#include "format/header.h"

#include "format/checksum.h"
#include "format/container.h"
#include "format/decode.h"
#include "format/decode_pieces.h"
#include "format/features.h"
#include "format/schema/thimble_generated.h"
#include "format/validate.h"
#include "runtime/core/checked.h"
#include "runtime/template/program.h"

namespace thimble {
namespace {

std::string_view View(const flatbuffers::String* s) {
  return s == nullptr ? std::string_view{} : std::string_view{s->data(), s->size()};
}

ChatFormatView DecodeChatFormat(const fb::Header& header, uint32_t i) {
  const fb::ChatFormat& format = *header.chat_formats()->Get(i);
  ChatFormatView view;
  view.name = View(format.name());
  view.text = View(format.text());
  if (const auto* program = format.program()) view.program = program->data(), view.program_bytes = program->size();
  if (const auto* answer = format.answer()) view.answer = answer->data(), view.answer_bytes = answer->size();
  return view;
}

// Few, so that verifying them costs little even if all share the bytes of one.
Status CheckChatFormats(const fb::Header& header) {
  const uint32_t count = CountOf(header.chat_formats());
  if (count > kMaxChatFormats) {
    return Status::Error(Code::kInvalidModel, "too many").At("header").Field("chat_formats").Got(count).Wanted(kMaxChatFormats);
  }
  for (uint32_t i = 0; i < count; ++i) {
    const ChatFormatView format = DecodeChatFormat(header, i);
    const Result<chat::Program> program = chat::VerifyProgram(format.program, format.program_bytes);
    if (!program.ok()) return Status(program.status()).At("chat_format", i);
  }
  return Status::Ok();
}

// Names of features that a file may require and this build has.
bool KnownFeature(std::string_view name) {
  for (const char* known : kFeatureNames) {
    if (name == known) return true;
  }
  return false;
}

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
  const uint32_t count = CountOf(header.segments());
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

// Ranges that follow each other from 0 up to `count`, none of them empty.
class Ranges {
 public:
  Ranges(const char* section, uint32_t count) : section_(section), count_(count) {}

  Status Next(uint32_t i, uint32_t first, uint32_t size, const char* first_field, const char* size_field) {
    if (first != end_) {
      return Status::Error(Code::kInvalidModel, "must begin where the one before ends").At(section_, i).Field(first_field)
          .Got(first).Wanted(end_);
    }
    if (size == 0 || size > count_ - end_) {
      return Status::Error(Code::kInvalidModel, "empty, or more than there are").At(section_, i).Field(size_field)
          .Got(size).Wanted(count_ - end_);
    }
    end_ += size;
    return Status::Ok();
  }
  bool complete() const { return end_ == count_; }

 private:
  const char* section_;
  uint32_t count_, end_ = 0;
};

Status CheckCount(uint32_t count, uint32_t most, const char* field) {
  if (count >= 1 && count <= most) return Status::Ok();
  return Status::Error(Code::kInvalidModel, count == 0 ? "too small" : "too large").At("header").Field(field)
      .Got(count).Wanted(count == 0 ? 1 : most);
}

// Every layer belongs to one part and every block to one layer, in order.
Status CheckLayers(const fb::Header& header) {
  const uint32_t parts = CountOf(header.parts()), layers = CountOf(header.layers()), blocks = CountOf(header.blocks());
  THIMBLE_RETURN_IF_ERROR(CheckCount(parts, kMaxParts, "parts"));
  THIMBLE_RETURN_IF_ERROR(CheckCount(layers, kMaxLayers, "layers"));
  THIMBLE_RETURN_IF_ERROR(CheckCount(blocks, kMaxBlocks, "blocks"));
  Ranges of_parts("part", layers), of_layers("layer", blocks);
  for (uint32_t i = 0; i < parts; ++i) {
    const fb::Part& part = *header.parts()->Get(i);
    THIMBLE_RETURN_IF_ERROR(of_parts.Next(i, part.first_layer(), part.layers(), "first_layer", "layers"));
  }
  for (uint32_t i = 0; i < layers; ++i) {
    const LayerRange layer = DecodeLayer(header, i);
    THIMBLE_RETURN_IF_ERROR(of_layers.Next(i, layer.first_block, layer.blocks, "first_block", "blocks"));
  }
  if (of_parts.complete() && of_layers.complete()) return Status::Ok();
  return Status::Error(Code::kInvalidModel, "some belong to nothing").At("header")
      .Field(of_parts.complete() ? "blocks" : "layers");
}

Status CheckFeatures(const fb::Header& header) {
  for (uint32_t i = 0; i < CountOf(header.required_features()); ++i) {
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
  h.bytes_ = bytes;
  h.size_ = size;
  THIMBLE_RETURN_IF_ERROR(CheckLayers(*root));
  THIMBLE_RETURN_IF_ERROR(CheckChatFormats(*root));
  THIMBLE_RETURN_IF_ERROR(DecodePart(*root, 0, &h.model_));
  THIMBLE_RETURN_IF_ERROR(CheckSegments(*root, kPrefixBytes + size, file_bytes));
  THIMBLE_RETURN_IF_ERROR(ValidateModel(*root));
  return h;
}

// What follows was decoded without error in Parse().
uint32_t Header::parts() const { return CountOf(fb_->parts()); }

ModelSpec Header::part(uint32_t i) const {
  ModelSpec spec;
  (void)DecodePart(*fb_, i, &spec);
  return spec;
}

LayerRange Header::layer(uint32_t i) const { return DecodeLayer(*fb_, i); }

BlockSpec Header::block(uint32_t i) const {
  BlockSpec spec;
  (void)DecodeBlock(*fb_, i, &spec);
  return spec;
}

uint64_t Header::content_id() const { return fb_->content_id(); }

uint64_t Header::ComputeContentId() const {
  // The writer stores the field always. Where it is not, no id is right but by accident.
  const uint8_t* begin = static_cast<const uint8_t*>(bytes_);
  const uint8_t* field = reinterpret_cast<const flatbuffers::Table*>(fb_)->GetAddressOf(fb::Header::VT_CONTENT_ID);
  if (field == nullptr) return ChecksumOf(begin, size_);
  const uint8_t zero[sizeof(uint64_t)] = {};
  Checksum id;
  id.Update(begin, static_cast<size_t>(field - begin));
  id.Update(zero, sizeof zero);
  id.Update(field + sizeof zero, size_ - static_cast<size_t>(field - begin) - sizeof zero);
  return id.Digest();
}

TensorSpec Header::tensor(uint32_t i) const {
  TensorSpec spec;
  (void)DecodeTensor(*fb_, i, &spec);
  return spec;
}

SegmentSpec Header::segment(uint32_t i) const { return DecodeSegment(*fb_, i); }
uint32_t Header::tensors() const { return CountOf(fb_->tensors()); }
uint32_t Header::segments() const { return CountOf(fb_->segments()); }
std::string_view Header::name() const { return View(fb_->name()); }
std::string_view Header::family() const { return View(fb_->family()); }
uint32_t Header::chat_formats() const { return CountOf(fb_->chat_formats()); }
ChatFormatView Header::chat_format(uint32_t i) const { return DecodeChatFormat(*fb_, i); }
std::string_view Header::tensor_name(uint32_t i) const { return View(fb_->tensors()->Get(i)->name()); }
uint32_t Header::metadata() const { return CountOf(fb_->metadata()); }
std::string_view Header::metadata_key(uint32_t i) const { return View(fb_->metadata()->Get(i)->key()); }
std::string_view Header::metadata_value(uint32_t i) const { return View(fb_->metadata()->Get(i)->value()); }

uint32_t Header::contracts() const { return CountOf(fb_->contracts()); }
MemoryContract Header::contract(uint32_t i) const {
  const fb::Contract& c = *fb_->contracts()->Get(i);
  MemoryContract contract;
  contract.kernels = View(c.kernels());
  contract.key_cache = c.key_cache();
  contract.value_cache = c.value_cache();
  contract.threads = c.threads();
  contract.context_tokens = c.context_tokens();
  contract.chunk_tokens = c.chunk_tokens();
  contract.max_sessions = c.max_sessions();
  contract.window_tokens = c.window_tokens();
  contract.sink_tokens = c.sink_tokens();
  contract.prefix_tokens = c.prefix_tokens();
  contract.page_bytes = c.page_bytes();
  contract.anonymous_bytes = c.anonymous_bytes();
  contract.file_backed_bytes = c.file_backed_bytes();
  return contract;
}

}  // namespace thimble
