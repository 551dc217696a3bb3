// Writes a .thimble file: computes the layout from the description, takes the payload tensor by tensor, and puts the
// finished file in place with one rename. Host only; throws WriteError. It knows no foreign formats.
#pragma once

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "format/checksum.h"
#include "format/header.h"
#include "format/spec.h"
#include "runtime/core/status.h"

namespace thimble {

struct NamedTensor {
  std::string name;
  TensorSpec spec;  // type, rows, cols, block; the writer assigns the segments
};

// A layer with its mixers in place. Most have one block of each kind.
struct LayerSpec {
  std::vector<BlockSpec> blocks;

  // The first mixer of that kind; null where there is none.
  template <typename Mixer>
  const Mixer* Find() const {
    for (const BlockSpec& block : blocks) {
      if (const Mixer* mixer = std::get_if<Mixer>(&block.mixer)) return mixer;
    }
    return nullptr;
  }
  // They must be there.
  const AttentionSpec& attention() const { return *Find<AttentionSpec>(); }
  const FfnSpec& ffn() const { return *Find<FfnSpec>(); }
  AttentionSpec& attention() { return const_cast<AttentionSpec&>(std::as_const(*this).attention()); }
  FfnSpec& ffn() { return const_cast<FfnSpec&>(std::as_const(*this).ffn()); }
};

// A chat template, and what was made of it.
struct ChatFormat {
  std::string name, text;        // Jinja
  std::vector<uint8_t> program;  // runtime/template/program.h
  std::vector<uint8_t> answer;   // how what the model says is read; empty: not known
};

struct ModelDescription {
  std::string name;
  std::string family;
  std::vector<ChatFormat> chat_formats;  // the first is the one that is used where none is named
  ModelSpec spec;  // of the first part; what says where its layers and the tokenizer lie is filled by the writer
  std::vector<ModelSpec> more_parts;  // their layers lie in `layers` behind the first part's
  std::vector<LayerSpec> layers;
  std::vector<NamedTensor> tensors;
  std::vector<uint8_t> tokenizer;  // segment bytes (format/tokenizer_data.h); empty = none
  std::vector<std::string> required_features;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<MemoryContract> contracts;
  uint64_t content_id = 0;  // of packed files and those with contracts: the id of the plain one; 0: what this description gives
};

struct WriteError : std::runtime_error {
  WriteError(Code c, const std::string& text) : std::runtime_error(text), code(c) {}
  Code code;
};

// Usage: ModelWriter w(path, description); for every tensor, in any order: w.WriteTensor(i, data, scales); w.Finish().
// The constructor runs the reader's own validation over the description and throws what it says, so that a file that
// cannot be loaded is never written. Without Finish() the destructor removes the temporary file.
class ModelWriter {
 public:
  ModelWriter(const std::string& path, ModelDescription description);
  ~ModelWriter();
  ModelWriter(const ModelWriter&) = delete;
  ModelWriter& operator=(const ModelWriter&) = delete;

  // data: WeightDataBytes(spec) bytes, scales: WeightScaleBytes(spec) bytes or null. Both in the portable layout.
  void WriteTensor(size_t index, const void* data, const void* scales);

  // Large tensors by rows: the same bytes in pieces, in order. Begin, then any number of appends, then End.
  void BeginSegment(int32_t segment);
  void Append(const void* bytes, size_t size);
  void EndSegment();
  int32_t DataSegment(size_t tensor) const { return description_.tensors[tensor].spec.data_segment; }
  int32_t ScaleSegment(size_t tensor) const { return description_.tensors[tensor].spec.scale_segment; }

  uint64_t file_bytes() const { return file_bytes_; }

  // Header, sync, rename. Throws if a segment is missing.
  void Finish();

 private:
  std::string path_, temporary_path_;
  ModelDescription description_;
  std::vector<SegmentSpec> segments_;
  std::vector<bool> written_;
  std::vector<char> buffer_;  // of file_; outlives it
  std::FILE* file_ = nullptr;
  uint64_t file_bytes_ = 0;
  int32_t open_segment_ = -1;
  uint64_t open_bytes_ = 0;
  Checksum open_checksum_;
};

// A layer of a file that was opened, as the writer takes it.
LayerSpec ReadLayer(const Header& header, uint32_t layer);

// Assigns the segments and ranges of `description` and returns their table (checksums 0). Throws on sizes that overflow.
std::vector<SegmentSpec> LayOut(ModelDescription& description, uint64_t* file_bytes);

// Prefix and header, as the file starts. With zero checksums the rest may be a hole: planning needs no weights.
std::vector<uint8_t> HeaderBytes(const ModelDescription& description, const std::vector<SegmentSpec>& segments,
                                 uint64_t file_bytes);

}  // namespace thimble
