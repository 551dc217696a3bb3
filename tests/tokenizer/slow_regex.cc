// The slow regular expression matcher.
#include "tests/tokenizer/slow_regex.h"

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <utility>

#include "runtime/core/unicode/unicode.h"
#include "tests/tokenizer/tokenizer_testing.h"

namespace thimble::testing {

using Text = std::vector<uint32_t>;

struct SlowNode {
  enum Kind { kSet, kSequence, kChoice, kRepeat, kNotAhead, kEnd } kind = kSet;
  std::vector<std::unique_ptr<SlowNode>> parts;
  size_t min = 0;
  size_t max = 0;
  std::function<bool(uint32_t)> contains;
};

namespace {

using Node = std::unique_ptr<SlowNode>;
using Set = std::function<bool(uint32_t)>;

uint32_t Lower(uint32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  return c == 0x17F ? 's' : c == 0x212A ? 'k' : c;
}

Set ClassSet(CharClass kind) {
  return [kind](uint32_t c) { return ClassOf(c) == kind; };
}

class Parser {
 public:
  explicit Parser(const std::string& pattern) : pattern_(SlowCharacters(pattern)) {}

  Node Choice() {
    Node choice = Make(SlowNode::kChoice);
    choice->parts.push_back(Sequence());
    while (Take('|')) choice->parts.push_back(Sequence());
    return choice;
  }
  bool Done() const { return at_ == pattern_.size(); }

 private:
  static Node Make(SlowNode::Kind kind) {
    Node node = std::make_unique<SlowNode>();
    node->kind = kind;
    return node;
  }
  bool Take(uint32_t c) {
    if (Done() || pattern_[at_] != c) return false;
    ++at_;
    return true;
  }
  uint32_t Next() {
    REQUIRE(!Done());
    return pattern_[at_++];
  }

  Node Sequence() {
    Node sequence = Make(SlowNode::kSequence);
    while (!Done() && pattern_[at_] != '|' && pattern_[at_] != ')') {
      Node atom = Atom();
      size_t min = 1;
      size_t max = 1;
      if (Take('?')) {
        min = 0;
      } else if (Take('*')) {
        min = 0, max = SIZE_MAX;
      } else if (Take('+')) {
        max = SIZE_MAX;
      } else if (Take('{')) {
        min = Next() - '0';
        REQUIRE(Take(','));
        max = Next() - '0';
        REQUIRE(Take('}'));
      }
      if (min == 1 && max == 1) {
        sequence->parts.push_back(std::move(atom));
        continue;
      }
      Node repeat = Make(SlowNode::kRepeat);
      repeat->min = min;
      repeat->max = max;
      repeat->parts.push_back(std::move(atom));
      sequence->parts.push_back(std::move(repeat));
    }
    return sequence;
  }

  Node Atom() {
    if (Take('$')) return Make(SlowNode::kEnd);
    if (Take('(')) {
      const bool outer = ignore_case_;
      bool ahead = false;
      if (Take('?')) {
        ahead = Take('!');
        if (!ahead) {
          if (Take('i')) ignore_case_ = true;
          REQUIRE(Take(':'));
        }
      }
      Node inside = Choice();
      REQUIRE(Take(')'));
      ignore_case_ = outer;
      if (!ahead) return inside;
      Node node = Make(SlowNode::kNotAhead);
      node->parts.push_back(std::move(inside));
      return node;
    }
    Node node = Make(SlowNode::kSet);
    if (Take('[')) {
      const bool inverted = Take('^');
      std::vector<Set> sets;
      while (!Take(']')) {
        uint32_t first = 0;
        Set set = One(&first);
        if (!Done() && pattern_[at_] == '-') {
          ++at_;
          uint32_t last = 0;
          One(&last);
          set = [first, last](uint32_t c) { return c >= first && c <= last; };
        }
        sets.push_back(std::move(set));
      }
      node->contains = [sets, inverted](uint32_t c) {
        for (const Set& set : sets) {
          if (set(c)) return !inverted;
        }
        return inverted;
      };
      return node;
    }
    uint32_t c = 0;
    node->contains = One(&c);
    return node;
  }

