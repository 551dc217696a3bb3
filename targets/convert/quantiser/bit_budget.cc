#include "targets/convert/quantiser/bit_budget.h"

#include <algorithm>

namespace thimble {

// From the smallest forms up: each step takes the tensor and the larger form of it that save the most loss per byte, among those
// that still fit. With every tensor's forms on their convex hull this is the Lagrangian optimum as long as nothing is passed over.
std::vector<size_t> ChooseForms(const std::vector<std::vector<FormCost>>& forms, uint64_t budget_bytes) {
  std::vector<size_t> chosen(forms.size());
  uint64_t bytes = 0;
  for (size_t t = 0; t < forms.size(); ++t) {
    const auto smaller = [](const FormCost& a, const FormCost& b) { return a.bytes != b.bytes ? a.bytes < b.bytes : a.loss < b.loss; };
    chosen[t] = static_cast<size_t>(std::min_element(forms[t].begin(), forms[t].end(), smaller) - forms[t].begin());
    bytes += forms[t][chosen[t]].bytes;
  }
  for (;;) {
    double best = 0;
    size_t tensor = forms.size(), form = 0;
    for (size_t t = 0; t < forms.size(); ++t) {
      const FormCost& now = forms[t][chosen[t]];
      for (size_t f = 0; f < forms[t].size(); ++f) {
        const FormCost& next = forms[t][f];
        if (!(next.loss < now.loss)) continue;
        // No larger: for nothing.
        const uint64_t more = next.bytes > now.bytes ? next.bytes - now.bytes : 0;
        if (more > 0 && (bytes > budget_bytes || more > budget_bytes - bytes)) continue;
        const double gain = (now.loss - next.loss) / static_cast<double>(std::max<uint64_t>(more, 1));
        if (gain > best) {
          best = gain;
          tensor = t;
          form = f;
        }
      }
    }
    if (tensor == forms.size()) return chosen;
    bytes = bytes - forms[tensor][chosen[tensor]].bytes + forms[tensor][form].bytes;
    chosen[tensor] = form;
  }
}

}  // namespace thimble
