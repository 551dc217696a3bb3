// A model whose answers a test writes, byte by byte, and a chat template of reasoning and calls for it.
#pragma once

#include <cmath>
#include <string>

#include "targets/template/derive.h"
#include "tests/support/conversation.h"
#include "tests/support/model_builder.h"
#include "tests/support/tiny_tokenizer.h"

namespace thimble::test {

// Reasoning between tags, calls as objects between others.
inline constexpr char kTurnTemplate[] =
    "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% if m.reasoning_content %}{{ '<think>' + m.reasoning_content + '</think>' }}{% endif %}"
    "{{ m.content }}{% for c in m.tool_calls %}{{ '<call>' + {'name': c.function.name, 'arguments': c.function.arguments}|tojson + '</call>' }}"
    "{% endfor %}{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

inline ChatFormat TurnFormat() {
  ChatFormat format = Compiled(kTurnTemplate);
  format.answer = chat::DeriveAnswer(format.program, Json::Object()).bytes;
  return format;
}

// What the model is made to say, byte by byte, and then its end.
struct Script {
  std::string text;
  size_t at = 0;

  static int32_t Hook(void* user, float* logits, size_t count) {
    Script& script = *static_cast<Script*>(user);
    const size_t id = script.at < script.text.size() ? static_cast<uint8_t>(script.text[script.at++]) : 260;
    for (size_t i = 0; i < count; ++i) logits[i] = i == id ? 0.0f : -HUGE_VALF;
    return 1;
  }
};

// As the zoo's "byte_level", with more positions.
inline ModelBuilder TurnModel() {
  ModelBuilder builder(16, 272, 400, 301);
  builder.description().spec.vocabulary = 261;
  AttentionSpec heads;
  heads.heads = heads.kv_heads = 2;
  heads.head_width = 8;
  builder.AddLayer(heads, FfnKind::kPlain, Activation::kGeluTanh, 24, NormKind::kLayerNorm, true);
  builder.Finish(true, true, NormKind::kLayerNorm);
  builder.description().tokenizer = TinyTokenizer(261, TokenizerKind::kByteLevelBpe);
  builder.description().chat_formats = {TurnFormat()};
  return builder;
}

inline const Messages kAsked = {{"user", "?"}};
inline constexpr char kSaid[] = "<think>Hm.</think>Well:<call>{\"name\": \"f\", \"arguments\": {\"x\": [1, \"<\"]}}</call>";

}  // namespace thimble::test
