// The safetensors reader: what it reads, and every way in which a file can be broken.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>

#include "targets/convert/safetensors.h"
#include "tests/convert/import_testing.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

Outcome OpenBytes(const std::string& bytes) {
  const fs::path path = TemporaryPath("reader.safetensors");
  WriteFile(path, bytes);
  return OutcomeOf([&] { SafetensorsCheckpoint::OpenFile(path); });
}

Outcome OpenHeader(const std::string& header, size_t data_bytes) {
  return OpenBytes(SafetensorsBytes(header, std::string(data_bytes, '\0')));
}

// One tensor "w" with these fields.
Outcome OpenTensor(const std::string& fields, size_t data_bytes) {
  return OpenHeader("{\"w\":{" + fields + "}}", data_bytes);
}

template <typename T>
std::string Bytes(std::initializer_list<T> values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

}  // namespace

TEST_CASE("all float types are read as floats, by ranges") {
  const std::string header = R"({"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
                             R"("b":{"dtype":"F16","shape":[3],"data_offsets":[16,22]},)"
                             R"("c":{"dtype":"BF16","shape":[2],"data_offsets":[22,26]},)"
                             R"("d":{"dtype":"F64","shape":[],"data_offsets":[26,34]},)"
                             R"("e":{"dtype":"I64","shape":[1],"data_offsets":[34,42]},)"
                             R"("f":{"dtype":"F32","shape":[0,7],"data_offsets":[42,42]}})";
  const std::string data = Bytes<float>({1, 2, 3, 4}) + Bytes<uint16_t>({0x3c00, 0xc000, 0x0001}) +
                           Bytes<uint16_t>({0x3f80, 0xbf00}) + Bytes<double>({0.25}) + Bytes<int64_t>({7});
  const fs::path path = TemporaryPath("types.safetensors");
  WriteFile(path, SafetensorsBytes(header, data));
  const auto file = SafetensorsCheckpoint::OpenFile(path);
  float v[4];
  file->ReadFloats(*file->Find("a"), 1, 3, v);
  CHECK((v[0] == 2 && v[1] == 3 && v[2] == 4));
  file->ReadFloats(*file->Find("b"), 0, 3, v);
  CHECK((v[0] == 1 && v[1] == -2 && v[2] == 0x1p-24f));
  file->ReadFloats(*file->Find("c"), 1, 1, v);
  CHECK(v[0] == -0.5f);
  file->ReadFloats(*file->Find("d"), 0, 1, v);
  CHECK(v[0] == 0.25f);
  CHECK(file->tensors()[*file->Find("f")].elements == 0);
  CHECK_FALSE(file->Find("g"));
  const Outcome integers = OutcomeOf([&] { file->ReadFloats(*file->Find("e"), 0, 1, v); });
  CHECK(integers.code == Code::kUnsupported);
  CHECK((integers.Names("'e'") && integers.Names("I64")));
  CHECK(OutcomeOf([&] { file->ReadFloats(*file->Find("a"), 2, 3, v); }).code == Code::kOutOfRange);
  CHECK(OutcomeOf([&] { file->ReadFloats(*file->Find("a"), UINT64_MAX, 2, v); }).code == Code::kOutOfRange);
}

TEST_CASE("header lengths that do not fit the file") {
  CHECK(OpenBytes("").code == Code::kTruncated);
  CHECK(OpenBytes("1234567").code == Code::kTruncated);
  for (const uint64_t length : {uint64_t{3}, uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 7}) {
    std::string bytes(10, '{');
    std::memcpy(bytes.data(), &length, 8);
    const Outcome outcome = OpenBytes(bytes);
    CHECK(outcome.code == Code::kTruncated);
    CHECK((outcome.Names("header length") && outcome.Names(std::to_string(length))));
  }
  CHECK(OpenHeader("", 0).code == Code::kInvalidModel);
  CHECK(OpenHeader("{", 0).code == Code::kInvalidModel);
  CHECK(OpenHeader("[]", 0).code == Code::kInvalidModel);
  CHECK(OpenHeader(std::string(100000, '['), 0).code == Code::kInvalidModel);
  CHECK(OpenHeader("{}   ", 0).code == Code::kOk);
}

