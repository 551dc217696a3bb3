// A memory plan as people and programs read it.
#include "targets/cli/plan_report.h"

#include <algorithm>
#include <vector>

#include "targets/cli/call.h"
#include "targets/cli/error.h"
#include "targets/cli/output.h"
#include "targets/convert/pack_file.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr int kBarCells = 64;
constexpr const char* kLifetimes[] = {"mapped", "arena", "outside"};

// Whose a line is: the engine's, one of the sessions', or the prefix's.
constexpr int32_t kEngine = -1, kPrefix = -2, kSession = 0;

// Lines of one name, lifetime, kind and owner, in order of first appearance.
struct Group {
  int32_t lifetime;
  bool scratch;
  int32_t owner;
  std::string name;
  uint64_t bytes = 0;
  uint64_t largest = 0;
  uint64_t count = 0;
};

std::vector<Group> GroupLines(const Plan& plan) {
  std::vector<Group> groups;
  for (const thimble_plan_line& line : plan.lines) {
    const int32_t owner = line.session >= 0 ? kSession : line.session;
    auto at = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
      return group.lifetime == line.lifetime && group.scratch == (line.scratch != 0) &&
             group.owner == owner && group.name == line.name;
    });
    if (at == groups.end()) at = groups.insert(at, {line.lifetime, line.scratch != 0, owner, line.name});
    at->bytes += line.bytes;
    at->largest = std::max(at->largest, line.bytes);
    ++at->count;
  }
  return groups;
}

std::string GroupText(const Group& group, uint64_t total) {
  const std::string count = group.count > 1 ? "x " + std::to_string(group.count) : "";
  std::string share;
  if (total != 0 && !group.scratch)
    share = Format("%5.1f%%", 100.0 * static_cast<double>(group.bytes) / static_cast<double>(total));
  std::string text =
      Format("  %-30s %-8s %16s", group.name.c_str(), count.c_str(), Thousands(group.bytes).c_str());
  return share.empty() ? text + "\n" : text + "  " + share + "\n";
}

// Each cell shows what lies in its middle, by the first letter or a digit; scratch, which overlaps, is '.'.
std::string Picture(const Plan& plan, const std::vector<Group>& groups) {
  const uint64_t total = plan.totals.arena_bytes;
  if (total == 0) return {};
  const std::string kMarks = "#=+o*x%@&$abcdefghijklmnpqrstuvwyz";
  std::vector<std::pair<std::string, char>> marks;
  uint64_t persistent = 0;
  for (const Group& group : groups) {
    if (group.lifetime != THIMBLE_ARENA || group.scratch) continue;
    persistent += group.bytes;
    // Parts of less than half a cell would not be seen.
    if (group.bytes * kBarCells * 2 < total || marks.size() == kMarks.size()) continue;
    marks.emplace_back(group.name, kMarks[marks.size()]);
  }
  std::string bar(kBarCells, ' ');
  bool scratch_seen = false;
  for (int cell = 0; cell < kBarCells; ++cell) {
    const uint64_t middle =
        static_cast<uint64_t>((static_cast<double>(cell) + 0.5) / kBarCells * static_cast<double>(total));
    for (const thimble_plan_line& line : plan.lines) {
      if (line.lifetime != THIMBLE_ARENA || middle < line.offset || middle - line.offset >= line.bytes)
        continue;
      if (line.scratch) {
        bar[static_cast<size_t>(cell)] = '.';
        scratch_seen = true;
        continue;
      }
      const auto mark =
          std::find_if(marks.begin(), marks.end(), [&](const auto& m) { return m.first == line.name; });
      bar[static_cast<size_t>(cell)] = mark == marks.end() ? '-' : mark->second;
      break;
    }
  }
  std::string text = "  |" + bar + "|\n   ";
  for (const auto& [name, mark] : marks) {
    text += mark;
    text += " " + name + "  ";
  }
  if (scratch_seen) text += ". scratch  ";
  if (bar.find('-') != std::string::npos) text += "- small parts  ";
  while (text.back() == ' ') text.pop_back();
  return text + "\n";
}

