/* thimble: language models in one memory block whose size is known before loading.
 *
 *   thimble_error error = {.struct_bytes = sizeof error};
 *   thimble_plan plan = {.struct_bytes = sizeof plan};
 *   thimble_generation story = {.struct_bytes = sizeof story, .max_tokens = 100, .text = "Once upon a time", .text_bytes = 16};
 *   thimble_model* model = NULL;
 *   thimble_session* session = NULL;
 *   if (thimble_model_open("stories-qmqa.thimble", &model, &error) == THIMBLE_OK &&
 *       thimble_plan_memory(model, NULL, &plan, NULL, NULL, &error) == THIMBLE_OK &&  // bytes, before anything is loaded
 *       thimble_session_create(model, NULL, &session, &error) == THIMBLE_OK)
 *     thimble_generate(session, &story, on_event, NULL, &error);                      // on_event prints event->text
 *   if (error.code != THIMBLE_OK) fprintf(stderr, "%s\n", error.message);
 *   thimble_session_close(session);
 *   thimble_model_close(model);
 *   return thimble_exit_code(error.code);
 *
 * A model is an open file, read-only. An engine is a model made ready in one block of memory, with its threads and
 * room for a fixed number of sessions. A session is one context: its cache, its sampler, its text. Making an engine is
 * the only thing that takes memory and threads: opening, forking and closing sessions and everything they do allocates
 * nothing, maps nothing, opens nothing and creates no thread. No function aborts or throws for anything that a file or
 * an argument holds.
 *
 * Structs. Every struct starts with `struct_bytes`, its size as the caller's compiler knows it, and is passed by
 * pointer. A smaller (older) or larger (newer) one than the library's is accepted: fields missing from what is read have
 * their defaults; unknown fields that are not zero are refused with their offset (THIMBLE_UNKNOWN_FIELD); unknown fields
 * of what is written are zeroed. Elements of an array all have the same struct_bytes, which is their distance. Zero is
 * the default of every field that says nothing else, and a null pointer for a whole struct stands for its defaults.
 * Structs that the library hands to a callback have the library's size.
 *
 * Threads. Models and engines may be used from any number of threads; passes of one engine's sessions take turns. A
 * session is used by one thread at a time: a call that changes it while another thread's call or the caller's own
 * callback uses it returns THIMBLE_BUSY at once and does nothing.
 *
 * Callbacks return nonzero to go on and zero to stop, where nothing else is said.
 */
#ifndef THIMBLE_THIMBLE_H_
#define THIMBLE_THIMBLE_H_

#include <stddef.h>
#include <stdint.h>
#include "codes.h"

#define THIMBLE_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* ---- codes and errors ---- */

/* THIMBLE_OK = 0, THIMBLE_INVALID_ARGUMENT = 100, ...: codes.h has them all, with their meaning and what to do. */
#define THIMBLE_ENUMERATOR(NAME, kName, number, name, help) THIMBLE_##NAME = number,
enum thimble_code { THIMBLE_CODES(THIMBLE_ENUMERATOR) };
#undef THIMBLE_ENUMERATOR

/* What exactly went wrong. The last argument of functions that can fail; NULL where only the code matters. Written by
 * every call: code THIMBLE_OK and an empty message where all is well. */
typedef struct thimble_error {
  uint32_t struct_bytes;
  int32_t code;          /* enum thimble_code */
  char message[248];     /* names the field or argument, what was found and what was expected; English, one line */
} thimble_error;

/* Static texts: "arena-too-small"; what the code means and what to do; "unknown" for a number that is no code. */
THIMBLE_API const char* thimble_code_name(int32_t code);
THIMBLE_API const char* thimble_code_help(int32_t code);
/* What a program should end with: 0 ok, 2 argument, 3 bad model, 4 not supported, 5 memory, 6 input/output, 7 limit
 * reached, 130 cancelled. */
THIMBLE_API int32_t thimble_exit_code(int32_t code);

/* ---- callbacks ---- */

/* How much of `total` is done; the unit is the call's own. Zero ends the call with THIMBLE_CANCELLED. */
typedef int32_t (*thimble_progress_fn)(void* user, uint64_t done, uint64_t total);
/* A warning: everything works, but not as one may expect (a cpu_mask that did not take, weights that are packed anew, a
 * context longer than what the model was trained for). */
typedef void (*thimble_log_fn)(void* user, const char* message);
/* Bytes to keep, in order. Zero: they could not be written; the call ends with THIMBLE_IO. */
typedef int32_t (*thimble_write_fn)(void* user, const void* bytes, size_t count);
/* Fills `count` bytes from `offset` on, in any order and some more than once. Zero: they could not be read; THIMBLE_IO. */
typedef int32_t (*thimble_read_fn)(void* user, uint64_t offset, void* bytes, size_t count);
/* The logits behind the token at `position`: as many floats as thimble_model_info.outputs, valid during the call. */
typedef int32_t (*thimble_logits_fn)(void* user, size_t position, const float* logits);

/* ---- model ---- */

typedef struct thimble_model thimble_model;
typedef struct thimble_engine thimble_engine;
typedef struct thimble_session thimble_session;

/* Maps the file read-only, copies and validates the header. Reads nothing of the weights. */
THIMBLE_API enum thimble_code thimble_model_open(const char* path, thimble_model** model, thimble_error* error);
/* The same for `length` bytes from `offset` (a multiple of 64) of a descriptor, such as an uncompressed asset of an APK;
 * length 0: to the end. The descriptor is the caller's and may be closed afterwards. */
THIMBLE_API enum thimble_code thimble_model_open_fd(int fd, uint64_t offset, uint64_t length, thimble_model** model,
                                                    thimble_error* error);
/* The same for bytes in memory (64-byte aligned), which the caller keeps until the model is closed. */
THIMBLE_API enum thimble_code thimble_model_open_memory(const void* bytes, size_t size, thimble_model** model,
                                                        thimble_error* error);
/* THIMBLE_BUSY while it has engines, and for an engine's own. NULL is allowed. */
THIMBLE_API enum thimble_code thimble_model_close(thimble_model* model);
/* Reads every byte: checksums, padding, tokenizer, finite weights. `progress` (or NULL) counts bytes. */
THIMBLE_API enum thimble_code thimble_model_verify(const thimble_model* model, thimble_progress_fn progress, void* user,
                                                   thimble_error* error);

