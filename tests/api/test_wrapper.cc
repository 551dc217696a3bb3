// thimble.hpp: values or errors, owners, callables. It alone here: the library's classes have the same names.
#include <thimble/thimble.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "tests/support/model_zoo.h"
#include "tests/support/turn_model.h"
#include "tests/support/window_model.h"

namespace {

std::span<const std::byte> Bytes(const thimble::test::AlignedBytes& bytes) {
  return std::as_bytes(std::span(bytes.data(), bytes.size()));
}

}  // namespace

TEST_CASE("wrapper: an error goes through and_then, with its code, name, help and exit code") {
  auto model = thimble::Model::Open("no-such-file");
  REQUIRE(!model);
  CHECK(model.error().code() == THIMBLE_IO);
  CHECK(std::string(model.error().name()) == "io");
  CHECK(std::string(model.error().help()).back() == '.');
  CHECK(model.error().exit_code() == 6);
  int calls = 0;
  auto session = model.and_then([&](auto& m) {
    ++calls;
    return m.CreateSession();
  });
  CHECK(!session);
  CHECK(calls == 0);
  CHECK(std::string(session.error().message()) == model.error().message());
}

TEST_CASE("wrapper: sessions behind a prefix") {
  const thimble::test::AlignedBytes bytes(thimble::test::WindowModel().Bytes());
  auto model = thimble::Model::OpenMemory(Bytes(bytes));
  REQUIRE(model);
  thimble::EngineOptions options;
  options.prefix_tokens = 256;
  options.max_sessions = 2;
  CHECK(model->Plan(options)->prefix_bytes > 0);
  CHECK(model->PlanAt(10, options)->at_tokens == 10);
  CHECK(model->WillFit(options).has_value());
  int fitting = 0;
  CHECK(model->Solve(uint64_t{1} << 30, [&](const thimble_solution& s) { fitting += s.fits; }, options).has_value());
  CHECK(fitting > 0);
  auto engine = model->CreateEngine(options);
  REQUIRE(engine);
  CHECK(engine->OpenSession().error().code() == THIMBLE_WRONG_STATE);
  const std::vector<int32_t> ids(256, 3);
  uint64_t seen = 0;
  REQUIRE(engine->ReadPrefix(ids, [&](uint64_t done, uint64_t) { seen = done; }));
  CHECK(seen == 256);
  REQUIRE(engine->ReadPrefix(ids));
  auto session = engine->OpenSession();
  REQUIRE(session);
  CHECK(session->Position() == 256);
  CHECK(engine->Trim(THIMBLE_TRIM_SCRATCH).has_value());
  CHECK(engine->Trim(THIMBLE_TRIM_PARK).error().code() == THIMBLE_WRONG_STATE);
  CHECK(engine->RecoverSession().error().code() == THIMBLE_OUT_OF_RANGE);
}

