// Fast and slow processors, from folders that look like sysfs.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <thimble/thimble.h>

#include "runtime/cpu_topology.h"
#include "tests/support/model_builder.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// A folder with one processor for each capacity; "" leaves the file out.
std::string FakeSysfs(const std::string& name, const std::vector<std::string>& capacities) {
  const std::string root = TemporaryPath(name);
  for (size_t cpu = 0; cpu < capacities.size(); ++cpu) {
    const std::filesystem::path folder = root + "/cpu" + std::to_string(cpu);
    std::filesystem::create_directories(folder);
    if (!capacities[cpu].empty()) std::ofstream(folder / "cpu_capacity") << capacities[cpu];
  }
  return root;
}

uint64_t Fast(const std::string& name, const std::vector<std::string>& capacities) {
  return PerformanceCpus(FakeSysfs(name, capacities).c_str());
}

}  // namespace

TEST_CASE("the fast processors of big.LITTLE are found") {
  CHECK(Fast("two_clusters", {"446\n", "446\n", "446\n", "446\n", "1024\n", "1024\n", "1024\n", "1024\n"}) == 0xf0);
  CHECK(Fast("three_clusters", {"250\n", "250\n", "250\n", "250\n", "620\n", "620\n", "1024\n", "1024\n"}) == 0xf0);
  CHECK(Fast("one_prime", {"1024\n", "400\n", "400\n"}) == 0x1);
}

TEST_CASE("equal processors, missing files and nonsense give no difference") {
  CHECK(Fast("equal", {"1024\n", "1024\n", "1024\n", "1024\n"}) == 0);
  CHECK(Fast("nearly_equal", {"900\n", "1024\n"}) == 0);
  CHECK(Fast("missing", {"", ""}) == 0);
  CHECK(Fast("nonsense", {"fast\n", "-3\n"}) == 0);
  CHECK(Fast("half_missing", {"", "200\n", "1024\n"}) == 0x4);
  CHECK(PerformanceCpus("no-such-folder") == 0);
  CHECK(PerformanceCpus(std::string(5000, 'x').c_str()) == 0);
}

TEST_CASE("this machine answers, too") {
  (void)thimble_performance_cpus();
  CHECK(thimble_thread_cpus(nullptr, nullptr, 0, nullptr, nullptr) == THIMBLE_INVALID_ARGUMENT);
}
