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

  Bytes Body(std::initializer_list<std::string_view> ends) {
    if (++body_depth_ > kMaxStatementDepth) Fail("statements that are nested too deeply");
    const Bytes body = Skip(Statements(ends));
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
      branches += Skip(Tuple(false));
      WantBlockEnd();
      branches += Body({"elif", "else", "endif"});
      if (IsWord("elif")) continue;
      if (TakeWord("else")) {
        WantBlockEnd();
        otherwise = Body({"endif"});
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
      names.push_back(WantName());
    } while (TakeOp(","));
    if (bracket) WantOp(")");
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
    if (IsWord("recursive")) Fail("loops that call themselves are not known");
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
    const Bytes name = Name(WantName());
    WantOp("(");
    Bytes parameters;
    size_t count = 0;
    while (!TakeOp(")")) {
      if (count++ > 0) WantOp(",");
      parameters += Name(WantName());
      parameters += Skip(TakeOp("=") ? Condition() : Bytes());
    }
    WantBlockEnd();
    const size_t loops = std::exchange(loops_, 0);
    const Bytes body = Body({"endmacro"});
    loops_ = loops;
    EndWord("endmacro");
    return Op(Statement::kMacro) + line + name + Number(count) + parameters + body;
  }

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
