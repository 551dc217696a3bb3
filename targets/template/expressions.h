// Jinja's expressions to bytes of a program, by recursive descent in the order of its own grammar. Private to this folder.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/template/program.h"
#include "targets/template/compile.h"
#include "targets/template/lexer.h"

namespace thimble::chat {

using Bytes = std::string;

#define THIMBLE_TEXT(name) #name,
inline constexpr const char* kFilterNames[] = {THIMBLE_TEMPLATE_FILTERS(THIMBLE_TEXT)};
inline constexpr const char* kTestNames[] = {THIMBLE_TEMPLATE_TESTS(THIMBLE_TEXT)};
#undef THIMBLE_TEXT

template <typename E>
char Op(E e) {
  return static_cast<char>(e);
}

inline void PutNumber(Bytes* out, uint64_t n) {
  for (; n >= 128; n >>= 7) *out += static_cast<char>(n | 128);
  *out += static_cast<char>(n);
}

inline Bytes Number(uint64_t n) {
  Bytes out;
  PutNumber(&out, n);
  return out;
}

inline Bytes Skip(const Bytes& bytes) { return Number(bytes.size()) + bytes; }

// Tokens, the pool of texts, and expressions. What a function returns is the expression's bytes.
class ExpressionParser {
 protected:
  explicit ExpressionParser(std::string_view text) : tokens_(Tokenise(text)) {}

  const Token& Now() const { return tokens_[at_]; }
  const Token& Next() { return tokens_[at_++]; }
  [[noreturn]] void Fail(const std::string& what) const { throw TemplateError(what, Now().line, Now().column); }

  bool Is(TokenKind kind, std::string_view text) const { return Now().kind == kind && Now().text == text; }
  bool IsOp(std::string_view text) const { return Is(TokenKind::kOperator, text); }
  bool IsWord(std::string_view text) const { return Is(TokenKind::kName, text); }
  bool TakeOp(std::string_view text) { return IsOp(text) && (++at_, true); }
  bool TakeWord(std::string_view text) { return IsWord(text) && (++at_, true); }
  void WantOp(std::string_view text) {
    if (!TakeOp(text)) Fail("expected '" + std::string(text) + "', got '" + Now().text + "'");
  }
  void WantWord(std::string_view text) {
    if (!TakeWord(text)) Fail("expected '" + std::string(text) + "', got '" + Now().text + "'");
  }
  std::string WantName() {
    if (Now().kind != TokenKind::kName) Fail("expected a name, got '" + Now().text + "'");
    return Next().text;
  }
  void WantBlockEnd() {
    if (Now().kind != TokenKind::kBlockEnd) Fail("expected the end of the tag, got '" + Now().text + "'");
    ++at_;
  }

  size_t Pool(const std::string& text) {
    size_t at = pool_.find(text);
    if (at == std::string::npos) {
      at = pool_.size();
      pool_ += text;
    }
    return at;
  }
  Bytes Text(const std::string& text) { return Number(Pool(text)) + Number(text.size()); }
  Bytes Name(const std::string& name) {
    const auto [found, fresh] = name_indices_.try_emplace(name, names_.size());
    if (fresh) names_.push_back({Pool(name), name.size()});
    return Number(found->second);
  }

  // `|name(arguments)|...`, or, of a filter block, name(arguments)|...
  Bytes Filters(bool pipe_first) {
    Bytes out;
    size_t count = 0;
    do {
      if (pipe_first || count > 0) WantOp("|");
      out += OneFilter();
      ++count;
    } while (IsOp("|"));
    return Number(count) + out;
  }
  Bytes OneFilter() {
    const size_t at = at_;
    const std::string name = WantName();
    const int filter = Find(kFilterNames, name);
    const Bytes arguments = IsOp("(") ? Arguments() : Number(0) + Number(0);
    if (filter >= 0) return static_cast<char>(filter) + arguments;
    NotKnown(at, "the filter '" + name + "' is not known");
    return Op(Filter::k_unknown) + Missing(name);
  }
  // As Jinja has it, what it does not know may stand where a condition decides whether it is reached: it fails there. What it
  // knows and we do not is refused.
  void NotKnown(size_t at, const std::string& what) {
    const TemplateError error(what, tokens_[at].line, tokens_[at].column);
    for (const char* const name : {"attr", "batch", "center", "filesizeformat", "filter", "forceescape", "groupby", "pprint", "random", "slice", "striptags",
                                   "test", "truncate", "urlencode", "urlize", "wordcount", "wordwrap", "xmlattr"}) {
      if (tokens_[at].text == name) throw error;
    }
    if (!conditional_) unknown_.push_back(error);
  }
  Bytes Missing(const std::string& name) { return Number(1) + Op(Expression::kText) + Text(name) + Number(0); }
  template <size_t kCount>
  static int Find(const char* const (&names)[kCount], const std::string& name) {
    for (size_t i = 0; i < kCount; ++i) {
      if (name == names[i] && name != "unknown") return static_cast<int>(i);
    }
    return -1;
  }

