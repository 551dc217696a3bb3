// Fields of configurations: what is missing, wrong, unknown, or changes the mathematics is named.
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "targets/convert/config.h"
#include "targets/convert/rotary.h"
#include "tests/convert/import_testing.h"

using namespace thimble;
using namespace thimble::test;

namespace {

Outcome With(const char* json, const std::function<void(Config&)>& read) {
  return OutcomeOf([&] {
    const Json object = ParseJsonObject(json, "config.json");
    Config config(object, "config.json");
    read(config);
    config.Finish();
  });
}

Outcome Llama(const Json& changes) {
  Json config = LlamaConfig();
  if (!changes.is_null()) config.Update(changes);
  return ConvertOutcome(WriteModel("config_case", config, LlamaTensors(config)));
}

}  // namespace

TEST_CASE("fields are read, null is absent, what nobody asked for is refused") {
  uint32_t count = 0;
  CHECK(With(R"({"n":3,"gone":null})", [&](Config& c) { count = c.Count("n"); }).code == Code::kOk);
  CHECK(count == 3);
  const Outcome unknown = With(R"({"n":3,"use_magic":true})", [](Config& c) { c.Count("n"); });
  CHECK(unknown.code == Code::kUnsupported);
  CHECK((unknown.Names("config.json") && unknown.Names("'use_magic'") && unknown.Names("true")));
  CHECK(With("{}", [](Config& c) { c.Count("n"); }).Names("'n': is missing"));
  CHECK(With(R"({"n":null})", [](Config& c) { CHECK(c.Count("n", 7) == 7); }).code == Code::kOk);
  for (const char* bad :
       {R"({"n":0})", R"({"n":-1})", R"({"n":2.5})", R"({"n":"3"})", R"({"n":4294967296})", R"({"n":[3]})"}) {
    const Outcome outcome = With(bad, [](Config& c) { c.Count("n"); });
    CHECK((outcome.code == Code::kInvalidModel && outcome.Names("'n'")));
  }
  for (const char* bad : {R"({"x":0})", R"({"x":-1e-5})", R"({"x":"1"})", R"({"x":1e999})", R"({"x":NaN})"}) {
    CHECK(With(bad, [](Config& c) { c.Positive("x"); }).code == Code::kInvalidModel);
  }
  CHECK(With(R"({"b":1})", [](Config& c) { c.Flag("b", false); }).code == Code::kInvalidModel);
  CHECK(With(R"({"t":1})", [](Config& c) { c.Text("t", ""); }).code == Code::kInvalidModel);
  CHECK(With(R"({"o":1})", [](Config& c) { c.Object("o"); }).code == Code::kInvalidModel);
  const Outcome nested = With(R"({"o":{"k":"z"}})", [](Config& c) {
    c.Object("o")->Choice("k", {"x", "y"}, "x");
  });
  CHECK((nested.code == Code::kUnsupported && nested.Names("'o.k'") && nested.Names("x, y")));
  CHECK(With(R"({"a":1,"a":2})", [](Config& c) { c.Count("a"); }).Names("duplicate key 'a'"));
}

TEST_CASE("fields that stand there and change nothing are told, those of objects inside, too") {
  const Json object = ParseJsonObject(R"({"n": 3, "noted": 1, "absent": null, "inner": {"m": 2, "dropout": 0.1}})", "config.json");
  Config config(object, "config.json");
  config.Ignore({"noted", "absent", "elsewhere", "n"});
  CHECK(config.Count("n") == 3);  // asked for, whatever was said before
  std::optional<Config> inner = config.Object("inner");
  REQUIRE(inner);
  CHECK(inner->Count("m") == 2);
  inner->Ignore({"dropout"});
  inner->Finish();
  config.Finish();
  CHECK(config.without_effect() == std::vector<std::string>{"inner.dropout", "noted"});
}

