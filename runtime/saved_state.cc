// Saving and loading the state of an engine. Loading checks the whole block before it changes anything; what the checks
// let through cannot go wrong, whoever wrote it.
#include "runtime/saved_state.h"

#include <bit>
#include <cstring>

#include "format/checksum.h"
#include "ops/cache/cache_row.h"
#include "runtime/engine.h"

namespace thimble {
namespace {

static_assert(std::endian::native == std::endian::little, "states are little-endian");

// Calls visit(rows, kv head, d, begin, end) for positions of one head that lie one after another in the block.
template <typename Visit>
void ForRows(const Network& network, uint64_t position, uint64_t oldest_query, Visit visit) {
  for (uint32_t i = 0; i < network.layer_count; ++i) {
    const AttentionOp& a = network.layers[i].attention;
    if (a.spec.cache_source != -1) continue;
    const LayerCache& cache = a.cache;
    const uint64_t sinks = cache.sink_tokens < position ? cache.sink_tokens : position;
    uint64_t first = sinks;
    if (cache.window != 0 && oldest_query + 1 > first + cache.window) first = oldest_query + 1 - cache.window;
    const bool separate = cache.values.base != cache.keys.base;
    for (const CacheRows* rows : {&cache.keys, separate ? &cache.values : nullptr}) {
      for (uint32_t g = 0; rows != nullptr && g < a.spec.kv_heads; ++g) {
        visit(*rows, g, size_t{a.spec.head_width}, uint64_t{0}, sinks);
        visit(*rows, g, size_t{a.spec.head_width}, first, position);
      }
    }
  }
}

// The same for the int8 rows beside int4 rows: what the next query sees of them.
template <typename Visit>
void ForSavedRecentRows(const Network& network, uint64_t position, Visit visit) {
  const uint64_t begin = position > kRecentTokens ? position - kRecentTokens : 0;
  for (uint32_t i = 0; i < network.layer_count; ++i) {
    const AttentionSpec& a = network.layers[i].attention.spec;
    if (a.cache_source != -1) continue;
    ForRecentRows(network.layers[i].attention.cache, [&](const CacheRows&, const CacheRows& recent, bool) {
      for (uint32_t g = 0; g < a.kv_heads; ++g) visit(recent, g, size_t{a.head_width}, begin, position);
    });
  }
}

uint64_t RowBytes(const Network& network, uint64_t position, uint64_t oldest_query) {
  uint64_t bytes = 0;
  const auto add = [&](const CacheRows& rows, uint32_t, size_t d, uint64_t begin, uint64_t end) {
    bytes += (end - begin) * CacheRowBytes(rows.type, d);
  };
  ForRows(network, position, oldest_query, add);
  ForSavedRecentRows(network, position, add);
  return bytes;
}

// Of a block with that header, whose position and oldest query are in range.
uint64_t TotalBytes(const Network& network, const StateHeader& h) {
  return sizeof h + uint64_t{4} * h.recent_tokens + uint64_t{4} * h.outputs + RowBytes(network, h.position, h.oldest_query);
}

uint64_t HeaderChecksum(const StateHeader& h) { return ChecksumOf(&h, offsetof(StateHeader, header_checksum)); }

Status Bad(Code code, const char* what, const char* field) { return Status::Error(code, what).At("state").Field(field); }

Status NotEqual(const char* what, const char* field, uint64_t got, uint64_t wanted) {
  return Bad(Code::kStateMismatch, what, field).Got(got).Wanted(wanted);
}

// Everything but the engine's own side.
Status CheckBlock(const void* block, size_t bytes, StateHeader* out) {
  StateHeader& h = *out;
  if (block == nullptr) return Status::Error(Code::kInvalidArgument, "null").Field("block");
  const size_t start = bytes < sizeof kStateMagic ? bytes : sizeof kStateMagic;
  if (start == 0 || std::memcmp(block, kStateMagic, start) != 0) return Bad(Code::kNotAState, "not a saved state", "magic");
  if (bytes < sizeof h) return Bad(Code::kStateDamaged, "ends inside its header", "bytes").Got(bytes).Wanted(sizeof h);
  std::memcpy(&h, block, sizeof h);
  if (h.header_checksum != HeaderChecksum(h)) return Bad(Code::kStateDamaged, "the header is damaged", "header_checksum");
  if (h.version != kStateVersion) {
    return Bad(Code::kUnsupportedVersion, "saved by another version of thimble", "version").Got(h.version).Wanted(kStateVersion);
  }
  if (h.header_bytes != sizeof h || (h.reserved[0] | h.reserved[1] | h.reserved[2]) != 0) {
    return Bad(Code::kStateDamaged, "the header contradicts itself", "header_bytes").Got(h.header_bytes).Wanted(sizeof h);
  }
  if (h.total_bytes != bytes) {
    return Bad(Code::kStateDamaged, "not as long as it announces", "bytes").Got(bytes).Wanted(h.total_bytes);
  }
  const uint8_t* payload = static_cast<const uint8_t*>(block) + sizeof h;
  if (ChecksumOf(payload, bytes - sizeof h) != h.payload_checksum) {
    return Bad(Code::kStateDamaged, "the payload is damaged", "payload_checksum");
  }
  return Status::Ok();
}

Status CheckFits(const Network& n, const StateHeader& h) {
  const EngineOptions& o = n.options;
  if (h.model != n.file->header_checksum()) return Bad(Code::kStateMismatch, "saved with another model file", "model");
  const uint32_t keys = static_cast<uint32_t>(o.key_cache), values = static_cast<uint32_t>(o.value_cache);
  if (h.key_cache != keys) return NotEqual("saved with other cache rows", "key_cache", keys, h.key_cache);
  if (h.value_cache != values) return NotEqual("saved with other cache rows", "value_cache", values, h.value_cache);
  if (h.window_tokens != o.window_tokens) {
    return NotEqual("saved with another window", "window_tokens", o.window_tokens, h.window_tokens);
  }
  if (h.sink_tokens != o.sink_tokens) return NotEqual("saved with other sinks", "sink_tokens", o.sink_tokens, h.sink_tokens);
  if (h.position > o.context_tokens) {
    return Bad(Code::kContextFull, "has more tokens than the context; ask for more context_tokens", "position")
        .Got(h.position).Wanted(o.context_tokens);
  }
  if (h.oldest_query > h.position) {
    return Bad(Code::kStateDamaged, "the header contradicts itself", "oldest_query").Got(h.oldest_query).Wanted(h.position);
  }
  if (h.recent_tokens > Sampler::kMaxRepeatLastN) return Bad(Code::kStateDamaged, "too many", "recent_tokens");
  if (h.outputs != 0 && h.outputs != n.model.outputs) {
    return Bad(Code::kStateDamaged, "the header contradicts itself", "outputs").Got(h.outputs).Wanted(n.model.outputs);
  }
  const uint64_t wanted = TotalBytes(n, h);
  if (h.total_bytes == wanted) return Status::Ok();
  return Bad(Code::kStateDamaged, "the header contradicts itself", "total_bytes").Got(h.total_bytes).Wanted(wanted);
}

}  // namespace

uint64_t Engine::StateBytes() const {
  if (!CheckDecoder().ok()) return 0;
  StateHeader h = {};
  h.position = position_;
  h.oldest_query = RewindLimit();
  h.recent_tokens = sampler_.recent_count();
  h.outputs = has_logits_ ? network_.model.outputs : 0;
  return TotalBytes(network_, h);
}

Status Engine::SaveState(void* block, size_t bytes, uint64_t* written) const {
  THIMBLE_RETURN_IF_ERROR(CheckDecoder());
  *written = StateBytes();
  if (block == nullptr) return Status::Error(Code::kInvalidArgument, "null").Field("block");
  if (bytes < *written) {
    return Status::Error(Code::kOutOfRange, "the block is too small; thimble_state_bytes() says how much it takes")
        .Field("bytes").Got(bytes).Wanted(*written);
  }
  StateHeader h = {};
  std::memcpy(h.magic, kStateMagic, sizeof h.magic);
  h.version = kStateVersion;
  h.header_bytes = sizeof h;
  h.total_bytes = *written;
  h.model = network_.file->header_checksum();
  h.key_cache = static_cast<uint32_t>(network_.options.key_cache);
  h.value_cache = static_cast<uint32_t>(network_.options.value_cache);
  h.window_tokens = network_.options.window_tokens;
  h.sink_tokens = network_.options.sink_tokens;
  h.position = position_;
  h.oldest_query = RewindLimit();
  h.recent_tokens = sampler_.recent_count();
  h.outputs = has_logits_ ? network_.model.outputs : 0;
  h.seed = sampler_.options().seed;
  h.random_state = sampler_.random_state();

  uint8_t* out = static_cast<uint8_t*>(block) + sizeof h;
  const auto put = [&](const void* from, size_t size) {
    std::memcpy(out, from, size);
    out += size;
  };
  for (uint32_t i = 0; i < h.recent_tokens; ++i) {
    const uint32_t id = sampler_.Recent(i);
    put(&id, sizeof id);
  }
  if (h.outputs != 0) put(logits(), h.outputs * sizeof(float));
  const auto take_out = [&](const CacheRows& rows, uint32_t g, size_t d, uint64_t begin, uint64_t end) {
    for (size_t p = static_cast<size_t>(begin); p < end; ++p, out += CacheRowBytes(rows.type, d)) {
      TakeOutCacheRow(rows.type, rows.Head(g), rows.Place(p), d, out);
    }
  };
  ForRows(network_, position_, h.oldest_query, take_out);
  ForSavedRecentRows(network_, position_, take_out);
  h.payload_checksum = ChecksumOf(static_cast<uint8_t*>(block) + sizeof h, static_cast<size_t>(*written) - sizeof h);
  h.header_checksum = HeaderChecksum(h);
  std::memcpy(block, &h, sizeof h);
  return Status::Ok();
}

Status Engine::LoadState(const void* block, size_t bytes) {
  THIMBLE_RETURN_IF_ERROR(CheckDecoder());
  StateHeader h;
  THIMBLE_RETURN_IF_ERROR(CheckBlock(block, bytes, &h));
  THIMBLE_RETURN_IF_ERROR(CheckFits(network_, h));

  const uint8_t* in = static_cast<const uint8_t*>(block) + sizeof h;
  sampler_.Resume(h.seed, h.random_state);
  for (uint32_t i = 0; i < h.recent_tokens; ++i, in += 4) {
    int32_t id;
    std::memcpy(&id, in, sizeof id);
    sampler_.Accept(id);
  }
  has_logits_ = h.outputs != 0;
  last_row_ = 0;
  if (has_logits_) std::memcpy(network_.buffers.logits, in, h.outputs * sizeof(float));
  in += h.outputs * sizeof(float);
  // In rising order: a ring that is smaller than the one they come from keeps the last ones.
  const auto put_in = [&](const CacheRows& rows, uint32_t g, size_t d, uint64_t begin, uint64_t end) {
    for (size_t p = static_cast<size_t>(begin); p < end; ++p, in += CacheRowBytes(rows.type, d)) {
      PutInCacheRow(rows.type, in, d, rows.Place(p), const_cast<uint8_t*>(rows.Head(g)));
    }
  };
  ForRows(network_, h.position, h.oldest_query, put_in);
  for (uint32_t i = 0; i < network_.layer_count; ++i) {
    const AttentionOp& a = network_.layers[i].attention;
    if (a.spec.cache_source != -1) continue;
    RestoreRecentRows(a.cache, a.spec.kv_heads, a.spec.head_width, static_cast<size_t>(h.position), kNoneWritten);
  }
  ForSavedRecentRows(network_, h.position, put_in);
  HaveRows(static_cast<size_t>(h.position), static_cast<size_t>(h.oldest_query));
  return Status::Ok();
}

}  // namespace thimble
