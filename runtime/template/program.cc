// The one walk that checks a program: every number inside its range, every part inside its whole.
#include "runtime/template/program.h"

#include <cstring>

namespace thimble::chat {
namespace {

class Verifier {
 public:
  Verifier(const uint8_t* begin, const uint8_t* end) : begin_(begin), at_(begin), end_(end) {}

  Result<Program> Run() {
    Program p;
    if (end_ - at_ < 5 || std::memcmp(at_, kProgramMagic, 4) != 0) return Error("not a template program");
    if (at_[4] != kProgramVersion) return Error("a template program of another version; convert the model again");
    at_ += 5;
    pool_bytes_ = Number();
    names_ = Number();
    p.names = at_;
    for (uint32_t i = 0; i < names_ && ok_; ++i) Text();
    if (!ok_ || pool_bytes_ > static_cast<size_t>(end_ - at_)) return Error("a template program whose texts are outside of it");
    p.pool = reinterpret_cast<const char*>(at_);
    p.pool_bytes = static_cast<uint32_t>(pool_bytes_);
    at_ += pool_bytes_;
    p.body = at_;
    Body(0);
    if (!ok_ || at_ != end_) return Error("a damaged template program");
    p.name_count = names_;
    p.nodes = nodes_;
    return p;
  }

 private:
  Status Error(const char* what) const {
    return Status::Error(Code::kInvalidModel, what).At("chat_template").Offset(static_cast<uint64_t>(at_ - begin_));
  }
  bool Fail() { return ok_ = false; }

  uint8_t Byte() {
    if (at_ == end_) return Fail(), uint8_t{0};
    return *at_++;
  }
  uint8_t Below(uint8_t count) {
    const uint8_t byte = Byte();
    if (byte >= count) Fail();
    return byte;
  }
  uint32_t Number() {
    uint32_t n = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const uint8_t byte = Byte();
      if (!ok_ || (shift == 28 && byte > 15)) break;
      n |= uint32_t{byte & 127u} << shift;
      if (byte < 128) return n;
    }
    Fail();
    return 0;
  }
  // A list that is longer than the bytes that are left is none.
  uint32_t Count() {
    const uint32_t n = Number();
    if (n > static_cast<size_t>(end_ - at_)) return Fail(), 0u;
    return n;
  }
  void Text() {
    const uint32_t offset = Number(), length = Number();
    if (offset > pool_bytes_ || length > pool_bytes_ - offset) Fail();
  }
  void Name() {
    if (Number() >= names_) Fail();
  }
  // f() reads exactly the bytes that its length says.
  template <typename F>
  void Skip(bool may_be_empty, const F& f) {
    const uint32_t length = Count();
    if (!ok_) return;
    const uint8_t* const outer = end_;
    end_ = at_ + length;
    if (length > 0) f();
    else if (!may_be_empty) Fail();
    if (at_ != end_) Fail();
    end_ = outer;
  }
  void Body(size_t depth) {
    if (depth > kMaxStatementDepth) Fail();
    Skip(true, [&] {
      while (ok_ && at_ != end_) OneStatement(depth);
    });
  }
  void Node() {
    if (++nodes_ > kMaxProgramNodes) Fail();
  }
  void Filters(size_t depth) {
    for (uint32_t n = Count(); n > 0 && ok_; --n) OneFilter(depth);
  }
  void OneFilter(size_t depth) {
    Below(static_cast<uint8_t>(Filter::kCount));
    Arguments(depth);
  }
  void Arguments(size_t depth) {
    for (uint32_t n = Count(); n > 0 && ok_; --n) {
      if (at_ != end_ && IsSpread(*at_)) ++at_;
      OneExpression(depth);
    }
    for (uint32_t n = Count(); n > 0 && ok_; --n) {
      Name();
      OneExpression(depth);
    }
  }

