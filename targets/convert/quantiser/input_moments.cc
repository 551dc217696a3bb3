#include "targets/convert/quantiser/input_moments.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "ops/linear/turn.h"
#include "targets/convert/import_error.h"
#include "targets/convert/quantiser/in_parallel.h"

namespace thimble {
namespace {

constexpr size_t kRowsAtOnce = 64;

// Of each group of 32 numbers.
void Largest(const float* row, size_t k, float* largest) {
  for (size_t at = 0; at < k; at += 32) {
    float most = 0;
    for (size_t i = at; i < std::min(k, at + 32); ++i) most = std::max(most, std::fabs(row[i]));
    largest[at / 32] = most;
  }
}

// Rounding spreads evenly over a step of largest / 127.
void AddNoise(const float* largest, double weight, std::vector<double>* noise) {
  for (size_t g = 0; g < noise->size(); ++g) {
    const double step = largest[g] / 127.0;
    (*noise)[g] += weight * step * step / 12;
  }
}

[[noreturn]] void Fail(const char* what) {
  throw ImportError(Code::kIo, std::string("moments of the inputs: cannot ") + what + ": " + std::strerror(errno));
}

}  // namespace

InputSums::InputSums(size_t k, size_t threads)
    : k_(k), threads_(QuantiserThreads(threads)), sums_(k * k), noise_{std::vector<double>((k + 31) / 32), std::vector<double>((k + 31) / 32)} {}

void InputSums::Add(const float* rows, const float* weights, size_t n) {
  for (size_t first = 0; first < n; first += kRowsAtOnce) {
    const size_t count = std::min(kRowsAtOnce, n - first), padded = (count + 3) / 4 * 4;
    const size_t groups = noise_.plain.size();
    scaled_.assign(padded * k_, 0);
    std::vector<float> plain(count * groups), turned(count * groups);
    InParallel(count, threads_, [&](size_t t) {
      const float *row = rows + (first + t) * k_, root = std::sqrt(weights[first + t]);
      Largest(row, k_, plain.data() + t * groups);
      std::vector<float> copy(row, row + k_);
      if (const uint32_t block = TurnBlock(static_cast<uint32_t>(k_)); block > 1) Turn(copy.data(), k_, block);
      Largest(copy.data(), k_, turned.data() + t * groups);
      for (size_t i = 0; i < k_; ++i) scaled_[t * k_ + i] = root * row[i];
    });
    // In the order of the rows.
    for (size_t t = 0; t < count; ++t) {
      weight_ += weights[first + t];
      AddNoise(plain.data() + t * groups, weights[first + t], &noise_.plain);
      AddNoise(turned.data() + t * groups, weights[first + t], &noise_.turned);
    }
    constexpr size_t kPiece = 16;  // even
    InParallel((k_ + kPiece - 1) / kPiece, threads_, [&](size_t piece) {
      // Two at a time, so that what is read of the rows serves both.
      size_t i = piece * kPiece;
      const size_t end = std::min(k_, i + kPiece);
      for (; i + 2 <= end; i += 2) {
        float *to = sums_.data() + i * k_, *below = to + k_;
        for (size_t t = 0; t < padded; t += 4) {
          const float *x0 = scaled_.data() + t * k_, *x1 = x0 + k_, *x2 = x1 + k_, *x3 = x2 + k_;
          const float a0 = x0[i], a1 = x1[i], a2 = x2[i], a3 = x3[i];
          const float b0 = x0[i + 1], b1 = x1[i + 1], b2 = x2[i + 1], b3 = x3[i + 1];
          for (size_t j = i; j < k_; ++j) {
            const float y0 = x0[j], y1 = x1[j], y2 = x2[j], y3 = x3[j];
            to[j] += (a0 * y0 + a1 * y1) + (a2 * y2 + a3 * y3);
            below[j] += (b0 * y0 + b1 * y1) + (b2 * y2 + b3 * y3);  // its element before the diagonal is not read
          }
        }
      }
      if (i == end) return;
      for (size_t t = 0; t < padded; ++t) sums_[i * k_ + i] += scaled_[t * k_ + i] * scaled_[t * k_ + i];
    });
  }
}

std::vector<float> InputSums::Moments() const {
  std::vector<float> moments(sums_);
  const float weight = weight_ > 0 ? static_cast<float>(weight_) : 1;
  for (size_t i = 0; i < k_; ++i)
    for (size_t j = i; j < k_; ++j) moments[j * k_ + i] = moments[i * k_ + j] = sums_[i * k_ + j] / weight;
  return moments;
}

InputNoise InputSums::Noise() const {
  InputNoise noise = noise_;
  for (std::vector<double>* list : {&noise.plain, &noise.turned})
    for (double& v : *list) v /= weight_ > 0 ? weight_ : 1;
  return noise;
}

InputMoments::InputMoments(const std::filesystem::path& folder) {
  std::string path = (folder / ".thimble-moments-XXXXXX").string();
  const int fd = mkstemp(path.data());
  if (fd < 0) Fail(("create " + path).c_str());
  unlink(path.c_str());
  file_ = fdopen(fd, "w+b");
  if (file_ == nullptr) Fail("open the file");
}

InputMoments::~InputMoments() {
  if (file_ != nullptr) std::fclose(file_);
}

void InputMoments::Add(const InputSums& sums, const std::vector<int32_t>& tensors) {
  const std::vector<float> moments = sums.Moments();
  const size_t k = sums.k();
  if (fseeko(file_, static_cast<off_t>(bytes_), SEEK_SET) != 0) Fail("seek");
  for (size_t i = 0; i < k; ++i)
    if (std::fwrite(moments.data() + i * k + i, sizeof(float), k - i, file_) != k - i) Fail("write");
  for (const int32_t tensor : tensors) of_tensor_[tensor] = static_cast<int32_t>(sites_.size());
  sites_.push_back({k, bytes_, sums.Noise()});
  bytes_ += k * (k + 1) / 2 * sizeof(float);
}

int32_t InputMoments::SiteOf(int32_t tensor) const {
  const auto found = of_tensor_.find(tensor);
  return found == of_tensor_.end() ? -1 : found->second;
}

std::vector<float> InputMoments::Moments(int32_t site) const {
  const Site& from = sites_[static_cast<size_t>(site)];
  std::vector<float> moments(from.k * from.k);
  if (fseeko(file_, static_cast<off_t>(from.offset), SEEK_SET) != 0) Fail("seek");
  for (size_t i = 0; i < from.k; ++i) {
    float* row = moments.data() + i * from.k;
    if (std::fread(row + i, sizeof(float), from.k - i, file_) != from.k - i) Fail("read");
    for (size_t j = i + 1; j < from.k; ++j) moments[j * from.k + i] = row[j];
  }
  return moments;
}

}  // namespace thimble
