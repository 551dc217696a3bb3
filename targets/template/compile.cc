// Statements to a program. What a parser function returns is the statement's bytes.
#include "targets/template/compile.h"

#include "targets/template/expressions.h"

namespace thimble::chat {
namespace {

class Parser : ExpressionParser {
 public:
  explicit Parser(std::string_view text) : ExpressionParser(text) {}

  std::vector<uint8_t> Run() {
    Bytes body = Statements({});
    if (Now().kind != TokenKind::kEnd) Fail("something behind the end");
    if (!unknown_.empty()) throw unknown_[0];
    for (const auto& [name, token] : functions_) {
      if (!given_.count(name)) throw TemplateError("the function '" + name + "' is not known", token.line, token.column);
    }
    Bytes names;
    for (const auto& [offset, length] : names_) {
      PutNumber(&names, offset);
      PutNumber(&names, length);
    }
    Bytes out(kProgramMagic, sizeof kProgramMagic);
    out += static_cast<char>(kProgramVersion);
    PutNumber(&out, pool_.size());
    PutNumber(&out, names_.size());
    out += names + pool_ + Skip(body);
    return {out.begin(), out.end()};
  }

 private:
  // Statements up to {% one of `ends`, whose name is the token then.
  Bytes Statements(std::initializer_list<std::string_view> ends) {
    Bytes out;
    for (;;) {
      const Token& token = Now();
      const Bytes line = Number(token.line);
      switch (token.kind) {
        case TokenKind::kText:
          out += Op(Statement::kText) + line + Text(Next().text);
          break;
        case TokenKind::kOutBegin:
          ++at_;
          out += Op(Statement::kOut) + line + Tuple(true);
          if (Now().kind != TokenKind::kOutEnd) Fail("expected '}}', got '" + Now().text + "'");
          ++at_;
          break;
        case TokenKind::kBlockBegin: {
          ++at_;
          for (const std::string_view end : ends) {
            if (IsWord(end)) return out;
          }
          out += OneStatement(line);
          break;
        }
        case TokenKind::kEnd:
          if (ends.size() != 0) Fail("the template ends inside of a block; expected {% " + std::string(*ends.begin()) + " %}");
          return out;
        default: Fail("unexpected '" + token.text + "'");
      }
    }
  }

  // `branch`: of an `if`, which decides whether it is reached. `first`: statements in front of the text's own.
  Bytes Body(std::initializer_list<std::string_view> ends, bool branch = false, const Bytes& first = {}) {
    if (++body_depth_ > kMaxStatementDepth) Fail("statements that are nested too deeply");
    const bool conditional = std::exchange(conditional_, branch);
    const Bytes body = Skip(first + Statements(ends));
    conditional_ = conditional;
    --body_depth_;
    return body;
  }
  void EndWord(std::string_view word) {
    WantWord(word);
    WantBlockEnd();
  }

  Bytes OneStatement(const Bytes& line) {
    if (Now().kind != TokenKind::kName) Fail("expected a statement, got '" + Now().text + "'");
    const std::string word = Now().text;
    if (word == "if") return If(line);
    if (word == "for") return For(line);
    if (word == "set") return Set(line);
    if (word == "macro") return Macro(line);
    if (word == "call") return Call(line);
    if (word == "with") return With(line);
    if (word == "filter") {
      ++at_;
      const Bytes filters = Filters(false);
      WantBlockEnd();
      const Bytes body = Body({"endfilter"});
      EndWord("endfilter");
      return Op(Statement::kFilterBlock) + line + body + filters;
    }
    if (word == "generation") {
      ++at_;
      WantBlockEnd();
      const Bytes body = Body({"endgeneration"});
      EndWord("endgeneration");
      return Op(Statement::kScope) + line + body;
    }
    if (word == "break" || word == "continue") {
      if (loops_ == 0) Fail("{% " + word + " %} outside of a loop");
      ++at_;
      WantBlockEnd();
      return Op(word == "break" ? Statement::kBreak : Statement::kContinue) + line;
    }
    Fail("the statement '" + word + "' is not known");
  }

  Bytes If(const Bytes& line) {
    Bytes branches, otherwise = Skip({});
    size_t count = 0;
    for (;;) {
      ++at_;
      ++count;
      const bool conditional = std::exchange(conditional_, true);
      branches += Skip(Tuple(false));
      conditional_ = conditional;
      WantBlockEnd();
      branches += Body({"elif", "else", "endif"}, true);
      if (IsWord("elif")) continue;
      if (TakeWord("else")) {
        WantBlockEnd();
        otherwise = Body({"endif"}, true);
      }
      EndWord("endif");
      return Op(Statement::kIf) + line + Number(count) + branches + otherwise;
    }
  }

  // Names that are given values: of `for` and `set`.
  std::vector<std::string> Targets() {
    std::vector<std::string> names;
    const bool bracket = TakeOp("(");
    do {
      if (IsOp("(")) Fail("names in brackets among others are not known");
      if (IsOp(")") || IsOp("=") || IsWord("in")) break;
      names.push_back(WantName());
      given_.insert(names.back());
    } while (TakeOp(","));
    if (bracket) WantOp(")");
    if (IsOp(",")) Fail("names in brackets among others are not known");
    return names;
  }
  Bytes NameList(const std::vector<std::string>& names) {
    Bytes out = Number(names.size());
    for (const std::string& name : names) out += Name(name);
    return out;
  }

