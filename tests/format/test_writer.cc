// The writer: all or nothing. What it refuses, what it leaves behind, and that an old file survives.
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "format/model_file.h"
#include "tests/format/header_image.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;
namespace fs = std::filesystem;

namespace {

// An empty folder of its own.
fs::path Folder(const char* name) {
  const fs::path folder = TemporaryPath(name);
  fs::remove_all(folder);
  fs::create_directory(folder);
  return folder;
}

size_t Files(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

std::string Content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The code of what `write` throws; kOk when it does not.
template <typename F>
Code CodeOf(F&& write) {
  try {
    write();
  } catch (const WriteError& error) {
    CHECK(std::string(error.what()).size() > 5);
    return error.code;
  }
  return Code::kOk;
}

struct Zeros {
  std::vector<uint8_t> bytes = std::vector<uint8_t>(1 << 20);
  operator const void*() const { return bytes.data(); }
};

}  // namespace

TEST_CASE("writer: an unfinished file is never seen, and an old one stays") {
  const fs::path folder = Folder("unfinished");
  const fs::path path = folder / "model.thimble";
  std::ofstream(path) << "old";
  const Zeros zeros;
  {
    ModelWriter writer(path.string(), ZooEntry("none_unrotated").description());
    CHECK(Files(folder) == 2);  // the old file and a temporary one
    CHECK(Content(path) == "old");
    writer.WriteTensor(0, zeros, nullptr);
  }
  CHECK(Files(folder) == 1);
  CHECK(Content(path) == "old");
  {
    // Finish with segments missing.
    ModelWriter writer(path.string(), ZooEntry("none_unrotated").description());
    writer.WriteTensor(0, zeros, nullptr);
    CHECK(CodeOf([&] { writer.Finish(); }) == Code::kWrongState);
  }
  CHECK(Files(folder) == 1);
  CHECK(Content(path) == "old");

  ZooEntry("none_unrotated").WriteFile(path.string());
  CHECK(Files(folder) == 1);
  ModelFile file;
  CHECK(file.Open(path.c_str()).ok());
}

TEST_CASE("writer: an invalid description creates no file, and says what the reader would") {
  const fs::path folder = Folder("invalid");
  const std::string path = (folder / "model.thimble").string();
  ModelDescription d = ZooEntry("none_unrotated").description();
  d.layers[1].attention().heads = 8;
  try {
    ModelWriter writer(path, d);
    FAIL("accepted");
  } catch (const WriteError& error) {
    CHECK(error.code == Code::kInvalidModel);
    CHECK(std::string(error.what()).find("layer 1, attention.q") != std::string::npos);
  }
  d = ZooEntry("none_unrotated").description();
  d.required_features = {"telepathy"};
  CHECK(CodeOf([&] { ModelWriter writer(path, d); }) == Code::kUnsupportedFeature);
  d = ZooEntry("none_unrotated").description();
  d.tensors[0].spec.rows = 0;
  CHECK(CodeOf([&] { ModelWriter writer(path, d); }) == Code::kInvalidModel);
  d.tensors[0].spec = {.type = WeightType::kQ4, .rows = 4, .cols = 64, .block = 48};
  CHECK(CodeOf([&] { ModelWriter writer(path, d); }) == Code::kInvalidModel);
  d.tensors[0].spec = {.rows = UINT32_MAX, .cols = UINT32_MAX};
  CHECK(CodeOf([&] { ModelWriter writer(path, d); }) != Code::kOk);
  CHECK(Files(folder) == 0);
}

TEST_CASE("writer: segments are written once, whole, one at a time") {
  const fs::path folder = Folder("segments");
  const Zeros zeros;
  const ModelDescription d = ZooEntry("none_on_read").description();  // int4
  ModelWriter writer((folder / "model.thimble").string(), d);
  const int32_t first = writer.DataSegment(0);
  CHECK(CodeOf([&] { writer.Append(zeros, 1); }) == Code::kWrongState);
  CHECK(CodeOf([&] { writer.EndSegment(); }) == Code::kWrongState);
  writer.BeginSegment(first);
  CHECK(CodeOf([&] { writer.BeginSegment(writer.ScaleSegment(0)); }) == Code::kWrongState);
  CHECK(CodeOf([&] { writer.EndSegment(); }) == Code::kWrongState);
  CHECK(CodeOf([&] { writer.Append(zeros, 1 << 20); }) == Code::kWrongState);
  CHECK(CodeOf([&] { writer.Append(zeros, SIZE_MAX); }) == Code::kWrongState);
}

TEST_CASE("writer: pieces in any order give the file that whole tensors give") {
  const fs::path folder = Folder("pieces");
  ModelBuilder m = ZooEntry("k_v_on_read");
  const std::vector<uint8_t> whole = m.Bytes();
  const std::string path = (folder / "model.thimble").string();
  ModelWriter writer(path, m.description());
  CHECK(writer.file_bytes() == whole.size());
  ModelDescription d = m.description();
  uint64_t file_bytes;
  const std::vector<SegmentSpec> segments = LayOut(d, &file_bytes);
  for (int32_t i = static_cast<int32_t>(segments.size()) - 1; i >= 0; --i) {
    if (i == d.spec.tokenizer_segment) continue;  // written by the writer itself
    const SegmentSpec& s = segments[static_cast<size_t>(i)];
    writer.BeginSegment(i);
    for (uint64_t at = 0; at < s.bytes; at += 7)
      writer.Append(whole.data() + s.offset + at, std::min<uint64_t>(7, s.bytes - at));
    writer.EndSegment();
  }
  writer.Finish();
  const std::string written = Content(path);
  CHECK(std::vector<uint8_t>(written.begin(), written.end()) == whole);
}

TEST_CASE("writer: places that cannot be written are I/O errors") {
  const fs::path folder = Folder("places");
  const ModelDescription d = ZooEntry("none_unrotated").description();
  CHECK(CodeOf([&] { ModelWriter writer((folder / "no such folder" / "m").string(), d); }) == Code::kIo);
  // The target is a folder: the last step, the rename, fails, and leaves nothing.
  fs::create_directory(folder / "taken");
  std::ofstream(folder / "taken" / "file") << "x";
  CHECK(CodeOf([&] { ZooEntry("none_unrotated").WriteFile((folder / "taken").string()); }) == Code::kIo);
  CHECK(Files(folder) == 1);
  CHECK(Content(folder / "taken" / "file") == "x");
}

TEST_CASE("writer: a full disk keeps the old file") {
  const fs::path folder = Folder("full");
  const fs::path path = folder / "model.thimble";
  std::ofstream(path) << "old";
  // A limit on the size of files stands in for the disk; the signal that comes with it is ignored.
  rlimit old_limit;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old_limit) == 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t bytes : {rlim_t{100}, rlim_t{16384}, rlim_t{18000}}) {
    const rlimit limit = {bytes, old_limit.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    const Code code = CodeOf([&] { ZooEntry("none_unrotated").WriteFile(path.string()); });
    REQUIRE(setrlimit(RLIMIT_FSIZE, &old_limit) == 0);
    CHECK(code == Code::kIo);
    CHECK(Files(folder) == 1);
    CHECK(Content(path) == "old");
  }
  std::signal(SIGXFSZ, old_handler);
}
