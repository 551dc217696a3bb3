#include "targets/template/print_program.h"

#include <cstdio>
#include <cstring>

namespace thimble::chat {
namespace {

#define THIMBLE_TEXT(name) #name,
constexpr const char* kFilterNames[] = {THIMBLE_TEMPLATE_FILTERS(THIMBLE_TEXT)};
constexpr const char* kTestNames[] = {THIMBLE_TEMPLATE_TESTS(THIMBLE_TEXT)};
#undef THIMBLE_TEXT
constexpr const char* kBinaryNames[] = {"+", "-", "*", "/", "//", "%", "**"};
constexpr const char* kCompareNames[] = {"==", "!=", "<", "<=", ">", ">=", "in", "not in"};

class Printer {
 public:
  explicit Printer(const Program& program) : program_(program), r_{program.body} {
    Reader names = {program.names};
    for (uint32_t i = 0; i < program.name_count; ++i) {
      const uint32_t offset = names.Number(), length = names.Number();
      names_ += std::string(program.pool + offset, length) + '\n';
    }
  }

  std::string Run() {
    Body(0);
    return std::move(out_);
  }

 private:
  std::string_view TextAt() {
    const uint32_t offset = r_.Number(), length = r_.Number();
    return {program_.pool + offset, length};
  }
  std::string Name() {
    size_t at = 0;
    for (uint32_t i = r_.Number(); i > 0; --i) at = names_.find('\n', at) + 1;
    return names_.substr(at, names_.find('\n', at) - at);
  }
  static std::string Quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
      if (c == '\n') out += "\\n";
      else if (c == '\t') out += "\\t";
      else if (c == '\'' || c == '\\') out += std::string("\\") + c;
      else out += c;
    }
    return out + "'";
  }
  void Line(int depth, const std::string& text) { out_ += std::string(static_cast<size_t>(2 * depth), ' ') + text + "\n"; }

  void Body(int depth) {
    const uint32_t bytes = r_.Number();
    const uint8_t* const end = r_.at + bytes;
    while (r_.at != end) OneStatement(depth);
  }
  // One that may be empty, behind its length.
  bool Skipped(std::string* out) {
    if (r_.Number() == 0) return false;
    *out = Expr();
    return true;
  }
  std::string NameList() {
    std::string names;
    for (uint32_t n = r_.Number(), i = 0; i < n; ++i) names += (i == 0 ? "" : ", ") + Name();
    return names;
  }

  void OneStatement(int depth) {
    const auto kind = static_cast<Statement>(r_.Byte());
    r_.Number();  // the line
    std::string text;
    switch (kind) {
      case Statement::kText: return Line(depth, "text " + Quoted(TextAt()));
      case Statement::kOut: return Line(depth, "out " + Expr());
      case Statement::kIf: {
        const uint32_t n = r_.Number();
        for (uint32_t i = 0; i < n; ++i) {
          Skipped(&text);
          Line(depth, (i == 0 ? "if " : "elif ") + text);
          Body(depth + 1);
        }
        return Else(depth);
      }
      case Statement::kFor: {
        std::string line = "for " + NameList();
        line += " in " + Expr();
        if (Skipped(&text)) line += " if " + text;
        Line(depth, line);
        Body(depth + 1);
        return Else(depth);
      }
      case Statement::kSet: {
        const std::string names = NameList();
        return Line(depth, "set " + names + " = " + Expr());
      }
      case Statement::kSetAttribute: {
        const std::string object = Name(), name = Name();
        return Line(depth, "set " + object + "." + name + " = " + Expr());
      }
      case Statement::kSetBlock:
      case Statement::kFilterBlock: {
        const std::string name = kind == Statement::kSetBlock ? Name() : "";
        const size_t at = out_.size();
        Body(depth + 1);
        std::string filters;
        for (uint32_t n = r_.Number(); n > 0; --n) filters += "|" + OneFilter();
        std::string body = out_.substr(at);
        out_.resize(at);
        Line(depth, (name.empty() ? "filter " : "set " + name + " = the text of ") + filters);
        out_ += body;
        return;
      }
      case Statement::kMacro: {
        std::string line = "macro " + Name() + "(";
        const uint32_t n = r_.Number();
        for (uint32_t i = 0; i < n; ++i) {
          line += (i == 0 ? "" : ", ") + Name();
          if (Skipped(&text)) line += "=" + text;
        }
        Line(depth, line + ")");
        return Body(depth + 1);
      }
      case Statement::kScope:
        Line(depth, "with");
        return Body(depth + 1);
      case Statement::kBreak: return Line(depth, "break");
      case Statement::kContinue: return Line(depth, "continue");
    }
  }
  void Else(int depth) {
    const size_t at = out_.size();
    Line(depth, "else");
    const size_t behind = out_.size();
    Body(depth + 1);
    if (out_.size() == behind) out_.resize(at);
  }

