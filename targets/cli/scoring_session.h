// A session whose context is a window of ids: what `perplexity` and `quality` read a text with. Knows no scores.
#pragma once

#include <cstdint>

#include "targets/cli/memory.h"
#include "targets/cli/options.h"

namespace thimble::cli {

class ScoringSession {
 public:
  // `window` 0: what the context holds. `rows` of logits are computed at once. Throws Error, naming --window where it does
  // not fit.
  ScoringSession(const Model& model, const ContextOptions& context, int64_t window, uint32_t rows);

  thimble_session* handle() const { return session_.handle(); }
  const Plan& plan() const { return plan_; }
  const EngineOptions& options() const { return options_; }
  size_t window() const { return window_; }

 private:
  ContextOptions context_;  // what options_ points to
  EngineOptions options_;
  Plan plan_;
  size_t window_;
  Session session_;
};

}  // namespace thimble::cli
