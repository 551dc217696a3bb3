/* thimble: language models in one memory block whose size is known before loading.
 *
 *   thimble_model* model = NULL;
 *   thimble_session* session = NULL;
 *   thimble_options options = thimble_default_options();
 *   thimble_plan plan;
 *   thimble_status s = thimble_model_open("stories-qmqa.thimble", &model);
 *   if (s.code == 0) s = thimble_plan_memory(model, &options, &plan, NULL, NULL);   // bytes, before anything is loaded
 *   if (s.code == 0) s = thimble_session_create(model, &options, NULL, 0, &session);
 *   if (s.code == 0) s = thimble_generate(session, "Once upon a time", 16, 100, on_text, NULL, NULL);
 *   if (s.code != 0) fprintf(stderr, "%s\n", s.message);
 *   thimble_session_close(session);
 *   thimble_model_close(model);
 *
 * A model is read-only and may serve many sessions. A session is used by one thread at a time. Between
 * thimble_session_create and thimble_session_close the library allocates nothing, maps nothing, opens nothing and
 * creates no thread. No function aborts or throws for anything that a file or an argument holds.
 */
#ifndef THIMBLE_THIMBLE_H_
#define THIMBLE_THIMBLE_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define THIMBLE_API
#else
#define THIMBLE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ----
 * code 0 is success. 1xx the argument, 2xx the file, 3xx not supported, 4xx memory, 5xx the system, 6xx the state
 * (601 wrong call, 600 context full, 603 rewound too far), 7xx numbers. `message` names the field or argument, what was found and what was
 * expected. exit_code is what a program should end with. */
typedef struct thimble_status {
  int32_t code;
  int32_t exit_code;
  char message[248];
} thimble_status;

/* "arena-too-small", ... stable names of codes. Static text. */
THIMBLE_API const char* thimble_code_name(int32_t code);

/* ---- model ---- */
typedef struct thimble_model thimble_model;

/* Maps the file read-only, copies and validates the header. Reads nothing of the weights. *model must be closed. */
THIMBLE_API thimble_status thimble_model_open(const char* path, thimble_model** model);
/* The same over bytes in memory (64-byte aligned), which the caller keeps until the model is closed. */
THIMBLE_API thimble_status thimble_model_open_memory(const void* bytes, size_t size, thimble_model** model);
/* After all its sessions. NULL is allowed. */
THIMBLE_API void thimble_model_close(thimble_model* model);
/* Reads every byte of the payload: checksums, padding, tokenizer order, finite weights. */
THIMBLE_API thimble_status thimble_model_verify(const thimble_model* model);

typedef struct thimble_model_info {
  const char* name;     /* owned by the model */
  const char* family;
  const char* chat_template; /* "" if none */
  uint64_t file_bytes;
  uint32_t layers;      /* L */
  uint32_t width;       /* D */
  uint32_t vocabulary;  /* ids below this may be sampled */
  uint32_t outputs;     /* length of a row of logits, >= vocabulary for language models */
  uint32_t max_positions;
  int32_t has_tokenizer;
  int32_t is_decoder;   /* 0: an encoder, for thimble_encode_rows or thimble_encode_image */
  int32_t bos, eos;     /* -1 if none */
  uint32_t image_height, image_width, image_channels; /* 0 for models that read tokens */
} thimble_model_info;
THIMBLE_API thimble_model_info thimble_model_get_info(const thimble_model* model);

/* ---- options ---- */
typedef enum thimble_cache_type {
  THIMBLE_CACHE_F32 = 0,
  THIMBLE_CACHE_F16 = 1,
  THIMBLE_CACHE_Q8 = 2, /* int8 with a scale per row and head */
  THIMBLE_CACHE_Q4 = 3  /* int4 with a factor per 32 elements; the newest 64 tokens are read in int8 */
} thimble_cache_type;

/* 0 temperature is greedy. Filters run in the order: repeat penalty, top-k, top-p, min-p, temperature. */
typedef struct thimble_sampling {
  float temperature;       /* 0.8 */
  int32_t top_k;           /* 40; 0 = off */
  float top_p;             /* 0.95; 1 = off */
  float min_p;             /* 0.05; 0 = off */
  float repeat_penalty;    /* 1.0 = off */
  int32_t repeat_last_n;   /* 64 */
  uint64_t seed;           /* 0 */
} thimble_sampling;