// What the file's packing costs on this machine, and the command that saves it; empty where it costs nothing.
std::string PackingHint(const Model& model, const thimble_plan& totals, const std::string& packings) {
  const bool other = totals.repacked_weight_bytes > 0;
  if (!other && (totals.packed_weight_bytes == 0 || packings != "portable")) return {};
  const std::string state = other ? Format("packed for %s, not for %s", packings.c_str(), totals.kernels) : std::string("not packed");
  return Format("         %s: packed%s at every load, into %s bytes of the arena; this writes a file that needs neither:\n"
                "         thimble pack %s --for %s -o PACKED.thimble\n"
                "         those bytes are then file-backed instead of anonymous; --pack-cache FOLDER does it once, by itself\n",
                state.c_str(), other ? " again" : "", Thousands(totals.packed_weight_bytes).c_str(), model.path().c_str(),
                totals.kernels);
}

// Where the linear layers' weights come from: the file's packing, and what happens to it.
std::string WeightsText(const thimble_plan& totals, const std::string& packings) {
  std::string text = Format("weights  file packing %s; kernels %s: %s bytes used in place", packings.c_str(), totals.kernels, Thousands(totals.in_place_weight_bytes).c_str());
  const uint64_t packed = totals.packed_weight_bytes - totals.repacked_weight_bytes;
  if (packed > 0) text += Format(", %s packed into the arena", Thousands(packed).c_str());
  if (totals.pack_cache_bytes > 0) text += Format(", %s in the file of --pack-cache", Thousands(totals.pack_cache_bytes).c_str());
  if (totals.repacked_weight_bytes > 0)
    text += Format(", %s repacked into the arena", Thousands(totals.repacked_weight_bytes).c_str());
  return text + "\n";
}

uint64_t TotalBytes(const thimble_plan& totals) { return totals.arena_bytes + totals.mapped_bytes + totals.outside_bytes; }

std::string Title(const char* name, uint64_t bytes, const char* what) {
  const std::string human = bytes >= 1024 ? "(" + HumanBytes(bytes) + ")" : "";
  return Format("%-9s%s bytes %s  %s\n", name, Thousands(bytes).c_str(), human.c_str(), what);
}

std::string KindsText(const thimble_plan& totals) {
  std::string text = Format("  %-39s %16s  arena and outside: what Android's limiter and Google Play count\n", "anonymous",
                            Thousands(totals.anonymous_bytes).c_str());
  if (totals.at_tokens < totals.context_tokens) {
    const std::string name = Format("of them touched at %s tokens", Thousands(totals.at_tokens).c_str());
    text += Format("  %-39s %16s  in pages of %s; the rest takes no memory yet\n", name.c_str(), Thousands(totals.touched_anonymous_bytes).c_str(),
                   Thousands(totals.huge_page_bytes != 0 ? totals.huge_page_bytes : totals.page_bytes).c_str());
  }
  if (totals.huge_page_bytes != 0)
    text += Format("  %-39s %16s  asked for: the cache, too, takes so much at a time, and maybe for its first token\n", "huge pages",
                   Thousands(totals.huge_page_bytes).c_str());
  return text + Format("  %-39s %16s  clean pages of the file, which the system drops when it needs them\n", "file-backed",
                       Thousands(totals.file_backed_bytes).c_str());
}

struct LayerTypes {
  uint32_t layer;
  std::string keys, values;
};

std::vector<LayerTypes> TypesOfLayers(const Model& model, const EngineOptions& options) {
  std::vector<LayerTypes> types;
  const auto add = [](void* to, uint32_t layer, thimble_cache_type keys, thimble_cache_type values) {
    static_cast<std::vector<LayerTypes>*>(to)->push_back({layer, CacheTypeName(keys), CacheTypeName(values)});
  };
  Check(Call(thimble_plan_cache, model.handle(), &options, +add, &types), model.path());
  return types;
}

// What a budget has given: layers in a row with the same types together.
std::string LayerTypesText(const Model& model, const EngineOptions& options) {
  const std::vector<LayerTypes> types = TypesOfLayers(model, options);
  std::string text;
  for (size_t i = 0, next; i < types.size(); i = next) {
    for (next = i + 1; next < types.size() && types[next].keys == types[i].keys;) ++next;
    const uint32_t first = types[i].layer, last = types[next - 1].layer;
    const std::string numbers = first == last ? Format("%u", first) : Format("%u-%u", first, last);
    text += (text.empty() ? "" : ", ") + numbers + " " + types[i].keys;
  }
  return "         rows of layers " + text + "\n";
}

}  // namespace

