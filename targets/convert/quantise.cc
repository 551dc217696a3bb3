#include "targets/convert/quantise.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include "ops/linear/embed.h"
#include "runtime/core/float16.h"
#include "targets/convert/import_error.h"

namespace thimble {
namespace {

// Round to nearest even for |x| < 2^22: adding 1.5 * 2^23 leaves no bits behind the point. Vectorises
// everywhere.
constexpr float kRoundMagic = 12582912.0f;
inline float Round(float x) { return (x + kRoundMagic) - kRoundMagic; }

inline float Clamp(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

float LargestMagnitude(const float* x, size_t n) {
  float largest = 0;
  for (size_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest;
}

// Squared error of x as integers in [low, high] times `scale`. Eight partial sums, always in the same order.
float SquaredError(const float* x, size_t n, float scale, float low, float high) {
  const float inverse = 1.0f / scale;
  float sums[8] = {};
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (size_t j = 0; j < 8; ++j) {
      const float e = x[i + j] - Round(Clamp(x[i + j] * inverse, low, high)) * scale;
      sums[j] += e * e;
    }
  }
  for (; i < n; ++i) {
    const float e = x[i] - Round(Clamp(x[i] * inverse, low, high)) * scale;
    sums[0] += e * e;
  }
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

// Rows and blocks are searched as x = w / max|w|, so that neither tiny nor huge weights leave the range of
// float.
void Normalise(const float* weights, size_t n, float largest, float* x) {
  for (size_t i = 0; i < n; ++i) x[i] = weights[i] / largest;
}

// kQ8: one scale per row. Clipping the few largest weights pays where they are far out.
void QuantiseRowQ8(bool search, const float* weights, size_t n, float* x, int8_t* data, float* scale_out) {
  const float largest = LargestMagnitude(weights, n);
  float scale = largest / 127.0f;
  if (!(scale >= 0x1p-126f)) {  // zeros, or numbers too small for a scale
    std::memset(data, 0, n);
    *scale_out = 1.0f;
    return;
  }
  Normalise(weights, n, largest, x);
  float best = 1.0f / 127.0f;
  if (search) {
    float least = SquaredError(x, n, best, -127, 127);
    for (const float clip : {0.98f, 0.96f, 0.94f, 0.92f, 0.90f, 0.87f, 0.84f, 0.80f}) {
      const float candidate = clip / 127.0f;
      const float error = SquaredError(x, n, candidate, -127, 127);
      if (error < least) {
        least = error;
        best = candidate;
        scale = largest * candidate;
      }
    }
  }
  const float inverse = 1.0f / best;
  for (size_t i = 0; i < n; ++i) data[i] = static_cast<int8_t>(Round(Clamp(x[i] * inverse, -127, 127)));
  *scale_out = scale;
}

// Tries one scale of a block: rounded as it will be stored, against the least error so far.
struct BlockSearch {
  const float* x;
  size_t n;
  float largest;
  float least = INFINITY;
  uint16_t scale = 0;  // bfloat16; 0 = none found
  float relative = 0;  // scale / largest

  void Try(float candidate) { TryStored(FloatToBfloat16(candidate * largest)); }

  void TryStored(uint16_t rounded) {
    const float r = Bfloat16ToFloat(rounded) / largest;
    if (rounded == scale || !std::isfinite(r) || !(std::fabs(r) > 0x1p-20f)) return;
    const float error = SquaredError(x, n, r, -8, 7);
    if (!(error < least)) return;
    least = error;
    scale = rounded;
    relative = r;
  }
};

// kQ4: nibbles stand for -8..7, so the sign of the scale decides which side reaches further. The largest
// weight is placed at every point from 6 to 10.5 (beyond the end: clipped), then the best of these is refined
// by least squares, and by what lies beside it. Weighting the squares (by the weights' size, or by what the
// norm in front says about the inputs' sizes) made trained models worse, not better.
void QuantiseBlockQ4(bool search, const float* weights, size_t n, float* x, int8_t* q, uint16_t* scale_out) {
  const float largest = LargestMagnitude(weights, n);
  std::memset(q, 0, n);
  *scale_out = FloatToBfloat16(1.0f);
  if (!(largest >= 0x1p-100f)) return;
  Normalise(weights, n, largest, x);
  BlockSearch best{x, n, largest};
  if (!search) {
    best.Try(1.0f / 7);
  } else {
    for (float reach = 6.0f; reach <= 10.5f; reach += 0.25f) {
      best.Try(1.0f / reach);
      best.Try(-1.0f / reach);
    }
    // With the integers fixed, the scale of least error is x.q / q.q; then the integers follow the new scale.
    for (int round = 0; round < 2; ++round) {
      const float inverse = 1.0f / best.relative;
      float xq = 0, qq = 0;
      for (size_t i = 0; i < n; ++i) {
        const float v = Round(Clamp(x[i] * inverse, -8, 7));
        xq += x[i] * v;
        qq += v * v;
      }
      if (!(qq > 0)) break;
      const uint16_t before = best.scale;
      best.Try(xq / qq);
      if (best.scale == before) break;
    }
    // The neighbours of the best scale as it is stored: a step of bfloat16 is 0.4 to 0.8 %.
    for (int step = 1; step <= 6; ++step) {
      const uint16_t center = best.scale;
      best.TryStored(static_cast<uint16_t>(center + step));
      best.TryStored(static_cast<uint16_t>(center - step));
    }
  }
  const float inverse = 1.0f / best.relative;
  for (size_t i = 0; i < n; ++i) q[i] = static_cast<int8_t>(Round(Clamp(x[i] * inverse, -8, 7)));
  *scale_out = best.scale;
}

void QuantiseRowQ4(const WeightFormat& format, const float* weights, size_t n, uint8_t* data,
                   uint8_t* scales) {
  float x[128];
  int8_t q[128];
  for (size_t begin = 0, b = 0; begin < n; begin += format.block, ++b) {
    const size_t size = std::min<size_t>(format.block, n - begin);
    uint16_t scale;
    QuantiseBlockQ4(format.search, weights + begin, size, x, q, &scale);
    std::memset(q + size, 0, format.block - size);
    std::memcpy(scales + b * sizeof scale, &scale, sizeof scale);
    uint8_t* out = data + b * (format.block / 2);
    for (size_t i = 0; i < format.block; i += 2) {
      out[i / 2] = static_cast<uint8_t>((q[i] + 8) | ((q[i + 1] + 8) << 4));
    }
  }
}

// kQ8_0: 8 bits and a half-precision scale for 32 weights.
void QuantiseRowQ8_0(const float* weights, size_t n, uint8_t* data, uint8_t* scales) {
  std::memset(data, 0, (n + kBlockColumns - 1) / kBlockColumns * kBlockColumns);
  for (size_t begin = 0, b = 0; begin < n; begin += kBlockColumns, ++b) {
    const size_t size = std::min<size_t>(kBlockColumns, n - begin);
    const uint16_t half = std::min<uint16_t>(FloatToHalf(LargestMagnitude(weights + begin, size) / 127), 0x7bff);
    std::memcpy(scales + b * sizeof half, &half, sizeof half);
    const float scale = HalfToFloat(half);
    for (size_t i = begin; scale > 0 && i < begin + size; ++i)
      data[i] = static_cast<uint8_t>(static_cast<int8_t>(Round(Clamp(weights[i] / scale, -127, 127))));
  }
}

// Of -x, 0 and x, with x as the scale. False for other numbers.
bool PackTernaryRow(const float* weights, size_t cols, uint8_t* data, uint8_t* scales) {
  float scale = 0;
  for (size_t i = 0; i < cols; ++i) scale = std::max(scale, std::fabs(weights[i]));
  std::memset(data, 0, CeilDiv(cols, size_t{kTernaryColumns}) * 4);
  for (size_t i = 0; i < cols; ++i) {
    if (weights[i] != 0 && std::fabs(weights[i]) != scale) return false;
    const uint32_t code = weights[i] == 0 ? 1 : weights[i] < 0 ? 0 : 2;
    uint8_t& byte = data[i / kTernaryColumns * 4 + i % 4];
    byte = static_cast<uint8_t>(byte | code << (i % kTernaryColumns / 4 * 2));
  }
  std::memcpy(scales, &scale, sizeof scale);
  return true;
}

struct RowBytes {
  uint64_t data = 0, scales = 0;
};

RowBytes BytesOfRow(const WeightFormat& format, size_t cols) {
  RowBytes bytes;
  // Sizes of one row that is in memory as floats cannot overflow.
  (void)WeightRowBytes(format.type, cols, format.block, &bytes.data);
  (void)WeightScaleBytes(format.type, 1, cols, format.block, &bytes.scales);
  return bytes;
}

}  // namespace

void QuantiseError::Add(const QuantiseError& other) {
  squared_error += other.squared_error;
  squared_weight += other.squared_weight;
  largest = std::max(largest, other.largest);
}

double QuantiseError::Relative() const {
  return squared_weight > 0 ? std::sqrt(squared_error / squared_weight) : 0.0;
}

void DequantiseRow(const WeightFormat& format, const uint8_t* data, const uint8_t* scales, size_t cols,
                   float* weights) {
  DecodeWeightRow({.type = format.type, .n = 1, .k = static_cast<uint32_t>(cols), .block = format.block, .data = data, .scales = scales},
                  0, 1, weights);
}

QuantiseError QuantiseRows(const WeightFormat& format, const float* weights, size_t rows, size_t cols,
                           uint8_t* data, uint8_t* scales) {
  const RowBytes bytes = BytesOfRow(format, cols);
  if (format.type == WeightType::kF32) {
    QuantiseError error;
    for (size_t i = 0; i < rows * cols; ++i)
      error.squared_weight += static_cast<double>(weights[i]) * weights[i];
    std::memcpy(data, weights, rows * cols * sizeof(float));
    return error;
  }
  if (format.type == WeightType::kTernary) {
    QuantiseError error;
    for (size_t r = 0; r < rows; ++r) {
      if (!PackTernaryRow(weights + r * cols, cols, data + r * bytes.data, scales + r * bytes.scales))
        throw ImportError(Code::kInvalidModel, "a row that should have three numbers, -x, 0 and x, has others");
      for (size_t i = 0; i < cols; ++i) error.squared_weight += static_cast<double>(weights[r * cols + i]) * weights[r * cols + i];
    }
    return error;
  }
  // Threads only where the work outweighs starting them; all memory is taken before.
  const size_t processors = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 16);
  const size_t threads = std::max<size_t>(1, std::min({processors, rows, rows * cols / 65536 + 1}));
  std::vector<QuantiseError> errors(rows);
  std::vector<float> scratch(threads * cols);
  const auto work = [&](size_t thread) {
    float* x = scratch.data() + thread * cols;
    for (size_t r = rows * thread / threads; r < rows * (thread + 1) / threads; ++r) {
      const float* row = weights + r * cols;
      uint8_t* row_data = data + r * bytes.data;
      uint8_t* row_scales = scales + r * bytes.scales;
      if (format.type == WeightType::kQ8) {
        float scale;
        QuantiseRowQ8(format.search, row, cols, x, reinterpret_cast<int8_t*>(row_data), &scale);
        std::memcpy(row_scales, &scale, sizeof scale);
      } else if (format.type == WeightType::kQ8_0) {
        QuantiseRowQ8_0(row, cols, row_data, row_scales);
      } else {
        QuantiseRowQ4(format, row, cols, row_data, row_scales);
      }
      DequantiseRow(format, row_data, row_scales, cols, x);
      for (size_t i = 0; i < cols; ++i) {
        const double difference = static_cast<double>(x[i]) - row[i];
        errors[r].squared_error += difference * difference;
        errors[r].squared_weight += static_cast<double>(row[i]) * row[i];
        errors[r].largest = std::max(errors[r].largest, std::fabs(difference));
      }
    }
  };
  std::vector<std::thread> others;
  others.reserve(threads);
  for (size_t t = 1; t < threads; ++t) {
    try {
      others.emplace_back(work, t);
    } catch (const std::system_error&) {
      work(t);
    }
  }
  work(0);
  for (std::thread& other : others) other.join();

  QuantiseError total;
  for (const QuantiseError& error : errors) total.Add(error);
  return total;
}

}  // namespace thimble