  struct ArgumentList {
    size_t plain_count = 0, named_count = 0;
    Bytes plain, named;
    Bytes bytes() const { return Number(plain_count) + plain + Number(named_count) + named; }
  };
  Bytes Arguments() {
    WantOp("(");
    ArgumentList all;
    while (!TakeOp(")")) {
      if (all.plain_count + all.named_count > 0) {
        WantOp(",");
        if (TakeOp(")")) break;
      }
      const bool list = TakeOp("*"), dict = !list && TakeOp("**");
      if (list || dict) {
        all.plain += Op(list ? Expression::kSpread : Expression::kSpreadDict) + Condition();
        ++all.plain_count;
      } else if (Now().kind == TokenKind::kName && tokens_[at_ + 1].kind == TokenKind::kOperator && tokens_[at_ + 1].text == "=") {
        all.named += Name(WantName());
        ++at_;
        all.named += Condition();
        ++all.named_count;
      } else {
        if (all.named_count > 0) Fail("an argument without a name behind one with a name");
        all.plain += Condition();
        ++all.plain_count;
      }
    }
    arguments_ = all;
    return all.bytes();
  }

  // Of an expression in another; what is thrown leaves nothing to go on with.
  struct Nested {
    explicit Nested(ExpressionParser& parser) : p(parser) {
      if (++p.depth_ > 2 * kMaxExpressionDepth) p.Fail("an expression that is nested too deeply");
    }
    ~Nested() { --p.depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    ExpressionParser& p;
  };

  // Expressions, from what binds least.
  Bytes Tuple(bool with_commas, bool conditional = true) {
    Bytes first = conditional ? Condition() : Or();
    if (!with_commas || !IsOp(",")) return first;
    size_t count = 1;
    while (TakeOp(",")) {
      if (Now().kind == TokenKind::kOutEnd || Now().kind == TokenKind::kBlockEnd || IsOp(")")) break;
      first += conditional ? Condition() : Or();
      ++count;
    }
    return Op(Expression::kTuple) + Number(count) + first;
  }

  Bytes Condition() {
    const Nested nested(*this);
    const size_t unknown = unknown_.size();
    Bytes value = Or();
    while (TakeWord("if")) {
      const Bytes condition = Or();
      const Bytes otherwise = TakeWord("else") ? Condition() : Bytes();
      unknown_.resize(unknown, {"", 0, 0});
      value = Op(Expression::kCondition) + condition + Skip(value) + Skip(otherwise);
    }
    return value;
  }
  Bytes Or() {
    Bytes left = And();
    while (TakeWord("or")) left = Op(Expression::kOr) + left + Skip(And());
    return left;
  }
  Bytes And() {
    Bytes left = Not();
    while (TakeWord("and")) left = Op(Expression::kAnd) + left + Skip(Not());
    return left;
  }
  Bytes Not() {
    if (!TakeWord("not")) return Comparison();
    const Nested nested(*this);
    return Op(Expression::kNot) + Not();
  }
  Bytes Comparison() {
    const Bytes left = Sum();
    Bytes rest;
    size_t count = 0;
    for (;; ++count) {
      Compare compare;
      if (TakeOp("==")) compare = Compare::kEqual;
      else if (TakeOp("!=")) compare = Compare::kNotEqual;
      else if (TakeOp("<")) compare = Compare::kLess;
      else if (TakeOp("<=")) compare = Compare::kLessEqual;
      else if (TakeOp(">")) compare = Compare::kGreater;
      else if (TakeOp(">=")) compare = Compare::kGreaterEqual;
      else if (TakeWord("in")) compare = Compare::kIn;
      else if (IsWord("not") && tokens_[at_ + 1].kind == TokenKind::kName && tokens_[at_ + 1].text == "in") at_ += 2, compare = Compare::kNotIn;
      else break;
      rest += Op(compare) + Sum();
    }
    return count == 0 ? left : Op(Expression::kCompare) + left + Number(count) + rest;
  }
  Bytes Sum() {
    Bytes left = Concat();
    for (;;) {
      if (TakeOp("+")) left = Pair(Binary::kAdd, left, Concat());
      else if (TakeOp("-")) left = Pair(Binary::kSubtract, left, Concat());
      else return left;
    }
  }
  Bytes Concat() {
    Bytes all = Product();
    size_t count = 1;
    for (; TakeOp("~"); ++count) all += Product();
    return count == 1 ? all : Op(Expression::kConcat) + Number(count) + all;
  }
  Bytes Product() {
    Bytes left = Power();
    for (;;) {
      if (TakeOp("*")) left = Pair(Binary::kMultiply, left, Power());
      else if (TakeOp("/")) left = Pair(Binary::kDivide, left, Power());
      else if (TakeOp("//")) left = Pair(Binary::kFloorDivide, left, Power());
      else if (TakeOp("%")) left = Pair(Binary::kModulo, left, Power());
      else return left;
    }
  }
  Bytes Power() {
    Bytes left = Unary(true);
    while (TakeOp("**")) left = Pair(Binary::kPower, left, Unary(true));
    return left;
  }
  static Bytes Pair(Binary binary, const Bytes& left, const Bytes& right) { return Bytes{Op(Expression::kBinary), Op(binary)} + left + right; }