typedef struct thimble_model_info {
  uint32_t struct_bytes;
  uint32_t layers;        /* L */
  uint32_t width;         /* D */
  uint32_t vocabulary;    /* ids below this may be sampled */
  uint32_t outputs;       /* length of a row of logits, >= vocabulary for language models */
  uint32_t max_positions; /* what it was trained for */
  int32_t has_tokenizer;
  int32_t is_decoder;     /* 0: an encoder, for thimble_encode_rows or thimble_encode_image */
  int32_t bos, eos;       /* -1 if none */
  int32_t adds_bos;       /* 1: THIMBLE_ADD_BOS does something */
  uint32_t image_height, image_width, image_channels; /* 0 for models that read tokens */
  uint64_t file_bytes;
  const char* name;       /* texts are the model's; "" if none */
  const char* family;
  const char* chat_template;
  uint32_t parts;         /* networks in the file, 1 for most: a draft beside its target, an encoder that makes rows for it */
  int32_t role;           /* enum thimble_role: of the part that all of the above is about */
} thimble_model_info;
enum thimble_role { THIMBLE_ROLE_MAIN = 0, THIMBLE_ROLE_ENCODER = 1, THIMBLE_ROLE_DRAFT = 2 };
/* Of the main part; of an engine's model (thimble_engine_model) of the part that the engine runs. */
THIMBLE_API enum thimble_code thimble_model_get_info(const thimble_model* model, thimble_model_info* info,
                                                     thimble_error* error);
/* Of any part, counted from 0; THIMBLE_OUT_OF_RANGE where there are fewer. */
THIMBLE_API enum thimble_code thimble_model_get_part_info(const thimble_model* model, uint32_t part, thimble_model_info* info,
                                                          thimble_error* error);

/* ---- options ---- */

enum thimble_cache_type {
  THIMBLE_CACHE_F16 = 0,
  THIMBLE_CACHE_F32 = 1,
  THIMBLE_CACHE_Q8 = 2, /* int8 with a scale per row and head */
  THIMBLE_CACHE_Q4 = 3  /* int4 with a factor per 32 elements; the newest 64 tokens are read in int8 */
};

enum thimble_weights {
  THIMBLE_WEIGHTS_MAP = 0, /* what the kernels can read where it lies stays in the mapping, shared and not counted twice */
  THIMBLE_WEIGHTS_COPY = 1 /* nothing, tokenizer and template included, is read from the mapping by the engine and its
                              sessions once it is made: for files that somebody may change or cut short underneath. Calls
                              with the model that was opened do read it: give them thimble_engine_model */
};

/* How the next token is chosen. Filters run in the order: repeat penalty, top-k, top-p, min-p, temperature. Start from
 * THIMBLE_SAMPLING_DEFAULTS: here zero has a meaning of its own. */
typedef struct thimble_sampling {
  uint32_t struct_bytes;
  float temperature;       /* 0.8; 0 = the likeliest token */
  int32_t top_k;           /* 40; 0 = off */
  float top_p;             /* 0.95; 1 = off */
  float min_p;             /* 0.05; 0 = off */
  float repeat_penalty;    /* 1 = off */
  int32_t repeat_last_n;   /* 64 */
  uint32_t reserved;       /* 0 */
  uint64_t seed;           /* 0; the same seed gives the same text on every machine */
} thimble_sampling;
#define THIMBLE_SAMPLING_DEFAULTS {sizeof(thimble_sampling), 0.8f, 40, 0.95f, 0.05f, 1.0f, 64, 0, 0}

#define THIMBLE_MAX_THREADS 64

typedef struct thimble_engine_options {
  uint32_t struct_bytes;
  uint32_t context_tokens;  /* positions of each session; 0 = the model's max_positions */
  uint32_t max_sessions;    /* sessions that can be open at once, each with a cache of its own; 0 = 1 */
  uint32_t threads;         /* 0 or 1 = no pool; at most THIMBLE_MAX_THREADS */
  int32_t key_cache;        /* enum thimble_cache_type */
  int32_t value_cache;      /* must equal key_cache where keys and values are one row */
  uint32_t chunk_tokens;    /* tokens per pass, of all its sessions together; 0 = 64; encoders: the longest input */
  uint32_t logits_rows;     /* rows of logits computed at once for thimble_prefill_each; 0 = 1 */
  uint32_t max_text_bytes;  /* longest text that sessions take; 0 = 8 per context token */
  uint32_t top_tokens;      /* the most that a thimble_generation may ask for; 0 = none */
  uint32_t window_tokens;   /* layers that the model gives no window see the last N tokens only; 0 = all. Bounds the
                               cache: thimble_plan.kv_ring_bytes */
  uint32_t sink_tokens;     /* layers with a window (the model's or this one) also see the first N tokens, the attention
                               sinks of StreamingLLM (arXiv 2309.17453). Keys keep the rotation of their position in the
                               text, so that context_tokens and what the model was trained for remain limits */
  int32_t weights;          /* enum thimble_weights */
  int32_t cpu_strict;       /* 1: worker w on one processor alone, the w-th of cpu_mask */
  uint64_t cpu_mask;        /* processors for the engine's own threads, bit i = processor i; 0 = any. Not for the calling
                               thread, which is worker 0 and the caller's to place */
  const char* kernels;      /* "scalar", "neondot", ...; NULL = the best this CPU has, or the one that the file is packed
                               for where that is not much slower */
  const thimble_sampling* sampling; /* what sessions start with. Its top_k and repeat_last_n bound thimble_set_sampling */
  void* arena;              /* 64-byte aligned block, the caller's until close; NULL: the library takes arena_bytes itself */
  size_t arena_bytes;       /* of `arena`, at least thimble_plan.arena_bytes */
  thimble_progress_fn progress; /* of creation; or NULL */
  void* progress_user;
  thimble_log_fn log;       /* or NULL */
  void* log_user;
  uint32_t prefix_tokens;   /* what every session begins with and none changes, read once by thimble_engine_read_prefix, its
                               rows stored once: a multiple of 256, smaller than context_tokens; 0 = none */
  uint32_t part;            /* which of thimble_model_info.parts networks of the file to run; 0 = the main one */
  uint64_t kv_budget_bytes; /* not 0, and key_cache and value_cache 0: each layer gets rows of as many bits as fit (4, 8 or 16), such
                               that those of one session take no more bytes, the prefix included: thimble_plan_cache */
  uint64_t mem_budget_bytes; /* not 0: planning and making an engine that takes more anonymous bytes is refused
                                (THIMBLE_OVER_BUDGET), before anything is taken; the plan and its lines are given all the same */
  const char* pack_cache;   /* a folder, made where it is not there: weights that are packed at load go into a file there instead of the arena, written once for each
                               model and kernels, complete or not at all, and mapped from then on. NULL: into the arena */
  const char* park;         /* for THIMBLE_TRIM_PARK: a path; making the engine opens (and makes) PATH.0 and PATH.1, one engine at a
                               time, and closes them with it. NULL: it cannot be parked */
  uint32_t arena_is_anonymous; /* 1: `arena` is private anonymous memory, as from malloc or mmap, whose whole pages thimble_trim may
                                  let go of */
  uint32_t profile_slices;  /* not 0: passes record what every operation of every block takes (thimble_get_operations), and the newest
                               so many operations one by one (thimble_get_slices), in the arena; 0: the sums of thimble_profile alone */
  int32_t min_cache_type;   /* enum thimble_cache_type: THIMBLE_CACHE_Q8 or _Q4, for THIMBLE_TRIM_CACHE; 0 = rows keep their type */
  uint32_t huge_pages;      /* 1: an arena of the library's own asks the system for huge pages (less work for it, and memory in pieces of
                               thimble_plan.huge_page_bytes); 0: rows of the cache, and what else grows, are kept out of them */
  uint32_t page_lines;      /* 1: lines of a page or more, and sessions, begin with one: the system's figures of pages are one line's then */
  uint32_t reserved;        /* 0 */
  const void** arena_place; /* not NULL: gets where the arena begins before `progress` is called, for who looks at its pages meanwhile */
} thimble_engine_options;

