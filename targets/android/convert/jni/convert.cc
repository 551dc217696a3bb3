// libthimble_convert_jni.so: the one native method of dev.thimble.convert.Converter. Whatever a file does comes back as a
// ThimbleException; no C++ exception leaves it.
#include <exception>
#include <new>
#include <string>

#include "targets/android/jni/env.h"
#include "targets/convert/convert.h"

using namespace thimble_jni;

namespace {

using thimble::ConvertOptions;
using thimble::ConvertProgress;
using thimble::ConvertReport;

jmethodID on_tensor = nullptr;  // dev.thimble.convert.Callbacks: boolean tensor(byte[] name, long done, long total)

// UTF-8, "" where there is none.
std::string TextAt(JNIEnv* env, jobjectArray texts, jsize i) {
  jbyteArray array = static_cast<jbyteArray>(env->GetObjectArrayElement(texts, i));
  const Bytes bytes(env, array);
  return bytes.ok() && bytes.size() > 0 ? std::string(bytes.text(), bytes.size()) : std::string();
}

bool Tell(JNIEnv* env, jobject callbacks, const ConvertProgress& progress) {
  if (env->ExceptionCheck()) return false;
  jbyteArray name = NewBytes(env, progress.tensor.data(), progress.tensor.size());
  if (name == nullptr) return false;
  const jboolean go_on = env->CallBooleanMethod(callbacks, on_tensor, name, static_cast<jlong>(progress.done_weights),
                                                static_cast<jlong>(progress.total_weights));
  if (env->ExceptionCheck()) return false;
  env->DeleteLocalRef(name);
  return go_on;
}

// Texts: source, output, tokenizer, chat template, name, recipe. Gives {name, family}, and fills numbers: weights, bytes of the source's
// weights, of the file, of the largest buffers; whether there is a tokenizer; how many chat templates.
jobjectArray Convert(JNIEnv* env, jclass, jobjectArray texts, jboolean as_is, jlongArray numbers, jobject callbacks) try {
  ConvertOptions options;
  options.source = TextAt(env, texts, 0);
  options.output = TextAt(env, texts, 1);
  options.tokenizer = TextAt(env, texts, 2);
  options.chat_template = TextAt(env, texts, 3);
  options.name = TextAt(env, texts, 4);
  const std::string name = TextAt(env, texts, 5);
  const thimble::WeightRecipe* recipe = thimble::FindWeightRecipe(name);
  if (recipe == nullptr) {
    Throw(env, THIMBLE_INVALID_ARGUMENT, ("recipe: there is none called " + name).c_str());
    return nullptr;
  }
  thimble::ApplyRecipe(*recipe, &options);
  options.as_is = as_is;
  if (options.as_is) options.head = options.kv = std::nullopt;
  options.progress = [env, callbacks](const ConvertProgress& progress) { return Tell(env, callbacks, progress); };
  const ConvertReport report = thimble::Convert(options);
  const jlong n[] = {static_cast<jlong>(report.weights), static_cast<jlong>(report.source_bytes), static_cast<jlong>(report.file_bytes),
                     static_cast<jlong>(report.peak_buffer_bytes), report.has_tokenizer, static_cast<jlong>(report.chat_templates.size())};
  env->SetLongArrayRegion(numbers, 0, sizeof n / sizeof n[0], n);
  jobjectArray names = env->ExceptionCheck() ? nullptr : env->NewObjectArray(2, java.bytes, nullptr);
  if (names == nullptr) return nullptr;
  jsize i = 0;
  for (const std::string& text : {report.name, report.family}) {
    jbyteArray bytes = NewBytes(env, text.data(), text.size());
    if (bytes == nullptr) return nullptr;
    env->SetObjectArrayElement(names, i++, bytes);
  }
  return names;
} catch (const thimble::ImportError& error) {
  Throw(env, static_cast<int32_t>(error.code()), error.what());
  return nullptr;
} catch (const std::bad_alloc&) {
  Throw(env, THIMBLE_OUT_OF_MEMORY, "no memory for the conversion");
  return nullptr;
} catch (const std::exception& error) {
  Throw(env, THIMBLE_IO, error.what());
  return nullptr;
}

}  // namespace

extern "C" JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void*) {
  JNIEnv* env = nullptr;
  if (vm->GetEnv(reinterpret_cast<void**>(&env), JNI_VERSION_1_6) != JNI_OK || !FindJavaNames(env)) return JNI_ERR;
  jclass callbacks = env->FindClass("dev/thimble/convert/Callbacks");
  if (callbacks == nullptr) return JNI_ERR;
  on_tensor = env->GetMethodID(callbacks, "tensor", "([BJJ)Z");
  if (on_tensor == nullptr) return JNI_ERR;
  jclass native = env->FindClass("dev/thimble/convert/Native");
  if (native == nullptr) return JNI_ERR;
  static const JNINativeMethod methods[] = {{const_cast<char*>("convert"),
                                             const_cast<char*>("([[BZ[JLdev/thimble/convert/Callbacks;)[[B"),
                                             reinterpret_cast<void*>(Convert)}};
  return env->RegisterNatives(native, methods, 1) == JNI_OK ? JNI_VERSION_1_6 : JNI_ERR;
}