  Bytes Unary(bool filters) {
    const Nested nested(*this);
    Bytes value;
    if (TakeOp("-")) value = Op(Expression::kNegative) + Unary(false);
    else if (TakeOp("+")) value = Op(Expression::kPositive) + Unary(false);
    else value = Primary();
    value = Postfix(value);
    return filters ? FiltersAndTests(value) : value;
  }

  Bytes Primary() {
    const Token& token = Now();
    switch (token.kind) {
      case TokenKind::kName: {
        const std::string& name = Next().text;
        if (name == "true" || name == "True") return {Op(Expression::kTrue)};
        if (name == "false" || name == "False") return {Op(Expression::kFalse)};
        if (name == "none" || name == "None") return {Op(Expression::kNone)};
        used_.insert(name);
        if (IsOp("(") && (name == "cycler" || name == "joiner" || name == "lipsum")) functions_.emplace(name, Now());
        return Op(Expression::kName) + Name(name);
      }
      case TokenKind::kString: {
        std::string text;
        while (Now().kind == TokenKind::kString) text += Next().text;
        return Op(Expression::kText) + Text(text);
      }
      case TokenKind::kInt: {
        if (token.text.size() > 9) Fail("a number above 999999999");
        return Op(Expression::kInt) + Number(uint64_t{std::strtoul(Next().text.c_str(), nullptr, 10)} * 2);
      }
      case TokenKind::kFloat: {
        const double value = std::strtod(Next().text.c_str(), nullptr);
        char bytes[8];
        std::memcpy(bytes, &value, 8);
        return Op(Expression::kFloat) + Bytes(bytes, 8);
      }
      default: break;
    }
    if (TakeOp("(")) {
      if (TakeOp(")")) return Op(Expression::kTuple) + Number(0);
      const Bytes value = Tuple(true);
      WantOp(")");
      return value;
    }
    if (TakeOp("[")) {
      Bytes items;
      size_t count = 0;
      while (!TakeOp("]")) {
        if (count > 0) {
          WantOp(",");
          if (TakeOp("]")) break;
        }
        items += Condition();
        ++count;
      }
      return Op(Expression::kList) + Number(count) + items;
    }
    if (TakeOp("{")) {
      Bytes members;
      size_t count = 0;
      while (!TakeOp("}")) {
        if (count > 0) {
          WantOp(",");
          if (TakeOp("}")) break;
        }
        members += Condition();
        WantOp(":");
        members += Condition();
        ++count;
      }
      return Op(Expression::kDict) + Number(count) + members;
    }
    Fail("expected an expression, got '" + token.text + "'");
  }

  Bytes Postfix(Bytes value) {
    for (;;) {
      if (TakeOp(".")) {
        if (Now().kind == TokenKind::kInt) {
          value = Op(Expression::kItem) + value + Primary();
          continue;
        }
        if (tokens_[at_ + 1].text == "(") CheckMethod(value);
        const std::string word = WantName();
        const Bytes name = Name(word);
        value = IsOp("(") ? Op(Expression::kMethod) + value + name + ArgumentsOf(word) : Op(Expression::kAttribute) + value + name;
      } else if (TakeOp("[")) {
        value = Subscript(value);
        WantOp("]");
      } else if (IsOp("(")) {
        value = Op(Expression::kCall) + value + Arguments();
      } else {
        return value;
      }
    }
  }

