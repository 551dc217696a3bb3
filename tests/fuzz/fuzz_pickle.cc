// Checkpoints of torch.save: a whole archive where the input starts like one, else a pickle alone.
#include <algorithm>
#include <cstring>

#include "targets/convert/import_error.h"
#include "targets/convert/pickle.h"
#include "targets/convert/torch_file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/convert/torch_testing.h"

namespace {

void ReadPickle(const uint8_t* data, size_t size) {
  using namespace thimble;
  const Pickle pickle({data, size});
  const auto config = pickle.Find(pickle.root(), "config");
  (void)pickle.ToJson(config ? *config : pickle.root(), "config");
}

void ReadArchive(const uint8_t* data, size_t size) {
  using namespace thimble;
  const auto checkpoint = TorchCheckpoint::Open(fuzz::AsFile(data, size));
  for (size_t i = 0; i < std::min<size_t>(checkpoint->tensors().size(), 64); ++i) {
    const SourceTensor& tensor = checkpoint->tensors()[i];
    float last[16];
    const uint64_t n = std::min<uint64_t>(tensor.elements, 16);
    try {
      checkpoint->ReadFloats(i, tensor.elements - n, n, last);
    } catch (const ImportError&) {  // a type that is no float, a broken entry
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    if (size >= 4 && std::memcmp(data, "PK\3\4", 4) == 0) {
      ReadArchive(data, size);
    } else {
      ReadPickle(data, size);
    }
  } catch (const thimble::ImportError&) {
  }
  return 0;
}

namespace thimble::fuzz {

std::vector<std::string> Seeds() {
  using test::PickleWriter;
  PickleWriter tensors, plain;
  tensors.Raw("}(").Text("state_dict").Raw("}(");
  tensors.Text("a").Tensor("FloatStorage", "0", 8, 0, {2, 4}, {4, 1});
  tensors.Text("b").Tensor("BFloat16Storage", "1", 4, 1, {2}, {2}).Raw("u");
  tensors.Text("config").Raw("}(").Text("n_layer").Int(2).Text("eps").Float(1e-5).Text("bias").Raw("\x88uu");
  plain.Raw("](").Int(1).Int(-70000).Float(0.5).Text("text").Raw("NKxq\1h\1\x85\x8c\3abc\x94\x8a\2\xff\x7f}(").Text("k").Raw("Nue");
  std::vector<std::string> seeds = {tensors.Done(), plain.Done()};
  for (const bool deflated : {false, true}) {
    seeds.push_back(test::TorchArchive(tensors.Done(), {{"0", std::string(32, '?')}, {"1", std::string(8, '?')}}, deflated));
  }
  test::ZipWriter run;
  run.Add("archive/data.pkl", tensors.Done());
  run.AddRun("archive/data/0", '?', 32);
  run.Add("archive/data/1", std::string(8, '?'));
  seeds.push_back(run.Bytes());
  return seeds;
}

std::vector<std::string> Words() {
  return {"ctorch._utils\n_rebuild_tensor_v2\n", "ccollections\nOrderedDict\n", "ctorch\nFloatStorage\n", "(", "t", "]",
          "}", "e", "u", "a", "s", "R", "Q", "b", "N", "q\1", "h\1", "\x94", "2", "0", "1", ")", "\x85", "\x86", "\x87",
          "\x8a\x08", "PK\1\2", "PK\3\4", "PK\5\6", "PK\6\6", "PK\6\7", "archive/data.pkl", "."};
}

}  // namespace thimble::fuzz
