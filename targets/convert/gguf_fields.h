// The keys of GGUF's architectures as the fields of a config.json: what all decoders share, and what each has of its own. Which tensors
// a file has says what it has no key for.
#pragma once

#include <set>
#include <string>

#include "targets/convert/gguf_translation.h"

namespace thimble {

// Of decoders of the usual kind. `own_widths`: widths, heads and rotations are matters of the architecture.
void TranslateDecoderFields(GgufTranslation& file, bool own_widths);
// Tensors that are read into fields.
std::set<std::string> GgufFieldTensors();

// Of one architecture (gguf_architectures.cc says which); for most behind what they share.
namespace gguf {

void Granite(GgufTranslation& file);
void GraniteMoe(GgufTranslation& file);
void GraniteHybrid(GgufTranslation& file);
void Olmo2(GgufTranslation& file);
void BitNet(GgufTranslation& file);
void Qwen3(GgufTranslation& file);
void Qwen3Moe(GgufTranslation& file);
void Olmoe(GgufTranslation& file);
void Mixtral(GgufTranslation& file);
void Cohere(GgufTranslation& file);
void GptOss(GgufTranslation& file);
void DeepSeek2(GgufTranslation& file);
void Lfm2Dense(GgufTranslation& file);
void Lfm2Moe(GgufTranslation& file);
void OwnHeadWidth(GgufTranslation& file);
void Mistral3(GgufTranslation& file);
void Qwen3Vl(GgufTranslation& file);
void Mamba2(GgufTranslation& file);
void NemotronH(GgufTranslation& file);
void EuroBert(GgufTranslation& file);
void Bert(GgufTranslation& file);
void NomicBert(GgufTranslation& file);
void GemmaEmbedding(GgufTranslation& file);
void Qwen35(GgufTranslation& file);
void Qwen3Next(GgufTranslation& file);
void Gemma4(GgufTranslation& file);
void Gemma3n(GgufTranslation& file);
void MiniCpm3(GgufTranslation& file);
void Apertus(GgufTranslation& file);
void FalconH1(GgufTranslation& file);
void ChatGlm(GgufTranslation& file);
void ModernBert(GgufTranslation& file);

}  // namespace gguf
}  // namespace thimble
