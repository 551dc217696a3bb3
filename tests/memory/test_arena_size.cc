// One byte too few is refused with both numbers; the planned bytes are enough; blocks that start at a wrong
// place are refused. None of the refusals writes a byte.
#include <catch2/catch_test_macros.hpp>

#include "tests/memory/combinations.h"

using namespace thimble;
using namespace thimble::test;

namespace {

bool AllPaint(const std::vector<uint8_t>& bytes, uint8_t paint) {
  for (const uint8_t b : bytes) {
    if (b != paint) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("arena: one byte less than planned fails with the exact need, the planned bytes do") {
  for (const Combination& c : Combinations()) {
    INFO(c.name);
    const OpenModel model(c.builder.Bytes());
    const uint64_t need = model.PlanFor(c.options).totals.arena_bytes;
    PaintedBlock block(need, 0xc3);
    for (const uint64_t size : {need - 1, need / 2, uint64_t{64}, uint64_t{0}}) {
      thimble_session* session = reinterpret_cast<thimble_session*>(&block);
      const thimble_error status =
          CreateSession(model.get(), &c.options, block.data(), size, &session);
      CHECK(status.code == 400);
      CHECK(thimble_exit_code(status.code) == 5);
      CHECK(session == nullptr);
      const std::string numbers = "(got " + std::to_string(size) + ", wanted " + std::to_string(need) + ")";
      CHECK(std::string(status.message).find(numbers) != std::string::npos);
    }
    CHECK(AllPaint(block.Snapshot(), 0xc3));
    for (const size_t shift : {size_t{1}, size_t{8}, size_t{32}, size_t{63}}) {
      thimble_session* session = nullptr;
      const thimble_error status =
          CreateSession(model.get(), &c.options, block.data() + shift, need, &session);
      CHECK(status.code == 401);
      CHECK(session == nullptr);
    }
    CHECK(block.GuardsUntouched());
    CHECK(AllPaint(block.Snapshot(), 0xc3));

    thimble_session* session = nullptr;
    const thimble_error status =
        CreateSession(model.get(), &c.options, block.data(), need, &session);
    CHECK(status.code == 0);
    REQUIRE(session != nullptr);
    thimble_session_close(session);
    CHECK(block.GuardsUntouched());
  }
}

TEST_CASE("arena: a caller's block is whole again after close, and serves the next session") {
  const Combination c = Combinations()[9];
  const OpenModel model(c.builder.Bytes());
  const uint64_t need = model.PlanFor(c.options).totals.arena_bytes;
  PaintedBlock block(need + 4096, 0x11);
  for (int round = 0; round < 3; ++round) {
    thimble_session* session = nullptr;
    Require(CreateSession(model.get(), &c.options, block.data(), need + 4096, &session));
    const int32_t id = 3;
    Require(Call(thimble_prefill, session, &id, 1));
    thimble_session_close(session);
    // Under AddressSanitizer this write is the test.
    std::memset(block.data(), 0x11, need);
  }
  // A larger block is not used beyond the plan.
  for (size_t i = need; i < block.size(); ++i) REQUIRE(block.data()[i] == 0x11);
}

TEST_CASE("arena: two sessions of one model do not touch each other") {
  const Combination c = Combinations()[5];
  const OpenModel model(c.builder.Bytes());
  const uint64_t need = model.PlanFor(c.options).totals.arena_bytes;
  PaintedBlock block_a(need, 0), block_b(need, 0xff);
  thimble_session *a = nullptr, *b = nullptr;
  Require(CreateSession(model.get(), &c.options, block_a.data(), need, &a));
  Require(CreateSession(model.get(), &c.options, block_b.data(), need, &b));
  const int32_t ids[] = {1, 5, 9};
  const uint32_t outputs = model.info().outputs;
  Require(Call(thimble_prefill, a, ids, 2));
  const std::vector<float> before(LogitsOf(a), LogitsOf(a) + outputs);
  Require(Call(thimble_prefill, b, ids, 3));
  CHECK(std::memcmp(before.data(), LogitsOf(a), outputs * sizeof(float)) == 0);
  CHECK(thimble_position(a) == 2);
  Require(DecodeId(a, 9));
  CHECK(std::memcmp(LogitsOf(a), LogitsOf(b), outputs * sizeof(float)) == 0);
  thimble_session_close(b);
  Require(DecodeId(a, 1));
  thimble_session_close(a);
}