/* ---- plan ----
 * Every byte, by name, before loading. Reads the header (and the tokenizer's tables, where there is one); no weights.
 *
 * There are two kinds of bytes. Anonymous ones (the arena, stacks, small blocks outside) are the process's own: they are what
 * Android's limiter and Google Play count, and can only be swapped. File-backed ones are clean pages of the mapped model: the
 * system drops and reads them again as it likes. What a caller gave in memory (thimble_model_open_memory) is neither. */

enum thimble_lifetime { THIMBLE_MAPPED = 0, THIMBLE_ARENA = 1, THIMBLE_OUTSIDE = 2 };

typedef struct thimble_plan_line {
  uint32_t struct_bytes;
  int32_t lifetime;      /* enum thimble_lifetime */
  int32_t index;         /* layer or tensor, or -1 */
  int32_t session;       /* the session slot it belongs to; -1: none; -2: the prefix that all begin with */
  const char* name;      /* static text: "kv_cache", "packed_weights", ... */
  uint64_t offset;       /* in the arena, or in the file */
  uint64_t bytes;
  int32_t scratch;       /* 1: overlaps scratch of other phases, so that it does not add to the total */
  int32_t reserved;      /* 0 */
  uint64_t anonymous_bytes; /* all of `bytes`, or 0: pages of the file */
  uint64_t touched_bytes;   /* of them: in memory at thimble_plan.at_tokens; of the file an upper bound */
} thimble_plan_line;

typedef struct thimble_plan {
  uint32_t struct_bytes;
  uint32_t context_tokens;  /* the options, filled in */
  uint32_t max_sessions;
  uint32_t chunk_tokens;
  uint32_t logits_rows;
  uint32_t threads;
  uint64_t arena_bytes;                 /* exactly what the engine takes */
  uint64_t mapped_bytes;                /* the model, and pack_cache_bytes */
  uint64_t outside_bytes;               /* thread stacks, pool, header copy */
  uint64_t kv_bytes;                    /* of the arena, for all sessions and the prefix */
  uint64_t packed_weight_bytes;         /* of the arena: weights that the kernels do not read where the file has them */
  uint64_t kv_bytes_per_token;          /* rows of one token in all layers */
  uint64_t baseline_kv_bytes_per_token; /* the same model with separate keys and values for all heads in fp16 */
  uint64_t in_place_weight_bytes;       /* of the mapping: weights of linear layers that are used where they lie */
  uint64_t repacked_weight_bytes;       /* of packed_weight_bytes: the file has them in another packing */
  uint64_t kv_ring_bytes;               /* of kv_bytes: layers whose window is smaller than the context. They keep the
                                           window, the sink_tokens and one pass, in rings that do not grow with it */
  uint64_t kv_recent_bytes;             /* of kv_bytes: with int4 rows, the newest tokens' in int8; does not grow either */
  uint64_t kv_bytes_per_context_token;  /* the other layers: what one more of context_tokens costs a session */
  uint64_t session_bytes;               /* of the arena: what one more session costs */
  const char* kernels;                  /* the table that will be used */
  const char* file_packing;             /* for which table the file is packed: "portable", "neondot", ... or "mixed" */
  uint64_t prefix_bytes;                /* of the arena: the prefix of all sessions, prefix_tokens * kv_bytes_per_context_token
                                           and a copy of what does not grow */
  uint32_t prefix_tokens;
  uint32_t reserved;                    /* 0 */
  uint64_t anonymous_bytes;             /* arena_bytes and outside_bytes */
  uint64_t file_backed_bytes;           /* mapped_bytes, of a file: an upper bound, exact after a pass over all weights */
  uint32_t at_tokens;                   /* that every session has read; context_tokens but for thimble_plan_at */
  uint32_t page_bytes;                  /* of this system */
  uint64_t touched_anonymous_bytes;     /* of anonymous_bytes, in whole pages of the arena: what is in memory then. Pages that
                                           no token has reached take none */
  uint64_t pack_cache_bytes;            /* of mapped_bytes: a file in options.pack_cache, lines "packed_weights" */
  uint64_t huge_page_bytes;             /* with options.huge_pages: what touched_anonymous_bytes, an upper bound then, is counted in; 0 without */
} thimble_plan;

typedef void (*thimble_plan_fn)(void* user, const thimble_plan_line* line);
/* `each` may be NULL. The arena, progress and log of the options are not used. */
THIMBLE_API enum thimble_code thimble_plan_memory(const thimble_model* model, const thimble_engine_options* options,
                                                  thimble_plan* plan, thimble_plan_fn each, void* user,
                                                  thimble_error* error);

/* The same for a moment when every session has read `tokens` tokens, in passes of chunk_tokens: thimble_plan_line.touched_bytes
 * and thimble_plan.touched_anonymous_bytes. Buffers of a pass count whole, so that for fewer tokens than a pass has it is an upper
 * bound; so do stacks, and the workspace ("attention.tiles") of workers that found nothing to do. Text that sessions turn into tokens themselves touches the lines "text" and
 * "chat.*" beside that. THIMBLE_OUT_OF_RANGE for more than context_tokens. */
THIMBLE_API enum thimble_code thimble_plan_at(const thimble_model* model, const thimble_engine_options* options,
                                              uint32_t tokens, thimble_plan* plan, thimble_plan_fn each, void* user,
                                              thimble_error* error);

typedef void (*thimble_cache_fn)(void* user, uint32_t layer, enum thimble_cache_type keys, enum thimble_cache_type values);
/* The types of the rows that each layer with attention reads, in the order of layers. */
THIMBLE_API enum thimble_code thimble_plan_cache(const thimble_model* model, const thimble_engine_options* options,
                                                 thimble_cache_fn each, void* user, thimble_error* error);

/* Bytes that one cache row of head_width numbers takes: what all sizes of caches are made of. 0 where there is no such type. */
THIMBLE_API uint64_t thimble_cache_row_bytes(int32_t cache_type, uint32_t head_width);

