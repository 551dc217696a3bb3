// What decoding a token costs in attention, and what of it: one pass of ops/attention/attention.h over the rows of all
// layers, with the kernel's functions timed one by one. "Bookkeeping" is the softmax function: maximum,
// exponentials, sums, and for int8 rows scales and quantised probabilities. A measuring program, no test: not
// part of ctest, and the library knows nothing of it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "ops/attention/attention.h"
#include "ops/attention/attention_float_kernel.h"
#include "ops/tables/kernel_table.h"
#include "ops/pool/thread_pool.h"

namespace thimble {
namespace {

uint64_t Ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

enum Part { kDecode, kScores, kSoftmax, kValues, kParts };
constexpr const char* kPartNames[kParts] = {"decode rows", "scores", "bookkeeping", "values"};
uint64_t spent[kParts];
const AttentionKernel* kernel;

template <Part kPart>
struct Timer {
  uint64_t start = Ticks();
  ~Timer() { spent[kPart] += Ticks() - start; }
};

void TimedScores(const AttentionQueries* queries, const AttentionBlocks* keys, float* out, size_t stride) {
  Timer<kScores> timer;
  kernel->scores(queries, keys, out, stride);
}
void TimedSoftmax(float* scores, size_t begin, size_t end, const AttentionBlocks* values, uint8_t* p,
                  AttentionSoftmax* result) {
  Timer<kSoftmax> timer;
  kernel->softmax(scores, begin, end, values, p, result);
}
void TimedValues(const uint8_t* p, const float* p_scales, size_t rows, const AttentionBlocks* values, float* out,
                 size_t stride) {
  Timer<kValues> timer;
  kernel->values(p, p_scales, rows, values, out, stride);
}
void TimedDecodeF16(const uint8_t* halves, size_t d, size_t count, float* tile) {
  Timer<kDecode> timer;
  kernel->floats->decode_f16(halves, d, count, tile);
}
void TimedDecodeQ8(const uint8_t* blocks, size_t d, size_t first, size_t count, float* tile) {
  Timer<kDecode> timer;
  kernel->floats->decode_q8(blocks, d, first, count, tile);
}
void TimedFloatScores(const float* q, size_t rows, const AttentionTile* tile, size_t count, size_t d16, float* out) {
  Timer<kScores> timer;
  kernel->floats->scores(q, rows, tile, count, d16, out);
}
void TimedFloatSoftmax(float* scores, size_t count, size_t d16, const AttentionStates* states) {
  Timer<kSoftmax> timer;
  kernel->floats->softmax(scores, count, d16, states);
}
void TimedFloatValues(const float* p, const AttentionTile* tile, size_t count, size_t d16, const AttentionStates* states) {
  Timer<kValues> timer;
  kernel->floats->values(p, tile, count, d16, states);
}

struct Arguments {
  size_t heads = 9, kv_heads = 3, d = 64, layers = 30, depth = 4096, tokens = 1, threads = 1, rounds = 7;
  bool one_row = false;
  CacheType keys = CacheType::kQ8, values = CacheType::kQ8;
  const KernelTable* table = BestKernelTable(DetectCpu());
};

[[noreturn]] void Usage(const char* why) {
  std::fprintf(stderr,
               "%s\nusage: bench_attention [--heads 9] [--kv-heads 3] [--d 64] [--layers 30] [--depth 4096] [--tokens 1]\n"
               "  [--threads 1] [--rounds 7] [--kv q8 or q8/q4] [--one-row] [--kernels NAME]\n",
               why);
  std::exit(2);
}

CacheType Type(const std::string& name) {
  const char* const names[] = {"f32", "f16", "q8", "q4"};
  for (uint8_t i = 0; i < kCacheTypeCount; ++i) {
    if (name == names[i]) return static_cast<CacheType>(i);
  }
  Usage("--kv: f32, f16, q8 or q4");
}

Arguments Parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--one-row") {
      a.one_row = true;
      continue;
    }
    if (++i == argc) Usage("a value is missing");
    const std::string value = argv[i];
    const std::pair<const char*, size_t*> numbers[] = {
        {"--heads", &a.heads}, {"--kv-heads", &a.kv_heads}, {"--d", &a.d},           {"--layers", &a.layers},
        {"--depth", &a.depth}, {"--tokens", &a.tokens},     {"--threads", &a.threads}, {"--rounds", &a.rounds}};
    bool known = false;
    for (const auto& [text, number] : numbers) {
      if (name != text) continue;
      *number = std::strtoul(value.c_str(), nullptr, 10);
      if (*number == 0) Usage("a number must be at least 1");
      known = true;
    }
    if (name == "--kv") {
      const size_t slash = value.find('/');
      a.keys = Type(value.substr(0, slash));
      a.values = slash == std::string::npos ? a.keys : Type(value.substr(slash + 1));
      known = true;
    }
    if (name == "--kernels") {
      a.table = FindKernelTable(value.c_str());
      if (a.table == nullptr || !a.table->supported(DetectCpu())) Usage("--kernels: not on this CPU");
      known = true;
    }
    if (!known) Usage(name.c_str());
  }
  if (a.heads % a.kv_heads != 0) Usage("--heads: must be a multiple of --kv-heads");
  return a;
}

