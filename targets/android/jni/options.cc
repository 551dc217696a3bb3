#include "targets/android/jni/options.h"

#include <bit>

namespace thimble_jni {

namespace {

float ToFloat(jlong bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); }
jlong ToBits(float value) { return static_cast<jlong>(std::bit_cast<uint32_t>(value)); }

// Null where there is no such array or element.
jbyteArray TextAt(JNIEnv* env, jobjectArray texts, jsize i) {
  if (texts == nullptr || i >= env->GetArrayLength(texts)) return nullptr;
  return static_cast<jbyteArray>(env->GetObjectArrayElement(texts, i));
}

}  // namespace

thimble_sampling ReadSampling(const jlong* n) {
  thimble_sampling s = THIMBLE_SAMPLING_DEFAULTS;
  s.temperature = ToFloat(n[0]);
  s.top_k = static_cast<int32_t>(n[1]);
  s.top_p = ToFloat(n[2]);
  s.min_p = ToFloat(n[3]);
  s.repeat_penalty = ToFloat(n[4]);
  s.repeat_last_n = static_cast<int32_t>(n[5]);
  s.seed = static_cast<uint64_t>(n[6]);
  return s;
}

void WriteSampling(const thimble_sampling& s, jlong* n) {
  n[0] = ToBits(s.temperature);
  n[1] = s.top_k;
  n[2] = ToBits(s.top_p);
  n[3] = ToBits(s.min_p);
  n[4] = ToBits(s.repeat_penalty);
  n[5] = s.repeat_last_n;
  n[6] = static_cast<jlong>(s.seed);
}

Options::Options(JNIEnv* env, jlongArray array, jobjectArray texts)
    : kernels_(env, TextAt(env, texts, 0)), pack_cache_(env, TextAt(env, texts, 1)), park_(env, TextAt(env, texts, 2)) {
  const Longs n(env, array);
  if (!n.ok() || !kernels_.ok() || !pack_cache_.ok() || !park_.ok() || env->ExceptionCheck()) return;
  if (n.size() != kOptionNumbers + kSamplingNumbers) {
    Throw(env, THIMBLE_INVALID_ARGUMENT, "options: the classes and the native library are of different versions; take both from one package");
    return;
  }
  c_.struct_bytes = sizeof c_;
  c_.context_tokens = static_cast<uint32_t>(n[0]);
  c_.max_sessions = static_cast<uint32_t>(n[1]);
  c_.threads = static_cast<uint32_t>(n[2]);
  c_.key_cache = static_cast<int32_t>(n[3]);
  c_.value_cache = static_cast<int32_t>(n[4]);
  c_.chunk_tokens = static_cast<uint32_t>(n[5]);
  c_.logits_rows = static_cast<uint32_t>(n[6]);
  c_.max_text_bytes = static_cast<uint32_t>(n[7]);
  c_.top_tokens = static_cast<uint32_t>(n[8]);
  c_.window_tokens = static_cast<uint32_t>(n[9]);
  c_.sink_tokens = static_cast<uint32_t>(n[10]);
  c_.weights = static_cast<int32_t>(n[11]);
  c_.cpu_strict = static_cast<int32_t>(n[12]);
  c_.cpu_mask = static_cast<uint64_t>(n[13]);
  c_.prefix_tokens = static_cast<uint32_t>(n[14]);
  c_.part = static_cast<uint32_t>(n[15]);
  c_.kv_budget_bytes = static_cast<uint64_t>(n[16]);
  c_.mem_budget_bytes = static_cast<uint64_t>(n[17]);
  c_.profile_slices = static_cast<uint32_t>(n[18]);
  c_.min_cache_type = static_cast<int32_t>(n[19]);
  c_.kernels = kernels_.text();
  c_.pack_cache = pack_cache_.text();
  c_.park = park_.text();
  sampling_ = ReadSampling(n.data() + kOptionNumbers);
  c_.sampling = &sampling_;
  ok_ = true;
}

}  // namespace thimble_jni
