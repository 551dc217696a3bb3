// What fits a budget of bytes, as thimble_solve() finds it, for people and programs.
#pragma once

#include <string>
#include <vector>

#include "targets/cli/options.h"
#include "targets/json/json.h"

namespace thimble::cli {

// Best first, by the rule of thimble_solve().
std::vector<thimble_solution> SolveBudget(const Model& model, const EngineOptions& options, const thimble_budget& budget);

// "--kv q8 -c 1024 -b 64": what to give the program to have it.
std::string SolutionArguments(const thimble_solution& solution);

std::string BudgetText(const Model& model, const EngineOptions& options, const thimble_budget& budget,
                       const std::vector<thimble_solution>& solutions);
Json BudgetJson(const Model& model, const thimble_budget& budget, const std::vector<thimble_solution>& solutions);

}  // namespace thimble::cli
