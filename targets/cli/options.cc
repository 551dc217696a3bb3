// Arguments that several commands take, checked strictly, and the model and plan that follow from them.
#include "targets/cli/options.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>

#include "targets/cli/call.h"
#include "targets/cli/cut_file.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/interrupt.h"
#include "targets/cli/memory.h"
#include "targets/cli/default_threads.h"
#include "targets/cli/output.h"
#include "targets/cli/progress.h"

namespace thimble::cli {
namespace {

constexpr int64_t kMaxContext = int64_t{1} << 30;

constexpr const char* kRoles[] = {"main", "encoder", "draft"};  // by enum thimble_role

uint32_t FindPart(const thimble_model* model, uint32_t parts, const std::string& part) {
  std::string known;
  auto info = Sized<thimble_model_info>();
  for (uint32_t i = 0; i < parts; ++i) {
    Check(Call(thimble_model_get_part_info, model, i, &info));
    const std::string role = kRoles[info.role];
    if (part == role || part == std::to_string(i)) return i;
    known += (i == 0 ? "" : ", ") + std::to_string(i) + " (" + role + ")";
  }
  throw Error(kOutOfRange, "--part: the file has no " + Quoted(part) + ", only " + known);
}

void CollectLine(void* user, const thimble_plan_line* line) {
  static_cast<std::vector<thimble_plan_line>*>(user)->push_back(*line);
}

}  // namespace

std::string BestTable() {
  const std::string names = thimble_kernel_tables();  // the last of the names is the best
  return names.substr(names.rfind(' ') + 1);
}

void NeedOne(const std::string& names, const std::vector<bool>& given) {
  const auto count = std::count(given.begin(), given.end(), true);
  if (count == 1) return;
  throw Error(kInvalidArgument, names + ": give " + (count == 0 ? "one of these" : "only one of these"));
}

CLI::Option* AddInteger(CLI::App* app, const std::string& names, int64_t* target, int64_t minimum,
                        int64_t maximum, const std::string& help) {
  CLI::Option* option = app->add_option_function<std::string>(
      names, [=](const std::string& text) { *target = ParseInteger(text, minimum, maximum, names); }, help);
  return option->type_name("N");
}

CLI::Option* AddReal(CLI::App* app, const std::string& names, float* target, double minimum, double maximum,
                     const std::string& help) {
  CLI::Option* option = app->add_option_function<std::string>(
      names,
      [=](const std::string& text) {
        *target = static_cast<float>(ParseReal(text, minimum, maximum, names));
      },
      help);
  return option->type_name("X");
}

Model::Model(const std::string& path) : Model(path, "", path) {}
Model::Model(const std::string& path, const std::string& part) : Model(path, part, path) {}

Model::Model(const std::string& file, const std::string& part, const std::string& name) : path_(name), file_(file) {
  CheckReadable(file);
  NameMappedFile(name);
  thimble_model* opened = nullptr;
  Check(Call(thimble_model_open, file.c_str(), &opened), name);
  model_.reset(opened);
  Check(Call(thimble_model_get_info, handle(), &info_));
  if (part.empty()) return;
  part_ = FindPart(handle(), info_.parts, part);
  Check(Call(thimble_model_get_part_info, handle(), part_, &info_));
}

Model::Model(const void* bytes, size_t size, const std::string& name) : path_(name), in_memory_(true) {
  thimble_model* opened = nullptr;
  Check(Call(thimble_model_open_memory, bytes, size, &opened), name);
  model_.reset(opened);
  Check(Call(thimble_model_get_info, handle(), &info_));
}

void Model::NeedTokenizer(const std::string& instead) const {
  if (info_.has_tokenizer) return;
  throw Error(kUnsupported, path_ + ": carries no tokenizer; convert it again with `--tokenizer FILE`" +
                                (instead.empty() ? "" : ", or " + instead));
}

std::vector<int32_t> Model::Tokenize(const std::string& text, uint32_t flags) const {
  size_t count = 0;
  std::vector<int32_t> ids(text.size() + 2);  // no piece is shorter than a byte, and one may stand in front
  thimble_error status =
      Call(thimble_tokenize, handle(), nullptr, text.data(), text.size(), flags, ids.data(), ids.size(), &count);
  if (status.code != 0 && count > ids.size()) {
    ids.resize(count);
    status = Call(thimble_tokenize, handle(), nullptr, text.data(), text.size(), flags, ids.data(), ids.size(), &count);
  }
  Check(status);
  ids.resize(count);
  ids.shrink_to_fit();
  return ids;
}

std::string Model::Piece(int32_t id) const {
  const char* text = "";
  size_t bytes = 0;
  Check(Call(thimble_piece, handle(), id, &text, &bytes));
  return std::string(text, bytes);
}

void TextArguments::Add(CLI::App* app) {
  app->add_option_function<std::string>(
         "-p,--prompt", [this](const std::string& value) { prompt = value, has_prompt = true; }, "The text")
      ->type_name("TEXT");
  app->add_option("-f,--file", file, "Read the text from a file of at most 64 MiB, - is standard input")->type_name("FILE");
}

void TextArguments::AddEscapes(CLI::App* app) {
  app->add_flag("-e,--escape", escape, "Read \\n, \\t, \\\" ... in -p as characters (the default)");
  app->add_flag("--no-escape", no_escape, "Take -p as it is");
}

std::string TextArguments::Read() const {
  if (!file.empty()) return ReadFile(file);
  return no_escape ? prompt : Unescape(prompt);
}

void ContextOptions::AddForOnePass(CLI::App* app) {
  const char* kGroup = "Memory and speed";
  AddInteger(app, "-t,--threads", &threads, 1, THIMBLE_MAX_THREADS,
             Format("Threads, 1 to %d; by default 1 for small models, else the processors, at most 4", THIMBLE_MAX_THREADS))
      ->group(kGroup);
  app->add_option("--kernels", kernels, "By default the best of: " + std::string(thimble_kernel_tables()))
      ->type_name("NAME")
      ->group(kGroup);
  app->add_option("--part", part, "Of a file of several networks: a number, or main, encoder, draft")
      ->type_name("PART")
      ->default_str("main")
      ->group(kGroup);
}

void ContextOptions::Add(CLI::App* app, const char* usual_cache) {
  cache = usual_cache;
  const char* kGroup = "Memory and speed";
  AddInteger(app, "-c,--ctx-size", &context_tokens, 0, kMaxContext,
             "Tokens in the KV cache, 0 = from the model")
      ->default_str("0")
      ->group(kGroup);
  AddForOnePass(app);
  AddInteger(app, "-b,--batch-size,--ubatch-size", &chunk_tokens, 0, 1 << 20,
             "Prompt tokens per pass, 0 = 64")
      ->default_str("0")
      ->group(kGroup);
  // `perplexity` cuts its text into windows of another kind.
  const bool taken = app->get_option_no_throw("--window") != nullptr;
  AddInteger(app, taken ? "--attention-window" : "--window", &window_tokens, 0, kMaxContext,
             "Layers that see the whole text see the last N tokens only, and keep no others; 0 = as the model says")
      ->default_str("0")
      ->group(kGroup);
  AddInteger(app, "--sinks", &sink_tokens, 0, kMaxContext,
             "First tokens that layers with a window always see; 4 are enough for most models")
      ->default_str("0")
      ->group(kGroup);
  app->add_option("--kv", cache, "KV cache rows: f32, f16, q8 or q4; or auto:BYTES (K, M, G): each layer as many bits as fit")
      ->type_name("TYPE")
      ->default_str(usual_cache)
      ->group(kGroup);
  app->add_option("--cache-type-k", key_cache, "The keys alone; also -ctk")->type_name("TYPE")->group(kGroup);
  app->add_option("--cache-type-v", value_cache, "The values alone; also -ctv")
      ->type_name("TYPE")
      ->group(kGroup);
  app->add_option("--kv-min", least_cache, "q8 or q4: how few bits rows may come to by /trim 3 of a conversation; with q4 a ring of newest rows is planned, too")
      ->type_name("TYPE")
      ->group(kGroup);
  app->add_flag("--huge-pages", huge_pages, "Ask the system for huge pages, for the cache, too: less work for it, memory in larger pieces")->group(kGroup);
  app->add_flag("--page-lines", page_lines, "Large lines of the arena begin with a page: what the system says of pages is one line's")->group(kGroup);
  app->add_flag("--no-mmap", copy_weights, "Copy the model into the arena, for files that may change or lie on a slow medium")->group(kGroup);
  app->add_flag("--overcommit", overcommit, "Start although the plan is larger than the memory that is available")->group(kGroup);
  app->add_option_function<std::string>(
         "--mem-budget", [this](const std::string& text) { mem_budget = ParseBytes(text, "--mem-budget"); },
         "Refuse to plan more anonymous memory than this (300MiB, 2G), whatever the machine has")
      ->type_name("BYTES")
      ->group(kGroup);
  app->add_option("--pack-cache", pack_cache,
                  "Keep the weights as the kernels read them in this folder: packed once, mapped from then on, no anonymous memory")
      ->type_name("FOLDER")
      ->group(kGroup);
  placement.Add(app, kGroup);
}

EngineOptions ContextOptions::ForModel(const Model& model) const {
  EngineOptions options;
  options.part = model.part();
  options.context_tokens = static_cast<uint32_t>(context_tokens);
  options.threads = threads == 0 ? DefaultThreads(model.info().file_bytes) : static_cast<uint32_t>(threads);
  options.max_sessions = static_cast<uint32_t>(sessions);
  options.prefix_tokens = static_cast<uint32_t>(prefix);
  options.cpu_mask = placement.Mask();
  options.cpu_strict = static_cast<int32_t>(placement.strict);
  if (const uint64_t fast = FastCpus(); options.cpu_mask == 0 && options.threads <= static_cast<uint32_t>(std::popcount(fast)))
    options.cpu_mask = fast;
  options.chunk_tokens = static_cast<uint32_t>(chunk_tokens);
  options.window_tokens = static_cast<uint32_t>(window_tokens);
  options.sink_tokens = static_cast<uint32_t>(sink_tokens);
  options.logits_rows = logits_rows;
  options.mem_budget_bytes = mem_budget;
  if (!pack_cache.empty()) options.pack_cache = pack_cache.c_str();
  if (!least_cache.empty()) options.min_cache_type = CacheType(least_cache, "--kv-min");
  options.page_lines = page_lines ? 1 : 0;
  options.huge_pages = huge_pages ? 1 : 0;
  options.weights = copy_weights ? THIMBLE_WEIGHTS_COPY : THIMBLE_WEIGHTS_MAP;
  if (cache.starts_with("auto:")) {
    if (!key_cache.empty() || !value_cache.empty())
      throw Error(kInvalidArgument, "--kv: auto chooses keys and values; it cannot be given together with -ctk and -ctv");
    options.kv_budget_bytes = ParseBytes(std::string_view(cache).substr(5), "--kv: auto");
    if (!kernels.empty()) options.kernels = kernels.c_str();
    return options;
  }
  options.key_cache = options.value_cache = CacheType(cache, "--kv");
  if (!key_cache.empty()) options.key_cache = CacheType(key_cache, "-ctk");
  if (!value_cache.empty()) options.value_cache = CacheType(value_cache, "-ctv");
  if (!kernels.empty()) options.kernels = kernels.c_str();
  if (key_cache.empty() != value_cache.empty() && options.key_cache != options.value_cache) {
    thimble_plan plan = Sized<thimble_plan>();
    const int32_t code = Call(thimble_plan_memory, model.handle(), &options, &plan, nullptr, nullptr).code;
    if (code != THIMBLE_OK && code != kOverBudget) {
      // One row per token is key and value, so that one option says it all.
      (key_cache.empty() ? options.key_cache : options.value_cache) =
          key_cache.empty() ? options.value_cache : options.key_cache;
    }
  }
  return options;
}

uint32_t DefaultThreads(uint64_t file_bytes) { return ThreadsFor(file_bytes, FastCpus(), AllowedCpus()); }

int32_t CacheType(const std::string& name, const std::string& option) {
  if (name == "f32") return THIMBLE_CACHE_F32;
  if (name == "f16") return THIMBLE_CACHE_F16;
  if (name == "q8" || name == "q8_0") return THIMBLE_CACHE_Q8;
  if (name == "q4" || name == "q4_0") return THIMBLE_CACHE_Q4;
  throw Error(kInvalidArgument, option + ": must be f32, f16, q8, q4 or auto:BYTES, got " + Quoted(name));
}

const char* KeyCacheName(const EngineOptions& options) {
  return options.kv_budget_bytes != 0 ? "auto" : CacheTypeName(options.key_cache);
}
const char* ValueCacheName(const EngineOptions& options) {
  return options.kv_budget_bytes != 0 ? "auto" : CacheTypeName(options.value_cache);
}

std::string CacheName(const EngineOptions& options) {
  if (options.kv_budget_bytes != 0) return "auto:" + std::to_string(options.kv_budget_bytes);
  const std::string keys = CacheTypeName(options.key_cache), values = CacheTypeName(options.value_cache);
  return keys == values ? keys : keys + "/" + values;
}

const char* CacheTypeName(int32_t type) {
  switch (type) {
    case THIMBLE_CACHE_F32:
      return "f32";
    case THIMBLE_CACHE_F16:
      return "f16";
    case THIMBLE_CACHE_Q8:
      return "q8";
    case THIMBLE_CACHE_Q4:
      return "q4";
    default:
      return "?";
  }
}

double Plan::CutPercent() const {
  if (totals.baseline_kv_bytes_per_token == 0) return 0;
  return 100.0 * (1.0 - static_cast<double>(totals.kv_bytes_per_token) /
                            static_cast<double>(totals.baseline_kv_bytes_per_token));
}

Plan MakePlan(const Model& model, const EngineOptions& options) {
  Plan plan;
  const thimble_error error = Call(thimble_plan_memory, model.handle(), &options, &plan.totals, CollectLine, &plan.lines);
  if (error.code == kOverBudget)
    throw Error(kOverBudget, model.path() + ": the plan takes " + OverBudgetText(plan, options.mem_budget_bytes, "--mem-budget"));
  Check(error, model.path());
  return plan;
}

Plan MakePlanAt(const Model& model, const EngineOptions& options, uint32_t tokens) {
  Plan plan;
  Check(Call(thimble_plan_at, model.handle(), &options, tokens, &plan.totals, CollectLine, &plan.lines), model.path());
  return plan;
}

std::vector<LineSum> AnonymousLines(const Plan& plan) {
  std::vector<LineSum> sums;
  for (const thimble_plan_line& line : plan.lines) {
    if (line.scratch != 0 || line.anonymous_bytes == 0) continue;
    const auto at = std::find_if(sums.begin(), sums.end(), [&](const LineSum& sum) { return sum.name == line.name; });
    (at == sums.end() ? *sums.insert(at, {line.name, 0}) : *at).bytes += line.anonymous_bytes;
  }
  std::stable_sort(sums.begin(), sums.end(), [](const LineSum& a, const LineSum& b) { return a.bytes > b.bytes; });
  return sums;
}

std::string OverBudgetText(const Plan& plan, uint64_t budget, const std::string& option) {
  const uint64_t taken = plan.totals.anonymous_bytes;
  std::string text = Thousands(taken) + " anonymous bytes (" + HumanBytes(taken) + "), " + HumanBytes(taken - budget) + " more than " +
                     option + " allows (" + HumanBytes(budget) + "):";
  size_t shown = 0;
  for (const LineSum& line : AnonymousLines(plan)) {
    if (shown == 5) break;
    text += (shown++ == 0 ? " " : ", ") + line.name + " " + HumanBytes(line.bytes);
  }
  return text + "; `thimble plan MODEL --budget BYTES` says what fits";
}

namespace {

// Once: what loading this model costs each time, and how not to pay it.
void SuggestPacking(const Model& model, const EngineOptions& options, uint64_t loading_ns) {
  constexpr uint64_t kLong_ns = 1000000000;
  static bool said = false;
  if (said || loading_ns < kLong_ns || model.in_memory()) return;
  thimble_plan plan = Sized<thimble_plan>();
  Check(Call(thimble_plan_memory, model.handle(), &options, &plan, nullptr, nullptr));
  if (plan.packed_weight_bytes == 0) return;
  said = true;
  std::fprintf(stderr, "thimble: packing the weights took %.1f s, as it will each time; once and for all: thimble pack %s\n",
               static_cast<double>(loading_ns) * 1e-9, ShellWord(model.path()).c_str());
}

}  // namespace

Session::Session(const Model& model, const EngineOptions& options) : arena_bytes_(MakePlan(model, options).totals.arena_bytes) {
  EngineOptions placed = options;
  TerminalProgress progress("packing the weights", nullptr);
  if (placed.progress == nullptr) {
    placed.progress = TerminalProgress::Show;
    placed.progress_user = &progress;
  }
  {
    const StopAtOnce stop;  // packing a large model takes seconds and leaves nothing behind
    // An engine by itself: others may open sessions beside this one and close them.
    Check(Call(thimble_engine_create, model.handle(), static_cast<const thimble_engine_options*>(&placed), &engine_), model.path());
  }
  progress.Clear();
  Check(Call(thimble_session_open, engine_, &session_), model.path());
  SuggestPacking(model, options, progress.elapsed_ns());
  Place(session_, options);
}

Session::~Session() { thimble_engine_close(engine_); }

// The arena begins with its engine.
uint64_t Session::ResidentArenaBytes() const { return ResidentBytes(engine_, arena_bytes_); }

}  // namespace thimble::cli
