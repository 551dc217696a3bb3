// `thimble inspect`: what a model file says about itself. Reads the header and the start of the tokenizer, no
// weights.
#include <memory>

#include "targets/cli/commands.h"
#include "targets/cli/cut_file.h"
#include "targets/cli/input.h"
#include "targets/cli/inspect_report.h"
#include "targets/cli/output.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble inspect stories-qmqa.thimble
  thimble inspect stories-qmqa.thimble --json | jq .layers[0][0].attention)";

struct Arguments {
  std::string model;
  bool json = false;
};

int Run(const Arguments& arguments) {
  CheckReadable(arguments.model);
  NameMappedFile(arguments.model);
  const Json report = InspectJson(arguments.model);
  if (arguments.json) {
    PrintJson(report);
  } else {
    Print(InspectText(report));
  }
  return 0;
}

}  // namespace

Command AddInspect(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* app = program->add_subcommand("inspect", "Show what a model file holds");
  app->add_option("MODEL", arguments->model, "A .thimble file")->required()->type_name("");
  app->add_flag("--json", arguments->json, "One JSON object on standard output");
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
