// thimble: the command line program. Here: arguments to a command, errors to exit codes. Knows no command's
// meaning.
#include <algorithm>
#include <cstdio>
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
#include "targets/cli/llama_options.h"
#include "targets/cli/output.h"
#include "targets/cli/suggest.h"

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

// Whose arguments were not understood: the command that was named, or the program.
const CLI::App& AppAt(const CLI::App& program) {
  const std::vector<const CLI::App*> commands = program.get_subcommands({});
  for (const CLI::App* command : commands)
    if (command->parsed()) return *command;
  return program;
}

std::vector<std::string> NamesOf(const CLI::App& app, bool options) {
  std::vector<std::string> names;
  if (!options) {
    for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
    return names;
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

// What is wrong with the arguments, for people.
std::string Explain(const CLI::App& program, const CLI::ParseError& error) {
  const CLI::App& app = AppAt(program);
  const bool is_command = &app != &program;
  const std::string help = "`thimble" + (is_command ? " " + app.get_name() : "") + " --help` shows the arguments";
  const std::vector<std::string> remaining = app.remaining();
  if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError) || remaining.empty()) return std::string(error.what()) + "; " + help;
  // An option before its value, which was not expected because it was not.
  const auto option = std::find_if(remaining.begin(), remaining.end(), [](const std::string& word) { return word.starts_with("-"); });
  const std::string word = !is_command && !remaining[0].starts_with("-") ? remaining[0] : option != remaining.end() ? *option : remaining[0];
  const bool is_option = word.starts_with("-");
  const std::string nearest = Suggest(word.substr(0, word.find('=')), NamesOf(app, is_option));
  const std::string what = is_option    ? (is_command ? "`thimble " + app.get_name() + "`" : "thimble") + " has no option " + word
                           : is_command ? "not expected: " + Quoted(word)
                                        : "there is no command " + word;
  return what + (nearest.empty() || (is_command && !is_option) ? "; " : "; did you mean " + nearest + "? ") + help;
}

int Main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  // A flag everywhere but there, where it takes a file.
  const bool profile = !arguments.empty() && arguments[0] == "profile";
  const bool json = !profile && std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
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
    const Command commands[] = {AddRun(&program),        AddChat(&program),    AddProfile(&program), AddPlan(&program),    AddInspect(&program),
                                AddVerify(&program),     AddConvert(&program), AddPack(&program), AddTemplate(&program),   AddTokenize(&program),
                                AddPerplexity(&program), AddQuality(&program), AddLogits(&program),  AddEmbed(&program),   AddBench(&program),
                                AddCompletion(&program), AddManual(&program)};
    if (arguments.empty()) {
      std::fputs(program.help().c_str(), stderr);
      return kExitArgument;
    }
    std::vector<std::string> notes;
    arguments = TranslateArguments(arguments, &notes);
    for (const std::string& note : notes) std::fprintf(stderr, "thimble: %s\n", note.c_str());
    std::reverse(arguments.begin(), arguments.end());  // as the parser takes them
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
    return Report(Error(kInvalidArgument, Explain(program, error)), json);
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