  void OneStatement(size_t depth) {
    Node();
    const auto kind = static_cast<Statement>(Below(static_cast<uint8_t>(Statement::kContinue) + 1));
    Number();
    if (!ok_) return;
    switch (kind) {
      case Statement::kText: return Text();
      case Statement::kOut: return OneExpression(0);
      case Statement::kIf:
        for (uint32_t n = Count(); n > 0 && ok_; --n) {
          Skip(false, [&] { OneExpression(0); });
          Body(depth + 1);
        }
        return Body(depth + 1);
      case Statement::kFor: {
        const uint32_t n = Count();
        if (n == 0) Fail();
        for (uint32_t i = 0; i < n && ok_; ++i) Name();
        OneExpression(0);
        Skip(true, [&] { OneExpression(0); });
        Body(depth + 1);
        return Body(depth + 1);
      }
      case Statement::kSet: {
        const uint32_t n = Count();
        if (n == 0) Fail();
        for (uint32_t i = 0; i < n && ok_; ++i) Name();
        return OneExpression(0);
      }
      case Statement::kSetAttribute: Name(); Name(); return OneExpression(0);
      case Statement::kSetBlock: Name(); Body(depth + 1); return Filters(0);
      case Statement::kFilterBlock: Body(depth + 1); return Filters(0);
      case Statement::kMacro:
        Name();
        for (uint32_t n = Count(); n > 0 && ok_; --n) {
          Name();
          Skip(true, [&] { OneExpression(0); });
        }
        return Body(depth + 1);
      case Statement::kScope: return Body(depth + 1);
      case Statement::kBreak:
      case Statement::kContinue: return;
    }
  }

  void OneExpression(size_t depth) {
    Node();
    if (++depth > kMaxExpressionDepth) Fail();
    const auto kind = static_cast<Expression>(Below(static_cast<uint8_t>(Expression::kDict) + 1));
    if (!ok_) return;
    switch (kind) {
      case Expression::kText: return Text();
      case Expression::kInt: Number(); return;
      case Expression::kFloat:
        for (int i = 0; i < 8; ++i) Byte();
        return;
      case Expression::kTrue:
      case Expression::kFalse:
      case Expression::kNone: return;
      case Expression::kName: return Name();
      case Expression::kAttribute: OneExpression(depth); return Name();
      case Expression::kItem: OneExpression(depth); return OneExpression(depth);
      case Expression::kSlice: {
        OneExpression(depth);
        for (uint8_t which = Below(8); which != 0 && ok_; which &= static_cast<uint8_t>(which - 1)) OneExpression(depth);
        return;
      }
      case Expression::kCall: OneExpression(depth); return Arguments(depth);
      case Expression::kMethod: OneExpression(depth); Name(); return Arguments(depth);
      case Expression::kFilter: OneExpression(depth); return OneFilter(depth);
      case Expression::kTest: OneExpression(depth); Below(static_cast<uint8_t>(Test::kCount)); return Arguments(depth);
      case Expression::kNot:
      case Expression::kNegative:
      case Expression::kPositive: return OneExpression(depth);
      case Expression::kAnd:
      case Expression::kOr: OneExpression(depth); return Skip(false, [&] { OneExpression(depth); });
      case Expression::kCondition:
        OneExpression(depth);
        Skip(false, [&] { OneExpression(depth); });
        return Skip(true, [&] { OneExpression(depth); });
      case Expression::kBinary:
        Below(static_cast<uint8_t>(Binary::kPower) + 1);
        OneExpression(depth);
        return OneExpression(depth);
      case Expression::kCompare:
        OneExpression(depth);
        for (uint32_t n = Count(); n > 0 && ok_; --n) {
          Below(static_cast<uint8_t>(Compare::kNotIn) + 1);
          OneExpression(depth);
        }
        return;
      case Expression::kConcat:
      case Expression::kList:
      case Expression::kTuple:
        for (uint32_t n = Count(); n > 0 && ok_; --n) OneExpression(depth);
        return;
      case Expression::kDict:
        for (uint32_t n = Count(); n > 0 && ok_; --n) {
          OneExpression(depth);
          OneExpression(depth);
        }
        return;
      case Expression::kSpread:
      case Expression::kSpreadDict: return;  // only of arguments
    }
  }

  const uint8_t *begin_, *at_, *end_;
  size_t pool_bytes_ = 0;
  uint32_t names_ = 0, nodes_ = 0;
  bool ok_ = true;
};

}  // namespace

Result<Program> VerifyProgram(const uint8_t* bytes, size_t size) { return Verifier(bytes, bytes + size).Run(); }

}  // namespace thimble::chat
