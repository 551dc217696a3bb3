#include "targets/convert/quantiser/error_feedback.h"

#include <algorithm>
#include <cmath>

#include "targets/convert/quantiser/in_parallel.h"

namespace thimble {
namespace {

constexpr size_t kPanel = 64;

// to[0, n) -= sum over j < kPanel of a[j] * rows[j * stride + 0..n), four rows at a time: a load and a store for four products.
void SubtractRows(const float* a, const float* rows, size_t stride, size_t panel, size_t n, float* to) {
  size_t j = 0;
  for (; j + 4 <= panel; j += 4) {
    const float a0 = a[j], a1 = a[j + 1], a2 = a[j + 2], a3 = a[j + 3];
    const float *r0 = rows + j * stride, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
    for (size_t i = 0; i < n; ++i) to[i] -= (a0 * r0[i] + a1 * r1[i]) + (a2 * r2[i] + a3 * r3[i]);
  }
  for (; j < panel; ++j)
    for (size_t i = 0; i < n; ++i) to[i] -= a[j] * rows[j * stride + i];
}

}  // namespace

// Ordinary factorisation from the last column to the first, by panels, of the correlations: their diagonal is 1 + damping
// whatever the channels' sizes, which single precision is enough for.
ErrorFeedback::ErrorFeedback(std::vector<float> moments, size_t k, double damping, size_t threads) : k_(k), r_(std::move(moments)), costs_(k) {
  std::vector<double> size(k);
  double largest = 0;
  for (size_t j = 0; j < k; ++j) largest = std::max(largest, static_cast<double>(r_[j * k + j]));
  if (!(largest > 0)) largest = 1;
  for (size_t j = 0; j < k; ++j) size[j] = std::sqrt(std::max(static_cast<double>(r_[j * k + j]), 1e-8 * largest));
  for (size_t i = 0; i < k; ++i) {
    float* row = r_.data() + i * k;
    for (size_t j = i + 1; j < k; ++j) row[j] = static_cast<float>(row[j] / (size[i] * size[j]));
    row[i] = static_cast<float>(1 + damping);
  }
  std::vector<double> pivots(k);
  std::vector<float> panel(kPanel * k);  // transposed: R_ij at [j - first][i]
  std::vector<float> unscaled(kPanel * k);  // (R D)_ij at [i][j - first]
  for (size_t end = k; end > 0;) {
    const size_t first = end > kPanel ? end - kPanel : 0, width = end - first;
    // The panel's own triangle, in double precision.
    std::vector<double> own(width * width);
    for (size_t i = 0; i < width; ++i)
      for (size_t j = i; j < width; ++j) own[i * width + j] = r_[(first + i) * k + first + j];
    for (size_t j = width; j-- > 0;) {
      const double pivot = std::max(own[j * width + j], 0.5 * damping + 1e-6);
      pivots[first + j] = pivot;
      for (size_t i = 0; i < j; ++i) {
        const double ratio = own[i * width + j] / pivot;
        for (size_t l = i; l < j; ++l) own[i * width + l] -= ratio * own[l * width + j];
      }
      for (size_t i = 0; i < j; ++i) own[i * width + j] /= pivot;
    }
    for (size_t i = 0; i < width; ++i)
      for (size_t j = i + 1; j < width; ++j) r_[(first + i) * k + first + j] = static_cast<float>(own[i * width + j]);
    // What lies above it.
    constexpr size_t kRows = 32;
    const size_t pieces = (first + kRows - 1) / kRows;
    InParallel(pieces, threads, [&](size_t piece) {
      for (size_t i = piece * kRows; i < std::min(first, (piece + 1) * kRows); ++i) {
        float* row = r_.data() + i * k + first;
        double x[kPanel];
        for (size_t j = width; j-- > 0;) {
          double sum = row[j];
          for (size_t l = j + 1; l < width; ++l) sum -= x[l] * own[j * width + l];
          x[j] = sum;
        }
        for (size_t j = 0; j < width; ++j) {
          unscaled[i * kPanel + j] = static_cast<float>(x[j]);
          row[j] = static_cast<float>(x[j] / pivots[first + j]);
          panel[j * k + i] = row[j];
        }
      }
    });
    InParallel(pieces, threads, [&](size_t piece) {
      for (size_t i = piece * kRows; i < std::min(first, (piece + 1) * kRows); ++i)
        SubtractRows(unscaled.data() + i * kPanel, panel.data() + i, k, width, first - i, r_.data() + i * k + i);
    });
    end = first;
  }
  for (size_t i = 0; i < k; ++i) {
    float* row = r_.data() + i * k;
    for (size_t j = i + 1; j < k; ++j) row[j] = static_cast<float>(row[j] * (size[i] / size[j]));
    costs_[i] = static_cast<float>(pivots[i] * size[i] * size[i]);
  }
}

}  // namespace thimble
