// C API: sessions. Creation is the only place that takes memory and threads; closing gives both back.
#include <cstdlib>
#include <cstring>

#include "runtime/api/handles.h"
#include "runtime/core/poison.h"

using namespace thimble;

namespace {

Status CheckBlock(const void* block, size_t size, size_t need) {
  if (reinterpret_cast<uintptr_t>(block) % kArenaAlignment != 0) {
    return Status::Error(Code::kArenaMisaligned, "the arena must be 64-byte aligned").Field("arena");
  }
  if (size < need) {
    return Status::Error(Code::kArenaTooSmall, "the arena is too small; give it exactly the planned bytes or more")
        .Field("arena_bytes").Got(size).Wanted(need);
  }
  return Status::Ok();
}

CpuPlacement Placement(const thimble_options& options) { return {options.cpu_mask, options.cpu_strict != 0}; }

Status CreateSession(const thimble_model* model, const thimble_options& options, void* block, size_t block_bytes,
                     thimble_session** session) {
  THIMBLE_ASSIGN_OR_RETURN(const EngineOptions resolved, ResolveOptions(model->file.header(), options));

  Engine measured;
  Arena measure = Arena::Measuring();
  Engine::WalkArena(model->file, resolved, model->tokenizer_data(), measure, &measured);
  THIMBLE_RETURN_IF_ERROR(measure.status());
  const size_t need = measure.Bytes();

  void* owned = nullptr;
  if (block == nullptr) {
    if (posix_memalign(&owned, kArenaAlignment, need) != 0) {
      return Status::Error(Code::kOutOfMemory, "the system has no block of the planned size").Field("arena_bytes").Wanted(need);
    }
    block = owned;
    block_bytes = need;
  }
  Status status = CheckBlock(block, block_bytes, need);
  Result<ThreadPool*> pool = status.ok() ? CreateThreadPool(resolved.threads, Placement(options)) : Result<ThreadPool*>(status);
  if (!pool.ok()) {
    std::free(owned);
    return pool.status();
  }
  // Exactly the planned bytes are carved, so that a larger block cannot hide a wrong plan.
  Arena carve = Arena::Carving(block, need);
  Engine* engine = Engine::WalkArena(model->file, resolved, model->tokenizer_data(), carve, nullptr);
  engine->Start(pool.value());
  LoadWeights(engine->network(), pool.value());
  engine->SetOwnedBlock(owned, need);
  *session = static_cast<thimble_session*>(engine->OpenSession());
  return Status::Ok();
}

}  // namespace

