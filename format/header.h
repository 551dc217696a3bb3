// A validated header: what the runtime, the tools and the writer's own check read a model's description from.
//
// Parse() accepts any bytes. When it succeeds every index points at something that exists, every tensor has the shape
// that its place needs, every segment lies inside the file, and every number is in a range that the code behind can
// compute with. Nothing behind it checks again. The bytes are the caller's private copy, never the mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "format/spec.h"
#include "runtime/core/result.h"

namespace thimble {
namespace fb {
struct Header;
}

// A chat template of the file: views into the header's bytes. The texts end with a zero byte.
struct ChatFormatView {
  std::string_view name, text;
  const uint8_t* program = nullptr;  // verified
  size_t program_bytes = 0;
  const uint8_t* answer = nullptr;   // null: none
  size_t answer_bytes = 0;
};

// Caps that keep all later arithmetic far from overflow and hostile files cheap. Well above any real model.
inline constexpr uint32_t kMaxParts = 8;
inline constexpr uint32_t kMaxLayers = 1024;
inline constexpr uint32_t kMaxBlocks = 4 * kMaxLayers;
inline constexpr uint32_t kMaxTensors = 1u << 16;
inline constexpr uint32_t kMaxWidth = 1u << 17;          // D, and H * d
inline constexpr uint32_t kMaxFfnWidth = 1u << 20;       // F
inline constexpr uint32_t kMaxQuantisedColumns = 1u << 16;  // K of int8 and int4 weights: sums of products stay in int32
inline constexpr uint32_t kMaxExperts = 1024;            // E
inline constexpr uint32_t kMaxChosenExperts = 64;        // of them for one row
inline constexpr uint32_t kMaxStreams = 16;              // S
inline constexpr uint32_t kMaxTaps = 64;                 // of a short convolution
inline constexpr uint32_t kMaxHeads = 1024;              // H
inline constexpr uint32_t kMaxHeadWidth = 1024;          // d
inline constexpr uint32_t kMaxVocabulary = 1u << 22;     // V
inline constexpr uint32_t kMaxPositions = 1u << 24;
inline constexpr uint32_t kMaxImageSide = 1u << 12;
inline constexpr uint32_t kMaxChatFormats = 16;

class Header {
 public:
  // `bytes`: 16-byte aligned, alive as long as the Header. `file_bytes`: the announced length of the whole file.
  static Result<Header> Parse(const void* bytes, size_t size, uint64_t file_bytes);

  Header() = default;

  // The first part.
  const ModelSpec& model() const { return model_; }
  uint32_t parts() const;
  ModelSpec part(uint32_t i) const;
  // Layers and blocks are numbered through the file; a part says where its own lie.
  LayerRange layer(uint32_t i) const;
  BlockSpec block(uint32_t i) const;
  TensorSpec tensor(uint32_t i) const;
  SegmentSpec segment(uint32_t i) const;
  uint32_t tensors() const;
  uint32_t segments() const;

  // Strings live in the header's bytes; absent ones are empty.
  std::string_view name() const;
  std::string_view family() const;
  // The first is the one that is used where none is named.
  uint32_t chat_formats() const;
  ChatFormatView chat_format(uint32_t i) const;
  std::string_view tensor_name(uint32_t i) const;
  uint32_t metadata() const;
  std::string_view metadata_key(uint32_t i) const;
  std::string_view metadata_value(uint32_t i) const;
  // Promises, not checked against anything when a file is read.
  uint32_t contracts() const;
  MemoryContract contract(uint32_t i) const;

  bool is_decoder() const { return model_.decoder; }
  // Of the portable file that this one holds, whatever its packing: two files of one id compute the same.
  uint64_t content_id() const;
  // What content_id() must be in a file without packed tensors and contracts.
  uint64_t ComputeContentId() const;

 private:
  const fb::Header* fb_ = nullptr;
  ModelSpec model_;
  const void* bytes_ = nullptr;
  size_t size_ = 0;
};

// fn(block, spec) for each attention of a part.
template <typename F>
void ForEachAttention(const Header& header, const ModelSpec& part, F fn) {
  for (uint32_t i = part.first_block; i < part.first_block + part.blocks; ++i) {
    const BlockSpec block = header.block(i);
    if (const AttentionSpec* attention = std::get_if<AttentionSpec>(&block.mixer)) fn(i, *attention);
  }
}

}  // namespace thimble
