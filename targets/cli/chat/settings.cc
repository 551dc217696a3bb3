#include "targets/cli/chat/settings.h"

#include <cstdint>
#include <vector>

#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/output.h"
#include "targets/cli/suggest.h"

namespace thimble::cli {
namespace {

const std::vector<std::string> kNames = {"temp", "top-k", "top-p", "min-p", "repeat-penalty", "repeat-last-n", "seed", "n", "reasoning"};

bool OnOff(const std::string& value, const std::string& name) {
  if (value == "on" || value == "show") return true;
  if (value == "off" || value == "hide") return false;
  throw Error(kInvalidArgument, name + ": must be on or off, got " + Quoted(value));
}

}  // namespace

bool ChatSettings::Set(const std::string& assignment) {
  const size_t end = assignment.find_first_of(" \t=");
  const std::string name = assignment.substr(0, end);
  const size_t begin = end == std::string::npos ? std::string::npos : assignment.find_first_not_of(" \t=", end);
  const std::string value = begin == std::string::npos ? std::string() : assignment.substr(begin);
  const auto real = [&](float* target, double least, double most) { *target = static_cast<float>(ParseReal(value, least, most, name)); };
  const auto whole = [&](int32_t* target, int64_t least, int64_t most) { *target = static_cast<int32_t>(ParseInteger(value, least, most, name)); };
  const std::string nearest = Suggest(name, kNames);
  bool known = false;
  for (const std::string& each : kNames) known = known || each == name;
  if (!known) {
    throw Error(kInvalidArgument, "/set: there is no setting " + Quoted(name) + (nearest.empty() ? "" : "; did you mean " + nearest + "?") +
                                      "; /set alone shows them");
  }
  if (value.empty()) throw Error(kInvalidArgument, "/set " + name + ": a value must follow");
  if (name == "n") {
    ends.max_tokens = ParseInteger(value, -1, INT32_MAX, name);
    return false;
  }
  if (name == "reasoning") {
    hide_reasoning = !OnOff(value, name);
    return false;
  }
  if (name == "temp") real(&sampling.temperature, 0, 1000);
  if (name == "top-k") whole(&sampling.top_k, 0, INT32_MAX);
  if (name == "top-p") real(&sampling.top_p, 0, 1);
  if (name == "min-p") real(&sampling.min_p, 0, 1);
  if (name == "repeat-penalty") real(&sampling.repeat_penalty, 0.01, 100);
  if (name == "repeat-last-n") whole(&sampling.repeat_last_n, 0, 1 << 20);
  if (name == "seed") sampling.seed = static_cast<uint64_t>(ParseInteger(value, 0, UINT32_MAX, name));
  return true;
}

std::string ChatSettings::Text() const {
  std::string text;
  text += Format("  %-15s %g\n", "temp", static_cast<double>(sampling.temperature));
  text += Format("  %-15s %d\n", "top-k", sampling.top_k);
  text += Format("  %-15s %g\n", "top-p", static_cast<double>(sampling.top_p));
  text += Format("  %-15s %g\n", "min-p", static_cast<double>(sampling.min_p));
  text += Format("  %-15s %g\n", "repeat-penalty", static_cast<double>(sampling.repeat_penalty));
  text += Format("  %-15s %d\n", "repeat-last-n", sampling.repeat_last_n);
  text += Format("  %-15s %llu\n", "seed", static_cast<unsigned long long>(sampling.seed));
  text += Format("  %-15s %lld%s\n", "n", static_cast<long long>(ends.max_tokens), ends.max_tokens < 0 ? "   (until the answer ends)" : "");
  text += Format("  %-15s %s\n", "reasoning", hide_reasoning ? "off" : "on");
  return text;
}

}  // namespace thimble::cli
