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

void MeasureLines(JNIEnv* env, jclass, jlong engine, jobject callbacks) {
  Caller caller = {env, callbacks};
  Error error;
  thimble_measure_lines(FromJava<thimble_engine>(engine), OnPlanLine, &caller, error.c());
  error.Ok(env);
}

void OnOperation(void* user, const thimble_operation* o) {
  const Caller& caller = *static_cast<const Caller*>(user);
  JNIEnv* env = caller.env;
  if (env->ExceptionCheck() || env->PushLocalFrame(4) != 0) return;
  const jlong n[] = {o->layer, o->block, static_cast<jlong>(o->calls), static_cast<jlong>(o->start_ns), static_cast<jlong>(o->ns),
                     static_cast<jlong>(o->bytes), static_cast<jlong>(o->shared_tasks), static_cast<jlong>(o->others_tasks)};
  jstring mixer = env->NewStringUTF(o->mixer);
  jstring name = mixer == nullptr ? nullptr : env->NewStringUTF(o->name);
  jlongArray numbers = name == nullptr ? nullptr : NewLongs(env, n, std::size(n));
  if (numbers != nullptr) env->CallVoidMethod(caller.callbacks, java.operation, mixer, name, numbers);
  env->PopLocalFrame(nullptr);
}

void Operations(JNIEnv* env, jclass, jlong engine, jboolean reset, jobject callbacks) {
  Caller caller = {env, callbacks};
  Error error;
  thimble_get_operations(FromJava<thimble_engine>(engine), reset, OnOperation, &caller, error.c());
  error.Ok(env);
}

void Slices(JNIEnv* env, jclass, jlong engine, jobject callbacks) {
  Caller caller = {env, callbacks};
  Error error;
  thimble_get_slices(FromJava<thimble_engine>(engine), OnOperation, &caller, error.c());
  error.Ok(env);
}

}  // namespace

Methods EngineMethods() {
  static const JNINativeMethod methods[] = {
      Method("engineCreate", "(J[J[[BLdev/thimble/Callbacks;)J", Create),
      Method("engineClose", "(J)V", Close),
      Method("engineModel", "(J)J", Model),
      Method("engineReadPrefix", "(J[ILdev/thimble/Callbacks;)V", ReadPrefix),
      Method("engineTrim", "(JI[J)V", Trim),
      Method("engineMeasureLines", "(JLdev/thimble/Callbacks;)V", MeasureLines),
      Method("engineOperations", "(JZLdev/thimble/Callbacks;)V", Operations),
      Method("engineSlices", "(JLdev/thimble/Callbacks;)V", Slices),
      Method("engineProfile", "(JZ[J)V", Profile),
  };
  return {methods, std::size(methods)};
}

}  // namespace thimble_jni
