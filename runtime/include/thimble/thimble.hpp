// thimble for C++20: owners for the handles of thimble.h, results that hold a value or an error, std::span and
// std::string_view in place of pointer and length, any callable in place of function and user pointer. Header only over
// the C interface, no exceptions, allocates nothing of its own. What the functions do is said in thimble.h.
//
//   thimble::EngineOptions options;
//   auto model = thimble::Model::Open(argc > 1 ? argv[1] : "stories-qmqa.thimble");
//   auto session = model.and_then([&](auto& m) { return m.CreateSession(options); });  // or in a block of your own
//   auto print = [](std::string_view text) { return std::fwrite(text.data(), 1, text.size(), stdout) == text.size(); };
//   auto story = session.and_then([&](auto& s) { return s.Generate("Once upon a time", 100, print); });
//   if (!story) std::fprintf(stderr, "\n%s\n", story.error().message());
#pragma once

#include <thimble/thimble.h>

#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace thimble {
// Its own names in the object files: the library behind the C interface has classes of the same names.
inline namespace cpp {

// Success or what went wrong.
class Error {
 public:
  enum thimble_code code() const { return static_cast<enum thimble_code>(c_.code); }
  const char* message() const { return c_.message; }
  const char* name() const { return thimble_code_name(c_.code); }
  const char* help() const { return thimble_code_help(c_.code); }
  int exit_code() const { return thimble_exit_code(c_.code); }
  // To hand to a function of thimble.h.
  thimble_error* c() { return &c_; }

 private:
  thimble_error c_ = {sizeof(thimble_error), THIMBLE_OK, {}};
};

// A value, or the error that says why there is none; as std::expected, without exceptions.
template <typename T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : value_(std::move(value)) {}
  Expected(const Error& error) : error_(error) {}

  bool has_value() const { return error_.code() == THIMBLE_OK; }
  explicit operator bool() const { return has_value(); }
  // Only with a value.
  T& operator*() { return value_; }
  const T& operator*() const { return value_; }
  T* operator->() { return &value_; }
  const T* operator->() const { return &value_; }
  T value_or(T other) const { return has_value() ? value_ : other; }
  // code() is THIMBLE_OK with a value.
  const Error& error() const { return error_; }
  // f(value), which gives an Expected itself, or the error.
  template <typename F>
  auto and_then(F&& f) -> decltype(f(std::declval<T&>())) {
    if (!has_value()) return error_;
    return f(value_);
  }

 private:
  T value_{};
  Error error_;
};

template <>
class [[nodiscard]] Expected<void> {
 public:
  Expected() = default;
  Expected(const Error& error) : error_(error) {}
  bool has_value() const { return error_.code() == THIMBLE_OK; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const { return error_; }
  template <typename F>
  auto and_then(F&& f) -> decltype(f()) {
    if (!has_value()) return error_;
    return f();
  }

 private:
  Error error_;
};

// The structs of thimble.h with their size and defaults set.
template <typename Struct>
struct Sized : Struct {
  Sized() : Struct{} { this->struct_bytes = sizeof(Struct); }
};
using Generation = Sized<thimble_generation>;
struct Sampling : thimble_sampling {
  Sampling() : thimble_sampling(THIMBLE_SAMPLING_DEFAULTS) {}
};
// With the sampling in it.
struct EngineOptions : Sized<thimble_engine_options> {
  Sampling sampling;

