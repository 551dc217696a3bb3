// `thimble plan`: every byte that a run will use, before anything is loaded. Reads the header of the file
// only.
#include <memory>

#include "targets/cli/commands.h"
#include "targets/cli/device_classes.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/layout_table.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/plan_budget.h"
#include "targets/cli/plan_check.h"
#include "targets/cli/plan_report.h"
#include "targets/cli/planned_folder.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble plan stories-qmqa.thimble
  thimble plan stories-qmqa.thimble -c 256 --kv q8 -t 4
  thimble plan stories-qmqa.thimble --sessions 8
  thimble plan stories-qmqa.thimble --sessions 8 --prefix 256
  thimble plan stories-qmqa.thimble --at 100
  thimble plan stories-qmqa.thimble --budget 4MiB
  thimble plan stories-qmqa.thimble --devices
  thimble plan stories-qmqa.thimble --assert-anon-below 8MiB
  thimble plan stories-qmqa.thimble --json | jq .arena_bytes
  thimble plan gemma-4-E2B/ -c 4096 --kv q8 --recipe small

The arena is exact: `thimble run` with the same options takes this many bytes, not one more or
less. Of the sampling options --top-k and --repeat-last-n change it; here they are the defaults of
`run`.)";

struct Arguments {
  std::string model, recipe = "quality";
  ContextOptions context;
  int64_t at_tokens = -1;
  uint64_t budget = 0, budget_total = 0, assert_below = 0;
  bool devices = false, table = false, json = false;
};

void Show(const Arguments& arguments, const std::string& text, const Json& json) {
  if (arguments.json) {
    PrintJson(json);
  } else {
    Print(text);
  }
}

CLI::Option* AddBytes(CLI::App* app, const std::string& name, uint64_t* target, const std::string& help) {
  return app->add_option_function<std::string>(name, [=](const std::string& text) { *target = ParseBytes(text, name); }, help)->type_name("BYTES");
}

int Run(const Arguments& arguments) {
  const bool budget = arguments.budget != 0 || arguments.budget_total != 0;
  if (budget + arguments.devices + arguments.table + (arguments.at_tokens >= 0) > 1)
    throw Error(kInvalidArgument, "--at, --budget, --devices, --table: give only one of these");
  const PlannedFolder source(arguments.model, arguments.recipe);
  const Model model(source.file(), arguments.context.part, arguments.model);
  const EngineOptions options = arguments.context.ForModel(model);
  if (budget) {
    thimble_budget bytes = Sized<thimble_budget>();
    bytes.anonymous_bytes = arguments.budget;
    bytes.total_bytes = arguments.budget_total;
    const std::vector<thimble_solution> solutions = SolveBudget(model, options, bytes);
    Show(arguments, BudgetText(model, options, bytes, solutions), BudgetJson(model, bytes, solutions));
    if (solutions.front().fits != 0) return 0;
    return ExitCodeOf(kOverBudget);
  }
  const Plan plan = arguments.at_tokens < 0 ? MakePlan(model, options) : MakePlanAt(model, options, static_cast<uint32_t>(arguments.at_tokens));
  if (arguments.assert_below != 0 && plan.totals.anonymous_bytes >= arguments.assert_below)
    throw Error(kOverBudget, model.path() + ": the plan takes " + OverBudgetText(plan, arguments.assert_below, "--assert-anon-below"));
  if (arguments.devices) {
    Show(arguments, DevicesText(model, options, plan), DevicesJson(model, options, plan));
    return 0;
  }
  if (arguments.table) {
    Show(arguments, LayoutsText(model, plan), LayoutsJson(model, plan));
    return 0;
  }
  (void)CheckMemory(model, options, true);
  CheckTrainedLength(model, plan);
  Show(arguments, PlanText(model, options, plan), PlanJson(model, options, plan));
  return 0;
}

}  // namespace

Command AddPlan(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* app = program->add_subcommand("plan", "Print every byte a run will use, before it runs");
  app->add_option("MODEL", arguments->model, "A .thimble file, or a folder with a config.json, with or without weights")->required()->type_name("");
  app->add_option("--recipe", arguments->recipe, "Types of the weights of a folder, as `convert --recipe` has them")->type_name("NAME")->default_str("quality");
  arguments->context.Add(app);
  AddInteger(app, "--sessions", &arguments->context.sessions, 1, 4096, "Sequences at once, each with a cache of its own")
      ->default_str("1");
  AddInteger(app, "--prefix", &arguments->context.prefix, 0, 1 << 24,
             "Tokens that all sessions begin with, stored once; a multiple of 256")
      ->default_str("0");
  AddInteger(app, "--at", &arguments->at_tokens, 0, 1 << 30, "What of it is touched when every session has read N tokens");
  AddBytes(app, "--budget", &arguments->budget, "Instead: the longest contexts that fit so much anonymous memory (300MiB, 2G), best first");
  AddBytes(app, "--budget-total", &arguments->budget_total, "The same, of anonymous memory and model file together");
  app->add_flag("--devices", arguments->devices, "Instead: the plan against classes of phones and boards");
  app->add_flag("--table", arguments->table, "Instead: what other layouts and types of cache rows would take");
  AddBytes(app, "--assert-anon-below", &arguments->assert_below, "Fail, with exit code 5, where the plan takes so much anonymous memory or more");
  app->add_flag("--json", arguments->json, "One JSON object on standard output");
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
