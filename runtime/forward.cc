// The step, top to bottom: embedding, layers, head.
#include "runtime/forward.h"

#include <sys/mman.h>

#include <cstring>

#include "ops/rows/activation.h"
#include "ops/rows/elementwise.h"
#include "ops/tables/kernel_table.h"
#include "ops/rows/norm.h"
#include "ops/pool/parallel_rows.h"
#include "runtime/core/page.h"
#include "runtime/weights.h"

namespace thimble {

namespace {

// What decoding a number, a norm, and a block's sum with the norms beside it are of work, in floats of ForRows().
constexpr size_t kDecodeWork = 8, kNormWork = 2, kJoinWork = 2;

}  // namespace

void NormPiece(const Step& step, const NormOp& norm, const float* x, size_t count, size_t width, float* out) {
  switch (norm.kind) {
    case NormKind::kNone: return;
    case NormKind::kLayerNorm: return LayerNorm(x, width, count, width, norm.weight, norm.bias, norm.eps, out, width);
    case NormKind::kRmsNorm:
      return RmsNorm(x, width, count, width, norm.weight, norm.weight_offset, norm.eps, out, width, *step.network->options.kernels->rows);
  }
}

const float* NormRows(const Step& step, const NormOp& norm, const float* x, size_t rows, size_t width, float* out) {
  if (norm.kind == NormKind::kNone) return x;
  ForRows(step.pool, rows, kNormWork * width, [&](size_t first, size_t count) { NormPiece(step, norm, x + first * width, count, width, out + first * width); });
  return out;
}

void AskFor(const void* weights, size_t bytes) {
  const uintptr_t page = PageBytes(), first = reinterpret_cast<uintptr_t>(weights) / page * page;
  if (bytes != 0) (void)madvise(reinterpret_cast<void*>(first), reinterpret_cast<uintptr_t>(weights) + bytes - first, MADV_WILLNEED);
}

void RunJobs(const Step& step, const LinearJob* jobs, size_t count, const float* x, size_t rows, size_t width) {
  const Buffers& b = step.network->buffers;
  LinearJob alike[kMaxLinearJobs];
  for (size_t i = 0; i < count; ++i) {
    const InputKey key = KeyOf(*jobs[i].op);
    size_t n = 0;
    bool done = false;
    for (size_t j = 0; j < count; ++j) {
      if (KeyOf(*jobs[j].op) != key) continue;
      done = done || j < i;
      alike[n++] = jobs[j];
    }
    if (done) continue;
    for (size_t j = 0; step.profile->records() && j < n; ++j) step.profile->Read(LinearBytes(alike[j].op->kernel->layout, alike[j].op->rows));
    const RowBatch batch = key.quantise == nullptr ? FloatRows(x, width, rows, width)
                                                   : QuantiseRows(key, key.turn != 0 ? step.network->options.kernels->turn : nullptr, x, width, rows, width, b.turned,
                                                                  b.quantised, b.quantisation, step.pool);
    RunLinears(alike, n, batch, step.pool);
  }
}

namespace {

// b.layer_rows of the span's tokens, whose rows x enter the first layer.
void MakeLayerRows(const Step& step, const PassSpan& span, const int32_t* ids, const float* x) {
  const Network& n = *step.network;
  const LayerRowsSpec& spec = n.model.input.layer_rows;
  const size_t all = size_t{spec.width} * spec.count;
  float* rows = n.buffers.layer_rows + span.first_row * all;
  RunJob(step, n.layer_projection, x, span.count, n.model.width, rows, all);
  NormRows(step, n.layer_norm, rows, span.count * spec.count, spec.width, rows);
  for (size_t i = 0; i < span.count; ++i) {
    float* row = rows + i * all;
    if (n.layer_table.kernel != nullptr) {
      const uint32_t id = static_cast<uint32_t>(ids[i]);
      DecodeLinearRow(n.layer_table, id < n.layer_table.rows.n ? id : 0, spec.table_scale, n.buffers.layer_row);
      AddInPlace(row, n.buffers.layer_row, all);
    }
    if (spec.scale != 1.0f) ScaleInPlace(row, spec.scale, all);
  }
}

}  // namespace

void EmbedTokens(const Step& step, const PassSpan& span, const int32_t* ids) {
  const Network& n = *step.network;
  step.profile->Leave();
  const ScopedTimer timer(step.profile, PassOperation::kEmbed);
  const size_t D = n.model.width;
  ForRows(step.pool, span.count, kDecodeWork * D, [&](size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) {
      float* x = n.buffers.x + (span.first_row + i) * D;
      DecodeLinearRow(n.embedding, static_cast<uint32_t>(ids[i]), n.model.input.scale, x);
      if (n.positions != nullptr) AddInPlace(x, n.positions + (span.position + i) * D, D);
    }
  });
  float* rows = n.buffers.x + span.first_row * D;
  NormRows(step, n.input_norm, rows, span.count, D, rows);
  for (size_t s = 1; s < n.model.input.streams; ++s) {
    float* stream = rows + s * n.stream_floats();
    if (n.stream_start == nullptr) std::memcpy(stream, rows, span.count * D * sizeof(float));
    for (size_t i = 0; n.stream_start != nullptr && i < span.count; ++i) std::memcpy(stream + i * D, n.stream_start + (s - 1) * D, D * sizeof(float));
  }
  if (n.buffers.layer_rows != nullptr) MakeLayerRows(step, span, ids, rows);
}

