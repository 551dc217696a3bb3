// Arguments that several commands take, checked strictly, and the model and plan that follow from them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <thimble/thimble.hpp>
#include <CLI/CLI.hpp>

#include "targets/cli/placement.h"

namespace thimble::cli {

// `names` as CLI11 takes them ("-n,--predict"). Numbers are parsed strictly: no base prefixes, no trailing
// text.
CLI::Option* AddInteger(CLI::App* app, const std::string& names, int64_t* target, int64_t minimum,
                        int64_t maximum, const std::string& help);
CLI::Option* AddReal(CLI::App* app, const std::string& names, float* target, double minimum, double maximum,
                     const std::string& help);

// Throws unless exactly one of `given` is true; `names` says which options they are.
void NeedOne(const std::string& names, const std::vector<bool>& given);

// The kernels that this machine runs best.
std::string BestTable();

// An open model; closed when it goes.
class Model {
 public:
  explicit Model(const std::string& path);
  // `part` by number or role ("draft"); empty: the main one.
  Model(const std::string& path, const std::string& part);
  // `file` is opened, and `name` stands for it in messages.
  Model(const std::string& file, const std::string& part, const std::string& name);
  // Over bytes that outlive it; `name` stands for the path in messages.
  Model(const void* bytes, size_t size, const std::string& name);

  const thimble_model* handle() const { return model_.get(); }
  const thimble_model_info& info() const { return info_; }  // of the part
  uint32_t part() const { return part_; }
  const std::string& path() const { return path_; }  // for people
  const std::string& file() const { return file_; }  // to open it once more; empty for bytes
  bool in_memory() const { return in_memory_; }

  // Throws kUnsupported with what to do if the model carries no tokenizer.
  void NeedTokenizer(const std::string& instead) const;
  std::vector<int32_t> Tokenize(const std::string& text, uint32_t flags) const;
  std::string Piece(int32_t id) const;

 private:
  std::string path_, file_;
  bool in_memory_ = false;
  // Closes it also where a constructor throws behind opening it.
  struct Closer {
    void operator()(thimble_model* model) const { thimble_model_close(model); }
  };
  std::unique_ptr<thimble_model, Closer> model_;
  uint32_t part_ = 0;
  thimble_model_info info_ = Sized<thimble_model_info>();
};

// A text to read: -p, with escapes as llama.cpp reads them, or -f.
struct TextArguments {
  std::string prompt, file;
  bool has_prompt = false, no_escape = false, escape = false;

  void Add(CLI::App* app);         // -p and -f
  void AddEscapes(CLI::App* app);  // -e and --no-escape
  bool Given() const { return has_prompt || !file.empty(); }
  std::string Read() const;
};

// What decides the plan: -c -t -b --window --sinks --kv -ctk -ctv --kernels --no-mmap --part --mem-budget; and where threads run: -C --cpu-range --cpu-strict.
struct ContextOptions {
  int64_t context_tokens = 0;
  int64_t threads = 0;
  int64_t chunk_tokens = 0;
  // Not options of all commands that take the others.
  int64_t sessions = 1;
  int64_t prefix = 0;
  int64_t window_tokens = 0, sink_tokens = 0;
  uint64_t mem_budget = 0;  // bytes; 0 = none
  std::string pack_cache;   // a folder
  std::string least_cache;  // --kv-min
  std::string cache = "f16", key_cache, value_cache;
  std::string kernels;
  std::string part;  // for Model
  bool copy_weights = false, overcommit = false, huge_pages = false, page_lines = false;
  PlacementOptions placement;
  uint32_t logits_rows = 0;

  // `usual_cache` is what --kv is when it is not given.
  void Add(CLI::App* app, const char* usual_cache = "f16");
  // -t --kernels --part alone.
  void AddForOnePass(CLI::App* app);
  // Pointers in the result refer to this object. If only one of -ctk and -ctv is given and the model stores
  // one row for both, the other follows it.
  EngineOptions ForModel(const Model& model) const;
};

// ThreadsFor (default_threads.h) this machine, by its cpu_capacity.
uint32_t DefaultThreads(uint64_t file_bytes);

// llama.cpp's names for the same idea (q8_0, q4_0) are taken, too. Throws Error about `option`.
int32_t CacheType(const std::string& name, const std::string& option);
const char* CacheTypeName(int32_t type);
// "auto" where a budget chooses.
const char* KeyCacheName(const EngineOptions& options);
const char* ValueCacheName(const EngineOptions& options);
// "q8", "q8/q4" (keys/values) or "auto:BYTES".
std::string CacheName(const EngineOptions& options);

struct Plan {
  thimble_plan totals = Sized<thimble_plan>();
  std::vector<thimble_plan_line> lines;

  double CutPercent() const;
};
// Throws kOverBudget, with the largest lines, where the options have a budget that it passes.
Plan MakePlan(const Model& model, const EngineOptions& options);
// What of it is touched when every session has read so many tokens.
Plan MakePlanAt(const Model& model, const EngineOptions& options, uint32_t tokens);

// Lines of one name together, without scratch and what is mapped; the largest first.
struct LineSum {
  std::string name;
  uint64_t bytes = 0;
};
std::vector<LineSum> AnonymousLines(const Plan& plan);
// "N anonymous bytes (...), M more than OPTION allows (...): kv_cache 1 MiB, ...".
std::string OverBudgetText(const Plan& plan, uint64_t budget, const std::string& option);

// A session in an arena of the library's, its threads where the options want them.
class Session {
 public:
  Session(const Model& model, const EngineOptions& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  thimble_session* handle() const { return session_; }
  // Of the arena, whole pages that are in memory now.
  uint64_t ResidentArenaBytes() const;

 private:
  thimble_engine* engine_ = nullptr;
  thimble_session* session_ = nullptr;
  uint64_t arena_bytes_ = 0;
};

}  // namespace thimble::cli
