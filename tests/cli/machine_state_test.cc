// What `bench` says of governor, clock, temperature and throttling, from folders that look like /sys; and how many threads a machine gets.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "targets/cli/bench/machine_state.h"
#include "targets/cli/default_threads.h"
#include "tests/cli/process.h"

namespace thimble::test {
namespace {

void Put(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  WriteFile(path, text);
}

// Four processors of a Raspberry Pi 5.
std::string Pi(const std::string& governor, const std::string& allowed = "2400000\n") {
  const std::string sys = TemporaryFolder();
  for (int cpu = 0; cpu < 4; ++cpu) {
    const std::string folder = sys + "/devices/system/cpu/cpu" + std::to_string(cpu) + "/cpufreq/";
    Put(folder + "scaling_governor", governor + "\n");
    Put(folder + "scaling_driver", "cpufreq-dt\n");
    Put(folder + "cpuinfo_max_freq", "2400000\n");
    Put(folder + "scaling_max_freq", allowed);
    Put(folder + "scaling_cur_freq", "1500000\n");
  }
  Put(sys + "/class/thermal/thermal_zone0/temp", "61000\n");
  return sys;
}

std::string Says(const std::string& sys) { return cli::MachineStateText(cli::ReadMachineState(sys), cli::ReadMachineState(sys)); }

TEST_CASE("machine state: a governor, a clock, a temperature, and nothing to warn of") {
  const cli::MachineState state = cli::ReadMachineState(Pi("ondemand"));
  CHECK(state.governor == "ondemand");
  CHECK(state.most_khz == 2400000);
  CHECK(state.sensors.frequency_khz == 1500000);
  CHECK(Says(Pi("ondemand")) == "processors: governor ondemand, 1500 MHz of 2400 MHz, 61 to 61 °C\n");
  CHECK(Says(TemporaryFolder()).empty());
}

TEST_CASE("machine state: what keeps the clock low is warned of") {
  CHECK(Says(Pi("powersave")).find("warning: the governor powersave") != std::string::npos);
  CHECK(Says(Pi("ondemand", "1000000\n")).find("warning: the clock is limited to 1000 MHz of 2400 MHz") != std::string::npos);
  // A PC's driver calls what chooses clocks powersave.
  const std::string pc = Pi("powersave");
  for (int cpu = 0; cpu < 4; ++cpu) Put(pc + "/devices/system/cpu/cpu" + std::to_string(cpu) + "/cpufreq/scaling_driver", "intel_pstate\n");
  CHECK(Says(pc).find("warning") == std::string::npos);
  const std::string mixed = Pi("performance");
  Put(mixed + "/devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave\n");
  CHECK(cli::ReadMachineState(mixed).governor == "performance+powersave");
}

TEST_CASE("machine state: a Raspberry Pi's firmware says what happened, and when") {
  // As older boards have it, and as the Raspberry Pi 5 does.
  for (const std::string soc : {"soc", "soc@107c000000"}) {
    const std::string sys = Pi("ondemand"), file = sys + "/devices/platform/" + soc + "/" + soc + ":firmware/get_throttled";
    Put(file, "0\n");
    const cli::MachineState before = cli::ReadMachineState(sys);
    REQUIRE(before.sensors.throttled == 0u);
    CHECK(cli::MachineStateText(before, before).find("warning") == std::string::npos);
    Put(file, "50005\n");
    const std::string now = cli::MachineStateText(before, cli::ReadMachineState(sys));
    CHECK(now.find("now: the voltage is too low") != std::string::npos);
    CHECK(now.find("now: it is throttled") != std::string::npos);
    CHECK(now.find("capped") == std::string::npos);
    Put(file, "80000\n");
    CHECK(cli::MachineStateText(before, cli::ReadMachineState(sys)).find("while this was measured: it is near the limit") != std::string::npos);
    CHECK(Says(sys).find("earlier, since it was switched on: it is near the limit") != std::string::npos);
  }
}

TEST_CASE("machine state: throttling of a PC while it was measured") {
  const std::string sys = Pi("performance"), file = sys + "/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count";
  Put(file, "3\n");
  const cli::MachineState before = cli::ReadMachineState(sys);
  CHECK(cli::MachineStateText(before, before).find("warning") == std::string::npos);
  Put(file, "10\n");
  CHECK(cli::MachineStateText(before, cli::ReadMachineState(sys)).find("throttled 7 times") != std::string::npos);
}

TEST_CASE("threads where nobody says: of the fast processors, of those allowed, and one for a small model") {
  constexpr uint64_t kLarge = uint64_t{100} << 20;
  CHECK(cli::ThreadsFor(kLarge, 0xf0, 8) == 4);  // four large ones and four small ones
  CHECK(cli::ThreadsFor(kLarge, 0xc0, 8) == 2);
  CHECK(cli::ThreadsFor(kLarge, 0xfe, 8) == 4);
  CHECK(cli::ThreadsFor(kLarge, 0, 2) == 2);
  CHECK(cli::ThreadsFor(kLarge, 0, 64) == 4);
  CHECK(cli::ThreadsFor(kLarge, 0, 0) == 1);
  CHECK(cli::ThreadsFor(3 << 20, 0xf0, 8) == 1);
}

}  // namespace
}  // namespace thimble::test
