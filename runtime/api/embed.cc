// C API: one vector for a text, from an encoder's rows.
#include <cmath>
#include <string_view>

#include "format/metadata_keys.h"
#include "runtime/api/error.h"
#include "runtime/engine.h"

using namespace thimble;

namespace {

std::string_view Metadata(const Header& header, std::string_view key) {
  for (uint32_t i = 0; i < header.metadata(); ++i) {
    if (header.metadata_key(i) == key) return header.metadata_value(i);
  }
  return {};
}

int32_t PoolingOf(const Header& header) {
  const std::string_view name = Metadata(header, kPoolingKey);
  return name == "first" ? THIMBLE_POOLING_FIRST : name == "last" ? THIMBLE_POOLING_LAST : THIMBLE_POOLING_MEAN;
}

// Rows come one by one.
struct Pool {
  int32_t pooling;
  float* sum;
  size_t width, rows;

  static int32_t Take(void* user, size_t position, const float* row) {
    const Pool& pool = *static_cast<Pool*>(user);
    if (pool.pooling == THIMBLE_POOLING_FIRST && position != 0) return 1;
    if (pool.pooling == THIMBLE_POOLING_LAST && position + 1 != pool.rows) return 1;
    const float share = pool.pooling == THIMBLE_POOLING_MEAN ? 1.0f / static_cast<float>(pool.rows) : 1.0f;
    for (size_t i = 0; i < pool.width; ++i) pool.sum[i] += share * row[i];
    return 1;
  }
};

Status BringToLengthOne(float* vector, size_t count) {
  double square = 0;
  for (size_t i = 0; i < count; ++i) square += static_cast<double>(vector[i]) * static_cast<double>(vector[i]);
  if (!(square > 0)) return Status::Error(Code::kNotFinite, "the pooled row has no direction");
  const float factor = static_cast<float>(1 / std::sqrt(square));
  for (size_t i = 0; i < count; ++i) vector[i] *= factor;
  return Status::Ok();
}

Status Embed(thimble_session& session, const int32_t* ids, size_t count, int32_t pooling, float* vector, size_t length) {
  if (vector == nullptr) return NullArgument("vector");
  const size_t outputs = session.engine().network().model.outputs;
  if (length != outputs) return Status::Error(Code::kInvalidArgument, "a vector has as many numbers as the model outputs").Field("length").Got(length).Wanted(outputs);
  if (pooling < THIMBLE_POOLING_MODEL || pooling > THIMBLE_POOLING_LAST) return Status::Error(Code::kInvalidArgument, "is none of enum thimble_pooling").Field("pooling");
  const Header& header = thimble_engine_model(thimble_session_engine(&session))->file->header();
  Pool pool{pooling == THIMBLE_POOLING_MODEL ? PoolingOf(header) : pooling, vector, outputs, count};
  for (size_t i = 0; i < outputs; ++i) vector[i] = 0;
  THIMBLE_RETURN_IF_ERROR(session.EncodeRows(ids, count, Pool::Take, &pool));
  return Metadata(header, kNormaliseKey) == "false" ? Status::Ok() : BringToLengthOne(vector, outputs);
}

}  // namespace

enum thimble_code thimble_embed(thimble_session* session, const int32_t* ids, size_t count, int32_t pooling, float* vector,
                                size_t length, thimble_error* error) {
  if (session == nullptr) return Return(NullArgument("session"), error);
  const SessionUse use(session);
  return Return(use.status().ok() ? Embed(*session, ids, count, pooling, vector, length) : use.status(), error);
}
