#include "targets/cli/calibration.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "format/model_file.h"
#include "format/writer.h"
#include "targets/cli/block_model.h"
#include "targets/cli/error.h"
#include "targets/convert/describe_file.h"

namespace thimble::cli {
namespace {


const float* Floats(const ModelFile& file, int32_t tensor) { return static_cast<const float*>(file.TensorData(static_cast<uint32_t>(tensor))); }

// Rows through a norm, as the engine has them but for the last bits.
void Normalise(const ModelFile& file, const NormSpec& norm, size_t width, const float* in, size_t n, float* out) {
  const float* weight = norm.weight == kNoTensor ? nullptr : Floats(file, norm.weight);
  const float* bias = norm.bias == kNoTensor ? nullptr : Floats(file, norm.bias);
  for (size_t t = 0; t < n; ++t, in += width, out += width) {
    double mean = 0, square = 0;
    for (size_t i = 0; i < width && norm.kind == NormKind::kLayerNorm; ++i) mean += in[i];
    mean /= static_cast<double>(width);
    for (size_t i = 0; i < width; ++i) square += (in[i] - mean) * (in[i] - mean);
    const double scale = norm.kind == NormKind::kNone ? 1 : 1 / std::sqrt(square / static_cast<double>(width) + norm.eps);
    for (size_t i = 0; i < width; ++i) {
      const double factor = weight == nullptr ? 1 : static_cast<double>(weight[i]) + norm.weight_offset;
      out[i] = static_cast<float>((in[i] - mean) * scale * factor + (bias == nullptr ? 0 : bias[i]));
    }
  }
}

// Tensors that the rows behind the norm enter.
std::vector<int32_t> ReadersOf(const MixerSpec& mixer) {
  std::vector<int32_t> readers;
  const auto add = [&](std::initializer_list<LinearSpec> linears) {
    for (const LinearSpec& linear : linears)
      if (linear.weight != kNoTensor) readers.push_back(linear.weight);
  };
  if (const auto* a = std::get_if<AttentionSpec>(&mixer)) add({a->q, a->k, a->v, a->gate});
  if (const auto* f = std::get_if<FfnSpec>(&mixer)) add({f->gate, f->up});
  if (const auto* e = std::get_if<ExpertsSpec>(&mixer))
    add({e->router, e->ffn.gate, e->ffn.up, e->shared.gate, e->shared.up, e->shared_gate});
  if (const auto* c = std::get_if<ShortConvSpec>(&mixer)) add({c->before, c->after, c->value});
  if (const auto* s = std::get_if<StateSpaceSpec>(&mixer)) add({s->gate, s->input, s->step, s->beta});
  return readers;
}

// A block is run by itself here, with the residual rows alone.
void CheckStandsAlone(const BlockSpec& spec, uint32_t layer) {
  const auto* a = std::get_if<AttentionSpec>(&spec.mixer);
  const auto* f = std::get_if<FfnSpec>(&spec.mixer);
  const bool alone = (spec.form == BlockForm::kResidual || spec.form == BlockForm::kPostNorm) &&
                     (a == nullptr || (a->q_low.weight == kNoTensor && a->cache_source == -1)) && (f == nullptr || f->kind != FfnKind::kLayerRow);
  if (alone) return;
  throw Error(kUnsupported, "calibration: layer " + std::to_string(layer) +
                                " has a block that reads more than the rows before it; convert with one weight type instead (--weights q8 or q4)");
}

uint64_t WeightsOf(const ModelDescription& model, const BlockSpec& block) {
  uint64_t weights = 0;
  VisitAlternative(block.mixer, [&](const auto& mixer) {
    ForEachLinear(mixer, [&](const LinearSpec& linear) {
      const TensorSpec& spec = model.tensors[static_cast<size_t>(linear.weight)].spec;
      weights += uint64_t{spec.rows} * spec.cols;
    });
  });
  return weights;
}

class Calibration {
 public:
  Calibration(const ModelFile& file, const ModelDescription& model, const std::vector<int32_t>& ids, uint32_t window_tokens, uint32_t threads, InputMoments* moments)
      : file_(file), model_(model), width_(model.spec.width), threads_(threads), window_(std::min(window_tokens, model.spec.max_positions)),
        moments_(moments), rows_(ids.size() * width_), next_(rows_.size()) {
    const ModelSpec& spec = model.spec;
    const TensorSpec& table = model.tensors[static_cast<size_t>(spec.input.table)].spec;
    for (size_t t = 0; t < ids.size(); ++t) {
      if (ids[t] < 0 || static_cast<uint32_t>(ids[t]) >= table.rows)
        throw Error(kOutOfRange, "calibration: an id is outside of the vocabulary");
      const float* from = Floats(file, spec.input.table) + static_cast<size_t>(ids[t]) * width_;
      const float* position = spec.input.positions == kNoTensor ? nullptr : Floats(file, spec.input.positions) + t % window_ * width_;
      for (size_t i = 0; i < width_; ++i)
        rows_[t * width_ + i] = from[i] * spec.input.scale + (position == nullptr ? 0 : position[i]);
    }
    if (spec.input.norm.kind != NormKind::kNone) Normalise(file, spec.input.norm, width_, rows_.data(), ids.size(), rows_.data());
  }

