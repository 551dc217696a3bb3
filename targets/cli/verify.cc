// `thimble verify`: reads every byte of a model file and says whether it is sound.
#include <memory>

#include "targets/cli/call.h"
#include "targets/cli/commands.h"
#include "targets/cli/contract.h"
#include "targets/cli/error.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble verify stories-qmqa.thimble
  thimble verify stories-qmqa.thimble --json
  thimble verify packed.thimble --contract

Checks the header, the checksum of every segment, the bytes between segments, the tokenizer's
order, and that every weight is a finite number. Exit code 0: sound; 3: not, and the message says
what and where.)";

struct Arguments {
  std::string model;
  bool contract = false;
  bool json = false;
};

int32_t GoOn(void*, uint64_t, uint64_t) { return !Interrupted(); }

int Run(const Arguments& arguments) {
  const Model model(arguments.model);
  Check(Call(thimble_model_verify, model.handle(), GoOn, nullptr), model.path());
  std::vector<std::string> contracts;
  if (arguments.contract) contracts = CheckContracts(model);
  if (arguments.json) {
    Json report = {{"ok", true}, {"model", model.path()}, {"file_bytes", model.info().file_bytes}};
    if (arguments.contract) report["contracts_kept"] = Json(contracts);
    PrintJson(report);
  } else {
    Print(model.path() + ": ok, " + Thousands(model.info().file_bytes) + " bytes read\n");
    for (const std::string& text : contracts) Print("contract kept: " + text + "\n");
  }
  return 0;
}

}  // namespace

Command AddVerify(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* app = program->add_subcommand("verify", "Read every byte of a model and say whether it is sound");
  app->add_option("MODEL", arguments->model, "A .thimble file")->required()->type_name("");
  app->add_flag("--contract", arguments->contract, "Also compare the file's memory contract with the plan, to the byte");
  app->add_flag("--json", arguments->json, "One JSON object on standard output");
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
