// How far one model's predictions lie from another's: a score per position, and what many of them come to. Numbers
// alone; knows no model and no file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace thimble::cli {

// Both models at one position of the text; `target` is the id that follows there.
struct PositionScore {
  double kl = 0;                              // KL(reference || other) in nats, over all outputs; exactly 0 for equal logits
  double nll_reference = 0, nll_other = 0;    // -ln p(target)
  bool same_best = false;                     // the likeliest id is the same; of equal ones the lowest counts
  double shared_best = 0;                     // share of the reference's five likeliest ids that are among the other's
};

// Finite logits[outputs] of both, outputs >= 1.
PositionScore ScorePosition(const float* reference, const float* other, size_t outputs, int32_t target);

struct QualityFigures {
  size_t count = 0;
  double kl_mean = 0, kl_mean_se = 0;
  // Between two scores lies the line through them, as numpy's percentile has it.
  double kl_median = 0, kl_p99 = 0, kl_max = 0;
  double top1 = 0, top5 = 0;                  // means of same_best and shared_best, 0 to 1
  double perplexity_reference = 0, perplexity = 0;
  // exp of the mean difference of ln p; its standard error carried through the exponential (delta method), once as if
  // positions did not depend on each other, as llama.cpp has it, and once over windows, whose positions do.
  double ratio = 0, ratio_se = 0;
  double ratio_se_windows = 0;                // not a number with fewer than two windows
};

// `scores` lie window behind window, `per_window` of each; all of them.
QualityFigures Summarise(std::span<const PositionScore> scores, size_t per_window);

// The same of positions [begin, end) of every window.
std::vector<PositionScore> Slice(std::span<const PositionScore> scores, size_t per_window, size_t begin, size_t end);

}  // namespace thimble::cli