/* ---- what fits ---- */

/* At least one of the two. */
typedef struct thimble_budget {
  uint32_t struct_bytes;
  uint32_t reserved;           /* 0 */
  uint64_t anonymous_bytes;    /* the most; 0 = any number */
  uint64_t total_bytes;        /* the most of anonymous and file-backed ones together; 0 = any number */
} thimble_budget;

/* What the options come to with rows of one type. */
typedef struct thimble_solution {
  uint32_t struct_bytes;
  int32_t fits;                /* 0: nothing does with these rows; this is the smallest that there is */
  int32_t key_cache, value_cache; /* enum thimble_cache_type */
  uint32_t context_tokens;     /* as many as fit, at most options.context_tokens or what the model was trained for */
  uint32_t chunk_tokens;       /* the largest pass that fits with that context, at most 512; or options.chunk_tokens */
  uint64_t arena_bytes, anonymous_bytes, file_backed_bytes;
  uint64_t kv_bytes_per_token;
  uint64_t over_bytes;         /* fits 0: more than the budget has */
  uint64_t largest_line_bytes; /* of that name in all */
  const char* largest_line;    /* static text: "packed_weights" */
} thimble_solution;
typedef void (*thimble_solution_fn)(void* user, const thimble_solution* solution);
/* For f16, q8, q8 keys with q4 values, and q4 rows (those that the model can have; with kv_budget_bytes for what that gives):
 * the longest context within the budget, with everything else as the options say. Best first, by this rule: what fits before
 * what does not; what holds the whole context that was asked for before what does not; of those more bytes a token, then the
 * larger pass; of the others the longer context, then more bytes a token; of what does not fit what is the least over. Sizes are
 * those of thimble_plan_memory, which is asked again and again: milliseconds. mem_budget_bytes is not used. */
THIMBLE_API enum thimble_code thimble_solve(const thimble_model* model, const thimble_engine_options* options,
                                            const thimble_budget* budget, thimble_solution_fn each, void* user,
                                            thimble_error* error);

enum thimble_limit {
  THIMBLE_LIMIT_NONE = 0,
  THIMBLE_LIMIT_MACHINE = 1,
  THIMBLE_LIMIT_GROUP = 2,
  THIMBLE_LIMIT_DATA = 3,
  THIMBLE_LIMIT_ADDRESSES = 4,
  THIMBLE_LIMIT_CALLER = 5
};
#define THIMBLE_NO_LIMIT UINT64_MAX
/* Bytes that this process can still take, each THIMBLE_NO_LIMIT where nobody says. */
typedef struct thimble_memory {
  uint32_t struct_bytes;
  int32_t limit;              /* enum thimble_limit: whose figure is the smallest */
  uint64_t available_bytes;   /* the smallest of all */
  uint64_t machine_bytes;     /* MemAvailable of /proc/meminfo: what is free and what can be dropped */
  uint64_t group_bytes;       /* of the control group that leaves least, version 1 or 2, files that can be dropped not counted */
  uint64_t data_bytes;        /* RLIMIT_DATA: anonymous bytes, touched or not */
  uint64_t address_bytes;     /* RLIMIT_AS */
  uint64_t caller_bytes;      /* for thimble_will_fit: what another source says, such as Android's ActivityManager */
  char group[104];            /* "/user.slice": that control group; "" if none */
} thimble_memory;
/* What the system says now. */
THIMBLE_API enum thimble_code thimble_get_memory(thimble_memory* memory, thimble_error* error);

typedef struct thimble_fit {
  uint32_t struct_bytes;
  int32_t limit;              /* enum thimble_limit: what decided */
  uint64_t needed_bytes;      /* thimble_plan.anonymous_bytes */
  uint64_t available_bytes;
  uint64_t missing_bytes;     /* 0: it fits */
  uint64_t file_missing_bytes;/* not 0: it runs, but this much of the model file finds no room and is read again and again */
} thimble_fit;
/* Whether an engine with these options finds memory, before a byte is loaded; THIMBLE_OUT_OF_MEMORY says by how much it does
 * not, and `fit` (or NULL) is written in either case. An engine can be made all the same. `memory` NULL: thimble_get_memory;
 * one of the caller's: its smallest figure, where 0 is 0 (start from thimble_get_memory, and set caller_bytes). */
THIMBLE_API enum thimble_code thimble_will_fit(const thimble_model* model, const thimble_engine_options* options,
                                               const thimble_memory* memory, thimble_fit* fit, thimble_error* error);

/* ---- engine and sessions ---- */

/* Everything is read, packed and created here. The model must stay open. */
THIMBLE_API enum thimble_code thimble_engine_create(const thimble_model* model, const thimble_engine_options* options,
                                                    thimble_engine** engine, thimble_error* error);
/* Closes its sessions, too; THIMBLE_BUSY while one of them is in use. The arena is the caller's again. NULL is allowed. */
THIMBLE_API enum thimble_code thimble_engine_close(thimble_engine* engine);
/* The model as the engine has it, for thimble_tokenize, _detokenize, _piece, _is_end, thimble_chat_* and
 * thimble_model_get_info: with THIMBLE_WEIGHTS_COPY these read the copy, not the file. The engine's, until it is closed. */
THIMBLE_API const thimble_model* thimble_engine_model(const thimble_engine* engine);

/* Reads what every session begins with, such as a system prompt: exactly prefix_tokens ids (options), while no session is
 * open (THIMBLE_BUSY). Sessions cannot be opened before (THIMBLE_WRONG_STATE); they begin behind it, at position
 * prefix_tokens and with its logits, and have the bits of sessions that had read it themselves. May be called again for
 * another one. `progress` (or NULL) counts tokens; its zero leaves no prefix. */
THIMBLE_API enum thimble_code thimble_engine_read_prefix(thimble_engine* engine, const int32_t* ids, size_t count,
                                                         thimble_progress_fn progress, void* user, thimble_error* error);

/* An empty context (or one with the prefix alone); THIMBLE_NO_SESSION when max_sessions are open. */
THIMBLE_API enum thimble_code thimble_session_open(thimble_engine* engine, thimble_session** session, thimble_error* error);
/* A second context that goes on like `from`, bit by bit: cache, logits, sampler. */
THIMBLE_API enum thimble_code thimble_session_fork(thimble_session* from, thimble_session** session, thimble_error* error);
/* For one context alone: an engine with its one session, which close the engine with it. */
THIMBLE_API enum thimble_code thimble_session_create(const thimble_model* model, const thimble_engine_options* options,
                                                     thimble_session** session, thimble_error* error);
