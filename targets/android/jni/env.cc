#include "targets/android/jni/env.h"

#include <cstring>
#include <iterator>

namespace thimble_jni {

JavaNames java = {};

namespace {

jclass FindGlobal(JNIEnv* env, const char* name) {
  jclass local = env->FindClass(name);
  if (local == nullptr) return nullptr;
  jclass global = static_cast<jclass>(env->NewGlobalRef(local));
  env->DeleteLocalRef(local);
  return global;
}

}  // namespace

bool FindJavaNames(JNIEnv* env) {
  java.exception = FindGlobal(env, "dev/thimble/ThimbleException");
  if (java.exception == nullptr) return false;
  java.bytes = FindGlobal(env, "[B");
  if (java.bytes == nullptr) return false;
  java.string = FindGlobal(env, "java/lang/String");
  if (java.string == nullptr) return false;
  java.exception_init = env->GetMethodID(java.exception, "<init>", "(I[B)V");
  if (java.exception_init == nullptr) return false;
  jclass callbacks = env->FindClass("dev/thimble/Callbacks");
  if (callbacks == nullptr) return false;
  const struct {
    jmethodID* id;
    const char *name, *signature;
  } methods[] = {{&java.progress, "progress", "(JJ)Z"},
                 {&java.warning, "warning", "([B)V"},
                 {&java.plan_line, "planLine", "(Ljava/lang/String;[J)V"},
                 {&java.event, "event", "([B[JF[I[F)Z"},
                 {&java.part, "part", "(I[B[B[B)Z"},
                 {&java.solution, "solution", "(Ljava/lang/String;[J)V"},
                 {&java.operation, "operation", "(Ljava/lang/String;Ljava/lang/String;[J)V"}};
  for (const auto& method : methods) {
    *method.id = env->GetMethodID(callbacks, method.name, method.signature);
    if (*method.id == nullptr) return false;
  }
  env->DeleteLocalRef(callbacks);
  return true;
}

void Throw(JNIEnv* env, int32_t code, const char* message) {
  if (env->ExceptionCheck()) return;
  jbyteArray text = NewBytes(env, message, std::strlen(message));
  if (text == nullptr) return;
  jobject exception = env->NewObject(java.exception, java.exception_init, static_cast<jint>(code), text);
  if (exception != nullptr && !env->ExceptionCheck()) env->Throw(static_cast<jthrowable>(exception));
}

jbyteArray NewBytes(JNIEnv* env, const void* bytes, size_t count) {
  if (count > INT32_MAX) {
    Throw(env, THIMBLE_SIZE_OVERFLOW, "more bytes than a Java array holds");
    return nullptr;
  }
  jbyteArray array = env->NewByteArray(static_cast<jsize>(count));
  if (array != nullptr) env->SetByteArrayRegion(array, 0, static_cast<jsize>(count), static_cast<const jbyte*>(bytes));
  return array;
}

jlongArray NewLongs(JNIEnv* env, const jlong* longs, size_t count) {
  jlongArray array = env->NewLongArray(static_cast<jsize>(count));
  if (array != nullptr) env->SetLongArrayRegion(array, 0, static_cast<jsize>(count), longs);
  return array;
}

int32_t OnProgress(void* user, uint64_t done, uint64_t total) {
  const Caller& caller = *static_cast<const Caller*>(user);
  if (caller.env->ExceptionCheck()) return 0;
  const jboolean go_on = caller.env->CallBooleanMethod(caller.callbacks, java.progress, static_cast<jlong>(done), static_cast<jlong>(total));
  return !caller.env->ExceptionCheck() && go_on;
}

void OnWarning(void* user, const char* message) {
  const Caller& caller = *static_cast<const Caller*>(user);
  if (caller.env->ExceptionCheck()) return;
  jbyteArray text = NewBytes(caller.env, message, std::strlen(message));
  if (text == nullptr) return;
  caller.env->CallVoidMethod(caller.callbacks, java.warning, text);
  // An exception of its own waits; the next callback or the end of the call sees it.
  caller.env->DeleteLocalRef(text);
}

void OnPlanLine(void* user, const thimble_plan_line* line) {
  const Caller& caller = *static_cast<const Caller*>(user);
  JNIEnv* env = caller.env;
  if (env->ExceptionCheck()) return;
  const jlong n[] = {line->lifetime, line->index, line->session, static_cast<jlong>(line->offset), static_cast<jlong>(line->bytes), line->scratch,
                     static_cast<jlong>(line->anonymous_bytes), static_cast<jlong>(line->touched_bytes)};
  jstring name = env->NewStringUTF(line->name);
  if (name == nullptr) return;
  jlongArray numbers = NewLongs(env, n, std::size(n));
  if (numbers != nullptr) env->CallVoidMethod(caller.callbacks, java.plan_line, name, numbers);
  if (env->ExceptionCheck()) return;  // the method's end frees the references
  env->DeleteLocalRef(numbers);
  env->DeleteLocalRef(name);
}

}  // namespace thimble_jni
