#include "runtime/api/options.h"

#include "runtime/api/sized.h"

namespace thimble {

Status ReadSampling(const thimble_sampling* caller, thimble_sampling* out) {
  constexpr thimble_sampling kDefaults = THIMBLE_SAMPLING_DEFAULTS;
  THIMBLE_RETURN_IF_ERROR(ReadStruct(caller, kDefaults, "sampling", out));
  if (out->reserved == 0) return Status::Ok();
  return Status::Error(Code::kUnknownField, "must be zero").At("sampling").Field("reserved")
      .Offset(offsetof(thimble_sampling, reserved));
}

Status ReadOptions(const thimble_engine_options* caller, CallerOptions* out) {
  THIMBLE_RETURN_IF_ERROR(ReadStruct(caller, thimble_engine_options(), "options", &out->engine));
  THIMBLE_RETURN_IF_ERROR(ReadSampling(out->engine.sampling, &out->sampling));
  out->engine.sampling = nullptr;
  return Status::Ok();
}

}  // namespace thimble
