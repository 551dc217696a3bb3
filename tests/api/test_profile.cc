// What operations take, one by one and together, and which bytes of which line are in memory.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/core/page.h"
#include "tests/support/call.h"
#include "tests/support/model_zoo.h"

using namespace thimble;
using namespace thimble::test;

namespace {

struct Fixture {
  explicit Fixture(uint32_t slices) : bytes(ZooEntry("k_v_on_read").Bytes()) {
    REQUIRE(Call(thimble_model_open_memory, bytes.data(), bytes.size(), &model).code == THIMBLE_OK);
    options.context_tokens = 16;
    options.profile_slices = slices;
    REQUIRE(Call(thimble_engine_create, model, &options, &engine).code == THIMBLE_OK);
    REQUIRE(Call(thimble_session_open, engine, &session).code == THIMBLE_OK);
  }
  ~Fixture() {
    thimble_engine_close(engine);
    thimble_model_close(model);
  }
  void Read(size_t count) {
    const int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
    REQUIRE(Call(thimble_prefill, session, ids, count).code == THIMBLE_OK);
  }
  AlignedBytes bytes;
  thimble_model* model = nullptr;
  ApiOptions options;
  thimble_engine* engine = nullptr;
  thimble_session* session = nullptr;
};

void Keep(void* user, const thimble_operation* operation) { static_cast<std::vector<thimble_operation>*>(user)->push_back(*operation); }
void KeepLine(void* user, const thimble_plan_line* line) { static_cast<std::vector<thimble_plan_line>*>(user)->push_back(*line); }

std::vector<thimble_operation> Operations(thimble_engine* engine, int32_t reset = 0) {
  std::vector<thimble_operation> operations;
  REQUIRE(Call(thimble_get_operations, engine, reset, Keep, static_cast<void*>(&operations)).code == THIMBLE_OK);
  return operations;
}
std::vector<thimble_operation> Slices(thimble_engine* engine) {
  std::vector<thimble_operation> slices;
  REQUIRE(Call(thimble_get_slices, engine, Keep, static_cast<void*>(&slices)).code == THIMBLE_OK);
  return slices;
}

}  // namespace

TEST_CASE("profile: operations of every block, and their sum") {
  Fixture f(256);
  CHECK(Operations(f.engine).empty());
  f.Read(4);
  f.Read(1);
  int32_t id = 0;
  REQUIRE(Call(thimble_sample, f.session, &id).code == THIMBLE_OK);
  const std::vector<thimble_operation> operations = Operations(f.engine);
  const uint32_t layers = InfoOf(f.model).layers;
  uint64_t ns = 0, bytes = 0;
  std::vector<size_t> of_layer(layers);
  for (const thimble_operation& operation : operations) {
    const std::string name = operation.name, mixer = operation.mixer;
    INFO(operation.layer << " " << mixer << " " << name);
    CHECK(operation.struct_bytes == sizeof operation);
    CHECK(operation.start_ns == 0);
    CHECK(operation.calls == (name == "sample" ? 1u : 2u));  // one for each pass
    CHECK((operation.layer == -1) == (name == "embed" || name == "head" || name == "sample"));
    CHECK((operation.layer == -1) == mixer.empty());
    CHECK((operation.layer == -1) == (operation.block == -1));
    CHECK((operation.bytes != 0) == (name == "projections" || name == "output" || name == "head" || name == "attention"));
    if (operation.layer >= 0) ++of_layer[static_cast<size_t>(operation.layer)];
    ns += operation.ns;
    bytes += operation.bytes;
  }
  // Attention: norm, projections, attention, output, join; feed-forward: activation in the place of attention.
  for (const size_t count : of_layer) CHECK(count == 10);
  CHECK(std::string(operations.front().name) == "embed");
  CHECK(std::string(operations.back().name) == "sample");
  thimble_profile profile = Sized<thimble_profile>();
  REQUIRE(Call(thimble_get_profile, f.engine, 0, &profile).code == THIMBLE_OK);
  CHECK(bytes == profile.weight_bytes_read + profile.kv_bytes_read);
  CHECK(ns == profile.embed_ns + profile.norm_ns + profile.linear_ns + profile.attention_ns + profile.activation_ns + profile.head_ns +
                  profile.sample_ns);
  CHECK(ns <= profile.total_ns + profile.sample_ns);

  CHECK(Operations(f.engine, 1).size() == operations.size());
  CHECK(Operations(f.engine).empty());
  REQUIRE(Call(thimble_get_profile, f.engine, 0, &profile).code == THIMBLE_OK);
  CHECK(profile.steps == 2);  // these are kept
}

