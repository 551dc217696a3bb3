#include "targets/cli/bench/report.h"

#include "targets/json/json.h"

namespace thimble::cli {
namespace {

bool IsDecoding(const BenchTest& test) { return test.n_prompt == 0; }
bool IsPrompt(const BenchTest& test) { return test.n_gen == 0; }

// Null where the machine's limit was not measured, or the test is of another kind.
std::optional<double> BandwidthFraction(const BenchRow& row) {
  if (!IsDecoding(row.result.test) || row.limits.read_gb_per_s <= 0) return std::nullopt;
  return row.result.gb_per_s / row.limits.read_gb_per_s;
}

std::optional<double> PeakFraction(const BenchRow& row) {
  if (!IsPrompt(row.result.test) || row.limits.int8_gop_per_s <= 0) return std::nullopt;
  const double operations = row.work->PromptOperations(row.result.depth, row.result.test.n_prompt) * row.result.sessions;
  return operations / static_cast<double>(row.result.avg_ns) / row.limits.int8_gop_per_s;
}

// The least time that attention could take for a token: multiplying at the machine's int8 peak, or reading the rows at its
// bandwidth, whichever takes longer.
struct AttentionLimit {
  const char* name;
  double ns;
};

std::optional<AttentionLimit> LimitOfAttention(const BenchRow& row) {
  if (row.limits.read_gb_per_s <= 0 || row.limits.int8_gop_per_s <= 0) return std::nullopt;
  const uint64_t tokens = row.result.test.n_prompt + row.result.test.n_gen;
  const double operations = row.work->AttentionOperations(row.result.depth, tokens) / static_cast<double>(tokens);
  const double multiplying = operations / row.limits.int8_gop_per_s;
  const double reading = row.result.kv_bytes_per_token / row.limits.read_gb_per_s;
  return multiplying > reading ? AttentionLimit{"int8", multiplying} : AttentionLimit{"bandwidth", reading};
}

std::optional<double> AttentionFraction(const BenchRow& row) {
  const std::optional<AttentionLimit> limit = LimitOfAttention(row);
  if (!limit || row.result.attention_ns <= 0) return std::nullopt;
  return limit->ns / row.result.attention_ns;
}

bool IsAbove(const std::optional<double>& fraction) { return fraction && *fraction > 1; }

// A part of a limit that is more than all of it says nothing.
std::optional<double> Known(const std::optional<double>& fraction) { return IsAbove(fraction) ? std::nullopt : fraction; }

template <typename Number>
Json Nullable(const std::optional<Number>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string Hex(uint64_t value) { return Format("%016llx", static_cast<unsigned long long>(value)); }

Json RowJson(const BenchRow& row) {
  const BenchResult& r = row.result;
  const thimble_plan& plan = row.plan.totals;
  const std::optional<AttentionLimit> limit = LimitOfAttention(row);
  return {{"build_commit", thimble_version()},
          {"build_number", 0},
          {"cpu_info", CpuName()},
          {"gpu_info", ""},
          {"backends", "CPU"},
          {"model_filename", row.model_path},
          {"model_type", row.work->type},
          {"model_size", row.work->tensor_bytes},
          {"model_n_params", row.work->parameters},
          {"n_batch", plan.chunk_tokens},
          {"n_ubatch", plan.chunk_tokens},
          {"n_threads", plan.threads},
          {"cpu_mask", row.cpu_mask},
          {"cpu_strict", row.cpu_strict},
          {"type_k", KeyCacheName(row.options)},
          {"type_v", ValueCacheName(row.options)},
          {"kernels", plan.kernels},
          {"n_prompt", r.test.n_prompt},
          {"n_gen", r.test.n_gen},
          {"n_depth", r.depth},
          {"n_sessions", r.sessions},
          {"times_one_session", Nullable(r.times_one)},
          {"n_ctx", plan.context_tokens},
          {"test_time", r.test_time},
          {"avg_ns", r.avg_ns},
          {"stddev_ns", r.stddev_ns},
          {"avg_ts", r.avg_ts},
          {"stddev_ts", r.stddev_ts},
          {"samples_ns", r.samples_ns},
          {"samples_ts", r.samples_ts},
          {"gb_per_s", r.gb_per_s},
          {"bandwidth_fraction", Nullable(Known(BandwidthFraction(row)))},
          {"peak_fraction", Nullable(Known(PeakFraction(row)))},
          {"attention_ms", r.attention_ns * 1e-6},
          {"attention_limit", limit ? Json(limit->name) : Json(nullptr)},
          {"attention_fraction", Nullable(Known(AttentionFraction(row)))},
          {"kv_bytes_read_per_token", r.kv_bytes_per_token},
          {"above_limits", IsAboveLimits(row)},
          {"cpu_governor", r.state.governor},
          {"cpu_khz", Nullable(r.state.sensors.frequency_khz)},
          {"cpu_max_khz", Nullable(r.state.most_khz)},
          {"cpu_allowed_khz", Nullable(r.state.allowed_khz)},
          {"temperature_c", Nullable(r.state.sensors.temperature_c)},
          {"throttled_bits", Nullable(r.state.sensors.throttled)},
          {"throttle_count", Nullable(r.state.sensors.throttle_count)},
          {"read_bandwidth_gb_per_s", row.limits.read_gb_per_s},
          {"int8_peak_gop_per_s", row.limits.int8_gop_per_s},
          {"int8_instructions", row.limits.int8_instructions},
          {"arena_bytes", plan.arena_bytes},
          {"arena_resident_bytes", r.arena_resident_bytes},
          {"kv_bytes", plan.kv_bytes},
          {"packed_weight_bytes", plan.packed_weight_bytes},
          {"mapped_bytes", plan.mapped_bytes},
          {"mapped_huge_pages", Nullable(row.huge_pages)},
          {"outside_bytes", plan.outside_bytes},
          {"private_dirty_bytes", r.memory.private_dirty_bytes},
          {"program_private_dirty_bytes", row.before.private_dirty_bytes},
          {"peak_resident_bytes", r.memory.peak_resident_bytes},
          {"load_ms", row.load_ms},
          {"first_token_ms", Nullable(row.first_token_ms)},
          {"allocations_after_load", r.allocations_after_load ? Json(*r.allocations_after_load) : Json(nullptr)},
          {"ids_checksum", Hex(r.ids_checksum)}};
}

std::string CsvValue(const Json& value) {
  if (value.is_null()) return "\"\"";
  std::string text = value.is_text() ? value.as_text() : JsonText(value);
  for (size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 2)) text.insert(at, 1, '"');
  return '"' + text + '"';
}

// One line of names or of values; lists have no place in it.
std::string CsvLine(const Json& row, bool names) {
  std::string line;
  for (const auto& [name, value] : row.members()) {
    if (value.is_array()) continue;
    line += (line.empty() ? "" : ",") + (names ? name : CsvValue(value));
  }
  return line + "\n";
}

std::string TestName(const BenchResult& r) {
  std::string name;
  if (r.test.n_prompt > 0) name += Format("pp%u", r.test.n_prompt);
  if (r.test.n_gen > 0) name += Format("%stg%u", name.empty() ? "" : "+", r.test.n_gen);
  if (r.depth > 0) name += Format(" @ d%u", r.depth);
  return r.sessions > 1 ? name + Format(" x %u", r.sessions) : name;
}

std::string PercentText(const std::optional<double>& fraction) {
  if (IsAbove(fraction)) return "> 100 %";
  return fraction ? Format("%.0f %%", *fraction * 100) : "-";
}

// 80 columns; what is the same for every row stands above them.
constexpr char kNarrowHead[] =
    "| test             |  t | kv      |             t/s |     of limit | arena MiB |\n"
    "| ---------------- | -: | ------- | --------------: | -----------: | --------: |\n";
constexpr char kNarrowSessionsHead[] =
    "| test                |  t | kv      |             t/s |     of limit | x one |\n"
    "| ------------------- | -: | ------- | --------------: | -----------: | ----: |\n";

std::string NarrowLine(const BenchRow& row, bool sessions) {
  const BenchResult& r = row.result;
  const std::optional<double> peak = PeakFraction(row), bandwidth = BandwidthFraction(row);
  const std::string limit = peak ? PercentText(peak) + " int8" : bandwidth ? PercentText(bandwidth) + " bw" : "-";
  const int digits = r.avg_ts < 100 ? 2 : r.avg_ts < 1000 ? 1 : 0;
  const std::string speed = Format("%.*f ± %.*f", digits, r.avg_ts, digits, r.stddev_ts);
  const std::string line = Format("| %-*s | %2u | %-7s | %16s | %12s | ", sessions ? 19 : 16, TestName(r).c_str(),
                                  row.plan.totals.threads, CacheName(row.options).c_str(), speed.c_str(), limit.c_str());
  if (sessions) return line + Format("%5s |\n", r.times_one ? Format("%.2f", *r.times_one).c_str() : "-");
  return line + Format("%9.2f |\n", static_cast<double>(row.plan.totals.arena_bytes) / (1 << 20));
}

std::string NarrowTitle(const BenchRow& row) {
  std::string text = Format("%s: %s, %.2f M weights, kernels %s\n", row.work->type.c_str(), HumanBytes(row.work->tensor_bytes).c_str(),
                            static_cast<double>(row.work->parameters) * 1e-6, row.plan.totals.kernels);
  if (row.first_token_ms) text += Format("first token %.1f ms after the program starts to open the file\n", *row.first_token_ms);
  return text + "\n";
}

constexpr char kWideHead[] =
    "| model                          |       size |     params | kernels    | threads | kv      |            test |"
    "                  t/s | x one |  GB/s |  bw % | int8 % | attn ms | attn % |  1st ms |  arena MiB | private MiB | allocs | ids      |\n"
    "| ------------------------------ | ---------: | ---------: | ---------- | ------: | ------- | --------------: |"
    " -------------------: | ----: | ----: | ----: | -----: | ------: | -----: | ------: | ---------: | ----------: | -----: | -------- |\n";

std::string WideLine(const BenchRow& row) {
  const BenchResult& r = row.result;
  const thimble_plan& plan = row.plan.totals;
  const double mib = 1 << 20;
  const std::string params = Format("%.2f M", static_cast<double>(row.work->parameters) * 1e-6);
  const std::string speed = Format("%.2f ± %.2f", r.avg_ts, r.stddev_ts);
  std::string line = Format("| %-30s | %10s | %10s | %-10s | %7u | %-7s | %15s | ", row.work->type.c_str(),
                            HumanBytes(row.work->tensor_bytes).c_str(), params.c_str(), plan.kernels, plan.threads,
                            CacheName(row.options).c_str(), TestName(r).c_str());
  line += Format("%21s | ", speed.c_str());  // one more: the sign is two bytes
  line += Format("%5s | ", r.times_one ? Format("%.2f", *r.times_one).c_str() : "-");
  line += Format("%5s | %5s | %6s | ", IsDecoding(r.test) ? Format("%.2f", r.gb_per_s).c_str() : "-",
                 PercentText(BandwidthFraction(row)).c_str(), PercentText(PeakFraction(row)).c_str());
  line += Format("%7.3f | %6s | ", r.attention_ns * 1e-6, PercentText(AttentionFraction(row)).c_str());
  line += Format("%7s | %10.2f | %11.2f | ", row.first_token_ms ? Format("%.1f", *row.first_token_ms).c_str() : "-",
                 static_cast<double>(plan.arena_bytes) / mib, static_cast<double>(r.memory.private_dirty_bytes) / mib);
  return line + Format("%6s | %s |\n",
                       r.allocations_after_load ? std::to_string(*r.allocations_after_load).c_str() : "-",
                       Hex(r.ids_checksum).substr(0, 8).c_str());
}

}  // namespace

bool IsAboveLimits(const BenchRow& row) {
  return IsAbove(BandwidthFraction(row)) || IsAbove(PeakFraction(row)) || IsAbove(AttentionFraction(row));
}

void BenchReport::AddToTable(const BenchRow& row) {
  const uint32_t threads = row.plan.totals.threads;
  above_limits_ = above_limits_ || IsAboveLimits(row);
  limits_[threads] = row.limits;
  huge_pages_ = row.huge_pages;
  after_ = row.result.state;
  std::string text;
  if (rows_ == 1 && columns_.wide) text = kWideHead;
  if (rows_ == 1 && !columns_.wide) text = NarrowTitle(row) + (columns_.sessions ? kNarrowSessionsHead : kNarrowHead);
  Print(text + (columns_.wide ? WideLine(row) : NarrowLine(row, columns_.sessions)));
}

void BenchReport::Add(const BenchRow& row) {
  const bool first = rows_++ == 0;
  switch (format_) {
    case BenchFormat::kMarkdown:
      return AddToTable(row);
    case BenchFormat::kJson:
      return Print((first ? "[\n" : ",\n") + JsonText(RowJson(row), 2));
    case BenchFormat::kJsonLines:
      return Print(JsonText(RowJson(row)) + "\n");
    case BenchFormat::kCsv: {
      const Json json = RowJson(row);
      return Print((first ? CsvLine(json, true) : "") + CsvLine(json, false));
    }
  }
}

void BenchReport::Finish() {
  if (format_ == BenchFormat::kJson) Print(rows_ == 0 ? "[]\n" : "\n]\n");
  if (format_ != BenchFormat::kMarkdown) return;
  std::string text = "\n";
  for (const auto& [threads, limits] : limits_) {
    if (limits.read_gb_per_s <= 0 && limits.int8_gop_per_s <= 0) continue;
    text += Format("limits with %u thread%s: bw %.1f GB/s read, int8 %.0f G operations/s (%s)\n", threads, threads == 1 ? "" : "s",
                   limits.read_gb_per_s, limits.int8_gop_per_s, limits.int8_instructions);
  }
  if (huge_pages_) text += Format("the mapped file: %s of it in pages of 2 MiB, the rest in small ones\n", PercentText(huge_pages_).c_str());
  text += MachineStateText(before_, after_);
  if (above_limits_) {
    text += "> 100 %: more than the limit, which was measured twice; what the processor's caches hold\n"
            "is read faster than memory, and other programs may have slowed the measuring\n";
  }
  Print(text + "build: thimble " + thimble_version() + (columns_.wide ? "\n" : "; --wide shows the other columns\n"));
}

}  // namespace thimble::cli
