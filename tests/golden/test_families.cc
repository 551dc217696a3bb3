// Every fixture of the shared data's families, small checkpoints of published shape: what agrees with the reference is named here,
// so that it cannot be lost, and what does not yet is printed with the reason. Decoders: every position's logits in one pass, token
// by token, in odd pieces, behind a saved state, beside other texts in one step, with both kinds of kernels.
#include <catch2/catch_test_macros.hpp>
#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include "targets/convert/import_error.h"
#include "tests/golden/golden.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr double kTolerance = 2e-4;
using Expected = std::vector<std::vector<double>>;

constexpr std::string_view kAgreeing[] = {
    "apertus", "arcee", "bert", "bitnet", "bitnet_packed", "cohere", "cohere2", "deepseek_v3", "embedding_gemma2", "embeddinggemma",
    "ernie4_5", "eurobert", "exaone4", "falcon_h1", "gemma3_wrapper", "gemma3n", "gemma4_moe", "gemma4_ple", "gemma4_unified",
    "gemma4_wrapper", "glm", "glm4", "gpt_oss", "gpt_oss_mxfp4", "granite", "granite4_dense", "granite_swa", "granitemoe",
    "granitemoehybrid", "helium", "hrm_text", "hunyuan_v1_dense", "lfm2", "lfm2_moe", "lfm2_vl", "lfm3", "lfm3_vl", "llama_bitnet", "mamba2",
    "minicpm3", "ministral", "ministral3", "mistral3", "mixtral", "modernbert", "nanochat", "nemotron_h", "nomic_bert",
    "olmo3", "olmo_hybrid", "olmoe", "phi3_longrope_long", "phi3_longrope_short", "qwen3_5_text", "qwen3_5_wrapper",
    "qwen3_embedding", "qwen3_moe", "qwen3_next", "qwen3_vl", "seed_oss", "smollm3", "smolvlm", "starcoder2",
    "vaultgemma", "xlm_roberta", "youtu",
};

struct Outcome {
  double difference = 0;   // from the reference
  double cuts = 0;         // between one pass and others: must be 0
  std::string refused;
};

// One decoder in all the ways that must give the same bits.
double DifferenceOfCuts(Runner& whole, ApiOptions options, const std::vector<int32_t>& ids, const std::vector<std::vector<float>>& rows) {
  options.threads = 1;
  options.chunk_tokens = 7;
  Runner pieces(whole, options);
  double worst = MaxDifference(pieces.Prefill(ids), rows);
  Runner single(whole, options);
  worst = std::max(worst, MaxDifference(single.DecodeEach(ids), rows));
  // Back a few tokens, and on behind a saved state.
  const long half = static_cast<long>(ids.size() / 2);
  const std::vector<int32_t> rest(ids.begin() + half, ids.end());
  const std::vector<std::vector<float>> rest_rows(rows.begin() + half, rows.end());
  single.Rewind(static_cast<size_t>(half));
  std::vector<char> state;
  Check(SaveState(single.session(), &state));
  worst = std::max(worst, MaxDifference(single.Prefill(rest), rest_rows));
  Runner loaded(whole, options);
  Check(LoadState(loaded.session(), state.data(), state.size()));
  return std::max(worst, MaxDifference(loaded.Prefill(rest), rest_rows));
}

// Three texts of one engine, each somewhere else: what lies behind the last id of each after every step.
double DifferenceOfSteps(Runner& whole, ApiOptions options, const std::vector<int32_t>& ids, const std::vector<std::vector<float>>& rows) {
  constexpr size_t kTexts = 3;
  options.max_sessions = kTexts;
  options.chunk_tokens = 8;  // passes end inside of a text's part
  thimble_engine* engine = nullptr;
  Check(Call(thimble_engine_create, whole.model(), &options, &engine));
  thimble_session* sessions[kTexts];
  for (thimble_session*& session : sessions) Check(Call(thimble_session_open, engine, &session));
  size_t done[kTexts] = {};
  double worst = 0;
  for (size_t step = 0; std::any_of(std::begin(done), std::end(done), [&](size_t n) { return n < ids.size(); }); ++step) {
    std::vector<thimble_span> spans;
    std::vector<size_t> texts;
    for (size_t i = 0; i < kTexts; ++i) {
      const size_t count = std::min((step * (i + 1) + i) % 7, ids.size() - done[i]);
      if (count == 0) continue;
      spans.push_back({sizeof(thimble_span), -1, sessions[i], ids.data() + done[i], count});
      texts.push_back(i);
      done[i] += count;
    }
    Check(Call(thimble_step, engine, spans.data(), spans.size()));
    for (const size_t i : texts) {
      const float* logits = LogitsOf(sessions[i]);
      worst = std::max(worst, MaxDifference(std::vector<std::vector<float>>{{logits, logits + rows[0].size()}},
                                            std::vector<std::vector<float>>{rows[done[i] - 1]}));
    }
  }
  thimble_engine_close(engine);
  return worst;
}

