// `thimble profile`: its report against the plan, its trace against the format, its page, its comparisons, its refusals.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "tests/cli/process.h"
#include "tests/support/json_testing.h"

namespace thimble::test {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

Words Profile(const Words& more) {
  Words words = {"profile", ShippedModel(), "-p", "Once upon a time", "-n", "12", "--temp", "0", "--ignore-eos", "-c", "256", "-t", "1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Json Said(const Words& words) {
  const Finished finished = RunThimble(words);
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  return ParseJson(finished.out);
}

uint64_t Number(const Json& json, std::string_view key) { return json[key].as_unsigned(); }

uint64_t SumOf(const Json& items, std::string_view key) {
  uint64_t sum = 0;
  for (const Json& item : items.items()) sum += Number(item, key);
  return sum;
}

TEST_CASE("profile: what is reported is what was planned, and no more was touched") {
  const Json report = Said(Profile({"--kv", "q8", "--every", "0", "--json", "-"}));
  const Json plan = Said({"plan", ShippedModel(), "-c", "256", "--kv", "q8", "-t", "1", "--json"});
  // Line by line the plan of `thimble plan`, but for the profiler's own.
  const auto planned = plan["lines"].items();
  size_t next = 0;
  uint64_t own = 0, covered = 0, scratch_end = 0, scratch_begin = UINT64_MAX;
  while (next < planned.size() && planned[next]["lifetime"] != "arena") ++next;
  for (const Json& line : report["lines"].items()) {
    INFO(JsonText(line));
    const uint64_t bytes = Number(line, "bytes"), touched = Number(line, "touched_bytes");
    CHECK(touched <= bytes);
    CHECK(Number(line, "resident_bytes") <= touched);
    CHECK(Number(line, "dirty_bytes") <= touched);
    if (line["scratch"] == true) {
      scratch_begin = std::min(scratch_begin, Number(line, "offset"));
      scratch_end = std::max(scratch_end, Number(line, "offset") + bytes);
    } else {
      covered += bytes;
    }
    if (line["name"].as_text().starts_with("profile.")) {
      own += bytes;
      CHECK(line["region"] == "profiler");
      continue;
    }
    REQUIRE(next < planned.size());
    CHECK(line["name"] == planned[next]["name"]);
    CHECK(line["bytes"] == planned[next]["bytes"]);
    CHECK(line["index"] == planned[next]["index"]);
    ++next;
  }
  CHECK(covered + scratch_end - scratch_begin == Number(report["plan"], "arena_bytes"));
  CHECK(Number(report["plan"], "arena_bytes") == Number(plan, "arena_bytes") + own);
  CHECK(Number(report["profiler"], "arena_bytes") == own);
  CHECK(SumOf(report["regions"], "bytes") == Number(report["plan"], "arena_bytes"));
  const uint64_t touched = SumOf(report["regions"], "touched_bytes");
  CHECK(touched == Number(report["measured"], "arena_touched_bytes"));
  CHECK(touched <= Number(report["plan"], "arena_bytes"));
  if (Emulated()) return;
  CHECK(touched > Number(report["plan"], "packed_weight_bytes"));
  // What a plan says of so many tokens, within a page for each region.
  const uint64_t expected = Number(report["measured"], "planned_touched_anonymous_bytes") - Number(report["plan"], "outside_bytes");
  CHECK(touched <= expected + 6 * 4096);
  CHECK(Number(report["measured"], "peak_anonymous_bytes") >= touched);
}

TEST_CASE("profile: passes, operations and samples add up") {
  const Json report = Said(Profile({"--every", "0", "-b", "3", "--json", "-"}));
  const Json &run = report["run"], &steps = report["steps"], &samples = report["samples"];
  CHECK(run["generated_tokens"] == 12);
  CHECK(run["stop"] == "limit");
  std::map<std::string, uint64_t> tokens, ns, passes, calls, told;
  for (size_t i = 0; i < steps["ns"].size(); ++i) {
    const std::string& phase = steps["phase"][i].as_text();
    CHECK(steps["position"][i] == tokens["prefill"] + tokens["decode"]);
    tokens[phase] += steps["tokens"][i].as_unsigned();
    ns[phase] += steps["ns"][i].as_unsigned();
    passes[phase] += steps["passes"][i].as_unsigned();
    ++calls[phase];
  }
  CHECK(run["prompt_tokens"] == tokens["prefill"]);
  CHECK(run["decoded_tokens"] == tokens["decode"]);
  CHECK(run["tokens"] == tokens["prefill"] + tokens["decode"]);
  CHECK(passes["prefill"] == (tokens["prefill"] + 2) / 3);
  CHECK(run["prefill_ns"] == ns["prefill"]);
  CHECK(run["decode_ns"] == ns["decode"]);
  std::set<std::string> names;
  for (const Json& operation : report["operations"].items()) {
    const std::string &phase = operation["phase"].as_text(), &name = operation["operation"].as_text();
    names.insert(name);
    if (name == "sample") continue;
    told[phase] += Number(operation, "ns");
    CHECK(Number(operation, "calls") == passes[phase]);
  }
  CHECK(told["prefill"] <= ns["prefill"]);
  CHECK(told["decode"] <= ns["decode"]);
  CHECK(names == std::set<std::string>{"embed", "norm", "projections", "attention", "activation", "output", "join", "head", "sample"});

  const Json& allocations = report["profiler"]["allocations"];
  if (!allocations.is_null()) CHECK(allocations == 0);  // of the whole program

  // A sample after every pass, the four moments, and what loading went through.
  const size_t count = samples["ns"].size();
  CHECK(count == calls["prefill"] + calls["decode"] + 4 + report["stages"].size());
  for (const auto& [key, column] : samples.members()) {
    INFO(key);
    CHECK(column.size() == count);
  }
  for (size_t i = 1; i < count; ++i) {
    CHECK(samples["ns"][i].as_unsigned() >= samples["ns"][i - 1].as_unsigned());
    CHECK(samples["tokens"][i].as_unsigned() >= samples["tokens"][i - 1].as_unsigned());
    CHECK(samples["minor_faults"][i].as_unsigned() >= samples["minor_faults"][i - 1].as_unsigned());
  }
  REQUIRE(report["moments"].size() == 4);
  const char* kNames[] = {"start", "loaded", "prefilled", "end"};
  for (size_t i = 0; i < 4; ++i) {
    const Json& moment = report["moments"][i];
    CHECK(moment["name"] == kNames[i]);
    CHECK(samples["ns"][Number(moment, "sample")] == moment["ns"]);
  }
  // The last pass, and its scratch.
  const Json& step = report["step"];
  CHECK(step["phase"] == "decode");
  CHECK(step["tokens"] == 1);
  bool attention = false;
  for (const Json& line : step["scratch"].items()) {
    uint64_t end = 0;
    for (const Json& use : line["used_ns"].items()) {
      CHECK(use[0].as_unsigned() >= end);
      end = use[1].as_unsigned();
      CHECK(use[0].as_unsigned() <= end);
    }
    CHECK(end <= Number(step, "ns"));
    if (line["name"] == "attention.q") attention = line["used_ns"].size() == Number(run, "layers");
  }
  CHECK(attention);
}

TEST_CASE("profile: loading is told stage by stage, and memory grows with it") {
  const Json report = Said(Profile({"--json", "-"}));
  const Json &stages = report["stages"], &samples = report["samples"];
  const uint64_t layers = Number(report["run"], "layers"), packed = Number(report["plan"], "packed_weight_bytes");
  // A block of attention and one behind it in each layer, and the head.
  REQUIRE(stages.size() == 2 + 2 * layers + 1);
  CHECK(stages[0]["name"] == "mapped");
  CHECK(stages[1]["name"] == "arena");
  std::vector<uint64_t> arena, weights;
  for (size_t i = 0; i < stages.size(); ++i) {
    const size_t sample = static_cast<size_t>(Number(stages[i], "sample"));
    CHECK(samples["ns"][sample] == stages[i]["ns"]);
    CHECK(samples["phase"][sample] == "load");
    arena.push_back(samples["arena_touched_bytes"][sample].as_unsigned());
    weights.push_back(samples["weights_touched_bytes"][sample].as_unsigned());
    if (i < 2) continue;
    CHECK(stages[i]["name"] == (packed == 0 ? "in place" : "packed"));
    CHECK(Number(stages[i], "done") == i - 1);
    CHECK(Number(stages[i], "total") == stages.size() - 2);
  }
  const size_t loaded = static_cast<size_t>(Number(report["moments"][1], "sample"));
  CHECK(loaded == Number(stages[stages.size() - 1], "sample") + 1);
  if (Emulated()) return;
  CHECK(arena[0] == 0);
  CHECK(arena[1] > 0);
  for (size_t i = 2; i < stages.size(); ++i) CHECK(weights[i] >= weights[i - 1] + (packed != 0 ? 4096 : 0));
  CHECK(weights.back() >= packed);
  CHECK(weights[1] < packed / 8 + 4096);
}

TEST_CASE("profile: Android's thermal status, where its library is, and no such field elsewhere") {
  CHECK(Said(Profile({"--json", "-"}))["samples"].Find("thermal_status") == nullptr);
  if (Emulated()) return;
  setenv("LD_LIBRARY_PATH", THIMBLE_THERMAL_STAND_IN, 1);
  setenv("THERMAL_STAND_IN", "3", 1);
  const std::string path = TemporaryFolder() + "/hot.trace.json";
  const Json report = Said(Profile({"--json", "-", "--trace", path}));
  unsetenv("THERMAL_STAND_IN");
  unsetenv("LD_LIBRARY_PATH");
  const Json& status = report["samples"]["thermal_status"];
  CHECK(status.size() == report["samples"]["ns"].size());
  for (const Json& said : status.items()) CHECK(said == "severe");
  CHECK(ReadFile(path).find("\"thermal status\"") != std::string::npos);
}

// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU: the trace-event format.
TEST_CASE("profile: the trace is in the trace-event format") {
  const std::string folder = TemporaryFolder(), path = folder + "/run.trace.json";
  const Json report = Said(Profile({"--trace", path, "--json", "-"}));
  const Json trace = ParseJson(ReadFile(path));
  REQUIRE(trace["traceEvents"].is_array());
  CHECK(trace["displayTimeUnit"] == "ms");
  struct Slice {
    double begin, end;
    std::string name;
  };
  std::map<uint64_t, std::vector<Slice>> tracks;
  std::map<std::string, double> counters, count;
  for (const Json& event : trace["traceEvents"].items()) {
    INFO(JsonText(event));
    const std::string& kind = event["ph"].as_text();
    CHECK(event["name"].is_text());
    CHECK(event["pid"].is_unsigned());
    CHECK(event["tid"].is_unsigned());
    REQUIRE(event["ts"].is_number());
    const double time = event["ts"].as_double();
    CHECK(time >= 0);
    ++count[kind];
    if (kind == "X") {
      REQUIRE(event["dur"].is_number());
      CHECK(event["dur"].as_double() >= 0);
      CHECK(event["cat"].is_text());
      CHECK(event["args"].is_object());
      tracks[Number(event, "tid")].push_back({time, time + event["dur"].as_double(), event["name"].as_text()});
    } else if (kind == "C") {
      CHECK(event["args"].size() > 0);
      for (const auto& [name, value] : event["args"].members()) CHECK((value.is_number() && std::isfinite(value.as_double())));
      double& before = counters[event["name"].as_text()];
      CHECK(time >= before);
      before = time;
    } else if (kind == "i") {
      CHECK(event["s"] == "p");
    } else {
      CHECK(kind == "M");
      CHECK(event["args"]["name"].is_text());
    }
  }
  // Within a track slices follow each other or lie inside of one another.
  constexpr double kRounding = 0.0011;
  for (const auto& [track, slices] : tracks) {
    std::vector<Slice> open;
    for (const Slice& slice : slices) {
      INFO(track << " " << slice.name << " " << slice.begin);
      while (!open.empty() && open.back().end <= slice.begin + kRounding) open.pop_back();
      if (!open.empty()) CHECK(slice.end <= open.back().end + kRounding);
      open.push_back(slice);
    }
  }
  REQUIRE(tracks.size() == 2);
  CHECK(tracks[1].size() == report["steps"]["ns"].size());
  CHECK(count["i"] == static_cast<double>(4 + report["stages"].size()));
  CHECK(count["M"] == 3);
  CHECK(counters.contains("arena in memory (bytes)"));
  uint64_t operations = 0;
  for (const Json& operation : report["operations"].items()) operations += operation["operation"] == "sample" ? 0 : Number(operation, "calls");
  size_t slices = 0;
  for (const Slice& slice : tracks[2]) slices += !slice.name.starts_with("layer ");
  CHECK(slices == operations);
}

TEST_CASE("profile: the page holds its report and asks nobody for anything") {
  if (Emulated()) SKIP("text alone");
  const std::string folder = TemporaryFolder(), model = folder + "/<!--<script>.thimble", page_path = folder + "/page.html", json_path = folder + "/page.json";
  fs::copy_file(ShippedModel(), model);
  const Finished finished = RunThimble({"profile", model, "-p", "A", "-n", "3", "-t", "1", "--html", page_path, "--json", json_path});
  INFO(finished.err);
  REQUIRE(finished.exit_code == 0);
  const std::string page = ReadFile(page_path);
  const std::string begin = "<script type=\"application/json\" id=\"report\">", end = "</script>";
  const size_t from = page.find(begin) + begin.size(), to = page.find(end, from);
  REQUIRE(to != std::string::npos);
  CHECK(page.find("<!--") == std::string::npos);
  CHECK(ParseJson(page.substr(from, to - from)) == ParseJson(ReadFile(json_path)));
  CHECK(page.find("default-src 'none'") != std::string::npos);
  CHECK(page.find("prefers-color-scheme: dark") != std::string::npos);
  CHECK(page.find("width=device-width") != std::string::npos);
  std::string rest = page;
  const std::string space = "http://www.w3.org/2000/svg";
  for (size_t at = rest.find(space); at != std::string::npos; at = rest.find(space)) rest.erase(at, space.size());
  for (const char* outside : {"http:", "https:", "src=\"", "@import", "url("}) CHECK(rest.find(outside) == std::string::npos);
}

TEST_CASE("profile: a summary for people") {
  const Finished finished = RunThimble(Profile({}));
  INFO(finished.out);
  REQUIRE(finished.exit_code == 0);
  for (const char* text : {"arena ", "  weights ", "model file", "prefill ", "decode ", "attention: ", "everything else", "[#", "profiler "})
    CHECK(finished.out.find(text) != std::string::npos);
}

TEST_CASE("profile: two reports compared") {
  const std::string folder = TemporaryFolder(), wide = folder + "/f16.json", narrow = folder + "/q8.json";
  REQUIRE(RunThimble(Profile({"--json", wide})).exit_code == 0);
  REQUIRE(RunThimble(Profile({"--kv", "q8", "--json", narrow})).exit_code == 0);
  const Json diff = Said({"profile", "--diff", wide, narrow, "--json", "-"});
  const Json before = ParseJson(ReadFile(wide)), after = ParseJson(ReadFile(narrow));
  REQUIRE(diff["lines"].size() >= 1);
  bool cache = false;
  for (const Json& line : diff["lines"].items()) {
    if (line["name"] != "kv_cache") continue;
    cache = line["before"].as_double() == static_cast<double>(Number(before["plan"], "kv_bytes")) &&
            line["after"].as_double() == static_cast<double>(Number(after["plan"], "kv_bytes")) && line["change"].as_double() < -0.3;
  }
  CHECK(cache);
  CHECK(diff["figures"][0]["before"] == before["plan"]["arena_bytes"]);
  CHECK(diff["figures"][0]["after"] == after["plan"]["arena_bytes"]);
  CHECK(diff["operations"].size() > 5);
  const Finished text = RunThimble({"profile", "--diff", wide, narrow});
  INFO(text.out);
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("kv_cache") != std::string::npos);
  const Json same = Said({"profile", "--diff", wide, wide, "--json", "-"});
  CHECK(same["lines"].size() == 0);
  CHECK(same["operations"].size() == 0);
  for (const Json& figure : same["figures"].items()) CHECK(figure["before"] == figure["after"]);
}

void Refused(const Words& words, int exit_code, const std::string& text) {
  const Finished finished = RunThimble(words);
  INFO(finished.err);
  CHECK(finished.exit_code == exit_code);
  CHECK(finished.err.find(text) != std::string::npos);
  CHECK(finished.out.empty());
}

TEST_CASE("profile: what is refused, and why") {
  const std::string folder = TemporaryFolder(), letter = WriteFile(folder + "/letter.html", "dear reader");
  Refused({"profile"}, 2, "MODEL is missing");
  Refused(Profile({"--html", letter}), 2, "is not a page of `thimble profile`; --force replaces it");
  CHECK(ReadFile(letter) == "dear reader");
  Refused(Profile({"--json", folder + "/nowhere/report.json"}), 6, "cannot be written");
  Refused(Profile({"--trace", folder}), 6, "cannot be written");
  if (Emulated()) return;
  Refused(Profile({"--every", "x"}), 2, "--every");
  Refused(Profile({"--slices", "-1"}), 2, "--slices");
  Refused(Profile({"-f", letter}), 2, "-p, -f, --ids");
  Refused({"profile", folder + "/none.thimble", "-p", "a"}, 6, "none.thimble");
  Refused(Profile({"--json", folder + "/a.json", "--html", folder + "/a.json"}), 2, "two outputs");
  Refused({"profile", ShippedModel(), "-c", "8", "-p", "Once upon a time there was a little girl who had a dog"}, 7, "the context only 8");
  Refused({"profile", "--diff", letter}, 2, "--diff");
  Refused({"profile", ShippedModel(), "--diff", letter, letter}, 2, "runs nothing");
  Refused({"profile", "--diff", letter, letter}, 2, "byte 0");
  const std::string report = folder + "/report.json";
  REQUIRE(RunThimble(Profile({"--json", report})).exit_code == 0);
  const std::string whole = ReadFile(report), cut = WriteFile(folder + "/cut.json", whole.substr(0, 1000));
  Refused({"profile", "--diff", report, cut}, 2, "cut.json: ");
  Refused({"profile", "--diff", report, cut}, 2, "byte 1000");
  Refused({"profile", "--diff", report, WriteFile(folder + "/other.json", "{\"report\": \"thimble memory\"}")}, 2, "other.json: is no report of `thimble profile --json`");
  std::string later = whole;
  later.replace(later.find("\"schema\": 1"), 11, "\"schema\": 9");
  Refused({"profile", "--diff", WriteFile(folder + "/later.json", later), report}, 2, "schema 9");
  std::string less = whole;
  less.replace(less.find("\"steps\""), 7, "\"stops\"");
  Refused({"profile", "--diff", WriteFile(folder + "/less.json", less), report}, 2, "is not as `thimble profile --json` writes it");
  // A report of its own kind is replaced, whole.
  REQUIRE(RunThimble(Profile({"--json", report})).exit_code == 0);
  CHECK(ParseJson(ReadFile(report))["report"] == "thimble profile");
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++files;
  CHECK(files == 6);  // no temporary is left behind
}

}  // namespace
}  // namespace thimble::test