TEST_CASE("tensors whose fields contradict each other") {
  struct Case {
    const char* fields;
    size_t data_bytes;
    Code code;
    const char* named;
  };
  const Case cases[] = {
      {R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 8, Code::kOk, ""},
      {R"("dtype":"Q3","shape":[2],"data_offsets":[0,8])", 8, Code::kUnsupported, "unknown dtype 'Q3'"},
      {R"("dtype":7,"shape":[2],"data_offsets":[0,8])", 8, Code::kInvalidModel, "dtype"},
      {R"("dtype":"F32","shape":[3],"data_offsets":[0,8])", 8, Code::kInvalidModel, "needs 12 bytes"},
      {R"("dtype":"F16","shape":[2],"data_offsets":[0,8])", 8, Code::kInvalidModel, "needs 4 bytes"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[0,16])", 8, Code::kTruncated, "data_offsets end at 16"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[8,0])", 8, Code::kInvalidModel, "begin 8"},
      {R"("dtype":"F32","shape":[1],"data_offsets":[4,8])", 8, Code::kInvalidModel, "hole"},
      {R"("dtype":"F32","shape":[1],"data_offsets":[0,4])", 8, Code::kTrailingBytes, "8 bytes, expected 4"},
      {R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])", 8, Code::kInvalidModel,
       "overflows"},
      {R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0])", 0, Code::kInvalidModel,
       "overflows"},
      {R"("dtype":"F64","shape":[2305843009213693952,8],"data_offsets":[0,0])", 0, Code::kInvalidModel,
       "overflows"},
      {R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])", 8, Code::kInvalidModel, "shape"},
      {R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])", 8, Code::kInvalidModel, "shape"},
      {R"("dtype":"F32","shape":2,"data_offsets":[0,8])", 8, Code::kInvalidModel, "shape"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[0,8,9])", 8, Code::kInvalidModel, "data_offsets"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])", 8, Code::kInvalidModel, "data_offsets"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[0,99999999999999999999])", 8, Code::kInvalidModel,
       "data_offsets"},
      {R"("dtype":"F32","shape":[2])", 8, Code::kInvalidModel, "exactly dtype, shape and data_offsets"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"stride":1)", 8, Code::kInvalidModel, "exactly"},
  };
  for (const Case& c : cases) {
    INFO(c.fields);
    const Outcome outcome = OpenTensor(c.fields, c.data_bytes);
    INFO(outcome.message);
    CHECK(outcome.code == c.code);
    CHECK(outcome.Names(c.named));
    if (c.code != Code::kOk && c.code != Code::kTrailingBytes) CHECK(outcome.Names("'w'"));
  }
}

TEST_CASE("ranges that overlap, and names that repeat") {
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const Outcome overlap =
      OpenHeader("{" + a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12);
  CHECK(overlap.code == Code::kInvalidModel);
  CHECK((overlap.Names("'b'") && overlap.Names("overlap") && overlap.Names("'a'")));
  const Outcome same = OpenHeader("{" + a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  CHECK((same.code == Code::kInvalidModel && same.Names("overlap")));
  const Outcome twice = OpenHeader("{" + a + "," + a + "}", 8);
  CHECK((twice.code == Code::kInvalidModel && twice.Names("duplicate key 'a'")));
}

TEST_CASE("a small file cut at every byte, or with a byte more") {
  const std::string whole = SafetensorsBytes({RandomTensor("a", {2, 3}), RandomTensor("b", {5})});
  REQUIRE(OpenBytes(whole).code == Code::kOk);
  for (size_t size = 0; size < whole.size(); ++size) {
    const Outcome outcome = OpenBytes(whole.substr(0, size));
    CHECK(outcome.code != Code::kOk);
    CHECK(outcome.Names("reader.safetensors"));
  }
  CHECK(OpenBytes(whole + "x").code == Code::kTrailingBytes);
}

TEST_CASE("every bit of a small file's header flipped gives a file or an error") {
  const std::string whole = SafetensorsBytes({RandomTensor("a", {2, 3}), RandomTensor("b", {1})});
  const fs::path path = TemporaryPath("flipped.safetensors");
  size_t refused = 0;
  for (size_t byte = 0; byte < whole.size() - 28; ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[byte] = static_cast<char>(changed[byte] ^ (1 << bit));
      WriteFile(path, changed);
      const Outcome outcome = OutcomeOf([&] {
        const auto file = SafetensorsCheckpoint::OpenFile(path);
        for (size_t i = 0; i < file->tensors().size(); ++i) {
          std::vector<float> values(file->tensors()[i].elements);
          file->ReadFloats(i, 0, values.size(), values.data());
        }
      });
      refused += outcome.code != Code::kOk;
    }
  }
  CHECK(refused > 0);
}

