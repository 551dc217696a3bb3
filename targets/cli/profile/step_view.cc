#include "targets/cli/profile/step_view.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace thimble::cli {
namespace {

// Scratch lines are named "GROUP.buffer"; this is who uses which group. What reads text and packs weights is in no step.
std::vector<std::string> GroupsOf(const thimble_operation& slice) {
  const std::string_view mixer = slice.mixer, name = slice.name;
  if (name == "head") return {"head"};
  if (name == "embed") return {"input"};
  if (name == "norm" || name == "join") return {};
  if (mixer == "feed_forward") return {"ffn"};
  if (mixer == "experts") return {"experts", "ffn"};
  if (mixer == "short_convolution") return {"short_conv"};
  return {std::string(mixer)};
}

struct Use {
  uint64_t begin_ns, end_ns;
  int32_t block;
};

// Of the slices [first, last) of a step that began at start_ns.
std::map<std::string, std::vector<Use>> UsesOf(const thimble_operation* first, const thimble_operation* last, uint64_t start_ns) {
  std::map<std::string, std::vector<Use>> uses;
  for (; first != last; ++first) {
    const uint64_t begin = first->start_ns - start_ns, end = begin + first->ns;
    for (const std::string& group : GroupsOf(*first)) {
      std::vector<Use>& list = uses[group];
      if (!list.empty() && list.back().block == first->block) {
        list.back().end_ns = end;  // from a block's first operation to its last one
      } else {
        list.push_back({begin, end, first->block});
      }
    }
  }
  return uses;
}

}  // namespace

Json StepJson(const Recording& recording) {
  const std::vector<StepRecord>& steps = recording.recorder.steps();
  if (steps.empty() || recording.slices.empty()) return {};
  // The last call may have been two passes.
  const auto last_pass = std::find_if(steps.rbegin(), steps.rend(), [](const StepRecord& step) { return step.passes == 1; });
  if (last_pass == steps.rend()) return {};
  const StepRecord& step = *last_pass;
  const uint64_t start_ns = recording.recorder.start_ns() + step.start_ns, end_ns = start_ns + step.ns;
  const thimble_operation* first = recording.slices.data();
  const thimble_operation* last = first + recording.slices.size();
  if (first->start_ns >= start_ns && last_pass != steps.rend() - 1) return {};  // some of them have been overwritten
  while (first != last && first->start_ns < start_ns) ++first;
  while (last != first && last[-1].start_ns >= end_ns) --last;

  Json starts = Json::Array(), durations = Json::Array(), layers = Json::Array(), mixers = Json::Array(), names = Json::Array(),
       bytes = Json::Array();
  for (const thimble_operation* slice = first; slice != last; ++slice) {
    starts.Push(slice->start_ns - start_ns);
    durations.Push(slice->ns);
    layers.Push(slice->layer);
    mixers.Push(slice->mixer);
    names.Push(slice->name);
    bytes.Push(slice->bytes);
  }
  const auto uses = UsesOf(first, last, start_ns);
  Json scratch = Json::Array();
  for (const MeasuredLine& measured : recording.lines) {
    if (measured.line.scratch == 0) continue;
    const std::string name = measured.line.name;
    const auto at = uses.find(name.substr(0, name.find('.')));
    Json used = Json::Array();
    if (at != uses.end()) {
      for (const Use& use : at->second) used.Push(Json::Array({use.begin_ns, use.end_ns}));
    }
    scratch.Push({{"name", name}, {"offset", measured.line.offset}, {"bytes", measured.line.bytes}, {"used_ns", std::move(used)}});
  }
  return {{"phase", kPhaseNames[static_cast<size_t>(step.phase)]},
          {"tokens", step.tokens},
          {"ns", step.ns},
          {"operations",
           {{"start_ns", std::move(starts)},
            {"ns", std::move(durations)},
            {"layer", std::move(layers)},
            {"mixer", std::move(mixers)},
            {"operation", std::move(names)},
            {"bytes", std::move(bytes)}}},
          {"scratch", std::move(scratch)}};
}

}  // namespace thimble::cli
