// Second moments of the inputs of all linear layers of a model, by running it over a text with the engine: block by block, each as a
// model of its own whose token table holds the rows that enter it, so that memory stays that of one block. Knows no command.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "targets/convert/quantiser/input_moments.h"

namespace thimble::cli {

// What is at hand. A block takes about as long as it has weights.
struct CalibrationStep {
  size_t block, blocks;
  uint64_t done_weights, total_weights;
};
// False stops.
using CalibrationProgress = std::function<bool(const CalibrationStep& step)>;

// `model`: a .thimble file, all of whose weights are f32 in portable rows. The ids are read in windows of `window_tokens`, or as many as the
// model has positions. A row counts in
// inverse proportion to the mean square of the residual row that its block leaves, as its error does. False where the model is of a
// kind whose blocks cannot run alone (images; layers that read other layers' caches): then nothing is known. Throws Error.
inline constexpr uint32_t kCalibrationWindow = 512;
bool Calibrate(const std::filesystem::path& model, const std::vector<int32_t>& ids, uint32_t window_tokens, uint32_t threads, const CalibrationProgress& progress,
               InputMoments* moments);

}  // namespace thimble::cli
