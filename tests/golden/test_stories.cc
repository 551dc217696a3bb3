// Trained models: greedy text, logits and perplexity against what their authors' float32 code gives.
#include <catch2/catch_message.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "tests/golden/golden.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// Windows of `window` ids from position 0; scores ids[begin + 1 ... begin + window] where `next_window` (the target of
// the last position is the first id of the next window), else the window's own ids alone.
struct Protocol {
  size_t window;
  bool next_window;
};

double Perplexity(const std::string& path, const std::vector<int32_t>& ids, const Protocol& protocol, int32_t cache,
                  size_t most_windows) {
  Runner runner(path, CacheOptions(cache, static_cast<uint32_t>(protocol.window)));
  double total = 0;
  size_t count = 0, windows = 0;
  for (size_t begin = 0; begin + 1 < ids.size() && windows < most_windows; begin += protocol.window, ++windows) {
    const size_t inputs = std::min(protocol.window, ids.size() - 1 - begin);
    const std::vector<int32_t> in(ids.begin() + begin, ids.begin() + begin + inputs);
    const size_t scored = protocol.next_window ? inputs : inputs - 1;
    const std::vector<int32_t> targets(ids.begin() + begin + 1, ids.begin() + begin + 1 + scored);
    NegativeLogLikelihood nll(targets, runner.outputs());
    Check(thimble_rewind(runner.session(), 0));
    Check(thimble_prefill_each(runner.session(), in.data(), in.size(), &NegativeLogLikelihood::Take, &nll));
    total += nll.total();
    count += nll.count();
  }
  return std::exp(total / static_cast<double>(count));
}

std::vector<int32_t> Greedy(Runner& runner, const std::vector<int32_t>& prompt, size_t count) {
  thimble_sampling greedy = thimble_default_options().sampling;
  greedy.temperature = 0;
  Check(thimble_set_sampling(runner.session(), &greedy));
  Check(thimble_rewind(runner.session(), 0));
  Check(thimble_prefill(runner.session(), prompt.data(), prompt.size()));
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i) {
    int32_t id = -1;
    Check(thimble_sample(runner.session(), &id));
    ids.push_back(id);
    if (i + 1 < count) Check(thimble_decode(runner.session(), id));
  }
  return ids;
}

double PercentAbove(double value, double reference) { return 100.0 * (value / reference - 1.0); }

struct Stories {
  std::string name;
  std::filesystem::path source, tokenizer;
  nlohmann::json expected;
  std::vector<int32_t> ids;
  Protocol protocol;
};

// The reference value over as many windows as a slow run takes, and all of them otherwise.
void CheckPerplexity(const Stories& s) {
  const size_t windows = IsSlowRun() ? 2 : s.expected.at("window_nll").size();
  double reference = s.expected.at("perplexity").get<double>();
  if (IsSlowRun()) {
    const auto nll = s.expected.at("window_nll").get<std::vector<double>>();
    reference = std::exp((nll[0] + nll[1]) / static_cast<double>(2 * s.protocol.window));
  }
  const double f32 = Perplexity(ConvertTo(s.name, s.source, WeightType::kF32, s.tokenizer), s.ids, s.protocol, THIMBLE_CACHE_F32, windows);
  CHECK(std::fabs(f32 - reference) < 5e-5 * reference);
  const double q8 = Perplexity(ConvertTo(s.name, s.source, WeightType::kQ8, s.tokenizer), s.ids, s.protocol, THIMBLE_CACHE_Q8, windows);
  CHECK(std::fabs(PercentAbove(q8, f32)) < (IsSlowRun() ? 1.0 : 0.3));
  const double q4 = Perplexity(ConvertTo(s.name, s.source, WeightType::kQ4, s.tokenizer), s.ids, s.protocol, THIMBLE_CACHE_Q8, windows);
  CHECK(PercentAbove(q4, f32) < 6.0);
  std::printf("%s perplexity over %zu windows: f32 %.4f (reference %.4f), q8 + q8 cache %.4f (%+.3f%%), q4 + q8 cache %.4f (%+.2f%%)\n",
              s.name.c_str(), windows, f32, reference, q8, PercentAbove(q8, f32), q4, PercentAbove(q4, f32));
}

}  // namespace

