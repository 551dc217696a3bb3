// What `profile` reads of the system: texts of /proc, files of /sys (of a folder of our own), pages of a block that is touched here.
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <filesystem>

#include "targets/cli/profile/arena_pages.h"
#include "targets/cli/profile/process_figures.h"
#include "targets/cli/profile/sensors.h"
#include "tests/cli/process.h"

namespace thimble::test {
namespace {

namespace fs = std::filesystem;

void Put(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  WriteFile(path, text);
}

TEST_CASE("profile figures: numbers behind names") {
  const std::string text = "Rss:                1696 kB\nPss:  437 kB\nPss_Anon: 5 kB\nsome avg10=0.00 total=6546837\n";
  CHECK(cli::NumberBehind(text, "Rss") == 1696 * 1024);
  CHECK(cli::NumberBehind(text, "Pss") == 437 * 1024);
  CHECK(cli::NumberBehind(text, "Anon") == 0);  // not a part of a name
  CHECK(cli::NumberBehind(text, "total") == 6546837);
  CHECK(cli::NumberBehind(text, "avg10") == 0);
  CHECK(cli::NumberBehind("Rss:", "Rss") == 0);
  CHECK(cli::NumberBehind("", "Rss") == 0);
}

TEST_CASE("profile figures: sensors of a Raspberry Pi, of a PC, and none") {
  const std::string pi = TemporaryFolder();
  Put(pi + "/class/thermal/thermal_zone0/temp", "48312\n");
  Put(pi + "/class/thermal/thermal_zone1/temp", "61000\n");
  Put(pi + "/class/thermal/cooling_device0/temp", "99000\n");
  Put(pi + "/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1500000\n");
  Put(pi + "/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "2400000\n");
  Put(pi + "/devices/system/cpu/cpufreq/scaling_cur_freq", "9900000\n");
  Put(pi + "/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
  const cli::Sensors sensors(pi);
  cli::SensorReading reading = sensors.Read();
  CHECK(reading.temperature_c == 61.0);
  CHECK(reading.frequency_khz == 2400000);
  CHECK(reading.throttled == 0x50005);
  CHECK_FALSE(reading.throttle_count);
  Put(pi + "/class/thermal/thermal_zone1/temp", "no");  // as some drivers say
  CHECK(sensors.Read().temperature_c == 48.312);

  const std::string pc = TemporaryFolder();
  Put(pc + "/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "3\n");
  Put(pc + "/devices/system/cpu/cpu7/thermal_throttle/core_throttle_count", "4\n");
  CHECK(cli::Sensors(pc).Read().throttle_count == 7);
  reading = cli::Sensors(TemporaryFolder()).Read();
  CHECK_FALSE(reading.temperature_c);
  CHECK_FALSE(reading.frequency_khz);
  CHECK_FALSE(reading.throttled);
  CHECK_FALSE(reading.throttle_count);
}

TEST_CASE("profile figures: Android's thermal status, by its library") {
  const std::string library = std::string(THIMBLE_THERMAL_STAND_IN) + "/libandroid.so", none = TemporaryFolder();
  const cli::Sensors sensors(none, library.c_str());
  REQUIRE(sensors.tells_thermal_status());
  const std::pair<const char*, const char*> told[] = {{"0", "none"}, {"1", "light"}, {"6", "shutdown"}, {"7", "unknown"}};
  for (const auto& [number, name] : told) {
    setenv("THERMAL_STAND_IN", number, 1);
    const std::optional<int> status = sensors.Read().thermal_status;
    REQUIRE(status);
    CHECK(std::string(cli::AndroidThermal::Name(*status)) == name);
  }
  setenv("THERMAL_STAND_IN", "-1", 1);  // ATHERMAL_STATUS_ERROR
  CHECK_FALSE(sensors.Read().thermal_status);
  unsetenv("THERMAL_STAND_IN");
  // Elsewhere; and before Android 11, whose library has no such functions.
  for (const char* other : {"libandroid-that-is-nowhere.so", "libm.so.6"}) {
    const cli::Sensors without(none, other);
    CHECK_FALSE(without.tells_thermal_status());
    CHECK_FALSE(without.Read().thermal_status);
  }
}

thimble_plan_line Line(const char* name, uint64_t offset, uint64_t bytes, int32_t scratch = 0, int32_t session = -1) {
  return {sizeof(thimble_plan_line), THIMBLE_ARENA, -1, session, name, offset, bytes, scratch, 0, bytes, bytes};
}

TEST_CASE("profile figures: bytes of lines in pages") {
  if (Emulated()) SKIP("the emulator's pages are not the system's");
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), bytes = 16 * page;
  char* block = static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(block != MAP_FAILED);
  madvise(block, bytes, MADV_NOHUGEPAGE);
  // Two lines share page 2; one lies inside of a page; phases of scratch overlap.
  const thimble_plan_line lines[] = {Line("packed_weights", 0, 2 * page + 64), Line("kv_cache", 2 * page + 64, 6 * page - 64, 0, 0), Line("engine", 8 * page + 128, 64),
                                     Line("attention.q", 9 * page, 3 * page, 1), Line("ffn.up", 9 * page, 4 * page, 1), Line("slack", 15 * page, page)};
  cli::ArenaPages pages({std::begin(lines), std::end(lines)}, bytes);
  pages.Look(block);
  CHECK(pages.OfArena().touched == 0);
  block[2 * page] = 1;
  block[8 * page + 5] = 1;
  std::memset(block + 10 * page, 1, 2 * page);
  const volatile char read = block[15 * page];
  (void)read;
  pages.Look(block);
  CHECK((std::string(pages.source()) == "pagemap" || std::string(pages.source()) == "mincore"));
  CHECK(pages.Of(lines[0]).touched == 64);
  CHECK(pages.Of(lines[1]).touched == page - 64);
  CHECK(pages.Of(lines[2]).touched == 64);
  CHECK(pages.Of(lines[3]).touched == 2 * page);
  CHECK(pages.Of(lines[4]).resident == 2 * page);
  CHECK(pages.Of(cli::Region::kScratch).touched == 2 * page);
  CHECK(pages.Of(cli::Region::kCache).touched == page - 64);
  if (std::string(pages.source()) == "pagemap") {
    CHECK(pages.Of(lines[4]).dirty == 2 * page);
    CHECK(pages.Of(lines[5]).touched == page);
    CHECK(pages.Of(lines[5]).dirty == 0);  // only read: the system's page of zeros
    CHECK(pages.OfArena().touched == 5 * page);
    CHECK(pages.OfArena().dirty == 4 * page);
  }
  munmap(block, bytes);
}

TEST_CASE("profile figures: mappings by name, and their sum") {
  if (Emulated()) SKIP("the emulator has no smaps");
  cli::ProcessFigures figures;
  const size_t bytes = size_t{3} << 20;
  char* block = static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(block != MAP_FAILED);
  madvise(block, bytes, MADV_NOHUGEPAGE);
  std::memset(block, 1, bytes / 3);
  std::vector<cli::MappedRegion> regions(192);
  const size_t count = figures.Regions(block, bytes, regions);
  if (count == 0) SKIP("no /proc/self/smaps");
  uint64_t resident = 0, arena = 0;
  for (size_t i = 0; i < count; ++i) {
    resident += regions[i].bytes.resident;
    if (std::string(regions[i].name.data()) == "arena") arena += regions[i].bytes.anonymous;
  }
  const cli::ProcessBytes all = figures.Bytes();
  CHECK(arena >= bytes / 3);
  CHECK(all.anonymous >= bytes / 3);
  CHECK(all.private_dirty >= bytes / 3);
  const uint64_t more = resident > all.resident ? resident - all.resident : all.resident - resident;
  CHECK(more <= all.resident / 10);  // they are asked one after the other
  CHECK(figures.Work().cpu_ns > 0);
  CHECK(figures.Work().minor_faults > bytes / 3 / 65536);
  munmap(block, bytes);
}

}  // namespace
}  // namespace thimble::test
