// What is known of the inputs of a model's linear layers: second moments, and what quantising such inputs to int8 costs. The moments
// of all layers together may be larger than memory: they lie in a file that has no name any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <vector>

namespace thimble {

// The mean squared error of int8 inputs with a scale per 32 numbers, by group of 32 columns.
struct InputNoise {
  std::vector<double> plain, turned;
};

// Rows that enter one layer, or several that read the same.
class InputSums {
 public:
  // Takes 4 * k * k bytes.
  explicit InputSums(size_t k, size_t threads);

  size_t k() const { return k_; }
  // `rows` [n, k]; weights [n] multiply their squares. The same sums for every number of threads.
  void Add(const float* rows, const float* weights, size_t n);
  // Of all rows so far, divided by the sum of their weights: [k, k], symmetric.
  std::vector<float> Moments() const;
  InputNoise Noise() const;

 private:
  size_t k_, threads_;
  std::vector<float> sums_;  // on and right of the diagonal
  std::vector<float> scaled_;
  InputNoise noise_;
  double weight_ = 0;
};

class InputMoments {
 public:
  // The file is made in `folder` and unlinked at once. Throws ImportError.
  explicit InputMoments(const std::filesystem::path& folder);
  ~InputMoments();
  InputMoments(const InputMoments&) = delete;
  InputMoments& operator=(const InputMoments&) = delete;

  // The inputs of these tensors of the file.
  void Add(const InputSums& sums, const std::vector<int32_t>& tensors);

  // A number for what a tensor reads, the same for those that read the same; -1 where nothing is known.
  int32_t SiteOf(int32_t tensor) const;
  std::vector<float> Moments(int32_t site) const;  // [k, k]
  const InputNoise& Noise(int32_t site) const { return sites_[static_cast<size_t>(site)].noise; }
  size_t sites() const { return sites_.size(); }

 private:
  struct Site {
    size_t k;
    uint64_t offset;
    InputNoise noise;
  };
  std::FILE* file_ = nullptr;
  uint64_t bytes_ = 0;
  std::vector<Site> sites_;
  std::map<int32_t, int32_t> of_tensor_;
};

}  // namespace thimble
