// Checkpoints of torch.save: what they hold, and what they may not do.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "targets/convert/convert.h"
#include "targets/convert/torch_file.h"
#include "tests/convert/torch_testing.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

fs::path WriteTorch(const std::string& bytes, const std::string& name = "model.pt") {
  const fs::path path = FreshFolder("torch") / name;
  WriteFile(path, bytes);
  return path;
}

// A state_dict on top with the one tensor "w", and its storage "0" of 8 floats.
std::string OneTensor(const std::vector<uint64_t>& shape, const std::vector<uint64_t>& strides, uint64_t offset = 0,
                      uint64_t elements = 8) {
  PickleWriter pickle;
  pickle.Raw("}").Text("w").Tensor("FloatStorage", "0", elements, offset, shape, strides).Raw("s");
  return TorchArchive(pickle.Done(), {{"0", BytesOf(std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7})}});
}

std::vector<float> ReadAll(const Checkpoint& checkpoint, const std::string& name) {
  const size_t index = checkpoint.Find(name).value();
  std::vector<float> values(checkpoint.tensors()[index].elements);
  checkpoint.ReadFloats(index, 0, values.size(), values.data());
  return values;
}

Outcome OpenOutcome(const std::string& bytes) {
  const fs::path path = WriteTorch(bytes);
  return OutcomeOf([&] { TorchCheckpoint::Open(path); });
}
Outcome PickleOutcome(const PickleWriter& pickle) {
  return OpenOutcome(TorchArchive(pickle.Done(), {{"0", "12345678"}}));
}

}  // namespace

TEST_CASE("a torch.save checkpoint gives the same file as safetensors, in all eight layouts") {
  struct Case {
    std::vector<std::pair<std::string, uint32_t>> attention;
    uint32_t groups;
  };
  const std::vector<Case> cases = {{{{"c_attn", 72}}, 0},           {{{"c_kv", 48}}, 0},
                                   {{{"c_q", 24}, {"c_k", 24}}, 0}, {{{"c_k", 24}}, 0},
                                   {{{"c_q", 24}, {"c_kv", 16}}, 2}, {{{"c_q", 24}, {"c_kv", 8}}, 1},
                                   {{{"c_q", 24}, {"c_k", 8}}, 2},  {{{"c_q", 24}, {"c_kv", 4}}, 1}};
  for (const Case& c : cases) {
    PaperModel model;
    model.attention = c.attention;
    Json config = model.Config();
    if (c.groups > 0) config["n_kv_groups"] = c.groups;
    ConvertOptions options;
    options.name = "same";
    options.source = WriteModel("torch-safetensors", config, model.Tensors());
    options.output = TemporaryPath("torch-a.thimble");
    Convert(options);
    // Also with the prefix of a wrapped model; the names of the tensors decide nothing else.
    for (const char* prefix : {"", "module."}) {
      options.source = WriteTorch(TorchBytes(model.Tensors(), config, prefix));
      options.output = TemporaryPath("torch-b.thimble");
      Convert(options);
      CHECK(ReadFile(TemporaryPath("torch-a.thimble")) == ReadFile(TemporaryPath("torch-b.thimble")));
    }
    // By its folder, too.
    options.source = options.source.parent_path();
    Convert(options);
    CHECK(ReadFile(TemporaryPath("torch-a.thimble")) == ReadFile(TemporaryPath("torch-b.thimble")));
  }
}

