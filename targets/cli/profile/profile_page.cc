#include "targets/cli/profile/profile_page.h"

namespace thimble::cli {
namespace {

// Made of page/ by CMakeLists.txt.
constexpr char kHead[] =
#include "page.html.inc"
    ;
constexpr char kStyle[] =
#include "page.css.inc"
    ;
constexpr char kBase[] =
#include "base.js.inc"
    ;
constexpr char kMemory[] =
#include "memory.js.inc"
    ;
constexpr char kOperations[] =
#include "operations.js.inc"
    ;
constexpr char kPage[] =
#include "page.js.inc"
    ;

// JSON that can stand between the tags of a script: no text of a model ends it.
std::string ForScript(const Json& json) {
  std::string text;
  for (const char c : JsonText(json)) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

std::string ProfilePage(const Json& report) {
  std::string page = std::string(kHead) + kStyle + "</style></head>\n<body><main></main>\n<noscript>This page needs scripts.</noscript>\n";
  page += "<script type=\"application/json\" id=\"report\">" + ForScript(report) + "</script>\n";
  for (const char* script : {kBase, kMemory, kOperations, kPage}) page += std::string("<script>\n") + script + "</script>\n";
  return page + "</body></html>\n";
}

}  // namespace thimble::cli