TEST_CASE("profile: the newest operations one by one, in their order") {
  Fixture f(7);
  f.Read(1);
  const uint64_t in_a_pass = 10 * InfoOf(f.model).layers + 2;
  REQUIRE(in_a_pass > 7);
  const std::vector<thimble_operation> slices = Slices(f.engine);
  REQUIRE(slices.size() == 7);
  CHECK(std::string(slices.back().name) == "head");
  for (size_t i = 1; i < slices.size(); ++i) CHECK(slices[i].start_ns >= slices[i - 1].start_ns + slices[i - 1].ns);
  CHECK(slices[5].block == slices[1].block);  // the last block's
  CHECK(std::string(slices[1].name) == "norm");
  CHECK(std::string(slices[5].name) == "join");
  CHECK(slices[0].block + 1 == slices[1].block);

  Fixture all(4096);
  all.Read(1);
  CHECK(Slices(all.engine).size() == in_a_pass);
  uint64_t ns = 0, ns_of_slices = 0;
  for (const thimble_operation& slice : Slices(all.engine)) ns_of_slices += slice.ns;
  for (const thimble_operation& operation : Operations(all.engine)) ns += operation.ns;
  CHECK(ns == ns_of_slices);
}

TEST_CASE("profile: what is not recorded is said, and what it takes is on the plan") {
  Fixture f(0);
  f.Read(1);
  std::vector<thimble_operation> none;
  const thimble_error error = Call(thimble_get_operations, f.engine, 0, Keep, static_cast<void*>(&none));
  CHECK(error.code == THIMBLE_WRONG_STATE);
  CHECK(std::string(error.message).find("profile_slices") != std::string::npos);
  CHECK(Call(thimble_get_slices, f.engine, Keep, static_cast<void*>(&none)).code == THIMBLE_WRONG_STATE);
  CHECK(none.empty());
  CHECK(Call(thimble_get_operations, f.engine, 0, thimble_operation_fn{}, static_cast<void*>(nullptr)).code == THIMBLE_INVALID_ARGUMENT);
  CHECK(Call(thimble_measure_lines, static_cast<thimble_engine*>(nullptr), KeepLine, static_cast<void*>(nullptr)).code ==
        THIMBLE_INVALID_ARGUMENT);

  thimble_plan without = Sized<thimble_plan>(), with = without;
  ApiOptions options = f.options;
  REQUIRE(Call(thimble_plan_memory, f.model, &options, &without, nullptr, nullptr).code == THIMBLE_OK);
  options.profile_slices = 1000;
  std::vector<thimble_plan_line> lines;
  REQUIRE(Call(thimble_plan_memory, f.model, &options, &with, KeepLine, static_cast<void*>(&lines)).code == THIMBLE_OK);
  uint64_t of_profile = 0;
  for (const thimble_plan_line& line : lines) of_profile += std::strncmp(line.name, "profile.", 8) == 0 ? line.bytes : 0;
  CHECK(of_profile > 24000);
  CHECK(with.arena_bytes == without.arena_bytes + of_profile);
  options.profile_slices = (1u << 24) + 1;
  CHECK(Call(thimble_plan_memory, f.model, &options, &with, nullptr, nullptr).code == THIMBLE_OUT_OF_RANGE);
}

TEST_CASE("profile: lines as they lie in memory") {
  Fixture f(64);
  f.Read(4);
  std::vector<thimble_plan_line> planned, measured;
  thimble_plan plan = Sized<thimble_plan>();
  REQUIRE(Call(thimble_plan_at, f.model, &f.options, 4u, &plan, KeepLine, static_cast<void*>(&planned)).code == THIMBLE_OK);
  REQUIRE(Call(thimble_measure_lines, f.engine, KeepLine, static_cast<void*>(&measured)).code == THIMBLE_OK);
  size_t i = 0;
  for (const thimble_plan_line& line : planned) {
    if (line.lifetime != THIMBLE_ARENA) continue;
    REQUIRE(i < measured.size());
    const thimble_plan_line& found = measured[i++];
    INFO(line.name << " " << line.index);
    CHECK(std::string(found.name) == line.name);
    CHECK(found.offset == line.offset);
    CHECK(found.bytes == line.bytes);
    CHECK(found.index == line.index);
    CHECK(found.touched_bytes <= found.bytes);
    if (line.scratch == 0) CHECK(found.touched_bytes >= line.touched_bytes);  // and pages that it shares with others
  }
  CHECK(i == measured.size());
}
