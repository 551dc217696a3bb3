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

// Caps that keep all later arithmetic far from overflow and hostile files cheap. Well above any real model.
inline constexpr uint32_t kMaxLayers = 1024;
inline constexpr uint32_t kMaxTensors = 1u << 16;
inline constexpr uint32_t kMaxWidth = 1u << 17;          // D, and H * d
inline constexpr uint32_t kMaxFfnWidth = 1u << 20;       // F
inline constexpr uint32_t kMaxQuantisedColumns = 1u << 16;  // K of int8 and int4 weights: sums of products stay in int32
inline constexpr uint32_t kMaxHeads = 1024;              // H
inline constexpr uint32_t kMaxHeadWidth = 1024;          // d
inline constexpr uint32_t kMaxVocabulary = 1u << 22;     // V
inline constexpr uint32_t kMaxPositions = 1u << 24;
inline constexpr uint32_t kMaxImageSide = 1u << 12;

class Header {
 public:
  // `bytes`: 16-byte aligned, alive as long as the Header. `file_bytes`: the announced length of the whole file.
  static Result<Header> Parse(const void* bytes, size_t size, uint64_t file_bytes);

  Header() = default;

  const ModelSpec& model() const { return model_; }
  LayerSpec layer(uint32_t i) const;
  TensorSpec tensor(uint32_t i) const;
  SegmentSpec segment(uint32_t i) const;
  uint32_t tensors() const;
  uint32_t segments() const;

  // Strings live in the header's bytes; absent ones are empty.
  std::string_view name() const;
  std::string_view family() const;
  std::string_view chat_template() const;
  std::string_view tensor_name(uint32_t i) const;
  uint32_t metadata() const;
  std::string_view metadata_key(uint32_t i) const;
  std::string_view metadata_value(uint32_t i) const;

  // Reads tokens, causal, logits for every row: can prefill and decode. Everything else is an encoder.
  bool is_decoder() const { return decoder_; }

 private:
  const fb::Header* fb_ = nullptr;
  ModelSpec model_;
  bool decoder_ = false;
};

}  // namespace thimble