/* THIMBLE_BUSY while it is in use. NULL is allowed. */
THIMBLE_API enum thimble_code thimble_session_close(thimble_session* session);
THIMBLE_API thimble_engine* thimble_session_engine(const thimble_session* session);
/* Asks the session's call that runs now, or the next one that computes, to end with THIMBLE_CANCELLED: after the layer
 * at hand, with finished passes kept and the unfinished one undone. Once one call has, the session goes on as before.
 * From any thread and from a signal handler. */
THIMBLE_API void thimble_cancel(thimble_session* session);

/* ---- tokens in, logits out ---- */

/* Appends `count` ids to the context; logits of the last one are ready afterwards. On error nothing has changed, except that
 * a cancelled call keeps its finished passes (thimble_position says how far it came). */
THIMBLE_API enum thimble_code thimble_prefill(thimble_session* session, const int32_t* ids, size_t count,
                                              thimble_error* error);

/* The same for several sessions of one engine in common passes, each at most once. Every span has its own `code`; those
 * that cannot go on leave the others alone. Returns the first code that is not THIMBLE_OK. */
typedef struct thimble_span {
  uint32_t struct_bytes;
  int32_t code;             /* written: enum thimble_code */
  thimble_session* session;
  const int32_t* ids;
  size_t count;
} thimble_span;
THIMBLE_API enum thimble_code thimble_step(thimble_engine* engine, thimble_span* spans, size_t count, thimble_error* error);

/* Like thimble_prefill, and calls `each` with the logits of every position in order. */
THIMBLE_API enum thimble_code thimble_prefill_each(thimble_session* session, const int32_t* ids, size_t count,
                                                   thimble_logits_fn each, void* user, thimble_error* error);
/* Encoders: the whole input at once (at most chunk_tokens rows); `each` gets the logits of every row, or of the CLS
 * row alone. The image is [channels, height, width] floats, already normalised. */
THIMBLE_API enum thimble_code thimble_encode_rows(thimble_session* session, const int32_t* ids, size_t count,
                                                  thimble_logits_fn each, void* user, thimble_error* error);
/* Encoders of ids: one vector for the whole input, `length` floats (outputs of thimble_model_info): the mean of its rows, the
 * first or the last of them, as the file says or `pooling` (enum thimble_pooling) does, and of length 1 where the file does not say otherwise. */
enum thimble_pooling { THIMBLE_POOLING_MODEL = 0, THIMBLE_POOLING_MEAN = 1, THIMBLE_POOLING_FIRST = 2, THIMBLE_POOLING_LAST = 3 };
THIMBLE_API enum thimble_code thimble_embed(thimble_session* session, const int32_t* ids, size_t count, int32_t pooling,
                                            float* vector, size_t length, thimble_error* error);
THIMBLE_API enum thimble_code thimble_encode_image(thimble_session* session, const float* pixels, size_t count,
                                                   thimble_logits_fn each, void* user, thimble_error* error);

/* Logits behind the last token, *count floats (`count` may be NULL); NULL where there are none. The session's, until the
 * next call that changes it. */
THIMBLE_API const float* thimble_logits(const thimble_session* session, size_t* count);
/* Draws the next id with the session's sampler; does not append it. */
THIMBLE_API enum thimble_code thimble_sample(thimble_session* session, int32_t* id, thimble_error* error);
/* Other sampling from here on; restarts the random numbers at the seed and forgets the recent tokens. A wider top_k or
 * repeat_last_n than the engine was planned for is refused (THIMBLE_OUT_OF_RANGE). */
THIMBLE_API enum thimble_code thimble_set_sampling(thimble_session* session, const thimble_sampling* sampling,
                                                   thimble_error* error);

/* Tokens in the context, and room in all. */
THIMBLE_API size_t thimble_position(const thimble_session* session);
THIMBLE_API size_t thimble_capacity(const thimble_session* session);
/* Forgets everything from `position` on (<= thimble_position). Logits are gone until the next prefill. The sampler's recent
 * tokens stay: thimble_set_sampling forgets them. Where layers have a ring (thimble_plan.kv_ring_bytes) old rows make
 * room for new ones: a position whose window is not there any more is refused (THIMBLE_REWIND_TOO_FAR), 0 never is. With int4
 * rows, newest rows that have made room are taken from those: close, but not the bits of a context that was never longer.
 * Models with recurrent layers go back to a checkpoint, kept every 256 tokens for the newest pass and more, and read the ids after
 * it again: what was there without ids, as a loaded state, cannot be gone back into.
 * Behind a prefix (thimble_engine_read_prefix) its end stands for 0, and nothing before it is taken. */
THIMBLE_API enum thimble_code thimble_rewind(thimble_session* session, size_t position, thimble_error* error);
/* The smallest position beside 0 (or the prefix's end) that thimble_rewind takes; 0: it takes all. The last chunk_tokens tokens can always be
 * taken back. */
THIMBLE_API size_t thimble_rewind_limit(const thimble_session* session);

/* ---- saved states ----
 * A decoder's session as a stream of bytes: rows of the cache, ids, last logits, the sampler's recent tokens. It moves to
 * any session with the same model file, cache types, min_cache_type, window_tokens and sink_tokens and with room for its tokens,
 * whatever the machine, the kernels, the threads and the pass length; there everything goes on with the same bits. The
 * random numbers go on, too, where the seed is the same. Rows of a prefix stay with the engine: such a state goes to engines
 * with the same one. A state is checked wholly before anything changes; refused are
 * THIMBLE_NOT_A_STATE, _STATE_DAMAGED, _STATE_MISMATCH, _UNSUPPORTED_VERSION and _CONTEXT_FULL. Rows follow a prefix whose rows
 * have fewer bits (THIMBLE_TRIM_CACHE); one with more is to be trimmed before. Checksums guard against damage; a state that somebody made up on purpose
 * can make nonsense, but no more. */

/* Bytes that saving would write now; 0 for encoders. */
THIMBLE_API uint64_t thimble_state_bytes(const thimble_session* session);
THIMBLE_API enum thimble_code thimble_state_save(thimble_session* session, thimble_write_fn write, void* user,
                                                 thimble_error* error);
/* From something that is `bytes` long. */
THIMBLE_API enum thimble_code thimble_state_load(thimble_session* session, uint64_t bytes, thimble_read_fn read, void* user,
                                                 thimble_error* error);
/* The same to where a descriptor stands (also a pipe), and from a part of a file as in thimble_model_open_fd, anywhere. */
THIMBLE_API enum thimble_code thimble_state_save_fd(thimble_session* session, int fd, thimble_error* error);
THIMBLE_API enum thimble_code thimble_state_load_fd(thimble_session* session, int fd, uint64_t offset, uint64_t length,
                                                    thimble_error* error);

