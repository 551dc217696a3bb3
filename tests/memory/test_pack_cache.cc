// A folder of packed weights: written once, complete or not at all, mapped from then on, and out of anonymous memory.
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "tests/memory/combinations.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

namespace fs = std::filesystem;

// Of ids that go through all layers.
std::vector<float> LogitsWith(const OpenModel& model, const ApiOptions& options) {
  thimble_session* session = nullptr;
  Require(CreateSession(model.get(), &options, nullptr, 0, &session));
  const int32_t ids[] = {1, 5, 9, 2};
  Require(Call(thimble_prefill, session, ids, 4));
  const std::vector<float> logits(LogitsOf(session), LogitsOf(session) + model.info().outputs);
  thimble_session_close(session);
  return logits;
}

std::vector<fs::path> FilesIn(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

}  // namespace

TEST_CASE("pack cache: the same numbers from a file that is written once") {
  for (const char* name : {"none_on_write", "k_v_on_read", "experts", "turned", "byte_level"}) {
    INFO(name);
    const fs::path folder = TemporaryPath(std::string("pack_cache_") + name);
    fs::remove_all(folder);
    const OpenModel model(ZooEntry(name).Bytes());
    ApiOptions options;
    options.context_tokens = 16;
    const Plan without = model.PlanFor(options);
    if (without.totals.packed_weight_bytes == 0) SKIP("these kernels pack nothing");
    const std::vector<float> wanted = LogitsWith(model, options);
    const std::string path = folder.string();
    options.pack_cache = path.c_str();
    const Plan plan = model.PlanFor(options);
    CHECK(plan.totals.arena_bytes < without.totals.arena_bytes);
    CHECK(plan.totals.packed_weight_bytes == 0);
    CHECK(plan.totals.file_backed_bytes == plan.totals.pack_cache_bytes);
    CHECK(plan.totals.pack_cache_bytes >= without.totals.packed_weight_bytes + 128);
    uint64_t mapped = 0;
    for (const PlanLine& line : plan.Of(THIMBLE_MAPPED)) mapped += line.bytes;
    CHECK(mapped == plan.totals.mapped_bytes);
    CHECK(FilesIn(folder).empty());

    CHECK(LogitsWith(model, options) == wanted);
    const std::vector<fs::path> files = FilesIn(folder);
    REQUIRE(files.size() == 1);
    CHECK(fs::file_size(files[0]) == plan.totals.pack_cache_bytes);
    const auto node = [&] {
      struct stat st = {};
      (void)stat(files[0].c_str(), &st);
      return st.st_ino;
    };
    const auto first = node();
    CHECK(LogitsWith(model, options) == wanted);
    CHECK(node() == first);
    // In blocks of a caller, too.
    PaintedBlock block(plan.totals.arena_bytes, 0x77);
    thimble_session* session = nullptr;
    Require(CreateSession(model.get(), &options, block.data(), block.size(), &session));
    thimble_session_close(session);
    CHECK(block.GuardsUntouched());
    // Another file's, cut, or not what it says: made anew.
    for (const size_t damaged : {size_t{9}, size_t{17}, size_t{60}}) {
      std::fstream file(files[0], std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(damaged));
      file.put('?');
      // Were it used all the same, this would be seen.
      file.seekp(64);
      file << std::string(plan.totals.pack_cache_bytes - 128, '\x11');
      file.close();
      CHECK(LogitsWith(model, options) == wanted);
    }
    fs::resize_file(files[0], 100);
    CHECK(LogitsWith(model, options) == wanted);
    CHECK(fs::file_size(files[0]) == plan.totals.pack_cache_bytes);
    CHECK(FilesIn(folder).size() == 1);
    fs::remove_all(folder);
  }
}

TEST_CASE("pack cache: what fails or is stopped leaves nothing") {
  const OpenModel model(ZooEntry("none_on_write").Bytes());
  ApiOptions options;
  if (model.PlanFor(options).totals.packed_weight_bytes == 0) SKIP("these kernels pack nothing");
  const fs::path folder = TemporaryPath("pack_cache_stopped");
  fs::remove_all(folder);
  const std::string path = folder.string();
  options.pack_cache = path.c_str();
  options.progress = [](void*, uint64_t done, uint64_t) -> int32_t { return done == 0; };
  thimble_session* session = nullptr;
  CHECK(CreateSession(model.get(), &options, nullptr, 0, &session).code == THIMBLE_CANCELLED);
  CHECK(FilesIn(folder).empty());
  options.progress = nullptr;
  std::ofstream(path + "/file") << "x";
  const std::string no_folder = path + "/file";
  options.pack_cache = no_folder.c_str();
  const thimble_error failed = CreateSession(model.get(), &options, nullptr, 0, &session);
  CHECK(failed.code == THIMBLE_IO);
  CHECK(std::string(failed.message).find("pack_cache: cannot make a file for packed weights") != std::string::npos);
  options.pack_cache = "";
  CHECK(CreateSession(model.get(), &options, nullptr, 0, &session).code == THIMBLE_INVALID_ARGUMENT);
  options.pack_cache = path.c_str();
  options.weights = THIMBLE_WEIGHTS_COPY;
  CHECK(CreateSession(model.get(), &options, nullptr, 0, &session).code == THIMBLE_INVALID_ARGUMENT);
  fs::remove_all(folder);
}
