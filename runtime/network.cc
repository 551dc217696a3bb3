// The walk, in the order of the memory: layers' tables, cache, packed weights, activations, scratch. Behind it, the
// weights that are written to the places it took.
#include "runtime/network_walk.h"

#include <cstring>

#include "runtime/core/checked.h"
#include "runtime/packing.h"
#include "runtime/weights.h"

namespace thimble {
NetworkWalk::NetworkWalk(const ModelFile& file, const EngineOptions& options, Arena& arena, Arena& packed, Network* network)
    : file_(file), header_(file.header()), options_(options), arena_(arena), packed_(packed), network_(network) {
  *network = Network();
  network->file = &file;
  network->bytes = options.copy_model ? arena.Take<uint8_t>("model_copy", file.file_bytes()) : file.bytes();
  network->options = options;
  network->model = header_.part(options.part);
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
  return {t.type, t.rows, t.cols, t.block, SegmentBytes(t.data_segment), SegmentBytes(t.scale_segment), t.turn, t.fine_inputs};
}

LinearStack NetworkWalk::MakeStack(const LinearSpec& spec, uint32_t used) {
  LinearStack stack;
  if (spec.weight == kNoTensor) return stack;
  stack.count = spec.stack;
  Linear& linear = stack.first;
  linear.rows = Rows(static_cast<uint32_t>(spec.weight));
  linear.rows.n /= spec.stack;
  linear.kernel = options_.kernels->Kernel(linear.rows.type);
  linear.bias = Vector(spec.bias);
  if (linear.kernel->input.quantise != nullptr) quantised_row_ = Max(quantised_row_, InputRowBytes(KeyOf(linear), linear.rows.k));
  if (linear.rows.turn != 0) turned_input_ = Max(turned_input_, linear.rows.k);
  const PackedLayout* stored = StoredLayout(header_.tensor(static_cast<uint32_t>(spec.weight)));
  const PackedLayout* wanted = linear.kernel->layout;
  const uint64_t bytes = LinearBytes(wanted, linear.rows);
  network_->weight_bytes_per_step += bytes * used;
  if (stored == wanted) {
    // In place: from here on only the kernels touch these pages.
    if (!repeating_) network_->in_place_weight_bytes += bytes * spec.stack;
    uint64_t data = bytes, scales = 0;
    if (wanted != nullptr) {
      linear.packed = linear.rows.data;
      linear.rows.data = linear.rows.scales = nullptr;
    } else {
      (void)WeightDataBytes(linear.rows.type, linear.rows.n, linear.rows.k, linear.rows.block, &data);
      (void)WeightScaleBytes(linear.rows.type, linear.rows.n, linear.rows.k, linear.rows.block, &scales);
    }
    stack.weight_bytes = static_cast<size_t>(data);
    stack.scale_bytes = static_cast<size_t>(scales);
    if (!options_.copy_model && used == spec.stack) {
      stretch_.Add(wanted != nullptr ? linear.packed : linear.rows.data, data * used);
      stretch_.Add(linear.rows.scales, scales * used);
    }
    return stack;
  }
  if (repeating_) return stack;  // the first block's are taken in its place
  stack.weight_bytes = stack.scale_bytes = RoundUp(static_cast<size_t>(bytes), kArenaAlignment);
  const uint64_t all = uint64_t{stack.weight_bytes} * (spec.stack - 1) + bytes;
  if (&packed_ == &arena_) arena_.SetUse(LineUse::kWeights);
  network_->packed_weight_bytes += all;
  if (stored != nullptr) network_->repacked_weight_bytes += all;
  if (stored != nullptr && wanted != nullptr) {
    repack_bytes_ = Max(repack_bytes_, RepackScratchBytes(*stored, *wanted, linear.rows.k, linear.rows.block));
  }
  uint8_t* place =
      static_cast<uint8_t*>(packed_.TakeBytes(stored == nullptr ? "packed_weights" : "repacked_weights", all, 1, layer_));
  arena_.SetUse(LineUse::kKept);
  if (wanted != nullptr) layouts_.Update(wanted->key.packer, std::strlen(wanted->key.packer));
  const WeightLayout none = {}, &key = wanted != nullptr ? wanted->key : none;
  const uint64_t shape[] = {key.version, key.nr, key.kr, key.sr, key.planes, linear.rows.n, linear.rows.k, linear.rows.block, static_cast<uint64_t>(linear.rows.type), linear.rows.turn, all, spec.stack};
  layouts_.Update(shape, sizeof shape);
  if (wanted != nullptr) {
    linear.packed = place;
    linear.rows.data = linear.rows.scales = nullptr;
  } else {
    linear.rows.data = place;
    linear.rows.scales = place == nullptr || linear.rows.type == WeightType::kF32 ? nullptr : place + ScaleOffset(linear.rows);
  }
  return stack;
}

namespace {

// An op that is applied again; its lines of state are declared anew. (A table of rotations is the first block's.)
template <typename Op>
Op Again(const Op& first) {
  return first;
}
AttentionOp Again(const AttentionOp& first) {
  AttentionOp again = first;
  again.earlier_rope = first.rope();
  again.own_rope = {};
  return again;
}

}  // namespace

template <typename Visit>
void NetworkWalk::ForEachBlock(Visit visit) {
  const ModelSpec& m = part();
  for (uint32_t l = 0; l < m.layers; ++l) {
    layer_ = static_cast<int32_t>(l);
    const LayerRange range = header_.layer(m.first_layer + l);
    for (block_ = range.first_block; block_ < range.first_block + range.blocks; ++block_) {
      visit(block_ - m.first_block, header_.block(block_));
    }
  }
  layer_ = -1;
}

void NetworkWalk::Blocks() {
  network_->block_count = part().blocks;
  network_->blocks = arena_.Take<BlockOp>("blocks", network_->block_count);
  bool summing = false;
  ForEachBlock([&](uint32_t i, const BlockSpec& spec) {
    BlockOp block;
    block.form = spec.form;
    block.norm = Norm(spec.norm);
    normed_ = normed_ || spec.norm.kind != NormKind::kNone;
    block.post_norm = Norm(spec.post_norm);
    block.sum_norm = Norm(spec.sum_norm);
    block.begins_sum = spec.form == BlockForm::kBranches && !summing;
    summing = spec.form == BlockForm::kBranches && spec.sum_norm.kind == NormKind::kNone;
    sums_ = sums_ || spec.form == BlockForm::kBranches;
    block.scale = spec.scale;
    block.output_scale = spec.output_scale;
    block.carry = spec.carry;
    block.repeats = spec.repeats != -1;
    repeating_ = block.repeats;
    VisitAlternative(spec.mixer, [&](const auto& mixer) {
      using Op = decltype(OpOf(mixer));
      Op op;
      WalkMixer(*this, mixer, &op);
      if (const Op* first = block.repeats ? Earlier<Op>(static_cast<uint32_t>(spec.repeats)) : nullptr) op = Again(*first);
      block.mixer = op;
    });
    repeating_ = false;
    block.weights = stretch_.Take();
    if (network_->blocks != nullptr) network_->blocks[i] = block;
  });
}

void NetworkWalk::InputAndOutput() {
  const ModelSpec& m = part();
  network_->positions = Vector(m.input.positions);
  network_->cls = Vector(m.input.cls);
  network_->patch_projection = MakeLinear(m.input.patch_projection);
  network_->input_norm = Norm(m.input.norm);
  network_->stream_start = Vector(m.input.stream_start);
  network_->output_norm = Norm(m.output.norm);
  normed_ = normed_ || m.output.norm.kind != NormKind::kNone;
  network_->layer_projection = MakeLinear(m.input.layer_rows.projection);
  network_->layer_norm = Norm(m.input.layer_rows.norm);
  if (m.input.layer_rows.table != kNoTensor) {
    // Only looked up, as a table that is no head: a page of the file for each token.
    network_->layer_table.rows = Rows(static_cast<uint32_t>(m.input.layer_rows.table));
    network_->layer_table.kernel = AllKernelTables()[0]->Kernel(network_->layer_table.rows.type);
  }
  stretch_.Take();
  network_->head = MakeLinear(m.output.tied ? LinearSpec{m.input.table, m.output.head.bias} : m.output.head);
  network_->head_weights = stretch_.Take();
  if (m.output.tied) {
    network_->embedding = network_->head;  // stored once, also when packed
    return;
  }
  if (m.input.kind == InputKind::kTokens) {
    // Only looked up, row by row: the scalar kernel reads it in place.
    network_->embedding.rows = Rows(static_cast<uint32_t>(m.input.table));
    network_->embedding.kernel = AllKernelTables()[0]->Kernel(network_->embedding.rows.type);
  }
}

void NetworkWalk::Shared() {
  Blocks();
  InputAndOutput();
  const ModelSpec& m = part();
  const uint64_t t = options_.chunk_tokens;
  Buffers& b = network_->buffers;
  arena_.SetUse(LineUse::kPassing);
  b.x = arena_.Take<float>("residual", m.input.streams * t * m.width);
  if (normed_) b.h = arena_.Take<float>("normed", t * m.width);
  b.y = arena_.Take<float>("block_output", t * m.width);
  if (sums_) b.sum = arena_.Take<float>("summed_output", t * m.width);
  if (const LayerRowsSpec& rows = m.input.layer_rows; rows.width != 0) {
    const uint64_t all = uint64_t{rows.width} * rows.count;
    b.layer_rows = arena_.Take<float>("layer_rows", t * all);
    if (rows.table != kNoTensor) b.layer_row = arena_.Take<float>("layer_row", all);
  }
  if (quantised_row_ > 0) {
    b.quantised = static_cast<int8_t*>(arena_.TakeBytes("quantised_rows", t, quantised_row_, -1));
    b.quantisation = arena_.Take<RowQuantisation>("quantisation", QuantisedParameterCount(options_.chunk_tokens));
  }
  if (turned_input_ > 0) b.turned = arena_.Take<float>("turned_rows", options_.threads * TurnedRowFloats(turned_input_));
  arena_.SetUse(LineUse::kKept);
  Arena dry = Arena::Measuring();
  StateWalk count(dry, Shape(), nullptr);
  DeclareState(count, false);
  network_->state_lines = count.count();
  network_->fixed_state = count.has_blocks();
  network_->cache_stages = options_.min_cache == CacheType::kQ4 ? 3 : options_.min_cache == CacheType::kQ8 ? 2 : 1;
  network_->state = arena_.Take<StateLine>("state_lines", uint64_t{network_->state_lines} * network_->cache_stages);
  network_->packed_layout_id = layouts_.Digest();
}

void NetworkWalk::DeclareState(StateWalk& state, bool store) {
  ForEachBlock([&](uint32_t i, const BlockSpec& block) {
    VisitAlternative(block.mixer, [&](const auto& mixer) {
      using Op = decltype(OpOf(mixer));
      Op unused;
      Op* op = store && network_->blocks != nullptr ? std::get_if<Op>(&network_->blocks[i].mixer) : &unused;
      DeclareMixer(*this, state, mixer, op);
    });
  });
}

void NetworkWalk::LoweredLines() {
  for (unsigned stage = 1; network_->state != nullptr && stage < network_->cache_stages; ++stage) {
    StateLine* const lines = network_->state + size_t{stage} * network_->state_lines;
    Arena dry = Arena::Measuring();
    StateWalk lowered(dry, Shape(), lines);
    lowered.AtStage(stage);
    DeclareState(lowered, false);
    (void)lowered.Finish();
    for (uint32_t i = 0; i < network_->state_lines; ++i) {
      const StateLine &planned = network_->state[i], line = lines[i];
      // Rings and blocks have their places.
      if (!planned.grows()) lines[i] = planned;
      lines[i].rows.type = line.rows.type;
      lines[i].rows.row_bytes = line.rows.row_bytes;
      lines[i].rows.base = planned.rows.base;
    }
  }
}

uint8_t* NetworkWalk::SlotState(bool first) {
  StateWalk state(arena_, Shape(), first ? network_->state : nullptr);
  DeclareState(state, first);
  uint8_t* begin = state.Finish();
  if (arena_.counts_touched()) {
    Arena dry = Arena::Measuring();
    StateWalk touched(dry, Shape(), nullptr);
    touched.CountTouchedOf(state);
    DeclareState(touched, false);
  }
  if (first) {
    LoweredLines();
    ForEachAttention(header_, part(), [&](uint32_t i, const AttentionSpec& a) {
      network_->kv_bytes_per_token += LayerCacheBytesPerToken(a, LayerCacheTypes(header_, part(), options_, i));
    });
    network_->kv_bytes = state.bytes();
    network_->kv_ring_bytes = state.ring_bytes();
    network_->kv_recent_bytes = state.newest_bytes();
    network_->kv_bytes_per_context_token = state.growing_bytes_per_token();
  }
  return begin;
}

void NetworkWalk::PrefixState() {
  StateWalk state(arena_, Shape(), nullptr);
  DeclareState(state, false);
  state.FinishPrefix(network_->state);
  network_->prefix_kv_bytes = state.bytes();
  for (uint32_t i = network_->state_lines; network_->state != nullptr && i < network_->state_lines * network_->cache_stages; ++i) {
    network_->state[i].rows.shared = network_->state[i % network_->state_lines].rows.shared;
  }
}

void NetworkWalk::Scratch(size_t text_workspace_bytes) {
  const ModelSpec& m = part();
  const uint64_t t = options_.chunk_tokens;
  Buffers& b = network_->buffers;
  const auto scratch = [&](auto take) {
    arena_.BeginScratch();
    take();
    arena_.EndScratch();
  };
  scratch([&] { TakeScratch(arena_, t, needs_.attention, &b.mixers.attention); });
  scratch([&] { TakeScratch(arena_, t, needs_.ffn, &b.mixers.ffn); });
  scratch([&] { TakeScratch(arena_, t, m.width, needs_.experts, &b.mixers.experts); });
  scratch([&] { TakeScratch(arena_, t, needs_.short_conv, &b.mixers.short_conv); });
  scratch([&] { TakeScratch(arena_, t, needs_.state_space, &b.mixers.state_space); });
  scratch([&] { TakeScratch(arena_, t, needs_.streams, &b.mixers.streams); });

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
    // Touched by text that a session turns into tokens itself, as far as that goes: by tokens alone not.
    const bool full = arena_.tokens() >= options_.context_tokens;
    const auto touched = [&](uint64_t count) { return full ? count : 0; };
    b.text = arena_.TakeGrowingBytes("text", text_workspace_bytes, touched(text_workspace_bytes), 1, -1);
    b.text_bytes = text_workspace_bytes;
    if (m.decoder) {
      // What a template computes with: some 16 bytes for one of a conversation, tools above all.
      const uint64_t bytes = options_.max_text_bytes, ids = options_.context_tokens, values = uint64_t{16} * bytes + (64u << 10);
      b.chat_text = arena_.TakeGrowing<char>("chat.text", bytes, touched(bytes));
      b.chat_data = arena_.TakeGrowing<uint8_t>("chat.data", bytes, touched(bytes));
      b.chat_ids = arena_.TakeGrowing<int32_t>("chat.ids", ids, touched(ids));
      b.chat_values_bytes = static_cast<size_t>(values);
      b.chat_values = arena_.TakeGrowing<uint8_t>("chat.values", values, touched(values));
    }
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

Status LoadWeights(const Network& network, ThreadPool* pool, const Progress& progress) {
  if (network.packed_are_there) return progress.Report(1, 1);
  if (network.options.copy_model) {
    std::memcpy(const_cast<uint8_t*>(network.bytes), network.file->bytes(), static_cast<size_t>(network.file->file_bytes()));
  }
  const WeightLoader loader = {network, pool};
  const ModelSpec& m = network.model;
  const uint64_t total = uint64_t{network.block_count} + 1;
  for (uint32_t i = 0; i < network.block_count; ++i) {
    THIMBLE_RETURN_IF_ERROR(progress.Report(i, total));
    if (!network.blocks[i].repeats) VisitAlternative(network.blocks[i].mixer, [&](const auto& op) { LoadMixer(loader, op); });
  }
  THIMBLE_RETURN_IF_ERROR(progress.Report(network.block_count, total));
  loader.Load(m.input.patch_projection, network.patch_projection);
  loader.Load(m.input.layer_rows.projection, network.layer_projection);
  loader.Load(m.output.tied ? LinearSpec{m.input.table, m.output.head.bias} : m.output.head, network.head);
  return progress.Report(total, total);
}

}  // namespace thimble
