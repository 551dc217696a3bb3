// Models taken apart into blocks: run one after the other they give what the whole gives, for every kind of block.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <filesystem>

#include "format/model_file.h"
#include "targets/cli/block_model.h"
#include "targets/cli/call.h"
#include "targets/cli/calibration.h"
#include "targets/cli/error.h"
#include "targets/cli/memory.h"
#include "targets/cli/options.h"
#include "tests/support/model_zoo.h"

using namespace thimble;

namespace {

// Logits of each id, [ids, outputs].
std::vector<float> Logits(const std::string& path, const std::vector<int32_t>& ids) {
  const cli::Model model(path);
  cli::ContextOptions context;
  context.cache = "f32";
  context.context_tokens = static_cast<int64_t>(ids.size());
  const auto options = context.ForModel(model);
  const cli::Session session(model, options);
  struct Rows {
    size_t outputs;
    std::vector<float> values;
  } rows{model.info().outputs, {}};
  const auto take = [](void* user, size_t, const float* row) -> int32_t {
    Rows& to = *static_cast<Rows*>(user);
    to.values.insert(to.values.end(), row, row + to.outputs);
    return 1;
  };
  const int32_t* first = ids.data();
  const thimble_logits_fn each = take;
  void* user = &rows;
  cli::Check(model.info().is_decoder ? cli::Call(thimble_prefill_each, session.handle(), first, ids.size(), each, user)
                                     : cli::Call(thimble_encode_rows, session.handle(), first, ids.size(), each, user));
  return rows.values;
}

}  // namespace

TEST_CASE("block by block: what the head reads explains the logits, for every f32 model of the zoo") {
  const std::filesystem::path folder = std::filesystem::path(test::TemporaryPath("calibration")).parent_path();
  size_t checked = 0;
  for (test::ZooModel& entry : test::ModelZoo()) {
    ModelDescription& d = entry.builder.description();
    for (const NamedTensor& t : d.tensors)
      if (t.spec.type != WeightType::kF32) goto next;
    if (const bool head = d.spec.output.tied || d.spec.output.head.weight != kNoTensor;
        head && d.spec.input.kind == InputKind::kTokens && d.spec.output.rows == OutputRows::kEvery && d.more_parts.empty()) {
      INFO(entry.name);
      d.spec.output.softcap = 0;
      d.spec.output.scale = 1;
      const std::string path = test::TemporaryPath(entry.name + ".thimble");
      entry.builder.WriteFile(path);
      std::vector<int32_t> ids;
      for (int32_t i = 0; i < 11; ++i) ids.push_back((7 * i + 3) % static_cast<int32_t>(d.spec.vocabulary));
      InputMoments moments(folder);
      const bool calibrated = cli::Calibrate(path, ids, cli::kCalibrationWindow, 2, {}, &moments);
      bool alone = true;
      for (const LayerSpec& layer : d.layers)
        if (const AttentionSpec* attention = layer.Find<AttentionSpec>()) alone = alone && attention->cache_source < 0;
      CHECK(calibrated == alone);
      if (!calibrated) continue;
      const int32_t head_tensor = d.spec.output.tied ? d.spec.input.table : d.spec.output.head.weight;
      REQUIRE(moments.SiteOf(head_tensor) >= 0);
      const std::vector<float> sums = moments.Moments(moments.SiteOf(head_tensor)), logits = Logits(path, ids);
      const std::vector<float>& w = entry.builder.values(head_tensor);
      const size_t width = d.spec.width, outputs = logits.size() / ids.size();
      const std::vector<float>* bias = d.spec.output.head.bias == kNoTensor ? nullptr : &entry.builder.values(d.spec.output.head.bias);
      for (size_t o = 0; o < outputs; ++o) {
        double want = 0, found = 0;
        for (size_t t = 0; t < ids.size(); ++t) {
          const double logit = logits[t * outputs + o] - (bias == nullptr ? 0.0f : (*bias)[o]);
          want += logit * logit / static_cast<double>(ids.size());
        }
        for (size_t i = 0; i < width; ++i)
          for (size_t j = 0; j < width; ++j) found += static_cast<double>(w[o * width + i]) * sums[i * width + j] * w[o * width + j];
        CHECK(std::fabs(found - want) <= 1e-3 * want + 1e-5);
      }
      // Every other layer's inputs are known, too.
      for (const LayerSpec& layer : d.layers) {
        for (const BlockSpec& block : layer.blocks) {
          if (std::holds_alternative<ExpertsSpec>(block.mixer)) continue;
          VisitAlternative(block.mixer, [&](const auto& mixer) {
            ForEachLinear(mixer, [&](const LinearSpec& linear) {
              REQUIRE(moments.SiteOf(linear.weight) >= 0);
              const size_t k = d.tensors[static_cast<size_t>(linear.weight)].spec.cols;
              const std::vector<float> m = moments.Moments(moments.SiteOf(linear.weight));
              REQUIRE(m.size() == k * k);
              double size = 0;
              for (size_t i = 0; i < k; ++i) size += m[i * k + i];
              CHECK(size > 0);
            });
          });
        }
      }
      ++checked;
    }
  next:;
  }
  CHECK(checked == 8);
}