typedef struct thimble_options {
  uint32_t struct_bytes;        /* set by thimble_default_options */
  uint32_t context_tokens;      /* positions; 0 = the model's max_positions */
  uint32_t threads;             /* 1 = no pool; 0 = 1 */
  int32_t key_cache;            /* thimble_cache_type; f16 by default */
  int32_t value_cache;          /* must equal key_cache where keys and values are one row */
  uint32_t chunk_tokens;        /* tokens per prefill pass; 0 = 64; encoders: the longest input */
  uint32_t logits_rows;         /* rows of logits computed at once for thimble_prefill_each; 0 = 1 */
  uint32_t max_text_bytes;      /* longest text thimble_generate and thimble_encode take; 0 = 8 per context token */
  const char* kernels;          /* "scalar", "neondot", ...; NULL = the best this CPU has, or the one that the file is
                                   packed for where that is not much slower */
  thimble_sampling sampling;
  uint64_t cpu_mask;            /* processors for the session's own threads, bit i = processor i; 0 = any. Not for the
                                   calling thread, which is worker 0 and the caller's to place */
  int32_t cpu_strict;           /* 1: worker w on one processor alone, the w-th of cpu_mask */
  uint32_t window_tokens;       /* layers that the model gives no window see the last N tokens only; 0 = all. Bounds the KV
                                   cache: thimble_plan.kv_ring_bytes */
  uint32_t sink_tokens;         /* layers with a window (the model's or this one) also see the first N tokens, the attention
                                   sinks of StreamingLLM (arXiv 2309.17453). Keys keep the rotation of their position in the
                                   text, so that context_tokens and what the model was trained for remain limits */
  uint32_t max_sessions;        /* sequences at once; 0 = 1 */
  uint32_t top_tokens;          /* the most likeliest tokens that a generation may name; 0 = none */
} thimble_options;
THIMBLE_API thimble_options thimble_default_options(void);

/* ---- plan ----
 * Every byte, by name, before loading. Reads the header (and the tokenizer's tables, where there is one); no weights. */
typedef enum thimble_lifetime { THIMBLE_MAPPED = 0, THIMBLE_ARENA = 1, THIMBLE_OUTSIDE = 2 } thimble_lifetime;

typedef struct thimble_plan_line {
  int32_t lifetime;      /* thimble_lifetime */
  const char* name;      /* static text: "kv_cache", "packed_weights", ... */
  int32_t index;         /* layer or tensor, or -1 */
  uint64_t offset;       /* in the arena, or in the file */
  uint64_t bytes;
  int32_t scratch;       /* 1: overlaps scratch of other phases, so that it does not add to the total */
  int32_t session;       /* the session slot it belongs to, or -1 */
} thimble_plan_line;

typedef struct thimble_plan {
  uint64_t arena_bytes;               /* exactly what thimble_session_create needs */
  uint64_t mapped_bytes;
  uint64_t outside_bytes;             /* thread stacks, pool, header copy */
  uint64_t kv_bytes;                  /* of the arena */
  uint64_t packed_weight_bytes;       /* of the arena: weights that the kernels do not read where the file has them */
  uint64_t kv_bytes_per_token;        /* rows of one token in all layers */
  uint64_t baseline_kv_bytes_per_token; /* the same model with separate keys and values for all heads in fp16 */
  uint32_t context_tokens;
  uint32_t chunk_tokens;
  uint32_t threads;
  const char* kernels;                /* the table that will be used */
  const char* file_packing;           /* for which table the file is packed: "portable", "neondot", ... or "mixed" */
  uint64_t in_place_weight_bytes;     /* of the mapping: weights of linear layers that are used where they lie */
  uint64_t repacked_weight_bytes;     /* of packed_weight_bytes: the file has them in another packing */
  uint64_t kv_ring_bytes;             /* of kv_bytes: layers whose window is smaller than the context. They keep the window,
                                         the sink_tokens and one pass, in rings that do not grow with the context */
  uint64_t kv_recent_bytes;           /* of kv_bytes: with int4 rows, the newest tokens' in int8; does not grow either */
  uint64_t kv_bytes_per_context_token; /* the other layers: what one more of context_tokens costs a session */
  uint32_t sessions;
  uint64_t session_bytes;             /* of the arena: what one more session costs */
} thimble_plan;

typedef void (*thimble_plan_fn)(void* user, const thimble_plan_line* line);
/* `each` may be NULL. */
THIMBLE_API thimble_status thimble_plan_memory(const thimble_model* model, const thimble_options* options,
                                               thimble_plan* plan, thimble_plan_fn each, void* user);

/* ---- session ---- */
typedef struct thimble_session thimble_session;

/* `arena`: 64-byte aligned block of at least plan.arena_bytes, kept by the caller until close; or NULL, then the
 * library takes exactly plan.arena_bytes itself. Everything is read, packed and created here. */
THIMBLE_API thimble_status thimble_session_create(const thimble_model* model, const thimble_options* options,
                                                  void* arena, size_t arena_bytes, thimble_session** session);
THIMBLE_API void thimble_session_close(thimble_session* session);

