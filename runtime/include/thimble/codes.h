/* Every code that a function of thimble.h can return: the one table behind enum thimble_code, thimble_code_name(),
 * thimble_code_help(), and the library's own errors. A row is
 *
 *   X(NAME, kName, number, "stable-name", "what it means; what to do")
 *
 * Hundreds say whose turn it is: 1xx the argument, 2xx the model file, 3xx not supported, 4xx memory, 5xx the system,
 * 6xx the object's state, 7xx numbers. A number keeps its meaning for ever; new ones may come. */
#ifndef THIMBLE_CODES_H_
#define THIMBLE_CODES_H_

#define THIMBLE_CODES(X)                                                                                               \
  X(OK, kOk, 0, "ok", "Done.")                                                                                         \
  X(INVALID_ARGUMENT, kInvalidArgument, 100, "invalid-argument",                                                       \
    "A value that is never legal, such as a null pointer; correct the argument that the message names.")              \
  X(OUT_OF_RANGE, kOutOfRange, 101, "out-of-range",                                                                    \
    "A value outside its bounds; the message says which bounds.")                                                      \
  X(TEXT_TOO_LONG, kTextTooLong, 102, "text-too-long",                                                                 \
    "Text that does not fit the planned workspace; raise max_text_bytes, or shorten it.")                              \
  X(INVALID_TOKEN, kInvalidToken, 103, "invalid-token",                                                                \
    "An id outside the vocabulary; give ids that this model's tokenizer made.")                                        \
  X(NOT_A_STATE, kNotAState, 104, "not-a-state", "The bytes do not start as a saved state; give another source.")      \
  X(STATE_DAMAGED, kStateDamaged, 105, "state-damaged",                                                                \
    "A saved state that was cut short or changed; prefill again.")                                                     \
  X(STATE_MISMATCH, kStateMismatch, 106, "state-mismatch",                                                             \
    "A saved state of another model file or of other options; use those, or prefill again.")                           \
  X(BUFFER_TOO_SMALL, kBufferTooSmall, 107, "buffer-too-small",                                                        \
    "The caller's buffer is too small; its count argument now says how much is needed.")                               \
  X(UNKNOWN_FIELD, kUnknownField, 108, "unknown-field",                                                                \
    "A struct of a newer header sets a field that this library does not know; leave it zero, or update the library.")  \
  X(TEMPLATE_RAISED, kTemplateRaised, 109, "template-raised",                                                          \
    "The chat template refuses the conversation, in its own words; give it one that it takes.")                        \
  X(TEMPLATE_FAILED, kTemplateFailed, 110, "template-failed",                                                          \
    "The chat template went wrong in the conversation, at the line that the message names; a part that it expects is " \
    "missing or of another kind.")                                                                                     \
  X(TEMPLATE_BUDGET, kTemplateBudget, 111, "template-budget",                                                          \
    "The chat template takes more steps than a conversation of this size should; give a shorter one or another "       \
    "template.")                                                                                                       \
  X(NOT_A_MODEL, kNotAModel, 200, "not-a-model",                                                                       \
    "Not a .thimble file; convert the model first.")                                                                   \
  X(TRUNCATED, kTruncated, 201, "truncated", "The file ends before what it announces; copy it again.")                 \
  X(CORRUPT, kCorrupt, 202, "corrupt", "A checksum or the structure is wrong; copy or convert the file again.")        \
  X(INVALID_MODEL, kInvalidModel, 203, "invalid-model",                                                                \
    "Well-formed, but a field contradicts another; convert the model again, or report the converter's error.")         \
  X(TRAILING_BYTES, kTrailingBytes, 204, "trailing-bytes",                                                             \
    "The file is longer than it announces; copy it again, or give the right length.")                                  \
  X(UNSUPPORTED, kUnsupported, 300, "unsupported",                                                                     \
    "A kind, template or table that this build does not know; the message names it.")                                  \
  X(UNSUPPORTED_FEATURE, kUnsupportedFeature, 301, "unsupported-feature",                                              \
    "The file requires a feature of a newer library; update the library.")                                             \
  X(UNSUPPORTED_VERSION, kUnsupportedVersion, 302, "unsupported-version",                                              \
    "The file or state has a newer format; update the library.")                                                       \
  X(UNSUPPORTED_CPU, kUnsupportedCpu, 303, "unsupported-cpu",                                                          \
    "This processor cannot run the kernel table asked for; leave `kernels` NULL.")                                     \
  X(ARENA_TOO_SMALL, kArenaTooSmall, 400, "arena-too-small",                                                           \
    "The caller's arena is smaller than planned; give it plan.arena_bytes.")                                           \
  X(ARENA_MISALIGNED, kArenaMisaligned, 401, "arena-misaligned", "The arena must start at a multiple of 64.")          \
  X(SIZE_OVERFLOW, kSizeOverflow, 402, "size-overflow",                                                                \
    "A size does not fit this machine's address space; ask for less.")                                                 \
  X(OUT_OF_MEMORY, kOutOfMemory, 403, "out-of-memory",                                                                 \
    "The system gave no memory; plan for less (context, cache type, sessions), or free some.")                         \
  X(OVER_BUDGET, kOverBudget, 404, "over-budget",                                                                      \
    "The plan takes more anonymous memory than mem_budget_bytes; its lines say where, thimble_solve what would fit.")  \
  X(IO, kIo, 500, "io", "Reading, writing or mapping failed; the message has the system's reason.")                     \
  X(THREADS, kThreads, 501, "threads", "The system gave no threads; ask for fewer.")                                   \
  X(CONTEXT_FULL, kContextFull, 600, "context-full",                                                                   \
    "No room left in the context; rewind, or create with more context_tokens.")                                        \
  X(WRONG_STATE, kWrongState, 601, "wrong-state",                                                                      \
    "The call does not fit what came before, or this kind of model; the message says what is missing.")                \
  X(CANCELLED, kCancelled, 602, "cancelled",                                                                           \
    "The caller asked to stop, by thimble_cancel or a callback's zero; the object is as good as before.")              \
  X(REWIND_TOO_FAR, kRewindTooFar, 603, "rewind-too-far",                                                              \
    "Rows that the position sees were overwritten; rewind to thimble_rewind_limit or later, or to 0.")                 \
  X(BUSY, kBusy, 604, "busy",                                                                                          \
    "The object is in use: by another thread, by the callback this call came from, or by objects made from it; "       \
    "call again afterwards.")                                                                                          \
  X(NO_SESSION, kNoSession, 605, "no-session",                                                                         \
    "All max_sessions sessions are open; close one.")                                                                  \
  X(NOT_FINITE, kNotFinite, 700, "not-finite",                                                                         \
    "The numbers became NaN or infinite: the model's weights do not make sense, or a logits hook's changes.")

#endif /* THIMBLE_CODES_H_ */