  std::string List(uint32_t n) {
    std::string items;
    for (uint32_t i = 0; i < n; ++i) {
      items += i == 0 ? "" : ", ";
      if (IsSpread(*r_.at)) items += *r_.at++ == static_cast<uint8_t>(Expression::kSpread) ? "*" : "**";
      items += Expr();
    }
    return items;
  }
  std::string Arguments() {
    std::string all = List(r_.Number());
    for (uint32_t n = r_.Number(); n > 0; --n) {
      const std::string name = Name();
      all += (all.empty() ? "" : ", ") + name + "=" + Expr();
    }
    return all;
  }
  std::string OneFilter() {
    const std::string name = kFilterNames[r_.Byte()], arguments = Arguments();
    return arguments.empty() ? name : name + "(" + arguments + ")";
  }

  std::string Expr() {
    const auto kind = static_cast<Expression>(r_.Byte());
    switch (kind) {
      case Expression::kText: return Quoted(TextAt());
      case Expression::kInt: {
        const uint32_t n = r_.Number();
        return std::to_string(n % 2 == 0 ? int64_t{n / 2} : -int64_t{n / 2} - 1);
      }
      case Expression::kFloat: {
        double value;
        std::memcpy(&value, r_.at, sizeof value);
        r_.at += sizeof value;
        char text[32];
        std::snprintf(text, sizeof text, "%.17g", value);
        return text;
      }
      case Expression::kTrue: return "true";
      case Expression::kFalse: return "false";
      case Expression::kNone: return "none";
      case Expression::kName: return Name();
      case Expression::kAttribute: {
        const std::string object = Expr();
        return object + "." + Name();
      }
      case Expression::kItem: {
        const std::string object = Expr();
        return object + "[" + Expr() + "]";
      }
      case Expression::kSlice: {
        std::string all = Expr() + "[";
        const uint8_t which = r_.Byte();
        for (int i = 0; i < 3; ++i) {
          if (i > 0) all += ":";
          if (which >> i & 1) all += Expr();
        }
        return all + "]";
      }
      case Expression::kCall: {
        const std::string callee = Expr();
        return callee + "(" + Arguments() + ")";
      }
      case Expression::kMethod: {
        const std::string object = Expr(), name = Name();
        return object + "." + name + "(" + Arguments() + ")";
      }
      case Expression::kFilter: {
        const std::string value = Expr();
        return value + "|" + OneFilter();
      }
      case Expression::kTest: {
        const std::string value = Expr(), name = kTestNames[r_.Byte()], arguments = Arguments();
        return "(" + value + " is " + name + (arguments.empty() ? "" : "(" + arguments + ")") + ")";
      }
      case Expression::kNot: return "not " + Expr();
      case Expression::kNegative: return "-" + Expr();
      case Expression::kPositive: return "+" + Expr();
      case Expression::kAnd:
      case Expression::kOr: {
        const std::string left = Expr();
        r_.Number();
        return "(" + left + (kind == Expression::kAnd ? " and " : " or ") + Expr() + ")";
      }
      case Expression::kCondition: {
        const std::string condition = Expr();
        std::string value, otherwise;
        Skipped(&value);
        const bool has_else = Skipped(&otherwise);
        return "(" + value + " if " + condition + (has_else ? " else " + otherwise : "") + ")";
      }
      case Expression::kBinary: {
        const char* const name = kBinaryNames[r_.Byte()];
        const std::string left = Expr();
        return "(" + left + " " + name + " " + Expr() + ")";
      }
      case Expression::kCompare: {
        std::string all = "(" + Expr();
        for (uint32_t n = r_.Number(); n > 0; --n) {
          const char* const name = kCompareNames[r_.Byte()];
          all += std::string(" ") + name + " " + Expr();
        }
        return all + ")";
      }
      case Expression::kConcat: {
        std::string all = "(";
        for (uint32_t n = r_.Number(), i = 0; i < n; ++i) all += (i == 0 ? "" : " ~ ") + Expr();
        return all + ")";
      }
      case Expression::kList: return "[" + List(r_.Number()) + "]";
      case Expression::kTuple: return "(" + List(r_.Number()) + ",)";
      case Expression::kDict: {
        std::string all = "{";
        for (uint32_t n = r_.Number(), i = 0; i < n; ++i) {
          all += (i == 0 ? "" : ", ") + Expr();
          all += ": " + Expr();
        }
        return all + "}";
      }
      case Expression::kSpread:
      case Expression::kSpreadDict: break;  // only of arguments
    }
    return {};
  }

  const Program& program_;
  Reader r_;
  std::string names_;  // a line each
  std::string out_;
};

}  // namespace

std::string PrintProgram(const Program& program) { return Printer(program).Run(); }

}  // namespace thimble::chat
