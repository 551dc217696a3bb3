// C API: on which processors a session's threads run.
#include "ops/pool/thread_pool.h"
#include "runtime/api/handles.h"
#include "runtime/cpu_topology.h"

using namespace thimble;

extern "C" {

thimble_status thimble_thread_cpus(thimble_session* session, uint64_t* masks, size_t capacity, size_t* count) {
  if (session == nullptr) return ToC(NullArgument("session"));
  if (masks == nullptr) return ToC(NullArgument("masks"));
  if (count == nullptr) return ToC(NullArgument("count"));
  *count = WorkerCount(session->engine().pool());
  if (capacity < *count) {
    return ToC(Status::Error(Code::kOutOfRange, "one mask per thread").Field("masks").Got(capacity).Wanted(*count));
  }
  ReadCpus(session->engine().pool(), masks);
  return ToC(Status::Ok());
}

uint64_t thimble_performance_cpus(void) { return PerformanceCpus(); }

}  // extern "C"
