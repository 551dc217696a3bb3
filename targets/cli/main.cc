// thimble: the command line program. Here: arguments to a command, errors to exit codes. Knows no command's
// meaning.
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <thimble/thimble.hpp>
#include <CLI/CLI.hpp>

#include "targets/convert/import_error.h"
#include "format/writer.h"
#include "targets/cli/commands.h"
#include "targets/cli/cut_file.h"
#include "targets/cli/error.h"
#include "targets/cli/help.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] =
    R"(Examples:
  thimble run stories-qmqa.thimble -p "Once upon a time"
  thimble plan stories-qmqa.thimble -c 512 --kv q8
  thimble convert my-model/ -o my-model.thimble --weights q8
  thimble COMMAND --help    shows the arguments of a command

Exit codes: 0 ok, 2 argument, 3 bad model, 4 unsupported, 5 memory, 6 I/O, 7 run limit, 130 cancelled.)";

constexpr char kLicenses[] =
#include "notices.inc"  // made by toolchains/cmake/notices.cmake
    ;

// The two-letter options that users of llama.cpp type, as long ones; the parser knows single letters only.
std::string Translate(const std::string& argument) {
  static constexpr struct {
    const char* from;
    const char* to;
  } kNames[] = {{"-ctk", "--cache-type-k"}, {"-ctv", "--cache-type-v"}, {"-ub", "--ubatch-size"}, {"-pg", "--pg"}, {"-Cr", "--cpu-range"},
                {"-cnv", "--conversation"}};
  for (const auto& name : kNames) {
    const size_t length = std::strlen(name.from);
    if (argument == name.from) return name.to;
    if (argument.compare(0, length, name.from) == 0 && argument[length] == '=')
      return name.to + argument.substr(length);
  }
  return argument;
}

int Main(int argc, char** argv) {
  std::vector<std::string> arguments;  // in reverse, as the parser takes them
  bool json = false;
  for (int i = argc - 1; i > 0; --i) {
    arguments.push_back(Translate(argv[i]));
    json = json || arguments.back() == "--json";
  }

  SetJsonErrors(json);

  CLI::App program("Transformer language models inside one memory block whose size is known before loading.",
                   "thimble");
  program.set_version_flag("--version", std::string("thimble ") + thimble_version(), "Print the version");
  bool licenses = false;
  program.add_flag("--licenses", licenses, "Print the licences of everything that is linked in");
  program.set_help_flag("-h,--help", "Print this help");
  program.footer(kFooter);
  program.formatter(MakeHelpFormatter());

  try {
    const Command commands[] = {AddRun(&program),        AddPlan(&program),    AddInspect(&program),
                                AddVerify(&program),     AddConvert(&program), AddPack(&program), AddTokenize(&program),
                                AddPerplexity(&program), AddQuality(&program), AddLogits(&program),  AddEmbed(&program),   AddBench(&program)};
    if (arguments.empty()) {
      std::fputs(program.help().c_str(), stderr);
      return kExitArgument;
    }
    program.parse(arguments);
    if (licenses) {
      Print(kLicenses);
      return 0;
    }
    for (const Command& command : commands)
      if (command.app->parsed()) return command.run();
    throw Error(kInvalidArgument, "a command is missing; `thimble --help` shows them");
  } catch (const CLI::Success& request) {
    // --help and --version
    program.exit(request);
    return std::fflush(stdout) == 0 ? 0 : ExitCodeOf(kIo);
  } catch (const CLI::ParseError& error) {
    std::string hint;
    for (const CLI::App* sub : program.get_subcommands()) hint = " " + sub->get_name();
    return Report(Error(kInvalidArgument,
                        std::string(error.what()) + "; `thimble" + hint + " --help` shows the arguments"),
                  json);
  } catch (const PipeClosed&) {
    return 0;
  } catch (const Error& error) {
    return Report(error, json);
  } catch (const ImportError& error) {
    return Report(Error(static_cast<int>(error.code()), error.what()), json);
  } catch (const WriteError& error) {
    return Report(Error(static_cast<int>(error.code), error.what()), json);
  } catch (const std::bad_alloc&) {
    return Report(Error(kOutOfMemory, "the system has no memory left"), json);
  } catch (const std::exception& error) {
    return Report(Error(kInvalidArgument, error.what()), json);
  }
}

}  // namespace
}  // namespace thimble::cli

int main(int argc, char** argv) {
  thimble::cli::InstallSignalHandlers();
  return thimble::cli::Main(argc, argv);
}
