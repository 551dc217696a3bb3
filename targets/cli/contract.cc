#include "targets/cli/contract.h"

#include "targets/cli/error.h"
#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

// Pointers lie in what is promised.
void NeedWideAddresses() {
  if (sizeof(void*) != 8) throw Error(kUnsupported, "memory contracts are about programs of 64 bits, and this one has 32");
}

EngineOptions OptionsOf(const MemoryContract& c, const std::string& kernels) {
  EngineOptions options;
  options.context_tokens = c.context_tokens;
  options.chunk_tokens = c.chunk_tokens;
  options.max_sessions = c.max_sessions;
  options.threads = c.threads;
  options.key_cache = static_cast<int32_t>(c.key_cache);
  options.value_cache = static_cast<int32_t>(c.value_cache);
  options.window_tokens = c.window_tokens;
  options.sink_tokens = c.sink_tokens;
  options.prefix_tokens = c.prefix_tokens;
  options.kernels = kernels.c_str();
  return options;
}

}  // namespace

MemoryContract ContractFor(const EngineOptions& options, const thimble_plan& plan) {
  NeedWideAddresses();
  if (options.kv_budget_bytes != 0) throw Error(kInvalidArgument, "--contract: needs one type of rows for all layers, not --kv auto");
  if (options.weights != THIMBLE_WEIGHTS_MAP) throw Error(kInvalidArgument, "--contract: is about weights that stay in the file, not --no-mmap");
  MemoryContract c;
  c.kernels = plan.kernels;
  c.key_cache = static_cast<uint32_t>(options.key_cache);
  c.value_cache = static_cast<uint32_t>(options.value_cache);
  c.threads = plan.threads;
  c.context_tokens = plan.context_tokens;
  c.chunk_tokens = plan.chunk_tokens;
  c.max_sessions = plan.max_sessions;
  c.window_tokens = options.window_tokens;
  c.sink_tokens = options.sink_tokens;
  c.prefix_tokens = plan.prefix_tokens;
  c.page_bytes = plan.page_bytes;
  c.anonymous_bytes = plan.anonymous_bytes;
  c.file_backed_bytes = plan.mapped_bytes;
  return c;
}

std::string ContractText(const MemoryContract& c) {
  const std::string keys = CacheTypeName(static_cast<int32_t>(c.key_cache)), values = CacheTypeName(static_cast<int32_t>(c.value_cache));
  return Format("%s tokens, %s rows, %u thread%s, %u session%s, %u a pass, kernels %s: %s bytes anonymous, %s file-backed",
                Thousands(c.context_tokens).c_str(), (keys == values ? keys : keys + "/" + values).c_str(), c.threads, c.threads == 1 ? "" : "s",
                c.max_sessions, c.max_sessions == 1 ? "" : "s", c.chunk_tokens, std::string(c.kernels).c_str(),
                Thousands(c.anonymous_bytes).c_str(), Thousands(c.file_backed_bytes).c_str());
}

std::vector<std::string> CheckContracts(const Model& model) {
  NeedWideAddresses();
  ModelFile file;
  const Status status = file.Open(model.path().c_str());
  if (!status.ok()) throw Error(static_cast<int>(status.code), model.path() + ": " + status.what);
  const Header& header = file.header();
  if (header.contracts() == 0)
    throw Error(kUnsupported, model.path() + ": carries no memory contract; `thimble pack " + ShellWord(model.path()) + " --contract` writes one");
  std::vector<std::string> kept;
  for (uint32_t i = 0; i < header.contracts(); ++i) {
    const MemoryContract c = header.contract(i);
    const std::string text = ContractText(c), kernels(c.kernels);
    const Plan plan = MakePlan(model, OptionsOf(c, kernels));
    if (plan.totals.page_bytes != c.page_bytes) {
      throw Error(kUnsupported, model.path() + Format(": a contract for pages of %u bytes cannot be checked where they have %u", c.page_bytes,
                                                      plan.totals.page_bytes));
    }
    if (plan.totals.anonymous_bytes != c.anonymous_bytes || plan.totals.file_backed_bytes != c.file_backed_bytes) {
      throw Error(THIMBLE_INVALID_MODEL, model.path() + ": the memory contract is not kept: " + text + "; the plan has " +
                                             Thousands(plan.totals.anonymous_bytes) + " and " + Thousands(plan.totals.file_backed_bytes));
    }
    kept.push_back(text);
  }
  return kept;
}

}  // namespace thimble::cli
