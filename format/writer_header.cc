// Plain structs -> FlatBuffers: the mirror image of decode.cc, and the layout of the segments.
#include <cstring>

#include "format/container.h"
#include "format/schema/thimble_generated.h"
#include "format/writer.h"
#include "runtime/core/checked.h"

namespace thimble {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

fb::Linear Pack(const LinearSpec& l) { return fb::Linear(l.weight, l.bias); }

Offset<fb::Norm> Pack(FlatBufferBuilder& b, const NormSpec& n) {
  if (n.kind == NormKind::kNone) return 0;
  return fb::CreateNorm(b, static_cast<uint8_t>(n.kind), static_cast<uint8_t>(n.scope), n.eps, n.weight_offset, n.weight,
                        n.bias);
}

Offset<fb::Rope> Pack(FlatBufferBuilder& b, const RopeSpec& r) {
  if (r.width == 0) return 0;
  return fb::CreateRope(b, r.width, r.offset, r.pair_stride, r.denominator, static_cast<uint8_t>(r.pairing), r.theta,
                        r.position_scale, r.magnitude, r.freq_divisors);
}

Offset<fb::Attention> Pack(FlatBufferBuilder& b, const AttentionSpec& a) {
  const auto rope = Pack(b, a.rope);
  const auto q_norm = Pack(b, a.q_norm), k_norm = Pack(b, a.k_norm), v_norm = Pack(b, a.v_norm);
  const fb::Linear q = Pack(a.q), k = Pack(a.k), v = Pack(a.v), o = Pack(a.o);
  fb::AttentionBuilder t(b);
  t.add_heads(a.heads);
  t.add_kv_heads(a.kv_heads);
  t.add_head_width(a.head_width);
  t.add_sharing(static_cast<uint8_t>(a.sharing));
  t.add_rotation(static_cast<uint8_t>(a.rotation));
  t.add_causal(a.causal);
  t.add_window(a.window);
  t.add_scale(a.scale);
  t.add_softcap(a.softcap);
  if (!rope.IsNull()) t.add_rope(rope);
  t.add_q(&q);
  t.add_k(&k);
  t.add_v(&v);
  t.add_o(&o);
  if (!q_norm.IsNull()) t.add_q_norm(q_norm);
  if (!k_norm.IsNull()) t.add_k_norm(k_norm);
  if (!v_norm.IsNull()) t.add_v_norm(v_norm);
  t.add_key_gain(a.key_gain);
  t.add_sinks(a.sinks);
  t.add_score_bias(a.score_bias);
  t.add_cache_source(a.cache_source);
  return t.Finish();
}

Offset<fb::Ffn> Pack(FlatBufferBuilder& b, const FfnSpec& f) {
  if (f.kind == FfnKind::kNone) return 0;
  const fb::Linear gate = Pack(f.gate), up = Pack(f.up), down = Pack(f.down);
  return fb::CreateFfn(b, static_cast<uint8_t>(f.kind), static_cast<uint8_t>(f.activation), f.width, &gate, &up, &down);
}

Offset<fb::Layer> Pack(FlatBufferBuilder& b, const LayerSpec& l) {
  const auto attention_norm = Pack(b, l.attention_norm);
  const auto attention = Pack(b, l.attention);
  const auto attention_post_norm = Pack(b, l.attention_post_norm);
  const auto ffn_norm = Pack(b, l.ffn_norm);
  const auto ffn = Pack(b, l.ffn);
  const auto ffn_post_norm = Pack(b, l.ffn_post_norm);
  return fb::CreateLayer(b, attention_norm, attention, attention_post_norm, ffn_norm, ffn, ffn_post_norm, l.output_scale);
}

Offset<fb::Input> Pack(FlatBufferBuilder& b, const InputSpec& i) {
  const fb::Linear projection = Pack(i.patch_projection);
  return fb::CreateInput(b, static_cast<uint8_t>(i.kind), i.table, i.scale, i.positions, i.image_height, i.image_width,
                         i.image_channels, i.patch, &projection, i.cls);
}

Offset<fb::Output> Pack(FlatBufferBuilder& b, const OutputSpec& o) {
  const auto norm = Pack(b, o.norm);
  const fb::Linear head = Pack(o.head);
  return fb::CreateOutput(b, norm, &head, o.tied, o.scale, o.softcap, static_cast<uint8_t>(o.rows));
}

Offset<fb::Packing> Pack(FlatBufferBuilder& b, const WeightLayout& p) {
  if (!p.packed()) return 0;
  return fb::CreatePacking(b, b.CreateString(p.packer), p.version, p.nr, p.kr, p.sr, p.planes);
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
  d.spec.layers = static_cast<uint32_t>(d.layers.size());

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

std::vector<uint8_t> HeaderBytes(const ModelDescription& d, const std::vector<SegmentSpec>& segments, uint64_t file_bytes) {
  FlatBufferBuilder b(1 << 16);
  b.ForceDefaults(true);  // no value changes the header's size
  std::vector<Offset<fb::Layer>> layers;
  for (const LayerSpec& l : d.layers) layers.push_back(Pack(b, l));
  std::vector<Offset<fb::Tensor>> tensors;
  for (const NamedTensor& t : d.tensors) {
    const auto name = b.CreateString(t.name);
    const auto packing = Pack(b, t.spec.packing);
    tensors.push_back(fb::CreateTensor(b, name, static_cast<uint8_t>(t.spec.type), t.spec.rows, t.spec.cols, t.spec.block,
                                       t.spec.data_segment, t.spec.scale_segment, packing));
  }
  std::vector<fb::Segment> packed_segments;
  for (const SegmentSpec& s : segments) packed_segments.emplace_back(s.offset, s.bytes, s.checksum);
  std::vector<Offset<flatbuffers::String>> features;
  for (const std::string& f : d.required_features) features.push_back(b.CreateString(f));
  std::vector<Offset<fb::Metadata>> metadata;
  for (const auto& [key, value] : d.metadata) {
    // One after the other: compilers disagree on the order of arguments, and equal models make equal files.
    const auto value_text = b.CreateString(value);
    const auto key_text = b.CreateString(key);
    metadata.push_back(fb::CreateMetadata(b, key_text, value_text));
  }
  const auto name = b.CreateString(d.name), family = b.CreateString(d.family);
  const auto chat_template = b.CreateString(d.chat_template);
  const auto input = Pack(b, d.spec.input);
  const auto output = Pack(b, d.spec.output);
  const auto layer_vector = b.CreateVector(layers);
  const auto tensor_vector = b.CreateVector(tensors);
  const auto segment_vector = b.CreateVectorOfStructs(packed_segments);
  const auto feature_vector = b.CreateVector(features);
  const auto metadata_vector = b.CreateVector(metadata);
  fb::FinishHeaderBuffer(b, fb::CreateHeader(b, name, family, d.spec.width, d.spec.outputs, d.spec.vocabulary,
                                             d.spec.max_positions, input, output, layer_vector, tensor_vector, segment_vector,
                                             feature_vector, d.spec.tokenizer_segment, chat_template, metadata_vector));
  std::vector<uint8_t> out(kPrefixBytes + b.GetSize());
  const Prefix prefix = MakePrefix(file_bytes, b.GetSize(), ChecksumOf(b.GetBufferPointer(), b.GetSize()));
  std::memcpy(out.data(), &prefix, sizeof prefix);
  std::memcpy(out.data() + kPrefixBytes, b.GetBufferPointer(), b.GetSize());
  return out;
}

}  // namespace thimble
