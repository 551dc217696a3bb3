#include "tests/runtime/oracle.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace thimble::test {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

class Oracle {
 public:
  explicit Oracle(const ModelBuilder& m, uint32_t window_tokens = 0, uint32_t sink_tokens = 0)
      : m_(m), d_(const_cast<ModelBuilder&>(m).description()), window_tokens_(window_tokens), sink_tokens_(sink_tokens) {}

  Rows Run(Rows x, const std::vector<int32_t>& ids = {}) const {
    x = Norm(d_.spec.input.norm, x);
    const Rows rows = LayerRows(ids, x);
    std::vector<Rows> others;  // streams behind the first
    for (uint32_t s = 1; s < d_.spec.input.streams; ++s) {
      others.push_back(x);
      for (Row& r : others.back())
        for (size_t c = 0; c < r.size() && d_.spec.input.stream_start != kNoTensor; ++c) r[c] = V(d_.spec.input.stream_start)[(s - 1) * r.size() + c];
    }
    std::vector<Rows> keys, values;  // of each block
    for (const LayerSpec& layer : d_.layers) {
      Rows h, sum;
      for (const BlockSpec& block : layer.blocks) {
        keys.emplace_back();
        values.emplace_back();
        if (block.form != BlockForm::kParallel) h = Norm(block.norm, x);
        Rows y;
        if (const StreamsSpec* s = std::get_if<StreamsSpec>(&block.mixer)) {
          MixStreams(*s, h, x, others);
          continue;
        }
        if (const AttentionSpec* a = std::get_if<AttentionSpec>(&block.mixer)) y = Attend(*a, h, keys.size() - 1, keys, values);
        if (const FfnSpec* f = std::get_if<FfnSpec>(&block.mixer)) y = f->kind == FfnKind::kLayerRow ? LayerRow(*f, h, rows) : FeedForward(*f, h);
        if (const ExpertsSpec* e = std::get_if<ExpertsSpec>(&block.mixer)) y = Mix(*e, h);
        if (const ShortConvSpec* c = std::get_if<ShortConvSpec>(&block.mixer)) y = Convolve(*c, h);
        if (const StateSpaceSpec* s = std::get_if<StateSpaceSpec>(&block.mixer)) y = Scan(*s, h);
        for (Row& r : y) for (double& v : r) v *= block.form == BlockForm::kPostNorm ? block.scale : 1;
        if (block.form == BlockForm::kPostNorm) {
          Add(x, y);
          x = Norm(block.post_norm, x);
        } else {
          y = Norm(block.post_norm, y);
          for (Row& r : y) for (double& v : r) v *= block.scale;
          if (block.form == BlockForm::kBranches) {
            if (sum.empty()) sum = Rows(x.size(), Row(d_.spec.width, 0.0));
            Add(sum, y);
            if (block.sum_norm.kind == NormKind::kNone) continue;
            y = Norm(block.sum_norm, sum);
            sum.clear();
          }
          for (size_t i = 0; i < x.size(); ++i) for (size_t c = 0; c < x[i].size(); ++c) x[i][c] += static_cast<double>(block.carry) * h[i][c];
          if (block.form == BlockForm::kReplace) x = Rows(x.size(), Row(d_.spec.width, 0.0));
          Add(x, y);
        }
        for (Row& r : x) for (double& v : r) v *= block.output_scale;
      }
    }
    const OutputSpec& out = d_.spec.output;
    LinearSpec head = out.head;
    if (out.tied) head.weight = d_.spec.input.table;
    Rows logits = Norm(out.norm, x);
    if (head.weight != kNoTensor) logits = Apply(head, logits);
    for (Row& r : logits) for (double& v : r) v = Cap(v * out.scale, out.softcap);
    return logits;
  }

  Rows Embed(const std::vector<int32_t>& ids) const {
    const size_t D = d_.spec.width;
    Rows x;
    for (size_t i = 0; i < ids.size(); ++i) {
      Row r(D);
      for (size_t c = 0; c < D; ++c) {
        r[c] = static_cast<double>(V(d_.spec.input.table)[static_cast<size_t>(ids[i]) * D + c]) * d_.spec.input.scale;
        if (d_.spec.input.positions != kNoTensor) r[c] += V(d_.spec.input.positions)[i * D + c];
      }
      x.push_back(r);
    }
    return x;
  }