  EngineOptions() { thimble_engine_options::sampling = &sampling; }
  EngineOptions(const EngineOptions& other) { *this = other; }
  EngineOptions& operator=(const EngineOptions& other) {
    static_cast<thimble_engine_options&>(*this) = other;
    sampling = other.sampling;
    thimble_engine_options::sampling = &sampling;
    return *this;
  }
};
struct Span : Sized<thimble_span> {
  Span() = default;
  Span(thimble_session* s, std::span<const int32_t> tokens) { session = s, ids = tokens.data(), count = tokens.size(); }
};
struct ChatMessage : Sized<thimble_chat_message> {
  ChatMessage() = default;
  // `who` is a terminated text.
  ChatMessage(const char* who, std::string_view what) {
    role = who, text = what.data(), text_bytes = static_cast<uint32_t>(what.size());
  }
};
// `all` has to stay.
struct Conversation : Sized<thimble_conversation> {
  Conversation() = default;
  explicit Conversation(std::span<const ChatMessage> all) { messages = all.data(), message_count = all.size(); }
};

static_assert(sizeof(Span) == sizeof(thimble_span) && sizeof(ChatMessage) == sizeof(thimble_chat_message), "arrays of them are arrays of those");

namespace detail {

// Runs f(error) and gives what it stored, or the error.
template <typename T, typename F>
Expected<T> Get(F&& f) {
  Error error;
  T value{};
  f(&value, error.c());
  if (error.code() != THIMBLE_OK) return error;
  return value;
}
template <typename Struct, typename F>
Expected<Struct> GetStruct(F&& f) {
  Error error;
  Sized<Struct> value;
  f(&value, error.c());
  if (error.code() != THIMBLE_OK) return error;
  return static_cast<const Struct&>(value);
}
template <typename F>
Expected<void> Do(F&& f) {
  Error error;
  f(error.c());
  return error;
}

// A callable that gives nothing always goes on.
template <typename F, typename... A>
int32_t GoOn(F& f, A&&... a) {
  if constexpr (std::is_void_v<decltype(f(std::forward<A>(a)...))>) {
    f(std::forward<A>(a)...);
    return 1;
  } else {
    return f(std::forward<A>(a)...) ? 1 : 0;
  }
}
template <typename F>
void* User(F& f) {
  return const_cast<void*>(static_cast<const void*>(&f));
}

template <typename Handle, enum thimble_code (*kClose)(Handle*)>
class Owner {
 public:
  Owner() = default;
  explicit Owner(Handle* handle) : handle_(handle) {}
  Owner(Owner&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owner& operator=(Owner&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owner() { Close(); }
  // THIMBLE_BUSY: still open.
  enum thimble_code Close() {
    const enum thimble_code code = kClose(handle_);
    if (code == THIMBLE_OK) handle_ = nullptr;
    return code;
  }
  Handle* handle() const { return handle_; }

 private:
  Handle* handle_ = nullptr;
};

// make(&handle, error), owned.
template <typename Object, typename Handle, typename F>
Expected<Object> Make(F&& make) {
  Error error;
  Handle* handle = nullptr;
  make(&handle, error.c());
  if (error.code() != THIMBLE_OK) return error;
  return Object(handle);
}

}  // namespace detail

// An answer as its parts, token by token. Its memory, and what it was started with, are the caller's.
class Turn {
 public:
  Turn() = default;
  explicit Turn(thimble_turn* turn) : turn_(turn) {}
  // each(const thimble_turn_part&) -> bool or nothing, for the parts that the next token makes certain.
  template <typename Each>
  Expected<thimble_event> Next(Each&& each) {
    using F = std::remove_reference_t<Each>;
    return detail::GetStruct<thimble_event>([&](auto* event, auto* e) {
      thimble_turn_next(turn_, [](void* f, const thimble_turn_part* part) { return detail::GoOn(*static_cast<F*>(f), *part); },
                        detail::User(each), event, e);
    });
  }

 private:
  thimble_turn* turn_ = nullptr;
};

class Session : public detail::Owner<thimble_session, thimble_session_close> {
 public:
  using Owner::Owner;

  Expected<Session> Fork() {
    return detail::Make<Session, thimble_session>([&](auto** s, auto* e) { thimble_session_fork(handle(), s, e); });
  }
  // From any thread and from a signal handler.
  void Cancel() { thimble_cancel(handle()); }

  Expected<void> Prefill(std::span<const int32_t> ids) {
    return detail::Do([&](auto* e) { thimble_prefill(handle(), ids.data(), ids.size(), e); });
  }
  Expected<void> Decode(int32_t id) { return Prefill({&id, 1}); }
  // each(position, logits) for every position.
  template <typename Each>
  Expected<void> PrefillEach(std::span<const int32_t> ids, Each&& each) {
    using F = std::remove_reference_t<Each>;
    return detail::Do([&](auto* e) {
      thimble_prefill_each(
          handle(), ids.data(), ids.size(),
          [](void* f, size_t p, const float* l) { return detail::GoOn(*static_cast<F*>(f), p, l); }, detail::User(each), e);
    });
  }
  // `vector` has as many numbers as the model outputs.
  Expected<void> Embed(std::span<const int32_t> ids, std::span<float> vector, int32_t pooling = THIMBLE_POOLING_MODEL) {
    return detail::Do([&](auto* e) { thimble_embed(handle(), ids.data(), ids.size(), pooling, vector.data(), vector.size(), e); });
  }
  std::span<const float> Logits() const {
    size_t count = 0;
    const float* logits = thimble_logits(handle(), &count);
    return {logits, logits != nullptr ? count : 0};
  }
  Expected<int32_t> Sample() {
    return detail::Get<int32_t>([&](auto* id, auto* e) { thimble_sample(handle(), id, e); });
  }
  Expected<void> SetSampling(const thimble_sampling& sampling) {
    return detail::Do([&](auto* e) { thimble_set_sampling(handle(), &sampling, e); });
  }

