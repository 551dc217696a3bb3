// Native methods: models, and the plan of an engine before there is one.
#include "targets/android/jni/env.h"
#include "targets/android/jni/natives.h"
#include "targets/android/jni/options.h"

#include <cstring>
#include <iterator>

namespace thimble_jni {

namespace {

jlong Open(JNIEnv* env, jclass, jbyteArray path) {
  const Bytes text(env, path);
  if (!text.ok()) return 0;
  thimble_model* model = nullptr;
  Error error;
  thimble_model_open(text.text(), &model, error.c());
  return error.Ok(env) ? ToJava(model) : 0;
}

jlong OpenFd(JNIEnv* env, jclass, jint fd, jlong offset, jlong length) {
  thimble_model* model = nullptr;
  Error error;
  thimble_model_open_fd(fd, static_cast<uint64_t>(offset), static_cast<uint64_t>(length), &model, error.c());
  return error.Ok(env) ? ToJava(model) : 0;
}

void Close(JNIEnv* env, jclass, jlong model) { CheckClosed(env, thimble_model_close(FromJava<thimble_model>(model))); }

void Verify(JNIEnv* env, jclass, jlong model, jobject callbacks) {
  Caller caller = {env, callbacks};
  Error error;
  thimble_model_verify(FromJava<thimble_model>(model), OnProgress, &caller, error.c());
  error.Ok(env);
}

// Fills numbers (15) and gives {name, family, chat template} as UTF-8.
jobjectArray Info(JNIEnv* env, jclass, jlong handle, jint part, jlongArray numbers) {
  const thimble_model* model = FromJava<thimble_model>(handle);
  thimble_model_info info = {};
  info.struct_bytes = sizeof info;
  Error error;
  if (part < 0) {
    thimble_model_get_info(model, &info, error.c());
  } else {
    thimble_model_get_part_info(model, static_cast<uint32_t>(part), &info, error.c());
  }
  if (!error.Ok(env)) return nullptr;
  const jlong n[] = {info.layers, info.width, info.vocabulary, info.outputs, info.max_positions, info.has_tokenizer, info.is_decoder,
                     info.bos, info.eos, info.image_height, info.image_width, info.image_channels,
                     static_cast<jlong>(info.file_bytes), info.parts, info.role};
  env->SetLongArrayRegion(numbers, 0, std::size(n), n);
  if (env->ExceptionCheck()) return nullptr;
  const char* const texts[] = {info.name, info.family, info.chat_template};
  jobjectArray all = env->NewObjectArray(std::size(texts), java.bytes, nullptr);
  if (all == nullptr) return nullptr;
  for (size_t i = 0; i < std::size(texts); ++i) {
    jbyteArray text = NewBytes(env, texts[i], std::strlen(texts[i]));
    if (text == nullptr) return nullptr;
    env->SetObjectArrayElement(all, static_cast<jsize>(i), text);
    if (env->ExceptionCheck()) return nullptr;
    env->DeleteLocalRef(text);
  }
  return all;
}

// For every session having read `tokens`; -1: its whole context. Fills numbers (25), calls planLine for every line, and gives {kernels, packing of the file}.
jobjectArray Plan(JNIEnv* env, jclass, jlong handle, jlongArray option_numbers, jobjectArray option_texts, jlong tokens, jlongArray numbers,
                  jobject callbacks) {
  Options options(env, option_numbers, option_texts);
  if (!options.ok()) return nullptr;
  Caller caller = {env, callbacks};
  thimble_plan p = {};
  p.struct_bytes = sizeof p;
  Error error;
  const thimble_model* model = FromJava<thimble_model>(handle);
  if (tokens < 0) {
    thimble_plan_memory(model, options.c(), &p, OnPlanLine, &caller, error.c());
  } else {
    thimble_plan_at(model, options.c(), tokens > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(tokens), &p, OnPlanLine, &caller, error.c());
  }
  if (!error.Ok(env)) return nullptr;
  const uint64_t n[] = {p.context_tokens, p.max_sessions, p.chunk_tokens, p.logits_rows, p.threads, p.arena_bytes, p.mapped_bytes,
                        p.outside_bytes, p.kv_bytes, p.packed_weight_bytes, p.kv_bytes_per_token, p.baseline_kv_bytes_per_token,
                        p.in_place_weight_bytes, p.repacked_weight_bytes, p.kv_ring_bytes, p.kv_recent_bytes,
                        p.kv_bytes_per_context_token, p.session_bytes, p.prefix_bytes, p.prefix_tokens, p.anonymous_bytes, p.file_backed_bytes, p.at_tokens,
                        p.touched_anonymous_bytes, p.pack_cache_bytes};
  jlong longs[std::size(n)];
  for (size_t i = 0; i < std::size(n); ++i) longs[i] = static_cast<jlong>(n[i]);
  env->SetLongArrayRegion(numbers, 0, std::size(n), longs);
  if (env->ExceptionCheck()) return nullptr;
  jobjectArray names = env->NewObjectArray(2, java.string, nullptr);
  if (names == nullptr) return nullptr;
  const char* const texts[] = {p.kernels, p.file_packing};
  for (jsize i = 0; i < 2; ++i) {
    jstring text = env->NewStringUTF(texts[i]);
    if (text == nullptr) return nullptr;
    env->SetObjectArrayElement(names, i, text);
    if (env->ExceptionCheck()) return nullptr;
  }
  return names;
}

}  // namespace

Methods ModelMethods() {
  static const JNINativeMethod methods[] = {
      Method("modelOpen", "([B)J", Open),
      Method("modelOpenFd", "(IJJ)J", OpenFd),
      Method("modelClose", "(J)V", Close),
      Method("modelVerify", "(JLdev/thimble/Callbacks;)V", Verify),
      Method("modelInfo", "(JI[J)[[B", Info),
      Method("plan", "(J[J[[BJ[JLdev/thimble/Callbacks;)[Ljava/lang/String;", Plan),
  };
  return {methods, std::size(methods)};
}

}  // namespace thimble_jni
