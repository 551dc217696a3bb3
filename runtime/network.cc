// The walk, in the order of the memory: layers' tables, cache, packed weights, activations, scratch. Behind it, the
// weights that are written to the places it took.
#include "runtime/network.h"

#include <cstring>

#include "ops/attention/attention.h"
#include "runtime/core/checked.h"
#include "runtime/packing.h"

namespace thimble {
namespace {

uint64_t Max(uint64_t a, uint64_t b) { return a > b ? a : b; }

// Portable rows in the arena: the scales lie behind the data.
uint64_t ScaleOffset(const WeightRows& rows) {
  uint64_t data = 0;
  (void)WeightDataBytes(rows.type, rows.n, rows.k, rows.block, &data);
  return RoundUp(data, kArenaAlignment);
}

// Of the weights of a layer as a kernel with this layout reads them.
uint64_t LinearBytes(const PackedLayout* layout, const WeightRows& rows) {
  if (layout != nullptr) return PackedBytes(*layout, rows.n, rows.k, rows.block);
  uint64_t data = 0, scales = 0;
  (void)WeightDataBytes(rows.type, rows.n, rows.k, rows.block, &data);
  (void)WeightScaleBytes(rows.type, rows.n, rows.k, rows.block, &scales);
  return scales == 0 ? data : ScaleOffset(rows) + scales;
}

void SetPacked(Linear* linear, const void* packed) {
  linear->packed = packed;
  linear->rows.data = nullptr;
  linear->rows.scales = nullptr;
}

}  // namespace

NetworkWalk::NetworkWalk(const ModelFile& file, const EngineOptions& options, Arena& arena, Network* network)
    : file_(file), header_(file.header()), options_(options), arena_(arena), network_(network) {
  *network = Network();
  network->file = &file;
  network->bytes = options.copy_model ? arena.Take<uint8_t>("model_copy", file.file_bytes()) : file.bytes();
  network->options = options;
  network->model = header_.model();
}

const uint8_t* NetworkWalk::SegmentBytes(int32_t segment) const {
  if (segment < 0 || network_->bytes == nullptr) return nullptr;
  return network_->bytes + header_.segment(static_cast<uint32_t>(segment)).offset;
}

const float* NetworkWalk::Vector(int32_t tensor) const {
  if (tensor == kNoTensor) return nullptr;
  return reinterpret_cast<const float*>(SegmentBytes(header_.tensor(static_cast<uint32_t>(tensor)).data_segment));
}

NormOp NetworkWalk::Norm(const NormSpec& spec) const {
  return {spec.kind, spec.scope, spec.eps, spec.weight_offset, Vector(spec.weight), Vector(spec.bias)};
}

WeightRows NetworkWalk::Rows(uint32_t tensor) const {
  const TensorSpec t = header_.tensor(tensor);
  return {t.type, t.rows, t.cols, t.block, SegmentBytes(t.data_segment), SegmentBytes(t.scale_segment)};
}

Linear NetworkWalk::MakeLinear(const LinearSpec& spec, int32_t layer) {
  Linear linear;
  if (spec.weight == kNoTensor) return linear;
  linear.rows = Rows(static_cast<uint32_t>(spec.weight));
  linear.kernel = options_.kernels->Kernel(linear.rows.type);
  linear.bias = Vector(spec.bias);
  if (linear.kernel->quantise_row != nullptr) widths_.quantised_input = Max(widths_.quantised_input, linear.rows.k);
  const PackedLayout* stored = StoredLayout(header_.tensor(static_cast<uint32_t>(spec.weight)));
  const PackedLayout* wanted = linear.kernel->layout;
  const uint64_t bytes = LinearBytes(wanted, linear.rows);
  network_->weight_bytes_per_step += bytes;
  if (stored == wanted) {
    // In place: from here on only the kernels touch these pages.
    network_->in_place_weight_bytes += bytes;
    if (wanted != nullptr) SetPacked(&linear, linear.rows.data);
    return linear;
  }
  network_->packed_weight_bytes += bytes;
  if (stored != nullptr) network_->repacked_weight_bytes += bytes;
  if (stored != nullptr && wanted != nullptr) {
    repack_bytes_ = Max(repack_bytes_, RepackScratchBytes(*stored, *wanted, linear.rows.k, linear.rows.block));
  }
  uint8_t* place = static_cast<uint8_t*>(
      arena_.TakeBytes(stored == nullptr ? "packed_weights" : "repacked_weights", bytes, 1, layer));
  if (wanted != nullptr) {
    SetPacked(&linear, place);
  } else {
    linear.rows.data = place;
    linear.rows.scales = place == nullptr || linear.rows.type == WeightType::kF32 ? nullptr : place + ScaleOffset(linear.rows);
  }
  return linear;
}

void NetworkWalk::TakeRope(const AttentionSpec& a, uint32_t block, BlockOp* op) {
  if (a.rotation == KeyRotation::kNone) return;
  const bool all = a.rotation == KeyRotation::kOnRead;
  uint32_t same = block;
  ForEachAttention(header_, header_.model(), [&](uint32_t i, const AttentionSpec& other) {
    if (i < same && other.rotation != KeyRotation::kNone && (other.rotation == KeyRotation::kOnRead) == all &&
        SameRope(a.rope, other.rope)) {
      same = i;
    }
  });
  if (same == block) {
    op->own_rope = TakeRopeTable(arena_, a.rope, Vector(a.rope.freq_divisors), all,
                                 all ? options_.context_tokens : options_.chunk_tokens, layer_);
  }
  if (network_->blocks != nullptr) op->attention.rope = &network_->blocks[same].own_rope;
}

// Of the blocks that read the rows of `block`; 0 = one of them sees all.
uint32_t NetworkWalk::WidestWindow(const AttentionSpec& own, uint32_t block) const {
  uint32_t widest = LayerWindow(own, options_);
  ForEachAttention(header_, header_.model(), [&](uint32_t, const AttentionSpec& other) {
    if (widest == 0 || other.cache_source != static_cast<int32_t>(block)) return;
    const uint32_t window = LayerWindow(other, options_);
    widest = window == 0 || window > widest ? window : widest;
  });
  return widest;
}

void NetworkWalk::Attention(const AttentionSpec& spec, uint32_t block, BlockOp* op) {
  AttentionOp& a = op->attention;
  a.spec = spec;
  Measure(spec);
  TakeRope(spec, block, op);
  a.window = LayerWindow(spec, options_);
  a.sink_tokens = LayerSinks(spec, options_);
  a.q = MakeLinear(spec.q, layer_);
  a.k = MakeLinear(spec.k, layer_);
  a.v = MakeLinear(spec.v, layer_);
  a.o = MakeLinear(spec.o, layer_);
  a.q_norm = Norm(spec.q_norm);
  a.k_norm = Norm(spec.k_norm);
  a.v_norm = Norm(spec.v_norm);
  a.key_gain = Vector(spec.key_gain);
  a.sinks = Vector(spec.sinks);
  a.score_bias = Vector(spec.score_bias);
}

void NetworkWalk::Measure(const AttentionSpec& a) {
  widths_.q = Max(widths_.q, uint64_t{a.heads} * a.head_width);
  // A row that is key and value is projected once; a layer that reads another's rows projects none.
  if (a.k.weight != kNoTensor) widths_.k = Max(widths_.k, uint64_t{a.kv_heads} * a.head_width);
  if (a.v.weight != kNoTensor) widths_.v = Max(widths_.v, uint64_t{a.kv_heads} * a.head_width);
  const AttentionShape shape = {.heads = a.heads,
                                .kv_heads = a.kv_heads,
                                .d = a.head_width,
                                .key_type = options_.key_cache,
                                .value_type = SharesKeyAndValue(a.sharing) ? options_.key_cache : options_.value_cache,
                                .turned_keys = a.key_gain != kNoTensor || a.rotation == KeyRotation::kOnRead};
  widths_.attention_scratch_bytes = Max(widths_.attention_scratch_bytes, AttentionScratchBytes(shape, options_.threads));
}

void NetworkWalk::FeedForward(const FfnSpec& spec, BlockOp* op) {
  widths_.ffn = Max(widths_.ffn, spec.width);
  widths_.gated = widths_.gated || spec.kind == FfnKind::kGated;
  op->ffn.spec = spec;
  op->ffn.gate = MakeLinear(spec.gate, layer_);
  op->ffn.up = MakeLinear(spec.up, layer_);
  op->ffn.down = MakeLinear(spec.down, layer_);
}

template <typename Visit>
void NetworkWalk::ForEachBlock(Visit visit) {
  const ModelSpec& m = header_.model();
  for (uint32_t l = 0; l < m.layers; ++l) {
    layer_ = static_cast<int32_t>(l);
    const LayerRange range = header_.layer(l);
    for (uint32_t i = range.first_block; i < range.first_block + range.blocks; ++i) visit(i, header_.block(i));
  }
  layer_ = -1;
}

void NetworkWalk::Blocks() {
  network_->block_count = header_.model().blocks;
  network_->blocks = arena_.Take<BlockOp>("blocks", network_->block_count);
  ForEachBlock([&](uint32_t i, const BlockSpec& spec) {
    BlockOp op;
    op.form = spec.form;
    op.kind = KindOf(spec.mixer);
    op.norm = Norm(spec.norm);
    op.post_norm = Norm(spec.post_norm);
    op.scale = spec.scale;
    op.output_scale = spec.output_scale;
    if (const AttentionSpec* attention = std::get_if<AttentionSpec>(&spec.mixer)) Attention(*attention, i, &op);
    if (const FfnSpec* ffn = std::get_if<FfnSpec>(&spec.mixer)) FeedForward(*ffn, &op);
    if (network_->blocks != nullptr) network_->blocks[i] = op;
  });
}

void NetworkWalk::InputAndOutput() {
  const ModelSpec& m = header_.model();
  network_->positions = Vector(m.input.positions);
  network_->cls = Vector(m.input.cls);
  network_->patch_projection = MakeLinear(m.input.patch_projection, -1);
  network_->input_norm = Norm(m.input.norm);
  network_->output_norm = Norm(m.output.norm);
  if (m.output.tied) {
    network_->head = MakeLinear({m.input.table, m.output.head.bias}, -1);
    network_->embedding = network_->head;  // stored once, also when packed
    return;
  }
  network_->head = MakeLinear(m.output.head, -1);
  if (m.input.kind == InputKind::kTokens) {
    // Only looked up, row by row: the scalar kernel reads it in place.
    network_->embedding.rows = Rows(static_cast<uint32_t>(m.input.table));
    network_->embedding.kernel = AllKernelTables()[0]->Kernel(network_->embedding.rows.type);
  }
}

void NetworkWalk::Shared() {
  Blocks();
  InputAndOutput();
  const ModelSpec& m = header_.model();
  const uint64_t t = options_.chunk_tokens;
  Buffers& b = network_->buffers;
  b.x = arena_.Take<float>("residual", t * m.width);
  b.h = arena_.Take<float>("normed", t * m.width);
  b.y = arena_.Take<float>("block_output", t * m.width);
  if (widths_.quantised_input > 0) {
    b.quantised = static_cast<int8_t*>(arena_.TakeBytes("quantised_rows", t, QuantisedRowBytes(widths_.quantised_input), -1));
    b.quantisation = arena_.Take<RowQuantisation>("quantisation", QuantisedParameterCount(options_.chunk_tokens));
  }
  Arena dry = Arena::Measuring();
  StateWalk count(dry, options_.context_tokens, options_.chunk_tokens, nullptr);
  DeclareState(count, [](uint32_t, const AttentionSpec&, const LayerCache&) {});
  network_->state_lines = count.count();
  network_->state = arena_.Take<StateLine>("state_lines", network_->state_lines);
}

template <typename Store>
void NetworkWalk::DeclareState(StateWalk& state, Store store) {
  ForEachBlock([&](uint32_t i, const BlockSpec& block) {
    const AttentionSpec* a = std::get_if<AttentionSpec>(&block.mixer);
    if (a == nullptr || a->cache_source != -1) return;
    store(i, *a, DeclareLayerCache(state, *a, options_, WidestWindow(*a, i), layer_));
  });
}

uint8_t* NetworkWalk::SlotState(bool first) {
  StateWalk state(arena_, options_.context_tokens, options_.chunk_tokens, first ? network_->state : nullptr);
  DeclareState(state, [&](uint32_t block, const AttentionSpec& a, const LayerCache& cache) {
    if (!first) return;
    network_->kv_bytes_per_token += LayerCacheBytesPerToken(a, options_);
    if (network_->blocks != nullptr) network_->blocks[block].attention.cache = cache;
  });
  uint8_t* begin = state.Finish();
  if (first) {
    for (uint32_t i = 0; network_->blocks != nullptr && i < network_->block_count; ++i) {
      BlockOp& op = network_->blocks[i];
      if (op.kind != MixerKind::kAttention || op.has_rows()) continue;
      op.attention.cache = network_->blocks[op.attention.spec.cache_source].attention.cache;
    }
    network_->kv_bytes = state.bytes();
    network_->kv_ring_bytes = state.ring_bytes();
    network_->kv_recent_bytes = state.newest_bytes();
    network_->kv_bytes_per_context_token = state.growing_bytes_per_token();
  }
  return begin;
}

void NetworkWalk::Scratch(size_t text_workspace_bytes) {
  const ModelSpec& m = header_.model();
  const uint64_t t = options_.chunk_tokens;
  Buffers& b = network_->buffers;
  arena_.BeginScratch();
  b.q = arena_.Take<float>("attention.q", t * widths_.q);
  b.k = arena_.Take<float>("attention.k", t * widths_.k);
  b.v = arena_.Take<float>("attention.v", t * widths_.v);
  b.heads = arena_.Take<float>("attention.heads", t * widths_.q);
  b.attention_scratch = arena_.TakeBytes("attention.tiles", widths_.attention_scratch_bytes, 1, -1);
  arena_.EndScratch();

  arena_.BeginScratch();
  if (widths_.gated) b.gate = arena_.Take<float>("ffn.gate", t * widths_.ffn);
  b.up = arena_.Take<float>("ffn.up", t * widths_.ffn);
  arena_.EndScratch();

  if (repack_bytes_ > 0) {
    arena_.BeginScratch();
    b.repack = static_cast<uint8_t*>(arena_.TakeBytes("load.repack", repack_bytes_, options_.threads, -1));
    arena_.EndScratch();
  }
  if (m.input.kind == InputKind::kPatches) {
    arena_.BeginScratch();
    // One row of the pass is the CLS row.
    b.patches = arena_.Take<float>("input.patches", (t - 1) * network_->patch_projection.rows.k);
    arena_.EndScratch();
  }
  if (text_workspace_bytes > 0) {
    arena_.BeginScratch();
    b.text = arena_.TakeBytes("text", text_workspace_bytes, 1, -1);
    b.text_bytes = text_workspace_bytes;
    arena_.EndScratch();
  }
  if (options_.max_sessions > 1) {
    // As many as there is room for anyway: what a session more costs is its slot.
    const uint64_t room = arena_.ScratchBytes() / (uint64_t{m.outputs} * sizeof(float));
    b.logit_tile_rows = static_cast<size_t>(room < options_.max_sessions ? room : options_.max_sessions);
    arena_.BeginScratch();
    if (b.logit_tile_rows > 1) b.logit_tile = arena_.Take<float>("head.logits", b.logit_tile_rows * uint64_t{m.outputs});
    arena_.EndScratch();
  }
}

namespace {

// The weights that the kernels do not read where the file has them, written to the places that the walk took.
struct Loader {
  const Network& network;
  ThreadPool* pool;

