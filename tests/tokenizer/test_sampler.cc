// Sampling: filters against a straightforward reference, statistics, determinism, the checks at the door.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <new>
#include <set>

#include "runtime/core/poison.h"
#include "runtime/sampler.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using thimble::testing::Scaled;

namespace {

// A sampler with its own exactly measured block.
class OwnedSampler {
 public:
  OwnedSampler(uint32_t vocabulary, const SamplerOptions& options) {
    Arena measuring = Arena::Measuring();
    Sampler::Carve(measuring, vocabulary, options);
    measuring.Finish();
    size_ = measuring.Bytes();
    memory_ = static_cast<char*>(::operator new(size_, std::align_val_t(kArenaAlignment)));
    Arena carving = Arena::Carving(memory_, size_);
    sampler_ = Sampler::Carve(carving, vocabulary, options);
    carving.Finish();
    REQUIRE(carving.status().ok());
    REQUIRE(carving.Bytes() == size_);
  }
  ~OwnedSampler() {
    UnpoisonMemory(memory_, size_);
    ::operator delete(memory_, std::align_val_t(kArenaAlignment));
  }
  OwnedSampler(const OwnedSampler&) = delete;
  Sampler* operator->() { return &sampler_; }
  size_t bytes() const { return size_; }
  int32_t Take(const std::vector<float>& logits) {
    const Result<int32_t> id = sampler_.Sample(logits.data());
    REQUIRE(id.ok());
    return id.value();
  }

 private:
  size_t size_ = 0;
  char* memory_ = nullptr;
  Sampler sampler_;
};

// The probability of every id after all filters, the obvious way.
std::map<int32_t, double> Reference(const std::vector<float>& logits, const std::vector<int32_t>& recent,
                                    const SamplerOptions& options) {
  struct Item {
    double logit;
    int32_t id;
  };
  std::vector<Item> items;
  for (size_t id = 0; id < logits.size(); ++id) items.push_back({logits[id], static_cast<int32_t>(id)});
  const size_t window = std::min<size_t>(recent.size(), options.repeat_last_n);
  std::vector<bool> penalized(logits.size());
  for (size_t i = recent.size() - window; i < recent.size(); ++i)
    penalized[static_cast<size_t>(recent[i])] = true;
  for (Item& item : items) {
    if (!penalized[static_cast<size_t>(item.id)]) continue;
    const float logit = static_cast<float>(item.logit);
    item.logit = logit > 0 ? logit / options.repeat_penalty : logit * options.repeat_penalty;
  }
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });
  if (options.top_k > 0) items.resize(std::min<size_t>(options.top_k, items.size()));
  const auto probabilities = [&](double temperature) {
    std::vector<double> p;
    double sum = 0;
    for (const Item& item : items) {
      p.push_back(std::exp((item.logit - items[0].logit) / temperature));
      sum += p.back();
    }
    for (double& value : p) value /= sum;
    return p;
  };
  if (options.top_p < 1) {
    const std::vector<double> p = probabilities(1);
    double sum = 0;
    size_t kept = 0;
    while (kept < items.size() && (kept == 0 || sum < options.top_p)) sum += p[kept++];
    items.resize(kept);
  }
  const double best = items[0].logit;
  std::erase_if(items, [&](const Item& item) { return std::exp(item.logit - best) < options.min_p; });
  const std::vector<double> p = probabilities(options.temperature);
  std::map<int32_t, double> result;
  for (size_t i = 0; i < items.size(); ++i) result[items[i].id] = p[i];
  return result;
}

std::vector<float> RandomLogits(Pcg32* random, size_t count) {
  std::vector<float> logits(count);
  for (float& logit : logits) logit = static_cast<float>(random->NextDouble() * 12 - 6);
  return logits;
}

}  // namespace

TEST_CASE("PCG32 gives the numbers of its reference") {
  Pcg32 random(42, 54);
  for (const uint32_t expected :
       {0xa15c02b7u, 0x7b47f409u, 0xba1d3330u, 0x83d2f293u, 0xbfa4784bu, 0xcbed606eu}) {
    CHECK(random.Next() == expected);
  }
  for (int i = 0; i < 1000; ++i) {
    const double value = random.NextDouble();
    CHECK((value >= 0 && value < 1));
  }
}

