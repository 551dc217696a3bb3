#include "targets/convert/json_file.h"

#include <set>
#include <vector>

#include "targets/convert/import_error.h"
#include "targets/convert/source_file.h"

namespace thimble {

Json ParseJsonObject(std::string_view text, const std::string& file) {
  // The library keeps the last of two equal keys; for us two answers to one question are an error.
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      throw ImportError(Code::kInvalidModel, "duplicate key '" + parsed.get<std::string>() + "' in JSON",
                        file);
    }
    return true;
  };
  Json json;
  try {
    json = Json::parse(text.begin(), text.end(), check);
  } catch (const Json::exception& e) {
    throw ImportError(Code::kInvalidModel, std::string("not valid JSON: ") + e.what(), file);
  }
  if (!json.is_object()) throw ImportError(Code::kInvalidModel, "expected a JSON object", file);
  return json;
}

std::string ReadSmallFile(const std::filesystem::path& path, uint64_t limit_bytes) {
  const SourceFile file(path);
  if (file.bytes() > limit_bytes) {
    throw ImportError(Code::kInvalidModel,
                      "the file has " + std::to_string(file.bytes()) + " bytes, expected at most " +
                          std::to_string(limit_bytes),
                      file.name());
  }
  std::string text(file.bytes(), '\0');
  file.ReadAt(0, text.data(), text.size());
  return text;
}

Json ReadJsonObject(const std::filesystem::path& path, uint64_t limit_bytes) {
  return ParseJsonObject(ReadSmallFile(path, limit_bytes), path.string());
}

}  // namespace thimble
