// `thimble profile`: a run that explains every byte and every millisecond; or two such reports compared.
#include <cmath>
#include <memory>
#include <optional>

#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/output.h"
#include "targets/cli/output_file.h"
#include "targets/cli/plan_check.h"
#include "targets/cli/profile/profile_diff.h"
#include "targets/cli/profile/profile_json.h"
#include "targets/cli/profile/profile_page.h"
#include "targets/cli/profile/profile_run.h"
#include "targets/cli/profile/profile_text.h"
#include "targets/cli/profile/profile_trace.h"
#include "targets/cli/run_arguments.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble profile stories-qmqa.thimble -p "Once upon a time" -n 100
  thimble profile stories-qmqa.thimble -p "Once upon a time" -n 100 --html profile.html
  thimble profile stories-qmqa.thimble -f prompt.txt -c 256 --kv q8 --json q8.json --trace q8.trace.json
  thimble profile --diff f16.json q8.json

Loads the model, reads the prompt, writes an answer that is not shown, and says of every line of the plan how much of it is in
memory, and of every operation how long it took. Nothing is allocated while it records; samples of memory are taken between passes
and so seldom that they take a hundredth of the time (--every 0: after each pass, whatever that takes). The page opens without a
network; the trace opens in Perfetto and chrome://tracing.)";

struct Arguments : RunArguments {
  std::string ids, html, report, trace;
  std::vector<std::string> diff;
  int64_t every_ms = 20, slices = 0;
};

struct Outputs {
  std::optional<OutputFile> html, json, trace;
};

Outputs CheckOutputs(const Arguments& arguments) {
  OutputFiles files(arguments.force);
  files.Reads(arguments.model);
  files.Reads(arguments.text.file);
  for (const std::string& report : arguments.diff) files.Reads(report);
  Outputs outputs;
  if (!arguments.html.empty()) outputs.html = files.Writes("--html", arguments.html, OutputKind::kProfilePage);
  if (!arguments.report.empty() && arguments.report != "-") outputs.json = files.Writes("--json", arguments.report, OutputKind::kProfileJson);
  if (!arguments.trace.empty()) outputs.trace = files.Writes("--trace", arguments.trace, OutputKind::kProfileTrace);
  return outputs;
}

void Show(const Arguments& arguments, const Outputs& outputs, const Json& report, const std::string& text) {
  if (outputs.json) outputs.json->Write(JsonText(report, 0) + "\n");
  if (arguments.report == "-") {
    PrintJson(report);
  } else {
    Print(text);
  }
}

Json ReadReport(const std::string& path) {
  try {
    Json report = ParseJson(ReadFile(path));
    CheckProfileJson(report, path);
    return report;
  } catch (const JsonError& error) {
    throw Error(kInvalidArgument, path + ": " + error.what());
  }
}

int Compare(const Arguments& arguments) {
  if (!arguments.model.empty() || arguments.text.Given() || !arguments.html.empty() || !arguments.trace.empty())
    throw Error(kInvalidArgument, "--diff: compares two reports and runs nothing; give --json alone with it");
  const Outputs outputs = CheckOutputs(arguments);
  const Json before = ReadReport(arguments.diff[0]), after = ReadReport(arguments.diff[1]);
  try {
    const Json diff = ProfileDiffJson(before, after);
    Show(arguments, outputs, diff, ProfileDiffText(diff));
  } catch (const JsonError& error) {
    throw Error(kInvalidArgument, arguments.diff[0] + " or " + arguments.diff[1] + ": is not as `thimble profile --json` writes it: " + error.what());
  }
  return 0;
}

// As many as operations of the run, where these are not too many: a layer has two blocks of five, most of the time.
uint32_t Slices(const Arguments& arguments, const Model& model, const EngineOptions& options, size_t prompt_tokens) {
  constexpr uint64_t kMost = 65536, kOfLayer = 10, kOfPass = 3;
  if (arguments.slices != 0) return static_cast<uint32_t>(arguments.slices);
  const thimble_plan totals = MakePlan(model, options).totals;
  const uint64_t context = totals.context_tokens, chunk = totals.chunk_tokens;
  const uint64_t answer = arguments.ends.max_tokens < 0 ? context : std::min(static_cast<uint64_t>(arguments.ends.max_tokens), context);
  const uint64_t passes = prompt_tokens / chunk + 1 + answer;
  return static_cast<uint32_t>(std::min(passes * (model.info().layers * kOfLayer + kOfPass), kMost));
}

