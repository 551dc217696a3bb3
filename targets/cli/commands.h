// The commands: each adds its arguments to the program and gives back what runs it. One file per command.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

namespace thimble::cli {

struct Command {
  CLI::App* app;
  std::function<int()> run;  // the exit code; throws Error
};

Command AddChat(CLI::App* program);
Command AddRun(CLI::App* program);
Command AddProfile(CLI::App* program);
Command AddPlan(CLI::App* program);
Command AddInspect(CLI::App* program);
Command AddVerify(CLI::App* program);
Command AddConvert(CLI::App* program);
Command AddPack(CLI::App* program);
Command AddTemplate(CLI::App* program);
Command AddTokenize(CLI::App* program);
Command AddPerplexity(CLI::App* program);
Command AddQuality(CLI::App* program);
Command AddLogits(CLI::App* program);
Command AddEmbed(CLI::App* program);
Command AddBench(CLI::App* program);
Command AddCompletion(CLI::App* program);
Command AddManual(CLI::App* program);

}  // namespace thimble::cli
