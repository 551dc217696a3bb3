// From text to Json, by yyjson: the only place that knows that library.
#include <yyjson.h>

#include <memory>
#include <new>

#include "targets/json/json.h"

namespace thimble {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

[[noreturn]] void Fail(std::string_view text, size_t byte, const std::string& what) {
  size_t line = 1, column = 1, character = 0;
  yyjson_locate_pos(text.data(), text.size(), byte, &line, &column, &character);
  throw JsonError("line " + std::to_string(line) + ", column " + std::to_string(column) + " (byte " +
                  std::to_string(byte) + "): " + what);
}

// Where the nesting first goes below Json::kMaxDepth; `text` is JSON.
size_t FirstTooDeep(std::string_view text) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > Json::kMaxDepth) return i;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return text.size();
}

class Reader {
 public:
  Reader(std::string_view text, JsonRules rules) : text_(text), rules_(rules) {}

  Json Read(yyjson_val* value, size_t depth) const {
    switch (yyjson_get_type(value)) {
      case YYJSON_TYPE_BOOL:
        return yyjson_get_bool(value);
      case YYJSON_TYPE_NUM:
        if (yyjson_is_uint(value)) return yyjson_get_uint(value);
        if (yyjson_is_sint(value)) return yyjson_get_sint(value);
        return yyjson_get_real(value);
      case YYJSON_TYPE_STR:
        return Text(value);
      case YYJSON_TYPE_ARR:
        CheckDepth(depth);
        return Array(value, depth + 1);
      case YYJSON_TYPE_OBJ:
        CheckDepth(depth);
        return Object(value, depth + 1);
      default:
        return nullptr;
    }
  }

 private:
  static std::string Text(yyjson_val* value) { return std::string(yyjson_get_str(value), yyjson_get_len(value)); }

  void CheckDepth(size_t depth) const {
    if (depth < Json::kMaxDepth) return;
    Fail(text_, FirstTooDeep(text_), "nested deeper than " + std::to_string(Json::kMaxDepth) + " levels");
  }

  Json Array(yyjson_val* value, size_t depth) const {
    std::vector<Json> items;
    items.reserve(yyjson_arr_size(value));
    size_t index, count;
    yyjson_val* item;
    yyjson_arr_foreach(value, index, count, item) items.push_back(Read(item, depth));
    return items;
  }

  Json Object(yyjson_val* value, size_t depth) const {
    std::vector<Json::Member> members;
    members.reserve(yyjson_obj_size(value));
    size_t index, count;
    yyjson_val *key, *item;
    yyjson_obj_foreach(value, index, count, key, item) members.push_back({Text(key), Read(item, depth)});
    return Json::Object(std::move(members), rules_.repeated);
  }

  std::string_view text_;
  JsonRules rules_;
};

}  // namespace

Json ParseJson(std::string_view text, JsonRules rules) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (text.empty()) throw JsonError("is empty");
  yyjson_read_err error;
  const yyjson_read_flag flags = rules.infinities ? YYJSON_READ_ALLOW_INF_AND_NAN : YYJSON_READ_NOFLAG;
  // Without YYJSON_READ_INSITU the text is only read.
  const std::unique_ptr<yyjson_doc, decltype(&yyjson_doc_free)> document(
      yyjson_read_opts(const_cast<char*>(text.data()), text.size(), flags, nullptr, &error), &yyjson_doc_free);
  if (document == nullptr) {
    if (error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) throw std::bad_alloc();
    Fail(text, error.pos, error.msg);
  }
  return Reader(text, rules).Read(yyjson_doc_get_root(document.get()), 0);
}

}  // namespace thimble
