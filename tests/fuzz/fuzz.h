// What a harness is: one function that takes any bytes, and some good inputs to start from. The functions have
// libFuzzer's names, so that clang's fuzzer runs the same files as driver.cc does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Anything but returning is a finding: a signal, a sanitizer's report, an exception that nobody promised, more time or
// memory than the limits of driver.cc.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace thimble::fuzz {

// Defined by each harness.
std::vector<std::string> Seeds();
// Texts that the format is made of; mutations insert them.
std::vector<std::string> Words();

// A harness says by this what it found beyond a crash; does not return.
[[noreturn]] void Found(const char* what, std::string_view detail = {});

// The bytes as a file that can be opened by its path; the same path each time.
const std::string& AsFile(const uint8_t* data, size_t size);

}  // namespace thimble::fuzz
