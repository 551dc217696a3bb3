#include "targets/convert/exchange.h"

#include <cstring>
#include <map>
#include <string>

#include "targets/convert/describe_file.h"
#include "targets/convert/import_error.h"

namespace thimble {
namespace {

bool SameSegment(const ModelFile& a, int32_t in_a, const ModelFile& b, int32_t in_b) {
  if (in_a < 0 || in_b < 0) return in_a == in_b;
  const uint64_t bytes = a.header().segment(static_cast<uint32_t>(in_a)).bytes;
  return bytes == b.header().segment(static_cast<uint32_t>(in_b)).bytes &&
         std::memcmp(a.Segment(static_cast<uint32_t>(in_a)), b.Segment(static_cast<uint32_t>(in_b)), bytes) == 0;
}

void CopySegment(const ModelFile& file, int32_t from, const std::vector<SegmentSpec>& segments, int32_t to, FileImage* image) {
  if (to < 0) return;
  const SegmentSpec& segment = segments[static_cast<size_t>(to)];
  std::memcpy(image->data() + segment.offset, file.Segment(static_cast<uint32_t>(from)), segment.bytes);
}

}  // namespace

std::vector<TensorPair> DifferingTensors(const ModelFile& base, const ModelFile& other) {
  const Header &a = base.header(), &b = other.header();
  std::map<std::string_view, uint32_t> there;
  for (uint32_t i = 0; i < b.tensors(); ++i) there.emplace(b.tensor_name(i), i);
  std::vector<TensorPair> differing;
  for (uint32_t i = 0; i < a.tensors(); ++i) {
    const std::string name(a.tensor_name(i));
    const auto found = there.find(name);
    if (found == there.end()) throw ImportError(Code::kInvalidArgument, "tensor '" + name + "' is in one of the two files only");
    const TensorSpec mine = a.tensor(i), theirs = b.tensor(found->second);
    if (mine.rows != theirs.rows || mine.cols != theirs.cols)
      throw ImportError(Code::kInvalidArgument, "tensor '" + name + "' has different shapes in the two files");
    if (mine.type != theirs.type || mine.block != theirs.block || mine.turn != theirs.turn || !(mine.packing == theirs.packing) ||
        !SameSegment(base, mine.data_segment, other, theirs.data_segment) ||
        !SameSegment(base, mine.scale_segment, other, theirs.scale_segment))
      differing.push_back({i, found->second});
    there.erase(found);
  }
  if (!there.empty())
    throw ImportError(Code::kInvalidArgument, "tensor '" + std::string(there.begin()->first) + "' is in one of the two files only");
  return differing;
}

FileImage ExchangeTensors(const ModelFile& base, const ModelFile& other, const std::vector<TensorPair>& taken) {
  try {
    struct Source {
      const ModelFile* file;
      uint32_t tensor;
    };
    std::vector<Source> sources;
    for (uint32_t i = 0; i < base.header().tensors(); ++i) sources.push_back({&base, i});
    for (const TensorPair& pair : taken) sources[pair.base] = {&other, pair.other};
    ModelDescription description = DescribeFile(base);
    for (size_t i = 0; i < sources.size(); ++i) {
      description.tensors[i].spec = sources[i].file->header().tensor(sources[i].tensor);
      if (description.tensors[i].spec.packing.packed()) description.content_id = base.header().content_id();
    }
    uint64_t bytes = 0;
    const std::vector<SegmentSpec> segments = LayOut(description, &bytes);
    const std::vector<uint8_t> header = HeaderBytes(description, segments, bytes);
    FileImage image(bytes);
    std::memcpy(image.data(), header.data(), header.size());
    CopySegment(base, base.header().model().tokenizer_segment, segments, description.spec.tokenizer_segment, &image);
    for (size_t i = 0; i < sources.size(); ++i) {
      const TensorSpec from = sources[i].file->header().tensor(sources[i].tensor), &to = description.tensors[i].spec;
      CopySegment(*sources[i].file, from.data_segment, segments, to.data_segment, &image);
      CopySegment(*sources[i].file, from.scale_segment, segments, to.scale_segment, &image);
    }
    return image;
  } catch (...) {
    ThrowAsImportError();
  }
}

}  // namespace thimble
