// Every option, in the order of the public struct.
#include "runtime/options.h"

#include "ops/pool/thread_pool.h"
#include "runtime/generation.h"
#include "runtime/mixers/attention/cache_types.h"
#include "runtime/packing.h"

namespace thimble {

static_assert(kMaxThreads == THIMBLE_MAX_THREADS);

namespace {

Status OptionError(Code code, const char* what, const char* field) {
  return Status::Error(code, what).At("options").Field(field);
}

// The trained number of positions is a limit where something is stored per position.
bool HasPositionTable(const Header& header, const ModelSpec& part) {
  if (part.input.positions != kNoTensor) return true;
  bool found = false;
  ForEachAttention(header, part, [&](uint32_t, const AttentionSpec& a) { found = found || a.score_bias != kNoTensor; });
  return found;
}

Status ResolveContext(const Header& header, const ModelSpec& part, uint32_t asked, uint32_t* out) {
  const uint32_t trained = part.max_positions;
  *out = asked == 0 ? trained : asked;
  if (*out > kMaxPositions) return OptionError(Code::kOutOfRange, "too long", "context_tokens").Got(*out).Wanted(kMaxPositions);
  if (*out > trained && HasPositionTable(header, part)) {
    return OptionError(Code::kOutOfRange, "the model has learned positions for fewer tokens", "context_tokens")
        .Got(*out).Wanted(trained);
  }
  return Status::Ok();
}

Status ResolveWindow(const ModelSpec& part, const thimble_engine_options& options, EngineOptions* out) {
  if (!part.decoder && (options.window_tokens != 0 || options.sink_tokens != 0)) {
    return OptionError(Code::kInvalidArgument, "an encoder sees its whole input",
                       options.window_tokens != 0 ? "window_tokens" : "sink_tokens");
  }
  out->window_tokens = options.window_tokens;
  out->sink_tokens = options.sink_tokens;
  if (out->sink_tokens <= out->context_tokens) return Status::Ok();
  return OptionError(Code::kOutOfRange, "more than the context has", "sink_tokens").Got(out->sink_tokens).Wanted(out->context_tokens);
}

Status ResolvePrefix(const ModelSpec& part, uint32_t asked, EngineOptions* out) {
  out->prefix_tokens = asked;
  if (asked == 0) return Status::Ok();
  if (!part.decoder) return OptionError(Code::kInvalidArgument, "an encoder has no prefix", "prefix_tokens").Got(asked);
  if (asked % kCacheChunkRows != 0) {
    return OptionError(Code::kOutOfRange, "rows are shared in whole blocks; ask for a multiple of 256", "prefix_tokens")
        .Got(asked).Wanted(RoundUp(asked, kCacheChunkRows));
  }
  if (asked < out->context_tokens) return Status::Ok();
  return OptionError(Code::kOutOfRange, "leaves no room for anything else; it must be smaller than context_tokens", "prefix_tokens")
      .Got(asked).Wanted(out->context_tokens);
}

Status ResolveCache(const Header& header, const ModelSpec& part, const thimble_engine_options& options, EngineOptions* out) {
  if (options.key_cache < 0 || options.key_cache >= kCacheTypeCount) {
    return OptionError(Code::kOutOfRange, "no such cache type", "key_cache").Got(options.key_cache);
  }
  if (options.value_cache < 0 || options.value_cache >= kCacheTypeCount) {
    return OptionError(Code::kOutOfRange, "no such cache type", "value_cache").Got(options.value_cache);
  }
  if (options.kv_budget_bytes != 0 && (options.key_cache != 0 || options.value_cache != 0)) {
    return OptionError(Code::kInvalidArgument, "must be 0: with kv_budget_bytes each layer's type is chosen",
                       options.key_cache != 0 ? "key_cache" : "value_cache");
  }
  const int32_t least = options.min_cache_type;
  if (least != 0 && least != THIMBLE_CACHE_Q8 && least != THIMBLE_CACHE_Q4) {
    return OptionError(Code::kOutOfRange, "neither q8 nor q4", "min_cache_type").Got(least);
  }
  if (least != 0 && !part.decoder) {
    return OptionError(Code::kInvalidArgument, "must be 0: an encoder keeps no rows", "min_cache_type").Got(least);
  }
  out->min_cache = ToCacheType(least);
  out->key_cache = ToCacheType(options.key_cache);
  out->value_cache = ToCacheType(options.value_cache);
  if (out->key_cache == out->value_cache) return Status::Ok();
  bool shared = false;
  ForEachAttention(header, part, [&](uint32_t, const AttentionSpec& a) { shared = shared || SharesKeyAndValue(a.sharing); });
  if (!shared) return Status::Ok();
  return OptionError(Code::kInvalidArgument, "must equal key_cache: one row is key and value in this model", "value_cache")
      .Got(options.value_cache).Wanted(static_cast<uint32_t>(options.key_cache));
}

Status ResolveKernels(const Header& header, const char* name, const KernelTable** out) {
  const CpuFeatures cpu = DetectCpu();
  if (name == nullptr) {
    *out = ChooseKernelTable(header, cpu);
    return Status::Ok();
  }
  size_t length = 0;
  while (name[length] != 0 && length < 32) ++length;
  *out = FindKernelTable(name);
  if (*out == nullptr) {
    return OptionError(Code::kUnsupported, "this build has no kernel table of that name", "kernels").Detail(name, length);
  }
  if (!(*out)->supported(cpu)) {
    return OptionError(Code::kUnsupportedCpu, "this CPU cannot run the kernel table", "kernels").Detail(name, length);
  }
  return Status::Ok();
}

}  // namespace

// The public numbers have f16 at zero, those of saved states f32.
CacheType ToCacheType(int32_t type) {
  switch (static_cast<thimble_cache_type>(type)) {
    case THIMBLE_CACHE_F16: return CacheType::kF16;
    case THIMBLE_CACHE_F32: return CacheType::kF32;
    case THIMBLE_CACHE_Q8: return CacheType::kQ8;
    case THIMBLE_CACHE_Q4: return CacheType::kQ4;
  }
  return CacheType::kF16;
}

Result<SamplerOptions> ResolveSampling(const thimble_sampling& s) {
  if (s.top_k < 0) return OptionError(Code::kOutOfRange, "must be at least 0", "sampling.top_k").Got(s.top_k);
  if (s.repeat_last_n < 0) return OptionError(Code::kOutOfRange, "must be at least 0", "sampling.repeat_last_n").Got(s.repeat_last_n);
  SamplerOptions out;
  out.temperature = s.temperature;
  out.top_k = static_cast<uint32_t>(s.top_k);
  out.top_p = s.top_p;
  out.min_p = s.min_p;
  out.repeat_penalty = s.repeat_penalty;
  out.repeat_last_n = static_cast<uint32_t>(s.repeat_last_n);
  out.seed = s.seed;
  THIMBLE_RETURN_IF_ERROR(CheckSamplerOptions(out));
  return out;
}

Result<EngineOptions> ResolveOptions(const Header& header, const thimble_engine_options& options,
                                     const thimble_sampling& sampling) {
  EngineOptions out;
  if (options.part >= header.parts()) {
    return OptionError(Code::kOutOfRange, "the file has fewer parts", "part").Got(options.part).Wanted(header.parts());
  }
  out.part = options.part;
  out.mem_budget_bytes = options.mem_budget_bytes;
  const ModelSpec part = header.part(out.part);
  THIMBLE_RETURN_IF_ERROR(ResolveContext(header, part, options.context_tokens, &out.context_tokens));

  out.threads = options.threads == 0 ? 1 : options.threads;
  if (out.threads > kMaxThreads) return OptionError(Code::kOutOfRange, "too many", "threads").Got(out.threads).Wanted(kMaxThreads);

  if (options.weights != THIMBLE_WEIGHTS_MAP && options.weights != THIMBLE_WEIGHTS_COPY) {
    return OptionError(Code::kOutOfRange, "neither map nor copy", "weights").Got(options.weights);
  }
  out.copy_model = options.weights == THIMBLE_WEIGHTS_COPY;
  out.pack_cache = options.pack_cache;
  if (out.pack_cache != nullptr && out.pack_cache[0] == 0) return OptionError(Code::kInvalidArgument, "an empty path", "pack_cache");
  if (out.pack_cache != nullptr && out.copy_model) {
    return OptionError(Code::kInvalidArgument, "is a file, and with weights 1 nothing is read from files", "pack_cache");
  }
  out.park = options.park;
  if (out.park != nullptr && out.park[0] == 0) return OptionError(Code::kInvalidArgument, "an empty path", "park");
  if (options.arena_is_anonymous > 1) return OptionError(Code::kOutOfRange, "neither 0 nor 1", "arena_is_anonymous").Got(options.arena_is_anonymous);
  if (options.huge_pages > 1) return OptionError(Code::kOutOfRange, "neither 0 nor 1", "huge_pages").Got(options.huge_pages);
  if (options.page_lines > 1) return OptionError(Code::kOutOfRange, "neither 0 nor 1", "page_lines").Got(options.page_lines);
  if (options.reserved != 0) return OptionError(Code::kUnknownField, "must be zero", "reserved");
  out.page_lines = options.page_lines == 1;
  out.huge_pages = options.huge_pages == 1 && options.arena == nullptr;
  out.give_back_arena = options.arena == nullptr || options.arena_is_anonymous == 1;
  THIMBLE_RETURN_IF_ERROR(ResolveCache(header, part, options, &out));
  THIMBLE_RETURN_IF_ERROR(ResolveWindow(part, options, &out));
  THIMBLE_RETURN_IF_ERROR(ResolvePrefix(part, options.prefix_tokens, &out));

  // An encoder sees its whole input at once; a decoder may take it in pieces.
  const uint32_t default_chunk = part.decoder ? 64 : out.context_tokens;
  out.chunk_tokens = options.chunk_tokens == 0 ? default_chunk : options.chunk_tokens;
  if (out.chunk_tokens > out.context_tokens) out.chunk_tokens = out.context_tokens;

  out.max_sessions = options.max_sessions == 0 ? 1 : options.max_sessions;
  if (out.max_sessions > kMaxSessions) {
    return OptionError(Code::kOutOfRange, "too many", "max_sessions").Got(out.max_sessions).Wanted(kMaxSessions);
  }

  out.profile_slices = options.profile_slices;
  if (out.profile_slices > kMaxProfileSlices) {
    return OptionError(Code::kOutOfRange, "too many", "profile_slices").Got(out.profile_slices).Wanted(kMaxProfileSlices);
  }

  out.top_tokens = options.top_tokens;
  if (out.top_tokens > kMaxTopTokens) {
    return OptionError(Code::kOutOfRange, "too many", "top_tokens").Got(out.top_tokens).Wanted(kMaxTopTokens);
  }

  out.logits_rows = options.logits_rows == 0 ? 1 : options.logits_rows;
  if (!part.decoder) out.logits_rows = part.output.rows == OutputRows::kFirst ? 1 : out.chunk_tokens;
  if (out.logits_rows > out.chunk_tokens) out.logits_rows = out.chunk_tokens;

  const uint32_t default_text = out.context_tokens > UINT32_MAX / 8 ? UINT32_MAX : out.context_tokens * 8;
  out.max_text_bytes = options.max_text_bytes == 0 ? default_text : options.max_text_bytes;
  if (part.tokenizer_segment < 0) out.max_text_bytes = 0;

  if (options.kv_budget_bytes != 0) THIMBLE_RETURN_IF_ERROR(FitCacheTypes(header, part, options.kv_budget_bytes, &out));
  THIMBLE_RETURN_IF_ERROR(ResolveKernels(header, options.kernels, &out.kernels));
  THIMBLE_ASSIGN_OR_RETURN(out.sampler, ResolveSampling(sampling));
  return out;
}

}  // namespace thimble
