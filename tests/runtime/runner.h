// A model in memory with a session, for tests: throws on any error.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/call.h"
#include "tests/support/model_builder.h"

namespace thimble::test {

inline void Check(const thimble_error& error) {
  if (error.code != 0) throw std::runtime_error(error.message);
}

class Runner {
 public:
  Runner(const std::vector<uint8_t>& bytes, const ApiOptions& options) : bytes_(bytes) {
    Check(Call(thimble_model_open_memory, bytes_.data(), bytes_.size(), &model_));
    Check(CreateSession(model_, &options, nullptr, 0, &session_));
  }
  Runner(const std::string& path, const ApiOptions& options) : bytes_(size_t{0}) {
    Check(Call(thimble_model_open, path.c_str(), &model_));
    Check(CreateSession(model_, &options, nullptr, 0, &session_));
  }
  // Another session over the same model. `first` lives longer.
  Runner(Runner& first, const ApiOptions& options) : bytes_(size_t{0}), model_(first.model_), owns_model_(false) {
    Check(CreateSession(model_, &options, nullptr, 0, &session_));
  }
  ~Runner() {
    thimble_session_close(session_);
    if (owns_model_) thimble_model_close(model_);
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  thimble_model* model() { return model_; }
  thimble_session* session() { return session_; }
  size_t outputs() const { return InfoOf(thimble_engine_model(thimble_session_engine(session_))).outputs; }

  // Logits of every position, in passes of the session's chunk size.
  std::vector<std::vector<float>> Prefill(const std::vector<int32_t>& ids) {
    std::vector<std::vector<float>> rows;
    Collector collector{&rows, outputs()};
    Check(Call(thimble_prefill_each, session_, ids.data(), ids.size(), &Collector::Take, &collector));
    return rows;
  }
  std::vector<std::vector<float>> DecodeEach(const std::vector<int32_t>& ids) {
    std::vector<std::vector<float>> rows;
    for (int32_t id : ids) {
      Check(DecodeId(session_, id));
      const float* logits = LogitsOf(session_);
      rows.emplace_back(logits, logits + outputs());
    }
    return rows;
  }
  std::vector<std::vector<float>> EncodeRows(const std::vector<int32_t>& ids) {
    std::vector<std::vector<float>> rows;
    Collector collector{&rows, outputs()};
    Check(Call(thimble_encode_rows, session_, ids.data(), ids.size(), &Collector::Take, &collector));
    return rows;
  }
  std::vector<std::vector<float>> EncodeImage(const std::vector<float>& pixels) {
    std::vector<std::vector<float>> rows;
    Collector collector{&rows, outputs()};
    Check(Call(thimble_encode_image, session_, pixels.data(), pixels.size(), &Collector::Take, &collector));
    return rows;
  }

  // Calls whose callback says stop at its `stop_at`-th call, counted from 1: how they ended, and the rows it was given.
  struct Stopped {
    int32_t code;
    size_t rows;
  };
  Stopped StopPrefill(const std::vector<int32_t>& ids, size_t stop_at) {
    return Stop(stop_at, [&](thimble_logits_fn each, void* user) {
      return Call(thimble_prefill_each, session_, ids.data(), ids.size(), each, user);
    });
  }
  Stopped StopEncodeRows(const std::vector<int32_t>& ids, size_t stop_at) {
    return Stop(stop_at, [&](thimble_logits_fn each, void* user) {
      return Call(thimble_encode_rows, session_, ids.data(), ids.size(), each, user);
    });
  }
  Stopped StopEncodeImage(const std::vector<float>& pixels, size_t stop_at) {
    return Stop(stop_at, [&](thimble_logits_fn each, void* user) {
      return Call(thimble_encode_image, session_, pixels.data(), pixels.size(), each, user);
    });
  }

  // What the library's own loop writes, greedily. `pieces` is the text as it was streamed; the callback says stop at its
  // `stop_at`-th call.
  struct Generated {
    bool stopped = false;
    std::vector<std::string> pieces;
    size_t prompt_tokens = 0, generated_tokens = 0;
    bool ended = false;
    std::string Text() const {
      std::string text;
      for (const std::string& piece : pieces) text += piece;
      return text;
    }
  };
  Generated Generate(const std::string& prompt, size_t most_tokens, size_t stop_at = SIZE_MAX) {
    SetGreedy();
    struct Stream {
      Generated out;
      size_t stop_at;
    } stream = {{}, stop_at};
    const auto take = [](void* user, const char* text, size_t bytes) -> int32_t {
      Stream* s = static_cast<Stream*>(user);
      s->out.pieces.emplace_back(text, bytes);
      return s->out.pieces.size() < s->stop_at;
    };
    thimble_event last = {};
    const thimble_error status =
        GenerateText(session_, prompt.data(), prompt.size(), static_cast<uint32_t>(most_tokens), take, &stream, &last);
    Check(status);
    stream.out.stopped = stream.out.pieces.size() >= stop_at;
    stream.out.prompt_tokens = last.prompt_tokens;
    stream.out.generated_tokens = last.generated_tokens;
    stream.out.ended = last.end == THIMBLE_END_ID;
    return stream.out;
  }
  // The ids with the largest logits, appended one after another behind what is in the context; the last is not appended.
  std::vector<int32_t> GreedyIds(size_t count) {
    SetGreedy();
    std::vector<int32_t> ids;
    for (size_t i = 0; i < count; ++i) {
      int32_t id = -1;
      Check(Call(thimble_sample, session_, &id));
      ids.push_back(id);
      if (i + 1 < count) Check(DecodeId(session_, id));
    }
    return ids;
  }
  std::vector<int32_t> Tokenize(const std::string& text, bool bos) {
    std::vector<int32_t> ids(text.size() + 2);
    size_t count = 0;
    Check(Call(thimble_tokenize, model_, nullptr, text.data(), text.size(), bos ? THIMBLE_ADD_BOS : 0, ids.data(), ids.size(), &count));
    ids.resize(count);
    return ids;
  }
  size_t position() const { return thimble_position(session_); }
  bool has_logits() const { return LogitsOf(session_) != nullptr; }
  void Rewind(size_t position) { Check(Call(thimble_rewind, session_, position)); }

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
  template <typename F>
  static Stopped Stop(size_t stop_at, const F& call) {
    struct Counter {
      size_t rows, stop_at;
    } counter = {0, stop_at};
    const auto take = [](void* user, size_t, const float*) -> int32_t {
      Counter* c = static_cast<Counter*>(user);
      return ++c->rows < c->stop_at;
    };
    const thimble_error status = call(take, &counter);
    return {status.code, counter.rows};
  }
  void SetGreedy() {
    thimble_sampling greedy = ApiOptions().sampling;
    greedy.temperature = 0;
    Check(Call(thimble_set_sampling, session_, &greedy));
  }

  AlignedBytes bytes_;
  thimble_model* model_ = nullptr;
  bool owns_model_ = true;
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