TEST_CASE("tensors of torch.save: types, offsets, strides, packed entries") {
  PickleWriter pickle;
  pickle.Raw("}(").Text("state_dict").Raw("}(");
  pickle.Text("f32").Tensor("FloatStorage", "0", 6, 1, {2, 2}, {2, 1});
  pickle.Text("transposed").Tensor("FloatStorage", "0", 6, 0, {3, 2}, {1, 3});
  pickle.Text("parameter")
      .Global("torch._utils", "_rebuild_parameter")
      .Raw("(")
      .Tensor("FloatStorage", "0", 6, 5, {}, {});
  pickle.Raw("\x88").Global("collections", "OrderedDict").Raw(")RtR");
  pickle.Text("f16").Tensor("HalfStorage", "1", 2, 0, {2}, {1});
  pickle.Text("bf16").Tensor("BFloat16Storage", "2", 2, 0, {2, 1}, {1, 77});
  pickle.Text("f64").Tensor("DoubleStorage", "3", 2, 0, {1, 2}, {99, 1});
  pickle.Text("i64").Tensor("LongStorage", "3", 2, 0, {2}, {1});
  pickle.Text("empty").Tensor("FloatStorage", "0", 6, 0, {0, 4}, {4, 1});
  pickle.Text("nothing").Raw("Nuu");
  const std::vector<std::pair<std::string, std::string>> storages = {
      {"0", BytesOf(std::vector<float>{1, 2, 3, 4, 5, 6})},
      {"1", BytesOf(std::vector<uint16_t>{0x3c00, 0xc000})},
      {"2", BytesOf(std::vector<uint16_t>{0x3f80, 0xc000})},
      {"3", BytesOf(std::vector<double>{0.5, -3})}};
  for (const bool deflated : {false, true}) {
    const auto checkpoint = TorchCheckpoint::Open(WriteTorch(TorchArchive(pickle.Done(), storages, deflated)));
    CHECK_FALSE(checkpoint->config());
    CHECK(ReadAll(*checkpoint, "f32") == std::vector<float>{2, 3, 4, 5});
    CHECK(ReadAll(*checkpoint, "transposed") == std::vector<float>{1, 4, 2, 5, 3, 6});
    CHECK(ReadAll(*checkpoint, "parameter") == std::vector<float>{6});
    CHECK(ReadAll(*checkpoint, "f16") == std::vector<float>{1, -2});
    CHECK(ReadAll(*checkpoint, "bf16") == std::vector<float>{1, -2});
    CHECK(ReadAll(*checkpoint, "f64") == std::vector<float>{0.5, -3});
    CHECK(ReadAll(*checkpoint, "empty").empty());
    CHECK_FALSE(checkpoint->Find("nothing"));
    const Outcome whole = OutcomeOf([&] { ReadAll(*checkpoint, "i64"); });
    CHECK(whole.code == Code::kUnsupported);
    CHECK(whole.Names("'i64'"));
    float value = 0;
    CHECK(OutcomeOf([&] { checkpoint->ReadFloats(0, 3, 2, &value); }).code == Code::kOutOfRange);
  }
}

TEST_CASE("a pickle that names anything else is refused by that name") {
  const auto with_global = [](const std::string& module, const std::string& name) {
    return PickleOutcome(PickleWriter().Global(module, name).Text("echo").Raw("\x85R"));
  };
  for (const auto& [module, name] : std::vector<std::pair<std::string, std::string>>{
           {"os", "system"}, {"builtins", "eval"}, {"torch", "Tensor"}, {"argparse", "Namespace"},
           {"torch.nn", "Linear"}, {"torch._utils", "_rebuild_qtensor"}, {"torch", "QInt8Storage"},
           {"collections", "OrderedDict "}}) {
    const Outcome outcome = with_global(module, name);
    CHECK(outcome.code == Code::kUnsupported);
    CHECK(outcome.Names("'" + module + "." + name.substr(0, 11)));
    CHECK(outcome.Names("model.pt"));
  }
  // By the newer opcode, too.
  const Outcome stacked = PickleOutcome(PickleWriter().Raw("\x8c\x02os\x8c\x06system\x93)R"));
  CHECK(stacked.code == Code::kUnsupported);
  CHECK(stacked.Names("'os.system'"));
}

