// What every native method needs of Java: arrays as pointers, errors as ThimbleException, and the callbacks. Nothing here
// aborts; a function that could not get what it wanted leaves a Java exception behind and says so. It knows no method.
#pragma once

#include <jni.h>
#include <thimble/thimble.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace thimble_jni {

// Classes and methods that native code calls by name; found once, in JNI_OnLoad. Consumer rules keep their names.
struct JavaNames {
  jclass exception;              // dev.thimble.ThimbleException
  jclass bytes, string;          // byte[], String
  jmethodID exception_init;      // (int code, byte[] message)
  jmethodID progress;            // dev.thimble.Callbacks: boolean progress(long done, long total)
  jmethodID warning;             // void warning(byte[] message)
  jmethodID plan_line;           // void planLine(String name, long[] numbers)
  jmethodID event;               // boolean event(byte[] text, long[] numbers, float logprob, int[] topIds, float[] topLogprobs)
  jmethodID part;                // boolean part(int kind, byte[] text, byte[] id, byte[] why)
  jmethodID solution;            // void solution(String largestLine, long[] numbers)
  jmethodID operation;           // void operation(String mixer, String name, long[] numbers)
};
extern JavaNames java;
// false: an exception says what is missing.
bool FindJavaNames(JNIEnv* env);

// A handle of the C API as Java keeps it.
template <typename T>
jlong ToJava(T* handle) {
  return static_cast<jlong>(reinterpret_cast<intptr_t>(handle));
}
template <typename T>
T* FromJava(jlong handle) {
  return reinterpret_cast<T*>(static_cast<intptr_t>(handle));
}

// Throws ThimbleException, unless an exception waits already: a callback's own goes before what it led to.
void Throw(JNIEnv* env, int32_t code, const char* message);

// For what thimble_*_close says. Handle.java closes what nobody uses: anything but THIMBLE_OK is a mistake there, and a leak.
inline void CheckClosed(JNIEnv* env, int32_t code) {
  if (code != THIMBLE_OK) Throw(env, code, "closed while it was in use");
}

// To hand to a function of thimble.h as its last argument.
class Error {
 public:
  thimble_error* c() { return &c_; }
  int32_t code() const { return c_.code; }
  // true: nothing went wrong. Otherwise an exception waits.
  bool Ok(JNIEnv* env) const {
    if (c_.code != THIMBLE_OK) Throw(env, c_.code, c_.message);
    return !env->ExceptionCheck();
  }

 private:
  thimble_error c_ = {sizeof(thimble_error), THIMBLE_OK, {}};
};

// A new byte[]; null with an exception waiting where the heap is full.
jbyteArray NewBytes(JNIEnv* env, const void* bytes, size_t count);
// The longs as a new long[].
jlongArray NewLongs(JNIEnv* env, const jlong* longs, size_t count);

inline jbyte* GetElements(JNIEnv* env, jbyteArray array) { return env->GetByteArrayElements(array, nullptr); }
inline jint* GetElements(JNIEnv* env, jintArray array) { return env->GetIntArrayElements(array, nullptr); }
inline jlong* GetElements(JNIEnv* env, jlongArray array) { return env->GetLongArrayElements(array, nullptr); }
inline void ReleaseElements(JNIEnv* env, jbyteArray array, jbyte* p) { env->ReleaseByteArrayElements(array, p, JNI_ABORT); }
inline void ReleaseElements(JNIEnv* env, jintArray array, jint* p) { env->ReleaseIntArrayElements(array, p, JNI_ABORT); }
inline void ReleaseElements(JNIEnv* env, jlongArray array, jlong* p) { env->ReleaseLongArrayElements(array, p, JNI_ABORT); }

// The elements of a Java array, to read, while this lives. A null array has none and is ok.
template <typename Array, typename Element>
class Elements {
 public:
  Elements(JNIEnv* env, Array array) : env_(env), array_(array) {
    if (array == nullptr) return;
    size_ = static_cast<size_t>(env->GetArrayLength(array));
    data_ = GetElements(env, array);
  }
  ~Elements() {
    if (data_ != nullptr) ReleaseElements(env_, array_, data_);
  }
  Elements(const Elements&) = delete;
  Elements& operator=(const Elements&) = delete;

  // false: the heap is full; an exception waits.
  bool ok() const { return array_ == nullptr || data_ != nullptr; }
  const Element* data() const { return data_; }
  size_t size() const { return size_; }
  Element operator[](size_t i) const { return data_[i]; }
  const char* text() const { return reinterpret_cast<const char*>(data_); }

 private:
  JNIEnv* env_;
  Array array_;
  Element* data_ = nullptr;
  size_t size_ = 0;
};
using Bytes = Elements<jbyteArray, jbyte>;
using Ints = Elements<jintArray, jint>;
using Longs = Elements<jlongArray, jlong>;

// `count` elements from malloc; ok() is false, and an exception waits, where there are none.
template <typename T>
class Buffer {
 public:
  Buffer(JNIEnv* env, size_t count) : data_(static_cast<T*>(std::calloc(count + 1, sizeof(T)))) {
    if (data_ == nullptr) Throw(env, THIMBLE_OUT_OF_MEMORY, "no memory for what goes between Java and the library");
  }
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  bool ok() const { return data_ != nullptr; }
  T* data() { return data_; }
  T& operator[](size_t i) { return data_[i]; }

 private:
  T* data_;
};

// The `user` of callbacks: they come on the thread that called.
struct Caller {
  JNIEnv* env;
  jobject callbacks;  // dev.thimble.Callbacks
};
int32_t OnProgress(void* caller, uint64_t done, uint64_t total);
void OnWarning(void* caller, const char* message);
void OnPlanLine(void* caller, const thimble_plan_line* line);

}  // namespace thimble_jni