 private:
  const std::vector<float>& V(int32_t t) const { return m_.values(t); }
  static double Cap(double v, double cap) { return cap > 0 ? cap * std::tanh(v / cap) : v; }
  static void Add(Rows& x, const Rows& y) {
    for (size_t i = 0; i < x.size(); ++i) for (size_t c = 0; c < x[i].size(); ++c) x[i][c] += y[i][c];
  }

  // The `index`th of the stack.
  Rows Apply(const LinearSpec& linear, const Rows& x, size_t index = 0) const {
    const TensorSpec& t = d_.tensors[static_cast<size_t>(linear.weight)].spec;
    const size_t rows = t.rows / linear.stack, first = index * rows;
    Rows out;
    for (const Row& r : x) {
      Row y(rows);
      for (size_t n = 0; n < rows; ++n) {
        y[n] = linear.bias == kNoTensor ? 0.0 : V(linear.bias)[first + n];
        for (size_t k = 0; k < t.cols; ++k) y[n] += r[k] * V(linear.weight)[(first + n) * t.cols + k];
      }
      out.push_back(y);
    }
    return out;
  }

  // `own`: where the weights of these numbers begin.
  void NormSpan(const NormSpec& n, double* x, size_t width, size_t own) const {
    double mean = 0, square = 0;
    if (n.kind == NormKind::kLayerNorm) {
      for (size_t i = 0; i < width; ++i) mean += x[i] / static_cast<double>(width);
    }
    for (size_t i = 0; i < width; ++i) square += (x[i] - mean) * (x[i] - mean) / static_cast<double>(width);
    for (size_t i = 0; i < width; ++i) {
      const double w = n.weight == kNoTensor ? 1.0 : n.weight_offset + static_cast<double>(V(n.weight)[own + i]);
      x[i] = (x[i] - mean) / std::sqrt(square + n.eps) * w + (n.bias == kNoTensor ? 0.0 : V(n.bias)[own + i]);
    }
  }
  Rows Norm(const NormSpec& n, Rows x, size_t head_width = 0) const {
    if (n.kind == NormKind::kNone) return x;
    for (Row& r : x) {
      const size_t width = n.scope == NormScope::kRow ? r.size() : head_width;
      for (size_t start = 0; start < r.size(); start += width) NormSpan(n, r.data() + start, width, n.scope == NormScope::kEachHead ? start : 0);
    }
    return x;
  }

  // Turns the head vector at x by the position's angles; sign -1 turns it back.
  void Rotate(const RopeSpec& r, double position, double sign, double* x) const {
    for (uint32_t i = 0; i < r.width / 2; ++i) {
      double angle = position * r.position_scale * std::pow(r.theta, -2.0 * i / r.denominator);
      const bool is_long = r.long_divisors != kNoTensor && d_.spec.max_positions > r.long_from;  // contexts here are whole
      if (r.freq_divisors != kNoTensor) angle /= V(is_long ? r.long_divisors : r.freq_divisors)[i];
      const double c = std::cos(angle) * r.magnitude, s = sign * std::sin(angle) * r.magnitude;
      const bool half = r.pairing == RopePairing::kHalfSplit;
      double& a = x[r.offset + (half ? i : 2 * i)];
      double& b = x[r.offset + (half ? i + r.pair_stride : 2 * i + 1)];
      const double a0 = a, b0 = b;
      a = a0 * c - b0 * s;
      b = a0 * s + b0 * c;
    }
  }

