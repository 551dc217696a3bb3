// `thimble pack`: the same model with its weights as the kernels of a machine read them, so that loading copies
// nothing. The work is targets/convert's.
#include <chrono>
#include <memory>

#include <thimble/thimble.hpp>
#include "targets/convert/pack_file.h"
#include "targets/cli/commands.h"
#include "targets/cli/contract.h"
#include "targets/cli/error.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"
#include "targets/cli/progress.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kFooter[] = R"(Examples:
  thimble pack stories-qmqa.thimble
  thimble pack stories-qmqa.thimble --for neondot -o stories-qmqa.neondot.thimble
  thimble pack stories-qmqa.thimble --contract -c 512 --kv q8
  thimble pack stories-qmqa.neondot.thimble --for portable -o stories-qmqa.thimble

A packed file is used as it lies in the mapping: no copy in the arena, no time at loading. It still runs
everywhere: where the kernels want another layout it is repacked into the arena; `thimble plan` says so.
Without --for the packing is that of this machine's best kernels. Without -o the file itself is replaced,
when the new one is complete. The bytes are the same whatever machine writes them.)";

struct Arguments {
  std::string model, output, table;
  ContextOptions context;  // of the contract
  bool contract = false, force = false, json = false, quiet = false;
};

int Run(const Arguments& arguments) {
  PackOptions options;
  options.source = arguments.model;
  options.table = arguments.table.empty() ? BestTable() : arguments.table;
  if (options.table == "scalar") options.table = "portable";
  { const Model checked(arguments.model); }
  OutputFiles files(arguments.force);
  files.Reads(arguments.model, OutputKind::kModel);
  const std::string output = arguments.output.empty() ? arguments.model : arguments.output;
  options.output = files.Writes("-o", output, OutputKind::kModel).path();

  MemoryContract contract;
  ContextOptions context = arguments.context;
  if (context.kernels.empty()) context.kernels = options.table == "portable" ? "scalar" : options.table;
  if (arguments.contract) {
    options.contract = [&](const void* bytes, size_t size) {
      try {
        const Model image(bytes, size, output);
        EngineOptions engine = context.ForModel(image);
        // The same on every machine.
        if (context.threads == 0) engine.threads = 1;
        return contract = ContractFor(engine, MakePlan(image, engine).totals);
      } catch (const Error& error) {  // of the options, not of the file
        throw ImportError(static_cast<Code>(error.code), error.what());
      }
    };
  }
  ProgressBar bar(arguments.quiet);
  options.progress = [&bar](const ConvertProgress& progress) { return bar.Show(progress); };
  const auto start = Clock::now();
  const PackReport report = PackFile(options);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  bar.Clear();
  if (arguments.json) {
    PrintJson({{"output", output},
               {"packing", options.table},
               {"packed_tensors", report.packed_tensors},
               {"packed_bytes", report.packed_bytes},
               {"source_bytes", report.source_bytes},
               {"file_bytes", report.file_bytes},
               {"peak_buffer_bytes", report.peak_buffer_bytes},
               {"contract", arguments.contract ? Json(ContractText(contract)) : Json()},
               {"seconds", seconds}});
  } else if (!arguments.quiet) {
    Print(Format("%s: %s, %s tensors packed in %s bytes; %s bytes in all, was %s; %.1f s\n", output.c_str(),
                 options.table.c_str(), Thousands(report.packed_tensors).c_str(),
                 Thousands(report.packed_bytes).c_str(), Thousands(report.file_bytes).c_str(),
                 Thousands(report.source_bytes).c_str(), seconds));
    if (arguments.contract) Print("contract: " + ContractText(contract) + "\n");
  }
  return 0;
}

}  // namespace

Command AddPack(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app = program->add_subcommand("pack", "Rewrite a model for the kernels of a machine");
  app->add_option("MODEL", a->model, "A .thimble file")->required()->type_name("");
  app->add_option("-o,--output", a->output, "The file to write, by default MODEL itself")->type_name("FILE");
  app->add_option("--for", a->table, "Kernels to pack for: " + TablePackingNames())
      ->type_name("TABLE")
      ->default_str("this machine's best");
  app->add_flag("--contract", a->contract, "Write into the file what memory it takes, with the options below, which `verify --contract` checks");
  app->add_flag("--force", a->force, "Replace a file that is no .thimble file");
  app->add_flag("-q,--quiet", a->quiet, "No progress and no report");
  app->add_flag("--json", a->json, "The report as one JSON object on standard output");
  a->context.Add(app);
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
