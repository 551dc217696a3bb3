// A JSON value, whether read, built or written. Members keep their order; texts are UTF-8. Host tools only: a value
// asked for as what it is not throws JsonError. It must not know any file, nor what a key means.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace thimble {

struct JsonError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Json {
 public:
  // Whole numbers are kUnsigned from 0 to 2^64 - 1 and kNegative down to -2^63; all others are the nearest double.
  enum class Kind : uint8_t { kNull, kBool, kUnsigned, kNegative, kReal, kText, kArray, kObject };
  struct Member;

  // Deeper nesting is refused when reading; model files have less than 10 levels.
  static constexpr size_t kMaxDepth = 64;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  template <std::integral T>
  Json(T value) : kind_(std::same_as<T, bool> ? Kind::kBool : value < T{} ? Kind::kNegative : Kind::kUnsigned) {
    value_.whole = static_cast<uint64_t>(value);
  }
  Json(double number) : kind_(Kind::kReal) { value_.real = number; }
  Json(const char* text) : Json(std::string(text)) {}
  Json(std::string_view text) : Json(std::string(text)) {}
  Json(std::string text);
  Json(std::vector<Json> items);
  template <typename T>
  Json(const std::vector<T>& items) : Json(std::vector<Json>(items.begin(), items.end())) {}
  // An object: {{"key", 1}, {"other", {{"nested", true}}}}. An array is Json::Array({1, 2}).
  Json(std::initializer_list<Member> members);
  static Json Array(std::vector<Json> items = {}) { return Json(std::move(items)); }
  // Two members of one key: JsonError, or the last one counts.
  enum class Repeated : uint8_t { kRefused, kLastCounts };
  static Json Object(std::vector<Member> members = {}, Repeated repeated = Repeated::kRefused);

  Json(const Json& other);
  Json(Json&& other) noexcept : kind_(other.kind_), value_(other.value_) { other.kind_ = Kind::kNull; }
  Json& operator=(Json other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(value_, other.value_);
    return *this;
  }
  ~Json() {
    if (kind_ >= Kind::kText) Destroy();
  }

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_bool() const { return kind_ == Kind::kBool; }
  bool is_unsigned() const { return kind_ == Kind::kUnsigned; }
  bool is_whole() const { return kind_ == Kind::kUnsigned || kind_ == Kind::kNegative; }
  bool is_number() const { return is_whole() || kind_ == Kind::kReal; }
  bool is_text() const { return kind_ == Kind::kText; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_object() const { return kind_ == Kind::kObject; }

  bool as_bool() const;
  uint64_t as_unsigned() const;
  int64_t as_signed() const;  // whole numbers from -2^63 to 2^63 - 1
  double as_double() const;   // any number, rounded where it has more than 53 bits
  const std::string& as_text() const;

  size_t size() const;  // elements of an array, members of an object; 0 for all others
  std::span<const Json> items() const;
  std::span<Json> items();
  const Json& operator[](size_t index) const;
  Json& operator[](size_t index);
  void Push(Json value);  // null becomes an array

  std::span<const Member> members() const;
  // Null when there is no such member, or this is no object. In logarithmic time.
  const Json* Find(std::string_view key) const;
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  const Json& operator[](std::string_view key) const;  // which must be there
  Json& operator[](std::string_view key);  // added as null where it is not there; null becomes an object
  void Erase(std::string_view key);
  void Update(const Json& other);  // with all members of another object

  // Numbers are equal by value, objects whatever the order of their members.
  friend bool operator==(const Json& a, const Json& b);

 private:
  struct Members;

  void Destroy();
  [[noreturn]] void Fail(const char* wanted) const;

  Kind kind_ = Kind::kNull;
  union {
    uint64_t whole;  // kBool: 0 or 1; kNegative: as int64_t
    double real;
    std::string* text;
    std::vector<Json>* items;
    Members* members;
  } value_ = {};
};

struct Json::Member {
  std::string key;
  Json value;
};

struct JsonRules {
  Json::Repeated repeated = Json::Repeated::kRefused;
  // Infinity, -Infinity and NaN as Python writes them.
  bool infinities = false;
};

// Linear in the size of the text. Throws JsonError with line, column and byte for everything that RFC 8259 does not
// allow, for numbers beyond doubles, for deeper nesting than Json::kMaxDepth and, unless the rules say otherwise, for
// repeated keys. A byte order mark in front is skipped.
Json ParseJson(std::string_view text, JsonRules rules = {});

// One line, or with an indent of 0 and more one line for each element. Reals come back as they were; those that are
// not finite become null. What is not UTF-8 becomes U+FFFD. `ascii`: everything else as \u.
std::string JsonText(const Json& value, int indent = -1, bool ascii = false);

}  // namespace thimble
