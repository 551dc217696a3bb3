#include "targets/convert/quantiser/matrix_quantiser.h"

#include <algorithm>

#include "ops/linear/turn.h"
#include "targets/convert/quantiser/in_parallel.h"

namespace thimble {
namespace {

constexpr size_t kFloatsAtOnce = size_t{1} << 22;
constexpr double kDamping = 0.01;

void TurnRows(std::vector<float>* rows, size_t k, uint32_t turn, size_t threads) {
  if (turn == 0) return;
  InParallel(rows->size() / k, threads, [&](size_t r) { Turn(rows->data() + r * k, k, turn); });
}

}  // namespace

const ErrorFeedback& MatrixQuantiser::Feedback(int32_t site, uint32_t turn, size_t k) {
  Factor& factor = factors_[turn != 0 ? 1 : 0];
  if (factor.site != site || factor.turn != turn) {
    factor.feedback.reset();
    std::vector<float> moments = moments_->Moments(site);
    if (turn != 0) {  // of turned inputs: both sides
      TurnRows(&moments, k, turn, QuantiserThreads(threads_));
      for (size_t i = 0; i < k; ++i)
        for (size_t j = i + 1; j < k; ++j) std::swap(moments[i * k + j], moments[j * k + i]);
      TurnRows(&moments, k, turn, QuantiserThreads(threads_));
    }
    factor.feedback = std::make_unique<ErrorFeedback>(std::move(moments), k, kDamping, QuantiserThreads(threads_));
    factor.site = site;
    factor.turn = turn;
  }
  return *factor.feedback;
}

double MatrixQuantiser::Quantise(const BlockGrid& grid, uint32_t turn, const float* weights, size_t rows, size_t k,
                                 const KnownInputs& inputs, const RowSink& sink) {
  ColumnCosts costs;
  std::vector<float> columns;
  if (inputs.site >= 0) {
    costs.feedback = &Feedback(inputs.site, turn, k);
  } else if (inputs.mean_squares != nullptr && turn == 0) {  // a turn makes columns alike
    float largest = 0;
    for (size_t j = 0; j < k; ++j) largest = std::max(largest, inputs.mean_squares[j]);
    columns.resize(k);
    for (size_t j = 0; j < k; ++j) columns[j] = largest > 0 ? std::max(inputs.mean_squares[j], 1e-8f * largest) : 1.0f;
    costs.columns = columns.data();
  }
  const size_t at_once = std::max<size_t>(1, kFloatsAtOnce / k);
  double loss = 0;
  std::vector<float> turned;
  for (size_t first = 0; first < rows; first += at_once) {
    const size_t count = std::min(at_once, rows - first);
    const float* from = weights + first * k;
    if (turn != 0) {
      turned.assign(from, from + count * k);
      TurnRows(&turned, k, turn, QuantiserThreads(threads_));
      from = turned.data();
    }
    loss += QuantiseMatrix(grid, from, count, k, costs, threads_, [&](size_t r, const GridRow& row) { sink(first + r, row); });
  }
  return loss;
}

double MatrixQuantiser::OutputSize(const float* weights, size_t rows, size_t k, int32_t site, size_t most_rows) const {
  const std::vector<float> moments = moments_->Moments(site);
  const size_t step = (rows + most_rows - 1) / most_rows, count = (rows + step - 1) / step;
  std::vector<double> sizes(count);
  InParallel(count, QuantiserThreads(threads_), [&](size_t r) {
    const float* w = weights + r * step * k;
    std::vector<float> sums(k);
    for (size_t i = 0; i < k; ++i)
      for (size_t j = 0; j < k; ++j) sums[j] += w[i] * moments[i * k + j];
    for (size_t j = 0; j < k; ++j) sizes[r] += static_cast<double>(sums[j]) * w[j];
  });
  double size = 0;
  for (const double row : sizes) size += row;
  return size * static_cast<double>(rows) / static_cast<double>(count);
}

double MatrixQuantiser::Loss(const BlockGrid& grid, uint32_t turn, const float* weights, size_t rows, size_t k, const KnownInputs& inputs,
                             size_t most_rows) {
  const size_t step = (rows + most_rows - 1) / most_rows, count = (rows + step - 1) / step;
  std::vector<float> sample(count * k);
  for (size_t r = 0; r < count; ++r) std::copy_n(weights + r * step * k, k, sample.begin() + static_cast<std::ptrdiff_t>(r * k));
  double loss = Quantise(grid, turn, sample.data(), count, k, inputs, [](size_t, const GridRow&) {});
  if (inputs.site >= 0) {
    const InputNoise& noise = moments_->Noise(inputs.site);
    TurnRows(&sample, k, turn, QuantiserThreads(threads_));
    for (size_t i = 0; i < sample.size(); ++i) {
      const size_t group = i % k / 32;
      loss += static_cast<double>(sample[i]) * sample[i] * (turn != 0 ? noise.turned[group] : noise.plain[group]);
    }
  }
  return loss * static_cast<double>(rows) / static_cast<double>(count);
}

}  // namespace thimble