TEST_CASE("wrapper: a model's whole life") {
  const thimble::test::AlignedBytes bytes(thimble::test::ZooEntry("k_v_on_read").Bytes());
  auto model = thimble::Model::OpenMemory(Bytes(bytes));
  REQUIRE(model);
  uint64_t total = 0;
  CHECK(model->Verify([&](uint64_t, uint64_t t) { total = t; }));
  CHECK(total == bytes.size());
  CHECK(model->Info()->layers > 0);

  thimble::EngineOptions options;
  options.context_tokens = 16;
  options.max_sessions = 2;
  options.sampling.temperature = 0;
  const thimble::EngineOptions copy = options;
  CHECK(static_cast<const thimble_engine_options&>(copy).sampling == &copy.sampling);
  CHECK(model->Plan(copy)->max_sessions == 2);
  auto engine = model->CreateEngine(copy);
  REQUIRE(engine);
  auto first = engine->OpenSession();
  REQUIRE(first);
  CHECK(engine->Model().Info()->vocabulary == model->Info()->vocabulary);
  CHECK(*engine->Model().Piece(5) == *model->Piece(5));
  thimble::Session session = std::move(*first);  // owners move
  const std::vector<int32_t> ids = {1, 2, 3, 4};
  size_t rows = 0;
  REQUIRE(session.PrefillEach(ids, [&](size_t, const float*) { ++rows; }));
  CHECK(rows == 4);
  CHECK(session.Logits().size() == model->Info()->outputs);
  auto fork = session.Fork();
  REQUIRE(fork);
  thimble::Span spans[] = {{session.handle(), ids}, {fork->handle(), ids}};
  REQUIRE(engine->Step(spans));
  CHECK(session.Position() == 8);
  CHECK(*session.Sample() == *fork->Sample());

  std::vector<std::byte> state;
  REQUIRE(session.SaveState([&](auto part) { state.insert(state.end(), part.begin(), part.end()); }));
  REQUIRE(session.Rewind(0));
  REQUIRE(session.LoadState(state.size(), [&](uint64_t offset, auto to) {
    std::copy_n(state.begin() + static_cast<long>(offset), to.size(), to.begin());
  }));
  CHECK(session.Position() == 8);

  size_t events = 0;
  thimble::Generation generation;
  generation.max_tokens = 3;
  const auto last = session.Generate(generation, [&](const thimble_event&) { ++events; });
  REQUIRE(last);
  CHECK(last->end == THIMBLE_END_MAX_TOKENS);
  CHECK(last->generated_tokens == 3);
  CHECK(events >= 3);
  const auto stopped = session.Generate(generation, [&](const thimble_event&) { return false; });
  CHECK(stopped->end == THIMBLE_END_CALLBACK);
  REQUIRE(session.Start(generation));
  CHECK(session.Next()->id >= 0);

  const auto sixteen = session.Prefill(std::vector<int32_t>(17, 1));
  CHECK(sixteen.error().code() == THIMBLE_CONTEXT_FULL);
  CHECK(model->Close() == THIMBLE_BUSY);
  CHECK(session.Close() == THIMBLE_OK);
  CHECK(fork->Close() == THIMBLE_OK);
  CHECK(engine->Close() == THIMBLE_OK);
  CHECK(model->Close() == THIMBLE_OK);
}

TEST_CASE("wrapper: an answer as its parts") {
  const thimble::test::AlignedBytes bytes(thimble::test::TurnModel().Bytes());
  auto model = thimble::Model::OpenMemory(Bytes(bytes));
  REQUIRE(model);
  thimble::EngineOptions options;
  options.max_text_bytes = 4096;
  auto session = model->CreateSession(options);
  REQUIRE(session);
  const thimble::test::Conversation conversation(thimble::test::kAsked);
  thimble::test::Script script{thimble::test::kSaid};
  thimble::Generation generation;
  generation.conversation = conversation.get();
  generation.hook = thimble::test::Script::Hook;
  generation.hook_user = &script;
  std::vector<std::byte> memory(THIMBLE_TURN_BYTES - 1);
  CHECK(session->StartTurn(generation, memory).error().code() == THIMBLE_TEXT_TOO_LONG);
  memory.resize(1 << 15);
  auto turn = session->StartTurn(generation, memory);
  REQUIRE(turn);
  std::string said;
  for (;;) {
    const auto event = turn->Next([&](const thimble_turn_part& part) {
      if (part.kind == THIMBLE_PART_CALL) said += "|call ";
      if (part.kind == THIMBLE_PART_ARGUMENTS) said += " of ";
      said.append(part.text, part.text_bytes);
    });
    REQUIRE(event);
    if (event->end != THIMBLE_END_NOT_YET) break;
  }
  CHECK(said == "Hm.Well:|call f of {\"x\": [1, \"<\"]}");
  CHECK(turn->Next([](const thimble_turn_part&) {}).error().code() == THIMBLE_WRONG_STATE);
}