void EmbedImage(const Step& step, const float* pixels) {
  const Network& n = *step.network;
  step.profile->Leave();
  const ScopedTimer timer(step.profile, PassOperation::kEmbed);
  const InputSpec& in = n.model.input;
  const size_t D = n.model.width, patch = in.patch, patch_values = n.patch_projection.rows.k;
  const size_t across = CeilDiv(in.image_width, patch);
  // Patch (row, column) is [channels, patch, patch]; what lies outside the image is zero.
  for (size_t p = 0; p + 1 < step.t; ++p) {
    float* out = n.buffers.patches + p * patch_values;
    std::memset(out, 0, patch_values * sizeof(float));
    const size_t top = p / across * patch, left = p % across * patch;
    for (size_t c = 0; c < in.image_channels; ++c) {
      for (size_t i = 0; i < patch && top + i < in.image_height; ++i) {
        for (size_t j = 0; j < patch && left + j < in.image_width; ++j) {
          out[(c * patch + i) * patch + j] = pixels[(c * in.image_height + top + i) * in.image_width + left + j];
        }
      }
    }
  }
  std::memcpy(n.buffers.x, n.cls, D * sizeof(float));
  RunJob(step, n.patch_projection, n.buffers.patches, step.t - 1, patch_values, n.buffers.x + D, D);
  if (n.positions != nullptr) AddInPlace(n.buffers.x, n.positions, step.t * D);
  NormRows(step, n.input_norm, n.buffers.x, step.t, D, n.buffers.x);
}

namespace {

// What the mixer gave (b.y) joins the residual stream, as the block's form says; h is what it read.
void JoinRows(const Step& step, const BlockOp& block, const float* h, size_t first, size_t count) {
  const Buffers& b = step.network->buffers;
  const size_t D = step.network->model.width;
  const RowKernels& rows = *step.network->options.kernels->rows;
  float *x = b.x + first * D, *y = b.y + first * D;
  const bool norm_sum = block.form == BlockForm::kPostNorm;
  if (!norm_sum) NormPiece(step, block.post_norm, y, count, D, y);
  if (block.scale != 1.0f) ScaleInPlace(y, block.scale, count * D);
  if (block.form == BlockForm::kBranches) {
    float* sum = b.sum + first * D;
    if (block.begins_sum) {
      std::memcpy(sum, y, count * D * sizeof(float));
    } else {
      rows.add(sum, y, count * D);
    }
    if (block.sum_norm.kind == NormKind::kNone) return;
    NormPiece(step, block.sum_norm, sum, count, D, sum);
    y = sum;
  }
  if (block.carry != 0) AddScaledInPlace(x, block.carry, h + first * D, count * D);
  if (block.form == BlockForm::kReplace) {
    std::memcpy(x, y, count * D * sizeof(float));
  } else {
    rows.add(x, y, count * D);
  }
  if (norm_sum) NormPiece(step, block.post_norm, x, count, D, x);
  if (block.output_scale != 1.0f) ScaleInPlace(x, block.output_scale, count * D);
}

bool NothingWanted(const Step& step) {
  for (const PassSpan* span = step.spans; span != nullptr; span = span->next) {
    if (!span->cancel->load(std::memory_order_relaxed)) return false;
  }
  return true;
}

// While a block is computed the next one's weights come from the file; behind the last one those of the head, and of the first one
// for the next pass.
void ReadAhead(const Network& n, uint32_t block) {
  const auto ask = [](const FileStretch& weights) { AskFor(weights.begin, static_cast<size_t>(weights.bytes)); };
  if (block + 1 < n.block_count) return ask(n.blocks[block + 1].weights);
  ask(n.head_weights);
  ask(n.blocks[0].weights);
}

}  // namespace

