#include "tests/support/exercise.h"

#include <algorithm>
#include <cstring>

#include "tests/support/call.h"
#include "tests/support/model_builder.h"

namespace thimble::test {
namespace {

class Exercise {
 public:
  Exercised Run(const uint8_t* bytes, size_t size, uint32_t variant, size_t max_arena_bytes) {
    thimble_model* model = nullptr;
    result_.open_code = Named("open", Call(thimble_model_open_memory, bytes, size, &model)).code;
    if (result_.open_code != 0) {
      if (model != nullptr) Fault("open", "a model in spite of an error");
      return result_;
    }
    result_.verify_code = Named("verify", Call(thimble_model_verify, model, nullptr, nullptr)).code;
    const thimble_model_info info = InfoOf(model);
    if (std::strlen(info.name) + std::strlen(info.family) + std::strlen(info.chat_template) > size)
      Fault("info", "strings");
    ApiOptions options = Options(info, variant);
    thimble_plan plan = Sized<thimble_plan>();
    const thimble_error planned =
        Named("plan", Call(thimble_plan_memory, model, &options, &plan, nullptr, nullptr));
    if (planned.code == 0 && plan.arena_bytes <= max_arena_bytes) Session(model, info, options);
    thimble_model_close(model);
    return result_;
  }

 private:
  thimble_error Named(const char* step, const thimble_error& status) {
    const bool ok = status.code == 0;
    if (ok ? status.message[0] != 0 || thimble_exit_code(status.code) != 0
           : status.message[0] == 0 || thimble_exit_code(status.code) == 0 ||
                 std::strcmp(thimble_code_name(status.code), "unknown") == 0) {
      Fault(step, status.message);
    }
    return status;
  }
  void Fault(const std::string& step, const std::string& text) {
    result_.fault += step + ": '" + text + "' ";
  }

  static ApiOptions Options(const thimble_model_info& info, uint32_t variant) {
    ApiOptions o = ApiOptions();
    o.context_tokens = std::min(info.max_positions, 16u);
    o.chunk_tokens = info.is_decoder ? 4 : 0;
    o.key_cache = o.value_cache = static_cast<int32_t>(variant % 4);
    o.kernels = variant % 3 == 0 ? nullptr : "scalar";
    o.sampling.temperature = variant % 2 == 0 ? 0.0f : 1.0f;
    o.sampling.repeat_penalty = 1.1f;
    return o;
  }

  void Session(thimble_model* model, const thimble_model_info& info, const ApiOptions& options) {
    thimble_session* session = nullptr;
    if (Named("create", CreateSession(model, &options, nullptr, 0, &session)).code != 0) return;
    if (info.is_decoder) {
      Decode(session, info);
    } else {
      Encode(session, info);
    }
    thimble_session_close(session);
  }

  void Decode(thimble_session* session, const thimble_model_info& info) {
    const int32_t last = static_cast<int32_t>(info.vocabulary) - 1;
    const int32_t ids[5] = {0, last, last / 2, std::min(last, 3), 0};
    const size_t count = std::min<size_t>(5, thimble_capacity(session));
    if (Named("prefill", Call(thimble_prefill, session, ids, count)).code != 0) return;
    result_.ran = LogitsOf(session) != nullptr;
    int32_t id = -1;
    if (Named("sample", Call(thimble_sample, session, &id)).code == 0) {
      if (id < 0 || static_cast<uint32_t>(id) >= info.vocabulary)
        Fault("sample", "an id outside of the vocabulary");
      Named("decode", DecodeId(session, id));
    }
    Named("rewind", Call(thimble_rewind, session, 1));
    int32_t out[8];
    size_t ids_out = 0;
    Named("encode", Call(thimble_tokenize, nullptr, session, "ab cab\xff</s>", 11, THIMBLE_ADD_BOS | THIMBLE_PARSE_SPECIAL,
                                   out, 8, &ids_out));
    Named("generate", GenerateText(session, "a b", 3, 4, nullptr, nullptr, nullptr));
  }

  void Encode(thimble_session* session, const thimble_model_info& info) {
    const auto each = [](void* user, size_t, const float*) {
      *static_cast<bool*>(user) = true;
      return int32_t{1};
    };
    const size_t pixels = size_t{info.image_height} * info.image_width * info.image_channels;
    if (pixels == 0) {
      const int32_t ids[3] = {0, 1, 0};
      Named("encode rows", Call(thimble_encode_rows, session, ids, 3, each, &result_.ran));
    } else if (pixels < (size_t{1} << 20)) {
      const std::vector<float> image(pixels, 0.5f);
      Named("encode image", Call(thimble_encode_image, session, image.data(), pixels, each, &result_.ran));
    }
    // What only decoders do is refused by name.
    int32_t id = 0;
    Named("prefill", Call(thimble_prefill, session, &id, 1));
    Named("sample", Call(thimble_sample, session, &id));
    Named("encode", Call(thimble_tokenize, nullptr, session, "a b", 3, 0, &id, 1, &unused_));
    Named("generate", GenerateText(session, "a b", 3, 4, nullptr, nullptr, nullptr));
  }

  size_t unused_ = 0;
  Exercised result_;
};

}  // namespace

Exercised ExerciseModel(const uint8_t* bytes, size_t size, uint32_t variant, size_t max_arena_bytes) {
  return Exercise().Run(bytes, size, variant, max_arena_bytes);
}

Exercised ExerciseModel(const std::vector<uint8_t>& bytes, uint32_t variant, size_t max_arena_bytes) {
  const AlignedBytes copy(bytes);
  return ExerciseModel(copy.data(), bytes.size(), variant, max_arena_bytes);
}

}  // namespace thimble::test
