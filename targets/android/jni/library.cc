// JNI_OnLoad, the only symbol of this folder that leaves the library: finds what native code calls by name and registers the native methods.
#include <initializer_list>

#include "targets/android/jni/env.h"
#include "targets/android/jni/natives.h"

using namespace thimble_jni;

// Anything missing (a shrinker without the consumer rules, classes of another version) ends loading with the exception that
// names it, instead of failing at the first use.
extern "C" JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void*) {
  JNIEnv* env = nullptr;
  if (vm->GetEnv(reinterpret_cast<void**>(&env), JNI_VERSION_1_6) != JNI_OK) return JNI_ERR;
  if (!FindJavaNames(env)) return JNI_ERR;
  jclass native = env->FindClass("dev/thimble/Native");
  if (native == nullptr) return JNI_ERR;
  for (const Methods& group : {ModelMethods(), FitMethods(), EngineMethods(), SessionMethods(), GenerationMethods(), TurnMethods(), TextMethods()}) {
    if (env->RegisterNatives(native, group.methods, static_cast<jint>(group.count)) != JNI_OK) return JNI_ERR;
  }
  env->DeleteLocalRef(native);
  return JNI_VERSION_1_6;
}
