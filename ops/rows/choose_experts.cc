#include "ops/rows/choose_experts.h"

#include "ops/lanes/double_math.h"
#include "ops/rows/softmax.h"

namespace thimble {
namespace {

// Which groups experts may be chosen from.
template <typename Rank>
void OpenGroups(const ExpertRule& rule, const Rank& rank, bool* open) {
  open[0] = true;
  if (rule.groups == 0) return;
  const size_t G = rule.groups, in_group = rule.experts / G;
  float best[kMaxExpertGroups];
  for (size_t g = 0; g < G; ++g) {
    float first = rank(g * in_group), second = rank(g * in_group + 1);
    if (second > first) first = rank(g * in_group + 1), second = rank(g * in_group);
    for (size_t e = g * in_group + 2; e < (g + 1) * in_group; ++e) {
      const float r = rank(e);
      if (r > first) {
        second = first;
        first = r;
      } else if (r > second) {
        second = r;
      }
    }
    best[g] = first + second;
    open[g] = false;
  }
  for (uint32_t n = 0; n < rule.chosen_groups; ++n) {
    size_t next = G;
    for (size_t g = 0; g < G; ++g) {
      if (!open[g] && (next == G || best[g] > best[next])) next = g;
    }
    open[next] = true;
  }
}

}  // namespace

void ChooseExperts(const ExpertRule& rule, float* s, uint32_t* chosen, float* weights) {
  const size_t E = rule.experts, K = rule.chosen;
  if (rule.sigmoid) {
    for (size_t e = 0; e < E; ++e) s[e] = static_cast<float>(1.0 / (1.0 + ExpDouble(-static_cast<double>(s[e]))));
  } else {
    Softmax(s, E);
  }
  const auto rank = [&](size_t e) { return rule.selection_bias == nullptr ? s[e] : s[e] + rule.selection_bias[e]; };
  bool open[kMaxExpertGroups];
  OpenGroups(rule, rank, open);
  const size_t in_group = rule.groups == 0 ? E : E / rule.groups;
  // One after the other into a list that stays sorted from the best: K is small. Not-a-number is never better.
  size_t count = 0;
  for (size_t e = 0; e < E; ++e) {
    if (!open[e / in_group]) continue;
    size_t place = count;
    while (place > 0 && rank(e) > rank(chosen[place - 1])) --place;
    if (place == K) continue;
    count = count < K ? count + 1 : K;
    for (size_t i = count - 1; i > place; --i) chosen[i] = chosen[i - 1];
    chosen[place] = static_cast<uint32_t>(e);
  }
  // Rising: the order in which the experts' rows are added up.
  for (size_t i = 1; i < K; ++i) {
    const uint32_t e = chosen[i];
    size_t place = i;
    for (; place > 0 && chosen[place - 1] > e; --place) chosen[place] = chosen[place - 1];
    chosen[place] = e;
  }
  double sum = 0;
  for (size_t i = 0; i < K; ++i) sum += static_cast<double>(s[chosen[i]]);
  const double factor = static_cast<double>(rule.scale) / (rule.normalise ? sum + static_cast<double>(rule.normalise_eps) : 1.0);
  for (size_t i = 0; i < K; ++i) weights[i] = static_cast<float>(static_cast<double>(s[chosen[i]]) * factor);
}

}  // namespace thimble