TEST_CASE("what a block's output layer reads, columns at a time, is what the block adds, for every f32 model of the zoo") {
  constexpr size_t kRows = 5;
  size_t checked = 0, wide = 0;
  for (test::ZooModel& entry : test::ModelZoo()) {
    ModelDescription& d = entry.builder.description();
    if (d.spec.input.kind != InputKind::kTokens || !d.more_parts.empty()) continue;
    if (std::any_of(d.tensors.begin(), d.tensors.end(), [](const NamedTensor& t) { return t.spec.type != WeightType::kF32; })) continue;
    const std::string path = test::TemporaryPath(entry.name + "-columns.thimble");
    entry.builder.WriteFile(path);
    ModelFile file;
    REQUIRE(file.Open(path.c_str()).ok());
    const size_t width = d.spec.width;
    std::vector<float> in(kRows * width), whole(in.size()), part(in.size());
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i * 37 % 101) * 0.02f - 1;
    for (uint32_t layer = 0; layer < d.layers.size(); ++layer) {
      for (uint32_t b = 0; b < d.layers[layer].blocks.size(); ++b) {
        BlockSpec block = d.layers[layer].blocks[b];
        const auto* attention = std::get_if<AttentionSpec>(&block.mixer);
        if (block.form != BlockForm::kResidual || block.post_norm.kind != NormKind::kNone || block.scale != 1 || block.output_scale != 1) continue;
        if (attention != nullptr && (attention->cache_source >= 0 || attention->q_low.weight != kNoTensor)) continue;
        const LinearSpec* out = OutputOf(&block.mixer);
        if (out == nullptr) continue;
        INFO(entry.name << ", layer " << layer << ", block " << b);
        const size_t k = d.tensors[static_cast<size_t>(out->weight)].spec.cols;
        const std::vector<float>& w = entry.builder.values(out->weight);
        std::vector<double> sums(in.size()), sizes(in.size(), 1);
        for (size_t i = 0; i < in.size(); ++i) sums[i] = out->bias == kNoTensor ? 0 : entry.builder.values(out->bias)[i % width];
        for (size_t first = 0; first < k; first += width) {
          cli::BlockModel(file, layer, b, kRows, 2, static_cast<uint32_t>(first)).Run(in.data(), kRows, part.data());
          for (size_t t = 0; t < kRows; ++t) {
            for (size_t j = 0; j < width; ++j) {
              const double inside = static_cast<double>(part[t * width + j]) - in[t * width + j];
              if (first + j >= k) CHECK(inside == 0);
              for (size_t o = 0; o < width && first + j < k; ++o) {
                sums[t * width + o] += w[o * k + first + j] * inside;
                sizes[t * width + o] += std::fabs(w[o * k + first + j] * inside);
              }
            }
          }
        }
        cli::BlockModel(file, layer, b, kRows, 2).Run(in.data(), kRows, whole.data());
        for (size_t i = 0; i < in.size(); ++i) CHECK(std::fabs(whole[i] - in[i] - sums[i]) <= 1e-5 * sizes[i]);
        ++checked;
        wide += k > width && std::holds_alternative<FfnSpec>(block.mixer);
      }
    }
  }
  CHECK(checked >= 12);
  CHECK(wide >= 2);
}