std::string CacheText(const Plan& plan) {
  const thimble_plan& totals = plan.totals;
  if (totals.kv_bytes == 0 || totals.baseline_kv_bytes_per_token == 0)
    return "cache    none: this model keeps nothing\n";
  const std::string sessions = totals.max_sessions > 1 ? Format("%u sessions of ", totals.max_sessions) : "";
  std::string text = Format("cache    %s bytes per token, all layers; %s bytes for %s%s tokens\n",
                            Thousands(totals.kv_bytes_per_token).c_str(), Thousands(totals.kv_bytes).c_str(),
                            sessions.c_str(), Thousands(totals.context_tokens).c_str());
  if (totals.kv_ring_bytes > 0) {
    text += Format("         of them %s in rings that do not grow: windows; each further token takes %s bytes\n",
                   Thousands(totals.kv_ring_bytes).c_str(), Thousands(totals.kv_bytes_per_context_token).c_str());
  }
  if (totals.kv_recent_bytes > 0) {
    text += Format("         of them %s for the newest tokens, which are read in int8\n", Thousands(totals.kv_recent_bytes).c_str());
  }
  text +=
      Format("         %s%% less than separate keys and values for all heads in f16 (%s bytes per token)\n",
             Percent(plan.CutPercent()).c_str(), Thousands(totals.baseline_kv_bytes_per_token).c_str());
  return text;
}

const char* LineKind(const thimble_plan_line& line) { return line.anonymous_bytes != 0 ? "anonymous" : "file-backed"; }

std::string PlanText(const Model& model, const EngineOptions& options, const Plan& plan) {
  const thimble_plan& totals = plan.totals;
  const std::vector<Group> groups = GroupLines(plan);
  const std::string key = CacheTypeName(options.key_cache), value = CacheTypeName(options.value_cache);
  const std::string cache = key == value ? CacheName(options) : key + " keys, " + value + " values";
  std::string text = Format("%s: %s, %u layers, width %u\n", model.path().c_str(), model.info().family,
                            model.info().layers, model.info().width);
  text += Format("context %s tokens, cache %s, %u thread%s, %u tokens per pass, kernels %s\n\n",
                 Thousands(totals.context_tokens).c_str(), cache.c_str(), totals.threads,
                 totals.threads == 1 ? "" : "s", totals.chunk_tokens, totals.kernels);

  const bool sessions_apart = totals.max_sessions > 1;
  const auto lines = [&](int32_t lifetime, bool scratch, uint64_t total) {
    std::string out;
    for (const Group& group : groups) {
      const bool apart = group.owner == kPrefix || (sessions_apart && group.owner == kSession);
      if (group.lifetime == lifetime && group.scratch == scratch && !apart) out += GroupText(group, total);
    }
    return out;
  };
  text += Title("arena", totals.arena_bytes, "anonymous: one block, exact to the byte");
  text += Picture(plan, groups);
  text += lines(THIMBLE_ARENA, false, totals.arena_bytes);
  if (sessions_apart) {
    text += Format("  %u sessions, %s bytes each:\n", totals.max_sessions, Thousands(totals.session_bytes).c_str());
    for (Group group : groups) {
      if (group.owner != kSession) continue;
      // All slots are alike.
      group.bytes /= totals.max_sessions;
      group.count /= totals.max_sessions;
      text += GroupText(group, totals.arena_bytes);
    }
  }
  if (totals.prefix_bytes > 0) {
    text += Format("  prefix of %s tokens, %s bytes once for all sessions:\n", Thousands(totals.prefix_tokens).c_str(),
                   Thousands(totals.prefix_bytes).c_str());
    for (const Group& group : groups) {
      if (group.owner == kPrefix) text += GroupText(group, totals.arena_bytes);
    }
  }
  const std::string scratch = lines(THIMBLE_ARENA, true, 0);
  if (!scratch.empty()) {
    uint64_t persistent = 0;
    for (const Group& group : groups)
      if (group.lifetime == THIMBLE_ARENA && !group.scratch) persistent += group.bytes;
    const uint64_t shared = totals.arena_bytes > persistent ? totals.arena_bytes - persistent : 0;
    text += Format("  scratch, %s bytes, shared in turn by:\n", Thousands(shared).c_str()) + scratch;
  }
  text += "\n" + Title("mapped", totals.mapped_bytes, "file-backed, clean: the model file, read-only, shared between processes");
  text += lines(THIMBLE_MAPPED, false, totals.mapped_bytes);
  text += "\n" + Title("outside", totals.outside_bytes, "anonymous: what cannot lie in the arena");
  text += lines(THIMBLE_OUTSIDE, false, totals.outside_bytes);
  text += "\n" + Title("total", TotalBytes(totals), "arena, mapped and outside");
  text += KindsText(totals);
  std::string packings = PackingsOfFile(model.file());
  if (packings.empty()) packings = totals.file_packing;
  return text + "\n" + WeightsText(totals, packings) + PackingHint(model, totals, packings) + CacheText(plan) +
         (options.kv_budget_bytes != 0 ? LayerTypesText(model, options) : "");
}

