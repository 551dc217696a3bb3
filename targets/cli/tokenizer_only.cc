// A tokenizer file as a model that holds nothing else: the smallest header that is valid, the tokenizer
// behind it, and zeros for the few weights, which nobody reads.
#include "targets/cli/tokenizer_only.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "format/container.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "format/writer.h"

namespace thimble::cli {
namespace {

ModelDescription Describe(const TokenizerModel& tokenizer) {
  ModelDescription description;
  description.name = "tokenizer";
  description.family = "tokenizer";
  description.tokenizer = WriteTokenizerSegment(tokenizer);
  const auto pieces = static_cast<uint32_t>(tokenizer.pieces.size());
  const auto tensor = [](const char* name, uint32_t rows) {
    NamedTensor named{name, {}};
    named.spec.rows = rows;
    named.spec.cols = 1;
    return named;
  };
  description.tensors = {tensor("table", pieces), tensor("k", 1), tensor("o", 1)};
  ModelSpec& spec = description.spec;
  spec.width = spec.max_positions = 1;
  spec.outputs = spec.vocabulary = pieces;
  spec.input.table = 0;
  spec.output.tied = true;
  AttentionSpec attention;
  attention.heads = attention.kv_heads = attention.head_width = 1;
  attention.sharing = Sharing::kQKV;
  attention.scale = 1;
  attention.k.weight = 1;
  attention.o.weight = 2;
  BlockSpec block;
  block.mixer = attention;
  description.layers = {{{block}}};
  return description;
}

}  // namespace

void AlignedBytes::Free::operator()(uint8_t* bytes) const { std::free(bytes); }

AlignedBytes MakeTokenizerModel(const std::string& path) {
  ModelDescription description = Describe(LoadTokenizer(path));
  uint64_t file_bytes = 0;
  const std::vector<SegmentSpec> segments = LayOut(description, &file_bytes);
  const std::vector<uint8_t> header = HeaderBytes(description, segments, file_bytes);

  AlignedBytes model;
  model.size = static_cast<size_t>(file_bytes);
  const size_t rounded = (model.size + kSegmentAlignment - 1) / kSegmentAlignment * kSegmentAlignment;
  void* memory = nullptr;
  if (posix_memalign(&memory, kSegmentAlignment, rounded) != 0) throw std::bad_alloc();  // aligned_alloc is Android 9's
  model.data.reset(static_cast<uint8_t*>(memory));
  std::memset(model.data.get(), 0, rounded);
  std::memcpy(model.data.get(), header.data(), header.size());
  const SegmentSpec& segment = segments[static_cast<size_t>(description.spec.tokenizer_segment)];
  std::memcpy(model.data.get() + segment.offset, description.tokenizer.data(), description.tokenizer.size());
  return model;
}

}  // namespace thimble::cli
