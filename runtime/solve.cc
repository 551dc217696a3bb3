#include "runtime/solve.h"

#include <algorithm>
#include <iterator>

namespace thimble {
namespace {

// Of a pass that nobody asked for. Longer ones are no faster, and their buffers only grow.
constexpr uint32_t kLongestPass = 512;
constexpr uint32_t kUsualPass = 64;

struct Rows {
  int32_t keys, values;
};
constexpr Rows kRows[] = {{THIMBLE_CACHE_F16, THIMBLE_CACHE_F16},
                          {THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q8},
                          {THIMBLE_CACHE_Q8, THIMBLE_CACHE_Q4},
                          {THIMBLE_CACHE_Q4, THIMBLE_CACHE_Q4}};

// One shape after another, planned.
class Planner {
 public:
  Planner(const SolveRequest& request, Rows rows) : request_(request), options_(request.options) {
    options_.key_cache = rows.keys;
    options_.value_cache = rows.values;
    options_.mem_budget_bytes = 0;
  }

  Status Plan(uint32_t context, uint32_t pass) {
    options_.context_tokens = context;
    options_.chunk_tokens = pass;
    THIMBLE_ASSIGN_OR_RETURN(const EngineOptions resolved, ResolveOptions(request_.file.header(), options_, request_.sampling));
    return PlanMemory({request_.file, resolved, request_.tokenizer, request_.handle_bytes, resolved.context_tokens}, &plan_, nullptr,
                      nullptr, &largest_);
  }
  // Of the last plan; 0: it fits.
  uint64_t Over() const {
    const thimble_budget& budget = request_.budget;
    const auto over = [](uint64_t bytes, uint64_t most) { return most == 0 || bytes <= most ? 0 : bytes - most; };
    return std::max(over(plan_.anonymous_bytes, budget.anonymous_bytes),
                    over(plan_.anonymous_bytes + plan_.file_backed_bytes, budget.total_bytes));
  }
  bool Fits(uint32_t context, uint32_t pass) { return Plan(context, pass).ok() && Over() == 0; }
  const thimble_plan& plan() const { return plan_; }

  thimble_solution Solution() const {
    thimble_solution s = {};
    s.struct_bytes = sizeof s;
    s.over_bytes = Over();
    s.fits = s.over_bytes == 0;
    s.key_cache = options_.key_cache;
    s.value_cache = options_.value_cache;
    s.context_tokens = plan_.context_tokens;
    s.chunk_tokens = plan_.chunk_tokens;
    s.arena_bytes = plan_.arena_bytes;
    s.anonymous_bytes = plan_.anonymous_bytes;
    s.file_backed_bytes = plan_.file_backed_bytes;
    s.kv_bytes_per_token = plan_.kv_bytes_per_token;
    s.largest_line = largest_.lines[0].name;
    s.largest_line_bytes = largest_.lines[0].bytes;
    return s;
  }

 private:
  const SolveRequest& request_;
  thimble_engine_options options_;
  thimble_plan plan_ = {};
  LargestLines largest_;
};

// The largest number in [low, high] for which fits(number), where that holds for all up to it; fits(low) does.
template <typename Fits>
uint32_t Largest(uint32_t low, uint32_t high, Fits fits) {
  while (low < high) {
    const uint32_t middle = low + (high - low + 1) / 2;
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// kInvalidArgument and others: the options are wrong, or not for this model's rows.
Status SolveFor(const SolveRequest& request, Rows rows, thimble_solution* out) {
  const thimble_engine_options& asked = request.options;
  Planner planner(request, rows);
  THIMBLE_RETURN_IF_ERROR(planner.Plan(asked.context_tokens, asked.chunk_tokens));
  const uint32_t wanted = planner.plan().context_tokens;
  const uint32_t least = std::min(wanted, std::max({asked.prefix_tokens + 1, asked.sink_tokens, 1u}));
  const bool decoder = request.file.header().part(asked.part).decoder;
  uint32_t context = wanted, pass = asked.chunk_tokens;
  if (planner.Over() != 0) {
    // The usual pass, else the smallest; where even that does not fit, it says how far off it is.
    if (!planner.Fits(least, pass)) {
      if (pass == 0 && decoder) pass = 1;
      if (!planner.Fits(least, pass)) {
        *out = planner.Solution();
        return Status::Ok();
      }
    }
    context = Largest(least, wanted, [&](uint32_t tokens) { return planner.Fits(tokens, pass); });
  }
  if (asked.chunk_tokens == 0 && decoder) {
    const uint32_t low = pass == 0 ? std::min(kUsualPass, context) : pass;
    pass = Largest(low, std::max(low, std::min(kLongestPass, context)), [&](uint32_t tokens) { return planner.Fits(context, tokens); });
  }
  THIMBLE_RETURN_IF_ERROR(planner.Plan(context, pass));
  *out = planner.Solution();
  return Status::Ok();
}

// The rule of thimble_solve(); `whole`: the context that was asked for.
bool Before(const thimble_solution& a, const thimble_solution& b, uint32_t whole) {
  if (a.fits != b.fits) return a.fits != 0;
  if (a.fits == 0) return a.over_bytes < b.over_bytes;
  const bool a_whole = a.context_tokens >= whole, b_whole = b.context_tokens >= whole;
  if (a_whole != b_whole) return a_whole;
  if (a.context_tokens != b.context_tokens) return a.context_tokens > b.context_tokens;
  if (a.kv_bytes_per_token != b.kv_bytes_per_token) return a.kv_bytes_per_token > b.kv_bytes_per_token;
  return a.chunk_tokens > b.chunk_tokens;
}

}  // namespace

Status Solve(const SolveRequest& request, thimble_solution_fn each, void* user) {
  if (request.budget.anonymous_bytes == 0 && request.budget.total_bytes == 0) {
    return Status::Error(Code::kInvalidArgument, "says no number of bytes").At("budget").Field("anonymous_bytes");
  }
  THIMBLE_ASSIGN_OR_RETURN(const EngineOptions resolved, ResolveOptions(request.file.header(), request.options, request.sampling));
  thimble_solution found[std::size(kRows)];
  size_t count = 0;
  const auto add = [&](const thimble_solution& solution) {
    size_t at = count++;
    for (; at > 0 && Before(solution, found[at - 1], resolved.context_tokens); --at) found[at] = found[at - 1];
    found[at] = solution;
  };
  Status first = Status::Ok();
  for (const Rows rows : kRows) {
    // With a budget of the cache's own there is one choice for all.
    const Rows all = request.options.kv_budget_bytes != 0 ? Rows{0, 0} : rows;
    thimble_solution solution;
    const Status status = SolveFor(request, all, &solution);
    if (status.ok()) add(solution);
    if (!status.ok() && first.ok()) first = status;
    if (request.options.kv_budget_bytes != 0 || (status.ok() && solution.kv_bytes_per_token == 0)) break;
  }
  if (count == 0) return first;
  for (size_t i = 0; i < count; ++i) each(user, &found[i]);
  return Status::Ok();
}

}  // namespace thimble
