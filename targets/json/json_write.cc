// From Json to text.
#include <charconv>
#include <cmath>

#include "targets/json/json.h"

namespace thimble {
namespace {

constexpr uint32_t kReplacement = 0xfffd;

// Takes one character off the front; what is no character in UTF-8 comes out as U+FFFD, once for each beginning of
// one (Unicode 15, 3.9, "maximal subpart").
uint32_t TakeCharacter(std::string_view* text) {
  const auto byte = [text](size_t i) { return i < text->size() ? static_cast<uint8_t>((*text)[i]) : uint8_t{0}; };
  const uint8_t lead = byte(0);
  const size_t more = lead < 0x80 ? 0 : lead < 0xc2 ? 9 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : 9;
  uint32_t character = more == 0 ? lead : more == 9 ? kReplacement : lead & (0x3fu >> more);
  size_t used = 1;
  for (; more != 9 && used <= more; ++used) {
    const uint8_t next = byte(used);
    // The second byte also keeps out long forms, surrogates and what is above U+10FFFF.
    const uint8_t low = used != 1 ? 0x80 : lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = used != 1 ? 0xbf : lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (next < low || next > high) {
      character = kReplacement;
      break;
    }
    character = character << 6 | (next & 0x3f);
  }
  text->remove_prefix(used);
  return character;
}

class Writer {
 public:
  Writer(int indent, bool ascii) : indent_(indent), ascii_(ascii) {}

  void Write(const Json& value) {
    switch (value.kind()) {
      case Json::Kind::kNull:
        out_ += "null";
        break;
      case Json::Kind::kBool:
        out_ += value.as_bool() ? "true" : "false";
        break;
      case Json::Kind::kUnsigned:
        out_ += std::to_string(value.as_unsigned());
        break;
      case Json::Kind::kNegative:
        out_ += std::to_string(value.as_signed());
        break;
      case Json::Kind::kReal:
        Real(value.as_double());
        break;
      case Json::Kind::kText:
        Text(value.as_text());
        break;
      case Json::Kind::kArray:
        List('[', ']', value.items(), [this](const Json& item) { Write(item); });
        break;
      case Json::Kind::kObject:
        List('{', '}', value.members(), [this](const Json::Member& member) {
          Text(member.key);
          out_ += indent_ < 0 ? ":" : ": ";
          Write(member.value);
        });
        break;
    }
  }

  std::string Take() { return std::move(out_); }

 private:
  void Real(double number) {
    if (!std::isfinite(number)) {
      out_ += "null";
      return;
    }
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    const std::string_view text(digits, static_cast<size_t>(end - digits));
    out_ += text;
    // It stays a real number for who reads it.
    if (text.find_first_of(".e") == std::string_view::npos) out_ += ".0";
  }

  void Unit(uint32_t unit) {
    static constexpr char kDigits[] = "0123456789abcdef";
    out_ += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out_ += kDigits[unit >> shift & 15];
  }

  void Text(std::string_view text) {
    out_ += '"';
    while (!text.empty()) {
      const std::string_view before = text;
      const uint32_t character = TakeCharacter(&text);
      static constexpr std::string_view kEscaped = "\"\\\b\f\n\r\t", kNames = "\"\\bfnrt";
      if (const size_t at = character < 0x80 ? kEscaped.find(static_cast<char>(character)) : kEscaped.npos;
          at != kEscaped.npos) {
        out_ += '\\';
        out_ += kNames[at];
      } else if (character < 0x20 || (ascii_ && character >= 0x7f && character < 0x10000)) {
        Unit(character);
      } else if (ascii_ && character >= 0x10000) {
        Unit(0xd800 + ((character - 0x10000) >> 10));
        Unit(0xdc00 + ((character - 0x10000) & 0x3ff));
      } else if (character == kReplacement) {
        out_ += "\xef\xbf\xbd";
      } else {
        out_ += before.substr(0, before.size() - text.size());
      }
    }
    out_ += '"';
  }

  template <typename Element, typename WriteOne>
  void List(char open, char close, std::span<const Element> elements, WriteOne write) {
    out_ += open;
    ++level_;
    for (size_t i = 0; i < elements.size(); ++i) {
      if (i > 0) out_ += ',';
      NewLine();
      write(elements[i]);
    }
    --level_;
    if (!elements.empty()) NewLine();
    out_ += close;
  }

  void NewLine() {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<size_t>(indent_) * level_, ' ');
  }

  const int indent_;
  const bool ascii_;
  size_t level_ = 0;
  std::string out_;
};

}  // namespace

std::string JsonText(const Json& value, int indent, bool ascii) {
  Writer writer(indent, ascii);
  writer.Write(value);
  return writer.Take();
}

}  // namespace thimble
