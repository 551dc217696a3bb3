// C API: what operations take and what lies in memory.
#include "runtime/api/error.h"
#include "runtime/api/handles.h"
#include "runtime/api/sized.h"
#include "runtime/resident_bytes.h"

using namespace thimble;

namespace {

// In the order of MixerKind.
constexpr const char* kMixerNames[] = {"attention", "feed_forward", "experts", "short_convolution", "state_space", "streams"};
static_assert(std::size(kMixerNames) == std::variant_size_v<MixerOp>);

int32_t LayerOf(const Network& network, uint32_t block) {
  const ModelSpec& part = network.model;
  const Header& header = network.file->header();
  for (uint32_t l = 0; l < part.layers; ++l) {
    const LayerRange range = header.layer(part.first_layer + l);
    if (block + part.first_block < range.first_block + range.blocks) return static_cast<int32_t>(l);
  }
  return -1;
}

// Of whose totals these are.
thimble_operation Describe(const Network& network, size_t place) {
  const uint32_t block = static_cast<uint32_t>(place / kPassOperations);
  const bool of_block = block < network.block_count;
  thimble_operation operation = {};
  operation.struct_bytes = sizeof operation;
  operation.layer = of_block ? LayerOf(network, block) : -1;
  operation.block = of_block ? static_cast<int32_t>(block) : -1;
  operation.mixer = of_block ? kMixerNames[network.blocks[block].mixer.index()] : "";
  operation.name = kPassOperationNames[place % kPassOperations];
  return operation;
}

Status CheckRecords(thimble_engine* engine, thimble_operation_fn each) {
  if (engine == nullptr) return NullArgument("engine");
  if (each == nullptr) return NullArgument("each");
  if (engine->profiler().records()) return Status::Ok();
  return Status::Error(Code::kWrongState, "the engine was made without profile_slices, and records no operations");
}

void GetOperations(Engine& engine, bool reset, thimble_operation_fn each, void* user) {
  Profiler& profiler = engine.profiler();
  const size_t places = profiler.Places();
  for (size_t i = 0; i < places; ++i) {
    // What comes before the first block is written behind the last one.
    const size_t place = i == 0 ? places - kPassOperations : i <= places - kPassOperations ? i - 1 : i;
    OperationTotals sum;
    {
      const TurnHolder turn(engine.turns());
      sum = profiler.Operation(place);
    }
    if (sum.calls == 0) continue;
    thimble_operation operation = Describe(engine.network(), place);
    operation.calls = sum.calls;
    operation.ns = sum.ns;
    operation.bytes = sum.bytes;
    operation.shared_tasks = sum.shared_tasks;
    operation.others_tasks = sum.others_tasks;
    each(user, &operation);
  }
  if (!reset) return;
  const TurnHolder turn(engine.turns());
  profiler.Reset();
}

void GetSlices(Engine& engine, thimble_operation_fn each, void* user) {
  for (size_t i = 0;; ++i) {
    OperationSlice slice;
    {
      const TurnHolder turn(engine.turns());
      if (i >= engine.profiler().Slices()) return;
      slice = engine.profiler().Slice(i);
    }
    thimble_operation operation = Describe(engine.network(), slice.place);
    operation.calls = 1;
    operation.start_ns = slice.start_ns;
    operation.ns = slice.ns;
    operation.bytes = slice.bytes;
    each(user, &operation);
  }
}

struct MeasuredLines {
  const uint8_t* arena;
  thimble_plan_fn each;
  void* user;

  static void Hear(void* context, const ArenaLine& line) {
    const MeasuredLines& lines = *static_cast<const MeasuredLines*>(context);
    if (line.bytes == 0) return;
    const thimble_plan_line measured = {sizeof measured, THIMBLE_ARENA, line.index, line.slot, line.name, line.offset, line.bytes,
                                        line.scratch, 0, line.bytes, ResidentBytesOf(lines.arena + line.offset, line.bytes)};
    lines.each(lines.user, &measured);
  }
};

// The walk once more: what it takes lies where it lay.
void MeasureLines(thimble_engine& engine, thimble_plan_fn each, void* user) {
  MeasuredLines lines = {reinterpret_cast<const uint8_t*>(&engine), each, user};
  const EngineOptions options = engine.network().options;
  Engine measured;
  Arena arena = Arena::Measuring(MeasuredLines::Hear, &lines), packed = Arena::Measuring();
  Engine::WalkArena(*engine.model.file, options, engine.model.opened->tokenizer, arena, options.pack_cache == nullptr ? arena : packed,
                    &measured);
}

}  // namespace

extern "C" {

enum thimble_code thimble_get_operations(thimble_engine* engine, int32_t reset, thimble_operation_fn each, void* user,
                                         thimble_error* error) {
  const Status status = CheckRecords(engine, each);
  if (status.ok()) GetOperations(*engine, reset != 0, each, user);
  return Return(status, error);
}

enum thimble_code thimble_get_slices(thimble_engine* engine, thimble_operation_fn each, void* user, thimble_error* error) {
  const Status status = CheckRecords(engine, each);
  if (status.ok()) GetSlices(*engine, each, user);
  return Return(status, error);
}

enum thimble_code thimble_measure_lines(thimble_engine* engine, thimble_plan_fn each, void* user, thimble_error* error) {
  if (engine == nullptr) return Return(NullArgument("engine"), error);
  if (each == nullptr) return Return(NullArgument("each"), error);
  MeasureLines(*engine, each, user);
  return Return(Status::Ok(), error);
}

}  // extern "C"