// Random numbers that need be no better than this.
float Next(uint64_t* state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<float>(static_cast<int64_t>(*state) >> 40) * 0x1p-23f;
}

uint8_t* Aligned(std::vector<uint8_t>* bytes, size_t size) {
  bytes->resize(size + 64);
  return bytes->data() + (64 - reinterpret_cast<uintptr_t>(bytes->data()) % 64) % 64;
}

CacheRows MakeRows(const Arguments& a, CacheType type, std::vector<uint8_t>* bytes, uint64_t* state) {
  const size_t positions = a.depth + a.tokens;
  CacheRows rows = {.type = type, .row_bytes = CacheRowBytes(type, a.d), .rows = RoundUp(positions, kCacheBlockRows)};
  rows.chunk_bytes = kCacheChunkRows * a.kv_heads * rows.row_bytes;
  rows.base = Aligned(bytes, rows.rows * a.kv_heads * rows.row_bytes);
  std::vector<float> x(a.d);
  for (size_t g = 0; g < a.kv_heads; ++g) {
    for (size_t p = 0; p < positions; ++p) {
      for (float& v : x) v = Next(state);
      const CacheRows::Where where = rows.At(g, p);
      StoreCacheRow(type, x.data(), a.d, where.row, where.head);
    }
  }
  return rows;
}

int Main(const Arguments& a) {
  kernel = a.table->attention;
  static AttentionFloatKernel floats;
  floats = *kernel->floats;
  floats.decode_f16 = TimedDecodeF16;
  floats.decode_q8 = TimedDecodeQ8;
  floats.scores = TimedFloatScores;
  floats.softmax = TimedFloatSoftmax;
  floats.values = TimedFloatValues;
  AttentionKernel timed = *kernel;
  timed.scores = TimedScores;
  timed.softmax = TimedSoftmax;
  timed.values = TimedValues;
  timed.floats = &floats;

  uint64_t state = 1;
  std::vector<std::vector<uint8_t>> bytes(2 * a.layers);
  std::vector<AttentionArgs> layers(a.layers);
  std::vector<float> q(a.tokens * a.heads * a.d), out(q.size());
  for (float& v : q) v = Next(&state) * 3.0f;
  for (size_t l = 0; l < a.layers; ++l) {
    AttentionArgs& args = layers[l];
    args.t = a.tokens;
    args.heads = a.heads;
    args.kv_heads = a.kv_heads;
    args.d = a.d;
    args.key_type = a.keys;
    args.value_type = a.one_row ? a.keys : a.values;
    args.q = q.data();
    args.q_stride = args.out_stride = a.heads * a.d;
    args.out = out.data();
    args.keys = MakeRows(a, a.keys, &bytes[2 * l], &state);
    args.values = a.one_row ? args.keys : MakeRows(a, a.values, &bytes[2 * l + 1], &state);
    args.first_position = a.depth;
    args.positions = a.depth + a.tokens;
    args.scale = 0.125f;
  }
  ThreadPool* pool = a.threads > 1 ? CreateThreadPool(a.threads).value() : nullptr;
  std::vector<uint8_t> scratch_bytes;
  void* scratch = Aligned(&scratch_bytes, AttentionScratchBytes(layers[0], WorkerCount(pool)));
  const auto round = [&](const AttentionKernel* with) {
    const auto start = std::chrono::steady_clock::now();
    for (AttentionArgs& args : layers) {
      args.kernel = with;
      Attention(args, scratch, pool);
    }
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  };
  std::vector<double> plain;
  for (size_t r = 0; r < a.rounds; ++r) plain.push_back(round(kernel));
  std::sort(plain.begin(), plain.end());
  const double tokens = static_cast<double>(a.tokens), median = plain[plain.size() / 2];
  const double operations = 4.0 * static_cast<double>(a.layers * a.heads * a.d) *
                            (static_cast<double>(a.depth) + (tokens + 1) / 2) * tokens;
  std::printf("%s, %zu tokens at %zu: %.3f ms a token (best %.3f), %.1f G operations/s\n",
              a.keys == CacheType::kF32 || a.keys == CacheType::kF16 ? kernel->floats->name : kernel->name, a.tokens,
              a.depth, median / tokens, plain[0] / tokens, operations / median * 1e-6);
  if (pool != nullptr) {
    DestroyThreadPool(pool);
    return 0;  // the parts are counted on one thread
  }
  std::memset(spent, 0, sizeof spent);
  const uint64_t start = Ticks();
  for (size_t r = 0; r < a.rounds; ++r) round(&timed);
  const double all = static_cast<double>(Ticks() - start);
  double rest = 100.0;
  for (int p = 0; p < kParts; ++p) {
    const double share = 100.0 * static_cast<double>(spent[p]) / all;
    rest -= share;
    std::printf("  %-12s %5.1f %%\n", kPartNames[p], share);
  }
  std::printf("  %-12s %5.1f %%\n", "rest", rest);
  return 0;
}

}  // namespace
}  // namespace thimble

int main(int argc, char** argv) { return thimble::Main(thimble::Parse(argc, argv)); }