Json PlanJson(const Model& model, const EngineOptions& options, const Plan& plan) {
  const thimble_plan& totals = plan.totals;
  Json layers = Json::Array();
  for (const LayerTypes& types : TypesOfLayers(model, options)) {
    layers.Push({{"layer", types.layer}, {"keys", types.keys}, {"values", types.values}});
  }
  Json lines = Json::Array();
  for (const thimble_plan_line& line : plan.lines) {
    lines.Push({{"lifetime", kLifetimes[std::clamp(line.lifetime, 0, 2)]},
                {"name", line.name},
                {"index", line.index},
                {"session", line.session},
                {"offset", line.offset},
                {"bytes", line.bytes},
                {"kind", LineKind(line)},
                {"touched_bytes", line.touched_bytes},
                {"scratch", line.scratch != 0}});
  }
  return {{"model", model.path()},
          {"arena_bytes", totals.arena_bytes},
          {"mapped_bytes", totals.mapped_bytes},
          {"outside_bytes", totals.outside_bytes},
          {"total_bytes", TotalBytes(totals)},
          {"anonymous_bytes", totals.anonymous_bytes},
          {"file_backed_bytes", totals.file_backed_bytes},
          {"pack_cache_bytes", totals.pack_cache_bytes},
          {"at_tokens", totals.at_tokens},
          {"page_bytes", totals.page_bytes},
          {"huge_page_bytes", totals.huge_page_bytes},
          {"touched_anonymous_bytes", totals.touched_anonymous_bytes},
          {"kv_bytes", totals.kv_bytes},
          {"packed_weight_bytes", totals.packed_weight_bytes},
          {"repacked_weight_bytes", totals.repacked_weight_bytes},
          {"in_place_weight_bytes", totals.in_place_weight_bytes},
          {"file_packing", totals.file_packing},
          {"kv_bytes_per_token", totals.kv_bytes_per_token},
          {"kv_ring_bytes", totals.kv_ring_bytes},
          {"kv_recent_bytes", totals.kv_recent_bytes},
          {"kv_bytes_per_context_token", totals.kv_bytes_per_context_token},
          {"baseline_kv_bytes_per_token", totals.baseline_kv_bytes_per_token},
          {"cut_percent", plan.CutPercent()},
          {"context_tokens", totals.context_tokens},
          {"sessions", totals.max_sessions},
          {"session_bytes", totals.session_bytes},
          {"prefix_tokens", totals.prefix_tokens},
          {"prefix_bytes", totals.prefix_bytes},
          {"chunk_tokens", totals.chunk_tokens},
          {"threads", totals.threads},
          {"kernels", totals.kernels},
          {"key_cache", KeyCacheName(options)},
          {"value_cache", ValueCacheName(options)},
          {"cache", CacheName(options)},
          {"layer_cache", std::move(layers)},
          {"lines", std::move(lines)}};
}

}  // namespace thimble::cli
