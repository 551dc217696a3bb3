// Models taken apart into blocks: run one after the other they give what the whole gives, for every kind of block.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <filesystem>

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
