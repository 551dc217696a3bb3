// Native methods: engines.
#include "targets/android/jni/env.h"
#include "targets/android/jni/natives.h"
#include "targets/android/jni/options.h"

#include <iterator>

namespace thimble_jni {

namespace {

jlong Create(JNIEnv* env, jclass, jlong model, jlongArray numbers, jobjectArray texts, jobject callbacks) {
  Options options(env, numbers, texts);
  if (!options.ok()) return 0;
  // Warnings and progress come during this call only.
  Caller caller = {env, callbacks};
  options.c()->progress = OnProgress;
  options.c()->progress_user = &caller;
  options.c()->log = OnWarning;
  options.c()->log_user = &caller;
  thimble_engine* engine = nullptr;
  Error error;
  thimble_engine_create(FromJava<thimble_model>(model), options.c(), &engine, error.c());
  if (error.Ok(env)) return ToJava(engine);
  thimble_engine_close(engine);  // made, but the last callback threw
  return 0;
}

void Close(JNIEnv* env, jclass, jlong engine) { CheckClosed(env, thimble_engine_close(FromJava<thimble_engine>(engine))); }

jlong Model(JNIEnv*, jclass, jlong engine) {
  return ToJava(const_cast<thimble_model*>(thimble_engine_model(FromJava<thimble_engine>(engine))));
}

void ReadPrefix(JNIEnv* env, jclass, jlong engine, jintArray tokens, jobject callbacks) {
  const Ints ids(env, tokens);
  if (!ids.ok()) return;
  Caller caller = {env, callbacks};
  Error error;
  thimble_engine_read_prefix(FromJava<thimble_engine>(engine), ids.data(), ids.size(), OnProgress, &caller, error.c());
  error.Ok(env);
}

// Fills numbers (13).
void Profile(JNIEnv* env, jclass, jlong engine, jboolean reset, jlongArray numbers) {
  thimble_profile p = {};
  p.struct_bytes = sizeof p;
  Error error;
  thimble_get_profile(FromJava<thimble_engine>(engine), reset, &p, error.c());
  if (!error.Ok(env)) return;
  const uint64_t n[] = {p.threads, p.steps, p.tokens, p.embed_ns, p.norm_ns, p.linear_ns, p.attention_ns, p.activation_ns, p.head_ns,
                        p.sample_ns, p.total_ns, p.kv_bytes_read, p.weight_bytes_read};
  jlong longs[std::size(n)];
  for (size_t i = 0; i < std::size(n); ++i) longs[i] = static_cast<jlong>(n[i]);
  env->SetLongArrayRegion(numbers, 0, std::size(n), longs);
}

// Fills numbers (4).
void Trim(JNIEnv* env, jclass, jlong engine, jint level, jlongArray numbers) {
  thimble_trimmed t = {};
  t.struct_bytes = sizeof t;
  Error error;
  thimble_trim(FromJava<thimble_engine>(engine), level, &t, error.c());
  if (!error.Ok(env)) return;
  const jlong n[] = {t.parked_sessions, static_cast<jlong>(t.anonymous_bytes), static_cast<jlong>(t.file_backed_bytes),
                     static_cast<jlong>(t.parked_bytes)};
  env->SetLongArrayRegion(numbers, 0, std::size(n), n);
}

}  // namespace

Methods EngineMethods() {
  static const JNINativeMethod methods[] = {
      Method("engineCreate", "(J[J[[BLdev/thimble/Callbacks;)J", Create),
      Method("engineClose", "(J)V", Close),
      Method("engineModel", "(J)J", Model),
      Method("engineReadPrefix", "(J[ILdev/thimble/Callbacks;)V", ReadPrefix),
      Method("engineTrim", "(JI[J)V", Trim),
      Method("engineProfile", "(JZ[J)V", Profile),
  };
  return {methods, std::size(methods)};
}

}  // namespace thimble_jni
