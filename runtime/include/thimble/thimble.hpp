// thimble for C++: owners for the handles of thimble.h, and std::string_view in place of pointer and length. Header
// only, no exceptions, allocates nothing of its own.
#pragma once

#include <thimble/thimble.h>

#include <cstddef>
#include <string_view>
#include <type_traits>

namespace thimble {

// An open model file. Outlives its sessions.
class Model {
 public:
  Model() = default;
  ~Model() { Close(); }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  thimble_status Open(const char* path) {
    Close();
    return thimble_model_open(path, &handle_);
  }
  // 64-byte aligned bytes, which the caller keeps.
  thimble_status Open(const void* bytes, size_t size) {
    Close();
    return thimble_model_open_memory(bytes, size, &handle_);
  }
  void Close() {
    thimble_model_close(handle_);
    handle_ = nullptr;
  }
  // Every byte the session will take, before anything is loaded.
  thimble_status Plan(const thimble_options& options, thimble_plan* plan, thimble_plan_fn each = nullptr,
                      void* user = nullptr) const {
    return thimble_plan_memory(handle_, &options, plan, each, user);
  }
  thimble_model_info Info() const { return thimble_model_get_info(handle_); }
  const thimble_model* handle() const { return handle_; }

 private:
  thimble_model* handle_ = nullptr;
};

// A context of its own over a model. Used by one thread at a time.
class Session {
 public:
  Session() = default;
  ~Session() { Close(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // arena null: the library takes exactly the planned bytes itself.
  thimble_status Create(const Model& model, const thimble_options& options, void* arena = nullptr, size_t arena_bytes = 0) {
    Close();
    return thimble_session_create(model.handle(), &options, arena, arena_bytes, &handle_);
  }
  void Close() {
    thimble_session_close(handle_);
    handle_ = nullptr;
  }

  thimble_status Prefill(const int32_t* ids, size_t count) { return thimble_prefill(handle_, ids, count); }
  thimble_status Decode(int32_t id) { return thimble_decode(handle_, id); }
  thimble_status Sample(int32_t* id) { return thimble_sample(handle_, id); }
  thimble_status Rewind(size_t position) { return thimble_rewind(handle_, position); }
  // The smallest position beside 0 that Rewind() takes.
  size_t RewindLimit() const { return thimble_rewind_limit(handle_); }
  uint64_t StateBytes() const { return thimble_state_bytes(handle_); }
  thimble_status SaveState(void* block, size_t bytes, size_t* written) const {
    return thimble_state_save(handle_, block, bytes, written);
  }
  thimble_status LoadState(const void* block, size_t bytes) { return thimble_state_load(handle_, block, bytes); }
  const float* Logits() const { return thimble_logits(handle_); }
  size_t Position() const { return thimble_position(handle_); }
  size_t Capacity() const { return thimble_capacity(handle_); }

  // on_text(std::string_view) -> bool is called with whole UTF-8 characters; false stops. max_tokens 0: until the end
  // of the text or of the context.
  template <typename OnText>
  thimble_status Generate(std::string_view prompt, size_t max_tokens, OnText&& on_text, thimble_generation* result = nullptr) {
    using Function = std::remove_reference_t<OnText>;
    auto call = [](void* user, const char* text, size_t bytes) -> int32_t {
      return (*static_cast<Function*>(user))(std::string_view(text, bytes)) ? 1 : 0;
    };
    void* user = const_cast<void*>(static_cast<const void*>(&on_text));
    return thimble_generate(handle_, prompt.data(), prompt.size(), max_tokens, call, user, result);
  }

  thimble_session* handle() const { return handle_; }

 private:
  thimble_session* handle_ = nullptr;
};

}  // namespace thimble