void RunLayers(const Step& step) {
  const Network& n = *step.network;
  for (uint32_t i = 0; i < n.block_count; ++i) {
    const AttentionOp* attention = std::get_if<AttentionOp>(&n.blocks[i].mixer);
    if (attention == nullptr || attention->own_rope.shape.width == 0) continue;
    for (const PassSpan* span = step.spans; span != nullptr; span = span->next) {
      FillRopeTable(attention->own_rope, span->position, span->count, span->first_row, step.pool);
    }
  }
  const float* h = n.buffers.x;
  for (uint32_t i = 0; i < n.block_count; ++i) {
    if (NothingWanted(step)) return;
    const BlockOp& block = n.blocks[i];
    if (n.reads_ahead) ReadAhead(n, i);
    step.profile->Enter(i);
    if (block.form != BlockForm::kParallel) {  // which reads what the block before has read
      const ScopedTimer timer(step.profile, PassOperation::kNorm);
      h = NormRows(step, block.norm, n.buffers.x, step.t, n.model.width, n.buffers.h);
    }
    VisitAlternative(block.mixer, [&](const auto& op) { RunMixer(step, op, h); });
    if (block.form == BlockForm::kStreams) continue;  // which has written all of them
    const ScopedTimer timer(step.profile, PassOperation::kJoin);
    ForRows(step.pool, step.t, kJoinWork * n.model.width, [&](size_t first, size_t count) { JoinRows(step, block, h, first, count); });
  }
}

namespace {

// Logits of `count` rows of x [count, D] -> out [count, outputs].
void RunHead(const Step& step, const float* x, size_t count, float* out) {
  const Network& n = *step.network;
  const size_t D = n.model.width, V = n.model.outputs;
  const float* h = NormRows(step, n.output_norm, x, count, D, n.buffers.h);
  if (n.head.kernel == nullptr) {
    std::memcpy(out, h, count * D * sizeof(float));
  } else {
    RunJob(step, n.head, h, count, D, out, V);
  }
  if (n.model.output.scale != 1.0f) ScaleInPlace(out, n.model.output.scale, count * V);
  if (n.model.output.softcap != 0) Softcap(n.model.output.softcap, out, count * V);
}

}  // namespace

void ComputeLogits(const Step& step) {
  const Network& n = *step.network;
  const Buffers& b = n.buffers;
  step.profile->Leave();
  const ScopedTimer timer(step.profile, PassOperation::kHead);
  const size_t D = n.model.width, V = n.model.outputs;
  for (const PassSpan *span = step.spans, *end; span != nullptr; span = end) {
    end = span->next;
    if (span->wanted == 0) continue;
    if (span->wanted > 1 || b.logit_tile == nullptr) {
      RunHead(step, b.x + span->first_wanted * D, span->wanted, span->logits);
      continue;
    }
    // Rows of several sequences: the head is read once for as many as the tile holds.
    size_t count = 0;
    for (end = span; end != nullptr && end->wanted <= 1 && count < b.logit_tile_rows; end = end->next) {
      if (end->wanted == 1) std::memcpy(b.y + count++ * D, b.x + end->first_wanted * D, D * sizeof(float));
    }
    RunHead(step, b.y, count, count == 1 ? span->logits : b.logit_tile);
    if (count == 1) continue;
    count = 0;
    for (const PassSpan* to = span; to != end; to = to->next) {
      if (to->wanted == 1) std::memcpy(to->logits, b.logit_tile + count++ * V, V * sizeof(float));
    }
  }
}

}  // namespace thimble
