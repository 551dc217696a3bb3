#include "tests/ops/attention_oracle.h"

#include <cmath>
#include <limits>

namespace thimble::test {
namespace {

void Turn(const RopeShape& shape, const float* cos, const float* sin, double direction, double* head) {
  for (uint32_t i = 0; i < shape.width / 2; ++i) {
    const bool half = shape.pairing == RopePairing::kHalfSplit;
    const size_t a = shape.offset + (half ? i : 2 * i), b = half ? a + shape.pair_stride : a + 1;
    const double x = head[a], y = head[b], c = cos[i], s = direction * static_cast<double>(sin[i]);
    head[a] = x * c - y * s;
    head[b] = x * s + y * c;
  }
}

std::vector<double> Row(const CacheRows& rows, size_t position, size_t head, size_t d) {
  std::vector<float> x(d);
  const CacheRows::Where where = rows.At(head, position);
  LoadCacheRow(rows.type, where.head, where.row, d, x.data());
  return {x.begin(), x.end()};
}

bool Sees(const AttentionArgs& a, size_t query, size_t row) {
  if (a.causal && row > query) return false;
  if (a.window == 0) return true;
  return (row + a.window > query || row < a.sink_tokens) && (a.causal || row < query + a.window);
}

}  // namespace

std::vector<double> AttentionOracle(const AttentionArgs& a) {
  std::vector<double> out(a.t * a.heads * a.d, 0.0);
  const auto recent = [&](size_t query, size_t row) { return row >= a.sink_tokens && row + a.recent_tokens > query; };
  const CacheRows& values = SameRows(a.values, a.keys) ? a.keys : a.values;
  const CacheRows& recent_values = SameRows(a.values, a.keys) ? a.recent_keys : a.recent_values;
  for (size_t g = 0; g < a.kv_heads; ++g) {
    const auto key = [&](const CacheRows& rows, size_t j) {
      std::vector<double> x = Row(rows, j, g, a.d);
      for (size_t i = 0; a.key_gain != nullptr && i < a.d; ++i) x[i] *= static_cast<double>(a.key_gain[i]);
      if (a.key_cos != nullptr) {
        const size_t row = j * (a.rope.width / 2);
        Turn(a.rope, a.key_cos + row, a.key_sin + row, 1.0, x.data());
      }
      return x;
    };
    std::vector<std::vector<double>> older_keys, older_values, newest_keys, newest_values;
    for (size_t j = 0; j < a.positions; ++j) {
      older_keys.push_back(key(a.keys, j));
      older_values.push_back(Row(values, j, g, a.d));
      const bool any = a.recent_tokens != 0 && j + a.recent_tokens > a.first_position;  // a ring has no others
      newest_keys.push_back(any ? key(a.recent_keys, j) : older_keys[j]);
      newest_values.push_back(any ? Row(recent_values, j, g, a.d) : older_values[j]);
    }
    for (size_t t = 0; t < a.t; ++t) {
      for (size_t h = g * a.heads / a.kv_heads; h < (g + 1) * a.heads / a.kv_heads; ++h) {
        const float* q = a.q + t * a.q_stride + h * a.d;
        double largest = -std::numeric_limits<double>::infinity(), sum = 0.0;
        std::vector<double> scores(a.positions, largest);
        for (size_t j = 0; j < a.positions; ++j) {
          if (!Sees(a, a.first_position + t, j)) continue;
          double s = 0.0;
          const std::vector<double>& x = recent(a.first_position + t, j) ? newest_keys[j] : older_keys[j];
          for (size_t i = 0; i < a.d; ++i) s += static_cast<double>(q[i]) * x[i];
          s *= static_cast<double>(a.scale);
          if (a.softcap != 0.0f)
            s = static_cast<double>(a.softcap) * std::tanh(s / static_cast<double>(a.softcap));
          if (a.position_bias != nullptr) s += static_cast<double>(a.position_bias[j]);
          scores[j] = s;
          largest = std::fmax(largest, s);
        }
        if (!std::isfinite(largest)) continue;  // sees nothing
        double* o = &out[(t * a.heads + h) * a.d];
        if (a.sink_logits != nullptr) {
          largest = std::fmax(largest, static_cast<double>(a.sink_logits[h]));
          sum += std::exp(static_cast<double>(a.sink_logits[h]) - largest);
        }
        for (size_t j = 0; j < a.positions; ++j) sum += std::exp(scores[j] - largest);
        for (size_t j = 0; j < a.positions; ++j) {
          const double p = std::exp(scores[j] - largest) / sum;
          const std::vector<double>& x = recent(a.first_position + t, j) ? newest_values[j] : older_values[j];
          for (size_t i = 0; p > 0.0 && i < a.d; ++i) o[i] += p * x[i];
        }
        if (a.out_cos != nullptr) {
          const size_t row = t * (a.rope.width / 2);
          Turn(a.rope, a.out_cos + row, a.out_sin + row, -1.0, o);
        }
      }
    }
  }
  return out;
}

}  // namespace thimble::test
