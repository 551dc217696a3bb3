#include "targets/cli/scoring_session.h"

#include "targets/cli/error.h"
#include "targets/cli/output.h"
#include "targets/cli/plan_check.h"

namespace thimble::cli {
namespace {

ContextOptions ForWindow(ContextOptions context, int64_t window, uint32_t rows) {
  context.logits_rows = rows;
  if (context.context_tokens == 0) context.context_tokens = window;
  return context;
}

Plan CheckedPlan(const Model& model, const EngineOptions& options, bool overcommit) {
  Plan plan = MakePlan(model, options);
  (void)CheckMemory(model, options, overcommit);
  return plan;
}

size_t CheckedWindow(int64_t window, const Plan& plan) {
  const uint32_t context = plan.totals.context_tokens;
  if (window > int64_t{context})
    throw Error(kContextFull,
                Format("--window: %lld tokens do not fit a context of %u", static_cast<long long>(window), context));
  return window > 0 ? static_cast<size_t>(window) : context;
}

}  // namespace

ScoringSession::ScoringSession(const Model& model, const ContextOptions& context, int64_t window, uint32_t rows)
    : context_(ForWindow(context, window, rows)),
      options_(context_.ForModel(model)),
      plan_(CheckedPlan(model, options_, context_.overcommit)),
      window_(CheckedWindow(window, plan_)),
      session_(model, options_) {}

}  // namespace thimble::cli
