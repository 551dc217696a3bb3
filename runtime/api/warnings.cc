#include "runtime/api/warnings.h"

#include <cinttypes>
#include <cstdio>

#include "ops/pool/thread_pool.h"
#include "runtime/engine.h"

namespace thimble {
namespace {

void WarnAboutWeights(const Network& network, const thimble_engine_options& o) {
  if (network.repacked_weight_bytes == 0) return;
  char text[200];
  std::snprintf(text, sizeof text,
                "the file's weights are packed for other kernels than '%s': %" PRIu64 " bytes were packed anew; "
                "`thimble pack` saves that", network.options.kernels->name, network.repacked_weight_bytes);
  o.log(o.log_user, text);
}

void WarnAboutContext(const Network& network, const thimble_engine_options& o) {
  if (network.options.context_tokens <= network.model.max_positions) return;
  char text[160];
  std::snprintf(text, sizeof text, "context_tokens is %" PRIu32 ", the model was trained for %" PRIu32,
                network.options.context_tokens, network.model.max_positions);
  o.log(o.log_user, text);
}

void WarnAboutProcessors(ThreadPool* pool, const thimble_engine_options& o) {
  if (o.cpu_mask == 0 || pool == nullptr) return;
  uint64_t masks[kMaxThreads];
  ReadCpus(pool, masks);
  for (size_t worker = 1; worker < WorkerCount(pool); ++worker) {
    const uint64_t asked = PlacedCpus({o.cpu_mask, o.cpu_strict != 0}, worker);
    if (masks[worker] == asked || masks[worker] == 0) continue;
    char text[160];
    std::snprintf(text, sizeof text, "cpu_mask: worker %zu was to have processors 0x%" PRIx64 ", the system gave 0x%" PRIx64,
                  worker, asked, masks[worker]);
    o.log(o.log_user, text);
  }
}

}  // namespace

void WarnAbout(thimble_engine* engine, const CallerOptions& caller) {
  if (caller.engine.log == nullptr) return;
  WarnAboutWeights(engine->network(), caller.engine);
  WarnAboutContext(engine->network(), caller.engine);
  WarnAboutProcessors(engine->pool(), caller.engine);
}

}  // namespace thimble
