#include "targets/cli/quality_compare.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/output.h"

namespace thimble::cli {

ModelRows::ModelRows(const Model& model, const ContextOptions& context, size_t window, bool step)
    : session_(model, context, static_cast<int64_t>(window), kRowsAtOnce), outputs_(model.info().outputs), step_(step) {}

void ModelRows::Begin() { Check(Call(thimble_rewind, session_.handle(), size_t{0})); }

bool ModelRows::Skip(const int32_t* ids, size_t count) {
  const size_t at_once = step_ ? 1 : kRowsAtOnce;
  for (size_t at = 0; at < count; at += at_once) {
    if (Interrupted()) return false;
    Check(Call(thimble_prefill, session_.handle(), ids + at, std::min(at_once, count - at)));
  }
  return true;
}

bool ModelRows::Read(const int32_t* ids, size_t count, float* rows) {
  if (!step_) {
    to_ = rows;
    const thimble_error status = Call(thimble_prefill_each, session_.handle(), ids, count, Take, this);
    if (status.code == kCancelled || Interrupted()) return false;
    Check(status);
    return true;
  }
  for (size_t i = 0; i < count; ++i) {
    if (Interrupted()) return false;
    Check(Append(session_.handle(), ids[i]));
    std::memcpy(rows + i * outputs_, thimble_logits(session_.handle(), nullptr), outputs_ * sizeof(float));
  }
  return true;
}

int32_t ModelRows::Take(void* user, size_t, const float* logits) {
  ModelRows& rows = *static_cast<ModelRows*>(user);
  std::memcpy(rows.to_, logits, rows.outputs_ * sizeof(float));
  rows.to_ += rows.outputs_;
  return !Interrupted();
}

bool SavedRows::Read(const int32_t*, size_t count, float* rows) {
  for (size_t i = 0; i < count; ++i) reader_->Read(rows + i * reader_->prefix().outputs);
  return true;
}

bool Compare(RowSource& reference, RowSource& other, const Windows& cut, size_t outputs, int save,
             const ComparisonProgress& progress, Comparison* result) {
  std::vector<float> reference_rows(kRowsAtOnce * outputs), other_rows(kRowsAtOnce * outputs);
  double kl = 0;
  for (size_t w = 0; w < cut.windows; ++w) {
    const int32_t* ids = cut.ids.data() + w * cut.window;
    reference.Begin();
    other.Begin();
    bool going = reference.Skip(ids, cut.first) && other.Skip(ids, cut.first);
    for (size_t at = cut.first; going && at < cut.window; at += kRowsAtOnce) {
      const size_t count = std::min<size_t>(kRowsAtOnce, cut.window - at);
      going = reference.Read(ids + at, count, reference_rows.data()) && other.Read(ids + at, count, other_rows.data());
      for (size_t i = 0; going && i < count; ++i) {
        const float* row = reference_rows.data() + i * outputs;
        const PositionScore score = ScorePosition(row, other_rows.data() + i * outputs, outputs, ids[at + i + 1]);
        if (!std::isfinite(score.kl + score.nll_reference + score.nll_other))
          throw Error(THIMBLE_NOT_FINITE,
                      Format("window %zu, position %zu: the logits are not finite; `thimble verify` looks at the weights", w, at + i));
        if (save >= 0 && !LogitsWriter::Append(save, row, outputs)) return false;
        kl += score.kl;
        result->scores.push_back(score);
      }
      going = going && progress(w * cut.window + at + count, kl / static_cast<double>(result->scores.size()));
    }
    if (going) continue;
    result->cancelled = true;
    result->scores.resize(w * cut.judged());
    errno = ECANCELED;
    return false;
  }
  return true;
}

}  // namespace thimble::cli
