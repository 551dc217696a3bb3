#include "targets/json/json.h"

#include <algorithm>

namespace thimble {
namespace {

// Up to this many members looking at each is as quick.
constexpr size_t kFewMembers = 8;

const char* Name(Json::Kind kind) {
  static constexpr const char* kNames[] = {"null",   "a truth value", "a number", "a number",
                                           "a number", "a text",        "an array", "an object"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace

struct Json::Members {
  std::vector<Member> list;
  std::vector<uint32_t> by_key;  // all of the list, once there are more than a few

  // Throws JsonError for a key that is there twice, unless the last one counts.
  void Settle(Repeated repeated) {
    std::vector<uint32_t> order = Order();
    std::vector<uint32_t> dropped;
    for (size_t i = 1; i < order.size(); ++i) {
      if (list[order[i - 1]].key != list[order[i]].key) continue;
      if (repeated == Repeated::kRefused) throw JsonError("duplicate key '" + list[order[i]].key + "'");
      dropped.push_back(order[i - 1]);
    }
    if (!dropped.empty()) {
      std::sort(dropped.begin(), dropped.end());
      size_t next = 0, kept = 0;
      for (size_t i = 0; i < list.size(); ++i) {
        if (next < dropped.size() && dropped[next] == i) {
          ++next;
        } else if (kept++ != i) {
          list[kept - 1] = std::move(list[i]);
        }
      }
      list.resize(kept);
      order = Order();
    }
    if (list.size() > kFewMembers) by_key = std::move(order);
  }

  // By key, and of equal ones by place. Most keys differ in their first bytes, which are compared as one number.
  std::vector<uint32_t> Order() const {
    struct Entry {
      uint64_t start;
      uint32_t place;
    };
    std::vector<Entry> entries(list.size());
    for (uint32_t i = 0; i < entries.size(); ++i) {
      const std::string& key = list[i].key;
      uint64_t start = 0;
      for (size_t byte = 0; byte < 8; ++byte) start = start << 8 | (byte < key.size() ? static_cast<uint8_t>(key[byte]) : 0u);
      entries[i] = {start, i};
    }
    std::sort(entries.begin(), entries.end(), [this](const Entry& a, const Entry& b) {
      if (a.start != b.start) return a.start < b.start;
      const int compared = list[a.place].key.compare(list[b.place].key);
      return compared != 0 ? compared < 0 : a.place < b.place;
    });
    std::vector<uint32_t> order(list.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = entries[i].place;
    return order;
  }

  Member* Find(std::string_view key) {
    if (by_key.empty()) {
      const auto found = std::find_if(list.begin(), list.end(), [key](const Member& m) { return m.key == key; });
      return found == list.end() ? nullptr : &*found;
    }
    const auto found = Place(key);
    return found == by_key.end() || list[*found].key != key ? nullptr : &list[*found];
  }

  Json& Add(std::string key) {
    if (!by_key.empty()) by_key.insert(Place(key), static_cast<uint32_t>(list.size()));
    list.push_back({std::move(key), Json()});
    if (by_key.empty() && list.size() > kFewMembers) by_key = Order();
    return list.back().value;
  }

  std::vector<uint32_t>::iterator Place(std::string_view key) {
    return std::lower_bound(by_key.begin(), by_key.end(), key,
                            [this](uint32_t i, std::string_view wanted) { return list[i].key < wanted; });
  }
};

Json::Json(std::string text) : kind_(Kind::kText) { value_.text = new std::string(std::move(text)); }

Json::Json(std::vector<Json> items) : kind_(Kind::kArray) { value_.items = new std::vector<Json>(std::move(items)); }

Json::Json(std::initializer_list<Member> members) : Json(Object(members)) {}

Json Json::Object(std::vector<Member> members, Repeated repeated) {
  Json object;
  object.value_.members = new Members{std::move(members), {}};
  object.kind_ = Kind::kObject;
  object.value_.members->Settle(repeated);
  return object;
}

Json::Json(const Json& other) : value_(other.value_) {
  if (other.kind_ == Kind::kText) value_.text = new std::string(*other.value_.text);
  if (other.kind_ == Kind::kArray) value_.items = new std::vector<Json>(*other.value_.items);
  if (other.kind_ == Kind::kObject) value_.members = new Members(*other.value_.members);
  kind_ = other.kind_;
}

void Json::Destroy() {
  if (kind_ == Kind::kText) delete value_.text;
  if (kind_ == Kind::kArray) delete value_.items;
  if (kind_ == Kind::kObject) delete value_.members;
}

void Json::Fail(const char* wanted) const {
  throw JsonError(std::string("expected ") + wanted + ", found " + Name(kind_));
}

bool Json::as_bool() const {
  if (!is_bool()) Fail("a truth value");
  return value_.whole != 0;
}

uint64_t Json::as_unsigned() const {
  if (!is_unsigned()) Fail("a whole number of at least 0");
  return value_.whole;
}

int64_t Json::as_signed() const {
  if (!is_whole() || (is_unsigned() && value_.whole > INT64_MAX)) Fail("a whole number below 2^63");
  return static_cast<int64_t>(value_.whole);
}

double Json::as_double() const {
  if (kind_ == Kind::kReal) return value_.real;
  if (kind_ == Kind::kUnsigned) return static_cast<double>(value_.whole);
  if (kind_ == Kind::kNegative) return static_cast<double>(static_cast<int64_t>(value_.whole));
  Fail("a number");
}

const std::string& Json::as_text() const {
  if (!is_text()) Fail("a text");
  return *value_.text;
}

size_t Json::size() const {
  return is_array() ? value_.items->size() : is_object() ? value_.members->list.size() : 0;
}

std::span<const Json> Json::items() const {
  if (!is_array()) Fail("an array");
  return *value_.items;
}

std::span<Json> Json::items() {
  if (!is_array()) Fail("an array");
  return *value_.items;
}

const Json& Json::operator[](size_t index) const {
  const std::span<const Json> all = items();
  if (index >= all.size()) throw JsonError("no element " + std::to_string(index));
  return all[index];
}

Json& Json::operator[](size_t index) { return const_cast<Json&>(std::as_const(*this)[index]); }

void Json::Push(Json value) {
  if (is_null()) *this = Array();
  if (!is_array()) Fail("an array");
  value_.items->push_back(std::move(value));
}

std::span<const Json::Member> Json::members() const {
  if (!is_object()) Fail("an object");
  return value_.members->list;
}

const Json* Json::Find(std::string_view key) const {
  const Member* member = is_object() ? value_.members->Find(key) : nullptr;
  return member == nullptr ? nullptr : &member->value;
}

const Json& Json::operator[](std::string_view key) const {
  if (!is_object()) Fail("an object");
  const Json* value = Find(key);
  if (value == nullptr) throw JsonError("no member '" + std::string(key) + "'");
  return *value;
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) *this = Object();
  if (!is_object()) Fail("an object");
  if (Member* member = value_.members->Find(key)) return member->value;
  return value_.members->Add(std::string(key));
}

void Json::Erase(std::string_view key) {
  Member* member = is_object() ? value_.members->Find(key) : nullptr;
  if (member == nullptr) return;
  value_.members->list.erase(value_.members->list.begin() + (member - value_.members->list.data()));
  if (!value_.members->by_key.empty()) value_.members->by_key = value_.members->Order();
}

void Json::Update(const Json& other) {
  for (const auto& [key, value] : other.members()) (*this)[key] = value;
}

bool operator==(const Json& a, const Json& b) {
  using Kind = Json::Kind;
  if (a.is_number() && b.is_number() && (a.kind_ == Kind::kReal || b.kind_ == Kind::kReal))
    return a.as_double() == b.as_double();
  if (a.kind_ != b.kind_) return false;
  switch (a.kind_) {
    case Kind::kText:
      return *a.value_.text == *b.value_.text;
    case Kind::kArray:
      return *a.value_.items == *b.value_.items;
    case Kind::kObject:
      return a.size() == b.size() && std::all_of(a.members().begin(), a.members().end(), [&b](const Json::Member& m) {
               const Json* other = b.Find(m.key);
               return other != nullptr && m.value == *other;
             });
    default:
      return a.kind_ == Kind::kNull || a.value_.whole == b.value_.whole;
  }
}

}  // namespace thimble