  void Load(const LinearSpec& spec, const Linear& linear) const {
    if (spec.weight == kNoTensor) return;
    const ModelFile& file = *network.file;
    const uint32_t tensor = static_cast<uint32_t>(spec.weight);
    const PackedLayout* stored = StoredLayout(file.header().tensor(tensor));
    const PackedLayout* wanted = linear.kernel->layout;
    if (stored == wanted) return;
    // The walk took these places for us to write.
    void* packed = const_cast<void*>(linear.packed);
    WeightRows rows = linear.rows;
    rows.data = file.TensorData(tensor);
    rows.scales = file.TensorScales(tensor);
    if (stored == nullptr) return PackRows(*wanted, rows, linear.bias, packed, pool);
    if (wanted != nullptr) {
      return RepackRows(*stored, rows.data, *wanted, rows, linear.bias, packed, network.buffers.repack, pool);
    }
    const UnpackedRows out = {const_cast<void*>(linear.rows.data), const_cast<void*>(linear.rows.scales), nullptr};
    UnpackRows(*stored, rows, rows.data, 0, rows.n, out, pool);
  }
};

}  // namespace

Status LoadWeights(const Network& network, ThreadPool* pool, const Progress& progress) {
  if (network.options.copy_model) {
    std::memcpy(const_cast<uint8_t*>(network.bytes), network.file->bytes(), static_cast<size_t>(network.file->file_bytes()));
  }
  const Loader loader = {network, pool};
  const ModelSpec& m = network.model;
  const uint64_t total = uint64_t{network.block_count} + 1;
  for (uint32_t i = 0; i < network.block_count; ++i) {
    THIMBLE_RETURN_IF_ERROR(progress.Report(i, total));
    const BlockOp& op = network.blocks[i];
    if (op.kind == MixerKind::kAttention) {
      loader.Load(op.attention.spec.q, op.attention.q);
      loader.Load(op.attention.spec.k, op.attention.k);
      loader.Load(op.attention.spec.v, op.attention.v);
      loader.Load(op.attention.spec.o, op.attention.o);
    } else {
      loader.Load(op.ffn.spec.gate, op.ffn.gate);
      loader.Load(op.ffn.spec.up, op.ffn.up);
      loader.Load(op.ffn.spec.down, op.ffn.down);
    }
  }
  THIMBLE_RETURN_IF_ERROR(progress.Report(network.block_count, total));
  loader.Load(m.input.patch_projection, network.patch_projection);
  loader.Load(m.output.tied ? LinearSpec{m.input.table, m.output.head.bias} : m.output.head, network.head);
  return progress.Report(total, total);
}

}  // namespace thimble