TEST_CASE("malformed pickles end with the byte and the reason") {
  const auto check = [](const PickleWriter& pickle, const std::string& text, Code code = Code::kInvalidModel) {
    const Outcome outcome = PickleOutcome(pickle);
    INFO(outcome.message);
    CHECK(outcome.code == code);
    CHECK(outcome.Names(text));
  };
  using P = PickleWriter;
  check(P().Raw("c"), "a name has no end", Code::kTruncated);
  check(P().Raw("X\xff\xff\xff\x7fhello"), "needs 2147483647 bytes", Code::kTruncated);
  check(P().Raw("\x8d\xff\xff\xff\xff\xff\xff\xff\xffhello"), "remain", Code::kTruncated);
  check(P().Raw("X\2" + std::string("\0\0\0\xff\xfe", 5)), "not UTF-8");
  check(P().Raw("\x80\x09"), "protocol 9", Code::kUnsupported);
  check(P().Raw("\x8fN"), "opcode 0x8f", Code::kUnsupported);
  check(P().Raw("\x8a\x09" + std::string(9, '\x7f')), "longer than 64 bits");
  check(P(), "the stack is empty");
  check(P().Raw("Nt"), "no mark");
  check(P().Raw("h\x05"), "memo 5");
  check(P().Raw("K\1K\2a"), "appends to no list");
  check(P().Raw("](K\1u"), "no dictionary");
  check(P().Raw("}(K\1u"), "a key without a value");
  check(P().Raw("K\1Q"), "persistent id");
  check(P().Raw("K\1)R"), "no function");
  check(P().Global("collections", "OrderedDict").Raw("K\1R"), "without a tuple");
  check(P().Global("collections", "OrderedDict").Raw("K\1\x85R"), "of no list");
  check(P().Global("torch._utils", "_rebuild_tensor_v2").Raw(")R"), "with 0 arguments");
  check(P().Raw("K\1}b"), "attributes");
  check(P().Raw("}").Text("a").Raw("Ks"), "");
  check(P().Storage("FloatStorage", std::string(300, 'k'), 2), "too long");
  check(P().Raw("K\7"), "no dictionary of tensors");
  check(P().Raw("}").Text("state_dict").Raw("}ss"), "");
  // A list that holds itself, through the memo.
  check(P().Raw("]q\1h\1a"), "no dictionary of tensors");
  check(P().Raw("}(").Text("config").Raw("}q\1").Text("x").Raw("h\1s").Text("w").Raw("u"), "");
  check(P().Raw("}(").Text("config").Raw("}q\1").Text("x").Raw("h\1s").Text("w").Raw("Nu"), "nested too deep");
  // Each level holds the one below ten times: 10^9 values from a hundred bytes.
  P bomb;
  bomb.Raw("}(").Text("config").Raw("]q" + std::string(1, '\0'));
  for (char level = 1; level < 10; ++level) {
    bomb.Raw("0](");
    for (int i = 0; i < 10; ++i) bomb.Raw(std::string("h") + static_cast<char>(level - 1));
    bomb.Raw(std::string("eq") + level);
  }
  check(P().Raw(bomb.Done().substr(2, bomb.Done().size() - 3)).Raw("0}").Text("x").Raw("h\x09su"), "too many values");
  // The same list made into an OrderedDict again and again.
  P pairs;
  pairs.Raw("](");
  for (int i = 0; i < 300; ++i) pairs.Raw("K\1K\1\x86");
  pairs.Raw("eq\1");
  for (int i = 0; i < 3000; ++i) pairs.Global("collections", "OrderedDict").Raw("h\1\x85R");
  check(pairs, "more values than its length explains");
  // Deep nesting takes no stack.
  P deep;
  deep.Raw(std::string(200000, ']')).Raw(std::string(199999, 'a'));
  check(deep, "no dictionary of tensors");
}

TEST_CASE("a tensor must lie inside its storage, once") {
  const auto check = [](const std::string& bytes, const std::string& text) {
    const Outcome outcome = OpenOutcome(bytes);
    INFO(outcome.message);
    CHECK(outcome.code == Code::kInvalidModel);
    CHECK(outcome.Names("'w'"));
    CHECK(outcome.Names(text));
  };
  CHECK(OpenOutcome(OneTensor({2, 4}, {4, 1})).code == Code::kOk);
  check(OneTensor({2, 5}, {4, 1}), "does not fit");
  check(OneTensor({2, 4}, {5, 1}), "does not fit");
  check(OneTensor({2, 4}, {4, 1}, 1), "does not fit");
  check(OneTensor({}, {}, 8), "does not fit");
  check(OneTensor({1000000, 1000000}, {0, 0}), "does not fit");
  check(OneTensor({1ull << 40, 1ull << 40}, {1, 1}), "does not fit");
  check(OneTensor({2, 2}, {1ull << 62, 1ull << 62}), "does not fit");
  check(OneTensor({2}, {1}, (1ull << 63) - 1), "does not fit");
  check(OneTensor({2}, {1}, 0, 9), "expected 9 elements");
  check(OneTensor({2}, {1}, 0, 1ull << 62), "elements of F32");
  PickleWriter missing;
  missing.Raw("}").Text("w").Tensor("FloatStorage", "../0", 8, 0, {8}, {1}).Raw("s");
  check(TorchArchive(missing.Done(), {{"0", std::string(32, 'x')}}), "is missing");
  PickleWriter negative;
  negative.Raw("}").Text("w").Global("torch._utils", "_rebuild_tensor_v2").Raw("(").Storage("FloatStorage", "0", 2);
  negative.Int(0).Raw("J\xff\xff\xff\xff\x85(K\1tNNtRs");
  CHECK(PickleOutcome(negative).Names("numbers of at least 0"));
}

