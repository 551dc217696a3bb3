// Where rendered texts differ, at the borders of what a tokenizer or a reader would take for one thing: <tags>, [TAGS], words, white
// space. Host only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace thimble::chat {

std::vector<std::string_view> Cuts(std::string_view text);
bool IsTagCut(std::string_view cut);

// The longest beginning, or end, of whole cuts that both have.
std::string_view CommonStart(std::string_view a, std::string_view b);
std::string_view CommonEnd(std::string_view a, std::string_view b);

// Without white space on both sides.
std::string_view Trimmed(std::string_view text);

// The shortest end of `text` that begins with a tag and does not stand in front of it, nor in `elsewhere`.
std::string_view UniqueEnd(std::string_view text, std::string_view elsewhere);
// The shortest beginning that does not stand in `elsewhere`; it ends with a tag where there is one.
std::string_view UniqueStart(std::string_view text, std::string_view elsewhere);

// What stands behind `mark`, where it stands last; empty data where it does not.
std::string_view Behind(std::string_view text, std::string_view mark);
// `text` without `start`, white space aside, at its beginning; as it is where it does not begin so.
std::string_view Without(std::string_view text, std::string_view start);

}  // namespace thimble::chat