/* ---- giving memory back ----
 * For Android's onTrimMemory, and whoever else is asked to take less: what an engine holds and can have again is let go of. All
 * its sessions stay usable, but for level 3 as they are and with the same next token to the last bit; what was let go of comes back with the next
 * call that needs it, which takes the longer for it. Of memory only what is the library's own or what the caller declared
 * (arena_is_anonymous), in whole pages; of files nothing but their pages in memory. */

enum thimble_trim_level {
  THIMBLE_TRIM_SCRATCH = 1,  /* what holds nothing between calls: buffers of a pass and workspaces */
  THIMBLE_TRIM_WEIGHTS = 2,  /* and pages of the model file and of pack_cache, which are read from it again */
  THIMBLE_TRIM_CACHE = 3,    /* and half of what rows of the cache take: those of all sessions go one step down, from f32 or f16 to q8,
                                from q8 to q4, as far as options.min_cache_type, and stay there until the session is closed. A
                                prefix goes with them, until it is read anew. Beside q4 rows lie q8 ones of the newest tokens: windows and sessions
                                too short to save anything stay q8. What follows is not the same to the last bit. THIMBLE_BUSY while one is in use */
  THIMBLE_TRIM_PARK = 4,     /* and all sessions: they go into the older of the two files of options.park, complete or not at all, and
                                each comes back with the next call for it. What is left is control blocks, a prefix, and packed
                                weights. THIMBLE_BUSY while one is in use, THIMBLE_IO where the file cannot be written: then nothing
                                has changed */
  THIMBLE_TRIM_PARK_ALL = 5  /* and packed weights of the arena (thimble_plan.packed_weight_bytes), which the next pass packs again from
                                the file, as when the engine was made */
};

typedef struct thimble_trimmed {
  uint32_t struct_bytes;
  uint32_t parked_sessions;    /* that lie in the file now */
  uint64_t anonymous_bytes;    /* given back: in memory or swapped out before, and not afterwards, as the kernel counts pages */
  uint64_t file_backed_bytes;  /* the same, of mapped files: no longer in this process. They leave memory, too, where the system lets
                                  the process say so, else when it likes */
  uint64_t parked_bytes;       /* written to the file */
} thimble_trimmed;
/* From any thread, beside sessions that are in use: it waits for the pass at hand. `trimmed` may be NULL. Reads, and for a moment
 * opens, /proc/self/pagemap, to measure. */
THIMBLE_API enum thimble_code thimble_trim(thimble_engine* engine, int32_t level, thimble_trimmed* trimmed, thimble_error* error);
/* Opens a session that is the `index`-th of those that were parked last in the engine's options.park, by this engine or by one
 * whose process was ended since: with its text, and as a saved state otherwise. THIMBLE_OUT_OF_RANGE: there are fewer;
 * THIMBLE_STATE_DAMAGED, _STATE_MISMATCH, _CONTEXT_FULL as of thimble_state_load. */
THIMBLE_API enum thimble_code thimble_session_recover(thimble_engine* engine, uint32_t index, thimble_session** session,
                                                      thimble_error* error);

/* ---- text ----
 * UTF-8 in and out; any bytes are legal. What is too long for the caller's buffer is cut there, its length is told all the
 * same, and the code is THIMBLE_BUFFER_TOO_SMALL. */

enum thimble_text_flags {
  THIMBLE_ADD_BOS = 1,      /* BOS in front where the model wants one */
  THIMBLE_PARSE_SPECIAL = 2,/* "<|im_start|>" written in the text is that token; never for text of strangers */
  THIMBLE_LOGPROBS = 4,     /* of a thimble_generation: events have the logprob of their token; costs a pass over the logits */
  THIMBLE_IGNORE_ENDS = 8   /* of a thimble_generation: ids of thimble_is_end and the end of the turn are never drawn */
};
/* Text to ids. With a session its planned workspace serves (max_text_bytes), and `model` may be NULL. Without one (NULL)
 * working memory comes from malloc and goes back. */
THIMBLE_API enum thimble_code thimble_tokenize(const thimble_model* model, thimble_session* session, const char* text,
                                               size_t text_bytes, uint32_t flags, int32_t* ids, size_t capacity,
                                               size_t* count, thimble_error* error);
/* Ids to text, whole. */
THIMBLE_API enum thimble_code thimble_detokenize(const thimble_model* model, const int32_t* ids, size_t count, char* text,
                                                 size_t capacity, size_t* text_bytes, thimble_error* error);
/* The bytes that stand for one id, without any streaming rule. *text is the model's, not terminated. */
THIMBLE_API enum thimble_code thimble_piece(const thimble_model* model, int32_t id, const char** text, size_t* text_bytes,
                                            thimble_error* error);
/* 1 where the model ends its text with this id. */
THIMBLE_API int32_t thimble_is_end(const thimble_model* model, int32_t id);

/* ---- chat ----
 * Conversations as the model was trained to read them. A model file holds its chat templates as programs, compiled where files
 * are made; these calls run them, bounded in steps and memory. What messages, tools and documents say is data: a special token
 * is one only where all of its bytes are the template's own (roles included). "JSON" is a terminated JSON text; NULL is none. */

typedef struct thimble_chat_message {
  uint32_t struct_bytes;
  uint32_t text_bytes;
  const char* role;          /* "system", "user", "assistant", "tool": whatever the template knows */
  const char* text;          /* the content, UTF-8; NULL: none, or it is in `parts`. The texts below end with a zero byte */
  const char* parts;         /* JSON: the content as a list: [{"type": "text", "text": "Look:"}, {"type": "image"}] */
  const char* reasoning;     /* what the assistant thought before it answered */
  const char* name;          /* of the tool whose result this is, or of who speaks */
  const char* tool_calls;    /* JSON: [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}] */
  const char* tool_call_id;  /* of the call whose result this is */
  const char* more;          /* JSON: an object of further keys that the template reads */
} thimble_chat_message;

enum thimble_ending {
  THIMBLE_ENDING_ANSWER = 0,   /* ends with the start of the assistant's next answer (add_generation_prompt) */
  THIMBLE_ENDING_NONE = 1,     /* ends with the last message */
  THIMBLE_ENDING_CONTINUE = 2  /* ends in the last message, which an answer continues (continue_final_message) */
};
enum thimble_thinking { THIMBLE_THINKING_UNSAID = 0, THIMBLE_THINKING_ON = 1, THIMBLE_THINKING_OFF = 2 };