  // One character or escape; *single is the character.
  Set One(uint32_t* single) {
    uint32_t c = Next();
    if (c == '\\') {
      c = Next();
      if (c == 's') return ClassSet(CharClass::kSpace);
      if (c == 'S') return [](uint32_t x) { return ClassOf(x) != CharClass::kSpace; };
      if (c == 'p') {
        REQUIRE(Take('{'));
        const uint32_t name = Next();
        if (Take('u') || Take('t')) {  // \p{Lu}, \p{Lt}
          REQUIRE(Take('}'));
          return [](uint32_t x) { return CaseOf(x) == LetterCase::kUpper; };
        }
        if (Take('l')) {
          REQUIRE(Take('}'));
          return [](uint32_t x) { return CaseOf(x) == LetterCase::kLower; };
        }
        if (Take('m') || Take('o')) {
          REQUIRE(Take('}'));
          return [](uint32_t x) { return ClassOf(x) == CharClass::kLetter && CaseOf(x) == LetterCase::kNone; };
        }
        REQUIRE(Take('}'));
        return ClassSet(name == 'L'   ? CharClass::kLetter
                        : name == 'N' ? CharClass::kNumber
                        : name == 'P' ? CharClass::kPunctuation
                        : name == 'S' ? CharClass::kSymbol
                                      : CharClass::kMark);
      }
      if (c == 'r') c = '\r';
      if (c == 'n') c = '\n';
    }
    *single = c;
    if (ignore_case_) return [c](uint32_t x) { return Lower(x) == Lower(c); };
    return [c](uint32_t x) { return x == c; };
  }

  Text pattern_;
  size_t at_ = 0;
  bool ignore_case_ = false;
};

// Calls `then` with every position where the node can end, in the order of preference, until it says true.
bool Try(const SlowNode& node, const Text& text, size_t at, const std::function<bool(size_t)>& then);

bool TrySequence(const SlowNode& node, size_t part, const Text& text, size_t at,
                 const std::function<bool(size_t)>& then) {
  if (part == node.parts.size()) return then(at);
  return Try(*node.parts[part], text, at,
             [&](size_t next) { return TrySequence(node, part + 1, text, next, then); });
}

bool TryRepeat(const SlowNode& node, size_t times, const Text& text, size_t at,
               const std::function<bool(size_t)>& then) {
  if (times < node.max) {
    const auto again = [&](size_t next) { return next > at && TryRepeat(node, times + 1, text, next, then); };
    if (Try(*node.parts[0], text, at, again)) return true;
  }
  return times >= node.min && then(at);
}

bool Try(const SlowNode& node, const Text& text, size_t at, const std::function<bool(size_t)>& then) {
  switch (node.kind) {
    case SlowNode::kSet:
      return at < text.size() && node.contains(text[at]) && then(at + 1);
    case SlowNode::kSequence:
      return TrySequence(node, 0, text, at, then);
    case SlowNode::kChoice:
      for (const Node& part : node.parts) {
        if (Try(*part, text, at, then)) return true;
      }
      return false;
    case SlowNode::kRepeat:
      return TryRepeat(node, 0, text, at, then);
    case SlowNode::kNotAhead:
      return !Try(*node.parts[0], text, at, [](size_t) { return true; }) && then(at);
    case SlowNode::kEnd:
      return at == text.size() && then(at);
  }
  return false;
}

std::string Bytes(const Text& text) {
  std::string bytes;
  for (const uint32_t c : text) {
    if (c >= 0x110000) {
      bytes.push_back(static_cast<char>(c - 0x110000));
    } else {
      AppendUtf8(c, &bytes);
    }
  }
  return bytes;
}

}  // namespace

std::vector<uint32_t> SlowCharacters(std::string_view text) {
  Text characters;
  while (!text.empty()) {
    const Utf8Char c = DecodeUtf8(text);
    characters.push_back(c.valid ? c.code_point : 0x110000 + static_cast<uint8_t>(text[0]));
    text.remove_prefix(c.bytes);
  }
  return characters;
}

SlowRegex::SlowRegex(const std::string& pattern) {
  Parser parser(pattern);
  root_ = parser.Choice();
  REQUIRE(parser.Done());
}

SlowRegex::~SlowRegex() = default;

ptrdiff_t SlowRegex::Match(const std::vector<uint32_t>& text, size_t at) const {
  ptrdiff_t length = -1;
  Try(*root_, text, at, [&](size_t end) {
    length = static_cast<ptrdiff_t>(end - at);
    return true;
  });
  return length;
}

std::vector<std::string> SlowSplit(const std::vector<std::string>& patterns, std::string_view text) {
  std::vector<Text> parts = {SlowCharacters(text)};
  for (const std::string& pattern : patterns) {
    const SlowRegex regex(pattern);
    std::vector<Text> next;
    for (const Text& part : parts) {
      Text gap;
      for (size_t at = 0; at < part.size();) {
        const ptrdiff_t length = regex.Match(part, at);
        if (length <= 0) {
          gap.push_back(part[at++]);
          continue;
        }
        if (!gap.empty()) next.push_back(std::exchange(gap, {}));
        const auto begin = part.begin() + static_cast<ptrdiff_t>(at);
        next.emplace_back(begin, begin + length);
        at += static_cast<size_t>(length);
      }
      if (!gap.empty()) next.push_back(gap);
    }
    parts = std::move(next);
  }
  std::vector<std::string> words;
  for (const Text& part : parts) {
    if (!part.empty()) words.push_back(Bytes(part));
  }
  return words;
}

}  // namespace thimble::testing
