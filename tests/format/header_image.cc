#include "tests/format/header_image.h"

#include "format/checksum.h"
#include "format/container.h"

namespace thimble::test {
namespace {

std::vector<uint8_t> WithoutPrefix(ModelDescription description, uint64_t* file_bytes) {
  const std::vector<SegmentSpec> segments = LayOut(description, file_bytes);
  const std::vector<uint8_t> bytes = HeaderBytes(description, segments, *file_bytes);
  return {bytes.begin() + kPrefixBytes, bytes.end()};
}

}  // namespace

HeaderImage::HeaderImage(ModelDescription description)
    : bytes_(WithoutPrefix(std::move(description), &file_bytes)), size_(bytes_.size()) {}

SegmentSpec HeaderImage::Segment(uint32_t i) const {
  const fb::Segment* s = root().segments()->Get(i);
  return {s->offset(), s->bytes(), s->checksum()};
}

void HeaderImage::SetSegment(uint32_t i, const SegmentSpec& s) {
  const uint64_t values[3] = {s.offset, s.bytes, s.checksum};
  static_assert(sizeof values == sizeof(fb::Segment));
  std::memcpy(const_cast<fb::Segment*>(root().segments()->Get(i)), values, sizeof values);
}

Status StatusOf(const ModelDescription& description) { return HeaderImage(description).Parse().status(); }

void FinishSmallHeader(flatbuffers::FlatBufferBuilder& b, flatbuffers::Offset<fb::Input> input,
                       flatbuffers::Offset<fb::Output> output, const std::vector<flatbuffers::Offset<fb::Tensor>>& tensors,
                       const std::vector<fb::Segment>& segments) {
  const std::vector<flatbuffers::Offset<fb::Part>> parts = {fb::CreatePart(b, 0, 4, 1, 1, 1, input, output, 0, 1)};
  const std::vector<flatbuffers::Offset<fb::Block>> blocks = {fb::CreateBlock(b)};
  const std::vector<fb::Layer> layers = {fb::Layer(0, 1)};
  const auto part_vector = b.CreateVector(parts);
  const auto layer_vector = b.CreateVectorOfStructs(layers);
  const auto block_vector = b.CreateVector(blocks);
  const auto tensor_vector = b.CreateVector(tensors);
  const auto segment_vector = b.CreateVectorOfStructs(segments);
  fb::HeaderBuilder h(b);
  h.add_parts(part_vector);
  h.add_layers(layer_vector);
  h.add_blocks(block_vector);
  h.add_tensors(tensor_vector);
  h.add_segments(segment_vector);
  fb::FinishHeaderBuffer(b, h.Finish());
}

void Seal(std::vector<uint8_t>& file) {
  if (file.size() < kPrefixBytes) return;
  Prefix p;
  std::memcpy(&p, file.data(), sizeof p);
  if (p.header_offset <= file.size() && p.header_bytes <= file.size() - p.header_offset) {
    p.header_checksum = ChecksumOf(file.data() + p.header_offset, static_cast<size_t>(p.header_bytes));
  }
  p.prefix_checksum = ChecksumOf(&p, offsetof(Prefix, prefix_checksum));
  std::memcpy(file.data(), &p, sizeof p);
}

std::string PlaceOf(const Status& status) {
  std::string out = status.section;
  if (status.index != Status::kNone) out += " " + std::to_string(status.index);
  if (status.field[0] != 0) out += (out.empty() ? "" : " ") + std::string(status.field);
  return out;
}

}  // namespace thimble::test
