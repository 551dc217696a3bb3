// Native methods: an answer, whose tokens go to Callbacks.event one by one.
#include "targets/android/jni/env.h"
#include "targets/android/jni/natives.h"

#include <cstring>
#include <iterator>

namespace thimble_jni {

namespace {

// A callback's exception ends the generation and reaches the caller when the native method returns.
int32_t OnEvent(void* user, const thimble_event* event) {
  const Caller& caller = *static_cast<const Caller*>(user);
  JNIEnv* env = caller.env;
  if (env->ExceptionCheck()) return 0;
  // Hundreds of tokens come in one native call: their references must go one by one.
  if (env->PushLocalFrame(4) != 0) return 0;
  jboolean go_on = JNI_FALSE;
  const jlong n[] = {event->id, event->end, static_cast<jlong>(event->prompt_tokens), static_cast<jlong>(event->generated_tokens),
                     static_cast<jlong>(event->prefill_ns), static_cast<jlong>(event->decode_ns)};
  jlongArray numbers = NewLongs(env, n, std::size(n));
  jbyteArray text = numbers == nullptr ? nullptr : NewBytes(env, event->text, event->text_bytes);
  bool made = text != nullptr;
  jintArray top_ids = nullptr;
  jfloatArray top_logprobs = nullptr;
  if (made && event->top_count > 0) {
    const jsize count = static_cast<jsize>(event->top_count);
    top_ids = env->NewIntArray(count);
    if (top_ids != nullptr) top_logprobs = env->NewFloatArray(count);
    made = top_logprobs != nullptr;
    if (made) {
      env->SetIntArrayRegion(top_ids, 0, count, event->top_ids);
      env->SetFloatArrayRegion(top_logprobs, 0, count, event->top_logprobs);
    }
  }
  if (made) go_on = env->CallBooleanMethod(caller.callbacks, java.event, text, numbers, static_cast<jdouble>(event->logprob), top_ids, top_logprobs);
  const bool threw = env->ExceptionCheck();
  env->PopLocalFrame(nullptr);
  return !threw && go_on;
}

// `stops`: terminated texts one after the other, `numbers`: {flags, max_tokens, top_tokens, how many stops}.
void Generate(JNIEnv* env, jclass, jlong session, jlongArray numbers, jbyteArray text_array, jintArray id_array, jintArray stop_id_array,
              jbyteArray stop_array, jobject callbacks) {
  const Longs n(env, numbers);
  const Bytes text(env, text_array), stops(env, stop_array);
  const Ints ids(env, id_array), stop_ids(env, stop_id_array);
  if (!n.ok() || !text.ok() || !stops.ok() || !ids.ok() || !stop_ids.ok()) return;
  const size_t stop_count = static_cast<size_t>(n[3]);
  Buffer<const char*> stop_strings(env, stop_count);
  if (!stop_strings.ok()) return;
  const char* at = stops.text();
  for (size_t i = 0; i < stop_count; ++i) {
    stop_strings[i] = at;
    at += std::strlen(at) + 1;
  }
  Caller caller = {env, callbacks};
  thimble_generation g = {};
  g.struct_bytes = sizeof g;
  g.flags = static_cast<uint32_t>(n[0]);
  g.max_tokens = static_cast<uint32_t>(n[1]);
  g.top_tokens = static_cast<uint32_t>(n[2]);
  g.text = text.text();
  g.text_bytes = text.size();
  g.ids = ids.data();
  g.id_count = ids.size();
  g.stop_ids = stop_ids.data();
  g.stop_id_count = stop_ids.size();
  g.stop_strings = stop_strings.data();
  g.stop_string_count = stop_count;
  g.prompt_progress = OnProgress;
  g.prompt_progress_user = &caller;
  Error error;
  thimble_generate(FromJava<thimble_session>(session), &g, OnEvent, &caller, error.c());
  error.Ok(env);
}

}  // namespace

Methods GenerationMethods() {
  static const JNINativeMethod methods[] = {
      Method("generate", "(J[J[B[I[I[BLdev/thimble/Callbacks;)V", Generate),
  };
  return {methods, std::size(methods)};
}

}  // namespace thimble_jni