  size_t Position() const { return thimble_position(handle()); }
  size_t Capacity() const { return thimble_capacity(handle()); }
  Expected<void> Rewind(size_t position) {
    return detail::Do([&](auto* e) { thimble_rewind(handle(), position, e); });
  }
  size_t RewindLimit() const { return thimble_rewind_limit(handle()); }

  uint64_t StateBytes() const { return thimble_state_bytes(handle()); }
  // write(bytes) -> bool, in order.
  template <typename Write>
  Expected<void> SaveState(Write&& write) {
    using F = std::remove_reference_t<Write>;
    return detail::Do([&](auto* e) {
      thimble_state_save(
          handle(),
          [](void* f, const void* bytes, size_t count) {
            return detail::GoOn(*static_cast<F*>(f), std::span(static_cast<const std::byte*>(bytes), count));
          },
          detail::User(write), e);
    });
  }
  // read(offset, bytes to fill) -> bool, from something that is `bytes` long.
  template <typename Read>
  Expected<void> LoadState(uint64_t bytes, Read&& read) {
    using F = std::remove_reference_t<Read>;
    return detail::Do([&](auto* e) {
      thimble_state_load(
          handle(), bytes,
          [](void* f, uint64_t offset, void* to, size_t count) {
            return detail::GoOn(*static_cast<F*>(f), offset, std::span(static_cast<std::byte*>(to), count));
          },
          detail::User(read), e);
    });
  }

