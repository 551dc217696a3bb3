// The arena's one walk: what it measures is what it carves, and what it does at the ends of a block.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "runtime/core/arena.h"
#include "runtime/core/poison.h"

#ifdef THIMBLE_ASAN
extern "C" int __asan_address_is_poisoned(void const volatile* address);
#endif

using namespace thimble;

namespace {

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Block = std::unique_ptr<uint8_t, Free>;

Block MakeBlock(size_t bytes) {
  void* p = nullptr;
  REQUIRE(posix_memalign(&p, kArenaAlignment, bytes) == 0);
  return Block(static_cast<uint8_t*>(p));
}

struct Collected {
  std::vector<ArenaLine> lines;
  static void Add(void* context, const ArenaLine& line) {
    static_cast<Collected*>(context)->lines.push_back(line);
  }
};

// Pieces of odd sizes, two scratch groups, one of them empty pieces included.
std::vector<void*> Walk(Arena& arena) {
  std::vector<void*> out;
  out.push_back(arena.Take<char>("a", 1));
  out.push_back(arena.Take<double>("b", 9, 4));
  out.push_back(arena.Take<float>("nothing", 0));
  out.push_back(arena.Take<uint16_t>("c", 64));
  arena.BeginScratch();
  out.push_back(arena.Take<float>("s0", 100, 0));
  out.push_back(arena.Take<float>("s1", 3, 1));
  arena.EndScratch();
  arena.BeginScratch();
  out.push_back(arena.Take<float>("t0", 20, 0));
  arena.EndScratch();
  arena.Finish();
  return out;
}

}  // namespace

TEST_CASE("arena measures what it carves") {
  Collected lines;
  Arena measure = Arena::Measuring(&Collected::Add, &lines);
  for (const void* p : Walk(measure)) CHECK(p == nullptr);
  REQUIRE(measure.status().ok());
  CHECK_FALSE(measure.carving());
  // 64 + 128 + 0 + 128 + (448 + 64) + slack
  REQUIRE(measure.Bytes() == 64 + 128 + 128 + 512 + kArenaSlackBytes);

  const Block block = MakeBlock(measure.Bytes());
  std::memset(block.get(), 0xa5, measure.Bytes());
  Collected carved;
  Arena arena = Arena::Carving(block.get(), measure.Bytes());
  CHECK(arena.carving());
  const std::vector<void*> pieces = Walk(arena);
  REQUIRE(arena.status().ok());
  CHECK(arena.Bytes() == measure.Bytes());

  // The lines' offsets are the pointers' distances; the empty piece has neither.
  const std::vector<void*> given = {pieces[0], pieces[1], pieces[3], pieces[4], pieces[5], pieces[6]};
  CHECK(pieces[2] == nullptr);
  REQUIRE(lines.lines.size() == given.size() + 1);
  for (size_t i = 0; i < given.size(); ++i) {
    INFO(lines.lines[i].name);
    CHECK(static_cast<uint8_t*>(given[i]) - block.get() == static_cast<ptrdiff_t>(lines.lines[i].offset));
    CHECK(lines.lines[i].offset % kArenaAlignment == 0);
    CHECK(lines.lines[i].bytes % kArenaAlignment == 0);
  }
  CHECK(lines.lines[1].index == 4);
  CHECK(lines.lines[0].index == -1);
  const ArenaLine& slack = lines.lines.back();
  CHECK(std::strcmp(slack.name, "slack") == 0);
  CHECK(slack.offset + slack.bytes == measure.Bytes());
  CHECK_FALSE(slack.scratch);
  // The slack is what kernels may read behind the last piece: it is zero, and nothing else was touched.
  for (size_t i = 0; i < kArenaSlackBytes; ++i) CHECK(block.get()[slack.offset + i] == 0);
  UnpoisonMemory(block.get(), measure.Bytes());
  for (size_t i = 0; i < slack.offset; ++i) REQUIRE(block.get()[i] == 0xa5);
}

TEST_CASE("scratch groups overlap, everything else does not") {
  Collected lines;
  Arena arena = Arena::Measuring(&Collected::Add, &lines);
  Walk(arena);
  size_t persistent_end = 0, scratch_begin = SIZE_MAX, scratch_end = 0;
  for (const ArenaLine& line : lines.lines) {
    if (std::strcmp(line.name, "slack") == 0) continue;
    if (line.scratch) {
      scratch_begin = std::min(scratch_begin, line.offset);
      scratch_end = std::max(scratch_end, line.offset + line.bytes);
    } else {
      CHECK(line.offset == persistent_end);
      persistent_end = line.offset + line.bytes;
    }
  }
  CHECK(scratch_begin == persistent_end);
  CHECK(lines.lines[3].offset == lines.lines[5].offset);
  CHECK(lines.lines[4].offset == lines.lines[3].offset + lines.lines[3].bytes);
  CHECK(lines.lines.back().offset == scratch_end);
}

