/* A program with an XNNPACK and a pthreadpool of its own (another_xnnpack.c): text by XNNPACK's kernels on two threads. */
#include <stdio.h>

#include <thimble/thimble.h>

static int32_t print(void* user, const char* text, size_t bytes) {
  (void)user;
  return fwrite(text, 1, bytes, stdout) == bytes;
}

int main(int argc, char** argv) {
  thimble_model* model = NULL;
  thimble_session* session = NULL;
  thimble_options options = thimble_default_options();
  options.context_tokens = 128;
  options.threads = 2;
#if defined(__x86_64__)
  options.kernels = "avx2";
#elif defined(__aarch64__)
  options.kernels = "neon";
#endif
  thimble_status status = thimble_model_open(argc > 1 ? argv[1] : "model.thimble", &model);
  if (status.code == 0) status = thimble_session_create(model, &options, NULL, 0, &session);
  if (status.exit_code == 4) return 0; /* a CPU without them */
  if (status.code == 0) status = thimble_generate(session, "Once upon a time", 16, 8, print, NULL, NULL);
  if (status.code != 0) fprintf(stderr, "%s\n", status.message);
  thimble_session_close(session);
  thimble_model_close(model);
  return status.exit_code;
}