TEST_CASE("stories260K: logits, 256 greedy ids, perplexity") {
  const std::string model = SharedDataPath("models/stories260K.bin"), folder = SharedDataPath("golden/public/stories260K");
  if (model.empty() || folder.empty()) SKIP("models/stories260K.bin is not in the shared data");
  const std::string tokenizer = SharedDataPath("tokenizers/tok512.bin");
  Stories s{"stories260K", model, tokenizer, ReadJson(folder + "/expected.json"), {}, {256, true}};
  const nlohmann::json ids = ReadJson(folder + "/ids.json");
  s.ids = (ids.is_array() ? ids : ids.at("ids")).get<std::vector<int32_t>>();

  const std::string path = ConvertTo("stories260K", model, WeightType::kF32, tokenizer);
  const auto logits = s.expected.at("logits").get<std::vector<std::vector<double>>>();
  const auto logit_ids = s.expected.at("ids").get<std::vector<int32_t>>();
  Runner runner(path, CacheOptions(THIMBLE_CACHE_F32));
  CHECK(MaxDifference(runner.Prefill(logit_ids), logits) < 2e-4);
  CHECK(Greedy(runner, s.expected.at("greedy_prompt"), 256) == s.expected.at("greedy").get<std::vector<int32_t>>());
  CheckPerplexity(s);
}

TEST_CASE("stories-qmqa and stories-qkv in fp32: logits, greedy text, perplexity", "[slow]") {
  for (const char* name : {"stories-qmqa", "stories-qkv"}) {
    const std::string source = SharedDataPath(std::string("models/") + name);
    if (source.empty()) SKIP("models/stories-* are not in the shared data");
    // The same code as the other model's, and more of it than an emulator has time for.
    if (IsSlowRun() && name == std::string("stories-qkv")) continue;
    Stories s{name, source, {}, ReadJson(source + "/fixture.json"), {}, {256, true}};
    const nlohmann::json ids = ReadJson(SharedDataPath("models/stories-qmqa/ids.json"));
    s.ids = (ids.is_array() ? ids : ids.at("ids")).get<std::vector<int32_t>>();
    const auto logits = s.expected.at("logits").get<std::vector<std::vector<double>>>();
    const auto greedy = s.expected.at("greedy").get<std::vector<int32_t>>();
    const auto prompt = s.expected.at("prompt_ids").get<std::vector<int32_t>>();
    Runner runner(ConvertTo(name, source, WeightType::kF32), CacheOptions(THIMBLE_CACHE_F32));
    CHECK(MaxDifference(runner.Prefill({greedy.begin(), greedy.begin() + static_cast<long>(logits.size())}), logits) < 2e-4);
    std::vector<int32_t> text = prompt;
    const auto generated = Greedy(runner, prompt, greedy.size() - prompt.size());
    text.insert(text.end(), generated.begin(), generated.end());
    CHECK(text == greedy);
    CheckPerplexity(s);
  }
}

// The portable kernels give the same text on every machine; the ids were written by an x86 host.
TEST_CASE("the shipped model writes the same greedy text on every machine and for every number of threads") {
  const std::string path = std::string(THIMBLE_GOLDEN_DIR) + "/../../targets/cli/models/stories-qmqa.thimble";
  const auto expected = ReadJson(std::string(THIMBLE_GOLDEN_DIR) + "/stories-qmqa/shipped_greedy.json");
  const auto prompt = expected.at("prompt").get<std::vector<int32_t>>();
  const auto greedy = expected.at("greedy").get<std::vector<int32_t>>();
  for (const char* kernels : {"scalar", static_cast<const char*>(nullptr)}) {
    std::vector<int32_t> first;
    for (const uint32_t threads : {1u, 2u, 4u}) {
      INFO((kernels != nullptr ? kernels : "best") << " kernels, " << threads << " threads");
      thimble_options options = CacheOptions(THIMBLE_CACHE_Q8, 128);
      options.kernels = kernels;
      options.threads = threads;
      Runner runner(path, options);
      const auto ids = Greedy(runner, prompt, greedy.size());
      if (kernels != nullptr) CHECK(ids == greedy);
      if (threads == 1) first = ids;
      CHECK(ids == first);
    }
  }
}
