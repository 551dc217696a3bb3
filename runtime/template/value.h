// What a template computes with: Python's values, as views. Texts know byte by byte whether a template wrote them or people did.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace thimble::chat {

enum class Kind : uint8_t { kUndefined, kNone, kBool, kInt, kFloat, kText, kList, kDict, kNamespace, kMacro, kFunction, kMethod, kLoop };

struct Value;
struct Member;
struct Namespace;
struct Macro;
struct Loop;
struct Method;

// Where a text comes from. A special token is one only where all of its bytes are the template's.
//   kTemplate   all of it is the template's (or a role)
//   kData       none of it is
//   any other   a byte for each: 0 of the template, 1 of data
inline constexpr uint8_t kDataMark = 1;
inline const uint8_t* const kTemplate = nullptr;
inline const uint8_t* const kData = &kDataMark;

struct Value {
  Kind kind = Kind::kUndefined;
  bool tuple = false;        // a list that prints as one
  bool lazy = false;         // a list that Python makes item by item: without length and places, and true even if empty
  bool safe = false;         // a text that |safe marked, or |escape made: one that is added to it is escaped
  uint32_t size = 0;         // bytes, items, members
  union {
    bool truth;
    int64_t whole;
    double real;
    const char* text;
    const Value* items;
    const Member* members;
    Namespace* space;
    const Macro* macro;
    const Loop* loop;
    const Method* method;
    uint32_t function;
  };
  const uint8_t* marks = nullptr;  // of texts

  Value() : whole(0) {}
  static Value None() { return Of(Kind::kNone); }
  static Value Bool(bool b) { Value v = Of(Kind::kBool); v.truth = b; return v; }
  static Value Int(int64_t i) { Value v = Of(Kind::kInt); v.whole = i; return v; }
  static Value Float(double d) { Value v = Of(Kind::kFloat); v.real = d; return v; }
  static Value Text(std::string_view s, const uint8_t* from) {
    Value v = Of(Kind::kText);
    v.text = s.data();
    v.size = static_cast<uint32_t>(s.size());
    v.marks = from;
    return v;
  }
  static Value List(const Value* items, size_t count) {
    Value v = Of(Kind::kList);
    v.items = items;
    v.size = static_cast<uint32_t>(count);
    return v;
  }
  static Value Dict(const Member* members, size_t count) {
    Value v = Of(Kind::kDict);
    v.members = members;
    v.size = static_cast<uint32_t>(count);
    return v;
  }
  static Value Of(Kind kind) { Value v; v.kind = kind; return v; }

  std::string_view str() const { return {text, size}; }
  bool is(Kind k) const { return kind == k; }
  bool number() const { return kind == Kind::kInt || kind == Kind::kFloat || kind == Kind::kBool; }
};

struct Member {
  Value key;
  Value value;
};

// What is left of a block of memory that the caller gave. Nothing is freed but by going back to a place.
class Workspace {
 public:
  // Of any alignment.
  Workspace(void* memory, size_t bytes) {
    const size_t skip = memory == nullptr ? 0 : (8 - reinterpret_cast<uintptr_t>(memory) % 8) % 8;
    begin_ = at_ = static_cast<uint8_t*>(memory) + (skip < bytes ? skip : bytes);
    limit_ = end_ = begin_ + (skip < bytes ? (bytes - skip) / 8 * 8 : 0);
  }
  // null where there is no more room.
  void* Take(size_t bytes) {
    if (bytes > SIZE_MAX - 7) return nullptr;
    bytes = (bytes + 7) / 8 * 8;
    if (static_cast<size_t>(end_ - at_) < bytes) return nullptr;
    void* place = at_;
    at_ += bytes;
    Note();
    return place;
  }
  template <typename T>
  T* Take(size_t count) {
    return count > SIZE_MAX / 2 / sizeof(T) ? nullptr : static_cast<T*>(Take(count * sizeof(T)));
  }
  uint8_t* place() const { return at_; }
  void GoBack(uint8_t* place) { at_ = place; }

  // A second stack, from the end, for what is not finished yet. T's size is a multiple of 8.
  template <typename T>
  T* Push() {
    static_assert(sizeof(T) % 8 == 0);
    if (static_cast<size_t>(end_ - at_) < sizeof(T)) return nullptr;
    end_ -= sizeof(T);
    Note();
    return reinterpret_cast<T*>(end_);
  }
  template <typename T>
  T* Last() const { return reinterpret_cast<T*>(end_); }
  template <typename T>
  void Pop(size_t count) { end_ += count * sizeof(T); }

  size_t left() const { return static_cast<size_t>(end_ - at_); }
  // The most that was in use at a time.
  size_t most() const { return most_; }

 private:
  void Note() {
    const size_t used = static_cast<size_t>(at_ - begin_) + static_cast<size_t>(limit_ - end_);
    if (used > most_) most_ = used;
  }

  uint8_t *at_, *end_, *begin_, *limit_;
  size_t most_ = 0;
};

}  // namespace thimble::chat
