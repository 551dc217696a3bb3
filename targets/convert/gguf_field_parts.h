// What the fields of several of GGUF's architectures are made of (gguf_fields.h). Private to these.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "targets/convert/gguf_translation.h"

namespace thimble::gguf {

inline constexpr char kShort[] = "rope_factors_short.weight", kLong[] = "rope_factors_long.weight", kFreqs[] = "rope_freqs.weight";

uint32_t HeadWidthOf(GgufTranslation& f);
// Frequencies, stretched or stored.
void TranslateRotation(GgufTranslation& f);
// Which layers slide, where the file says it.
void TranslateWindow(GgufTranslation& f);
// Of the token table.
uint64_t VocabularyRows(const GgufTranslation& f);
// Layers that have no heads of keys (0) are of the other kind.
void SetLayerTypes(GgufTranslation& f, const char* with, const char* without);
void CopyAll(GgufTranslation& f, std::initializer_list<std::pair<const char*, const char*>> pairs);
// "softmax", "sigmoid", or nothing.
std::string ExpertScores(GgufTranslation& f);
void OnlyScores(GgufTranslation& f, const std::string& known);
// A pooling says that the model below the head is published, without anything in front of its names.
void TranslatePooling(GgufTranslation& f);
// What is said of stretched positions beside the divisors.
void SetInScaling(GgufTranslation& f, const char* key, double factor, std::initializer_list<const char*> fields);
void GraniteFactors(GgufTranslation& f);
void DeepSeekExperts(GgufTranslation& f);
void Lfm2(GgufTranslation& f);
// State spaces alone.
void StateSpaces(GgufTranslation& f);
void EncoderFields(GgufTranslation& f);
// Delta nets beside attention.
void DeltaNets(GgufTranslation& f);

}  // namespace thimble::gguf
