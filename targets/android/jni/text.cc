// Native methods: text to ids and back; names of codes, kernels and the version.
#include "targets/android/jni/env.h"
#include "targets/android/jni/natives.h"

#include <iterator>

namespace thimble_jni {

namespace {

jintArray Tokenize(JNIEnv* env, jclass, jlong model, jbyteArray text_array, jboolean whole) {
  const Bytes text(env, text_array);
  if (!text.ok()) return nullptr;
  size_t capacity = text.size() + 2, count = 0;  // enough for nearly all, or known the second time
  for (;;) {
    Buffer<int32_t> ids(env, capacity);
    if (!ids.ok()) return nullptr;
    Error error;
    thimble_tokenize(FromJava<thimble_model>(model), nullptr, text.text(), text.size(), whole ? THIMBLE_ADD_BOS : 0, ids.data(), capacity,
                     &count, error.c());
    if (error.code() == THIMBLE_BUFFER_TOO_SMALL && count > capacity) {
      capacity = count;
      continue;
    }
    if (!error.Ok(env)) return nullptr;
    jintArray array = env->NewIntArray(static_cast<jsize>(count));
    if (array != nullptr) env->SetIntArrayRegion(array, 0, static_cast<jsize>(count), ids.data());
    return array;
  }
}

jbyteArray Detokenize(JNIEnv* env, jclass, jlong model, jintArray id_array) {
  const Ints ids(env, id_array);
  if (!ids.ok()) return nullptr;
  size_t capacity = 16 * ids.size() + 16, bytes = 0;
  for (;;) {
    Buffer<char> text(env, capacity);
    if (!text.ok()) return nullptr;
    Error error;
    thimble_detokenize(FromJava<thimble_model>(model), ids.data(), ids.size(), text.data(), capacity, &bytes, error.c());
    if (error.code() == THIMBLE_BUFFER_TOO_SMALL && bytes > capacity) {
      capacity = bytes;
      continue;
    }
    return error.Ok(env) ? NewBytes(env, text.data(), bytes) : nullptr;
  }
}

jboolean IsEnd(JNIEnv*, jclass, jlong model, jint id) { return thimble_is_end(FromJava<thimble_model>(model), id) != 0; }

jstring CodeName(JNIEnv* env, jclass, jint code) { return env->NewStringUTF(thimble_code_name(code)); }
jstring CodeHelp(JNIEnv* env, jclass, jint code) { return env->NewStringUTF(thimble_code_help(code)); }
jstring Version(JNIEnv* env, jclass) { return env->NewStringUTF(thimble_version()); }
jstring KernelTables(JNIEnv* env, jclass) { return env->NewStringUTF(thimble_kernel_tables()); }
jlong PerformanceCpus(JNIEnv*, jclass) { return static_cast<jlong>(thimble_performance_cpus()); }

}  // namespace

Methods TextMethods() {
  static const JNINativeMethod methods[] = {
      Method("tokenize", "(J[BZ)[I", Tokenize),
      Method("detokenize", "(J[I)[B", Detokenize),
      Method("isEnd", "(JI)Z", IsEnd),
      Method("codeName", "(I)Ljava/lang/String;", CodeName),
      Method("codeHelp", "(I)Ljava/lang/String;", CodeHelp),
      Method("version", "()Ljava/lang/String;", Version),
      Method("kernelTables", "()Ljava/lang/String;", KernelTables),
      Method("performanceCpus", "()J", PerformanceCpus),
  };
  return {methods, std::size(methods)};
}

}  // namespace thimble_jni
