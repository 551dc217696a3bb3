// The rules of the source tree, checked by reading it as text: includes go down only, files stay short, every
// folder has a README, the top level holds what was agreed. It must not know what any source file does.

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = THIMBLE_SOURCE_DIR;
constexpr std::array kFolders = {"runtime", "ops", "format", "targets", "tests", "toolchains"};
constexpr std::size_t kLongestFile_lines = 500;
// One file, so that a program has one thing to read, to copy and to compare (tests/abi).
constexpr std::string_view kPublicHeader = "runtime/include/thimble/thimble.h";
constexpr std::size_t kPublicHeader_lines = 800;

// A layer is the longest prefix that fits. `own` lists the project's paths it may include, `foreign` the
// outside libraries; an entry that starts with '!' takes something out again.
struct Layer {
  std::string_view prefix;
  std::vector<std::string_view> own;
  std::vector<std::string_view> foreign;
};

// What kernels compiled with instruction set flags may see: contracts, and headers in which everything is static.
const std::vector<std::string_view> kIsaKernels = {
    "runtime/core/block_format.h", "ops/lanes/", "ops/linear/block_tile.h", "ops/rows/activation_", "ops/rows/row_kernel.h", "ops/rows/row_lanes.h", "ops/rows/state_kernel.h", "ops/rows/state_lanes.h", "ops/linear/linear_kernel.h", "ops/linear/quantise_blocks.h",
    "ops/linear/quantise_row.h", "ops/linear/turn_lanes.h", "ops/attention/attention_",
    "!ops/attention/attention_parts.h", "ops/x86/", "ops/neon/"};

const std::vector<Layer> kLayers = {
    {"runtime/core/", {"runtime/core/", "runtime/include/thimble/codes.h"}, {}},
    {"runtime/core/unicode/", {"runtime/core/"}, {}},
    {"format/", {"runtime/core/", "runtime/template/program.h", "format/"}, {"flatbuffers/"}},
    {"format/schema/", {}, {"flatbuffers/"}},
    {"ops/", {}, {}},  // every folder has its own row
    {"ops/lanes/", {"runtime/core/", "ops/lanes/"}, {}},
    {"ops/pool/", {"runtime/core/", "ops/pool/"}, {"pthreadpool.h", "fxdiv.h"}},
    {"ops/rows/", {"runtime/core/", "ops/lanes/", "ops/pool/", "ops/rows/"}, {}},
    {"ops/cache/", {"runtime/core/", "ops/lanes/", "ops/cache/"}, {}},
    {"ops/linear/", {"runtime/core/", "ops/lanes/", "ops/pool/", "ops/linear/"}, {}},
    {"ops/linear/packing/", {"runtime/core/", "ops/pool/", "ops/linear/"}, {}},
    {"ops/attention/",
     {"runtime/core/", "ops/lanes/", "ops/pool/", "ops/rows/rope.h", "ops/cache/", "ops/attention/"},
     {}},
    {"ops/x86/", kIsaKernels, {}},
    {"ops/neon/", kIsaKernels, {}},
    {"ops/xnnpack/",
     {"runtime/core/", "ops/linear/", "ops/x86/kernels.h", "ops/neon/kernels.h", "ops/xnnpack/"},
     {"xnnpack/"}},
    {"ops/tables/",
     {"runtime/core/", "ops/", "!ops/xnnpack/gemm.h"},
     {}},
    {"runtime/", {"runtime/", "thimble/", "format/", "ops/", "!ops/xnnpack/", "!ops/x86/", "!ops/neon/"}, {}},
    {"runtime/tokenizer/", {"runtime/core/", "runtime/tokenizer/", "format/tokenizer_data.h"}, {}},
    {"runtime/template/", {"runtime/core/", "runtime/template/"}, {}},
    {"runtime/include/", {"thimble/"}, {}},
    {"targets/", {"thimble/", "targets/"}, {}},
    {"targets/android/", {"thimble/", "targets/android/"}, {}},
    {"targets/android/convert/", {"thimble/", "targets/android/", "targets/convert/", "runtime/core/"}, {}},
    {"targets/convert/",
     {"runtime/core/", "format/", "ops/linear/block_row.h", "ops/linear/embed.h", "ops/linear/packing/layouts.h", "ops/linear/turn.h", "targets/convert/", "targets/json/", "targets/template/", "runtime/template/"},
     {"minizip/"}},
    {"targets/examples/", {"thimble/"}, {}},
    {"targets/json/", {"targets/json/"}, {"yyjson.h"}},
    {"targets/cli/", {"thimble/", "targets/cli/", "targets/convert/", "targets/json/", "targets/template/", "runtime/template/", "format/"}, {"CLI/"}},
    {"targets/cli/chat/", {"thimble/", "targets/cli/", "targets/json/", "targets/template/"}, {"CLI/", "histedit.h"}},
    {"targets/template/", {"targets/template/", "targets/json/", "runtime/core/", "runtime/template/"}, {}},
};