TEST_CASE("Sampling draws what the filters leave, as often as they say") {
  Pcg32 random(12);
  const std::vector<SamplerOptions> cases = {
      {},
      {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0},
      {.temperature = 1, .top_k = 5, .top_p = 1, .min_p = 0},
      {.temperature = 1, .top_k = 0, .top_p = 0.7f, .min_p = 0},
      {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0.2f},
      {.temperature = 2, .top_k = 0, .top_p = 0.9f, .min_p = 0.1f},
      {.temperature = 0.3f,
       .top_k = 20,
       .top_p = 0.99f,
       .min_p = 0.01f,
       .repeat_penalty = 1.5f,
       .repeat_last_n = 3},
      {.temperature = 1, .top_k = 1000, .top_p = 1, .min_p = 0, .repeat_penalty = 3, .repeat_last_n = 64},
      {.temperature = 1, .top_k = 0, .top_p = 0.0001f, .min_p = 0},
      {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 1}};
  const size_t draws = Scaled(20000, 3000);
  for (size_t c = 0; c < cases.size(); ++c) {
    INFO("case " << c);
    const std::vector<float> logits = RandomLogits(&random, 50);
    OwnedSampler sampler(50, cases[c]);
    std::vector<int32_t> recent;
    for (int i = 0; i < 10; ++i) {
      recent.push_back(static_cast<int32_t>(random.Next() % 50));
      sampler->Accept(recent.back());
    }
    const std::map<int32_t, double> expected = Reference(logits, recent, cases[c]);
    std::map<int32_t, size_t> counts;
    for (size_t i = 0; i < draws; ++i) ++counts[sampler.Take(logits)];
    for (const auto& [id, count] : counts) {
      INFO("id " << id);
      REQUIRE(expected.contains(id));
    }
    for (const auto& [id, p] : expected) {
      const double n = static_cast<double>(draws);
      const double deviation = std::sqrt(n * p * (1 - p)) + 1;
      INFO("id " << id << " p " << p << " count " << counts[id]);
      CHECK(std::abs(static_cast<double>(counts[id]) - n * p) < 5 * deviation);
    }
  }
}

TEST_CASE("Sampling: a seed gives these ids on every CPU") {
  Pcg32 random(1);
  const std::vector<float> logits = RandomLogits(&random, 300);
  SamplerOptions options;
  options.temperature = 1.3f;
  options.repeat_penalty = 1.1f;
  options.seed = 42;
  const auto draw = [&](OwnedSampler& sampler) {
    std::vector<int32_t> ids;
    for (int i = 0; i < 16; ++i) {
      ids.push_back(sampler.Take(logits));
      sampler->Accept(ids.back());
    }
    return ids;
  };
  OwnedSampler sampler(300, options);
  const std::vector<int32_t> ids = draw(sampler);
  CHECK(ids == std::vector<int32_t>{273, 220, 8, 231, 74, 66, 25, 97, 151, 247, 50, 199, 117, 270, 180, 97});
  sampler->Reset();
  CHECK(draw(sampler) == ids);
  options.seed = 43;
  CHECK(sampler->SetOptions(options).ok());
  CHECK(draw(sampler) != ids);
}

TEST_CASE("Greedy takes the lowest id on ties") {
  OwnedSampler sampler(6, {.temperature = 0, .repeat_penalty = 2});
  CHECK(sampler.Take({1, 3, 2, 3, 3, 0}) == 1);
  CHECK(sampler.Take({-1, -3, -2, -1, -5, -9}) == 0);
  CHECK(sampler.Take({0, 0, 0, 0, 0, 0}) == 0);
  sampler->Accept(1);
  CHECK(sampler.Take({1, 3, 2, 3, 3, 0}) == 3);
  CHECK(sampler.Take({-3, -1, -2, -4, -5, -9}) == 1);
  sampler->Accept(1);
  CHECK(sampler.Take({-3, -1.5f, -2, -4, -5, -9}) == 2);
}

TEST_CASE("The penalty looks at the last n tokens only, each once") {
  OwnedSampler sampler(4, {.temperature = 0, .repeat_penalty = 2, .repeat_last_n = 2});
  const std::vector<float> logits = {4, 3, 1, 0};
  sampler->Accept(0);
  sampler->Accept(0);
  CHECK(sampler.Take(logits) == 1);
  sampler->Accept(1);
  CHECK(sampler.Take(logits) == 0);  // 2, 1.5
  sampler->Accept(2);
  CHECK(sampler.Take(logits) == 0);  // 0 is forgotten
  sampler->Accept(-1);
  sampler->Accept(4);
  CHECK(sampler.Take(logits) == 0);
  sampler->Reset();
  CHECK(sampler.Take(logits) == 0);
}

