// `thimble bench`: which tests, in which order, on which model. What is measured is measure.cc's.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "targets/convert/pack_file.h"
#include "targets/convert/synthetic.h"
#include "targets/cli/bench/mapped_pages.h"
#include "targets/cli/bench/report.h"
#include "targets/cli/commands.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/memory_report.h"
#include "targets/cli/progress.h"

namespace thimble::cli {
namespace {

constexpr char kFooter[] = R"(Examples:
  thimble bench model.thimble
  thimble bench --shape tinyllama-1.1b -p 512 -n 128 -t 1,2
  thimble bench -m model.thimble -p 0 -n 64 -d 0,4096 --kv f16,q8,q4 -r 3 -o json
  thimble bench --shape smollm2-135m -p 0 -n 8 -d 0,65536 --random-fill --kv q8
  thimble bench --shape tinyllama-1.1b -p 0 -n 32 --sessions 8 --kv q8

Options that take lists take commas, and ranges as llama-bench does: 1-4, 1-8+2, 1-8*2. The machine's limits
(read bandwidth, int8 peak) are measured in the same run; what the columns mean stands in
targets/cli/bench/README.md.)";

constexpr int64_t kMaxTokens = 1 << 24;

struct Arguments {
  std::string model, model_option, shape, weights = "q4", head, output = "md", kernels, packing;
  std::vector<std::string> prompts, generated, pairs, depths, threads, caches, key_caches, value_caches, chunks, sessions;
  int64_t repetitions = 5, seed = 1;
  float delay_seconds = 0;
  PlacementOptions placement;
  bool random_fill = false;
  bool no_warm_up = false, no_limits = false, progress = false, wide = false;
};

// "512,128", "1-4", "1-8+2", "1-8*2", several times.
std::vector<uint32_t> Numbers(const std::vector<std::string>& texts, uint32_t usual, int64_t minimum, int64_t maximum,
                              const std::string& option) {
  std::vector<uint32_t> numbers;
  const auto parse = [&](const std::string& text) { return ParseInteger(text, minimum, maximum, option); };
  for (const std::string& text : texts) {
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find(',', at), text.size());
      const std::string item = text.substr(at, end - at);
      at = end + 1;
      const size_t dash = item.find('-', 1);
      if (dash == std::string::npos) {
        numbers.push_back(static_cast<uint32_t>(parse(item)));
        continue;
      }
      const size_t step_at = item.find_first_of("+*", dash);
      const int64_t first = parse(item.substr(0, dash)), last = parse(item.substr(dash + 1, step_at - dash - 1));
      const bool multiply = step_at != std::string::npos && item[step_at] == '*';
      const int64_t step = step_at == std::string::npos ? 1 : ParseInteger(item.substr(step_at + 1), multiply ? 2 : 1, maximum, option);
      if (first > last || (multiply && first == 0) || numbers.size() > 1000)
        throw Error(kInvalidArgument, option + ": " + Quoted(item) + " is no range");
      for (int64_t x = first; x <= last && numbers.size() <= 1000; x = multiply ? x * step : x + step)
        numbers.push_back(static_cast<uint32_t>(x));
    }
  }
  if (numbers.empty()) numbers.push_back(usual);
  return numbers;
}

std::vector<std::string> Words(const std::vector<std::string>& texts) {
  std::vector<std::string> words;
  for (const std::string& text : texts) {
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find(',', at), text.size());
      words.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  }
  return words;
}

std::vector<BenchTest> Tests(const Arguments& a) {
  std::vector<BenchTest> tests;
  for (const uint32_t n : Numbers(a.prompts, 512, 0, kMaxTokens, "-p")) tests.push_back({n, 0});
  for (const uint32_t n : Numbers(a.generated, 128, 0, kMaxTokens, "-n")) tests.push_back({0, n});
  for (const std::string& pair : a.pairs) {
    const size_t comma = pair.find(',');
    if (comma == std::string::npos)
      throw Error(kInvalidArgument, "-pg: must be two numbers with a comma between them, got " + Quoted(pair));
    tests.push_back({static_cast<uint32_t>(ParseInteger(pair.substr(0, comma), 0, kMaxTokens, "-pg")),
                     static_cast<uint32_t>(ParseInteger(pair.substr(comma + 1), 0, kMaxTokens, "-pg"))});
  }
  std::erase_if(tests, [](const BenchTest& t) { return t.n_prompt + t.n_gen == 0; });
  if (tests.empty()) throw Error(kInvalidArgument, "-p, -n: nothing is left to measure when both are 0");
  return tests;
}