std::vector<double> WithLengthOne(std::vector<double> v) {
  double square = 0;
  for (const double e : v) square += e * e;
  for (double& e : v) e /= std::sqrt(square);
  return v;
}

double Apart(const std::vector<float>& a, const std::vector<double>& b) {
  return MaxDifference(std::vector<std::vector<float>>{a}, std::vector<std::vector<double>>{b});
}

std::vector<float> Embedding(Runner& runner, const std::vector<int32_t>& ids, int32_t pooling) {
  std::vector<float> vector(runner.outputs());
  Check(Call(thimble_embed, runner.session(), ids.data(), ids.size(), pooling, vector.data(), vector.size()));
  return vector;
}

Outcome Compare(const std::filesystem::path& folder) {
  const Json expected = ReadJson(folder / "expected.json");
  const auto ids = As<std::vector<int32_t>>(expected["ids"]);
  const auto reference = As<Expected>(expected[expected.Has("hidden") ? "hidden" : "logits"]);
  Outcome out;
  try {
    const std::string path = ConvertTo(folder.filename().string(), folder, WeightType::kF32);
    for (const char* kernels : {static_cast<const char*>(nullptr), "scalar"}) {
      ApiOptions options = CacheOptions(THIMBLE_CACHE_F32);
      options.kernels = kernels;
      options.threads = 2;
      options.context_tokens = static_cast<uint32_t>(ids.size());
      Runner whole(path, options);
      const bool decoder = InfoOf(whole.model()).is_decoder;
      const auto rows = decoder ? whole.Prefill(ids) : whole.EncodeRows(ids);
      if (rows[0].size() != reference[0].size() && expected.Has("embedding")) {
        // Dense layers behind the pooling are the head: what they make of all rows is compared.
        out.difference = std::max(out.difference, Apart(Embedding(whole, ids, THIMBLE_POOLING_MODEL), As<std::vector<double>>(expected["embedding"])));
        continue;
      }
      out.difference = std::max(out.difference, MaxDifference(rows, reference));
      if (decoder) out.cuts = std::max({out.cuts, DifferenceOfCuts(whole, options, ids, rows), DifferenceOfSteps(whole, options, ids, rows)});
    }
  } catch (const ImportError& error) {
    out.refused = error.what();
  } catch (const std::runtime_error& error) {
    out.refused = error.what();
  }
  out.refused = out.refused.substr(0, out.refused.find(", expected one of"));
  const size_t place = out.refused.find(folder.string());
  if (place != std::string::npos) out.refused.erase(place, folder.string().size() + 1);
  return out;
}

}  // namespace

TEST_CASE("families of the shared data") {
  const std::string root = SharedDataPath("golden/families");
  if (root.empty()) SKIP("golden/families is not in the shared data");
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (std::filesystem::exists(entry.path() / "expected.json")) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  size_t agree = 0;
  for (const std::filesystem::path& folder : folders) {
    const std::string name = folder.filename().string();
    const Outcome out = Compare(folder);
    const bool agrees = out.refused.empty() && out.difference < kTolerance && out.cuts == 0;
    agree += agrees;
    INFO(name << ": " << out.refused << " differs by " << out.difference << ", cuts by " << out.cuts);
    CHECK(agrees == (std::find(std::begin(kAgreeing), std::end(kAgreeing), name) != std::end(kAgreeing)));
    if (agrees) continue;
    if (out.refused.empty()) std::printf("%-20s differs by %.2g, cuts by %.2g\n", name.c_str(), out.difference, out.cuts);
    else std::printf("%-20s refused: %s\n", name.c_str(), out.refused.c_str());
  }
  std::printf("%zu of %zu agree\n", agree, folders.size());
}