  // The answer token by token.
  Expected<void> Start(const thimble_generation& generation) {
    return detail::Do([&](auto* e) { thimble_generation_start(handle(), &generation, e); });
  }
  Expected<thimble_event> Next() {
    return detail::GetStruct<thimble_event>([&](auto* event, auto* e) { thimble_generation_next(handle(), event, e); });
  }
  // With a conversation: the answer as reasoning, text and calls of tools. At least THIMBLE_TURN_BYTES of memory.
  Expected<Turn> StartTurn(const thimble_generation& generation, std::span<std::byte> memory) {
    thimble_turn* turn = nullptr;
    Error error;
    thimble_turn_start(handle(), &generation, memory.data(), memory.size(), &turn, error.c());
    if (error.code() != THIMBLE_OK) return error;
    return Turn(turn);
  }
  // All of it: each(event). Gives the last event, without its text.
  template <typename Each>
  Expected<thimble_event> Generate(const thimble_generation& generation, Each&& each) {
    struct Call {
      std::remove_reference_t<Each>* each;
      Sized<thimble_event> last;
    } call{&each, {}};
    const auto on_event = [](void* user, const thimble_event* event) -> int32_t {
      Call* c = static_cast<Call*>(user);
      static_cast<thimble_event&>(c->last) = *event;
      if (detail::GoOn(*c->each, *event)) return 1;
      c->last.end = THIMBLE_END_CALLBACK;
      return 0;
    };
    Error error;
    thimble_generate(handle(), &generation, on_event, &call, error.c());
    if (error.code() != THIMBLE_OK) return error;
    call.last.text = nullptr, call.last.text_bytes = 0;
    call.last.top_ids = nullptr, call.last.top_logprobs = nullptr, call.last.top_count = 0;
    return static_cast<const thimble_event&>(call.last);
  }
  // on_text(std::string_view) gets whole characters. max_tokens 0: until the end of the text or of the context.
  template <typename OnText>
  Expected<thimble_event> Generate(std::string_view prompt, uint32_t max_tokens, OnText&& on_text) {
    Generation generation;
    generation.text = prompt.data(), generation.text_bytes = prompt.size(), generation.max_tokens = max_tokens;
    return Generate(generation, [&](const thimble_event& event) {
      return event.text_bytes == 0 || detail::GoOn(on_text, std::string_view(event.text, event.text_bytes));
    });
  }
};

// What both kinds of models do: an open one, and an engine's.
template <typename Self>
class ModelCalls {
 public:
  Expected<thimble_model_info> Info() const {
    return detail::GetStruct<thimble_model_info>([&](auto* i, auto* e) { thimble_model_get_info(self(), i, e); });
  }
  // Of any of Info().parts.
  Expected<thimble_model_info> PartInfo(uint32_t part) const {
    return detail::GetStruct<thimble_model_info>([&](auto* i, auto* e) { thimble_model_get_part_info(self(), part, i, e); });
  }
  // Gives the number of ids. With more than there is room for: THIMBLE_BUFFER_TOO_SMALL.
  Expected<size_t> Tokenize(std::string_view text, std::span<int32_t> ids, uint32_t flags = THIMBLE_ADD_BOS) const {
    return detail::Get<size_t>([&](auto* n, auto* e) {
      thimble_tokenize(self(), nullptr, text.data(), text.size(), flags, ids.data(), ids.size(), n, e);
    });
  }
  // Gives the number of bytes, likewise.
  Expected<size_t> Detokenize(std::span<const int32_t> ids, std::span<char> text) const {
    return detail::Get<size_t>([&](auto* n, auto* e) {
      thimble_detokenize(self(), ids.data(), ids.size(), text.data(), text.size(), n, e);
    });
  }
  Expected<std::string_view> Piece(int32_t id) const {
    const char* text = nullptr;
    return detail::Get<size_t>([&](auto* n, auto* e) { thimble_piece(self(), id, &text, n, e); })
        .and_then([&](size_t bytes) { return Expected<std::string_view>(std::string_view(text, bytes)); });
  }
  bool IsEnd(int32_t id) const { return thimble_is_end(self(), id) != 0; }

 private:
  const thimble_model* self() const { return static_cast<const Self*>(this)->handle(); }
};

// An engine's model (thimble_engine_model): the engine's, until it goes.
class ModelView : public ModelCalls<ModelView> {
 public:
  ModelView() = default;
  explicit ModelView(const thimble_model* model) : model_(model) {}
  const thimble_model* handle() const { return model_; }

 private:
  const thimble_model* model_ = nullptr;
};

class Engine : public detail::Owner<thimble_engine, thimble_engine_close> {
 public:
  using Owner::Owner;

  // Before sessions are opened, where the options have prefix_tokens. progress(done, total) counts tokens.
  Expected<void> ReadPrefix(std::span<const int32_t> ids) {
    return detail::Do([&](auto* e) { thimble_engine_read_prefix(handle(), ids.data(), ids.size(), nullptr, nullptr, e); });
  }
  template <typename Progress>
  Expected<void> ReadPrefix(std::span<const int32_t> ids, Progress&& progress) {
    return detail::Do([&](auto* e) {
      thimble_engine_read_prefix(
          handle(), ids.data(), ids.size(),
          [](void* user, uint64_t done, uint64_t total) {
            return detail::GoOn(*static_cast<std::remove_reference_t<Progress>*>(user), done, total);
          },
          detail::User(progress), e);
    });
  }
  Expected<Session> OpenSession() {
    return detail::Make<Session, thimble_session>([&](auto** s, auto* e) { thimble_session_open(handle(), s, e); });
  }
  ModelView Model() const { return ModelView(thimble_engine_model(handle())); }
  // One Span per session; each has its own code afterwards.
  Expected<void> Step(std::span<Span> spans) {
    return detail::Do([&](auto* e) { thimble_step(handle(), spans.data(), spans.size(), e); });
  }
  // THIMBLE_TRIM_SCRATCH, ...: says what was given back.
  Expected<thimble_trimmed> Trim(enum thimble_trim_level level) {
    return detail::GetStruct<thimble_trimmed>([&](auto* t, auto* e) { thimble_trim(handle(), level, t, e); });
  }
  // One of those that were parked last, also by a process that is no more.
  Expected<Session> RecoverSession(uint32_t index = 0) {
    return detail::Make<Session, thimble_session>([&](auto** s, auto* e) { thimble_session_recover(handle(), index, s, e); });
  }
  Expected<thimble_profile> Profile(bool reset = false) {
    return detail::GetStruct<thimble_profile>([&](auto* p, auto* e) { thimble_get_profile(handle(), reset, p, e); });
  }
  // each(const thimble_operation&), where the options have profile_slices.
  template <typename Each>
  Expected<void> Operations(Each&& each, bool reset = false) {
    using F = std::remove_reference_t<Each>;
    return detail::Do([&](auto* e) {
      thimble_get_operations(handle(), reset, [](void* f, const thimble_operation* o) { (*static_cast<F*>(f))(*o); }, detail::User(each), e);
    });
  }
};

class Model : public detail::Owner<thimble_model, thimble_model_close>, public ModelCalls<Model> {
 public:
  using Owner::Owner;

