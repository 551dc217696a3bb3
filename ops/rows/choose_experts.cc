#include "ops/rows/choose_experts.h"

#include "ops/lanes/double_math.h"
#include "ops/rows/softmax.h"

namespace thimble {

void ChooseExperts(const ExpertRule& rule, float* s, uint32_t* chosen, float* weights) {
  const size_t E = rule.experts, K = rule.chosen;
  if (rule.sigmoid) {
    for (size_t e = 0; e < E; ++e) s[e] = static_cast<float>(1.0 / (1.0 + ExpDouble(-static_cast<double>(s[e]))));
  } else {
    Softmax(s, E);
  }
  const auto rank = [&](size_t e) { return rule.selection_bias == nullptr ? s[e] : s[e] + rule.selection_bias[e]; };
  // One after the other into a list that stays sorted from the best: K is small. Not-a-number is never better.
  size_t count = 0;
  for (size_t e = 0; e < E; ++e) {
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
