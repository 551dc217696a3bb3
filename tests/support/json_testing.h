// JSON in tests, and its values in Catch2's messages.
#pragma once

#include <catch2/catch_tostring.hpp>
#include <string>

#include "tests/support/json_values.h"

template <>
struct Catch::StringMaker<thimble::Json> {
  static std::string convert(const thimble::Json& value) { return thimble::JsonText(value); }
};