extern "C" {

thimble_status thimble_session_create(const thimble_model* model, const thimble_options* options, void* arena,
                                      size_t arena_bytes, thimble_session** session) {
  if (session == nullptr) return ToC(NullArgument("session"));
  *session = nullptr;
  if (model == nullptr) return ToC(NullArgument("model"));
  if (options == nullptr) return ToC(NullArgument("options"));
  return ToC(CreateSession(model, *options, arena, arena_bytes, session));
}

void thimble_session_close(thimble_session* session) {
  if (session == nullptr) return;
  Engine& engine = session->engine();
  engine.CloseSession(session);
  engine.Stop();
  // The engine itself lies at the start of the block. A block of the caller's is the caller's again, every byte of it.
  void* owned = engine.owned_block();
  UnpoisonMemory(&engine, engine.arena_bytes());
  std::free(owned);
}

thimble_status thimble_prefill(thimble_session* session, const int32_t* ids, size_t count) {
  if (session == nullptr) return ToC(NullArgument("session"));
  const SessionUse use(session);
  if (!use.status().ok()) return ToC(use.status());
  return ToC(session->Prefill(ids, count, nullptr, nullptr));
}

thimble_status thimble_decode(thimble_session* session, int32_t id) { return thimble_prefill(session, &id, 1); }

thimble_status thimble_prefill_each(thimble_session* session, const int32_t* ids, size_t count, thimble_logits_fn each,
                                    void* user) {
  if (session == nullptr) return ToC(NullArgument("session"));
  if (each == nullptr) return ToC(NullArgument("each"));
  const SessionUse use(session);
  if (!use.status().ok()) return ToC(use.status());
  return ToC(session->Prefill(ids, count, each, user));
}

thimble_status thimble_encode_rows(thimble_session* session, const int32_t* ids, size_t count, thimble_logits_fn each,
                                   void* user) {
  if (session == nullptr) return ToC(NullArgument("session"));
  const SessionUse use(session);
  if (!use.status().ok()) return ToC(use.status());
  return ToC(session->EncodeRows(ids, count, each, user));
}

thimble_status thimble_encode_image(thimble_session* session, const float* pixels, size_t count, thimble_logits_fn each,
                                    void* user) {
  if (session == nullptr) return ToC(NullArgument("session"));
  const SessionUse use(session);
  if (!use.status().ok()) return ToC(use.status());
  return ToC(session->EncodeImage(pixels, count, each, user));
}

const float* thimble_logits(const thimble_session* session) { return session == nullptr ? nullptr : session->logits(); }

thimble_status thimble_sample(thimble_session* session, int32_t* id) {
  if (session == nullptr) return ToC(NullArgument("session"));
  if (id == nullptr) return ToC(NullArgument("id"));
  const Result<int32_t> result = session->Sample();
  if (result.ok()) *id = result.value();
  return ToC(result.status());
}

thimble_status thimble_set_sampling(thimble_session* session, const thimble_sampling* sampling) {
  if (session == nullptr) return ToC(NullArgument("session"));
  if (sampling == nullptr) return ToC(NullArgument("sampling"));
  const Result<SamplerOptions> options = ResolveSampling(*sampling);
  return ToC(options.ok() ? session->sampler().SetOptions(options.value()) : options.status());
}

size_t thimble_position(const thimble_session* session) { return session == nullptr ? 0 : session->position(); }
size_t thimble_capacity(const thimble_session* session) { return session == nullptr ? 0 : session->capacity(); }

thimble_status thimble_rewind(thimble_session* session, size_t position) {
  if (session == nullptr) return ToC(NullArgument("session"));
  const SessionUse use(session);
  if (!use.status().ok()) return ToC(use.status());
  return ToC(session->Rewind(position));
}

uint64_t thimble_state_bytes(const thimble_session* session) { return session == nullptr ? 0 : session->StateBytes(); }

thimble_status thimble_state_save(const thimble_session* session, void* block, size_t bytes, size_t* written) {
  if (session == nullptr) return ToC(NullArgument("session"));
  if (written == nullptr) return ToC(NullArgument("written"));
  *written = static_cast<size_t>(session->StateBytes());
  if (const Status decoder = session->CheckDecoder(); !decoder.ok()) return ToC(decoder);
  if (block == nullptr) return ToC(NullArgument("block"));
  if (bytes < *written) {
    return ToC(Status::Error(Code::kOutOfRange, "the block is too small; thimble_state_bytes() says how much it takes")
                   .Field("bytes").Got(bytes).Wanted(*written));
  }
  uint8_t* at = static_cast<uint8_t*>(block);
  const auto write = [](void* user, const void* piece, size_t size) {
    uint8_t** to = static_cast<uint8_t**>(user);
    std::memcpy(*to, piece, size);
    *to += size;
    return true;
  };
  return ToC(session->SaveState({write, &at}));
}

thimble_status thimble_state_load(thimble_session* session, const void* block, size_t bytes) {
  if (session == nullptr) return ToC(NullArgument("session"));
  if (block == nullptr) return ToC(NullArgument("block"));
  const SessionUse use(session);
  if (!use.status().ok()) return ToC(use.status());
  const auto read = [](void* user, uint64_t offset, void* piece, size_t size) {
    std::memcpy(piece, static_cast<const uint8_t*>(user) + offset, size);
    return true;
  };
  return ToC(session->LoadState({read, const_cast<void*>(block), bytes}));
}

size_t thimble_rewind_limit(const thimble_session* session) { return session == nullptr ? 0 : session->RewindLimit(); }

thimble_status thimble_fill_context(thimble_session* session, size_t tokens, uint64_t seed) {
  if (session == nullptr) return ToC(NullArgument("session"));
  const SessionUse use(session);
  if (!use.status().ok()) return ToC(use.status());
  return ToC(session->FillContext(tokens, seed));
}

thimble_profile thimble_get_profile(const thimble_session* session) {
  return session == nullptr ? thimble_profile{} : session->engine().profile();
}

void thimble_reset_profile(thimble_session* session) {
  if (session != nullptr) session->engine().profile() = {};
}

}  // extern "C"
