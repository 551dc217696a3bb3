// Between creating a session and closing it the library takes nothing from the system: not one allocation,
// mapping, file or thread in a thousand tokens of everything that a session can do. And the counters do
// count.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <cstdlib>

#include "tests/memory/combinations.h"
#include "tests/memory/interposers.h"
#include "tests/support/conversation.h"
#include "tests/support/engine_runner.h"
#include "tests/support/model_zoo.h"
#include "tests/support/shared_work.h"
#include "tests/support/window_model.h"

using namespace thimble;
using namespace thimble::test;

namespace {

// The compiler may not remove what it cannot see through.
void* Keep(void* p) {
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

struct Work {
  size_t tokens = 0, rows = 0, text_bytes = 0, turns = 0;
  thimble_error status = {};  // the first error
  bool Ok(const thimble_error& s) {
    if (s.code != 0 && status.code == 0) status = s;
    return s.code == 0;
  }
};

int32_t CountRow(void* user, size_t, const float*) {
  ++static_cast<Work*>(user)->rows;
  return 1;
}
int32_t CountText(void* user, const char*, size_t bytes) {
  static_cast<Work*>(user)->text_bytes += bytes;
  return 1;
}

const std::vector<uint8_t> kShortTemplate = chat::CompileTemplate(KnownTemplate("mistral-v3-tekken"));
const Messages kMessages = {{"user", "ab"}, {"assistant", "b"}, {"user", "</s>"}};
const Conversation kConversation(kMessages, &kShortTemplate);

// A turn of a conversation, where the context has room for one.
void Converse(thimble_session* session, Work& work) {
  for (size_t count = 1; count <= 3; count += 2) {
    thimble_conversation part = *kConversation.get();
    part.message_count = count;
    thimble_generation generation = Sized<thimble_generation>();
    generation.conversation = &part;
    generation.max_tokens = 4;
    const thimble_error error = Call(thimble_generate, session, &generation, nullptr, nullptr);
    if (error.code == THIMBLE_CONTEXT_FULL || error.code == THIMBLE_TEXT_TOO_LONG) return;
    work.turns += work.Ok(error);
  }
}

// At least a thousand tokens through every call that a session offers. Allocates nothing itself.
void Decode(thimble_session* session, Work& work) {
  static const int32_t ids[16] = {1, 5, 9, 13, 17, 21, 25, 29, 33, 37, 2, 6, 10, 14, 18, 22};
  const size_t capacity = thimble_capacity(session);
  for (int round = 0; work.tokens < 1000 && work.status.code == 0; ++round) {
    work.Ok(Call(thimble_rewind, session, 0));
    const size_t prompt = capacity / 2 < 16 ? capacity / 2 : 16;
    if (round % 2 == 0) {
      work.Ok(Call(thimble_prefill, session, ids, prompt));
    } else {
      work.Ok(Call(thimble_prefill_each, session, ids, prompt, CountRow, &work));
    }
    work.tokens += prompt;
    while (thimble_position(session) < capacity - 1) {
      int32_t id = 0;
      if (!work.Ok(Call(thimble_sample, session, &id)) || !work.Ok(DecodeId(session, id))) return;
      ++work.tokens;
    }
    work.Ok(Call(thimble_rewind, session, std::max<size_t>(2, thimble_rewind_limit(session))));
    int32_t out[64];
    size_t count = 0;
    work.Ok(Call(thimble_tokenize, nullptr, session, "abc \xc3\xa4 de", 9, THIMBLE_ADD_BOS | THIMBLE_PARSE_SPECIAL, out, 64,
                           &count));
    thimble_event generated = {};
    work.Ok(GenerateText(session, "ab", 2, 8, CountText, &work, &generated));
    work.tokens += generated.prompt_tokens + generated.generated_tokens;
    Converse(session, work);
    thimble_sampling sampling = ApiOptions().sampling;
    sampling.temperature = round % 3 == 0 ? 0.0f : 1.0f;
    sampling.seed = static_cast<uint64_t>(round);
    sampling.top_k = 5;
    sampling.repeat_penalty = 1.2f;
    sampling.repeat_last_n = 4;
    work.Ok(Call(thimble_set_sampling, session, &sampling));
    thimble_profile profile = Sized<thimble_profile>();
    work.Ok(Call(thimble_get_profile, thimble_session_engine(session), 1, &profile));
    // Errors take nothing either.
    const int32_t bad = -1;
    if (DecodeId(session, bad).code == 0) work.status.code = -1;
  }
}

void Encode(thimble_session* session, const thimble_model_info& info, Work& work) {
  static float pixels[3 * 11 * 14];
  static const int32_t ids[20] = {1, 5, 9, 13, 17, 21, 25, 29, 33, 37, 2, 6, 10, 14, 18, 22, 1, 2, 3, 4};
  while (work.tokens < 1000 && work.status.code == 0) {
    if (info.image_height > 0) {
      work.Ok(Call(thimble_encode_image, session, pixels, std::size(pixels), CountRow, &work));
      work.tokens += 13;
    } else {
      work.Ok(Call(thimble_encode_rows, session, ids, std::size(ids), CountRow, &work));
      work.tokens += std::size(ids);
    }
  }
}

// Size of the address space and number of threads, as the kernel counts them; read without allocating.
struct Kernel {
  long address_space_kib = 0, threads = 0;
};
Kernel AskKernel() {
  static char text[8192];
  Kernel out;
  const int fd = open("/proc/self/status", O_RDONLY);
  if (fd < 0) return out;
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  text[size > 0 ? size : 0] = 0;
  if (const char* at = strstr(text, "VmSize:")) out.address_space_kib = atol(at + 7);
  if (const char* at = strstr(text, "Threads:")) out.threads = atol(at + 8);
  return out;
}

}  // namespace

TEST_CASE("counters: they count") {
  if (!CountsAllocations()) SKIP("this build brings its own allocator");
  const auto counted = [](auto&& act) {
    const Counts before = CountsNow();
    act();
    return CountsNow() - before;
  };
  CHECK(counted([] {}).allocations == 0);
  Counts c = counted([] { free(Keep(malloc(100))); });
  CHECK(c.allocations == 1);
  CHECK(c.allocated_bytes == 100);
  CHECK(c.frees == 1);
  CHECK(counted([] { free(Keep(calloc(3, 5))); }).allocated_bytes == 15);
  CHECK(counted([] { free(Keep(aligned_alloc(64, 128))); }).allocations == 1);
  CHECK(counted([] {
          void* p = nullptr;
          if (posix_memalign(&p, 64, 64) == 0) free(Keep(p));
        }).allocations == 1);
  CHECK(counted([] { free(Keep(strdup("text"))); }).allocations == 1);
  CHECK(counted([] {
          int* p = new int[7];
          Keep(p);
          delete[] p;
        }).allocations == 1);
  CHECK(counted([] { free(Keep(realloc(Keep(malloc(8)), 4000))); }).allocations == 2);
  if (!CountsEverything()) SKIP("mappings, files and threads are not counted in this build");
  CHECK(counted([] {
          void* p = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          munmap(mremap(p, 4096, 8192, MREMAP_MAYMOVE), 8192);
        }).mappings == 2);
  CHECK(counted([] { Keep(sbrk(0)); }).mappings == 1);
  CHECK(counted([] { close(open("/dev/null", O_RDONLY)); }).files == 1);
  CHECK(counted([] {
          FILE* f = fopen("/dev/null", "r");
          if (f != nullptr) fclose(f);
        }).files == 1);
  CHECK(counted([] {
          pthread_t thread;
          if (pthread_create(
                  &thread, nullptr, [](void* p) { return p; }, nullptr) == 0)
            pthread_join(thread, nullptr);
        }).threads == 1);
}

TEST_CASE("a thousand tokens take nothing from the system") {
  if (!CountsAllocations()) SKIP("this build brings its own allocator");
  const ShareAllWork share;  // the models are small
  size_t sessions = 0, turns = 0;
  for (const Combination& c : Combinations()) {
    for (uint32_t threads = 1; threads <= 2; ++threads) {
      INFO(c.name << "; threads " << threads);
      const OpenModel model(c.builder.Bytes());
      const thimble_model_info info = model.info();
      ApiOptions options = c.options;
      options.threads = threads;
      options.sampling.top_k = 5;
      options.sampling.repeat_last_n = 4;
      thimble_session* session = nullptr;
      Require(CreateSession(model.get(), &options, nullptr, 0, &session));
      Work work;
      const Kernel kernel_before = AskKernel();
      const Counts before = CountsNow();
      if (info.is_decoder) {
        Decode(session, work);
      } else {
        Encode(session, info, work);
      }
      const Counts used = CountsNow() - before;
      const Kernel kernel_after = AskKernel();
      thimble_session_close(session);

      CHECK(std::string(work.status.message) == "");
      CHECK(work.status.code == 0);
      CHECK(work.tokens >= 1000);
      CHECK(work.rows > 0);
      CHECK(used.allocations == 0);
      CHECK(used.frees == 0);
      CHECK(used.mappings == 0);
      CHECK(used.files == 0);
      CHECK(used.threads == 0);
      CHECK(used.library_allocations == 0);
      // A thread of the session before may still be on its way out.
      CHECK(kernel_after.threads <= kernel_before.threads);
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
      CHECK(kernel_after.address_space_kib == kernel_before.address_space_kib);
#endif
      ++sessions;
      turns += work.turns;
    }
  }
  CHECK(sessions >= 40);
  CHECK(turns > 100);
  CHECK(share.TasksOfOthers() > 0);
}

TEST_CASE("a thousand tokens through rings take nothing from the system") {
  if (!CountsAllocations()) SKIP("this build brings its own allocator");
  const ShareAllWork share;
  const OpenModel model(WindowModel().Bytes());
  const std::vector<int32_t> ids = WindowIds(kWindowContext);
  ApiOptions options = ApiOptions();
  options.window_tokens = 30;
  options.sink_tokens = 4;
  options.threads = 2;
  thimble_session* session = nullptr;
  Require(CreateSession(model.get(), &options, nullptr, 0, &session));
  Work work;
  std::vector<uint8_t> state(1 << 20);
  const Counts before = CountsNow();
  for (int round = 0; round < 2; ++round) {
    work.Ok(Call(thimble_rewind, session, 0));
    work.Ok(Call(thimble_prefill, session, ids.data(), 600));
    for (size_t i = 600; i < kWindowContext; ++i) work.Ok(DecodeId(session, ids[i]));
    work.Ok(Call(thimble_rewind, session, thimble_rewind_limit(session)));
    if (Call(thimble_rewind, session, 1).code != 603) work.status.code = -1;
    StateInMemory written = {state.data(), state.size(), 0};
    work.Ok(Call(thimble_state_save, session, StateInMemory::Write, &written));
    work.Ok(LoadState(session, state.data(), written.size));
    if (LoadState(session, state.data(), written.size - 1).code != 105) work.status.code = -1;
  }
  const Counts used = CountsNow() - before;
  thimble_session_close(session);
  CHECK(std::string(work.status.message) == "");
  CHECK(work.status.code == 0);
  CHECK(used.allocations + used.frees + used.mappings + used.files + used.threads + used.library_allocations == 0);
  CHECK(share.TasksOfOthers() > 0);
}

TEST_CASE("recording what operations take, and telling it, takes nothing from the system") {
  if (!CountsAllocations()) SKIP("this build brings its own allocator");
  const OpenModel model(ZooEntry("k_v_on_read").Bytes());
  ApiOptions options = ApiOptions();
  options.profile_slices = 50;
  options.threads = 2;
  thimble_session* session = nullptr;
  Require(CreateSession(model.get(), &options, nullptr, 0, &session));
  thimble_engine* engine = thimble_session_engine(session);
  Work work;
  size_t told = 0;
  const auto count = [](void* user, const thimble_operation*) { ++*static_cast<size_t*>(user); };
  const auto count_line = [](void* user, const thimble_plan_line*) { ++*static_cast<size_t*>(user); };
  const thimble_operation_fn each = count;
  const thimble_plan_fn each_line = count_line;
  const Counts before = CountsNow();
  Decode(session, work);
  work.Ok(Call(thimble_get_operations, engine, 1, each, static_cast<void*>(&told)));
  work.Ok(Call(thimble_get_slices, engine, each, static_cast<void*>(&told)));
  work.Ok(Call(thimble_measure_lines, engine, each_line, static_cast<void*>(&told)));
  const Counts used = CountsNow() - before;
  thimble_session_close(session);
  CHECK(std::string(work.status.message) == "");
  CHECK(work.status.code == 0);
  CHECK(told > 60);
  CHECK(used.allocations + used.frees + used.mappings + used.files + used.threads + used.library_allocations == 0);
}

TEST_CASE("a thousand sessions opened, forked, cancelled and closed take nothing from the system") {
  if (!CountsAllocations()) SKIP("this build brings its own allocator");
  EngineRunner runner(WindowModel().Bytes(), {.max_sessions = 3, .threads = 2, .window_tokens = 30, .key_cache = CacheType::kQ4,
                                              .value_cache = CacheType::kQ4});
  Engine& engine = runner.engine();
  const std::vector<int32_t> ids = WindowIds(300);
  Session* const first = &runner.Open();
  size_t wrong = 0, cycles = 0;
  const Counts before = CountsNow();
  wrong += !first->Prefill(ids.data(), 290, nullptr, nullptr).ok();
  for (; cycles < 1000; ++cycles) {
    Session *a = engine.OpenSession().value(), *b = engine.OpenSession().value();
    wrong += engine.OpenSession().status().code != Code::kNoSession;
    a->Fork(*first);
    b->Fork(*a);
    StepSpan spans[3] = {{.session = a, .ids = ids.data(), .count = 2}, {.session = b, .ids = ids.data(), .count = 1},
                         {.session = first, .ids = ids.data() + 290, .count = 3}};
    spans[0].next = &spans[1];
    spans[1].next = &spans[2];
    b->Cancel();
    engine.RunSpans(spans);
    wrong += spans[0].cancelled || !spans[1].cancelled || spans[2].cancelled || !a->Sample().ok();
    wrong += !first->Rewind(290).ok();
    engine.CloseSession(a);
    engine.CloseSession(b);
  }
  const Counts used = CountsNow() - before;
  CHECK(wrong == 0);
  CHECK(used.allocations + used.frees + used.mappings + used.files + used.threads + used.library_allocations == 0);
}

TEST_CASE("planning takes nothing, and closing gives everything back") {
  if (!CountsAllocations()) SKIP("this build brings its own allocator");
  const OpenModel model(ZooEntry("k_v_on_read").Bytes());
  ApiOptions options = ApiOptions();
  options.threads = 2;
  (void)thimble_kernel_tables();  // its text is made once
  thimble_plan plan = Sized<thimble_plan>();
  const Counts before = CountsNow();
  const thimble_error planned = Call(thimble_plan_memory, model.get(), &options, &plan, nullptr, nullptr);
  Counts used = CountsNow() - before;
  CHECK(planned.code == 0);
  CHECK(used.allocations == 0);
  CHECK(used.mappings == 0);
  CHECK(used.files == 0);

  // The C library keeps a thread's tables for the next thread, so the first session leaves them behind.
  thimble_session* session = nullptr;
  REQUIRE(CreateSession(model.get(), &options, nullptr, 0, &session).code == 0);
  thimble_session_close(session);
  const Counts open = CountsNow();
  const thimble_error created = CreateSession(model.get(), &options, nullptr, 0, &session);
  thimble_session_close(session);
  used = CountsNow() - open;
  CHECK(created.code == 0);
  CHECK(used.allocations == used.frees);
}