TEST_CASE("a torch.save file needs a configuration, in it or beside it") {
  PaperModel model;
  model.attention = {{"c_k", 24}};
  const std::string bytes = TorchBytes(model.Tensors(), nullptr);
  const fs::path path = WriteTorch(bytes);
  Outcome outcome = ConvertOutcome(path);
  CHECK(outcome.code == Code::kInvalidModel);
  CHECK(outcome.Names("no configuration"));
  WriteFile(path.parent_path() / "config.json", JsonText(model.Config()));
  CHECK(ConvertOutcome(path).code == Code::kOk);
  CHECK(ConvertOutcome(path.parent_path()).code == Code::kOk);
  WriteFile(path.parent_path() / "other.pth", bytes);
  outcome = ConvertOutcome(path.parent_path());
  CHECK(outcome.code == Code::kInvalidArgument);
  CHECK(outcome.Names("other.pth"));
  // The old kind has no archive.
  CHECK(ConvertOutcome(WriteTorch("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")).Names("old kind"));
}

TEST_CASE("broken archives are refused") {
  const std::string good = OneTensor({8}, {1});
  REQUIRE(OpenOutcome(good).code == Code::kOk);
  ZipWriter plain;
  plain.Add("notes.txt", "hello");
  CHECK(OpenOutcome(plain.Bytes()).Names("no checkpoint of torch.save"));
  ZipWriter twice;
  twice.Add("a/data.pkl", "\x80\2N.");
  twice.Add("a/data.pkl", "\x80\2N.");
  CHECK(OpenOutcome(twice.Bytes()).Names("is there twice"));
  ZipWriter two;
  two.Add("a/data.pkl", "\x80\2N.");
  two.Add("b/data.pkl", "\x80\2N.");
  CHECK(OpenOutcome(two.Bytes()).Names("holds 'a/data.pkl' and 'b/data.pkl'"));
  ZipWriter big;
  big.Add("a/data.pkl", "\x80\2N.");
  big.Add("a/byteorder", "big");
  CHECK(OpenOutcome(big.Bytes()).code == Code::kUnsupported);
  // One entry laid over another: both name the same place.
  std::string overlap = good;
  const size_t directory = overlap.find("PK\1\2");
  const size_t second = overlap.find("PK\1\2", directory + 1);
  std::memcpy(overlap.data() + second + 42, overlap.data() + directory + 42, 4);
  CHECK(OpenOutcome(overlap).code == Code::kCorrupt);
  // A changed byte of the pickle is caught by its CRC, one of the numbers is not looked at.
  std::string changed = good;
  changed[changed.find("storage")] = 'x';
  CHECK(OpenOutcome(changed).Names("wrong CRC"));
}

TEST_CASE("any damage to a torch.save file ends in an error or a checkpoint that can be read") {
  const std::string good = OneTensor({2, 4}, {4, 1});
  const fs::path path = WriteTorch(good);
  const auto attempt = [&](const std::string& bytes) {
    WriteFile(path, bytes);
    return OutcomeOf([&] {
      const auto checkpoint = TorchCheckpoint::Open(path);
      for (const SourceTensor& tensor : checkpoint->tensors()) {
        CHECK(tensor.elements <= 8);
        ReadAll(*checkpoint, tensor.name);
      }
    });
  };
  // The last two bytes are the length of a comment.
  for (size_t size = 0; size + 2 < good.size(); ++size) CHECK(attempt(good.substr(0, size)).code != Code::kOk);
  for (size_t at = 0; at < good.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xff}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      attempt(bytes);
    }
  }
}