typedef struct thimble_conversation {
  uint32_t struct_bytes;
  uint32_t flags;              /* 0 */
  int32_t ending;              /* enum thimble_ending */
  int32_t thinking;            /* enum thimble_thinking: the template's enable_thinking */
  const thimble_chat_message* messages;
  size_t message_count;
  const char* json;            /* instead of messages: a JSON list of them, or an object with messages and, where it says them,
                                  tools, documents, add_generation_prompt, continue_final_message, variables */
  size_t json_bytes;
  const char* tools;           /* JSON: a list of tools, [{"type": "function", "function": {"name": ..., "parameters": ...}}] */
  const char* documents;       /* JSON: a list */
  const char* variables;       /* JSON: an object of whatever else the template reads */
  const char* now;             /* the clock that it sees, "2026-11-28T10:30:00"; NULL: this machine's */
  const char* template_name;   /* of the file's; NULL: "tool_use" where there are tools and such a template, else the first */
  const void* program;         /* instead of the file's: one that the caller compiled (targets/template/compile.h of the
                                  sources makes them) */
  size_t program_bytes;
  const void* answer;          /* with a program: how answers are read (targets/template/derive.h); NULL: as text */
  size_t answer_bytes;
} thimble_conversation;

/* A template of the file; all is the model's, and empty where there is none. */
typedef struct thimble_chat_template {
  uint32_t struct_bytes;
  uint32_t count;              /* of templates in the file */
  const char* name;            /* "default", "tool_use", ... */
  const char* text;            /* Jinja, as the model came with it */
  const void* program;
  size_t program_bytes;
  const void* answer;          /* how what the model says is read; NULL where that is not known */
  size_t answer_bytes;
} thimble_chat_template;

/* The first template is the one that is used where none is named. THIMBLE_OUT_OF_RANGE for an index that is not below count,
 * but for 0. */
THIMBLE_API enum thimble_code thimble_chat_get_template(const thimble_model* model, uint32_t index, thimble_chat_template* out,
                                                        thimble_error* error);
/* The working memory that suffices for the two calls below. Takes as much from malloc while it looks. */
THIMBLE_API enum thimble_code thimble_chat_workspace(const thimble_model* model, const thimble_conversation* conversation,
                                                     size_t* bytes, thimble_error* error);
/* The conversation as text (`model` may be NULL where it has a program), and as the ids of this text, without a BOS that the
 * template does not write. `data`, or NULL, has room for `capacity` bytes: 1 for each byte of the text that is data. Without a workspace (NULL) memory comes from malloc
 * and goes back. THIMBLE_TEMPLATE_RAISED: the template refuses the conversation, the message is its own, and `text` has all of it
 * (*text_bytes) where that fits; THIMBLE_TEMPLATE_FAILED: it went wrong in it; THIMBLE_BUFFER_TOO_SMALL: *text_bytes or *count say what would do; THIMBLE_TEXT_TOO_LONG: the workspace
 * is too small. */
THIMBLE_API enum thimble_code thimble_chat_render(const thimble_model* model, const thimble_conversation* conversation,
                                                  void* workspace, size_t workspace_bytes, char* text, uint8_t* data,
                                                  size_t capacity, size_t* text_bytes, thimble_error* error);
THIMBLE_API enum thimble_code thimble_chat_tokenize(const thimble_model* model, const thimble_conversation* conversation,
                                                    void* workspace, size_t workspace_bytes, int32_t* ids, size_t capacity,
                                                    size_t* count, thimble_error* error);

/* ---- generation ---- */

/* May change the `count` logits of the next token in place, for example to -infinity (HUGE_VALF) what a grammar forbids.
 * Zero ends the generation (THIMBLE_END_CALLBACK). */
typedef int32_t (*thimble_logits_hook)(void* user, float* logits, size_t count);

/* One answer. Its input is at most one of text, ids and conversation; with none it goes on from the context's end. */
typedef struct thimble_generation {
  uint32_t struct_bytes;
  uint32_t flags;             /* THIMBLE_PARSE_SPECIAL, for `text`; THIMBLE_LOGPROBS, _IGNORE_ENDS. BOS is added at position 0
                                 in any case, but for ids */
  uint32_t max_tokens;        /* 0 = until the context is full */
  uint32_t top_tokens;        /* how many likeliest tokens every event names; at most the engine's top_tokens */
  const char* text;           /* appended to the context */
  size_t text_bytes;
  const int32_t* ids;         /* appended to the context */
  size_t id_count;
  const thimble_conversation* conversation; /* the whole of it, of at most max_text_bytes: the context becomes this. What it has
                                 in common with it, from the start on, stays and is not read again, where thimble_rewind_limit
                                 allows it. The end of the template's turns ends the answer */
  const int32_t* stop_ids;    /* ids that end it beside those of thimble_is_end. These and the next stay the caller's */
  size_t stop_id_count;
  const char* const* stop_strings; /* terminated texts that end it; they are not shown, and neither is what follows */
  size_t stop_string_count;   /* at most 16, of at most 128 bytes each */
  thimble_logits_hook hook;   /* or NULL */
  void* hook_user;
  thimble_progress_fn prompt_progress; /* or NULL: counts the input's tokens after each pass; zero cancels */
  void* prompt_progress_user;
} thimble_generation;

enum thimble_end {
  THIMBLE_END_NOT_YET = 0,
  THIMBLE_END_ID = 1,           /* an id that ends the text or the turn, or one of stop_ids */
  THIMBLE_END_STOP_STRING = 2,
  THIMBLE_END_MAX_TOKENS = 3,
  THIMBLE_END_CONTEXT_FULL = 4,
  THIMBLE_END_CANCELLED = 5,    /* by thimble_cancel */
  THIMBLE_END_CALLBACK = 6      /* by a callback's zero */
};

/* One token, and what it adds to the text. Pointers are the session's, until the next call that changes it. */
typedef struct thimble_event {
  uint32_t struct_bytes;
  int32_t end;              /* enum thimble_end; the event that has one is the last */
  int32_t id;               /* -1: the last event has no token of its own */
  float logprob;            /* of id, natural logarithm, of the logits as the hook left them: before penalties, filters and
                               temperature; NaN where not asked for */
  const char* text;         /* whole characters that are certain now; may be empty while a character or a stop string
                               could still be coming. Not terminated */
  size_t text_bytes;
  const int32_t* top_ids;   /* top_count likeliest tokens, likeliest first, */
  const float* top_logprobs;/* and their logprob */
  size_t top_count;
  uint64_t prompt_tokens;   /* read for this generation */
  uint64_t generated_tokens;/* so far */
  uint64_t prefill_ns, decode_ns;
} thimble_event;

/* Reads the input; THIMBLE_CANCELLED where that was cancelled. Afterwards thimble_generation_next gives the answer token by
 * token, where cancelling is an end and no error. Any other call that changes the session ends the generation. */
THIMBLE_API enum thimble_code thimble_generation_start(thimble_session* session, const thimble_generation* generation,
                                                       thimble_error* error);
/* THIMBLE_WRONG_STATE after the last event. */
THIMBLE_API enum thimble_code thimble_generation_next(thimble_session* session, thimble_event* event, thimble_error* error);