  Bytes ArgumentsOf(const std::string& method) {
    const Bytes bytes = Arguments();
    for (const char* const name : {"find", "rfind", "index", "rindex", "count", "startswith", "endswith"}) {
      if (method == name && arguments_.plain_count > 1) Fail("'" + method + "' within a part of a text is not known");
    }
    return bytes;
  }
  // What Python's texts can do and ours cannot is refused by its name, as nothing else has such a method.
  void CheckMethod(const Bytes& object) const {
    for (const char* const name : {"casefold", "center", "encode", "expandtabs", "format_map", "isascii", "isdecimal", "isidentifier", "isnumeric", "isprintable",
                                   "istitle", "ljust", "maketrans", "rjust", "swapcase", "translate", "zfill"}) {
      if (IsWord(name)) Fail("the method '" + std::string(name) + "' is not known");
    }
    if (!IsWord("format") || object[0] != Op(Expression::kText)) return;
    const std::string& text = tokens_[at_ - 2].text;
    for (size_t open = text.find('{'); open < text.size(); open = text.find('{', open + 1)) {
      const size_t special = text.find_first_of("{}:!.[", open + 1);
      if (special == text.npos || text[special] == '}') continue;
      if (text[special] != '{') Fail("a field of format with more than a name is not known");
      open = special;
    }
  }

  Bytes Subscript(const Bytes& value) {
    Bytes parts[3];
    int which = 0, part = 0;
    bool slice = false;
    for (;;) {
      if (IsOp("]")) break;
      if (TakeOp(":")) {
        slice = true;
        if (++part > 2) Fail("a slice of more than three parts");
        continue;
      }
      parts[part] = Condition();
      which |= 1 << part;
      if (!IsOp(":") && !IsOp("]")) Fail("expected ']', got '" + Now().text + "'");
    }
    if (!slice) {
      if (which == 0) Fail("expected an index");
      return Op(Expression::kItem) + value + parts[0];
    }
    return Op(Expression::kSlice) + value + static_cast<char>(which) + parts[0] + parts[1] + parts[2];
  }

  Bytes FiltersAndTests(Bytes value) {
    for (;;) {
      if (TakeOp("|")) {
        value = Op(Expression::kFilter) + value + OneFilter();
      } else if (TakeWord("is")) {
        const bool negated = TakeWord("not");
        const size_t at = at_;
        const std::string name = WantName();
        const int test = Find(kTestNames, name);
        Bytes arguments = Number(0) + Number(0);
        const TokenKind kind = Now().kind;
        if (IsOp("(")) {
          arguments = Arguments();
        } else if (kind == TokenKind::kString || kind == TokenKind::kInt || kind == TokenKind::kFloat || IsOp("[") || IsOp("{") ||
                   (kind == TokenKind::kName && !IsWord("else") && !IsWord("or") && !IsWord("and") && !IsWord("is") && !IsWord("if") &&
                    !IsWord("in") && !IsWord("not"))) {
          arguments = Number(1) + Postfix(Primary()) + Number(0);
        }
        if (test < 0) NotKnown(at, "the test '" + name + "' is not known");
        value = Op(Expression::kTest) + value + (test < 0 ? Op(Test::k_unknown) + Missing(name) : static_cast<char>(test) + arguments);
        if (negated) value = Op(Expression::kNot) + value;
      } else if (IsOp("(")) {
        value = Op(Expression::kCall) + value + Arguments();
      } else {
        return value;
      }
    }
  }

  std::vector<Token> tokens_;
  ArgumentList arguments_;  // the last that were read
  size_t at_ = 0, depth_ = 0;
  bool conditional_ = false;             // a branch decides whether this is reached
  std::vector<TemplateError> unknown_;   // filters and tests that always are
  std::set<std::string> used_;           // names that are read: in this macro
  std::map<std::string, Token> functions_;  // called ones of Jinja's that are not known, unless they are the template's own
  std::string pool_;
  std::vector<std::pair<size_t, size_t>> names_;
  std::map<std::string, size_t> name_indices_;
};

}  // namespace thimble::chat