TEST_CASE("The recent tokens are exactly the last n of a long history") {
  Pcg32 random(21);
  for (const uint32_t window : {1u, 7u, 64u}) {
    OwnedSampler sampler(40, {.temperature = 0, .repeat_penalty = 4, .repeat_last_n = window});
    std::vector<int32_t> history;
    for (int step = 0; step < 300; ++step) {
      history.push_back(static_cast<int32_t>(random.Next() % 40));
      sampler->Accept(history.back());
      std::vector<float> logits = RandomLogits(&random, 40);
      const size_t id = static_cast<size_t>(sampler.Take(logits));
      const size_t first = history.size() > window ? history.size() - window : 0;
      std::set<size_t> recent(history.begin() + static_cast<ptrdiff_t>(first), history.end());
      for (const size_t old : recent) logits[old] = logits[old] > 0 ? logits[old] / 4 : logits[old] * 4;
      CHECK(id == static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    }
  }
}

TEST_CASE("Ids past the vocabulary are never drawn, and their logits never read") {
  // 5 real ids; a row of the padded head would go on.
  const std::vector<float> logits = {0, 0, 0, 0, 0};
  OwnedSampler sampler(5, {.temperature = 5, .top_k = 40, .top_p = 1, .min_p = 0});
  std::map<int32_t, int> counts;
  for (int i = 0; i < 2000; ++i) ++counts[sampler.Take(logits)];
  CHECK(counts.size() == 5);
  CHECK(counts.rbegin()->first == 4);
}

TEST_CASE("Logits that are not finite are refused with their id") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (const float temperature : {0.0f, 1.0f}) {
      OwnedSampler sampler(3, {.temperature = temperature});
      const std::vector<float> logits = {1, bad, 2};
      const Result<int32_t> id = sampler->Sample(logits.data());
      CHECK(id.status().code == Code::kNotFinite);
      CHECK(id.status().got == 1);
    }
  }
}

TEST_CASE("Extreme logits and options still give a token") {
  const float huge = std::numeric_limits<float>::max();
  for (const SamplerOptions& options :
       {SamplerOptions{.temperature = 1e-38f}, SamplerOptions{.temperature = huge},
        SamplerOptions{.temperature = 1, .repeat_penalty = huge}, SamplerOptions{.repeat_penalty = 1e-38f},
        SamplerOptions{.top_k = 0, .top_p = 1e-38f},
        SamplerOptions{.temperature = 0, .repeat_penalty = huge}}) {
    OwnedSampler sampler(4, options);
    for (const int32_t id : {0, 1, 2, 3}) sampler->Accept(id);
    for (const std::vector<float>& logits : {std::vector<float>{huge, -huge, huge, 0},
                                             {-huge, -huge, -huge, -huge},
                                             {1, 2, 3, 4},
                                             {0, 0, 0, 0}}) {
      const int32_t id = sampler.Take(logits);
      CHECK((id >= 0 && id < 4));
    }
  }
}

TEST_CASE("Options are checked at the door, by name") {
  const auto field = [](const SamplerOptions& options) {
    const Status status = CheckSamplerOptions(options);
    CHECK(status.code == Code::kOutOfRange);
    return std::string(status.field);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(CheckSamplerOptions({}).ok());
  for (const float bad : {nan, infinity, -0.1f}) CHECK(field({.temperature = bad}) == "temperature");
  for (const float bad : {nan, infinity, -0.1f, 0.0f, 1.01f}) CHECK(field({.top_p = bad}) == "top_p");
  for (const float bad : {nan, -0.1f, 1.01f}) CHECK(field({.min_p = bad}) == "min_p");
  for (const float bad : {nan, infinity, -1.0f, 0.0f})
    CHECK(field({.repeat_penalty = bad}) == "repeat_penalty");
  CHECK(field({.repeat_last_n = 0xFFFFFFFF}) == "repeat_last_n");
  OwnedSampler sampler(100, {.top_k = 40, .repeat_last_n = 8});
  CHECK(sampler->SetOptions({.top_k = 0, .repeat_last_n = 8}).field == std::string("top_k"));
  CHECK(sampler->SetOptions({.top_k = 10, .repeat_last_n = 9}).field == std::string("repeat_last_n"));
  CHECK(sampler->SetOptions({.top_k = 10, .repeat_last_n = 0}).ok());
  CHECK(sampler->SetOptions({.temperature = nan}).field == std::string("temperature"));
}
