// Names, exit codes and text of errors. Knows nothing but runtime/core/status.h.
#include <algorithm>
#include <cerrno>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "runtime/core/result.h"
#include "runtime/core/status.h"

using namespace thimble;

namespace {

#define THIMBLE_CODE_OF(NAME, kName, number, name, help) Code::kName,
const std::vector<Code> kAllCodes = {THIMBLE_CODES(THIMBLE_CODE_OF)};
#undef THIMBLE_CODE_OF

std::string Text(const Status& status) {
  char buffer[512];
  const size_t length = FormatStatus(status, buffer, sizeof buffer);
  CHECK(std::strlen(buffer) == length);
  return buffer;
}

Status Everything() {
  return Status::Error(Code::kInvalidModel, "must be divisible by kv_heads")
      .At("layer", 3)
      .Field("attention.heads")
      .Got(7)
      .Wanted(2)
      .Offset(4096)
      .Detail("blk.3", 5);
}

Result<int> Half(int value) {
  if (value % 2 != 0) return Status::Error(Code::kOutOfRange, "odd").Got(value);
  return value / 2;
}

Result<int> Quarter(int value) {
  THIMBLE_ASSIGN_OR_RETURN(const int half, Half(value));
  return Half(half);
}

Status CheckQuarter(int value) {
  THIMBLE_RETURN_IF_ERROR(Quarter(value).status());
  return Status::Ok();
}

}  // namespace

TEST_CASE("every code has a name of its own") {
  std::set<std::string> names;
  for (const Code code : kAllCodes) {
    const std::string name = CodeName(code);
    INFO(name);
    CHECK(names.insert(name).second);
    CHECK(name != "unknown");
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string::npos);
  }
  // What to do is said, too, in sentences of its own.
  std::set<std::string> helps;
  for (const Code code : kAllCodes) {
    const std::string help = CodeHelp(code);
    CHECK(helps.insert(help).second);
    CHECK(help.back() == '.');
  }
  // No code that the list above lacks.
  size_t known = 0;
  for (int32_t i = -10; i < 1000; ++i) known += std::strcmp(CodeName(static_cast<Code>(i)), "unknown") != 0;
  CHECK(known == kAllCodes.size());
}

TEST_CASE("exit codes follow the ranges") {
  const int by_range[] = {0, 2, 3, 4, 5, 6, 7, 3};
  for (const Code code : kAllCodes) {
    INFO(CodeName(code));
    const int expected = code == Code::kCancelled ? 130 : by_range[static_cast<int32_t>(code) / 100];
    CHECK(ExitCode(code) == expected);
  }
}

TEST_CASE("status text names place, field and numbers") {
  CHECK(Text(Everything()) ==
        "model file: layer 3, attention.heads: must be divisible by kv_heads 'blk.3' (got 7, wanted 2, at "
        "byte 4096)");
  CHECK(Text(Status::Ok()) == "ok: ok");
  CHECK(Text(Status::Error(Code::kOutOfMemory, "no memory")) == "memory: no memory");
  CHECK(Text(Status::Error(Code::kTruncated, "too short").At("prefix")) == "model file: prefix: too short");
  CHECK(Text(Status::Error(Code::kTruncated, "too short").Field("size").Wanted(64)) ==
        "model file: size: too short (wanted 64)");
  CHECK(Text(Status::Error(Code::kCorrupt, "damaged").Offset(0)) == "model file: damaged (at byte 0)");
  CHECK(Text(Status::Error(Code::kIo, "cannot open").Got(2)) == "system: cannot open (got 2)");
  CHECK(Text(Status::Error(Code::kNotFinite, "NaN").At("ids", 0)) == "numeric: ids 0: NaN");
  CHECK(Text(Status::Error(Code::kUnsupportedFeature, "no").Got(UINT64_MAX)) ==
        "unsupported: no (got 18446744073709551615)");
  // A sign stays, whatever the type.
  CHECK(Text(Status::Error(Code::kInvalidToken, "no").Got(int32_t{-5}).Wanted(3)) == "argument: no (got -5, wanted 3)");
  CHECK(Text(Status::Error(Code::kInvalidToken, "no").Got(INT64_MIN)) == "argument: no (got -9223372036854775808)");
  CHECK(Text(Status::Error(Code::kInvalidToken, "no").Got(static_cast<signed char>(-1))) == "argument: no (got -1)");
  CHECK(Text(Status::Error(Code::kInvalidToken, "no").Got(-5).Got(7u)) == "argument: no (got 7)");
}

