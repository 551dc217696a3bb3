// A model as a part of another file: where it may start, what is mapped, and which error names a range that cannot be.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "format/model_file.h"
#include "runtime/core/checked.h"
#include "tests/format/header_image.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// `before` bytes of something else, a model, `behind` bytes of something else.
class Package {
 public:
  Package(size_t before, size_t behind) : model_(ZooEntry("k_v_on_read").Bytes()) {
    std::ofstream out(path_, std::ios::binary);
    out << std::string(before, 'A');
    out.write(reinterpret_cast<const char*>(model_.data()), static_cast<std::streamsize>(model_.size()));
    out << std::string(behind, 'Z');
    out.close();
    fd_ = open(path_.c_str(), O_RDONLY);
    REQUIRE(fd_ >= 0);
  }
  ~Package() { CloseFd(); }
  void CloseFd() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }
  const std::vector<uint8_t>& model() const { return model_; }

 private:
  std::string path_ = TemporaryPath("package.bin");
  std::vector<uint8_t> model_;
  int fd_ = -1;
};

}  // namespace

TEST_CASE("descriptor: a model at any multiple of 64, and the descriptor is not needed any more") {
  for (const size_t before : {0, 64, 4032, 4096, 4160, 65536, 1000000 / 64 * 64}) {
    INFO("offset " << before);
    Package package(before, 100);
    ModelFile file;
    REQUIRE(file.OpenFd(package.fd(), before, package.model().size()).ok());
    package.CloseFd();
    CHECK_FALSE(file.in_memory());
    CHECK(file.file_bytes() == package.model().size());
    REQUIRE(VerifyPayload(file).ok());
    const SegmentSpec first = file.header().segment(0);
    CHECK(reinterpret_cast<uintptr_t>(file.Segment(0)) % 64 == 0);
    CHECK(std::memcmp(file.Segment(0), package.model().data() + first.offset, first.bytes) == 0);
  }
}

TEST_CASE("descriptor: length 0 is all to the end, where the descriptor stands does not matter") {
  const Package package(128, 0);
  REQUIRE(lseek(package.fd(), 77, SEEK_SET) == 77);
  ModelFile file;
  REQUIRE(file.OpenFd(package.fd(), 128, 0).ok());
  CHECK(file.file_bytes() == package.model().size());
  CHECK(lseek(package.fd(), 0, SEEK_CUR) == 77);
}

TEST_CASE("descriptor: what is refused, and by which name") {
  const Package package(128, 100);
  const uint64_t size = package.model().size(), whole = 128 + size + 100;
  struct Case {
    uint64_t offset, length;
    Code code;
    const char* field;
  };
  const Case cases[] = {
      {127, size, Code::kInvalidArgument, "offset"},
      {160, size, Code::kInvalidArgument, "offset"},
      {RoundUp(whole, uint64_t{64}), 0, Code::kOutOfRange, "offset"},
      {UINT64_MAX - 63, 1, Code::kOutOfRange, "offset"},
      {128, size + 101, Code::kOutOfRange, "length"},
      {128, UINT64_MAX, Code::kOutOfRange, "length"},
      {128, size - 1, Code::kTruncated, "file_bytes"},
      {128, size + 1, Code::kTrailingBytes, "file_bytes"},
      {128, 0, Code::kTrailingBytes, "file_bytes"},
      {128, 10, Code::kTruncated, ""},
      {64, size, Code::kNotAModel, ""},
  };
  for (const Case& c : cases) {
    INFO(c.offset << " + " << c.length);
    ModelFile file;
    const Status status = file.OpenFd(package.fd(), c.offset, c.length);
    CHECK(std::string(CodeName(status.code)) == CodeName(c.code));
    if (c.field[0] != 0) CHECK(std::string(status.field) == c.field);
  }
  ModelFile file;
  CHECK(file.OpenFd(-1, 0, 0).code == Code::kIo);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  CHECK(file.OpenFd(ends[0], 0, 0).code == Code::kNotAModel);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("open: a pipe is refused, not waited for") {
  const std::string path = TemporaryPath("fifo");
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  std::atomic<bool> opened = false;
  std::atomic<bool> waited = false;
  // Lets go who waits for a writer.
  std::thread writer([&] {
    for (int i = 0; i < 500 && !opened; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (opened) return;
    waited = true;
    const int fd = open(path.c_str(), O_WRONLY | O_NONBLOCK);
    if (fd >= 0) close(fd);
  });
  ModelFile file;
  const Status status = file.Open(path.c_str());
  opened = true;
  writer.join();
  CHECK(status.code == Code::kNotAModel);
  CHECK(!waited);
}
