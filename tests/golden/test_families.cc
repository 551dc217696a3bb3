// Families whose layers are made of other blocks, from checkpoints of their published shape: every position's logits or hidden
// rows as the reference has them, in one pass, token by token, behind a saved state, beside another sequence.
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "tests/golden/golden.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr double kTolerance = 2e-4;
using Expected = std::vector<std::vector<double>>;

struct Family {
  std::string name, path;
  std::vector<int32_t> ids;
  Expected rows;
};

// Of the shared data; empty where it is not there.
std::vector<Family> Families(std::initializer_list<const char*> names, const char* rows) {
  std::vector<Family> found;
  for (const char* name : names) {
    const std::string folder = SharedDataPath(std::string("golden/families/") + name);
    if (folder.empty()) continue;
    const Json expected = ReadJson(folder + "/expected.json");
    found.push_back({name, ConvertTo(name, folder, WeightType::kF32), As<std::vector<int32_t>>(expected["ids"]),
                     As<Expected>(expected[rows])});
  }
  return found;
}

}  // namespace

TEST_CASE("decoders made of other blocks") {
  const std::vector<Family> families = Families({"lfm2", "lfm2_moe", "mamba2", "mixtral", "olmoe", "qwen3_moe"}, "logits");
  if (families.empty()) SKIP("golden/families is not in the shared data");
  for (const Family& f : families) {
    INFO(f.name);
    for (const char* kernels : {static_cast<const char*>(nullptr), "scalar"}) {
      ApiOptions options = CacheOptions(THIMBLE_CACHE_F32);
      options.kernels = kernels;
      options.threads = 2;
      Runner whole(f.path, options);
      const auto at_once = whole.Prefill(f.ids);
      CHECK(MaxDifference(at_once, f.rows) < kTolerance);
      // Cuts and threads change no bit.
      options.threads = 1;
      options.chunk_tokens = 7;
      Runner pieces(whole, options);
      CHECK(MaxDifference(pieces.Prefill(f.ids), at_once) == 0);
      Runner single(whole, options);
      CHECK(MaxDifference(single.DecodeEach(f.ids), at_once) == 0);

      // Back a few tokens, and on behind a saved state.
      const long half = static_cast<long>(f.ids.size() / 2);
      const std::vector<int32_t> rest(f.ids.begin() + half, f.ids.end());
      const std::vector<std::vector<float>> rest_rows(at_once.begin() + half, at_once.end());
      single.Rewind(static_cast<size_t>(half));
      std::vector<char> state;
      Check(SaveState(single.session(), &state));
      CHECK(MaxDifference(single.Prefill(rest), rest_rows) == 0);
      Runner loaded(whole, options);
      Check(LoadState(loaded.session(), state.data(), state.size()));
      CHECK(MaxDifference(loaded.Prefill(rest), rest_rows) == 0);
    }
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
    CHECK(MaxDifference(runner.EncodeRows(As<std::vector<int32_t>>(expected["ids"])), As<Expected>(expected["hidden"])) < kTolerance);
  }
}
