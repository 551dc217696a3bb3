// `thimble completion SHELL` and `thimble manual`: what shells complete and the manual page, from the same arguments that --help shows.
#include <cctype>
#include <string>
#include <vector>

#include <thimble/thimble.h>

#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

struct OptionText {
  std::vector<std::string> names;  // "--kv", "-c"
  std::string value;               // "TYPE", empty for a flag
  std::string description, group;
};

std::vector<const CLI::App*> CommandsOf(const CLI::App& program) {
  std::vector<const CLI::App*> commands = program.get_subcommands({});
  std::erase_if(commands, [](const CLI::App* command) { return command->get_group().empty(); });
  return commands;
}

std::vector<OptionText> OptionsOf(const CLI::App& app) {
  std::vector<OptionText> options;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() || option->get_group().empty()) continue;
    OptionText text;
    for (const std::string& name : option->get_lnames()) text.names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) text.names.push_back("-" + name);
    if (option->get_expected_min() > 0 && option->get_type_size() != 0) text.value = option->get_type_name().empty() ? "VALUE" : option->get_type_name();
    text.description = option->get_description();
    text.group = option->get_group();
    options.push_back(std::move(text));
  }
  return options;
}

std::string NamesOf(const CLI::App& app) {
  std::string names;
  for (const OptionText& option : OptionsOf(app))
    for (const std::string& name : option.names) names += (names.empty() ? "" : " ") + name;
  return names;
}

std::string CommandNames(const CLI::App& program) {
  std::string names;
  for (const CLI::App* command : CommandsOf(program)) names += (names.empty() ? "" : " ") + command->get_name();
  return names;
}

// The words of each command, as cases of a shell's `case`.
std::string Cases(const CLI::App& program, const std::string& variable) {
  std::string cases;
  for (const CLI::App* command : CommandsOf(program))
    cases += "    " + command->get_name() + ") " + variable + "=\"" + NamesOf(*command) + "\" ;;\n";
  return cases;
}

std::string Bash(const CLI::App& program) {
  return "# bash completion for thimble: thimble completion bash\n"
         "_thimble() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} words=\"\"\n"
         "  case ${COMP_WORDS[1]} in\n" +
         Cases(program, "words") +
         "  esac\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"" + CommandNames(program) + " " + NamesOf(program) + "\"; fi\n"
         "  COMPREPLY=()\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ] || [ \"${current#-}\" != \"$current\" ]; then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  fi\n"
         "}\n"
         "complete -o default -F _thimble thimble\n";
}

std::string Zsh(const CLI::App& program) {
  return "#compdef thimble\n"
         "# zsh completion for thimble: thimble completion zsh\n"
         "_thimble() {\n"
         "  local names=\"\"\n"
         "  case ${words[2]} in\n" +
         Cases(program, "names") +
         "  esac\n"
         "  if (( CURRENT == 2 )); then\n"
         "    compadd -- " + CommandNames(program) + " " + NamesOf(program) + "\n"
         "  elif [[ ${words[CURRENT]} == -* ]]; then\n"
         "    compadd -- ${=names}\n"
         "  else\n"
         "    _files\n"
         "  fi\n"
         "}\n"
         "_thimble \"$@\"\n";
}

// A description's first sentence, for a column beside the name, in single quotes.
std::string Brief(const std::string& text) {
  std::string brief = "'";
  for (size_t i = 0; i < text.size() && text[i] != '\n' && text.compare(i, 2, ". ") != 0 && text.compare(i, 2, ": ") != 0; ++i)
    brief += text[i] == '\'' ? "\\'" : text[i] == '\\' ? "\\\\" : std::string(1, text[i]);
  return brief + "'";
}

std::string Fish(const CLI::App& program) {
  std::string text = "# fish completion for thimble: thimble completion fish\n";
  const auto options = [&](const CLI::App& app, const std::string& condition) {
    for (const OptionText& option : OptionsOf(app)) {
      text += "complete -c thimble -n '" + condition + "'";
      for (const std::string& name : option.names)
        text += name.starts_with("--") ? " -l " + name.substr(2) : (name.size() == 2 ? " -s " : " -o ") + name.substr(1);
      text += (option.value.empty() ? "" : " -r") + (" -d " + Brief(option.description)) + "\n";
    }
  };
  options(program, "__fish_use_subcommand");
  for (const CLI::App* command : CommandsOf(program)) {
    text += "complete -c thimble -f -n '__fish_use_subcommand' -a " + command->get_name() + " -d " + Brief(command->get_description()) + "\n";
    options(*command, "__fish_seen_subcommand_from " + command->get_name());
  }
  return text;
}

// Text of a manual page: hyphens that are typed stay hyphens, and no line begins with a command of roff.
std::string Roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
  }
  return out;
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

void AddOptions(const CLI::App& app, std::string* page) {
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional() || option->get_group().empty()) continue;
    *page += ".TP\n.I " + Roff(option->get_name(true)) + "\n" + Roff(option->get_description()) + "\n";
  }
  for (const OptionText& option : OptionsOf(app)) {
    *page += ".TP\n";
    for (size_t i = 0; i < option.names.size(); ++i) *page += (i == 0 ? "\\fB" : ", \\fB") + Roff(option.names[i]) + "\\fR";
    if (!option.value.empty()) *page += " \\fI" + Roff(option.value) + "\\fR";
    *page += "\n" + Roff(option.description) + "\n";
  }
}

// What --help has behind the arguments: examples keep their lines.
void AddFooter(const CLI::App& app, std::string* page) {
  if (app.get_footer().empty()) return;
  *page += ".PP\n.nf\n" + Roff(app.get_footer()) + "\n.fi\n";
}

std::string Manual(const CLI::App& program) {
  std::string page = ".TH THIMBLE 1 \"\" \"thimble " + std::string(thimble_version()) + "\" \"User Commands\"\n.SH NAME\nthimble \\- " +
                     "language models inside one memory block whose size is known before loading\n.SH SYNOPSIS\n.B thimble\n.I COMMAND\n" +
                     "[\\fIOPTIONS\\fR]\n.SH DESCRIPTION\n" + Roff(program.get_description()) + "\n.SH OPTIONS\n";
  AddOptions(program, &page);
  for (const CLI::App* command : CommandsOf(program)) {
    page += ".SH THIMBLE " + Upper(command->get_name()) + "\n" + Roff(command->get_description()) + "\n";
    AddOptions(*command, &page);
    AddFooter(*command, &page);
  }
  page += ".SH EXAMPLES AND EXIT STATUS\n";
  AddFooter(program, &page);
  return page;
}

}  // namespace

Command AddCompletion(CLI::App* program) {
  CLI::App* app = program->add_subcommand("completion", "What a shell completes: source it, or put it where the shell looks");
  auto shell = std::make_shared<std::string>();
  app->add_option("SHELL", *shell, "bash, zsh or fish")->required();
  return {app, [program, shell] {
            if (*shell == "bash") Print(Bash(*program));
            else if (*shell == "zsh") Print(Zsh(*program));
            else if (*shell == "fish") Print(Fish(*program));
            else throw Error(kInvalidArgument, "SHELL: must be bash, zsh or fish, got " + Quoted(*shell));
            return 0;
          }};
}

Command AddManual(CLI::App* program) {
  CLI::App* app = program->add_subcommand("manual", "The manual page of all commands, for man: thimble manual | man -l -");
  return {app, [program] {
            Print(Manual(*program));
            return 0;
          }};
}

}  // namespace thimble::cli
