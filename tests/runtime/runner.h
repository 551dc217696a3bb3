// A model in memory with a session, for tests: throws on any error.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/include/thimble/thimble.h"
#include "tests/support/model_builder.h"

namespace thimble::test {

inline void Check(const thimble_status& status) {
  if (status.code != 0) throw std::runtime_error(status.message);
}

class Runner {
 public:
  Runner(const std::vector<uint8_t>& bytes, const thimble_options& options) : bytes_(bytes) {
    Check(thimble_model_open_memory(bytes_.data(), bytes_.size(), &model_));
    Check(thimble_session_create(model_, &options, nullptr, 0, &session_));
  }
  Runner(const std::string& path, const thimble_options& options) : bytes_(size_t{0}) {
    Check(thimble_model_open(path.c_str(), &model_));
    Check(thimble_session_create(model_, &options, nullptr, 0, &session_));
  }
  ~Runner() {
    thimble_session_close(session_);
    thimble_model_close(model_);
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  thimble_model* model() { return model_; }
  thimble_session* session() { return session_; }
  size_t outputs() const { return thimble_model_get_info(model_).outputs; }

  // Logits of every position, in passes of the session's chunk size.
  std::vector<std::vector<float>> Prefill(const std::vector<int32_t>& ids) {
    std::vector<std::vector<float>> rows;
    Collector collector{&rows, outputs()};
    Check(thimble_prefill_each(session_, ids.data(), ids.size(), &Collector::Take, &collector));
    return rows;
  }
  std::vector<std::vector<float>> DecodeEach(const std::vector<int32_t>& ids) {
    std::vector<std::vector<float>> rows;
    for (int32_t id : ids) {
      Check(thimble_decode(session_, id));
      const float* logits = thimble_logits(session_);
      rows.emplace_back(logits, logits + outputs());
    }
    return rows;
  }
  std::vector<std::vector<float>> EncodeRows(const std::vector<int32_t>& ids) {
    std::vector<std::vector<float>> rows;
    Collector collector{&rows, outputs()};
    Check(thimble_encode_rows(session_, ids.data(), ids.size(), &Collector::Take, &collector));
    return rows;
  }
  std::vector<std::vector<float>> EncodeImage(const std::vector<float>& pixels) {
    std::vector<std::vector<float>> rows;
    Collector collector{&rows, outputs()};
    Check(thimble_encode_image(session_, pixels.data(), pixels.size(), &Collector::Take, &collector));
    return rows;
  }

 private:
  struct Collector {
    std::vector<std::vector<float>>* rows;
    size_t outputs;
    static int32_t Take(void* user, size_t, const float* logits) {
      Collector* c = static_cast<Collector*>(user);
      c->rows->emplace_back(logits, logits + c->outputs);
      return 1;
    }
  };

  AlignedBytes bytes_;
  thimble_model* model_ = nullptr;
  thimble_session* session_ = nullptr;
};

template <typename A, typename B>
double MaxDifference(const std::vector<std::vector<A>>& a, const std::vector<std::vector<B>>& b) {
  if (a.size() != b.size()) throw std::runtime_error("different numbers of rows");
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) throw std::runtime_error("different widths");
    for (size_t c = 0; c < a[i].size(); ++c) {
      const double difference = static_cast<double>(a[i][c]) - static_cast<double>(b[i][c]);
      worst = std::max(worst, difference < 0 ? -difference : difference);
      if (difference != difference) return 1e30;
    }
  }
  return worst;
}

}  // namespace thimble::test
