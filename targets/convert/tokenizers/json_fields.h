// Reading JSON strictly: every access checks the type and names the field. Host only.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "targets/convert/import_error.h"
#include "targets/convert/json_file.h"
#include "targets/convert/tokenizers/byte_level.h"
#include "targets/json/json.h"

namespace thimble {

// The files of tokenizers, whose own library takes the last of two equal keys.
inline Json ParseTokenizerFile(std::string_view text) {
  return ParseJsonObject(text, {}, {.repeated = Json::Repeated::kLastCounts});
}

// The member, or null when it is absent. `object` must be an object, or the field named `name` is at fault.
inline const Json& Member(const Json& object, const char* key, const std::string& name) {
  static const Json null;
  if (!object.is_object()) throw ImportError(Code::kInvalidModel, name + " must be an object");
  const Json* found = object.Find(key);
  return found == nullptr ? null : *found;
}

inline bool BoolMember(const Json& object, const char* key, bool absent, const std::string& name) {
  const Json& value = Member(object, key, name);
  if (value.is_null()) return absent;
  if (!value.is_bool())
    throw ImportError(Code::kInvalidModel, name + "." + key + " must be true or false");
  return value.as_bool();
}

// Empty when absent or null.
inline std::string StringMember(const Json& object, const char* key, const std::string& name) {
  const Json& value = Member(object, key, name);
  if (value.is_null()) return {};
  if (!value.is_text()) throw ImportError(Code::kInvalidModel, name + "." + key + " must be a string");
  return value.as_text();
}

inline uint32_t IdValue(const Json& value, const std::string& name) {
  if (!value.is_unsigned() || value.as_unsigned() >= kMaxTokenizerPieces) {
    throw ImportError(Code::kInvalidModel, name + " must be an id");
  }
  return static_cast<uint32_t>(value.as_unsigned());
}

inline ByteLevelVocabulary ReadVocabulary(const Json& vocab, const std::string& name) {
  if (!vocab.is_object()) throw ImportError(Code::kInvalidModel, name + " must be an object");
  ByteLevelVocabulary vocabulary;
  for (const auto& [piece, id] : vocab.members()) vocabulary[piece] = IdValue(id, name + "[\"" + piece + "\"]");
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
inline std::vector<std::pair<std::string, std::string>> ReadMerges(const Json& merges) {
  if (!merges.is_array()) throw ImportError(Code::kInvalidModel, "model.merges must be an array");
  std::vector<std::pair<std::string, std::string>> pairs;
  pairs.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const std::string name = "model.merges[" + std::to_string(i) + "]";
    const Json& merge = merges[i];
    if (merge.is_text() && merge.as_text().starts_with("#version")) continue;
    if (merge.is_text()) {
      pairs.push_back(SplitMerge(merge.as_text(), name));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_text() && merge[1].is_text()) {
      pairs.emplace_back(merge[0].as_text(), merge[1].as_text());
    } else {
      throw ImportError(Code::kInvalidModel, name + " must be a string or a pair of strings");
    }
  }
  return pairs;
}

}  // namespace thimble