  Rows Attend(const AttentionSpec& a, const Rows& h, size_t l, std::vector<Rows>& keys, std::vector<Rows>& values) const {
    const size_t T = h.size(), d = a.head_width, H = a.heads, G = a.kv_heads;
    const bool kv = a.sharing == Sharing::kKV || a.sharing == Sharing::kQKV;
    const bool qk = a.sharing == Sharing::kQK || a.sharing == Sharing::kQKV;
    Rows k, v, q;
    if (a.cache_source != -1) {
      k = keys[static_cast<size_t>(a.cache_source)];
      v = values[static_cast<size_t>(a.cache_source)];
      q = Apply(a.q, h);
    } else {
      const Rows projected = Apply(a.k, h);
      q = qk ? Rows(T, Row(H * d)) : Apply(a.q, a.q_low.weight == kNoTensor ? h : Norm(a.q_low_norm, Apply(a.q_low, h)));
      if (qk) {
        for (size_t i = 0; i < T; ++i) for (size_t c = 0; c < H * d; ++c) q[i][c] = projected[i][c / d / (H / G) * d + c % d];
      }
      k = projected;
      if (a.latent != 0) {
        for (Row& row : k) NormSpan(a.k_norm, row.data(), a.latent, 0);
      } else if (a.norm_order == NormOrder::kBeforeRotation) {
        k = Norm(a.k_norm, projected, d);
      }
      v = kv ? k : Norm(a.v_norm, Apply(a.v, h), d);
    }
    if (a.norm_order == NormOrder::kBeforeRotation) q = Norm(a.q_norm, q, d);
    const bool write = a.rotation == KeyRotation::kOnWrite || a.rotation == KeyRotation::kOnWriteInverseOutput;
    const bool rotate_values = a.rotation == KeyRotation::kOnWriteInverseOutput || (kv && a.rotation == KeyRotation::kOnWrite);
    if (a.rotation != KeyRotation::kNone) {
      for (size_t i = 0; i < T; ++i) for (size_t head = 0; head < H; ++head) Rotate(a.rope, static_cast<double>(i), 1, &q[i][head * d]);
    }
    if (write && a.cache_source == -1) {
      for (size_t i = 0; i < T; ++i) {
        for (size_t g = 0; g < G; ++g) {
          Rotate(a.rope, static_cast<double>(i), 1, &k[i][g * d]);
          if (rotate_values) Rotate(a.rope, static_cast<double>(i), 1, &v[i][g * d]);
        }
      }
    }
    if (a.norm_order == NormOrder::kAfterRotation) {
      q = Norm(a.q_norm, q, d);
      if (a.cache_source == -1) k = Norm(a.k_norm, k, d);
    }
    for (size_t i = 0; i < T && a.query_period != 0; ++i) {
      const double periods = std::floor(static_cast<double>(i) / a.query_period);
      for (double& x : q[i]) x *= 1 + static_cast<double>(a.query_growth) * std::log(1 + periods);
    }
    keys[l] = k;
    values[l] = v;
    // What the stored rows become as keys.
    Rows read = k;
    for (size_t i = 0; i < T; ++i) {
      for (size_t g = 0; g < G; ++g) {
        if (a.key_gain != kNoTensor) for (size_t c = 0; c < d; ++c) read[i][g * d + c] *= V(a.key_gain)[c];
        if (a.rotation == KeyRotation::kOnRead) Rotate(a.rope, static_cast<double>(i), 1, &read[i][g * d]);
      }
    }
    Rows out(T, Row(H * d, 0.0));
    for (size_t i = 0; i < T; ++i) {
      for (size_t head = 0; head < H; ++head) {
        const size_t g = head / (H / G);
        Row score(T, -INFINITY);
        double largest = a.sink_logits != kNoTensor ? static_cast<double>(V(a.sink_logits)[head]) : -INFINITY;
        for (size_t j = 0; j < T; ++j) {
          if (a.causal && j > i) continue;
          const uint32_t window = a.window != 0 ? a.window : window_tokens_;
          if (window != 0 && (i > j ? i - j : j - i) >= window && j >= sink_tokens_) continue;
          double dot = 0;
          for (size_t c = 0; c < d; ++c) dot += q[i][head * d + c] * read[j][g * d + c];
          score[j] = Cap(dot * a.scale, a.softcap) + (a.score_bias != kNoTensor ? V(a.score_bias)[j] : 0.0f);
          largest = std::max(largest, score[j]);
        }
        double sum = a.sink_logits != kNoTensor ? std::exp(static_cast<double>(V(a.sink_logits)[head]) - largest) : 0.0;
        for (double& s : score) sum += s = std::exp(s - largest);
        for (size_t j = 0; j < T; ++j) for (size_t c = 0; c < d; ++c) out[i][head * d + c] += score[j] / sum * v[j][g * d + c];
        if (a.rotation == KeyRotation::kOnWriteInverseOutput) Rotate(a.rope, static_cast<double>(i), -1, &out[i][head * d]);
      }
    }
    if (a.gate.weight != kNoTensor) {
      const Rows gate = Apply(a.gate, h);
      for (size_t i = 0; i < T; ++i) for (size_t c = 0; c < H * d; ++c) out[i][c] *= Sigmoid(gate[i][gate[i].size() == H ? c / d : c]);
    }
    return Apply(a.o, Norm(a.out_norm, out, d));
  }

