#include "targets/cli/profile/profile_trace.h"

#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

// Tracks of the one process.
constexpr int kProcess = 1, kPasses = 1, kOperations = 2;

double Microseconds(uint64_t ns) { return static_cast<double>(ns) / 1000; }

Json Event(const char* kind, const std::string& name, int track, uint64_t ns) {
  return {{"ph", kind}, {"name", name}, {"pid", kProcess}, {"tid", track}, {"ts", Microseconds(ns)}};
}

Json Named(const char* what, int track, const std::string& name) {
  Json event = Event("M", what, track, 0);
  event["args"] = Json::Object({{"name", name}});
  return event;
}

Json Slice(const std::string& name, const char* category, int track, uint64_t start_ns, uint64_t ns, Json arguments) {
  Json event = Event("X", name, track, start_ns);
  event["cat"] = category;
  event["dur"] = Microseconds(ns);
  event["args"] = std::move(arguments);
  return event;
}

Json Counter(const std::string& name, uint64_t ns, Json values) {
  Json event = Event("C", name, 0, ns);
  event["args"] = std::move(values);
  return event;
}

void AddOperations(const Recording& recording, Json* events) {
  const uint64_t start_ns = recording.recorder.start_ns();
  int32_t layer = -1;
  uint64_t layer_begin = 0, layer_end = 0;
  std::vector<Json> waiting;  // operations of the layer at hand, which begins before them
  const auto end_layer = [&] {
    if (layer >= 0) {
      events->Push(Slice("layer " + std::to_string(layer), "layer", kOperations, layer_begin, layer_end - layer_begin, Json::Object({{"layer", layer}})));
    }
    for (Json& event : waiting) events->Push(std::move(event));
    waiting.clear();
  };
  for (const thimble_operation& slice : recording.slices) {
    if (slice.start_ns < start_ns) continue;  // of another clock, if ever
    const uint64_t begin = slice.start_ns - start_ns;
    if (slice.layer != layer || slice.layer < 0) {
      end_layer();
      layer = slice.layer;
      layer_begin = begin;
    }
    layer_end = begin + slice.ns;
    Json arguments = Json::Object();
    if (slice.block >= 0) arguments["block"] = slice.block;
    if (slice.mixer[0] != 0) arguments["mixer"] = slice.mixer;
    if (slice.bytes != 0) arguments["bytes"] = slice.bytes;
    waiting.push_back(Slice(slice.name, "operation", kOperations, begin, slice.ns, std::move(arguments)));
  }
  end_layer();
}

void AddCounters(const Sample& sample, bool tells_pressure, Json* events) {
  Json arena = Json::Object();
  for (size_t i = 0; i < kRegions; ++i) arena[kRegionNames[i]] = sample.touched[i];
  events->Push(Counter("arena in memory (bytes)", sample.ns, std::move(arena)));
  events->Push(Counter("process (bytes)", sample.ns,
                       {{"anonymous", sample.bytes.anonymous}, {"file-backed", sample.bytes.file_backed()}, {"swapped", sample.bytes.swapped}}));
  events->Push(Counter("private dirty (bytes)", sample.ns, Json::Object({{"bytes", sample.bytes.private_dirty}})));
  events->Push(Counter("faults", sample.ns, {{"minor", sample.work.minor_faults}, {"major", sample.work.major_faults}}));
  events->Push(Counter("tokens in the context", sample.ns, Json::Object({{"tokens", sample.tokens}})));
  if (tells_pressure) events->Push(Counter("memory pressure (us)", sample.ns, {{"some", sample.pressure.some_us}, {"full", sample.pressure.full_us}}));
  if (sample.sensors.temperature_c) events->Push(Counter("temperature (C)", sample.ns, Json::Object({{"hottest", *sample.sensors.temperature_c}})));
  if (sample.sensors.thermal_status) events->Push(Counter("thermal status", sample.ns, Json::Object({{"status", *sample.sensors.thermal_status}})));
  if (sample.sensors.frequency_khz) events->Push(Counter("clock (kHz)", sample.ns, Json::Object({{"fastest", *sample.sensors.frequency_khz}})));
}

}  // namespace

Json ProfileTrace(const Model& model, const Recording& recording) {
  const Recorder& recorder = recording.recorder;
  Json events = Json::Array();
  events.Push(Named("process_name", 0, "thimble"));
  events.Push(Named("thread_name", kPasses, "passes"));
  events.Push(Named("thread_name", kOperations, "operations"));
  const auto add_mark = [&](const std::string& name, size_t sample) {
    Json event = Event("i", name, kPasses, recorder.samples()[sample].ns);
    event["s"] = "p";  // drawn through the process
    events.Push(std::move(event));
  };
  for (const Moment& moment : recorder.moments()) {
    if (moment.name[0] != 0) add_mark(moment.name, moment.sample);
  }
  for (const Stage& stage : recorder.stages()) {
    add_mark(stage.total == 0 ? stage.name : Format("%s %llu of %llu", stage.name, static_cast<unsigned long long>(stage.done), static_cast<unsigned long long>(stage.total)), stage.sample);
  }
  for (const StepRecord& step : recorder.steps()) {
    events.Push(Slice(kPhaseNames[static_cast<size_t>(step.phase)], "pass", kPasses, step.start_ns, step.ns,
                      {{"tokens", step.tokens}, {"position", step.position}, {"minor_faults", step.minor_faults}, {"major_faults", step.major_faults},
                       {"cpu_ns", step.cpu_ns}}));
  }
  AddOperations(recording, &events);
  for (const Sample& sample : recorder.samples()) AddCounters(sample, recorder.tells_pressure(), &events);
  return {{"otherData", {{"program", std::string("thimble ") + thimble_version()}, {"model", model.path()}}},
          {"displayTimeUnit", "ms"},
          {"traceEvents", std::move(events)}};
}

}  // namespace thimble::cli
