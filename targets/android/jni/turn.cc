// Native methods: the answer to a conversation, whose parts go to Callbacks.part one by one.
#include "targets/android/jni/env.h"
#include "targets/android/jni/natives.h"

#include <cstring>
#include <iterator>

namespace thimble_jni {

namespace {

// Text of a Java array of byte arrays, copied one behind the other into one block: the arrays are not held while an answer is written,
// and their number is not limited by how many references a native method may have.
class Texts {
 public:
  Texts(JNIEnv* env, jobjectArray arrays) : count_(CountOf(env, arrays)), begins_(env, count_), sizes_(env, count_), bytes_(env, Total(env, arrays)) {
    if (!begins_.ok() || !sizes_.ok() || !bytes_.ok() || env->ExceptionCheck()) return;
    char* at = bytes_.data();
    for (size_t i = 0; i < count_; ++i) {
      jbyteArray array = static_cast<jbyteArray>(env->GetObjectArrayElement(arrays, static_cast<jsize>(i)));
      if (array == nullptr) continue;
      const jsize size = env->GetArrayLength(array);
      env->GetByteArrayRegion(array, 0, size, reinterpret_cast<jbyte*>(at));
      env->DeleteLocalRef(array);
      begins_[i] = at;
      sizes_[i] = static_cast<size_t>(size);
      at += size;
    }
    ok_ = !env->ExceptionCheck();
  }
  // false: an exception waits.
  bool ok() const { return ok_; }
  size_t count() const { return count_; }
  const char* operator[](size_t i) { return begins_[i]; }  // null where the array has none
  size_t size(size_t i) { return sizes_[i]; }

 private:
  static size_t CountOf(JNIEnv* env, jobjectArray arrays) { return static_cast<size_t>(env->GetArrayLength(arrays)); }
  static size_t Total(JNIEnv* env, jobjectArray arrays) {
    size_t total = 0;
    for (jsize i = 0, count = env->GetArrayLength(arrays); i < count; ++i) {
      jobject array = env->GetObjectArrayElement(arrays, i);
      if (array == nullptr) continue;
      total += static_cast<size_t>(env->GetArrayLength(static_cast<jbyteArray>(array)));
      env->DeleteLocalRef(array);
    }
    return total;
  }

  size_t count_;
  Buffer<const char*> begins_;
  Buffer<size_t> sizes_;
  Buffer<char> bytes_;
  bool ok_ = false;
};

// As Message.java lists them.
constexpr size_t kMessageFields = 8;

void Fill(Texts& fields, size_t message, thimble_chat_message* out) {
  const size_t at = message * kMessageFields;
  out->struct_bytes = sizeof *out;
  out->role = fields[at];
  out->text = fields[at + 1];
  out->text_bytes = static_cast<uint32_t>(fields.size(at + 1));
  out->parts = fields[at + 2];
  out->reasoning = fields[at + 3];
  out->name = fields[at + 4];
  out->tool_calls = fields[at + 5];
  out->tool_call_id = fields[at + 6];
  out->more = fields[at + 7];
}

int32_t OnPart(void* user, const thimble_turn_part* part) {
  const Caller& caller = *static_cast<const Caller*>(user);
  JNIEnv* env = caller.env;
  if (env->ExceptionCheck()) return 0;
  // As for the events of an answer: hundreds of parts come in one native call.
  if (env->PushLocalFrame(4) != 0) return 0;
  jboolean go_on = JNI_FALSE;
  jbyteArray text = NewBytes(env, part->text, part->text_bytes);
  jbyteArray id = text == nullptr ? nullptr : NewBytes(env, part->id, part->id_bytes);
  jbyteArray why = id == nullptr ? nullptr : NewBytes(env, part->why, std::strlen(part->why));
  if (why != nullptr) go_on = env->CallBooleanMethod(caller.callbacks, java.part, static_cast<jint>(part->kind), text, id, why);
  const bool threw = env->ExceptionCheck();
  env->PopLocalFrame(nullptr);
  return !threw && go_on;
}

// To the last event, whose figures are for the whole answer.
void TellEnd(const Caller& caller, const thimble_event& event) {
  JNIEnv* env = caller.env;
  if (env->ExceptionCheck()) return;
  const jlong n[] = {event.id, event.end, static_cast<jlong>(event.prompt_tokens), static_cast<jlong>(event.generated_tokens),
                     static_cast<jlong>(event.prefill_ns), static_cast<jlong>(event.decode_ns)};
  jlongArray numbers = NewLongs(env, n, std::size(n));
  jbyteArray text = numbers == nullptr ? nullptr : NewBytes(env, "", 0);
  if (text == nullptr) return;
  env->CallBooleanMethod(caller.callbacks, java.event, text, numbers, static_cast<jdouble>(event.logprob), nullptr, nullptr);
}

// See Native.java.
void Turn(JNIEnv* env, jclass, jlong handle, jlongArray number_array, jobjectArray message_fields, jobjectArray text_arrays, jbyteArray stop_array,
          jobject callbacks) {
  const Longs n(env, number_array);
  const Bytes stops(env, stop_array);
  Texts fields(env, message_fields), texts(env, text_arrays);
  if (!n.ok() || !stops.ok() || !fields.ok() || !texts.ok()) return;
  const size_t count = fields.count() / kMessageFields, stop_count = static_cast<size_t>(n[1]);
  Buffer<thimble_chat_message> messages(env, count);
  Buffer<const char*> stop_strings(env, stop_count);
  const size_t memory_bytes = (size_t{1} << 16) + 16 * texts.size(0);  // the tools take several times their text
  Buffer<char> memory(env, memory_bytes);
  if (!messages.ok() || !stop_strings.ok() || !memory.ok()) return;
  for (size_t i = 0; i < count; ++i) Fill(fields, i, &messages[i]);
  const char* at = stops.text();
  for (size_t i = 0; i < stop_count; ++i) {
    stop_strings[i] = at;
    at += std::strlen(at) + 1;
  }
  thimble_conversation conversation = {};
  conversation.struct_bytes = sizeof conversation;
  conversation.thinking = static_cast<int32_t>(n[2]);
  conversation.messages = messages.data();
  conversation.message_count = count;
  conversation.tools = texts[0];
  conversation.documents = texts[1];
  conversation.variables = texts[2];
  conversation.template_name = texts[3];
  Caller caller = {env, callbacks};
  thimble_generation g = {};
  g.struct_bytes = sizeof g;
  g.max_tokens = static_cast<uint32_t>(n[0]);
  g.conversation = &conversation;
  g.stop_strings = stop_strings.data();
  g.stop_string_count = stop_count;
  g.prompt_progress = OnProgress;
  g.prompt_progress_user = &caller;
  thimble_turn* turn = nullptr;
  Error error;
  thimble_turn_start(FromJava<thimble_session>(handle), &g, memory.data(), memory_bytes, &turn, error.c());
  if (!error.Ok(env)) return;
  thimble_event event = {};
  event.struct_bytes = sizeof event;
  do {
    thimble_turn_next(turn, OnPart, &caller, &event, error.c());
    if (!error.Ok(env)) return;
  } while (event.end == THIMBLE_END_NOT_YET);
  TellEnd(caller, event);
}

}  // namespace

Methods TurnMethods() {
  static const JNINativeMethod methods[] = {
      Method("turn", "(J[J[[B[[B[BLdev/thimble/Callbacks;)V", Turn),
  };
  return {methods, std::size(methods)};
}

}  // namespace thimble_jni
