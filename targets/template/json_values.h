// JSON as the values that templates see. Host only.
#pragma once

#include <memory>
#include <vector>

#include "runtime/template/value.h"
#include "targets/json/json.h"

namespace thimble::chat {

// Texts point into the JSON; texts are data, but for roles.
class JsonValues {
 public:
  Value Make(const Json& json, bool role = false) {
    switch (json.kind()) {
      case Json::Kind::kNull: return Value::None();
      case Json::Kind::kBool: return Value::Bool(json.as_bool());
      case Json::Kind::kUnsigned:
        if (json.as_unsigned() > INT64_MAX) return Value::Float(json.as_double());
        return Value::Int(json.as_signed());
      case Json::Kind::kNegative: return Value::Int(json.as_signed());
      case Json::Kind::kReal: return Value::Float(json.as_double());
      case Json::Kind::kText: return Value::Text(json.as_text(), role ? kTemplate : kData);
      case Json::Kind::kArray: {
        auto items = std::make_unique<std::vector<Value>>();
        for (const Json& item : json.items()) items->push_back(Make(item));
        lists_.push_back(std::move(items));
        return Value::List(lists_.back()->data(), lists_.back()->size());
      }
      case Json::Kind::kObject: {
        auto members = std::make_unique<std::vector<Member>>();
        for (const Json::Member& m : json.members()) members->push_back({Value::Text(m.key, kData), Make(m.value, m.key == "role")});
        dicts_.push_back(std::move(members));
        return Value::Dict(dicts_.back()->data(), dicts_.back()->size());
      }
    }
    return {};
  }

 private:
  std::vector<std::unique_ptr<std::vector<Value>>> lists_;
  std::vector<std::unique_ptr<std::vector<Member>>> dicts_;
};

}  // namespace thimble::chat
