// Reads other people's tokenizer files into a TokenizerModel. Host only. Every malformed or unsupported
// input throws ImportError with the file and the field; nothing that changes ids is ignored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "targets/convert/tokenizers/tokenizer_writer.h"
#include "targets/json/json.h"

namespace thimble {

// Recognises the kind by name and content. `path` is one of the files below, or a directory that holds
// exactly one kind: tokenizer.json, or tokenizer.model (SentencePiece or tiktoken; SentencePiece's also as spiece.model), or one .tiktoken file, or
// vocab.json with merges.txt, or vocab.txt (WordPiece), or tokenizer.bin. A tokenizer.model that lies beside a tokenizer.json is
// preferred where it is supported, as both describe the same ids; any other mixture is refused by name. In a
// directory, and always beside a vocab.txt, tokenizer_config.json (bos, eos, add_bos_token, ...) is honoured.
TokenizerModel LoadTokenizer(const std::filesystem::path& path);

// SentencePiece .model (BPE or unigram).
TokenizerModel ReadSentencePieceModel(std::string_view bytes);
// tokenizer.json of the Hugging Face tokenizers library (byte-level BPE, BPE with byte fallback, WordPiece).
TokenizerModel ReadTokenizerJson(std::string_view text);
// The same of a file that was parsed, of so many bytes: no id can be higher.
TokenizerModel ReadTokenizerJson(const Json& root, uint64_t file_bytes);
// GPT-2: vocab.json and merges.txt (also called vocab.bpe).
TokenizerModel ReadGpt2Vocabulary(std::string_view vocab_json, std::string_view merges_text);
// BERT: vocab.txt, a piece in every line. `config` is the tokenizer_config.json beside it, or null: BERT's own.
TokenizerModel ReadWordPieceVocabulary(std::string_view text, const Json& config);
bool LooksLikeWordPiece(std::string_view bytes);
// The key-value pairs of a GGUF file ("llama" and "gpt2" vocabularies), which may have no tensors.
TokenizerModel ReadGgufVocabulary(const Json& metadata);
bool HasGgufVocabulary(const Json& metadata);
// tiktoken: pieces in base64 with their ranks. What the file does not say (how text is split, special pieces) follows
// from its number of ranks; with `known_file` ("cl100k_base", "o200k_base", "Llama", "r50k_base", ...) it is taken
// from that file whatever the number is.
TokenizerModel ReadTiktoken(std::string_view bytes, const std::string& known_file = {});
bool LooksLikeTiktoken(std::string_view bytes);
// llama2.c tokenizer.bin. The file does not store its number of pieces; it ends where the file ends.
TokenizerModel ReadLlama2cTokenizer(std::string_view bytes);

}  // namespace thimble
