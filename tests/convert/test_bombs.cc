// Small files that ask for a lot: each ends with the name of the limit that it passed, before the work is done.
#include <sys/resource.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "targets/convert/checkpoint.h"
#include "targets/convert/family.h"
#include "targets/convert/gguf_file.h"
#include "targets/convert/json_file.h"
#include "targets/convert/llama2c_file.h"
#include "targets/convert/torch_file.h"
#include "tests/convert/gguf_testing.h"
#include "tests/convert/torch_testing.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

uint64_t PeakBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

// Opens the file; how much memory the process took beyond what it had.
template <typename Open>
Outcome OpenBomb(const std::string& name, const std::string& bytes, Open open, uint64_t most_bytes) {
  const fs::path path = FreshFolder("bombs") / name;
  WriteFile(path, bytes);
  const uint64_t before = PeakBytes();
  const Outcome outcome = OutcomeOf([&] { open(path); });
  INFO(outcome.message);
  CHECK(outcome.Names(name));
  CHECK(PeakBytes() - before < most_bytes);
  return outcome;
}

Outcome OpenTorch(const std::string& bytes, uint64_t most_bytes = 450u << 20) {
  return OpenBomb("model.pt", bytes, [](const fs::path& path) { TorchCheckpoint::Open(path); }, most_bytes);
}

std::string Little64(uint64_t value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

}  // namespace

TEST_CASE("archives that unpack to much more than they are") {
  // The pickle: 20 MB of None in 120 KB.
  ZipWriter pickle;
  pickle.AddRun("archive/data.pkl", 'N', 20u << 20);
  Outcome outcome = OpenTorch(pickle.Bytes(), 32u << 20);
  CHECK(outcome.code == Code::kInvalidModel);
  CHECK(outcome.Names("entry 'archive/data.pkl'"));
  CHECK(outcome.Names("unpacks to 20971520 bytes; the limit"));
  // A storage of zeros.
  PickleWriter tensor;
  tensor.Raw("}").Text("w").Tensor("FloatStorage", "0", 16u << 20, 0, {16u << 20}, {1}).Raw("s");
  ZipWriter zeros;
  zeros.Add("archive/data.pkl", tensor.Done());
  zeros.AddRun("archive/data/0", '\0', 64u << 20);
  outcome = OpenTorch(zeros.Bytes(), 32u << 20);
  CHECK(outcome.code == Code::kInvalidModel);
  CHECK(outcome.Names("entry 'archive/data/0'"));
  CHECK(outcome.Names("save it anew"));
}

TEST_CASE("archives with more entries than any checkpoint") {
  ZipWriter zip;
  zip.Add("archive/data.pkl", "\x80\2N.");
  std::string bytes = zip.Bytes();
  // As ZIP64, where the number has 64 bits: its directory record, where that is, and then the old record.
  const std::string end = bytes.substr(bytes.size() - 22);
  bytes.resize(bytes.size() - 22);
  uint32_t directory_size = 0, directory_offset = 0;
  std::memcpy(&directory_size, end.data() + 12, 4);
  std::memcpy(&directory_offset, end.data() + 16, 4);
  const uint64_t record = bytes.size(), entries = 200000;
  bytes += "PK\6\6" + Little64(44) + std::string(12, '\0') + Little64(entries) + Little64(entries) +
           Little64(directory_size) + Little64(directory_offset);
  bytes += "PK\6\7" + std::string(4, '\0') + Little64(record) + std::string("\1\0\0\0", 4) + end;
  const Outcome outcome = OpenTorch(bytes);
  CHECK(outcome.code == Code::kInvalidModel);
  CHECK(outcome.Names("has 200000 entries, expected at most 131072"));
}

TEST_CASE("pickles whose values take more than their bytes") {
  const auto open = [](const PickleWriter& pickle) { return OpenTorch(TorchArchive(pickle.Done(), {})); };
  using P = PickleWriter;
  const std::string text = "builds more values than its length explains: the limit for ";
  CHECK(open(P().Raw(std::string(20u << 20, ']'))).Names(text));
  CHECK(open(P().Raw(std::string(20u << 20, ')'))).Names(text));
  CHECK(open(P().Raw("N" + std::string(20u << 20, '\x94'))).Names(text));  // the memo
  // A tensor of sixteen dimensions made again and again out of the memo.
  const std::vector<uint64_t> ones(16, 1);
  P again;
  again.Global("torch._utils", "_rebuild_tensor_v2").Raw("q\1(").Storage("FloatStorage", std::string(200, 'k'), 1);
  again.Int(0).Ints(ones).Ints(ones).Raw("\x89Ntq\2R");
  for (int i = 0; i < 200000; ++i) again.Raw("h\1h\2R");
  CHECK(open(again).Names(text));
  // What a large model's state_dict has is far from the limit: 5,000 tensors.
  P model;
  model.Raw("}(");
  for (int i = 0; i < 5000; ++i) model.Text("layer." + std::to_string(i)).Tensor("FloatStorage", "0", 1, 0, {1, 1}, {1, 1});
  const fs::path path = FreshFolder("bombs") / "model.pt";
  WriteFile(path, TorchArchive(model.Raw("u").Done(), {{"0", std::string(4, '\0')}}));
  CHECK(OutcomeOf([&] { TorchCheckpoint::Open(path); }).code == Code::kOk);
}

