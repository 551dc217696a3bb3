// Headers in memory that a test may change after they were written, and files that are sealed again after a
// change.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "format/header.h"
#include "format/schema/thimble_generated.h"
#include "tests/support/model_builder.h"

namespace thimble::test {

// The header of a description as it lies in a file whose payload is never looked at.
class HeaderImage {
 public:
  explicit HeaderImage(ModelDescription description);

  const fb::Header& root() const { return *fb::GetHeader(bytes_.data()); }
  SegmentSpec Segment(uint32_t i) const;
  void SetSegment(uint32_t i, const SegmentSpec& s);
  // Overwrites a scalar of a table; `field` is the generated VT_ constant. The writer stores defaults, so it
  // is there.
  template <typename T>
  void Set(const void* table, flatbuffers::voffset_t field, T value) {
    flatbuffers::Table* t = reinterpret_cast<flatbuffers::Table*>(const_cast<void*>(table));
    if (!t->SetField<T>(field, value, static_cast<T>(value + 1)))
      throw std::runtime_error("field is not stored");
  }

  uint8_t* data() { return bytes_.data(); }
  size_t size() const { return size_; }
  uint64_t file_bytes = 0;

  Result<Header> Parse() const { return Header::Parse(bytes_.data(), size_, file_bytes); }

 private:
  AlignedBytes bytes_;
  size_t size_;
};

// Parses what the description's header says. The Header itself is gone with its bytes; its status is what
// counts.
Status StatusOf(const ModelDescription& description);

// A header around these, each of them may be absent (0): one part of width 4 with one layer of one block without a mixer.
void FinishSmallHeader(flatbuffers::FlatBufferBuilder& b, flatbuffers::Offset<fb::Input> input,
                       flatbuffers::Offset<fb::Output> output, const std::vector<flatbuffers::Offset<fb::Tensor>>& tensors,
                       const std::vector<fb::Segment>& segments);

// Recomputes the checksum of the header and of the prefix, where the sizes in the prefix allow it.
void Seal(std::vector<uint8_t>& file);

// "layer 0 attention.heads" and the like, for messages and comparison.
std::string PlaceOf(const Status& status);

}  // namespace thimble::test