// Headers of outside libraries; whatever is not here and not ours is the standard library's or the system's.
const std::vector<std::string_view> kForeign = {"xnnpack/",     "xnnpack.h", "pthreadpool.h", "fxdiv.h",
                                                "flatbuffers/", "yyjson.h",  "CLI/",      "minizip/", "catch2/", "histedit.h"};

// What the library's layers do without.
const std::set<std::string_view> kHeavy = {"iostream",   "fstream", "sstream", "regex",
                                           "functional", "locale",  "iomanip"};

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool Matches(std::string_view path, const std::vector<std::string_view>& prefixes) {
  bool match = false;
  for (std::string_view prefix : prefixes) {
    if (prefix.front() == '!') {
      if (StartsWith(path, prefix.substr(1))) return false;
    } else {
      match = match || StartsWith(path, prefix);
    }
  }
  return match;
}

const Layer* LayerOf(std::string_view path) {
  const Layer* best = nullptr;
  for (const Layer& layer : kLayers) {
    if (StartsWith(path, layer.prefix) && (best == nullptr || layer.prefix.size() > best->prefix.size()))
      best = &layer;
  }
  return best;
}

bool IsHostTool(std::string_view path) {
  return StartsWith(path, "targets/");
}

bool IsSource(const fs::path& path) {
  static const std::set<std::string> kExtensions = {".h",  ".hpp", ".cc", ".c",     ".java",
                                                    ".kt", ".py",  ".sh", ".cmake", ".fbs"};
  return kExtensions.count(path.extension().string()) != 0 || path.filename() == "CMakeLists.txt";
}

bool IsCpp(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h" || extension == ".hpp" || extension == ".cc" || extension == ".c";
}

bool IsGenerated(std::string_view path) { return path.find("_generated.") != std::string_view::npos; }

bool IsSkippedFolder(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.front() == '.' || name == "__pycache__" || name == "build";
}

// A folder with one folder in it and nothing else, as the name of a Java package makes them.
bool IsPackagePath(const fs::path& path) {
  const auto begin = fs::directory_iterator(path);
  return std::distance(begin, fs::directory_iterator()) == 1 && fs::directory_iterator(path)->is_directory();
}

struct File {
  std::string path;  // from the project's root
  std::vector<std::string> lines;
};

