// Before anything starts: what the machine has against what the plan takes, and the trained length.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "runtime/machine_memory.h"
#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// A root with these files.
struct Root {
  std::string path = TemporaryFolder() + "/";
  Root& Add(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(std::filesystem::path(path + name).parent_path());
    WriteFile(path + name, bytes);
    return *this;
  }
};

thimble_memory Memory(const Root& root) { return ReadMachineMemory(root.path.c_str()); }

const char* const kMeminfo = "MemTotal:       16384000 kB\nMemFree:          100000 kB\nMemAvailable:    8388608 kB\n";

TEST_CASE("available memory is what the system says") {
  const thimble_memory memory = Memory(Root().Add("proc/meminfo", kMeminfo));
  CHECK(memory.available_bytes == 8192 * kMiB);
  CHECK(memory.machine_bytes == 8192 * kMiB);
  CHECK(memory.limit == THIMBLE_LIMIT_MACHINE);
  CHECK(memory.group_bytes == THIMBLE_NO_LIMIT);
  CHECK(Memory(Root()).available_bytes == THIMBLE_NO_LIMIT);
  CHECK(Memory(Root()).limit == THIMBLE_LIMIT_NONE);
  CHECK(ReadMachineMemory().available_bytes != THIMBLE_NO_LIMIT);
}

TEST_CASE("a control group that leaves less is the limit, the nearest or one above it") {
  Root root;
  root.Add("proc/meminfo", kMeminfo).Add("proc/self/cgroup", "0::/outer/inner\n");
  root.Add("sys/fs/cgroup/outer/inner/memory.max", "max\n").Add("sys/fs/cgroup/outer/inner/memory.current", "1000\n");
  root.Add("sys/fs/cgroup/outer/memory.max", std::to_string(512 * kMiB)).Add("sys/fs/cgroup/outer/memory.current", std::to_string(300 * kMiB));
  root.Add("sys/fs/cgroup/outer/memory.stat", "anon 5\ninactive_file " + std::to_string(64 * kMiB) + "\nactive_file " + std::to_string(36 * kMiB) + "\n");
  const thimble_memory memory = Memory(root);
  CHECK(memory.available_bytes == 312 * kMiB);  // what files of it take can be dropped
  CHECK(memory.limit == THIMBLE_LIMIT_GROUP);
  CHECK(std::string(memory.group) == "/outer");
  root.Add("sys/fs/cgroup/outer/inner/memory.max", "500\n");
  CHECK(Memory(root).available_bytes == 0);  // already passed
}

TEST_CASE("in a container the limit is at the mount, whatever the group's path; and in the first version") {
  Root root;
  root.Add("proc/meminfo", kMeminfo).Add("proc/self/cgroup", "0::/not/there\n");
  root.Add("sys/fs/cgroup/memory.max", std::to_string(100 * kMiB)).Add("sys/fs/cgroup/memory.current", std::to_string(40 * kMiB));
  CHECK(Memory(root).available_bytes == 60 * kMiB);
  CHECK(std::string(Memory(root).group) == "/");
  Root first;
  first.Add("proc/meminfo", kMeminfo).Add("proc/self/cgroup", "4:cpu,cpuacct:/a\n7:memory:/b\n");
  first.Add("sys/fs/cgroup/memory/b/memory.limit_in_bytes", std::to_string(50 * kMiB));
  first.Add("sys/fs/cgroup/memory/b/memory.usage_in_bytes", std::to_string(10 * kMiB));
  CHECK(Memory(first).available_bytes == 40 * kMiB);
}

TEST_CASE("a plan larger than the machine's memory is refused before anything starts, unless told to go on") {
  if (Emulated()) SKIP("writes a model of 90 MB");
  const std::string model = TemporaryFolder() + "/small.thimble";
  REQUIRE(RunThimble({"convert", "--shape", "smollm2-135m", "--weights", "q4", "-o", model, "-q"}).exit_code == 0);
  // Up to 700 GiB of cache.
  const thimble_memory available = ReadMachineMemory();
  const Json one = ParseJson(RunThimble({"plan", model, "-c", "1000", "--kv", "f32", "--json"}).out);
  const uint64_t tokens = available.available_bytes / one["kv_bytes_per_token"].as_unsigned() * 3 / 2 + 1000;
  if (tokens > uint64_t{1} << 24) SKIP("this machine has more memory than any plan");
  std::vector<std::string> arguments = {"run", model, "--ids", "1,2", "-n", "2", "-c", std::to_string(tokens), "--kv", "f32"};
  const Finished refused = RunThimble(arguments);
  INFO(refused.err);
  CHECK(refused.exit_code == 5);
  CHECK(refused.err.find("too few; a shorter context (-c)") != std::string::npos);
  CHECK(refused.err.find("--overcommit") != std::string::npos);
  CHECK(refused.out.empty());
  const Finished planned = RunThimble({"plan", model, "-c", std::to_string(tokens), "--kv", "f32"});
  CHECK(planned.exit_code == 0);
  CHECK(planned.err.find("warning: the plan takes") != std::string::npos);
  CHECK(RunThimble({"plan", model, "-c", "500", "--kv", "f32"}).err.empty());
  // Then whether the system gives the memory is its business.
  arguments.emplace_back("--overcommit");
  const Finished went_on = RunThimble(arguments);
  INFO(went_on.err);
  CHECK(went_on.err.find("warning: the plan takes") != std::string::npos);
  CHECK(went_on.err.find("--overcommit") == std::string::npos);
}

TEST_CASE("a context beyond the trained length is warned of") {
  const std::string model = TemporaryFolder() + "/tiny.thimble";
  REQUIRE(RunThimble({"convert", "--shape", "tiny", "-o", model, "-q"}).exit_code == 0);
  const std::string warning = "warning: the context is 600 tokens, and the model was trained for 512";
  CHECK(RunThimble({"run", model, "--ids", "1,2", "-n", "2", "-c", "600"}).err.find(warning) != std::string::npos);
  if (Emulated()) return;
  CHECK(RunThimble({"plan", model, "-c", "600"}).err.find(warning) != std::string::npos);
  CHECK(RunThimble({"run", model, "--ids", "1,2", "-n", "2", "-c", "512"}).err.find("warning") == std::string::npos);
}

}  // namespace
}  // namespace thimble::test