/* Appends `count` ids to the context; logits of the last one are ready afterwards. On error nothing has changed. */
THIMBLE_API thimble_status thimble_prefill(thimble_session* session, const int32_t* ids, size_t count);
/* One id: thimble_prefill(session, &id, 1). */
THIMBLE_API thimble_status thimble_decode(thimble_session* session, int32_t id);
/* Like thimble_prefill, and calls `each` with the logits of every position in order. A false return stops after
 * that position's chunk with THIMBLE code cancelled (602); the tokens of finished chunks stay in the context. */
typedef int32_t (*thimble_logits_fn)(void* user, size_t position, const float* logits);
THIMBLE_API thimble_status thimble_prefill_each(thimble_session* session, const int32_t* ids, size_t count,
                                                thimble_logits_fn each, void* user);
/* Encoders: the whole input at once (at most chunk_tokens rows); `each` gets the logits of every row, or of the CLS
 * row alone. The image is [channels, height, width] floats, already normalised. */
THIMBLE_API thimble_status thimble_encode_rows(thimble_session* session, const int32_t* ids, size_t count,
                                               thimble_logits_fn each, void* user);
THIMBLE_API thimble_status thimble_encode_image(thimble_session* session, const float* pixels, size_t count,
                                                thimble_logits_fn each, void* user);

/* Logits after the last prefill or decode, model outputs floats; NULL before the first. Owned by the session. */
THIMBLE_API const float* thimble_logits(const thimble_session* session);
/* Draws the next id with the session's sampler; does not append it. */
THIMBLE_API thimble_status thimble_sample(thimble_session* session, int32_t* id);
/* Other sampling from here on; restarts the random numbers at the seed and forgets the recent tokens. A wider top_k or
 * repeat_last_n than the session was planned for is refused (101). */
THIMBLE_API thimble_status thimble_set_sampling(thimble_session* session, const thimble_sampling* sampling);

/* Tokens in the context, and room in all. */
THIMBLE_API size_t thimble_position(const thimble_session* session);
THIMBLE_API size_t thimble_capacity(const thimble_session* session);
/* Forgets everything from `position` on (<= thimble_position). Logits are gone until the next prefill. The
 * sampler's recent tokens stay: thimble_set_sampling forgets them. Where layers have a ring (thimble_plan.kv_ring_bytes)
 * old rows make room for new ones: a position whose window is not there any more is refused (603), 0 never is.
 * With int4 rows, newest rows that have made room are taken from those: close, but not the bits of a context that
 * was never longer. */
THIMBLE_API thimble_status thimble_rewind(thimble_session* session, size_t position);
/* The smallest position beside 0 that thimble_rewind takes; 0: it takes all. The last chunk_tokens tokens can always be
 * taken back. */
THIMBLE_API size_t thimble_rewind_limit(const thimble_session* session);

/* ---- saved states ----
 * A decoder's session as one block of bytes: the cache's rows, the last logits, the sampler's recent tokens. It moves to
 * any session with the same model file, cache types, window_tokens and sink_tokens and with room for its tokens,
 * whatever the machine, the kernels, the threads and the pass length; there everything goes on with the same bits. The
 * random numbers go on, too, where the seed is the same. Refused blocks change nothing: 104 not a saved state, 105
 * damaged, 106 of another model or other options, 302 another version, 600 too many tokens. Allocates nothing.
 * Checksums guard against damage; a block that somebody made up on purpose can make nonsense, but no more. */
/* Bytes that thimble_state_save would take now; 0 for encoders. Changes with the position. */
THIMBLE_API uint64_t thimble_state_bytes(const thimble_session* session);
/* *written is what it takes, also when `bytes` are too few (then code 101). */
THIMBLE_API thimble_status thimble_state_save(const thimble_session* session, void* block, size_t bytes, size_t* written);
THIMBLE_API thimble_status thimble_state_load(thimble_session* session, const void* block, size_t bytes);

/* ---- text ----
 * UTF-8 in and out; any bytes are legal. */
enum { THIMBLE_ADD_BOS = 1, THIMBLE_PARSE_SPECIAL = 2 };
/* With the session's planned workspace; text of at most max_text_bytes. THIMBLE_ADD_BOS adds BOS where the model
 * wants one. *count is the number of ids, also when capacity is too small (then code 102). */
THIMBLE_API thimble_status thimble_encode(thimble_session* session, const char* text, size_t text_bytes, uint32_t flags,
                                          int32_t* ids, size_t capacity, size_t* count);
/* The same without a session; takes working memory from malloc and gives it back. */
THIMBLE_API thimble_status thimble_tokenize(const thimble_model* model, const char* text, size_t text_bytes,
                                            uint32_t flags, int32_t* ids, size_t capacity, size_t* count);
