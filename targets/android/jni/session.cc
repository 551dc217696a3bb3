// Native methods: sessions, but for answers (generation.cc).
#include "targets/android/jni/env.h"
#include "targets/android/jni/natives.h"
#include "targets/android/jni/options.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>

namespace thimble_jni {

namespace {

thimble_session* Of(jlong session) { return FromJava<thimble_session>(session); }

jlong Open(JNIEnv* env, jclass, jlong engine) {
  thimble_session* session = nullptr;
  Error error;
  thimble_session_open(FromJava<thimble_engine>(engine), &session, error.c());
  return error.Ok(env) ? ToJava(session) : 0;
}

jlong Recover(JNIEnv* env, jclass, jlong engine, jint index) {
  thimble_session* session = nullptr;
  Error error;
  thimble_session_recover(FromJava<thimble_engine>(engine), static_cast<uint32_t>(index), &session, error.c());
  return error.Ok(env) ? ToJava(session) : 0;
}

jlong Fork(JNIEnv* env, jclass, jlong from) {
  thimble_session* session = nullptr;
  Error error;
  thimble_session_fork(Of(from), &session, error.c());
  return error.Ok(env) ? ToJava(session) : 0;
}

void Close(JNIEnv* env, jclass, jlong session) { CheckClosed(env, thimble_session_close(Of(session))); }
void Cancel(JNIEnv*, jclass, jlong session) { thimble_cancel(Of(session)); }
jlong Position(JNIEnv*, jclass, jlong session) { return static_cast<jlong>(thimble_position(Of(session))); }
jlong Capacity(JNIEnv*, jclass, jlong session) { return static_cast<jlong>(thimble_capacity(Of(session))); }
jlong RewindLimit(JNIEnv*, jclass, jlong session) { return static_cast<jlong>(thimble_rewind_limit(Of(session))); }
jlong StateBytes(JNIEnv*, jclass, jlong session) { return static_cast<jlong>(thimble_state_bytes(Of(session))); }

void Prefill(JNIEnv* env, jclass, jlong session, jintArray tokens) {
  const Ints ids(env, tokens);
  if (!ids.ok()) return;
  Error error;
  thimble_prefill(Of(session), ids.data(), ids.size(), error.c());
  error.Ok(env);
}

jfloatArray Embed(JNIEnv* env, jclass, jlong session, jintArray tokens, jint pooling) {
  const Ints ids(env, tokens);
  if (!ids.ok()) return nullptr;
  thimble_model_info info = {};
  info.struct_bytes = sizeof info;
  Error error;
  thimble_model_get_info(thimble_engine_model(thimble_session_engine(Of(session))), &info, error.c());
  if (!error.Ok(env)) return nullptr;
  Buffer<float> vector(env, info.outputs);
  if (!vector.ok()) return nullptr;
  thimble_embed(Of(session), ids.data(), ids.size(), pooling, vector.data(), info.outputs, error.c());
  if (!error.Ok(env)) return nullptr;
  const jsize count = static_cast<jsize>(info.outputs);
  jfloatArray array = env->NewFloatArray(count);
  if (array != nullptr) env->SetFloatArrayRegion(array, 0, count, vector.data());
  return array;
}

void Rewind(JNIEnv* env, jclass, jlong session, jlong position) {
  Error error;
  thimble_rewind(Of(session), static_cast<size_t>(position), error.c());
  error.Ok(env);
}

void SetSampling(JNIEnv* env, jclass, jlong session, jlongArray array) {
  const Longs numbers(env, array);
  if (!numbers.ok()) return;
  if (numbers.size() != kSamplingNumbers) return Throw(env, THIMBLE_INVALID_ARGUMENT, "sampling: the classes and the native library are of different versions; take both from one package");
  const thimble_sampling sampling = ReadSampling(numbers.data());
  Error error;
  thimble_set_sampling(Of(session), &sampling, error.c());
  error.Ok(env);
}

void SamplingDefaults(JNIEnv* env, jclass, jlongArray numbers) {
  jlong n[kSamplingNumbers];
  WriteSampling(THIMBLE_SAMPLING_DEFAULTS, n);
  env->SetLongArrayRegion(numbers, 0, kSamplingNumbers, n);
}

void StateSave(JNIEnv* env, jclass, jlong session, jint fd) {
  Error error;
  thimble_state_save_fd(Of(session), fd, error.c());
  error.Ok(env);
}

void StateLoad(JNIEnv* env, jclass, jlong session, jint fd, jlong offset, jlong length) {
  Error error;
  thimble_state_load_fd(Of(session), fd, static_cast<uint64_t>(offset), static_cast<uint64_t>(length), error.c());
  error.Ok(env);
}

// Throws IO with the system's reason.
void ThrowErrno(JNIEnv* env, const char* what) {
  char message[128];
  const int code = errno;
  std::snprintf(message, sizeof message, "%s: %s", what, std::strerror(code));
  Throw(env, THIMBLE_IO, message);
}

void FdWrite(JNIEnv* env, jclass, jint fd, jbyteArray array) {
  const Bytes bytes(env, array);
  if (!bytes.ok()) return;
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got = write(fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ThrowErrno(env, "fd: writing failed");
    done += static_cast<size_t>(got);
  }
}

jint FdRead(JNIEnv* env, jclass, jint fd, jlong offset, jbyteArray array) {
  const size_t count = static_cast<size_t>(env->GetArrayLength(array));
  Buffer<jbyte> bytes(env, count);
  if (!bytes.ok()) return 0;
  size_t done = 0;
  while (done < count) {
    const ssize_t got = pread(fd, bytes.data() + done, count - done, static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      ThrowErrno(env, "fd: reading failed");
      return 0;
    }
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  env->SetByteArrayRegion(array, 0, static_cast<jsize>(done), bytes.data());
  return static_cast<jint>(done);
}

}  // namespace

Methods SessionMethods() {
  static const JNINativeMethod methods[] = {
      Method("sessionOpen", "(J)J", Open),
      Method("sessionRecover", "(JI)J", Recover),
      Method("sessionFork", "(J)J", Fork),
      Method("sessionClose", "(J)V", Close),
      Method("cancel", "(J)V", Cancel),
      Method("position", "(J)J", Position),
      Method("capacity", "(J)J", Capacity),
      Method("rewindLimit", "(J)J", RewindLimit),
      Method("prefill", "(J[I)V", Prefill),
      Method("embed", "(J[II)[F", Embed),
      Method("rewind", "(JJ)V", Rewind),
      Method("setSampling", "(J[J)V", SetSampling),
      Method("samplingDefaults", "([J)V", SamplingDefaults),
      Method("stateBytes", "(J)J", StateBytes),
      Method("stateSave", "(JI)V", StateSave),
      Method("stateLoad", "(JIJJ)V", StateLoad),
      Method("fdWrite", "(I[B)V", FdWrite),
      Method("fdRead", "(IJ[B)I", FdRead),
  };
  return {methods, std::size(methods)};
}

}  // namespace thimble_jni