std::vector<File> Sources() {
  std::vector<File> files;
  for (const char* folder : kFolders) {
    if (!fs::exists(kRoot / folder)) continue;
    for (auto it = fs::recursive_directory_iterator(kRoot / folder); it != fs::recursive_directory_iterator();
         ++it) {
      if (it->is_directory() && IsSkippedFolder(it->path())) it.disable_recursion_pending();
      if (!it->is_regular_file() || !IsSource(it->path())) continue;
      File file{fs::relative(it->path(), kRoot).generic_string(), {}};
      std::ifstream in(it->path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  return files;
}

// The name in `#include "x"` or `#include <x>`, empty for any other line.
std::string Included(const std::string& line) {
  std::size_t at = line.find_first_not_of(" \t");
  if (at == std::string::npos || line[at] != '#') return "";
  at = line.find_first_not_of(" \t", at + 1);
  if (at == std::string::npos || line.compare(at, 7, "include") != 0) return "";
  const std::size_t open = line.find_first_of("\"<", at);
  const std::size_t close = line.find_first_of("\">", open + 1);
  if (open == std::string::npos || close == std::string::npos) return "";
  return line.substr(open + 1, close - open - 1);
}

bool IsOurs(const std::string& name) {
  return StartsWith(name, "thimble/") ||
         std::any_of(kFolders.begin(), kFolders.end(),
                     [&](std::string_view f) { return StartsWith(name, std::string(f) + "/"); });
}

std::string BadInclude(const std::string& path, const std::string& name) {
  const bool foreign = Matches(name, kForeign);
  const Layer* layer = LayerOf(path);
  if (layer == nullptr) return "";  // tests and toolchains may include anything
  if (IsOurs(name)) {
    const fs::path file = StartsWith(name, "thimble/") ? kRoot / "runtime/include" / name : kRoot / name;
    if (!fs::exists(file)) return "is not a path from the project's root";
    return Matches(name, layer->own) ? "" : "is not below this layer";
  }
  if (foreign) return Matches(name, layer->foreign) ? "" : "is a library that this layer must not see";
  if (!IsHostTool(path) && kHeavy.count(name) != 0) return "is too heavy for the library";
  return "";
}

}  // namespace

TEST_CASE("includes go down only", "[tree]") {
  std::size_t checked = 0;
  for (const File& file : Sources()) {
    if (!IsCpp(file.path)) continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const std::string name = Included(file.lines[i]);
      if (name.empty()) continue;
      ++checked;
      const std::string wrong = BadInclude(file.path, name);
      if (!wrong.empty()) FAIL_CHECK(file.path << ":" << i + 1 << ": " << name << " " << wrong);
    }
  }
  CHECK(checked > 10);
}

TEST_CASE("no file is over 500 lines", "[tree]") {
  for (const File& file : Sources()) {
    if (IsGenerated(file.path)) continue;
    const bool is_header = file.path == kPublicHeader || file.path == "tests/abi/accepted/thimble.h";
    if (file.lines.size() > (is_header ? kPublicHeader_lines : kLongestFile_lines))
      FAIL_CHECK(file.path << " has " << file.lines.size() << " lines");
  }
}

TEST_CASE("a file starts with a comment that says what it is", "[tree]") {
  for (const File& file : Sources()) {
    if (!IsCpp(file.path) || IsGenerated(file.path)) continue;
    // An implementation file whose header says it need not say it again.
    fs::path header = file.path;
    header.replace_extension(".h");
    if (header != file.path && fs::exists(kRoot / header)) continue;
    const std::string first = file.lines.empty() ? "" : file.lines.front();
    if (!StartsWith(first, "//") && !StartsWith(first, "/*"))
      FAIL_CHECK(file.path << " starts with: " << first);
  }
}

TEST_CASE("no error shows the number of a system error as what it got", "[tree]") {
  // Status::Errno says the reason in words.
  for (const File& file : Sources()) {
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      const std::size_t got = line.find(".Got(");
      if (got != std::string::npos && line.find("errno", got) != std::string::npos)
        FAIL_CHECK(file.path << ":" << i + 1 << ": " << line);
    }
  }
}

TEST_CASE("every folder has a README", "[tree]") {
  for (const char* top : kFolders) {
    if (!fs::exists(kRoot / top)) continue;
    std::vector<fs::path> folders = {kRoot / top};
    for (auto it = fs::recursive_directory_iterator(kRoot / top); it != fs::recursive_directory_iterator();
         ++it) {
      if (!it->is_directory()) continue;
      const std::string path = fs::relative(it->path(), kRoot).generic_string();
      // Fixtures are described one level up; the include folder is what gets installed, runtime/README.md
      // describes it; Android's resources are what its tools take, and nothing else may lie there.
      const bool plain = StartsWith(path, "tests/golden/") || StartsWith(path, "runtime/include") || path == "targets/android/sample/res";
      if (IsSkippedFolder(it->path()) || plain) {
        it.disable_recursion_pending();
      } else if (!fs::is_empty(it->path()) && !IsPackagePath(it->path())) {
        folders.push_back(it->path());
      }
    }
    for (const fs::path& folder : folders) {
      if (!fs::exists(folder / "README.md"))
        FAIL_CHECK(fs::relative(folder, kRoot).generic_string() << " has no README.md");
    }
  }
}

TEST_CASE("pages name files that are there", "[tree]") {
  // Links, and what stands in backticks, starts with one of our folders and ends like a file.
  const std::set<std::string> endings = {".h", ".hpp", ".cc", ".c", ".md", ".py", ".sh", ".cmake", ".thimble"};
  std::size_t names = 0;
  for (auto it = fs::recursive_directory_iterator(kRoot); it != fs::recursive_directory_iterator(); ++it) {
    if (it->is_directory() && IsSkippedFolder(it->path())) it.disable_recursion_pending();
    if (!it->is_regular_file() || it->path().extension() != ".md" || it->path().filename() == "CHANGELOG.md") continue;
    std::ifstream in(it->path());
    const std::string text(std::istreambuf_iterator<char>(in), {});
    const auto each = [&](const std::string& before, char end, auto check) {
      for (std::size_t at = text.find(before); at != std::string::npos;) {
        const std::size_t begin = at + before.size(), stop = text.find(end, begin);
        if (stop == std::string::npos) break;
        const std::string path = text.substr(begin, stop - begin);
        if (!check(path)) FAIL_CHECK(fs::relative(it->path(), kRoot).generic_string() << " names " << path << ", which is not there");
        at = text.find(before, stop + 1);
      }
    };
    each("](", ')', [&](const std::string& path) {
      if (path.find(' ') != std::string::npos) return true;  // code
      ++names;
      return path.find(':') != std::string::npos || path.front() == '#' || fs::exists(it->path().parent_path() / path);
    });
    each("`", '`', [&](const std::string& path) {
      const bool ours = std::find(kFolders.begin(), kFolders.end(), path.substr(0, path.find('/'))) != kFolders.end();
      const bool file = endings.count(fs::path(path).extension().string()) != 0 && path.find_first_of(" *{<") == std::string::npos;
      names += ours && file;
      return !ours || !file || fs::exists(kRoot / path);
    });
  }
  CHECK(names > 40);
}

