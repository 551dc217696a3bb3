// Plain structs -> FlatBuffers: the mirror image of decode.cc, and the layout of the segments.
#include <algorithm>
#include <cstring>

#include "format/container.h"
#include "format/features.h"
#include "format/mixers/write.h"
#include "format/schema/thimble_generated.h"
#include "format/write_pieces.h"
#include "format/writer.h"
#include "runtime/core/checked.h"

namespace thimble {
namespace {

// `mixers`: those of the blocks so far, to which it adds this block's.
Offset<fb::Block> Pack(FlatBufferBuilder& b, const BlockSpec& block, MixerTables* tables, std::vector<fb::Mixer>* mixers) {
  const auto norm = Pack(b, block.norm);
  fb::Mixer mixer;
  if (block.repeats >= 0 && static_cast<size_t>(block.repeats) < mixers->size()) {
    mixer = (*mixers)[static_cast<size_t>(block.repeats)];
  } else {
    VisitAlternative(block.mixer, [&](const auto& m) { mixer = fb::Mixer(static_cast<uint32_t>(KindOf(block.mixer)), WriteMixer(b, m, tables)); });
  }
  mixers->push_back(mixer);
  const auto post_norm = Pack(b, block.post_norm);
  const auto sum_norm = Pack(b, block.sum_norm);
  fb::BlockBuilder t(b);
  // Fields that came later leave no trace in files without.
  if (block.repeats != -1) t.add_repeats(block.repeats);
  if (block.carry != 0) t.add_carry(block.carry);
  if (!sum_norm.IsNull()) t.add_sum_norm(sum_norm);
  t.add_output_scale(block.output_scale);
  t.add_scale(block.scale);
  t.add_post_norm(post_norm);
  t.add_mixer(&mixer);
  t.add_norm(norm);
  t.add_form(static_cast<uint8_t>(block.form));
  return t.Finish();
}

Offset<fb::Input> Pack(FlatBufferBuilder& b, const InputSpec& i) {
  const fb::Linear projection = Pack(i.patch_projection);
  const auto norm = Pack(b, i.norm);
  const fb::Linear row_projection = Pack(i.layer_rows.projection);
  const auto row_norm = Pack(b, i.layer_rows.norm);
  Offset<fb::LayerRows> rows = 0;
  if (i.layer_rows.width != 0) {
    rows = fb::CreateLayerRows(b, i.layer_rows.width, i.layer_rows.count, i.layer_rows.table, i.layer_rows.table_scale, &row_projection,
                               row_norm, i.layer_rows.scale);
  }
  fb::InputBuilder t(b);
  // Fields that came later leave no trace in files without.
  if (i.stream_start != kNoTensor) t.add_stream_start(i.stream_start);
  if (i.streams != 1) t.add_streams(i.streams);
  if (!rows.IsNull()) t.add_layer_rows(rows);
  t.add_norm(norm);
  t.add_cls(i.cls);
  t.add_patch_projection(&projection);
  t.add_patch(i.patch);
  t.add_image_channels(i.image_channels);
  t.add_image_width(i.image_width);
  t.add_image_height(i.image_height);
  t.add_positions(i.positions);
  t.add_scale(i.scale);
  t.add_table(i.table);
  t.add_kind(static_cast<uint8_t>(i.kind));
  return t.Finish();
}

Offset<fb::Output> Pack(FlatBufferBuilder& b, const OutputSpec& o) {
  const auto norm = Pack(b, o.norm);
  const fb::Linear head = Pack(o.head);
  return fb::CreateOutput(b, norm, &head, o.tied, o.scale, o.softcap, static_cast<uint8_t>(o.rows));
}

Offset<fb::Part> Pack(FlatBufferBuilder& b, const ModelSpec& m) {
  const auto input = Pack(b, m.input);
  const auto output = Pack(b, m.output);
  return fb::CreatePart(b, static_cast<uint8_t>(m.role), m.width, m.outputs, m.vocabulary, m.max_positions, input, output,
                        m.first_layer, m.layers);
}

Offset<fb::Packing> Pack(FlatBufferBuilder& b, const WeightLayout& p) {
  if (!p.packed()) return 0;
  return fb::CreatePacking(b, b.CreateString(p.packer), p.version, p.nr, p.kr, p.sr, p.planes);
}

// Each part's layers and blocks: those of the first part are what the others leave.
void SetRanges(ModelDescription& d) {
  uint64_t others = 0;
  for (const ModelSpec& part : d.more_parts) others += part.layers;
  if (others > d.layers.size()) throw WriteError(Code::kInvalidModel, "the parts have more layers than there are");
  d.spec.layers = static_cast<uint32_t>(d.layers.size() - others);
  uint32_t layer = 0, block = 0;
  const auto set = [&](ModelSpec& part) {
    part.tokenizer_segment = d.spec.tokenizer_segment;
    part.first_layer = layer;
    part.first_block = block;
    for (; layer < part.first_layer + part.layers; ++layer) block += static_cast<uint32_t>(d.layers[layer].blocks.size());
    part.blocks = block - part.first_block;
  };
  set(d.spec);
  for (ModelSpec& part : d.more_parts) set(part);
}

}  // namespace

std::vector<SegmentSpec> LayOut(ModelDescription& d, uint64_t* file_bytes) {
  std::vector<SegmentSpec> segments;
  auto add = [&segments](uint64_t bytes) {
    segments.push_back({0, bytes, 0});
    return static_cast<int32_t>(segments.size()) - 1;
  };
  for (NamedTensor& t : d.tensors) {
    uint64_t data = 0, scales = 0;
    if (!IsWeightBlock(t.spec.type, t.spec.block) ||
        !WeightDataBytes(t.spec.type, t.spec.rows, t.spec.cols, t.spec.block, &data) ||
        !WeightScaleBytes(t.spec.type, t.spec.rows, t.spec.cols, t.spec.block, &scales) || data == 0) {
      throw WriteError(Code::kInvalidModel, "tensor " + t.name + ": impossible shape or block");
    }
    const bool packed = t.spec.packing.packed();
    t.spec.data_segment = add(packed ? t.spec.packed_bytes : data);
    t.spec.scale_segment = scales > 0 && !packed ? add(scales) : -1;
  }
  d.spec.tokenizer_segment = d.tokenizer.empty() ? -1 : add(d.tokenizer.size());
  SetRanges(d);

  // The header's size does not depend on the offsets that it will hold.
  uint64_t end = HeaderBytes(d, segments, 0).size();
  for (size_t i = 0; i < segments.size(); ++i) {
    uint64_t start;
    if (!CheckedAlignUp(end, i == 0 ? kFirstSegmentAlignment : kSegmentAlignment, &start) ||
        !CheckedAdd(start, segments[i].bytes, &end) || end > static_cast<uint64_t>(INT64_MAX)) {
      throw WriteError(Code::kSizeOverflow, "the model does not fit a file");
    }
    segments[i].offset = start;
  }
  *file_bytes = end;
  return segments;
}

namespace {

void BuildHeader(FlatBufferBuilder& b, const ModelDescription& d, const std::vector<SegmentSpec>& segments, uint64_t content_id) {
  b.ForceDefaults(true);  // no value changes the header's size
  std::vector<Offset<fb::Part>> parts = {Pack(b, d.spec)};
  for (const ModelSpec& part : d.more_parts) parts.push_back(Pack(b, part));
  std::vector<fb::Layer> layers;
  std::vector<Offset<fb::Block>> blocks;
  MixerTables mixers;
  std::vector<fb::Mixer> of_blocks;
  uint32_t needed = 0;
  for (const LayerSpec& l : d.layers) {
    layers.emplace_back(static_cast<uint32_t>(blocks.size()), static_cast<uint32_t>(l.blocks.size()));
    for (const BlockSpec& block : l.blocks) {
      blocks.push_back(Pack(b, block, &mixers, &of_blocks));
      needed |= FeaturesOf(block);
    }
  }
  std::vector<Offset<fb::Tensor>> tensors;
  for (const NamedTensor& t : d.tensors) {
    const auto name = b.CreateString(t.name);
    const auto packing = Pack(b, t.spec.packing);
    fb::TensorBuilder tensor(b);
    if (t.spec.turn != 0) tensor.add_turn(t.spec.turn);  // leaves no trace in files without
    if (t.spec.fine_inputs) tensor.add_fine(true);
    tensor.add_packing(packing);
    tensor.add_scale_segment(t.spec.scale_segment);
    tensor.add_data_segment(t.spec.data_segment);
    tensor.add_block(t.spec.block);
    tensor.add_cols(t.spec.cols);
    tensor.add_rows(t.spec.rows);
    tensor.add_name(name);
    tensor.add_type(static_cast<uint8_t>(t.spec.type));
    tensors.push_back(tensor.Finish());
  }
  std::vector<fb::Segment> packed_segments;
  for (const SegmentSpec& s : segments) packed_segments.emplace_back(s.offset, s.bytes, s.checksum);
  std::vector<Offset<flatbuffers::String>> features;
  for (const std::string& f : d.required_features) features.push_back(b.CreateString(f));
  for (const NamedTensor& t : d.tensors) {
    if (t.spec.turn != 0) needed |= kFeatureTurned;
    if (t.spec.fine_inputs) needed |= kFeatureFineInputs;
  }
  for (size_t i = 0; i < kFeatureCount; ++i) {
    if ((needed >> i & 1) != 0) features.push_back(b.CreateString(kFeatureNames[i]));
  }
  std::vector<Offset<fb::Metadata>> metadata;
  for (const auto& [key, value] : d.metadata) {
    // One after the other: compilers disagree on the order of arguments, and equal models make equal files.
    const auto value_text = b.CreateString(value);
    const auto key_text = b.CreateString(key);
    metadata.push_back(fb::CreateMetadata(b, key_text, value_text));
  }
  std::vector<Offset<fb::Contract>> contracts;
  for (const MemoryContract& c : d.contracts) {
    const auto kernels = b.CreateString(c.kernels.data(), c.kernels.size());
    contracts.push_back(fb::CreateContract(b, kernels, static_cast<uint8_t>(c.key_cache), static_cast<uint8_t>(c.value_cache), c.threads,
                                           c.context_tokens, c.chunk_tokens, c.max_sessions, c.window_tokens, c.sink_tokens,
                                           c.prefix_tokens, c.page_bytes, c.anonymous_bytes, c.file_backed_bytes));
  }
  const auto name = b.CreateString(d.name), family = b.CreateString(d.family);
  std::vector<Offset<fb::ChatFormat>> chat_formats;
  for (const ChatFormat& format : d.chat_formats) {
    const auto answer = b.CreateVector(format.answer);
    const auto program = b.CreateVector(format.program);
    const auto text = b.CreateString(format.text);
    const auto format_name = b.CreateString(format.name);
    chat_formats.push_back(fb::CreateChatFormat(b, format_name, text, program, answer));
  }
  const auto part_vector = b.CreateVector(parts);
  const auto layer_vector = b.CreateVectorOfStructs(layers);
  const auto block_vector = b.CreateVector(blocks);
  const auto attention_vector = b.CreateVector(mixers.attentions);
  const auto feed_forward_vector = b.CreateVector(mixers.feed_forwards);
  const auto expert_vector = b.CreateVector(mixers.experts);
  const auto short_conv_vector = b.CreateVector(mixers.short_convs);
  // Kinds that came later leave no trace in files that have none, so that these stay as they were, to the byte.
  const auto state_space_vector = mixers.state_spaces.empty() ? 0 : b.CreateVector(mixers.state_spaces);
  const auto chat_format_vector = chat_formats.empty() ? 0 : b.CreateVector(chat_formats);
  const auto stream_vector = mixers.streams.empty() ? 0 : b.CreateVector(mixers.streams);
  const auto contract_vector = contracts.empty() ? 0 : b.CreateVector(contracts);
  const auto tensor_vector = b.CreateVector(tensors);
  const auto segment_vector = b.CreateVectorOfStructs(packed_segments);
  const auto feature_vector = b.CreateVector(features);
  const auto metadata_vector = b.CreateVector(metadata);
  fb::HeaderBuilder h(b);
  h.add_name(name);
  h.add_family(family);
  h.add_content_id(content_id);
  h.add_parts(part_vector);
  h.add_layers(layer_vector);
  h.add_blocks(block_vector);
  h.add_attentions(attention_vector);
  h.add_feed_forwards(feed_forward_vector);
  h.add_experts(expert_vector);
  h.add_short_convs(short_conv_vector);
  h.add_state_spaces(state_space_vector);
  h.add_tensors(tensor_vector);
  h.add_segments(segment_vector);
  h.add_required_features(feature_vector);
  h.add_tokenizer_segment(d.spec.tokenizer_segment);
  h.add_chat_formats(chat_format_vector);
  h.add_metadata(metadata_vector);
  h.add_contracts(contract_vector);
  h.add_streams(stream_vector);
  fb::FinishHeaderBuffer(b, h.Finish());
}

}  // namespace

std::vector<uint8_t> HeaderBytes(const ModelDescription& d, const std::vector<SegmentSpec>& segments, uint64_t file_bytes) {
  // An id of the description's own says what a packed file was made from; else it is that of what is written here.
  uint64_t content_id = d.content_id;
  if (content_id == 0) {
    FlatBufferBuilder b(1 << 16);
    BuildHeader(b, d, segments, 0);
    content_id = ChecksumOf(b.GetBufferPointer(), b.GetSize());
  }
  FlatBufferBuilder b(1 << 16);
  BuildHeader(b, d, segments, content_id);
  std::vector<uint8_t> out(kPrefixBytes + b.GetSize());
  const Prefix prefix = MakePrefix(file_bytes, b.GetSize(), ChecksumOf(b.GetBufferPointer(), b.GetSize()));
  std::memcpy(out.data(), &prefix, sizeof prefix);
  std::memcpy(out.data() + kPrefixBytes, b.GetBufferPointer(), b.GetSize());
  return out;
}

}  // namespace thimble