  // Takes the rows through a block, and the sums of what its layers read.
  void Block(uint32_t layer, uint32_t block) {
    const BlockSpec& spec = model_.layers[layer].blocks[block];
    CheckStandsAlone(spec, layer);
    BlockModel whole(file_, layer, block, window_, threads_);
    InputSums read(width_, threads_);
    std::vector<float> normed(window_ * width_);
    ForEachWindow([&](size_t first, size_t n) {
      const float* in = rows_.data() + first * width_;
      whole.Run(in, n, next_.data() + first * width_);
      Normalise(file_, spec.norm, width_, in, n, normed.data());
      read.Add(normed.data(), Weights(first, n).data(), n);
    });
    moments_->Add(read, ReadersOf(spec.mixer));
    MixerSpec mixer = spec.mixer;
    if (const LinearSpec* out = OutputOf(&mixer)) Inside(layer, block, out->weight);
    rows_.swap(next_);
  }

  // What the head reads.
  void Head() {
    const int32_t head = model_.spec.output.tied ? model_.spec.input.table : model_.spec.output.head.weight;
    if (head == kNoTensor) return;
    InputSums read(width_, threads_);
    std::vector<float> normed(window_ * width_);
    const std::vector<float> alike(window_, 1.0f);
    ForEachWindow([&](size_t first, size_t n) {
      Normalise(file_, model_.spec.output.norm, width_, rows_.data() + first * width_, n, normed.data());
      read.Add(normed.data(), alike.data(), n);
    });
    moments_->Add(read, {head});
  }

 private:
  template <typename F>
  void ForEachWindow(F fn) {
    const size_t rows = rows_.size() / width_;
    for (size_t first = 0; first < rows; first += window_) fn(first, std::min<size_t>(window_, rows - first));
  }

  std::vector<float> Weights(size_t first, size_t n) const {
    std::vector<float> weights(n);
    for (size_t t = 0; t < n; ++t) {
      const float* row = next_.data() + (first + t) * width_;
      double square = 1e-20;
      for (size_t i = 0; i < width_; ++i) square += static_cast<double>(row[i]) * row[i];
      weights[t] = static_cast<float>(static_cast<double>(width_) / square);
    }
    return weights;
  }

  // The rows that enter the output layer, a residual row's width of columns at a time.
  void Inside(uint32_t layer, uint32_t block, int32_t out) {
    const size_t k = model_.tensors[static_cast<size_t>(out)].spec.cols;
    const size_t rows = rows_.size() / width_;
    std::vector<float> inside(rows * k), sum(window_ * width_);
    for (size_t column = 0; column < k; column += width_) {
      BlockModel part(file_, layer, block, window_, threads_, static_cast<uint32_t>(column));
      ForEachWindow([&](size_t first, size_t n) {
        const float* in = rows_.data() + first * width_;
        part.Run(in, n, sum.data());
        for (size_t t = 0; t < n; ++t)
          for (size_t i = 0; i < width_ && column + i < k; ++i)
            inside[(first + t) * k + column + i] = sum[t * width_ + i] - in[t * width_ + i];
      });
    }
    InputSums read(k, threads_);
    ForEachWindow([&](size_t first, size_t n) { read.Add(inside.data() + first * k, Weights(first, n).data(), n); });
    moments_->Add(read, {out});
  }

  const ModelFile& file_;
  const ModelDescription& model_;
  size_t width_;
  uint32_t threads_, window_;
  InputMoments* moments_;
  std::vector<float> rows_, next_;
};

}  // namespace

bool Calibrate(const std::filesystem::path& path, const std::vector<int32_t>& ids, uint32_t window_tokens, uint32_t threads, const CalibrationProgress& progress,
               InputMoments* moments) {
  ModelFile file;
  const Status status = file.Open(path.c_str());
  if (!status.ok()) {
    char text[248];
    FormatStatus(status, text, sizeof text);
    throw Error(static_cast<int>(status.code), path.string() + ": " + text);
  }
  const ModelDescription model = DescribeFile(file);
  if (model.spec.input.kind != InputKind::kTokens || ids.empty()) return false;
  CalibrationStep step{};
  for (uint32_t layer = 0; layer < model.spec.layers; ++layer) {
    for (const BlockSpec& block : model.layers[layer].blocks) {
      const auto* attention = std::get_if<AttentionSpec>(&block.mixer);
      if (attention != nullptr && attention->cache_source >= 0) return false;
      ++step.blocks;
      step.total_weights += WeightsOf(model, block);
    }
  }
  Calibration calibration(file, model, ids, window_tokens, threads, moments);
  for (uint32_t layer = 0; layer < model.spec.layers; ++layer) {
    for (uint32_t block = 0; block < model.layers[layer].blocks.size(); ++block) {
      if (progress && !progress(step)) throw Error(kCancelled, "stopped while calibrating");
      calibration.Block(layer, block);
      ++step.block;
      step.done_weights += WeightsOf(model, model.layers[layer].blocks[block]);
    }
  }
  calibration.Head();
  return true;
}

}  // namespace thimble::cli
