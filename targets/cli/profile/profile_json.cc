#include "targets/cli/profile/profile_json.h"

#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>

#include "targets/cli/call.h"
#include "targets/cli/device_classes.h"
#include "targets/cli/error.h"
#include "targets/cli/layout_table.h"
#include "targets/cli/placement.h"
#include "targets/cli/plan_report.h"
#include "targets/cli/profile/step_view.h"

namespace thimble::cli {
namespace {

double PerSecond(uint64_t tokens, uint64_t ns) { return ns == 0 ? 0 : static_cast<double>(tokens) * 1e9 / static_cast<double>(ns); }

Json BytesJson(const ProcessBytes& bytes) {
  return {{"resident_bytes", bytes.resident},
          {"proportional_bytes", bytes.proportional},
          {"private_dirty_bytes", bytes.private_dirty},
          {"anonymous_bytes", bytes.anonymous},
          {"swapped_bytes", bytes.swapped},
          {"file_backed_bytes", bytes.file_backed()}};
}

Json RunJson(const Model& model, const EngineOptions& options, const Recording& recording) {
  uint64_t decoded = 0;
  for (const StepRecord& step : recording.recorder.steps()) decoded += step.phase == Phase::kDecode ? step.tokens : 0;
  return {{"model", model.path()},
          {"name", model.info().name},
          {"family", model.info().family},
          {"layers", model.info().layers},
          {"width", model.info().width},
          {"prompt_tokens", recording.prompt_tokens},
          {"generated_tokens", recording.generated_tokens},
          {"decoded_tokens", decoded},
          {"tokens", recording.tokens},
          {"stop", StopName(recording.stop)},
          {"context_tokens", recording.plan.totals.context_tokens},
          {"threads", recording.plan.totals.threads},
          {"kernels", recording.plan.totals.kernels},
          {"cache", CacheName(options)},
          {"prefill_ns", recording.prefill_ns},
          {"decode_ns", recording.decode_ns},
          {"prefill_tokens_per_second", PerSecond(recording.prompt_tokens, recording.prefill_ns)},
          {"decode_tokens_per_second", PerSecond(decoded, recording.decode_ns)}};
}

Json MachineJson(const Recording& recording) {
  utsname name = {};
  (void)uname(&name);
  thimble_memory memory = Sized<thimble_memory>();
  Check(Call(thimble_get_memory, &memory));
  const auto or_null = [](uint64_t bytes) { return bytes == THIMBLE_NO_LIMIT ? Json() : Json(bytes); };
  return {{"system", std::string(name.sysname) + " " + name.release},
          {"architecture", name.machine},
          {"processors", AllowedCpus()},
          {"page_bytes", recording.plan.totals.page_bytes},
          {"available_bytes", or_null(memory.available_bytes)},
          {"machine_available_bytes", or_null(memory.machine_bytes)},
          {"group_available_bytes", or_null(memory.group_bytes)}};
}

Json LinesJson(const Recording& recording) {
  Json lines = Json::Array();
  for (const MeasuredLine& measured : recording.lines) {
    const thimble_plan_line& line = measured.line;
    lines.Push({{"name", line.name},
                {"region", kRegionNames[static_cast<size_t>(RegionOf(line))]},
                {"index", line.index},
                {"session", line.session},
                {"offset", line.offset},
                {"bytes", line.bytes},
                {"scratch", line.scratch != 0},
                {"planned_touched_bytes", line.touched_bytes},
                {"touched_bytes", measured.pages.touched},
                {"resident_bytes", measured.pages.resident},
                {"dirty_bytes", measured.pages.dirty}});
  }
  return lines;
}

// Regions of the arena; of scratch the bytes that its phases share.
Json RegionsJson(const Recording& recording) {
  Json regions = Json::Array();
  for (size_t i = 0; i < kRegions; ++i) {
    const Region region = static_cast<Region>(i);
    uint64_t bytes = 0, begin = UINT64_MAX, end = 0;
    for (const MeasuredLine& measured : recording.lines) {
      if (RegionOf(measured.line) != region) continue;
      bytes += measured.line.bytes;
      begin = std::min(begin, measured.line.offset);
      end = std::max(end, measured.line.offset + measured.line.bytes);
    }
    if (region == Region::kScratch) bytes = end == 0 ? 0 : end - begin;
    const PageBytesCount pages = recording.recorder.pages().Of(region);
    regions.Push({{"name", kRegionNames[i]},
                  {"bytes", bytes},
                  {"touched_bytes", pages.touched},
                  {"resident_bytes", pages.resident},
                  {"dirty_bytes", pages.dirty}});
  }
  return regions;
}

Json MomentsJson(const Recording& recording) {
  Json moments = Json::Array();
  for (const Moment& moment : recording.recorder.moments()) {
    if (moment.name[0] == 0) continue;
    Json mappings = Json::Array();
    for (size_t i = 0; i < moment.region_count; ++i) {
      const MappedRegion& region = moment.regions[i];
      Json mapping = {{"name", region.name.data()}, {"mappings", region.mappings}, {"size_bytes", region.size}};
      mapping.Update(BytesJson(region.bytes));
      mappings.Push(std::move(mapping));
    }
    const Sample& sample = recording.recorder.samples()[moment.sample];
    moments.Push({{"name", moment.name}, {"ns", sample.ns}, {"sample", moment.sample}, {"mappings", std::move(mappings)}});
  }
  return moments;
}

Json StagesJson(const Recorder& recorder) {
  Json stages = Json::Array();
  for (const Stage& stage : recorder.stages()) {
    Json told = {{"name", stage.name}, {"ns", recorder.samples()[stage.sample].ns}, {"sample", stage.sample}};
    if (stage.total != 0) told.Update({{"done", stage.done}, {"total", stage.total}});
    stages.Push(std::move(told));
  }
  return stages;
}

template <typename Items, typename Get>
Json Column(const Items& items, Get get) {
  Json column = Json::Array();
  for (const auto& item : items) column.Push(get(item));
  return column;
}

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json SamplesJson(const Recorder& recorder) {
  const std::vector<Sample>& samples = recorder.samples();
  Json json = {{"ns", Column(samples, [](const Sample& s) { return s.ns; })},
               {"phase", Column(samples, [](const Sample& s) { return kPhaseNames[static_cast<size_t>(s.phase)]; })},
               {"tokens", Column(samples, [](const Sample& s) { return s.tokens; })}};
  constexpr std::pair<const char*, uint64_t ProcessBytes::*> kBytes[] = {{"resident_bytes", &ProcessBytes::resident},
                                                                         {"proportional_bytes", &ProcessBytes::proportional},
                                                                         {"private_dirty_bytes", &ProcessBytes::private_dirty},
                                                                         {"anonymous_bytes", &ProcessBytes::anonymous},
                                                                         {"swapped_bytes", &ProcessBytes::swapped}};
  for (const auto& [name, bytes] : kBytes) json[name] = Column(samples, [&](const Sample& s) { return s.bytes.*bytes; });
  json["file_backed_bytes"] = Column(samples, [](const Sample& s) { return s.bytes.file_backed(); });
  json["arena_touched_bytes"] = Column(samples, [](const Sample& s) { return s.arena.touched; });
  json["arena_resident_bytes"] = Column(samples, [](const Sample& s) { return s.arena.resident; });
  json["arena_dirty_bytes"] = Column(samples, [](const Sample& s) { return s.arena.dirty; });
  for (size_t i = 0; i < kRegions; ++i) {
    json[std::string(kRegionNames[i]) + "_touched_bytes"] = Column(samples, [&](const Sample& s) { return s.touched[i]; });
  }
  json["minor_faults"] = Column(samples, [](const Sample& s) { return s.work.minor_faults; });
  json["major_faults"] = Column(samples, [](const Sample& s) { return s.work.major_faults; });
  json["cpu_ns"] = Column(samples, [](const Sample& s) { return s.work.cpu_ns; });
  const bool pressure = recorder.tells_pressure();
  json["pressure_some_us"] = Column(samples, [&](const Sample& s) { return pressure ? Json(s.pressure.some_us) : Json(); });
  json["pressure_full_us"] = Column(samples, [&](const Sample& s) { return pressure ? Json(s.pressure.full_us) : Json(); });
  json["temperature_c"] = Column(samples, [](const Sample& s) { return OrNull(s.sensors.temperature_c); });
  json["frequency_khz"] = Column(samples, [](const Sample& s) { return OrNull(s.sensors.frequency_khz); });
  json["throttled"] = Column(samples, [](const Sample& s) { return OrNull(s.sensors.throttled); });
  json["throttle_count"] = Column(samples, [](const Sample& s) { return OrNull(s.sensors.throttle_count); });
  if (recorder.tells_thermal_status()) {
    json["thermal_status"] = Column(samples, [](const Sample& s) {
      return s.sensors.thermal_status ? Json(AndroidThermal::Name(*s.sensors.thermal_status)) : Json();
    });
  }
  return json;
}

Json StepsJson(const std::vector<StepRecord>& steps) {
  return {{"start_ns", Column(steps, [](const StepRecord& s) { return s.start_ns; })},
          {"ns", Column(steps, [](const StepRecord& s) { return s.ns; })},
          {"phase", Column(steps, [](const StepRecord& s) { return kPhaseNames[static_cast<size_t>(s.phase)]; })},
          {"tokens", Column(steps, [](const StepRecord& s) { return s.tokens; })},
          {"passes", Column(steps, [](const StepRecord& s) { return s.passes; })},
          {"position", Column(steps, [](const StepRecord& s) { return s.position; })},
          {"minor_faults", Column(steps, [](const StepRecord& s) { return s.minor_faults; })},
          {"major_faults", Column(steps, [](const StepRecord& s) { return s.major_faults; })},
          {"cpu_ns", Column(steps, [](const StepRecord& s) { return s.cpu_ns; })}};
}

Json OperationsJson(const Recording& recording) {
  Json operations = Json::Array();
  for (const PhaseOperations& phase : recording.operations) {
    for (const thimble_operation& operation : phase.operations) {
      operations.Push({{"phase", kPhaseNames[static_cast<size_t>(phase.phase)]},
                       {"layer", operation.layer},
                       {"block", operation.block},
                       {"mixer", operation.mixer},
                       {"operation", operation.name},
                       {"calls", operation.calls},
                       {"ns", operation.ns},
                       {"bytes", operation.bytes},
                       {"shared_tasks", operation.shared_tasks},
                       {"others_tasks", operation.others_tasks}});
    }
  }
  return operations;
}

// Resident bytes of the mapped model file, as at the end.
uint64_t ModelResidentBytes(const Model& model, const Recording& recording) {
  std::error_code failed;
  const std::string path = std::filesystem::canonical(model.path(), failed).string();
  uint64_t bytes = 0;
  for (const Moment& moment : recording.recorder.moments()) {
    for (size_t i = 0; i < moment.region_count; ++i) {
      const std::string_view name = moment.regions[i].name.data();
      if (!failed && !name.empty() && name[0] != '[' && path.ends_with(name)) bytes = moment.regions[i].bytes.resident;
    }
  }
  return bytes;
}

Json MeasuredJson(const Model& model, const Recording& recording) {
  const std::vector<Sample>& samples = recording.recorder.samples();
  ProcessBytes peak;
  uint64_t file_backed = 0;
  for (const Sample& sample : samples) {
    peak.anonymous = std::max(peak.anonymous, sample.bytes.anonymous + sample.bytes.swapped);
    peak.resident = std::max(peak.resident, sample.bytes.resident);
    file_backed = std::max(file_backed, sample.bytes.file_backed());
  }
  const Sample &first = samples.front(), &last = samples.back();
  return {{"peak_anonymous_bytes", peak.anonymous},
          {"peak_file_backed_bytes", file_backed},
          {"peak_resident_bytes", peak.resident},
          {"program_anonymous_bytes", first.bytes.anonymous},
          {"planned_touched_anonymous_bytes", recording.plan_at_end.totals.touched_anonymous_bytes},
          {"arena_touched_bytes", last.arena.touched},
          {"arena_resident_bytes", last.arena.resident},
          {"arena_dirty_bytes", last.arena.dirty},
          {"model_resident_bytes", ModelResidentBytes(model, recording)},
          {"minor_faults", last.work.minor_faults - first.work.minor_faults},
          {"major_faults", last.work.major_faults - first.work.major_faults},
          {"pages_from", recording.recorder.pages().source()}};
}

Json ProfilerJson(const EngineOptions& options, const Recording& recording) {
  const Recorder& recorder = recording.recorder;
  uint64_t in_arena = 0;
  for (const MeasuredLine& measured : recording.lines) in_arena += RegionOf(measured.line) == Region::kProfiler ? measured.line.bytes : 0;
  const uint64_t ns = recording.prefill_ns + recording.decode_ns;
  return {{"arena_bytes", in_arena},
          {"program_bytes", recorder.own_bytes()},
          {"slices", options.profile_slices},
          {"allocations", recording.allocations ? Json(*recording.allocations) : Json()},
          {"samples", recorder.sampled()},
          {"sampling_ns", recorder.sampling_ns()},
          {"sampling_share", ns == 0 ? 0.0 : static_cast<double>(recorder.sampling_ns()) / static_cast<double>(ns)},
          {"dropped_steps", recorder.dropped_steps()}};
}

// Null for a model without attention, which keeps no rows.
Json LayoutsOrNull(const Model& model, const Plan& plan) {
  try {
    return LayoutsJson(model, plan)["layouts"];
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

Json ProfileJson(const Model& model, const EngineOptions& options, const Recording& recording) {
  return {{"report", kProfileReport},
          {"schema", kProfileSchema},
          {"version", thimble_version()},
          {"run", RunJson(model, options, recording)},
          {"machine", MachineJson(recording)},
          {"measured", MeasuredJson(model, recording)},
          {"profiler", ProfilerJson(options, recording)},
          {"plan", PlanJson(model, options, recording.plan)},
          {"lines", LinesJson(recording)},
          {"regions", RegionsJson(recording)},
          {"stages", StagesJson(recording.recorder)},
          {"moments", MomentsJson(recording)},
          {"samples", SamplesJson(recording.recorder)},
          {"steps", StepsJson(recording.recorder.steps())},
          {"operations", OperationsJson(recording)},
          {"threads", Column(recording.recorder.thread_cpu_ns(), [](uint64_t ns) { return Json::Object({{"cpu_ns", ns}}); })},
          {"step", StepJson(recording)},
          {"layouts", LayoutsOrNull(model, recording.plan)},
          {"devices", DevicesJson(model, options, recording.plan)["devices"]}};
}

void CheckProfileJson(const Json& report, const std::string& path) {
  const Json* kind = report.Find("report");
  const Json* schema = report.Find("schema");
  if (kind == nullptr || !kind->is_text() || kind->as_text() != kProfileReport || schema == nullptr || !schema->is_unsigned())
    throw Error(kInvalidArgument, path + ": is no report of `thimble profile --json`");
  if (schema->as_unsigned() != kProfileSchema)
    throw Error(kInvalidArgument, path + ": is a report of schema " + std::to_string(schema->as_unsigned()) + ", and this program reads " +
                                      std::to_string(kProfileSchema) + "; make it anew with `thimble profile`");
}

}  // namespace thimble::cli
