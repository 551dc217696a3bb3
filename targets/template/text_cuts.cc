#include "targets/template/text_cuts.h"

#include <algorithm>

namespace thimble::chat {
namespace {

bool Space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool Word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || static_cast<unsigned char>(c) >= 0x80; }

// Bytes of the tag at the beginning; 0: there is none. A tag that a slot cuts off, as <parameter=, is one up to the end.
size_t TagBytes(std::string_view s) {
  if (s[0] == '<') {
    const size_t end = s.find_first_of("<>\n", 1);
    if (end == s.npos) return s.size();
    return s[end] == '>' && end > 1 ? end + 1 : 0;
  }
  if (s[0] != '[') return 0;
  size_t n = 1;
  while (n < s.size() && ((s[n] >= 'A' && s[n] <= 'Z') || s[n] == '_' || s[n] == '/' || s[n] == ' ')) ++n;
  return n > 1 && n < s.size() && s[n] == ']' ? n + 1 : 0;
}

}  // namespace

std::vector<std::string_view> Cuts(std::string_view text) {
  std::vector<std::string_view> cuts;
  for (size_t i = 0; i < text.size();) {
    size_t n = TagBytes(text.substr(i));
    for (bool (*kind)(char) : {Space, Word}) {
      while (n == 0 || kind(text[i])) {
        if (i + n == text.size() || !kind(text[i + n])) break;
        ++n;
      }
    }
    if (n == 0) n = 1;
    cuts.push_back(text.substr(i, n));
    i += n;
  }
  return cuts;
}

bool IsTagCut(std::string_view cut) { return cut.size() > 2 && (cut[0] == '<' || cut[0] == '['); }

std::string_view CommonStart(std::string_view a, std::string_view b) {
  const std::vector<std::string_view> one = Cuts(a), two = Cuts(b);
  size_t bytes = 0;
  for (size_t i = 0; i < one.size() && i < two.size() && one[i] == two[i]; ++i) bytes += one[i].size();
  return a.substr(0, bytes);
}

std::string_view CommonEnd(std::string_view a, std::string_view b) {
  const std::vector<std::string_view> one = Cuts(a), two = Cuts(b);
  size_t bytes = 0;
  for (size_t i = 1; i <= one.size() && i <= two.size() && one[one.size() - i] == two[two.size() - i]; ++i) bytes += one[one.size() - i].size();
  return a.substr(a.size() - bytes);
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && Space(text.front())) text.remove_prefix(1);
  while (!text.empty() && Space(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view UniqueEnd(std::string_view text, std::string_view elsewhere) {
  const std::vector<std::string_view> cuts = Cuts(text);
  size_t bytes = 0;
  for (size_t i = cuts.size(); i-- > 0;) {
    bytes += cuts[i].size();
    const std::string_view end = Trimmed(text.substr(text.size() - bytes));
    if (!IsTagCut(cuts[i]) || elsewhere.find(end) != elsewhere.npos) continue;
    if (text.find(end) + bytes >= text.size()) return end;
  }
  return {};
}

std::string_view UniqueStart(std::string_view text, std::string_view elsewhere) {
  size_t bytes = 0;
  for (const std::string_view cut : Cuts(text)) {
    bytes += cut.size();
    const std::string_view start = Trimmed(text.substr(0, bytes));
    if (!start.empty() && elsewhere.find(start) == elsewhere.npos) return start;
  }
  return {};
}

std::string_view Behind(std::string_view text, std::string_view mark) {
  const size_t place = text.rfind(mark);
  return place == text.npos ? std::string_view() : text.substr(place + mark.size());
}

std::string_view Without(std::string_view text, std::string_view start) {
  const std::string_view want = Trimmed(start);
  std::string_view rest = text;
  while (!rest.empty() && Space(rest.front())) rest.remove_prefix(1);
  if (want.empty() || rest.substr(0, want.size()) != want) return text;
  return rest.substr(want.size());
}

}  // namespace thimble::chat
