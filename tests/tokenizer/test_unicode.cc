// The generated character classes: samples, and everything against the Unicode files where they are
// installed.
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "runtime/core/unicode/unicode.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;

TEST_CASE("Character classes: samples") {
  const std::map<uint32_t, CharClass> samples = {
      {'a', CharClass::kLetter},      {'Z', CharClass::kLetter},      {'0', CharClass::kNumber},
      {'_', CharClass::kPunctuation}, {' ', CharClass::kSpace},       {'\n', CharClass::kSpace},
      {'\v', CharClass::kSpace},      {'$', CharClass::kSymbol},      {'!', CharClass::kPunctuation},
      {0x7F, CharClass::kOther},      {0x1C, CharClass::kOther},      {0x85, CharClass::kSpace},
      {0xA0, CharClass::kSpace},      {0xAA, CharClass::kLetter},     {0xB2, CharClass::kNumber},
      {0xBD, CharClass::kNumber},     {0xD7, CharClass::kSymbol},     {0x301, CharClass::kMark},
      {0x430, CharClass::kLetter},    {0x660, CharClass::kNumber},    {0x200B, CharClass::kOther},
      {0x2003, CharClass::kSpace},    {0x2028, CharClass::kSpace},    {0x2160, CharClass::kNumber},
      {0x3000, CharClass::kSpace},    {0x3042, CharClass::kLetter},   {0x4E00, CharClass::kLetter},
      {0x9FFF, CharClass::kLetter},   {0xAC00, CharClass::kLetter},   {0xD7A3, CharClass::kLetter},
      {0xD800, CharClass::kOther},    {0xE000, CharClass::kOther},    {0xFEFF, CharClass::kOther},
      {0xFFFD, CharClass::kSymbol},   {0x1D7D8, CharClass::kNumber},  {0x1F600, CharClass::kSymbol},
      {0x20000, CharClass::kLetter},  {0x323AF, CharClass::kLetter},  {0x10FFFF, CharClass::kOther},
      {0x110000, CharClass::kOther},  {0xFFFFFFFF, CharClass::kOther}};
  for (const auto& [code_point, kind] : samples) {
    INFO("U+" << std::hex << code_point);
    CHECK(ClassOf(code_point) == kind);
  }
}

TEST_CASE("Character classes equal the Unicode files") {
  std::ifstream properties("/usr/share/unicode/PropList.txt");
  std::ifstream categories("/usr/share/unicode/extracted/DerivedGeneralCategory.txt");
  if (!properties || !categories) SKIP("the package unicode-data is not installed");
  std::string line;
  std::getline(properties, line);
  if (line.find(UnicodeVersion()) == std::string::npos)
    SKIP("another Unicode version is installed: " << line);
  std::vector<CharClass> expected(0x110000, CharClass::kOther);
  const auto read = [&](std::ifstream& stream, auto class_of) {
    while (std::getline(stream, line)) {
      const size_t semicolon = line.find(';');
      if (line.empty() || line[0] == '#' || semicolon == std::string::npos) continue;
      const size_t begin = line.find_first_not_of(' ', semicolon + 1);
      const CharClass kind = class_of(line.substr(begin, line.find_first_of(" #", begin) - begin));
      const uint32_t first = static_cast<uint32_t>(std::stoul(line, nullptr, 16));
      const size_t dots = line.find("..");
      const uint32_t last =
          dots < semicolon ? static_cast<uint32_t>(std::stoul(line.substr(dots + 2), nullptr, 16)) : first;
      for (uint32_t c = first; c <= last; ++c) {
        if (kind != CharClass::kOther) expected[c] = kind;
      }
    }
  };
  read(properties,
       [](const std::string& name) { return name == "White_Space" ? CharClass::kSpace : CharClass::kOther; });
  read(categories, [](const std::string& name) {
    switch (name[0]) {
      case 'L':
        return CharClass::kLetter;
      case 'N':
        return CharClass::kNumber;
      case 'P':
        return CharClass::kPunctuation;
      case 'S':
        return CharClass::kSymbol;
      case 'M':
        return CharClass::kMark;
      default:
        return CharClass::kOther;
    }
  });
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (ClassOf(c) != expected[c]) FAIL("U+" << std::hex << c);
  }
}

TEST_CASE("UTF-8: every code point, and what is none") {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    std::string text;
    thimble::testing::AppendUtf8(c, &text);
    const Utf8Char decoded = DecodeUtf8(text + "\x80");
    const bool surrogate = c >= 0xD800 && c < 0xE000;
    if (decoded.valid == surrogate) FAIL("U+" << std::hex << c);
    if (decoded.valid && (decoded.code_point != c || decoded.bytes != text.size()))
      FAIL("U+" << std::hex << c);
    // Cut short it is nothing.
    if (text.size() > 1 && DecodeUtf8(std::string_view(text).substr(0, text.size() - 1)).valid) FAIL(c);
  }
  for (const char* text :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "\xc3(", "\xe2\x82(", "\xed\xa0\x80"}) {
    CHECK(!DecodeUtf8(text).valid);
    CHECK(DecodeUtf8(text).bytes == 1);
  }
}