TEST_CASE("llama: fields that change the mathematics are refused by name") {
  CHECK(Llama({}).code == Code::kOk);
  CHECK(Llama({{"rope_scaling", nullptr},
               {"attention_dropout", 0.1},
               {"_name_or_path", "x"},
               {"use_cache", true}})
            .code == Code::kOk);
  struct Case {
    Json change;
    const char* field;
  };
  const Case cases[] = {
      {{{"rope_scaling", {{"type", "ntk"}, {"factor", 4}}}}, "rope_scaling.type"},
      {{{"rope_scaling", {{"type", "yarn"}}}}, "rope_scaling.factor"},
      {{{"rope_scaling", {{"type", "yarn"}, {"factor", 4}, {"beta_fast", 1}, {"beta_slow", 2}}}},
       "rope_scaling.beta_fast"},
      {{{"rope_scaling", {{"type", "yarn"}, {"factor", 4}, {"finetuned", true}}}}, "rope_scaling.finetuned"},
      {{{"rope_scaling", {{"type", "longrope"}, {"short_factor", {1.0}}, {"long_factor", {1.0}}}}},
       "rope_scaling.short_factor"},
      {{{"rope_scaling", {{"type", "longrope"}, {"short_factor", {-1.0}}}}}, "rope_scaling.short_factor"},
      {{{"rope_scaling", {{"rope_type", "dynamic"}, {"alpha", 4}}}}, "rope_scaling.factor"},
      {{{"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 4}, {"alpha", 4}}}}, "rope_scaling.alpha"},
      {{{"rope_scaling", {{"rope_type", "linear"}, {"factor", 4}, {"mscale", 2}}}}, "rope_scaling.mscale"},
      {{{"rope_scaling", {{"rope_type", "linear"}}}}, "rope_scaling.factor"},
      {{{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}}}}, "rope_scaling.low_freq_factor"},
      {{{"rope_scaling", {{"rope_type", "linear"}, {"type", "dynamic"}, {"factor", 4}}}},
       "rope_scaling.type"},
      {{{"rope_parameters", {{"rope_theta", 5.0}, {"rope_type", "default"}}}}, "rope_theta"},
      {{{"rope_parameters", {{"partial_rotary_factor", 0.5}, {"rope_type", "default"}}}},
       "rope_parameters.partial_rotary_factor"},
      {{{"rope_interleaved", true}}, "rope_interleaved"},
      {{{"partial_rotary_factor", 0.5}}, "partial_rotary_factor"},
      {{{"sliding_window", 16}}, "sliding_window"},
      {{{"attention_multiplier", 0.5}}, "attention_multiplier"},
      {{{"hidden_act", "mish"}}, "hidden_act"},
      {{{"quantization_config", {{"bits", 4}}}}, "quantization_config"},
      {{{"model_type", "mamba"}}, "model_type"},
      {{{"model_type", nullptr}}, "model_type"},
      {{{"num_key_value_heads", 3}}, "num_key_value_heads"},
      {{{"num_attention_heads", 5}}, "num_attention_heads"},
      {{{"kv_sharing", "q_k"}}, "kv_sharing"},
      {{{"key_rotation", "sideways"}}, "key_rotation"},
      {{{"vocab_size", nullptr}}, "vocab_size"},
      {{{"is_encoder_decoder", true}}, "is_encoder_decoder"},
  };
  Json plain = LlamaConfig();
  const std::vector<TestTensor> tensors = LlamaTensors(plain);
  for (const Case& c : cases) {
    Json config = plain;
    config.Update(c.change);
    INFO(JsonText(c.change));
    const Outcome outcome = ConvertOutcome(WriteModel("config_case", config, tensors));
    INFO(outcome.message);
    CHECK(outcome.code != Code::kOk);
    CHECK(outcome.Names("config.json"));
    CHECK(outcome.Names("'" + std::string(c.field) + "'"));
  }
}

// Expected numbers: the formula of transformers' _compute_yarn_parameters, worked out apart from this code.
TEST_CASE("yarn: divisors with rounded and with plain limits") {
  const std::vector<float> rounded = {1, 1.333333f, 2, 4, 4, 4, 4, 4};
  const std::vector<float> plain = {1, 1, 1, 1.227039f, 3.025515f, 8, 8, 8};
  const std::vector<float> a = YarnDivisors(16, 10000.0, 4, 32, 1, 64, true),
                           b = YarnDivisors(16, 10000.0, 8, 16, 2, 2048, false);
  REQUIRE((a.size() == 8 && b.size() == 8));
  for (size_t i = 0; i < 8; ++i) {
    CHECK(std::fabs(a[i] - rounded[i]) < 2e-6);
    CHECK(std::fabs(b[i] - plain[i]) < 2e-6);
  }
}

TEST_CASE("llama3 scaling: kept, blended and divided frequencies") {
  // Llama 3.2: theta 5e5, factor 32, low 1, high 4, 8192 positions, width 64.
  const std::vector<float> divisors = Llama3Divisors(64, 500000.0, 32, 1, 4, 8192);
  REQUIRE(divisors.size() == 32);
  CHECK(divisors.front() == 1.0f);
  CHECK(divisors.back() == 32.0f);
  size_t kept = 0, divided = 0, blended = 0;
  for (size_t i = 0; i < divisors.size(); ++i) {
    if (i > 0) CHECK(divisors[i] >= divisors[i - 1]);
    (divisors[i] == 1.0f ? kept : divisors[i] == 32.0f ? divided : blended)++;
  }
  // By hand: wavelength 2 pi 5e5^(i / 32) passes 2048 at i = 14.1 and 8192 at i = 17.5.
  CHECK(kept == 15);
  CHECK(blended == 3);
  CHECK(divided == 14);
  const double wavelength = 2 * 3.14159265358979323846 * std::pow(500000.0, 16.0 / 32);
  const double smooth = (8192 / wavelength - 1) / 3;
  CHECK(std::fabs(1 / divisors[16] - ((1 - smooth) / 32 + smooth)) < 1e-7);
}