TEST_CASE("shards: found by their index, and every way in which they are not") {
  const auto write = [](const std::string& map) {
    const fs::path folder = FreshFolder("shards");
    WriteFile(folder / "one.safetensors", SafetensorsBytes({RandomTensor("a", {2}), RandomTensor("b", {3})}));
    WriteFile(folder / "two.safetensors", SafetensorsBytes({RandomTensor("c", {4})}));
    WriteFile(folder / "model.safetensors.index.json",
              "{\"metadata\":{\"total_size\":36},\"weight_map\":" + map + "}");
    return folder;
  };
  const auto open = [](const fs::path& folder) {
    return OutcomeOf([&] { SafetensorsCheckpoint::OpenDirectory(folder); });
  };
  const fs::path folder = write(R"({"a":"one.safetensors","b":"one.safetensors","c":"two.safetensors"})");
  const auto file = SafetensorsCheckpoint::OpenDirectory(folder);
  REQUIRE(file->tensors().size() == 3);
  float v[4];
  file->ReadFloats(*file->Find("c"), 0, 4, v);
  CHECK(v[3] == RandomTensor("c", {4}).values[3]);
  CHECK(file->FileOf(*file->Find("c")).ends_with("two.safetensors"));

  struct Case {
    const char* map;
    Code code;
    const char* named;
  };
  const Case cases[] = {
      {R"({"a":"one.safetensors","b":"one.safetensors","c":"three.safetensors"})", Code::kInvalidModel,
       "three.safetensors"},
      {R"({"a":"../one.safetensors"})", Code::kInvalidModel, "../one.safetensors"},
      {R"({"a":".."})", Code::kInvalidModel, "'a'"},
      {R"({"a":"sub/one.safetensors"})", Code::kInvalidModel, "not a plain file name"},
      {R"({"a":"sub\\one.safetensors"})", Code::kInvalidModel, "not a plain file name"},
      {R"({"a":"one.safetensors\u0000"})", Code::kInvalidModel, "not a plain file name"},
      {R"({"a":""})", Code::kInvalidModel, "not a plain file name"},
      {R"({"a":7})", Code::kInvalidModel, "not a plain file name"},
      {R"({})", Code::kInvalidModel, "weight_map"},
      {R"([])", Code::kInvalidModel, "weight_map"},
      {R"({"a":"one.safetensors","b":"one.safetensors","c":"one.safetensors"})", Code::kInvalidModel,
       "'c' is not in shard"},
      {R"({"a":"one.safetensors","c":"two.safetensors"})", Code::kInvalidModel, "'b' of shard"},
  };
  for (const Case& c : cases) {
    INFO(c.map);
    const Outcome outcome = open(write(c.map));
    INFO(outcome.message);
    CHECK(outcome.code == c.code);
    CHECK(outcome.Names(c.named));
  }

  // The same tensor in two shards, a directory with both kinds, one with neither.
  const fs::path both = write(R"({"a":"one.safetensors","b":"one.safetensors","c":"two.safetensors"})");
  WriteFile(both / "two.safetensors", SafetensorsBytes({RandomTensor("c", {4}), RandomTensor("a", {2})}));
  const Outcome twice = open(both);
  CHECK((twice.code == Code::kInvalidModel && twice.Names("'a' is there twice")));
  fs::copy_file(both / "one.safetensors", both / "model.safetensors");
  CHECK(open(both).Names("remove one"));
  CHECK(open(FreshFolder("empty")).code == Code::kIo);
  fs::create_directories(both / "model.safetensors.d");
  CHECK(OutcomeOf([&] { SafetensorsCheckpoint::OpenFile(both / "model.safetensors.d"); }).code == Code::kIo);
}