  static Expected<Model> Open(const char* path) {
    return detail::Make<Model, thimble_model>([&](auto** m, auto* e) { thimble_model_open(path, m, e); });
  }
  static Expected<Model> OpenFd(int fd, uint64_t offset, uint64_t length) {
    return detail::Make<Model, thimble_model>([&](auto** m, auto* e) { thimble_model_open_fd(fd, offset, length, m, e); });
  }
  // 64-byte aligned, the caller's until the model is closed.
  static Expected<Model> OpenMemory(std::span<const std::byte> bytes) {
    return detail::Make<Model, thimble_model>(
        [&](auto** m, auto* e) { thimble_model_open_memory(bytes.data(), bytes.size(), m, e); });
  }

  Expected<thimble_plan> Plan(const thimble_engine_options& options = EngineOptions()) const {
    return detail::GetStruct<thimble_plan>(
        [&](auto* p, auto* e) { thimble_plan_memory(handle(), &options, p, nullptr, nullptr, e); });
  }
  // For a moment when every session has read so many tokens: touched_anonymous_bytes.
  Expected<thimble_plan> PlanAt(uint32_t tokens, const thimble_engine_options& options = EngineOptions()) const {
    return detail::GetStruct<thimble_plan>(
        [&](auto* p, auto* e) { thimble_plan_at(handle(), &options, tokens, p, nullptr, nullptr, e); });
  }
  // each(const thimble_solution&), best first: what fits so much anonymous memory, for each type of rows.
  template <typename Each>
  Expected<void> Solve(uint64_t anonymous_bytes, Each&& each, const thimble_engine_options& options = EngineOptions()) const {
    using F = std::remove_reference_t<Each>;
    Sized<thimble_budget> budget;
    budget.anonymous_bytes = anonymous_bytes;
    return detail::Do([&](auto* e) {
      thimble_solve(handle(), &options, &budget, [](void* f, const thimble_solution* s) { (*static_cast<F*>(f))(*s); },
                    detail::User(each), e);
    });
  }
  // By the system's own figures; THIMBLE_OUT_OF_MEMORY says how much is missing.
  Expected<thimble_fit> WillFit(const thimble_engine_options& options = EngineOptions()) const {
    return detail::GetStruct<thimble_fit>([&](auto* f, auto* e) { thimble_will_fit(handle(), &options, nullptr, f, e); });
  }
  // progress(done, total) for every part of the file.
  template <typename Progress>
  Expected<void> Verify(Progress&& progress) const {
    using F = std::remove_reference_t<Progress>;
    return detail::Do([&](auto* e) {
      thimble_model_verify(
          handle(), [](void* f, uint64_t done, uint64_t total) { return detail::GoOn(*static_cast<F*>(f), done, total); },
          detail::User(progress), e);
    });
  }
  Expected<Engine> CreateEngine(const thimble_engine_options& options = EngineOptions()) const {
    return detail::Make<Engine, thimble_engine>([&](auto** n, auto* e) { thimble_engine_create(handle(), &options, n, e); });
  }
  // An engine with one session, in one.
  Expected<Session> CreateSession(const thimble_engine_options& options = EngineOptions()) const {
    return detail::Make<Session, thimble_session>(
        [&](auto** s, auto* e) { thimble_session_create(handle(), &options, s, e); });
  }
};

}  // namespace cpp
}  // namespace thimble
