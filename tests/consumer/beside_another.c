/* A program with an XNNPACK and a pthreadpool of its own (another_xnnpack.c): text by XNNPACK's kernels on two threads. */
#include <stdio.h>

#include <thimble/thimble.h>

static int32_t print(void* user, const thimble_event* event) {
  (void)user;
  return fwrite(event->text, 1, event->text_bytes, stdout) == event->text_bytes;
}

int main(int argc, char** argv) {
  thimble_error error = {.struct_bytes = sizeof error};
  thimble_engine_options options = {.struct_bytes = sizeof options, .context_tokens = 128, .threads = 2};
  thimble_generation story = {.struct_bytes = sizeof story, .max_tokens = 8, .text = "Once upon a time", .text_bytes = 16};
  thimble_model* model = NULL;
  thimble_session* session = NULL;
#if defined(__x86_64__)
  options.kernels = "avx2";
#elif defined(__aarch64__)
  options.kernels = "neon";
#endif
  if (thimble_model_open(argc > 1 ? argv[1] : "model.thimble", &model, &error) == THIMBLE_OK &&
      thimble_session_create(model, &options, &session, &error) == THIMBLE_OK)
    thimble_generate(session, &story, print, NULL, &error);
  thimble_session_close(session);
  thimble_model_close(model);
  if (error.code == THIMBLE_UNSUPPORTED_CPU || error.code == THIMBLE_UNSUPPORTED) return 0; /* a CPU without them */
  if (error.code != THIMBLE_OK) fprintf(stderr, "%s\n", error.message);
  return thimble_exit_code(error.code);
}
