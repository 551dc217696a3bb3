// What Python's texts can do, over views with their marks. Private to this folder.
#pragma once

#include "runtime/template/machine.h"

namespace thimble::chat {

// Of ASCII.
char Lower(char c);
char Upper(char c);
// As str.lower() and so on have it: characters that become several, the sigma at the end of a word.
Value LowerText(Machine& m, const Value& text);
Value UpperText(Machine& m, const Value& text);
Value Capitalized(Machine& m, const Value& text);
Value Titled(Machine& m, const Value& text);  // str.title(): a capital behind everything that is no letter
Value TitledWords(Machine& m, const Value& text);  // Jinja's filter: behind white space, '-', '(', '{', '[', '<'

// `set` null: white space.
Value Strip(const Value& text, const std::string_view* set, bool left, bool right);
Value StripWith(Machine& m, const Value& text, const Arguments& arguments, bool left, bool right);
// At most `most` times; below 0: always.
Value Replace(Machine& m, const Value& text, const Value& old, const Value& fresh, int64_t most);
Value Split(Machine& m, const Value& text, const Value* separator, int64_t most, bool from_right);
// str.splitlines(), with the lines' ends or without.
Value Lines(Machine& m, const Value& text, bool ends);
Value Indent(Machine& m, const Value& text, const Arguments& arguments);
// str.partition and rpartition: three texts.
Value Partition(Machine& m, const Value& text, const Value* separator, bool from_right);
// str.is...(): whether all characters are "digit", "alpha", ...; below 0: no such name.
int AllAre(std::string_view what, std::string_view text);
// For HTML, unless it is marked safe; marked safe then.
Value Escaped(Machine& m, const Value& text);
// "{}", "{0}", "{name}" and doubled braces.
Value Format(Machine& m, const Value& text, const Arguments& arguments);
// text % values, of which a tuple is several and a dict has names.
Value FormatPercent(Machine& m, const Value& text, const Value& values);

// A dict's pairs.
Value Pairs(Machine& m, const Value& dict);

}  // namespace thimble::chat
