// Reading JSON strictly: every access checks the type and names the field. Host only.
#pragma once

#include <string>
#include <string_view>

#include "targets/convert/import_error.h"
#include "targets/convert/json_file.h"
#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "targets/convert/tokenizers/vocabulary.h"
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

// Views into `vocab`.
inline Vocabulary ReadVocabulary(const Json& vocab, const std::string& name) {
  if (!vocab.is_object()) throw ImportError(Code::kInvalidModel, name + " must be an object");
  Vocabulary vocabulary(vocab.size());
  for (const auto& [piece, id] : vocab.members()) {
    if (!id.is_unsigned() || id.as_unsigned() >= kMaxTokenizerPieces) {
      throw ImportError(Code::kInvalidModel, name + "[\"" + piece + "\"] must be an id");
    }
    vocabulary.Set(piece, static_cast<uint32_t>(id.as_unsigned()));
  }
  return vocabulary;
}

// "a b" -> a, b. Its name is made of the last three.
inline MergeList::value_type SplitMerge(std::string_view line, std::string_view before, size_t place, std::string_view after) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == line.size() ||
      line.find(' ', space + 1) != std::string_view::npos) {
    throw ImportError(Code::kInvalidModel,
                      std::string(before) + std::to_string(place) + std::string(after) + " must be two pieces with a space between");
  }
  return {line.substr(0, space), line.substr(space + 1)};
}

// ["a b", ["c", "d"], ...]; the first line of a merges.txt may have come along. Views into `merges`.
inline MergeList ReadMerges(const Json& merges) {
  if (!merges.is_array()) throw ImportError(Code::kInvalidModel, "model.merges must be an array");
  MergeList pairs;
  pairs.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const Json& merge = merges[i];
    if (merge.is_text()) {
      if (!merge.as_text().starts_with("#version")) pairs.push_back(SplitMerge(merge.as_text(), "model.merges[", i, "]"));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_text() && merge[1].is_text()) {
      pairs.emplace_back(merge[0].as_text(), merge[1].as_text());
    } else {
      throw ImportError(Code::kInvalidModel, "model.merges[" + std::to_string(i) + "] must be a string or a pair of strings");
    }
  }
  return pairs;
}

}  // namespace thimble