TEST_CASE("the README's example is the one that the consumer test compiles", "[tree]") {
  const auto read = [](const fs::path& path) {
    std::ifstream in(path);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string example = read(kRoot / "targets/examples/story.cc");
  const std::size_t code = example.find("#include");
  REQUIRE(code != std::string::npos);
  CHECK(read(kRoot / "README.md").find(example.substr(code)) != std::string::npos);
}

// Whoever brings the library to another system finds all that is Linux's or glibc's alone in the files that the README lists.
TEST_CASE("what only Linux has stands in files that the README names", "[tree]") {
  const std::vector<std::string_view> only_linux = {
      "<linux/",      "<sys/auxv.h>", "<sys/prctl.h>", "<sys/syscall.h>", "<sys/sysinfo.h>", "<sys/vfs.h>", "\"/proc/",        "\"/sys/",
      "__linux__",    "__GLIBC__",    "_GNU_SOURCE",   "MADV_HUGEPAGE",   "MADV_COLD",       "MADV_PAGEOUT", "mincore(",       "cpu_set_t",
      "sched_setaff", "sched_getaff", "gettid(",       "syscall(",        "posix_fallocate", "fallocate(",   "copy_file_range", "sendfile("};
  std::ifstream in(kRoot / "README.md");
  std::string row;
  while (std::getline(in, row) && !StartsWith(row, "| macOS, Windows")) {
  }
  REQUIRE_FALSE(row.empty());
  std::size_t found = 0;
  for (const File& file : Sources()) {
    if (!IsCpp(file.path) || !(StartsWith(file.path, "runtime/") || StartsWith(file.path, "ops/") || StartsWith(file.path, "format/"))) continue;
    std::string what;
    for (const std::string& line : file.lines) {
      for (const std::string_view token : only_linux) {
        if (line.find(token) != std::string::npos) what = token;
      }
    }
    if (what.empty()) continue;
    ++found;
    if (row.find("`" + file.path + "`") == std::string::npos) FAIL_CHECK(file.path << " has " << what << ", and the README does not name it");
  }
  CHECK(found >= 5);
}

TEST_CASE("nothing else lies at the top level", "[tree]") {
  const std::set<std::string> files = {"CMakeLists.txt", "CMakePresets.json", "CMakeUserPresets.json",
                                       "README.md",      "CHANGELOG.md",      "LICENSE"};
  for (const auto& entry : fs::directory_iterator(kRoot)) {
    const std::string name = entry.path().filename().string();
    const bool agreed = entry.is_directory() ? name == "build" || std::find(kFolders.begin(), kFolders.end(),
                                                                            name) != kFolders.end()
                                             : files.count(name) != 0;
    if (name.front() != '.' && !agreed) FAIL_CHECK(name << " is outside the agreed top level");
  }
}

TEST_CASE("nothing is left open and no machine's paths are written down", "[tree]") {
  // Put together here, so that this file does not find itself.
  const std::vector<std::string> open = {std::string("TO") + "DO", std::string("FIX") + "ME"};
  const std::vector<std::string> paths = {std::string("/wo") + "rk/", std::string("/ho") + "me/",
                                          std::string("/ro") + "ot/"};
  for (const File& file : Sources()) {
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const auto has = [&](const std::string& text) { return file.lines[i].find(text) != std::string::npos; };
      if (std::any_of(open.begin(), open.end(), has))
        FAIL_CHECK(file.path << ":" << i + 1 << ": left open: " << file.lines[i]);
      if (std::any_of(paths.begin(), paths.end(), has))
        FAIL_CHECK(file.path << ":" << i + 1 << ": machine path: " << file.lines[i]);
    }
  }
}
