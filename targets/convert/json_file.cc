#include "targets/convert/json_file.h"

#include "targets/convert/import_error.h"
#include "targets/convert/source_file.h"

namespace thimble {

Json ParseJsonObject(std::string_view text, const std::string& file, JsonRules rules) {
  Json json;
  try {
    json = ParseJson(text, rules);
  } catch (const JsonError& error) {
    throw ImportError(Code::kInvalidModel, std::string("not valid JSON: ") + error.what(), file);
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

std::string Shown(const Json& value) {
  std::string text = JsonText(value, -1, true);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

}  // namespace thimble
