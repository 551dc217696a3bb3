// The native methods of dev.thimble.Native, by subject; library.cc registers them. Java checks that handles are open and
// keeps them so during a call, that texts which the C API wants terminated are, and that arrays have the lengths named here.
#pragma once

#include <jni.h>

#include <cstddef>

namespace thimble_jni {

struct Methods {
  const JNINativeMethod* methods;
  size_t count;
};
Methods ModelMethods();       // model.cc: open, verify, what it is, plan
Methods FitMethods();         // fit.cc: what fits, and into what
Methods EngineMethods();      // engine.cc
Methods SessionMethods();     // session.cc: tokens, sampling, saved states
Methods GenerationMethods();  // generation.cc: answers
Methods TurnMethods();        // turn.cc: answers to conversations, in parts
Methods TextMethods();        // text.cc: text and ids; codes and names

// JNINativeMethod has pointers to char that are not const in some of the headers.
inline JNINativeMethod Method(const char* name, const char* signature, void* function) {
  return {const_cast<char*>(name), const_cast<char*>(signature), function};
}
template <typename Function>
JNINativeMethod Method(const char* name, const char* signature, Function* function) {
  return Method(name, signature, reinterpret_cast<void*>(function));
}

}  // namespace thimble_jni