// (keys, values) for each configuration.
std::vector<std::pair<std::string, std::string>> Caches(const Arguments& a) {
  std::vector<std::pair<std::string, std::string>> caches;
  for (const std::string& kv : Words(a.caches)) caches.emplace_back(kv, kv);
  std::vector<std::string> keys = Words(a.key_caches), values = Words(a.value_caches);
  if (!caches.empty() && (!keys.empty() || !values.empty()))
    throw Error(kInvalidArgument, "--kv: cannot be given together with -ctk and -ctv");
  if (keys.empty()) keys.push_back("");
  if (values.empty()) values.push_back("");
  if (caches.empty()) {
    for (const std::string& k : keys) {
      for (const std::string& v : values) caches.emplace_back(k, v);
    }
  }
  return caches;
}

BenchFormat ParseFormat(const std::string& name) {
  if (name == "md") return BenchFormat::kMarkdown;
  if (name == "json") return BenchFormat::kJson;
  if (name == "jsonl") return BenchFormat::kJsonLines;
  if (name == "csv") return BenchFormat::kCsv;
  throw Error(kInvalidArgument, "-o: must be md, json, jsonl or csv, got " + Quoted(name));
}

WeightType Weights(const std::string& text, const char* option) {
  const auto type = WeightTypeFromName(text);
  if (!type) throw Error(kInvalidArgument, std::string(option) + ": must be one of " + WeightTypeNames() + ", got " + Quoted(text));
  return *type;
}

// For the kernels that will run, unless another packing is asked for.
std::string Packing(const Arguments& a) {
  const std::string best = a.kernels.empty() ? BestTable() : a.kernels;
  const std::string packing = a.packing.empty() ? (IsTablePacking(best) ? best : "portable") : a.packing;
  if (!IsTablePacking(packing))
    throw Error(kInvalidArgument, "--pack: must be one of " + TablePackingNames() + ", got " + Quoted(packing));
  return packing;
}