  static double Act(Activation activation, double x) {
    switch (activation) {
      case Activation::kIdentity: return x;
      case Activation::kGeluErf: return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
      case Activation::kGeluTanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
      case Activation::kSilu: return x / (1 + std::exp(-x));
      case Activation::kRelu: return std::max(x, 0.0);
      case Activation::kReluSquared: return std::max(x, 0.0) * std::max(x, 0.0);
      case Activation::kGeluQuick: return x / (1 + std::exp(-1.702 * x));
      case Activation::kXielu:
      case Activation::kClampedSwish: break;  // ActByShape
    }
    return x;
  }
  // The rows that the input makes of each token, for all places.
  Rows LayerRows(const std::vector<int32_t>& ids, const Rows& x) const {
    const LayerRowsSpec& r = d_.spec.input.layer_rows;
    if (r.width == 0) return {};
    Rows rows = Norm({r.norm.kind, NormScope::kHead, r.norm.eps, r.norm.weight_offset, r.norm.weight, r.norm.bias}, Apply(r.projection, x), r.width);
    const size_t known = d_.tensors[static_cast<size_t>(r.table)].spec.rows;
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t id = static_cast<size_t>(ids[i]) < known ? static_cast<size_t>(ids[i]) : 0;
      for (size_t c = 0; c < rows[i].size(); ++c) rows[i][c] = (rows[i][c] + V(r.table)[id * rows[i].size() + c] * static_cast<double>(r.table_scale)) * r.scale;
    }
    return rows;
  }
  void MixStreams(const StreamsSpec& s, const Rows& h, Rows& x, std::vector<Rows>& others) const {
    const size_t S = others.size() + 1, D = d_.spec.width;
    const auto stream = [&](size_t i) -> Rows& { return i == 0 ? x : others[i - 1]; };
    const auto mean_square = [&](const Row& r) {
      double sum = 0;
      for (const double v : r) sum += v * v / static_cast<double>(D);
      return sum;
    };
    if (s.projection.weight != kNoTensor) {
      Rows p = Apply(s.projection, stream(s.projected));
      for (size_t i = 0; i < p.size(); ++i) {
        const double factor = std::sqrt(mean_square(stream(s.like)[i]) / std::max(mean_square(p[i]), static_cast<double>(s.least_square)));
        for (double& v : p[i]) v *= factor;
      }
      stream(s.projected) = p;
    }
    if (s.constants == kNoTensor) return;
    const Rows modes = s.modes == 0 ? Rows() : Apply(s.router, h);
    for (size_t t = 0; t < x.size(); ++t) {
      std::vector<Row> mixed(S, Row(D, 0.0));
      for (size_t e = 0; e < S * S; ++e) {
        double factor = V(s.constants)[e];
        for (size_t m = 0; m < s.modes; ++m) factor += V(s.factors)[e * s.modes + m] * std::tanh(modes[t][m]);
        for (size_t c = 0; c < D; ++c) mixed[e / S][c] += factor * stream(e % S)[t][c];
      }
      for (size_t i = 0; i < S; ++i) stream(i)[t] = mixed[i];
    }
  }
  Rows LayerRow(const FfnSpec& f, const Rows& h, const Rows& rows) const {
    Rows gate = Apply(f.gate, h);
    for (size_t i = 0; i < gate.size(); ++i) {
      for (size_t c = 0; c < f.width; ++c) gate[i][c] = Act(f.activation, gate[i][c]) * rows[i][f.row * f.width + c];
    }
    return Apply(f.down, Norm(f.norm, gate));
  }
  Rows FeedForward(const FfnSpec& f, const Rows& h, size_t index = 0) const {
    Rows up = Apply(f.up, h, index);
    Rows gate = f.kind == FfnKind::kGated ? Apply(f.gate, h, index) : Rows();
    for (size_t i = 0; f.sparse && i < gate.size(); ++i) {
      const double n = static_cast<double>(gate[i].size());
      double mean = 0, square = 0;
      for (const double v : gate[i]) mean += v / n;
      for (const double v : gate[i]) square += (v - mean) * (v - mean) / n;
      for (double& v : gate[i]) v = std::max(0.0, v - mean - static_cast<double>(f.deviations) * std::sqrt(square));
    }
    for (size_t i = 0; i < up.size(); ++i) {
      for (size_t c = 0; c < up[i].size(); ++c) {
        if (f.shape != kNoTensor) {
          up[i][c] = ActByShape(f, gate.empty() ? up[i][c] : gate[i][c], up[i][c]);
          continue;
        }
        up[i][c] = gate.empty() ? Act(f.activation, up[i][c]) : Act(f.activation, gate[i][c]) * up[i][c];
      }
    }
    return Apply(f.down, Norm(f.norm, up), index);
  }
  double ActByShape(const FfnSpec& f, double gate, double up) const {
    const std::vector<float>& s = V(f.shape);
    if (f.activation == Activation::kXielu)
      return gate > 0 ? s[0] * gate * gate + s[2] * gate : (std::expm1(std::min(gate, static_cast<double>(s[3]))) - gate) * s[1] + s[2] * gate;
    const double limit = s[1], g = std::min(gate, limit);
    return (std::clamp(up, -limit, limit) + s[2]) * g * Sigmoid(s[0] * g);
  }

  static double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

  // Those that may be chosen.
  template <typename Rank>
  static std::vector<bool> Open(const ExpertsSpec& e, const Rank& rank) {
    std::vector<bool> open(e.experts, e.groups == 0);
    if (e.groups == 0) return open;
    const size_t in_group = e.experts / e.groups;
    std::vector<double> best;
    for (size_t g = 0; g < e.groups; ++g) {
      Row ranks;
      for (size_t x = g * in_group; x < (g + 1) * in_group; ++x) ranks.push_back(rank(x));
      std::sort(ranks.rbegin(), ranks.rend());
      best.push_back(ranks[0] + ranks[1]);
    }
    for (uint32_t n = 0; n < e.chosen_groups; ++n) {
      const size_t g = static_cast<size_t>(std::max_element(best.begin(), best.end()) - best.begin());
      best[g] = -INFINITY;
      for (size_t x = g * in_group; x < (g + 1) * in_group; ++x) open[x] = true;
    }
    return open;
  }

  Rows Mix(const ExpertsSpec& e, const Rows& h) const {
    Rows y(h.size(), Row(d_.spec.width, 0.0));
    const auto add = [](Row& to, const Row& from, double factor) {
      for (size_t c = 0; c < to.size(); ++c) to[c] += factor * from[c];
    };
    for (size_t i = 0; i < h.size(); ++i) {
      Row s = Apply(e.router, {h[i]})[0];
      double sum = 0;
      for (double& v : s) sum += v = e.score == ExpertScore::kSigmoid ? Sigmoid(v) : std::exp(v);
      if (e.score == ExpertScore::kSoftmax) for (double& v : s) v /= sum;
      std::vector<size_t> chosen;
      const auto rank = [&](size_t x) { return s[x] + (e.selection_bias == kNoTensor ? 0.0 : V(e.selection_bias)[x]); };
      const std::vector<bool> open = Open(e, rank);
      for (uint32_t k = 0; k < e.chosen; ++k) {
        size_t best = e.experts;
        for (size_t x = 0; x < e.experts; ++x) {
          if (!open[x] || std::find(chosen.begin(), chosen.end(), x) != chosen.end()) continue;
          if (best == e.experts || rank(x) > rank(best)) best = x;
        }
        chosen.push_back(best);
      }
      sum = e.normalise_eps;
      for (const size_t x : chosen) sum += s[x];
      for (const size_t x : chosen) add(y[i], FeedForward(e.ffn, {h[i]}, x)[0], e.scale * s[x] / (e.normalise ? sum : 1.0));
      if (e.shared.width == 0) continue;
      const double factor = e.shared_gate.weight == kNoTensor ? 1.0 : Sigmoid(Apply(e.shared_gate, {h[i]})[0][0]);
      add(y[i], FeedForward(e.shared, {h[i]})[0], factor);
    }
    return y;
  }

  Rows Convolve(const ShortConvSpec& c, const Rows& h) const {
    Rows u = Apply(c.value, h), y = Apply(c.after, h);
    const Rows before = Apply(c.before, h);
    for (size_t i = 0; i < h.size(); ++i) for (size_t n = 0; n < c.channels; ++n) u[i][n] *= before[i][n];
    for (size_t i = 0; i < h.size(); ++i) {
      for (size_t n = 0; n < c.channels; ++n) {
        double sum = c.bias == kNoTensor ? 0.0 : V(c.bias)[n];
        for (size_t j = 0; j < c.taps; ++j) {
          if (i + j + 1 >= c.taps) sum += V(c.weight)[j * c.channels + n] * u[i + j + 1 - c.taps][n];
        }
        y[i][n] *= sum;
      }
    }
    return Apply(c.out, y);
  }

  static double Silu(double x) { return x / (1.0 + std::exp(-x)); }

  Rows Scan(const StateSpaceSpec& s, const Rows& h) const {
    const Rows gate = Apply(s.gate, h), input = Apply(s.input, h), steps = Apply(s.step, h);
    const Rows betas = s.rule == StateRule::kDelta ? Apply(s.beta, h) : Rows();
    const size_t P = s.head_width, N = s.states, I = s.inner(), C = s.channels();
    std::vector<double> state(s.heads * P * N, 0.0);
    Rows out;
    for (size_t i = 0; i < h.size(); ++i) {
      Row u(C), y(I);
      for (size_t c = 0; c < C; ++c) {
        u[c] = s.conv_bias == kNoTensor ? 0.0 : V(s.conv_bias)[c];
        for (size_t j = 0; j < s.taps; ++j) {
          if (i + j + 1 >= s.taps) u[c] += V(s.conv_weight)[j * C + c] * input[i + j + 1 - s.taps][c];
        }
        u[c] = Silu(u[c]);
      }
      for (size_t head = 0; head < s.heads; ++head) {
        const double raw = std::log1p(std::exp(steps[i][head] + V(s.step_bias)[head]));
        const double step = std::clamp(raw, static_cast<double>(s.min_step), static_cast<double>(s.max_step));
        const double keep = std::exp(step * V(s.decay)[head]);
        const size_t b = I + head / (s.heads / s.groups) * N, c = b + s.groups * N;
        if (s.rule == StateRule::kDelta) {
          const double beta = Sigmoid(betas[i][head]) * s.beta_scale;
          double kk = 1e-6, qq = 1e-6;
          for (size_t n = 0; n < N; ++n) kk += u[b + n] * u[b + n], qq += u[c + n] * u[c + n];
          for (size_t p = 0; p < P; ++p) {
            double* cell = &state[(head * P + p) * N];
            double known = 0, sum = 0;
            for (size_t n = 0; n < N; ++n) known += keep * cell[n] * u[b + n] / std::sqrt(kk);
            for (size_t n = 0; n < N; ++n) {
              cell[n] = keep * cell[n] + beta * (u[head * P + p] - known) * u[b + n] / std::sqrt(kk);
              sum += cell[n] * u[c + n] / std::sqrt(qq * static_cast<double>(N));
            }
            y[head * P + p] = sum;
          }
          continue;
        }
        for (size_t p = 0; p < P; ++p) {
          double& sum = y[head * P + p] = V(s.skip)[head] * u[head * P + p];
          for (size_t n = 0; n < N; ++n) {
            double& cell = state[(head * P + p) * N + n];
            cell = keep * cell + step * u[head * P + p] * u[b + n];
            sum += cell * u[c + n];
          }
        }
      }
      const size_t part = I / s.norm_groups;
      const auto norm = [&](Row& x) {
        for (size_t g = 0; s.norm.kind != NormKind::kNone && g < s.norm_groups; ++g) {
          double squares = 0;
          for (size_t k = g * part; k < (g + 1) * part; ++k) squares += x[k] * x[k];
          const double factor = 1.0 / std::sqrt(squares / static_cast<double>(part) + s.norm.eps);
          for (size_t k = g * part; k < (g + 1) * part; ++k) x[k] *= factor * V(s.norm.weight)[k];
        }
      };
      if (s.gate_after_norm) norm(y);
      for (size_t k = 0; k < I; ++k) y[k] *= Silu(gate[i][k]);
      if (!s.gate_after_norm) norm(y);
      out.push_back(y);
    }
    return Apply(s.out, out);
  }

  const ModelBuilder& m_;
  const ModelDescription& d_;
  const uint32_t window_tokens_, sink_tokens_;
};

}  // namespace

std::vector<std::vector<double>> OracleLogits(const ModelBuilder& model, const std::vector<int32_t>& ids,
                                              uint32_t window_tokens, uint32_t sink_tokens) {
  const Oracle oracle(model, window_tokens, sink_tokens);
  return oracle.Run(oracle.Embed(ids), ids);
}

std::vector<std::vector<double>> OracleFromRows(const ModelBuilder& model, std::vector<std::vector<double>> rows) {
  return Oracle(model).Run(std::move(rows));
}

}  // namespace thimble::test
