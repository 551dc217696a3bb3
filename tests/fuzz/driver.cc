// Runs a harness without libFuzzer, so that every compiler can: the seeds, then changed seeds for some seconds. The
// same seed number gives the same inputs in the same order.
//
//   fuzz_x                      all seeds, then changes for THIMBLE_FUZZ_SECONDS (environment; 10)
//   fuzz_x --seconds 3600 --seed 7
//   fuzz_x FILE...              just these inputs
//
// The input that ended the program is in fuzz_x.found, which the last form takes.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/fuzz.h"

// Of AddressSanitizer, where that is compiled in. A report is a SIGABRT, which we catch; an allocation of this size is a
// report, too.
extern "C" const char* __asan_default_options() {
  return "abort_on_error=1:max_allocation_size_mb=1024:allocator_may_return_null=0";
}
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, size_t),
                                                         void (*on_free)(const volatile void*)) __attribute__((weak));
extern "C" size_t __sanitizer_get_allocated_size(const volatile void* block) __attribute__((weak));

namespace thimble::fuzz {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kInputSeconds = 20;  // of one input
// What one input may have allocated at a time: so much, and so much for each of its bytes.
constexpr size_t kFreeBytes = size_t{32} << 20, kBytesPerByte = 128;
constexpr size_t kMaxInputBytes = size_t{1} << 20;

std::string found_path;
const std::string* current = nullptr;

// Bytes that are allocated, and the most since the input began.
size_t allocated = 0, peak = 0;
void OnMalloc(const volatile void*, size_t size) {
  allocated += size;
  peak = std::max(peak, allocated);
}
void OnFree(const volatile void* block) {
  if (block != nullptr) allocated -= std::min(allocated, __sanitizer_get_allocated_size(block));
}

// Called when the program is about to end badly. Only what is allowed in a signal handler.
void WriteFound() {
  if (current == nullptr) return;
  const int fd = open(found_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return;
  const ssize_t written = write(fd, current->data(), current->size());
  close(fd);
  if (written != static_cast<ssize_t>(current->size())) return;
  constexpr char kText[] = "fuzz: the input is in ";
  (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
  (void)!write(STDERR_FILENO, found_path.c_str(), found_path.size());
  (void)!write(STDERR_FILENO, "\n", 1);
  current = nullptr;
}

void OnSignal(int number) {
  if (number == SIGALRM) {
    constexpr char kText[] = "fuzz: found: one input takes too long\n";
    (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
  }
  WriteFound();
  signal(number == SIGALRM ? SIGABRT : number, SIG_DFL);
  raise(number == SIGALRM ? SIGABRT : number);
}

void RunOne(const std::string& input) {
  current = &input;
  alarm(kInputSeconds);
  // A block of exactly this size: reading behind it is seen.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  const size_t before = peak = allocated;
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  alarm(0);
  if (peak - before > kFreeBytes + kBytesPerByte * input.size()) Found("one input takes too much memory:", std::to_string(peak - before));
  current = nullptr;
}

class Mutator {
 public:
  Mutator(std::vector<std::string> seeds, std::vector<std::string> words, uint64_t seed)
      : seeds_(std::move(seeds)), words_(std::move(words)), random_(seed) {}

  std::string Next() {
    std::string input = Any(seeds_);
    // Mostly one change or two: of many, the first that is wrong hides the others.
    const uint64_t changes = 1 + Below(4) * Below(4);
    for (uint64_t i = 0; i < changes; ++i) Change(&input);
    if (input.size() > kMaxInputBytes) input.resize(kMaxInputBytes);
    return input;
  }

 private:
  uint64_t Below(uint64_t n) { return n == 0 ? 0 : random_() % n; }
  const std::string& Any(const std::vector<std::string>& list) { return list[Below(list.size())]; }

  void Change(std::string* input) {
    static constexpr uint64_t kNumbers[] = {0,      1,          2,          7,          8,
                                            0x7f,   0x80,       0xff,       0x7fff,     0x8000,
                                            0xffff, 0x7fffffff, 0x80000000, 0xffffffff, uint64_t{1} << 32,
                                            ~uint64_t{0} >> 1,  uint64_t{1} << 63,      ~uint64_t{0}};
    const size_t size = input->size(), at = Below(size + 1), length = std::min(size - at, Below(32));
    switch (Below(11)) {
      case 0:
        if (at < size) (*input)[at] = static_cast<char>((*input)[at] ^ (1 << Below(8)));
        return;
      case 1:
        if (at < size) (*input)[at] = static_cast<char>(random_());
        return;
      case 2: {  // a number with an edge, or one beside what is there
        const size_t bytes = size_t{1} << Below(4);
        if (at + bytes > size) return;
        uint64_t value = 0;
        std::memcpy(&value, input->data() + at, bytes);
        value = Below(2) == 0 ? value + Below(5) - 2 : kNumbers[Below(std::size(kNumbers))];
        std::memcpy(input->data() + at, &value, bytes);
        return;
      }
      case 3:
        input->erase(at, length);
        return;
      case 4:
        input->insert(at, input->substr(Below(size), Below(32)));
        return;
      case 5:
        input->resize(at);
        return;
      case 6:
        if (!words_.empty()) input->insert(at, Any(words_));
        return;
      case 7:
        if (!words_.empty()) input->replace(at, length, Any(words_));
        return;
      case 8: {  // the end of another seed
        const std::string& other = Any(seeds_);
        input->resize(at);
        *input += other.substr(Below(other.size() + 1));
        return;
      }
      case 9: {  // over and over: deep nesting, long runs
        const std::string run = words_.empty() || Below(2) == 0 ? input->substr(at, length) : Any(words_);
        std::string repeated;
        for (uint64_t n = uint64_t{1} << Below(15); n > 0 && repeated.size() < kMaxInputBytes; --n) repeated += run;
        input->insert(at, repeated);
        return;
      }
      default: {  // a digit, or a byte beside what is there
        if (at >= size) return;
        char& c = (*input)[at];
        c = c >= '0' && c <= '9' ? static_cast<char>('0' + Below(10)) : static_cast<char>(c + 1 - 2 * static_cast<int>(Below(2)));
      }
    }
  }

  std::vector<std::string> seeds_, words_;
  std::mt19937_64 random_;
};

int Run(int argc, char** argv) {
  const char* name = std::strrchr(argv[0], '/') == nullptr ? argv[0] : std::strrchr(argv[0], '/') + 1;
  found_path = std::string(name) + ".found";
  const char* environment = std::getenv("THIMBLE_FUZZ_SECONDS");
  long seconds = std::atol(environment != nullptr && environment[0] != 0 ? environment : THIMBLE_FUZZ_SECONDS_DEFAULT);
  uint64_t seed = 1;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--seconds" && i + 1 < argc) {
      seconds = std::atol(argv[++i]);
    } else if (argument == "--seed" && i + 1 < argc) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else {
      files.push_back(argument);
    }
  }
  if (__sanitizer_install_malloc_and_free_hooks != nullptr) __sanitizer_install_malloc_and_free_hooks(OnMalloc, OnFree);
  for (const int number : {SIGABRT, SIGALRM}) signal(number, OnSignal);

  for (const std::string& file : files) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
      std::fprintf(stderr, "fuzz: error: %s cannot be read\n", file.c_str());
      return 2;
    }
    RunOne(std::string(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()));
  }
  if (!files.empty()) return 0;

  const std::vector<std::string> seeds = Seeds();
  for (const std::string& input : seeds) RunOne(input);
  Mutator mutator(seeds, Words(), seed);
  const Clock::time_point end = Clock::now() + std::chrono::seconds(seconds);
  uint64_t rounds = 0;
  for (; Clock::now() < end; ++rounds) RunOne(mutator.Next());
  std::printf("%s: %zu seeds and %llu changed ones in %ld s, seed %llu: nothing found\n", name, seeds.size(),
              static_cast<unsigned long long>(rounds), seconds, static_cast<unsigned long long>(seed));
  return 0;
}

}  // namespace
}  // namespace thimble::fuzz

int main(int argc, char** argv) { return thimble::fuzz::Run(argc, argv); }
