// dev.thimble.EngineOptions and Sampling, which cross as arrays of numbers, as the structs of thimble.h.
#pragma once

#include "targets/android/jni/env.h"

namespace thimble_jni {

// Numbers of Sampling, in the order of the struct's fields; floats by their bits.
inline constexpr size_t kSamplingNumbers = 7;
thimble_sampling ReadSampling(const jlong* numbers);
void WriteSampling(const thimble_sampling& sampling, jlong* numbers);

// Numbers of EngineOptions as Native.java lists them, then those of Sampling.
inline constexpr size_t kOptionNumbers = 20;

// The options while it lives. ok() is false, and an exception waits, where Java's heap is full or the array is of another length.
class Options {
 public:
  // `texts`: kernels, pack cache, park; each terminated or null.
  Options(JNIEnv* env, jlongArray numbers, jobjectArray texts);
  bool ok() const { return ok_; }
  thimble_engine_options* c() { return &c_; }

 private:
  Bytes kernels_, pack_cache_, park_;
  thimble_sampling sampling_ = THIMBLE_SAMPLING_DEFAULTS;
  thimble_engine_options c_ = {};
  bool ok_ = false;
};

}  // namespace thimble_jni