TEST_CASE("a larger second scratch group raises the total, a smaller one does not") {
  for (const size_t second : {size_t{64}, size_t{640}}) {
    Arena arena = Arena::Measuring();
    arena.Take<char>("p", 64);
    arena.BeginScratch();
    arena.Take<char>("s", 128);
    arena.EndScratch();
    arena.BeginScratch();
    arena.Take<char>("t", second);
    arena.EndScratch();
    arena.Finish();
    CHECK(arena.Bytes() == 64 + std::max(second, size_t{128}) + kArenaSlackBytes);
  }
}

TEST_CASE("one byte too few fails with both numbers and touches nothing behind the block") {
  Arena measure = Arena::Measuring();
  Walk(measure);
  const size_t need = measure.Bytes();
  const Block block = MakeBlock(need);
  for (const size_t size : {need - 1, need - kArenaSlackBytes, size_t{128}, size_t{1}}) {
    INFO(size);
    UnpoisonMemory(block.get(), need);
    std::memset(block.get(), 0x5a, need);
    Arena arena = Arena::Carving(block.get(), size);
    Walk(arena);
    const Status status = arena.status();
    CHECK(status.code == Code::kArenaTooSmall);
    CHECK(status.got == size);
    CHECK(status.wanted == need);
    UnpoisonMemory(block.get(), need);
    for (size_t i = 0; i < need; ++i) REQUIRE(block.get()[i] == 0x5a);
  }
}

TEST_CASE("sizes that overflow are reported, not wrapped") {
  for (const auto& [count, element] :
       std::vector<std::pair<uint64_t, uint64_t>>{{UINT64_MAX, 2},
                                                  {UINT64_MAX, 1},
                                                  {UINT64_MAX - 62, 1},
                                                  {uint64_t{1} << 32, uint64_t{1} << 32},
                                                  {SIZE_MAX / 2, 1}}) {
    INFO(count << " * " << element);
    Arena arena = Arena::Measuring();
    arena.Take<char>("before", 64);
    CHECK(arena.TakeBytes("huge", count, element, -1) == nullptr);
    CHECK(arena.status().code == Code::kSizeOverflow);
    // What comes behind cannot make it good again.
    CHECK(arena.Take<char>("after", 64) == nullptr);
    arena.Finish();
    CHECK(arena.status().code == Code::kSizeOverflow);
  }
  // Two pieces that only together do not fit.
  Arena arena = Arena::Measuring();
  arena.TakeBytes("half", SIZE_MAX / 4, 1, -1);
  CHECK(arena.status().ok());
  arena.TakeBytes("half", SIZE_MAX / 4 + 128, 1, -1);
  CHECK(arena.status().code == Code::kSizeOverflow);
}

TEST_CASE("under AddressSanitizer only what was taken may be touched") {
#ifdef THIMBLE_ASAN
  constexpr size_t kBytes = 64 + 128 + 64 + 64;
  const Block block = MakeBlock(kBytes);
  Arena arena = Arena::Carving(block.get(), kBytes);
  for (size_t i = 0; i < kBytes; ++i) REQUIRE(__asan_address_is_poisoned(block.get() + i));
  const char* a = arena.Take<char>("a", 5);
  const char* b = arena.Take<char>("b", 65);
  arena.BeginScratch();
  const char* c = arena.Take<char>("c", 64);
  arena.EndScratch();
  arena.Finish();
  REQUIRE(arena.status().ok());
  CHECK_FALSE(__asan_address_is_poisoned(a));
  CHECK_FALSE(__asan_address_is_poisoned(a + 4));
  CHECK(__asan_address_is_poisoned(a + 5));
  CHECK(__asan_address_is_poisoned(a + 63));
  CHECK_FALSE(__asan_address_is_poisoned(b + 64));
  CHECK(__asan_address_is_poisoned(b + 65));
  CHECK_FALSE(__asan_address_is_poisoned(c + 63));
  CHECK_FALSE(__asan_address_is_poisoned(block.get() + kBytes - 1));  // the slack
  UnpoisonMemory(block.get(), kBytes);
#else
  SKIP("built without AddressSanitizer");
#endif
}