/* For generations that go on side by side: reads what was drawn last for each of these sessions of one engine, in common
 * passes over the weights, as thimble_generation_next of each would do first. Sessions with nothing to read are left alone;
 * THIMBLE_BUSY, and nothing is read, where one is in use or named twice. The events are those of each alone. */
THIMBLE_API enum thimble_code thimble_generation_read(thimble_engine* engine, thimble_session* const* sessions, size_t count,
                                                      thimble_error* error);

typedef int32_t (*thimble_event_fn)(void* user, const thimble_event* event);
/* Both in one: `each` gets every event, the last one included. Its zero ends the generation at once. */
THIMBLE_API enum thimble_code thimble_generate(thimble_session* session, const thimble_generation* generation,
                                               thimble_event_fn each, void* user, thimble_error* error);

/* ---- turns ----
 * An answer as its parts: reasoning, text, and calls of tools, however the model writes them: its chat template says how
 * (thimble_chat_template.answer; without it all is text). On top of the calls above, of whose events the text then has special tokens,
 * too. Allocates nothing: a turn lies in memory of the caller's. */

enum thimble_part {
  THIMBLE_PART_TEXT = 0,
  THIMBLE_PART_REASONING = 1,
  THIMBLE_PART_CALL = 2,        /* a call begins: text is the tool's name, id what the model called it, if it did */
  THIMBLE_PART_ARGUMENTS = 3,   /* a piece of its arguments: together a JSON object */
  THIMBLE_PART_CALL_END = 4,
  THIMBLE_PART_BROKEN_CALL = 5, /* instead of these three: text is all of it as the model wrote it, why what is wrong */
  THIMBLE_PART_END = 6          /* the last one */
};

typedef struct thimble_turn_part {
  uint32_t struct_bytes;
  int32_t kind;             /* enum thimble_part */
  const char* text;         /* not terminated; until the callback returns */
  size_t text_bytes;
  const char* id;
  size_t id_bytes;
  const char* why;          /* static text, "" where nothing is wrong */
} thimble_turn_part;

typedef int32_t (*thimble_part_fn)(void* user, const thimble_turn_part* part);
typedef struct thimble_turn thimble_turn;

/* The least memory of a turn. What is more makes room for the tools and for long calls, which are told once they are whole: with
 * 64 KiB nobody misses any. */
#define THIMBLE_TURN_BYTES 4096

/* Reads the conversation of `generation`, as thimble_generation_start. The memory, of any alignment, the conversation's `tools`
 * (which say where an argument is a text) and its answer format stay the caller's until the turn is over. There is nothing to close. */
THIMBLE_API enum thimble_code thimble_turn_start(thimble_session* session, const thimble_generation* generation, void* memory,
                                                 size_t bytes, thimble_turn** turn, thimble_error* error);
/* As thimble_generation_next (also after thimble_generation_read): one token, and `each` gets the parts that it makes certain, none
 * or several. Its zero ends the turn. */
THIMBLE_API enum thimble_code thimble_turn_next(thimble_turn* turn, thimble_part_fn each, void* user, thimble_event* event,
                                                thimble_error* error);

/* ---- processors, measuring ---- */

/* Where the system lets each worker run now, read back: `threads` masks of the plan, worker 0 being the calling thread. A
 * cpu_mask that did not take shows here (cpusets, hot-plugged or absent processors); it never fails an engine. */
THIMBLE_API enum thimble_code thimble_thread_cpus(thimble_engine* engine, uint64_t* masks, size_t capacity, size_t* count,
                                                  thimble_error* error);
/* The processors of a big.LITTLE system that are at least half as fast as its fastest, from the system's
 * cpu_capacity; 0 where all are alike or the system does not say. */
THIMBLE_API uint64_t thimble_performance_cpus(void);

typedef struct thimble_profile {
  uint32_t struct_bytes;
  uint32_t threads;
  uint64_t steps, tokens;
  uint64_t embed_ns, norm_ns, linear_ns, attention_ns, activation_ns, head_ns, sample_ns, total_ns;
  uint64_t kv_bytes_read;       /* cache bytes streamed by attention */
  uint64_t weight_bytes_read;   /* weight bytes streamed by linear layers */
} thimble_profile;
/* What passes have taken since the engine was made, or since the last call with `reset` 1. */
THIMBLE_API enum thimble_code thimble_get_profile(thimble_engine* engine, int32_t reset, thimble_profile* profile,
                                                  thimble_error* error);

/* An operation of a block: of all passes together, or once. */
typedef struct thimble_operation {
  uint32_t struct_bytes;
  int32_t layer;            /* -1: of none (embed, head, sample) */
  int32_t block;            /* of the network, counted through; -1: of none */
  int32_t reserved;         /* 0 */
  const char* mixer;        /* static texts: what the block is, "attention", "feed_forward", ...; "" for none */
  const char* name;         /* "embed", "norm", "projections", "attention", "activation", "output", "join", "head", "sample" */
  uint64_t calls;
  uint64_t start_ns;        /* once: when it began, on the system's monotonic clock */
  uint64_t ns;
  uint64_t bytes;           /* of weights and cache rows that it read */
  uint64_t shared_tasks;    /* pieces of work that went to the engine's threads (of the process, where several engines work at once), */
  uint64_t others_tasks;    /* and those of them that other threads than the calling one did. Once: 0 */
} thimble_operation;
typedef void (*thimble_operation_fn)(void* user, const thimble_operation* operation);
/* What each operation has taken since the engine was made, or since the last call with `reset` 1, in the order in which a pass does
 * them; those that were never called are left out. THIMBLE_WRONG_STATE where the engine's options have no profile_slices. */
THIMBLE_API enum thimble_code thimble_get_operations(thimble_engine* engine, int32_t reset, thimble_operation_fn each, void* user,
                                                     thimble_error* error);
/* The newest ones one by one, the oldest first, but for sampling. No pass may be made meanwhile. */
THIMBLE_API enum thimble_code thimble_get_slices(thimble_engine* engine, thimble_operation_fn each, void* user, thimble_error* error);
/* The arena's lines of thimble_plan_memory, whose touched_bytes are those whose pages are in memory now, as the system says. */
THIMBLE_API enum thimble_code thimble_measure_lines(thimble_engine* engine, thimble_plan_fn each, void* user, thimble_error* error);
/* For measuring at a depth that takes long to read: the context holds `tokens` tokens, whose cache rows are random
 * numbers of the seed. What is generated after them means nothing. */
THIMBLE_API enum thimble_code thimble_fill_context(thimble_session* session, size_t tokens, uint64_t seed,
                                                   thimble_error* error);

/* Names of the kernel tables this CPU can run, best last, separated by spaces. Static text. */
THIMBLE_API const char* thimble_kernel_tables(void);
THIMBLE_API const char* thimble_version(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* THIMBLE_THIMBLE_H_ */
