// down(norm(act(gate h) * up h)), or down(norm(act(up h))).
#include <cstring>

#include "ops/pool/parallel_rows.h"
#include "ops/rows/activation.h"
#include "ops/rows/norm.h"
#include "ops/tables/kernel_table.h"
#include "runtime/forward.h"

namespace thimble {

void RunFfnRows(const Step& step, const FfnParts& f, const float* h, size_t rows, const FfnBuffers& b, float* y) {
  const Network& n = *step.network;
  const size_t D = n.model.width, F = f.width;
  const bool gated = f.gate.kernel != nullptr;
  {
    const ScopedTimer timer(step.profile, PassOperation::kProjections);
    const LinearJob jobs[] = {{&f.up, b.up, F}, {&f.gate, b.gate, F}};
    RunJobs(step, jobs, gated ? 2 : 1, h, rows, D);
  }
  {
    const ScopedTimer timer(step.profile, PassOperation::kActivation);
    ForRows(step.pool, rows, F, [&](size_t first, size_t count) {
      for (size_t i = first; f.sparse && i < first + count; ++i) KeepLargest(f.deviations, F, b.gate + i * F);
      float* up = b.up + first * F;
      const float* gate = gated ? b.gate + first * F : up;
      if (f.shape != nullptr) {
        ActivateByShape(f.activation, f.shape, gate, gated ? up : nullptr, up, count * F);
      } else {
        n.options.kernels->activate(f.activation, gate, gated ? up : nullptr, up, count * F);
      }
    });
    NormRows(step, f.norm, b.up, rows, F, b.up);
  }
  const ScopedTimer timer(step.profile, PassOperation::kOutput);
  RunJob(step, f.down, b.up, rows, F, y, D);
}

namespace {

// down(norm(act(gate h) * r)), r the token's row for this place.
void RunLayerRow(const Step& step, const FfnOp& op, const float* h) {
  const Network& n = *step.network;
  const FfnBuffers& b = n.buffers.mixers.ffn;
  const size_t D = n.model.width, F = op.spec.width, all = F * n.model.input.layer_rows.count;
  {
    const ScopedTimer timer(step.profile, PassOperation::kProjections);
    RunJob(step, op.gate, h, step.t, D, b.gate, F);
  }
  {
    const ScopedTimer timer(step.profile, PassOperation::kActivation);
    ForRows(step.pool, step.t, F, [&](size_t first, size_t count) {
      for (size_t i = first; i < first + count; ++i) {
        const float* row = n.buffers.layer_rows + i * all + size_t{op.spec.row} * F;
        if (op.shape != nullptr) {
          std::memcpy(b.up + i * F, row, F * sizeof(float));
          ActivateByShape(op.spec.activation, op.shape, b.gate + i * F, b.up + i * F, b.up + i * F, F);
        } else {
          n.options.kernels->activate(op.spec.activation, b.gate + i * F, row, b.up + i * F, F);
        }
      }
    });
    NormRows(step, op.norm, b.up, step.t, F, b.up);
  }
  const ScopedTimer timer(step.profile, PassOperation::kOutput);
  RunJob(step, op.down, b.up, step.t, F, n.buffers.y, D);
}

}  // namespace

void RunMixer(const Step& step, const FfnOp& op, const float* h) {
  const Buffers& b = step.network->buffers;
  if (op.spec.kind == FfnKind::kLayerRow) return RunLayerRow(step, op, h);
  RunFfnRows(step, {op.spec.activation, op.spec.width, op.gate, op.up, op.down, op.shape, op.norm, op.spec.sparse, op.spec.deviations}, h, step.t, b.mixers.ffn, b.y);
}

}  // namespace thimble