// A random model in a file without a name: it goes when the program ends, however that happens.
class ShapeFile {
 public:
  ShapeFile(const Arguments& a, uint32_t context) {
    SyntheticOptions options;
    options.shape = a.shape;
    options.weights = Weights(a.weights, "--weights");
    if (!a.head.empty()) options.head = Weights(a.head, "--keep-head");
    options.seed = static_cast<uint64_t>(a.seed);
    // Where positions are learned, there must be enough of them.
    for (const SyntheticShape& shape : SyntheticShapes()) {
      if (a.shape == shape.name) options.positions = std::max(shape.positions, context);
    }
    std::error_code failed;
    options.output = std::filesystem::temp_directory_path(failed) / ("thimble-bench-" + std::to_string(getpid()));
    if (failed) throw Error(kIo, "--shape: there is no folder for temporary files; set TMPDIR");
    TerminalProgress shown("writing random weights", nullptr);
    options.progress = [&shown](const ConvertProgress& progress) {
      return TerminalProgress::Show(&shown, progress.done_weights, progress.total_weights) != 0 && !Interrupted();
    };
    WriteSynthetic(options);
    if (const std::string packing = Packing(a); packing != "portable") {
      PackOptions pack;
      pack.source = pack.output = options.output;
      pack.table = packing;
      pack.progress = options.progress;
      try {
        PackFile(pack);
      } catch (...) {
        std::filesystem::remove(options.output, failed);
        throw;
      }
    }
    fd_ = open(options.output.c_str(), O_RDONLY | O_CLOEXEC);
    const int error = errno;
    std::filesystem::remove(options.output, failed);
    if (fd_ < 0) throw IoError(options.output.string(), "cannot be opened", error);
  }
  ~ShapeFile() { close(fd_); }
  ShapeFile(const ShapeFile&) = delete;
  ShapeFile& operator=(const ShapeFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_ = -1;
};

std::string ModelPath(const Arguments& a) {
  if (!a.shape.empty() && (!a.model.empty() || !a.model_option.empty()))
    throw Error(kInvalidArgument, "--shape: cannot be given together with a model");
  if (!a.model.empty() && !a.model_option.empty())
    throw Error(kInvalidArgument, "-m: a model is given already");
  if (a.shape.empty() && a.model.empty() && a.model_option.empty())
    throw Error(kInvalidArgument, "MODEL is missing; or --shape NAME for random weights");
  return a.model.empty() ? a.model_option : a.model;
}

int Run(const Arguments& a) {
  std::string path = ModelPath(a);
  const BenchFormat format = ParseFormat(a.output);
  const std::vector<BenchTest> tests = Tests(a);
  uint32_t longest = 0;
  for (const BenchTest& test : tests) longest = std::max(longest, test.n_prompt + test.n_gen);
  const std::vector<uint32_t> depths = Numbers(a.depths, 0, 0, kMaxTokens, "-d");
  const std::vector<uint32_t> chunks = Numbers(a.chunks, 0, 0, 1 << 20, "-b");
  // Several sessions are shown against one.
  std::vector<uint32_t> sessions = Numbers(a.sessions, 1, 1, 4096, "--sessions");
  std::erase(sessions, 1u);
  sessions.insert(sessions.begin(), 1);
  std::vector<uint32_t> threads;
  if (!a.threads.empty()) threads = Numbers(a.threads, 1, 1, THIMBLE_MAX_THREADS, "-t");
  const auto caches = Caches(a);

  std::unique_ptr<ShapeFile> shape;
  if (!a.shape.empty()) {
    shape = std::make_unique<ShapeFile>(a, longest + *std::max_element(depths.begin(), depths.end()));
    path = shape->path();
  }
  const Model model(path);
  if (!model.info().is_decoder) throw Error(kUnsupported, path + ": is an encoder; bench measures decoders");
  const ModelWork work = ReadModelWork(path);
  if (threads.empty()) threads.push_back(DefaultThreads(model.info().file_bytes));

  // All of them first: later this thread may be bound to one processor, and children inherit that.
  std::map<uint32_t, MachineLimits> limits;
  for (const uint32_t count : threads) {
    if (!a.no_limits && !limits.contains(count)) limits[count] = MeasureLimits(count, a.placement.Mask());
  }
  std::string truth;
  BenchReport report(format, {a.wide, sessions.size() > 1}, ReadMachineState());
  std::set<uint32_t> measured_twice;
  for (const auto& [keys, values] : caches) {
    for (const uint32_t chunk : chunks) {
      for (const uint32_t count : threads) {
        std::optional<double> first_token_ms;
        for (const uint32_t depth : depths) {
          ContextOptions context;
          context.context_tokens = int64_t{depth} + longest;
          context.threads = count;
          context.chunk_tokens = chunk;
          context.kernels = a.kernels;
          context.placement = a.placement;
          if (a.caches.empty()) {
            context.key_cache = keys;
            context.value_cache = values;
          } else {
            context.cache = keys;
          }
          std::vector<double> one;  // tokens a second, of each test
          for (const uint32_t at_once : sessions) {
            context.sessions = at_once;
            BenchSetup setup;
            setup.options = context.ForModel(model);
            setup.options.sampling.temperature = 0;
            setup.options.sampling.top_k = setup.options.sampling.repeat_last_n = 0;
            setup.options.sampling.top_p = 1;
            setup.options.sampling.min_p = 0;
            setup.depth = depth;
            setup.repetitions = static_cast<uint32_t>(a.repetitions);
            setup.warm_up = !a.no_warm_up;
            setup.random_rows = a.random_fill;
            setup.delay_seconds = a.delay_seconds;
            setup.progress = a.progress;
            BenchSession session = Measure(model, setup, tests);
            uint64_t anonymous = 0, of_files = 0;
            for (const BenchResult& result : session.results) {
              anonymous = std::max(anonymous, result.memory.anonymous_bytes);
              of_files = std::max(of_files, result.memory.resident_file_bytes);
            }
            truth = TruthText(session.plan, anonymous, of_files);
            if (!first_token_ms && !a.no_limits) first_token_ms = FirstTokenMs(path, setup.options);
            for (size_t i = 0; i < session.results.size(); ++i) {
              BenchResult& result = session.results[i];
              if (at_once == 1) {
                one.push_back(result.avg_ts);
              } else {
                result.times_one = result.avg_ts / one[i];
              }
              BenchRow row = {&work, shape != nullptr ? work.name : path, setup.options, session.plan, session.load_ms,
                              first_token_ms, session.before, result, limits[count],
                              Format("0x%llx", static_cast<unsigned long long>(setup.options.cpu_mask)),
                              setup.options.cpu_strict != 0, HugeShareOfMapping(path)};
              if (IsAboveLimits(row) && measured_twice.insert(count).second) {
                row.limits = limits[count] = Better(limits[count], MeasureLimits(count, a.placement.Mask()));
              }
              report.Add(row);
            }
          }
        }
      }
    }
  }
  report.Finish();
  // Of what was measured last.
  if (format == BenchFormat::kMarkdown) std::fputs(truth.c_str(), stderr);
  return 0;
}

CLI::Option* AddList(CLI::App* app, const std::string& names, std::vector<std::string>* target, const std::string& help,
                     const char* usual) {
  return app->add_option(names, *target, help)->type_name("LIST")->default_str(usual)->take_all()->expected(1);
}

}  // namespace