/* The bytes that stand for one id, without any streaming rule. *text is owned by the model, not terminated. */
THIMBLE_API thimble_status thimble_piece(const thimble_model* model, int32_t id, const char** text, size_t* bytes);
/* Ids to text, whole. *written as for count above. */
THIMBLE_API thimble_status thimble_detokenize(const thimble_model* model, const int32_t* ids, size_t count, char* text,
                                              size_t capacity, size_t* written);
THIMBLE_API int32_t thimble_is_end(const thimble_model* model, int32_t id);

/* Called with whole UTF-8 characters as they come; false stops (code 602). */
typedef int32_t (*thimble_text_fn)(void* user, const char* text, size_t bytes);
typedef struct thimble_generation {
  size_t prompt_tokens, generated_tokens;
  int32_t ended;          /* 1: end-of-text id, 0: max_tokens or context full */
  uint64_t prefill_ns, decode_ns;
} thimble_generation;
/* Encodes, prefills, samples and streams at most max_tokens (0 = until the context is full). At position 0 a BOS is
 * added where the model wants one. `result` may be NULL. */
THIMBLE_API thimble_status thimble_generate(thimble_session* session, const char* prompt, size_t prompt_bytes,
                                            size_t max_tokens, thimble_text_fn on_text, void* user,
                                            thimble_generation* result);

/* ---- processors ---- */
/* Where the system lets each worker run now, read back: `threads` masks of the plan, worker 0 being the calling thread. A
 * cpu_mask that did not take shows here (cpusets, hot-plugged or absent processors); it never fails a session. */
THIMBLE_API thimble_status thimble_thread_cpus(thimble_session* session, uint64_t* masks, size_t capacity, size_t* count);
/* The processors of a big.LITTLE system that are at least half as fast as its fastest, from the system's
 * cpu_capacity; 0 where all are alike or the system does not say. */
THIMBLE_API uint64_t thimble_performance_cpus(void);

/* ---- chat ----
 * Conversations as the model's chat template writes them. `chat_template` is NULL for the model's own, or a name
 * ("chatml", "llama3", ...; runtime/chat/README.md), or the text of a Jinja template that is one of these. Any other is
 * refused (300). Markers of the template become special tokens; what a message says never does. */
typedef struct thimble_chat_message {
  const char* role;      /* "system", "user" or "assistant" */
  const char* text;      /* UTF-8, text_bytes long */
  size_t text_bytes;
} thimble_chat_message;

typedef struct thimble_chat_info {
  const char* name;      /* static text: "chatml" */
  int32_t end_of_turn;   /* id that ends an answer beside those of thimble_is_end; -1 if it is no single token */
  int32_t has_system_role;
} thimble_chat_info;

/* Names of the templates, separated by ", ". Static text. */
THIMBLE_API const char* thimble_chat_templates(void);
THIMBLE_API thimble_status thimble_chat_find(const thimble_model* model, const char* chat_template, thimble_chat_info* info);
/* The whole conversation from the begin of the text to where the assistant's next answer starts (or to the end, if the last
 * message is the assistant's) as ids. To go on after an answer, ask again with all messages, keep what the context already
 * has in common with these ids (thimble_rewind), and prefill the rest. *count as for thimble_encode. Takes working memory
 * from malloc and gives it back. Refuses roles that the template cannot take, naming messages[i].role. */
THIMBLE_API thimble_status thimble_chat_encode(const thimble_model* model, const char* chat_template,
                                               const thimble_chat_message* messages, size_t message_count, int32_t* ids,
                                               size_t capacity, size_t* count);
/* The same as text, for people. *written is its length, also when capacity is too small (then code 102). */
THIMBLE_API thimble_status thimble_chat_render(const thimble_model* model, const char* chat_template,
                                               const thimble_chat_message* messages, size_t message_count, char* text,
                                               size_t capacity, size_t* written);

/* ---- profile ---- */
typedef struct thimble_profile {
  uint64_t steps, tokens;
  uint64_t embed_ns, norm_ns, linear_ns, attention_ns, activation_ns, head_ns, sample_ns, total_ns;
  uint64_t kv_bytes_read;       /* cache bytes streamed by attention */
  uint64_t weight_bytes_read;   /* weight bytes streamed by linear layers */
} thimble_profile;
THIMBLE_API thimble_profile thimble_get_profile(const thimble_session* session);
THIMBLE_API void thimble_reset_profile(thimble_session* session);
/* For measuring at a depth that takes long to read: the context holds `tokens` tokens, whose cache rows are random
 * numbers of the seed. What is generated after them means nothing. 600 where they do not fit. */
THIMBLE_API thimble_status thimble_fill_context(thimble_session* session, size_t tokens, uint64_t seed);

/* Names of the kernel tables this CPU can run, best last, separated by spaces. Static text. */
THIMBLE_API const char* thimble_kernel_tables(void);
THIMBLE_API const char* thimble_version(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* THIMBLE_THIMBLE_H_ */
