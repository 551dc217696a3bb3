// Two models through the windows of one text, side by side: each position's rows of logits are scored and forgotten. Knows no
// command.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "targets/cli/logits_file.h"
#include "targets/cli/quality_statistics.h"
#include "targets/cli/scoring_session.h"

namespace thimble::cli {

inline constexpr uint32_t kRowsAtOnce = 32;

// Where rows of logits come from, window by window. False once the user has asked to stop; throws Error.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual void Begin() = 0;                                              // of a window
  virtual bool Skip(const int32_t* ids, size_t count) = 0;               // ids whose logits nobody wants
  virtual bool Read(const int32_t* ids, size_t count, float* rows) = 0;  // count <= kRowsAtOnce
};

class ModelRows : public RowSource {
 public:
  // `step`: one id per pass.
  ModelRows(const Model& model, const ContextOptions& context, size_t window, bool step);

  const ScoringSession& session() const { return session_; }

  void Begin() override;
  bool Skip(const int32_t* ids, size_t count) override;
  bool Read(const int32_t* ids, size_t count, float* rows) override;

 private:
  static int32_t Take(void* user, size_t position, const float* logits);

  ScoringSession session_;
  size_t outputs_;
  bool step_;
  float* to_ = nullptr;
};

class SavedRows : public RowSource {
 public:
  explicit SavedRows(LogitsReader* reader) : reader_(reader) {}

  void Begin() override {}
  bool Skip(const int32_t*, size_t) override { return true; }
  bool Read(const int32_t* ids, size_t count, float* rows) override;

 private:
  LogitsReader* reader_;
};

// Which ids are read and which positions of them are judged.
struct Windows {
  std::vector<int32_t> ids;  // windows * window + 1
  size_t window = 0, windows = 0, first = 0;

  size_t judged() const { return window - first; }
};

struct Comparison {
  std::vector<PositionScore> scores;  // of whole windows
  bool cancelled = false;
};

// Called with the ids that are done, of windows * window, and the mean KL so far; false stops.
using ComparisonProgress = std::function<bool(size_t ids, double kl)>;

// `save` is a descriptor that takes the reference's rows, or -1. False with errno set when that could not be written, or the
// comparison was stopped. Throws Error where logits are not finite.
bool Compare(RowSource& reference, RowSource& other, const Windows& cut, size_t outputs, int save,
             const ComparisonProgress& progress, Comparison* result);

}  // namespace thimble::cli
