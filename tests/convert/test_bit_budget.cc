// Choosing forms under a budget: it is kept, nothing smaller would do as well, and small cases are compared with every choice.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <random>

#include "targets/convert/quantiser/bit_budget.h"

using namespace thimble;

namespace {

using Forms = std::vector<std::vector<FormCost>>;

FormCost Sum(const Forms& forms, const std::vector<size_t>& chosen) {
  FormCost sum;
  for (size_t t = 0; t < forms.size(); ++t) {
    sum.bytes += forms[t][chosen[t]].bytes;
    sum.loss += forms[t][chosen[t]].loss;
  }
  return sum;
}

// Forms as there are: each bit quarters the loss, tensors differ in size and in what they matter.
Forms Tensors(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  Forms forms(n);
  for (auto& tensor : forms) {
    const uint64_t weights = 64 * (1 + random() % 20);
    const double matters = static_cast<double>(1 + random() % 1000);
    for (const uint32_t bits : {3u, 4u, 5u, 6u, 8u})
      tensor.push_back({weights * bits / 8, matters * static_cast<double>(weights) / static_cast<double>(1u << (2 * bits))});
  }
  return forms;
}

}  // namespace

TEST_CASE("the budget is kept, and more of it never loses more") {
  const Forms forms = Tensors(100, 1);
  const uint64_t least = Sum(forms, ChooseForms(forms, 0)).bytes;
  double before = INFINITY;
  for (uint64_t budget = least; budget < 3 * least; budget += least / 50) {
    const FormCost sum = Sum(forms, ChooseForms(forms, budget));
    CHECK(sum.bytes <= budget);
    CHECK(sum.loss <= before * (1 + 1e-12));
    before = sum.loss;
  }
  for (const size_t form : ChooseForms(forms, UINT64_MAX)) CHECK(form == 4);
}

TEST_CASE("nothing fits: the smallest forms") {
  const Forms forms = Tensors(5, 2);
  for (const size_t form : ChooseForms(forms, 1)) CHECK(form == 0);
}

TEST_CASE("five tensors: within an eighth of the best of all choices") {
  for (uint32_t seed = 3; seed < 23; ++seed) {
    const Forms forms = Tensors(5, seed);
    const uint64_t least = Sum(forms, ChooseForms(forms, 0)).bytes, budget = least + least / 2;
    double best = INFINITY;
    for (size_t code = 0; code < 3125; ++code) {
      std::vector<size_t> chosen;
      for (size_t rest = code, t = 0; t < 5; ++t, rest /= 5) chosen.push_back(rest % 5);
      const FormCost sum = Sum(forms, chosen);
      if (sum.bytes <= budget) best = std::min(best, sum.loss);
    }
    const FormCost found = Sum(forms, ChooseForms(forms, budget));
    INFO("seed " << seed << ": " << found.loss / best);
    CHECK(found.loss <= 1.125 * best);
  }
}

TEST_CASE("a form that is worse and larger than another is never chosen") {
  const Forms forms = {{{100, 5}, {200, 6}, {90, 7}, {150, 5}}, {{100, 1}, {100, 0.5}}};
  CHECK(ChooseForms(forms, 1000) == std::vector<size_t>{0, 1});
  CHECK(ChooseForms(forms, 190) == std::vector<size_t>{2, 1});
}
