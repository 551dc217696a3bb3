// `thimble plan`: every byte that a run will use, before anything is loaded. Reads the header of the file
// only.
#include <memory>

#include "targets/cli/commands.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/plan_check.h"
#include "targets/cli/plan_report.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble plan stories-qmqa.thimble
  thimble plan stories-qmqa.thimble -c 256 --kv q8 -t 4
  thimble plan stories-qmqa.thimble --sessions 8
  thimble plan stories-qmqa.thimble --sessions 8 --prefix 256
  thimble plan stories-qmqa.thimble --json | jq .arena_bytes

The arena is exact: `thimble run` with the same options takes this many bytes, not one more or
less. Of the sampling options --top-k and --repeat-last-n change it; here they are the defaults of
`run`.)";

struct Arguments {
  std::string model;
  ContextOptions context;
  bool json = false;
};

int Run(const Arguments& arguments) {
  const Model model(arguments.model, arguments.context.part);
  const EngineOptions options = arguments.context.ForModel(model);
  const Plan plan = MakePlan(model, options);
  CheckMemory(options, plan, true);
  CheckTrainedLength(model, plan);
  if (arguments.json) {
    PrintJson(PlanJson(model, options, plan));
  } else {
    Print(PlanText(model, options, plan));
  }
  return 0;
}

}  // namespace

Command AddPlan(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* app = program->add_subcommand("plan", "Print every byte a run will use, before it runs");
  app->add_option("MODEL", arguments->model, "A .thimble file")->required()->type_name("");
  arguments->context.Add(app);
  AddInteger(app, "--sessions", &arguments->context.sessions, 1, 4096, "Sequences at once, each with a cache of its own")
      ->default_str("1");
  AddInteger(app, "--prefix", &arguments->context.prefix, 0, 1 << 24,
             "Tokens that all sessions begin with, stored once; a multiple of 256")
      ->default_str("0");
  app->add_flag("--json", arguments->json, "One JSON object on standard output");
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