TEST_CASE("errors of the system carry the reason in words") {
  const Status missing = Status::Errno(Code::kIo, "cannot open the model file", ENOENT);
  CHECK(missing.system_error == ENOENT);
  CHECK(Text(missing) == "system: cannot open the model file: No such file or directory");
  CHECK(Text(Status::Errno(Code::kThreads, "no threads", EAGAIN).Field("threads").Got(4)) ==
        "system: threads: no threads: Resource temporarily unavailable (got 4)");
  CHECK(Text(Status(missing).DetailPath("m.thimble")) ==
        "system: cannot open the model file 'm.thimble': No such file or directory");
  CHECK(Text(Status::Errno(Code::kIo, "cannot read", 99999)).find("99999") != std::string::npos);
  // Who asks errno afterwards still finds what failed.
  errno = ENOSPC;
  Text(Status::Errno(Code::kIo, "cannot write", 99999));
  CHECK(errno == ENOSPC);
}

TEST_CASE("a path in an error is whole, or its end") {
  Status status;
  const std::string exact(39, 'y'), longer = "/data/user/0/org.example.reader/files/models/stories.thimble";
  CHECK(std::string(status.DetailPath(exact.c_str()).detail) == exact);
  CHECK(std::string(status.DetailPath(longer.c_str()).detail) == "..." + longer.substr(longer.size() - 36));
  CHECK(std::string(status.DetailPath("a\nb").detail) == "a?b");
}

TEST_CASE("status text of any buffer size ends inside the buffer") {
  const std::string whole = Text(Everything());
  for (size_t size = 0; size <= whole.size() + 2; ++size) {
    std::vector<char> buffer(size + 1, '#');
    const size_t length = FormatStatus(Everything(), buffer.data(), size);
    REQUIRE(buffer[size] == '#');
    if (size == 0) {
      REQUIRE(length == 0);
      continue;
    }
    REQUIRE(length == std::min(size - 1, whole.size()));
    REQUIRE(buffer[length] == 0);
    REQUIRE(std::string(buffer.data()) == whole.substr(0, length));
  }
}

TEST_CASE("details from a file are cut and made printable") {
  const std::string raw = std::string("a\nb\x1b[31m\x7f\xff", 10) + '\0' + "z";
  Status status = Status::Error(Code::kUnsupportedFeature, "no such feature").Detail(raw.data(), raw.size());
  CHECK(std::string(status.detail) == "a?b?[31m???z");
  const std::string longer(1000, 'x');
  status.Detail(longer.data(), longer.size());
  CHECK(std::string(status.detail) == std::string(39, 'x'));
  const std::string exact(39, 'y');
  status.Detail(exact.data(), exact.size());
  CHECK(std::string(status.detail) == exact);
  status.Detail("", 0);
  CHECK(std::string(status.detail).empty());
  CHECK(Text(status) == "unsupported: no such feature");
}

TEST_CASE("results pass values and errors on") {
  CHECK(Quarter(8).value() == 2);
  CHECK(Quarter(8).ok());
  CHECK(Quarter(7).status().got == 7);
  CHECK(Quarter(6).status().got == 3);
  CHECK(CheckQuarter(8).ok());
  CHECK(CheckQuarter(6).code == Code::kOutOfRange);
}
