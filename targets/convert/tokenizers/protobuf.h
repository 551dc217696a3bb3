// A strict reader of protobuf's wire format: enough for the few messages that we read, and nothing more.
// Every length is checked against the bytes that remain; what it cannot read is an ImportError. It must not
// know any message.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "targets/convert/import_error.h"

namespace thimble {

class ProtoReader {
 public:
  enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  // `name` appears in messages.
  ProtoReader(std::string_view bytes, std::string name) : rest_(bytes), name_(std::move(name)) {}

  // Reads the next field with its value; false at the end.
  bool Next() {
    if (rest_.empty()) return false;
    const uint64_t key = ReadVarint();
    field_ = key >> 3;
    wire_ = static_cast<uint32_t>(key & 7);
    if (field_ == 0) Fail("a field has the number 0");
    switch (wire_) {
      case kVarint:
        number_ = ReadVarint();
        break;
      case kFixed64:
        bytes_ = Take(8);
        break;
      case kBytes:
        bytes_ = Take(ReadVarint());
        break;
      case kFixed32:
        bytes_ = Take(4);
        break;
      default:
        Fail("field " + std::to_string(field_) + " has the unknown wire type " + std::to_string(wire_));
    }
    return true;
  }

  uint64_t field() const { return field_; }

  std::string_view Bytes() const {
    Expect(kBytes);
    return bytes_;
  }
  bool Bool() const {
    Expect(kVarint);
    return number_ != 0;
  }
  int64_t Int() const {
    Expect(kVarint);
    return static_cast<int64_t>(number_);
  }
  float Float() const {
    Expect(kFixed32);
    uint32_t bits;
    std::memcpy(&bits, bytes_.data(), sizeof bits);
    return std::bit_cast<float>(bits);
  }

  [[noreturn]] void Fail(const std::string& what) const {
    throw ImportError(Code::kInvalidModel, name_ + ": " + what);
  }

 private:
  void Expect(Wire wire) const {
    if (wire_ != wire)
      Fail("field " + std::to_string(field_) + " has the wrong wire type " + std::to_string(wire_));
  }
  std::string_view Take(uint64_t size) {
    if (size > rest_.size()) {
      Fail("a field announces " + std::to_string(size) + " bytes, " + std::to_string(rest_.size()) +
           " remain");
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  uint64_t ReadVarint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = static_cast<uint8_t>(Take(1)[0]);
      if (shift == 63 && byte > 1) break;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    Fail("a number is longer than 64 bits");
  }

  std::string_view rest_;
  std::string name_;
  uint64_t field_ = 0;
  uint32_t wire_ = 0;
  uint64_t number_ = 0;
  std::string_view bytes_;
};

}  // namespace thimble
