// Native methods: what fits into how much memory, and how much there is.
#include "targets/android/jni/env.h"
#include "targets/android/jni/natives.h"
#include "targets/android/jni/options.h"

#include <cstring>
#include <iterator>

namespace thimble_jni {

namespace {

void OnSolution(void* user, const thimble_solution* s) {
  const Caller& caller = *static_cast<const Caller*>(user);
  JNIEnv* env = caller.env;
  if (env->ExceptionCheck()) return;
  const jlong n[] = {s->fits, s->key_cache, s->value_cache, s->context_tokens, s->chunk_tokens, static_cast<jlong>(s->arena_bytes),
                     static_cast<jlong>(s->anonymous_bytes), static_cast<jlong>(s->file_backed_bytes),
                     static_cast<jlong>(s->kv_bytes_per_token), static_cast<jlong>(s->over_bytes),
                     static_cast<jlong>(s->largest_line_bytes)};
  jstring name = env->NewStringUTF(s->largest_line);
  if (name == nullptr) return;
  jlongArray numbers = NewLongs(env, n, std::size(n));
  if (numbers != nullptr) env->CallVoidMethod(caller.callbacks, java.solution, name, numbers);
  if (env->ExceptionCheck()) return;  // the method's end frees the references
  env->DeleteLocalRef(numbers);
  env->DeleteLocalRef(name);
}

void Solve(JNIEnv* env, jclass, jlong model, jlongArray option_numbers, jobjectArray option_texts, jlongArray budget_numbers, jobject callbacks) {
  Options options(env, option_numbers, option_texts);
  const Longs n(env, budget_numbers);
  if (!options.ok() || !n.ok()) return;
  thimble_budget budget = {};
  budget.struct_bytes = sizeof budget;
  budget.anonymous_bytes = static_cast<uint64_t>(n[0]);
  budget.total_bytes = static_cast<uint64_t>(n[1]);
  Caller caller = {env, callbacks};
  Error error;
  thimble_solve(FromJava<thimble_model>(model), options.c(), &budget, OnSolution, &caller, error.c());
  error.Ok(env);
}

// Numbers of SystemMemory.java. THIMBLE_NO_LIMIT is -1 there.
thimble_memory ReadMemory(const Longs& n) {
  thimble_memory m = {};
  m.struct_bytes = sizeof m;
  m.limit = static_cast<int32_t>(n[0]);
  m.available_bytes = static_cast<uint64_t>(n[1]);
  m.machine_bytes = static_cast<uint64_t>(n[2]);
  m.group_bytes = static_cast<uint64_t>(n[3]);
  m.data_bytes = static_cast<uint64_t>(n[4]);
  m.address_bytes = static_cast<uint64_t>(n[5]);
  m.caller_bytes = static_cast<uint64_t>(n[6]);
  return m;
}

jbyteArray WillFit(JNIEnv* env, jclass, jlong model, jlongArray option_numbers, jobjectArray option_texts, jlongArray memory_numbers, jlongArray fit_numbers) {
  Options options(env, option_numbers, option_texts);
  const Longs n(env, memory_numbers);
  if (!options.ok() || !n.ok()) return nullptr;
  thimble_memory memory = {};
  if (memory_numbers != nullptr) memory = ReadMemory(n);
  thimble_fit f = {};
  f.struct_bytes = sizeof f;
  Error error;
  thimble_will_fit(FromJava<thimble_model>(model), options.c(), memory_numbers == nullptr ? nullptr : &memory, &f, error.c());
  const bool missing = error.code() == THIMBLE_OUT_OF_MEMORY;
  if (!missing && !error.Ok(env)) return nullptr;
  const jlong numbers[] = {f.limit, static_cast<jlong>(f.needed_bytes), static_cast<jlong>(f.available_bytes),
                           static_cast<jlong>(f.missing_bytes), static_cast<jlong>(f.file_missing_bytes)};
  env->SetLongArrayRegion(fit_numbers, 0, std::size(numbers), numbers);
  if (!missing || env->ExceptionCheck()) return nullptr;
  return NewBytes(env, error.c()->message, std::strlen(error.c()->message));
}

jstring SystemMemory(JNIEnv* env, jclass, jlongArray memory_numbers) {
  thimble_memory m = {};
  m.struct_bytes = sizeof m;
  Error error;
  thimble_get_memory(&m, error.c());
  if (!error.Ok(env)) return nullptr;
  const jlong numbers[] = {m.limit, static_cast<jlong>(m.available_bytes), static_cast<jlong>(m.machine_bytes),
                           static_cast<jlong>(m.group_bytes), static_cast<jlong>(m.data_bytes), static_cast<jlong>(m.address_bytes),
                           static_cast<jlong>(m.caller_bytes)};
  env->SetLongArrayRegion(memory_numbers, 0, std::size(numbers), numbers);
  return env->ExceptionCheck() ? nullptr : env->NewStringUTF(m.group);
}

}  // namespace

Methods FitMethods() {
  static const JNINativeMethod methods[] = {
      Method("solve", "(J[J[[B[JLdev/thimble/Callbacks;)V", Solve),
      Method("willFit", "(J[J[[B[J[J)[B", WillFit),
      Method("systemMemory", "([J)Ljava/lang/String;", SystemMemory),
  };
  return {methods, std::size(methods)};
}

}  // namespace thimble_jni