// The same families with other dimensions and the options that those fixtures leave alone (siblings/make.py); small, and our own.
TEST_CASE("siblings of the families") {
  for (const auto& entry : std::filesystem::directory_iterator(std::string(THIMBLE_GOLDEN_DIR) + "/siblings")) {
    if (!entry.is_directory()) continue;
    const Outcome out = Compare(entry.path());
    INFO(entry.path().filename().string() << ": " << out.refused << " differs by " << out.difference << ", cuts by " << out.cuts);
    CHECK((out.refused.empty() && out.difference < kTolerance && out.cuts == 0));
  }
}

TEST_CASE("encoders with norms behind the sums") {
  const std::string folder = std::string(THIMBLE_GOLDEN_DIR) + "/bert";
  const Json expected = ReadJson(folder + "/expected.json");
  const std::string path = ConvertTo("bert", folder, WeightType::kF32);
  for (const char* kernels : {static_cast<const char*>(nullptr), "scalar"}) {
    ApiOptions options = CacheOptions(THIMBLE_CACHE_F32);
    options.kernels = kernels;
    options.threads = 2;
    Runner runner(path, options);
    const auto ids = As<std::vector<int32_t>>(expected["ids"]);
    CHECK(MaxDifference(runner.EncodeRows(ids), As<Expected>(expected["hidden"])) < kTolerance);
    const auto hidden = As<Expected>(expected["hidden"]);
    CHECK(Apart(Embedding(runner, ids, THIMBLE_POOLING_MODEL), As<std::vector<double>>(expected["embedding"])) < 1e-6);
    CHECK(Apart(Embedding(runner, ids, THIMBLE_POOLING_FIRST), WithLengthOne(hidden.front())) < 1e-5);
    CHECK(Apart(Embedding(runner, ids, THIMBLE_POOLING_LAST), WithLengthOne(hidden.back())) < 1e-5);
    const size_t width = runner.outputs();
    std::vector<float> vector(width);
    const auto code = [&](int32_t pooling, size_t length) {
      return Call(thimble_embed, runner.session(), ids.data(), ids.size(), pooling, vector.data(), length).code;
    };
    CHECK(code(THIMBLE_POOLING_MEAN, width - 1) == THIMBLE_INVALID_ARGUMENT);
    CHECK((code(4, width) == THIMBLE_INVALID_ARGUMENT && code(-1, width) == THIMBLE_INVALID_ARGUMENT));
    CHECK(Call(thimble_embed, runner.session(), ids.data(), ids.size(), THIMBLE_POOLING_MODEL, static_cast<float*>(nullptr), width).code ==
          THIMBLE_INVALID_ARGUMENT);
  }
}

// Pooling and dense layers as the folders of sentence-transformers describe them; Qwen3-Embedding's has none here.
TEST_CASE("sentence vectors of the shared data") {
  const std::string root = SharedDataPath("golden/families");
  if (root.empty()) SKIP("golden/families is not in the shared data");
  for (const auto& [name, pooling] : {std::pair{"embeddinggemma", THIMBLE_POOLING_MODEL}, std::pair{"bert", THIMBLE_POOLING_MODEL},
                                      std::pair{"qwen3_embedding", THIMBLE_POOLING_LAST}}) {
    INFO(name);
    const Json expected = ReadJson(root + "/" + name + "/expected.json");
    const auto ids = As<std::vector<int32_t>>(expected["ids"]);
    ApiOptions options = CacheOptions(THIMBLE_CACHE_F32);
    options.context_tokens = static_cast<uint32_t>(ids.size());
    Runner runner(ConvertTo(std::string(name) + "-embed", root + "/" + name, WeightType::kF32), options);
    CHECK(Apart(Embedding(runner, ids, pooling), As<std::vector<double>>(expected["embedding"])) < 1e-5);
  }
}
