// Small checkpoints written to disk, valid or broken on purpose, and what an import says about them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "format/model_file.h"
#include "format/writer.h"
#include "targets/convert/import_error.h"
#include "tests/support/json_testing.h"

namespace thimble::test {

namespace fs = std::filesystem;

struct TestTensor {
  std::string name;
  std::vector<uint64_t> shape;
  std::vector<float> values;
};

// Values uniform in [-0.5, 0.5); the same name and shape give the same values.
TestTensor RandomTensor(const std::string& name, const std::vector<uint64_t>& shape);

void WriteFile(const fs::path& path, const std::string& bytes);
std::string ReadFile(const fs::path& path);

// 8 bytes of length, the header as given, the data.
std::string SafetensorsBytes(const std::string& header, const std::string& data);
// A valid file of F32 tensors.
std::string SafetensorsBytes(const std::vector<TestTensor>& tensors);

// An empty folder of this name in the tests' temporary folder.
fs::path FreshFolder(const std::string& name);

// A model directory.
fs::path WriteModel(const std::string& name, const Json& config,
                    const std::vector<TestTensor>& tensors);

// A GPT-2-like checkpoint of the paper with the attention tensors given as (name, rows), two layers.
struct PaperModel {
  uint32_t width = 24, heads = 6, ffn = 20, vocabulary = 31, positions = 16;
  std::vector<std::pair<std::string, uint32_t>> attention;  // without c_proj
  bool bias = true;
  std::string prefix;

  Json Config() const;
  std::vector<TestTensor> Tensors() const;
};

Json LlamaConfig();
std::vector<TestTensor> LlamaTensors(const Json& config);

struct Outcome {
  Code code = Code::kOk;
  std::string message;

  bool Names(const std::string& text) const { return message.find(text) != std::string::npos; }
};

// What `run` threw, or kOk. Anything but an ImportError ends the test.
Outcome OutcomeOf(const std::function<void()>& run);
// Converts `source` to a fixed output and checks that neither it nor a temporary is there after a failure.
Outcome ConvertOutcome(const fs::path& source);

// The layers of a converted file, opened and verified by the reader.
std::vector<LayerSpec> LayersOf(const std::string& path);
ModelSpec SpecOf(const std::string& path);

}  // namespace thimble::test