ProfileRequest MakeRequest(const Arguments& arguments, const Model& model) {
  ProfileRequest request;
  request.ids = arguments.ids.empty() ? model.Tokenize(arguments.PromptText(), THIMBLE_ADD_BOS) : ParseIds(arguments.ids, "--ids");
  request.max_tokens = arguments.ends.max_tokens;
  request.ignore_ends = arguments.ends.ignore_ids;
  request.every_ns = static_cast<uint64_t>(arguments.every_ms) * 1000000u;
  return request;
}

int Run(Arguments arguments) {
  if (!arguments.diff.empty()) return Compare(arguments);
  if (arguments.model.empty()) throw Error(kInvalidArgument, "MODEL is missing, or --diff with two reports; `thimble profile --help` shows the arguments");
  if (!arguments.text.Given() && arguments.ids.empty() && InputIsPiped()) arguments.text.file = "-";
  if (arguments.text.has_prompt + !arguments.text.file.empty() + !arguments.ids.empty() > 1)
    throw Error(kInvalidArgument, "-p, -f, --ids: give only one of these");
  const Model model(arguments.model, arguments.context.part);
  if (!model.info().is_decoder) throw Error(kUnsupported, model.path() + ": is an encoder and generates no text");
  if (arguments.ids.empty()) model.NeedTokenizer("give ids with --ids");
  EngineOptions options = arguments.ForModel(model);
  const ProfileRequest request = MakeRequest(arguments, model);
  options.profile_slices = Slices(arguments, model, options, request.ids.size());
  const Plan plan = MakePlan(model, options);
  const Outputs outputs = CheckOutputs(arguments);
  CheckMemory(model, options, arguments.context.overcommit);
  if (request.ids.empty()) throw Error(kInvalidArgument, "-p: the prompt is empty, and this model has no token that begins a text");
  if (request.ids.size() > plan.totals.context_tokens)
    throw Error(kContextFull, Format("the prompt has %zu tokens and the context only %u", request.ids.size(), plan.totals.context_tokens));

  const std::unique_ptr<Recording> recording = RecordRun(model, options, request);
  const Json report = ProfileJson(model, options, *recording);
  if (outputs.html) outputs.html->Write(ProfilePage(report));
  if (outputs.trace) outputs.trace->Write(JsonText(ProfileTrace(model, *recording), 0) + "\n");
  Show(arguments, outputs, report, ProfileText(report));
  return recording->stop == StopReason::kCancelled ? kExitCancelled : 0;
}

}  // namespace

Command AddProfile(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app = program->add_subcommand("profile", "Explain every byte and every millisecond of a run");
  app->add_option("MODEL", a->model, "A .thimble file")->type_name("");
  a->text.Add(app);
  a->text.AddEscapes(app);
  app->add_option("--ids", a->ids, "The prompt as ids")->type_name("LIST");
  AddInteger(app, "-n,--predict,--n-predict", &a->ends.max_tokens, -1, INT32_MAX,
             "Tokens to generate, -1 = until the text ends or the context is full")
      ->default_str("-1");
  app->add_flag("--ignore-eos", a->ends.ignore_ids, "Go on where the model would end its text");
  app->add_option("--html", a->html, "Write the report as one page, for people; needs no network")->type_name("FILE");
  app->add_option("--json", a->report, "Write the whole report for programs; - is standard output")->type_name("FILE");
  app->add_option("--trace", a->trace, "Write passes, operations and memory in the trace-event format, for Perfetto")->type_name("FILE");
  app->add_option("--diff", a->diff, "Instead: compare two reports of --json")->type_name("FILE FILE")->expected(2);
  AddInteger(app, "--every", &a->every_ms, 0, 3600000, "Milliseconds between samples of memory, at least; 0 = after every pass")
      ->default_str("20");
  AddInteger(app, "--slices", &a->slices, 0, 1 << 24,
             "Operations that are kept one by one, the newest, 24 bytes each; 0 = all of the run, at most 65536")
      ->default_str("0");
  app->add_flag("--force", a->force, "Files of other kinds may be replaced, too; never what is read");
  a->AddSampling(app);
  a->context.Add(app);
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