  Bytes For(const Bytes& line) {
    ++at_;
    const Bytes targets = NameList(Targets());
    WantWord("in");
    const Bytes over = Tuple(true, false);
    Bytes condition, otherwise = Skip({});
    if (TakeWord("if")) condition = Condition();
    (void)TakeWord("recursive");
    WantBlockEnd();
    ++loops_;
    const Bytes body = Body({"else", "endfor"});
    --loops_;
    if (TakeWord("else")) {
      WantBlockEnd();
      otherwise = Body({"endfor"});
    }
    EndWord("endfor");
    return Op(Statement::kFor) + line + targets + over + Skip(condition) + body + otherwise;
  }

  Bytes Set(const Bytes& line) {
    ++at_;
    if (at_ + 1 < tokens_.size() && Now().kind == TokenKind::kName && tokens_[at_ + 1].text == "." && tokens_[at_ + 1].kind == TokenKind::kOperator) {
      const Bytes space = Name(WantName());
      WantOp(".");
      const Bytes attribute = Name(WantName());
      WantOp("=");
      const Bytes value = Tuple(true);
      WantBlockEnd();
      return Op(Statement::kSetAttribute) + line + space + attribute + value;
    }
    const std::vector<std::string> targets = Targets();
    if (TakeOp("=")) {
      const Bytes value = Tuple(true);
      WantBlockEnd();
      return Op(Statement::kSet) + line + NameList(targets) + value;
    }
    if (targets.size() != 1) Fail("expected '=', got '" + Now().text + "'");
    const Bytes filters = IsOp("|") ? Filters(true) : Number(0);
    WantBlockEnd();
    const Bytes body = Body({"endset"});
    EndWord("endset");
    return Op(Statement::kSetBlock) + line + Name(targets[0]) + body + filters;
  }

  Bytes Macro(const Bytes& line) {
    ++at_;
    const std::string name = WantName();
    given_.insert(name);
    return MacroBody(line, name, "endmacro");
  }
  // From the bracket on, which a {% call %} may leave out.
  Bytes MacroBody(const Bytes& line, const std::string& name, std::string_view end) {
    Bytes parameters;
    size_t count = 0;
    const std::set<std::string> outside = std::exchange(used_, {});
    bool has_caller = false;
    if (end == "endmacro" || IsOp("(")) {
      WantOp("(");
      while (!TakeOp(")")) {
        if (count++ > 0) WantOp(",");
        const std::string parameter = WantName();
        has_caller |= parameter == "caller";
        given_.insert(parameter);
        parameters += Name(parameter);
        parameters += Skip(TakeOp("=") ? Condition() : Bytes());
      }
    }
    Bytes call;
    if (end == "endcall") call = CallOf();
    WantBlockEnd();
    const size_t loops = std::exchange(loops_, 0);
    const Bytes body = Body({end});
    loops_ = loops;
    EndWord(end);
    for (const char* const rest : {"varargs", "kwargs"}) {
      if (used_.count(rest) && !given_.count(rest)) Fail("the name '" + std::string(rest) + "' is not known in macros");
    }
    // What {% call %} gives, where a macro asks for it: a parameter that is given by its name only.
    if (used_.count("caller") && !has_caller) {
      parameters += Name("caller") + Skip({});
      ++count;
    }
    used_.insert(outside.begin(), outside.end());
    return Op(Statement::kMacro) + line + Name(name) + Number(count) + parameters + body + call;
  }

  // {% call(x) f(y) %}...{% endcall %} is a macro without a name of people's, and f(y, caller=that macro).
  Bytes Call(const Bytes& line) {
    ++at_;
    ++body_depth_;
    const Bytes both = Skip(MacroBody(line, kCaller, "endcall"));
    --body_depth_;
    return Op(Statement::kScope) + line + both;
  }
  Bytes CallOf() {
    const Bytes line = Number(Now().line);
    Bytes call = Unary(false);
    if (call[0] != Op(Expression::kCall) && call[0] != Op(Expression::kMethod)) Fail("{% call %} of what is no call");
    // Its arguments were the last to be read, and stand at its end.
    ArgumentList all = arguments_;
    call.resize(call.size() - all.bytes().size());
    all.named += Name("caller") + Op(Expression::kName) + Name(kCaller);
    ++all.named_count;
    return Op(Statement::kOut) + line + call + all.bytes();
  }

  Bytes With(const Bytes& line) {
    ++at_;
    Bytes names, values;
    size_t count = 0;
    while (Now().kind != TokenKind::kBlockEnd) {
      if (count > 0) WantOp(",");
      const std::string name = WantName();
      given_.insert(name);
      names += Name(name);
      WantOp("=");
      values += Condition();
      ++count;
    }
    WantBlockEnd();
    // All values are of the names outside.
    Bytes set;
    if (count > 0) set = Op(Statement::kSet) + line + Number(count) + names + (count > 1 ? Op(Expression::kTuple) + Number(count) : Bytes()) + values;
    const Bytes body = Body({"endwith"}, false, set);
    EndWord("endwith");
    return Op(Statement::kScope) + line + body;
  }

  static constexpr const char* kCaller = "caller of this";  // no name in a template has spaces
  std::set<std::string> given_;  // names that are set anywhere
  size_t loops_ = 0, body_depth_ = 0;
};

}  // namespace

std::vector<uint8_t> CompileTemplate(std::string_view text) {
  if (text.size() > kMaxTemplateBytes) {
    throw TemplateError("the template has " + std::to_string(text.size()) + " bytes; at most " + std::to_string(kMaxTemplateBytes), 1, 1);
  }
  std::vector<uint8_t> program = Parser(text).Run();
  const Result<Program> verified = VerifyProgram(program.data(), program.size());
  if (!verified.ok()) throw TemplateError("the template has too many parts, or is nested too deeply", 1, 1);
  return program;
}

}  // namespace thimble::chat
