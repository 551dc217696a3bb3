// Fixtures of the families as GGUF files, which the converter of the format's own project wrote in floats
// (gguf_families/make.py), or gguf's own writer from what it does not take (write.py): the logits, or hidden rows, of the models that they were made from.
#include <catch2/catch_test_macros.hpp>
#include <algorithm>

#include "targets/convert/import_error.h"
#include "tests/golden/golden.h"

using namespace thimble;
using namespace thimble::test;

namespace {

constexpr double kTolerance = 2e-4;

std::vector<std::filesystem::path> GgufFiles() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(THIMBLE_GOLDEN_DIR) / "gguf_families")) {
    if (entry.path().extension() == ".gguf") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

TEST_CASE("GGUF: the families' architectures give their fixtures' numbers") {
  const Json expected = ReadJson(std::filesystem::path(THIMBLE_GOLDEN_DIR) / "gguf_families" / "last_rows.json");
  for (const std::filesystem::path& file : GgufFiles()) try {
    const std::string name = file.stem().string();
    INFO(name);
    const Json& one = expected[name];
    const auto ids = As<std::vector<int32_t>>(one["ids"]);
    ApiOptions options = CacheOptions(THIMBLE_CACHE_F32);
    options.threads = 1;
    options.context_tokens = static_cast<uint32_t>(ids.size());
    Runner runner(ConvertTo(name + "-gguf-family", file, WeightType::kF32), options);
    if (one.Has("embedding")) {  // dense layers behind the pooling are the head
      std::vector<float> vector(runner.outputs());
      Check(Call(thimble_embed, runner.session(), ids.data(), ids.size(), THIMBLE_POOLING_MODEL, vector.data(), vector.size()));
      CHECK(MaxDifference(std::vector<std::vector<float>>{vector}, std::vector<std::vector<double>>{As<std::vector<double>>(one["embedding"])}) < 1e-5);
      continue;
    }
    const auto last = As<std::vector<std::vector<double>>>(one["last"]);  // those of the last positions
    auto rows = InfoOf(runner.model()).is_decoder ? runner.Prefill(ids) : runner.EncodeRows(ids);
    rows.erase(rows.begin(), rows.end() - static_cast<long>(last.size()));
    CHECK(MaxDifference(rows, last) < kTolerance);
  } catch (const ImportError& error) {
    FAIL_CHECK(error.what());
  }
}
