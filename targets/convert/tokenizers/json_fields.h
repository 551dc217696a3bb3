// Reading JSON strictly: every access checks the type and names the field. Host only.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/byte_level.h"

namespace thimble {

inline nlohmann::json ParseJson(std::string_view text, const std::string& name) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw ImportError(Code::kInvalidModel, name + ": " + error.what());
  }
}

// The member, or null when it is absent. `object` must be an object, or the field named `name` is at fault.
inline const nlohmann::json& Member(const nlohmann::json& object, const char* key, const std::string& name) {
  static const nlohmann::json null;
  if (!object.is_object()) throw ImportError(Code::kInvalidModel, name + " must be an object");
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

inline bool BoolMember(const nlohmann::json& object, const char* key, bool absent, const std::string& name) {
  const nlohmann::json& value = Member(object, key, name);
  if (value.is_null()) return absent;
  if (!value.is_boolean())
    throw ImportError(Code::kInvalidModel, name + "." + key + " must be true or false");
  return value.get<bool>();
}

// Empty when absent or null.
inline std::string StringMember(const nlohmann::json& object, const char* key, const std::string& name) {
  const nlohmann::json& value = Member(object, key, name);
  if (value.is_null()) return {};
  if (!value.is_string()) throw ImportError(Code::kInvalidModel, name + "." + key + " must be a string");
  return value.get<std::string>();
}

inline uint32_t IdValue(const nlohmann::json& value, const std::string& name) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() >= kMaxTokenizerPieces) {
    throw ImportError(Code::kInvalidModel, name + " must be an id");
  }
  return static_cast<uint32_t>(value.get<uint64_t>());
}

inline ByteLevelVocabulary ReadVocabulary(const nlohmann::json& vocab, const std::string& name) {
  if (!vocab.is_object()) throw ImportError(Code::kInvalidModel, name + " must be an object");
  ByteLevelVocabulary vocabulary;
  for (const auto& [piece, id] : vocab.items()) vocabulary[piece] = IdValue(id, name + "[\"" + piece + "\"]");
  return vocabulary;
}

// "a b" -> a, b.
inline std::pair<std::string, std::string> SplitMerge(std::string_view line, const std::string& name) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == line.size() ||
      line.find(' ', space + 1) != std::string_view::npos) {
    throw ImportError(Code::kInvalidModel, name + " must be two pieces with a space between");
  }
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

// ["a b", ["c", "d"], ...]; the first line of a merges.txt may have come along.
inline std::vector<std::pair<std::string, std::string>> ReadMerges(const nlohmann::json& merges) {
  if (!merges.is_array()) throw ImportError(Code::kInvalidModel, "model.merges must be an array");
  std::vector<std::pair<std::string, std::string>> pairs;
  pairs.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const std::string name = "model.merges[" + std::to_string(i) + "]";
    const nlohmann::json& merge = merges[i];
    if (merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    if (merge.is_string()) {
      pairs.push_back(SplitMerge(merge.get_ref<const std::string&>(), name));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      pairs.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    } else {
      throw ImportError(Code::kInvalidModel, name + " must be a string or a pair of strings");
    }
  }
  return pairs;
}

}  // namespace thimble