TEST_CASE("tensors that see the same storage again and again") {
  const auto open = [](int count) {
    PickleWriter pickle;
    pickle.Raw("}(");
    for (int i = 0; i < count; ++i) pickle.Text("w" + std::to_string(i)).Tensor("FloatStorage", "0", 4096, 0, {4096}, {1});
    const fs::path path = FreshFolder("bombs") / "model.pt";
    WriteFile(path, TorchArchive(pickle.Raw("u").Done(), {{"0", std::string(16384, '\0')}}));
    return OutcomeOf([&] { TorchCheckpoint::Open(path); });
  };
  CHECK(open(48).code == Code::kOk);
  const Outcome outcome = open(400);
  CHECK(outcome.code == Code::kInvalidModel);
  CHECK(outcome.Names("more than the 64 times that are allowed"));
}

TEST_CASE("more tensors than any model") {
  // llama2.c: each layer of width 2 has nine tensors in 104 bytes.
  const int32_t layers = 30000;
  const int32_t header[7] = {2, 1, layers, 1, 1, 1, 1};
  std::string bytes(reinterpret_cast<const char*>(header), sizeof header);
  bytes.resize(bytes.size() + 4 * (2 + 26 * size_t{layers} + 2 + 2));
  const Outcome outcome =
      OpenBomb("model.bin", bytes, [](const fs::path& path) { Llama2cCheckpoint::Open(path); }, 256u << 20);
  CHECK(outcome.code == Code::kInvalidModel);
  CHECK(outcome.Names("one more than the 262144 that are allowed"));
}

TEST_CASE("GGUF: more keys and more elements than any model") {
  const auto open = [](const GgufWriter& file) {
    return OpenBomb("model.gguf", file.Bytes(), [](const fs::path& path) { GgufCheckpoint::Open(path); }, 256u << 20);
  };
  GgufWriter keys;
  for (int i = 0; i <= 65536; ++i) keys.Bool("k" + std::to_string(i), true);
  Outcome outcome = open(keys);
  CHECK(outcome.code == Code::kInvalidModel);
  CHECK(outcome.Names("header key count: found 65537, expected at most 65536"));
  GgufWriter elements;
  for (int i = 0; i < 5; ++i) elements.Array<uint8_t>("a" + std::to_string(i), 0, std::vector<uint8_t>(1u << 20));
  outcome = open(elements);
  CHECK(outcome.code == Code::kInvalidModel);
  CHECK(outcome.Names("field 'a4': more than 4194304 elements"));
}

TEST_CASE("configurations that ask for tables before there are tensors") {
  const auto plan = [](const char* fixture, const Json& changes) {
    const fs::path folder = FreshFolder("bombs");
    fs::copy(fs::path(THIMBLE_GOLDEN_DIR) / fixture, folder, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    Json config = ParseJson(ReadFile(folder / "config.json"));
    config.Update(changes);
    WriteFile(folder / "config.json", JsonText(config));
    return ConvertOutcome(folder);
  };
  const uint32_t most = 2147483646;
  for (const char* fixture : {"gemma2", "gemma3", "qwen2_swa", "llama"}) {
    CHECK(plan(fixture, {{"num_hidden_layers", most}, {"layer_types", nullptr}})
              .Names("field 'num_hidden_layers': found 2147483646, expected a whole number from 1 to 1024"));
  }
  CHECK(plan("llama3_rope", {{"head_dim", most}}).Names("field 'head_dim': found 2147483646, expected"));
  CHECK(plan("gemma4_k_eq_v", {{"global_head_dim", most}}).Names("field 'global_head_dim': found 2147483646"));
  CHECK(plan("llama3_rope", {{"hidden_size", most}, {"head_dim", nullptr}}).Names("field 'hidden_size': found 2147483646"));
}