Command AddBench(CLI::App* program) {
  auto arguments = std::make_shared<Arguments>();
  Arguments* a = arguments.get();
  CLI::App* app = program->add_subcommand("bench", "Measure speed and memory, as llama-bench does");
  app->add_option("MODEL", a->model, "A .thimble file")->type_name("");
  app->add_option("-m,--model", a->model_option, "The same")->type_name("FILE");
  app->add_option("-o,--output", a->output, "md, json, jsonl or csv")->type_name("FORMAT")->default_str("md");
  AddInteger(app, "-r,--repetitions", &a->repetitions, 1, 10000, "Times that each test is repeated")->default_str("5");
  AddReal(app, "--delay", &a->delay_seconds, 0, 3600, "Seconds of rest before each test")->default_str("0");
  app->add_flag("--wide", a->wide, "With md: all columns instead of 80 characters");
  app->add_flag("--no-warmup", a->no_warm_up, "Count the first run of each test, too");
  app->add_flag("--no-limits", a->no_limits, "Do not measure the machine's limits and the first token");
  app->add_flag("--progress", a->progress, "Say on standard error what is being measured");

  const char* kTests = "Tests";
  AddList(app, "-p,--n-prompt", &a->prompts, "Prompt tokens; 0 = none", "512")->group(kTests);
  AddList(app, "-n,--n-gen", &a->generated, "Tokens decoded one by one; 0 = none", "128")->group(kTests);
  app->add_option("--pg", a->pairs, "Prompt tokens, then decoded ones; also -pg")
      ->type_name("P,N")->take_all()->expected(1)->group(kTests);
  AddList(app, "-d,--n-depth", &a->depths, "Tokens in the context before the test", "0")->group(kTests);
  app->add_flag("--random-fill", a->random_fill, "Fill the depth with random rows, for all types of them, not by reading ids")
      ->group(kTests);
  AddList(app, "-t,--threads", &a->threads, Format("Threads, 1 to %d", THIMBLE_MAX_THREADS), "as thimble run")->group(kTests);
  AddList(app, "--kv", &a->caches, "KV cache rows: f32, f16, q8, q4", "f16")->group(kTests);
  AddList(app, "--cache-type-k", &a->key_caches, "The keys alone; also -ctk", "")->group(kTests);
  AddList(app, "--cache-type-v", &a->value_caches, "The values alone; also -ctv", "")->group(kTests);
  AddList(app, "-b,--batch-size,--ubatch-size", &a->chunks, "Prompt tokens per pass; 0 = as thimble run", "0")->group(kTests);
  AddList(app, "--sessions", &a->sessions, "Sequences at once, in common passes; shown against one", "1")->group(kTests);
  a->placement.Add(app, kTests);
  app->add_option("--kernels", a->kernels, "Kernel table instead of the best one")->type_name("NAME")->group(kTests);

  const char* kShape = "Random weights";
  app->add_option("--shape", a->shape, "Instead of a file; `thimble convert --list` shows the shapes")
      ->type_name("NAME")->group(kShape);
  app->add_option("--weights", a->weights, "f32, q8, q4, or a type of blocks: q8_0, q4_k, ...")->type_name("TYPE")->default_str("q4")->group(kShape);
  app->add_option("--keep-head", a->head, "The head's, by default q8 with q4")->type_name("TYPE")->group(kShape);
  app->add_option("--pack", a->packing, "Kernels to pack for, portable = not; by default those that run")
      ->type_name("TABLE")->group(kShape);
  AddInteger(app, "--seed", &a->seed, 0, INT64_MAX, "Of the weights")->default_str("1")->group(kShape);
  app->footer(kFooter);
  return {app, [arguments] { return Run(*arguments); }};
}

}  // namespace thimble::cli
