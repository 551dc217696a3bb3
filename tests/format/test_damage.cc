// Damaged models: every length, every byte. Each gives a model that works or an error with a name, and
// nothing that a sanitizer would report.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <set>

#include "format/container.h"
#include "runtime/core/status.h"
#include "tests/format/header_image.h"
#include "tests/support/exercise.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// Sanitized runs change every byte of some models and a sample of the others; emulated ones take a sample of
// all. The steps are odd, so that every position of a field is met. -DTHIMBLE_TEST_EVERYTHING takes no
// samples, and minutes.
#if defined(THIMBLE_TEST_EVERYTHING)
constexpr size_t kStep = 1, kFullStep = 1;
#elif defined(__aarch64__)
constexpr size_t kStep = 13, kFullStep = 13;
#elif defined(__SANITIZE_ADDRESS__)
constexpr size_t kStep = 3, kFullStep = 1;
#else
constexpr size_t kStep = 1, kFullStep = 1;
#endif

const char* const kModels[] = {"k_v_on_read",  "gain_and_sinks",    "post_norms",
                               "cache_source", "encoder_first_row", "image"};

uint64_t HeaderEnd(const std::vector<uint8_t>& file) {
  Prefix p;
  std::memcpy(&p, file.data(), sizeof p);
  return p.header_offset + p.header_bytes;
}

struct Tally {
  std::set<int32_t> codes;
  size_t refused = 0, ran = 0, opened = 0, unverified = 0;
  void Add(const Exercised& e, const char* what, size_t at) {
    if (!e.fault.empty()) FAIL(what << " " << at << ": " << e.fault);
    if (e.open_code != 0) {
      ++refused;
      codes.insert(e.open_code);
    } else {
      ++opened;
      ran += e.ran;
      unverified += e.verify_code != 0;
    }
  }
};

}  // namespace

TEST_CASE("damage: undamaged models of every kind run") {
  for (const ZooModel& z : ModelZoo()) {
    for (uint32_t variant = 0; variant < 4; ++variant) {
      INFO(z.name << " " << variant);
      const Exercised e = ExerciseModel(z.builder.Bytes(), variant);
      CHECK(e.fault == "");
      CHECK(e.open_code == 0);
      CHECK(e.verify_code == 0);
      CHECK(e.ran);
    }
  }
}

TEST_CASE("damage: truncation at every length") {
  for (const char* name : kModels) {
    INFO(name);
    const std::vector<uint8_t> file = ZooEntry(name).Bytes();
    const uint64_t header_end = HeaderEnd(file);
    Tally tally, sealed;
    for (size_t size = 0; size < file.size(); ++size) {
      // Past the header only the announced length is looked at: a sample will do.
      if (size > header_end && size % (61 * kStep) != 0) continue;
      std::vector<uint8_t> cut(file.begin(), file.begin() + static_cast<ptrdiff_t>(size));
      tally.Add(ExerciseModel(cut, 0), "length", size);
      // The same with a prefix that agrees with the new length.
      if (size < kPrefixBytes) continue;
      const uint64_t announced = size;
      std::memcpy(cut.data() + offsetof(Prefix, file_bytes), &announced, sizeof announced);
      Seal(cut);
      sealed.Add(ExerciseModel(cut, 0), "sealed length", size);
    }
    CHECK(tally.opened == 0);
    CHECK(tally.codes ==
          std::set<int32_t>{static_cast<int32_t>(Code::kNotAModel), static_cast<int32_t>(Code::kTruncated)});
    CHECK(sealed.opened == 0);
  }
}

TEST_CASE("damage: every byte flipped, and nobody told the checksums", "[slow]") {
  for (const char* name : kModels) {
    INFO(name);
    std::vector<uint8_t> file = ZooEntry(name).Bytes();
    const uint64_t header_end = HeaderEnd(file);
    AlignedBytes bytes(file);
    Tally head, body;
    // Every byte of two models, of which one has no tokenizer; of the others a sample.
    const bool all = std::strcmp(name, "k_v_on_read") == 0 || std::strcmp(name, "image") == 0;
    const size_t step = all ? kFullStep : 7 * kStep;
    for (size_t i = 0; i < file.size(); i += i < header_end ? 1 : step) {
      // The padding in front of the first segment is the same case 14000 times.
      if (i > header_end + 200 && i + 200 < kFirstSegmentAlignment && i % 37 != 0) continue;
      bytes.data()[i] ^= static_cast<uint8_t>(1u << (i * 5 % 8));
      const Exercised e = ExerciseModel(bytes.data(), file.size(), static_cast<uint32_t>(i));
      bytes.data()[i] = file[i];
      (i < header_end ? head : body).Add(e, "byte", i);
    }
    CHECK(head.opened == 0);
    // Weights are not looked at when opening; the tokenizer is.
    CHECK(body.opened > 0);
    CHECK(body.ran > 0);
    CHECK(body.unverified == body.opened);
  }
}

TEST_CASE("damage: every byte of the header, sealed again", "[slow]") {
  size_t opened = 0, refused = 0;
  for (const char* name : kModels) {
    INFO(name);
    const std::vector<uint8_t> good = ZooEntry(name).Bytes();
    const uint64_t header_end = HeaderEnd(good);
    Tally tally;
    for (size_t i = 0; i < header_end; ++i) {
      for (const uint8_t pattern : {0x01, 0x80, 0xff, 0x10}) {
        // Turning all bits is done for every byte; the others for a sample of the larger models.
        const size_t step = pattern == 0xff ? kFullStep : name == kModels[0] ? kStep : 3 * kStep;
        if ((i + pattern) % step != 0) continue;
        std::vector<uint8_t> file = good;
        file[i] ^= pattern;
        Seal(file);
        tally.Add(ExerciseModel(file, static_cast<uint32_t>(i)), "byte", i);
      }
    }
    opened += tally.opened;
    refused += tally.refused;
  }
  CHECK(opened > 1000 / kStep);
  CHECK(refused > 1000 / kStep);
}

TEST_CASE("damage: every byte of the tokenizer", "[slow]") {
  for (const char* name : {"k_v_on_read", "byte_level"}) {
    const std::vector<uint8_t> good = ZooEntry(name).Bytes();
    const size_t tokenizer = ZooEntry(name).description().tokenizer.size();
    const size_t start = good.size() - tokenizer;  // its segment is the last
    REQUIRE(std::memcmp(good.data() + start, "ttok", 4) == 0);
    AlignedBytes bytes(good);
    Tally tally;
    for (size_t i = start; i < good.size(); i += kStep) {
      for (const uint8_t pattern : {0x01, 0x80, 0xff}) {
        bytes.data()[i] = static_cast<uint8_t>(good[i] ^ pattern);
        tally.Add(ExerciseModel(bytes.data(), good.size(), static_cast<uint32_t>(i)), "byte", i);
      }
      bytes.data()[i] = good[i];
    }
    CHECK(tally.opened > 0);
    CHECK(tally.refused > 0);
  }
}
