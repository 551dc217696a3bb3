// Model files whose JSON is made to hurt, through the whole conversion: a named error within a moment, never a crash.
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdlib>

#include "targets/convert/tokenizers/tokenizers.h"
#include "tests/convert/import_testing.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// Measured at -O3 on an idle machine: at most 0.1 s, and 2 s for the largest header. The limit is for sanitizers, emulators
// and a busy machine; what it replaced took 33 s for the second case and overran the stack in the first.
constexpr double kLimitSeconds = 20;

std::string Repeated(const std::string& text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

std::string Nested(size_t levels) { return Repeated("[", levels) + Repeated("]", levels); }

// A text in the place of a value.
std::string With(const Json& object, const std::string& key, const std::string& value) {
  std::string text = JsonText(object);
  text.pop_back();
  return text + ",\"" + key + "\":" + value + "}";
}

Outcome Timed(const std::function<Outcome()>& run) {
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = run();
  CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < kLimitSeconds);
  return outcome;
}

TEST_CASE("deep nesting is refused in every file, by file and place") {
  const std::string deep = Nested(80'000);
  const fs::path folder = WriteModel("deep", LlamaConfig(), LlamaTensors(LlamaConfig()));
  const auto refused = [&](const char* file) {
    const Outcome outcome = Timed([&] { return ConvertOutcome(folder); });
    INFO(outcome.message);
    CHECK(outcome.code == Code::kInvalidModel);
    CHECK(outcome.Names(file));
    CHECK(outcome.Names("line 1, column "));
    CHECK(outcome.Names("nested deeper than 64 levels"));
  };
  WriteFile(folder / "config.json", With(LlamaConfig(), "unknown", deep));
  refused("config.json");
  WriteFile(folder / "config.json", JsonText(LlamaConfig()));

  const std::string sound = ReadFile(folder / "model.safetensors");
  const std::string entry = "{\"dtype\":\"F32\",\"data_offsets\":[0,0],\"shape\":" + deep + "}";
  WriteFile(folder / "model.safetensors", SafetensorsBytes("{\"x\":" + entry + "}", ""));
  refused("model.safetensors");
  fs::remove(folder / "model.safetensors");
  WriteFile(folder / "model.safetensors.index.json", "{\"weight_map\":{\"x\":" + deep + "}}");
  refused("model.safetensors.index.json");
  fs::remove(folder / "model.safetensors.index.json");

  WriteFile(folder / "model.safetensors", sound);
  WriteFile(folder / "tokenizer.json", "{\"model\":{\"type\":\"BPE\"},\"pre_tokenizer\":" + deep + "}");
  refused("tokenizer.json");
  fs::remove(folder / "tokenizer.json");
  WriteFile(folder / "tokenizer_config.json", "{\"chat_template\":" + deep + "}");
  refused("tokenizer_config.json");
}

TEST_CASE("a long list of empty objects takes no longer than any other text") {
  const fs::path folder = WriteModel("objects", LlamaConfig(), LlamaTensors(LlamaConfig()));
  WriteFile(folder / "config.json", With(LlamaConfig(), "task_specific_params", "[{}" + Repeated(",{}", 350'000) + "]"));
  const Outcome outcome = Timed([&] { return ConvertOutcome(folder); });
  INFO(outcome.message);
  CHECK(outcome.code == Code::kOk);
}

TEST_CASE("a safetensors header of 30 MB is read within a moment") {
  const fs::path folder = WriteModel("header", LlamaConfig(), LlamaTensors(LlamaConfig()));
  const std::string prefix = ",\"" + std::string(80, 't');
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}";
  for (size_t i = 0; header.size() < 30'000'000; ++i)
    header += prefix + std::to_string(i) + "\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}";
  WriteFile(folder / "model.safetensors", SafetensorsBytes(header + "}", ""));
  const Outcome outcome = Timed([&] { return ConvertOutcome(folder); });
  INFO(outcome.message);
  CHECK(outcome.code != Code::kOk);
  CHECK(outcome.Names("is missing"));
}

}  // namespace
