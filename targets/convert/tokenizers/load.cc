// Finds out what kind of tokenizer a path is, and reads it.
#include "targets/convert/gguf_file.h"
#include "targets/convert/import_error.h"
#include "targets/convert/json_file.h"
#include "targets/convert/tokenizers/beside.h"
#include "targets/convert/tokenizers/json_fields.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "targets/json/json.h"

namespace thimble {
namespace {

namespace fs = std::filesystem;

// The largest tokenizer.json in use have 35 MB.
constexpr uint64_t kMaxTokenizerFileBytes = 128u << 20;

std::string ReadFile(const fs::path& path) { return ReadSmallFile(path, kMaxTokenizerFileBytes); }

// Runs `read` and names the file in what it throws.
template <typename Read>
auto Named(const fs::path& path, Read read) {
  try {
    return read();
  } catch (const ImportError& error) {
    throw error.In(path.string());
  } catch (const JsonError& error) {
    throw ImportError(Code::kInvalidModel, error.what(), path.string());
  }
}

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// merges.txt for vocab.json, x_vocab.bpe for x_vocab.json, and the other way round; empty if it is not there.
fs::path Beside(const fs::path& path, std::initializer_list<const char*> names, const char* extension) {
  for (const char* name : names) {
    const fs::path candidate = path.parent_path() / name;
    if (candidate != path && Exists(candidate)) return candidate;
  }
  const fs::path candidate = fs::path(path).replace_extension(extension);
  return candidate != path && Exists(candidate) ? candidate : fs::path();
}

TokenizerModel ReadPair(const fs::path& vocab, const fs::path& merges) {
  const std::string vocab_bytes = ReadFile(vocab);
  const std::string merges_bytes = ReadFile(merges);
  return Named(vocab, [&] { return ReadGpt2Vocabulary(vocab_bytes, merges_bytes); });
}

bool LooksLikeJson(std::string_view bytes) {
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && bytes[first] == '{';
}

// llama2.c: the length of the longest piece, a score of 0, the length 5, "<unk>".
bool LooksLikeLlama2c(std::string_view bytes) {
  return bytes.size() >= 17 && bytes.substr(4, 13) == std::string_view("\0\0\0\0\5\0\0\0<unk>", 13);
}

// How it cuts is said beside it.
TokenizerModel ReadVocabularyLines(const fs::path& path, const std::string& bytes) {
  const fs::path config_file = path.parent_path() / "tokenizer_config.json";
  Json config = Json::Object();
  if (Exists(config_file)) {
    const std::string text = ReadFile(config_file);
    config = Named(config_file, [&] { return ParseTokenizerFile(text); });
  }
  return Named(path, [&] { return ReadWordPieceVocabulary(bytes, config); });
}

TokenizerModel LoadFile(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error) && IsGgufFile(path)) {  // whose weights need not be read
    const auto file = GgufCheckpoint::Open(path);
    return Named(path, [&] { return ReadGgufVocabulary(file->metadata()); });
  }
  const std::string bytes = ReadFile(path);
  if (LooksLikeLlama2c(bytes)) {
    return Named(path, [&] { return ReadLlama2cTokenizer(bytes); });
  }
  if (bytes.starts_with("#version") || path.extension() == ".bpe" || path.filename() == "merges.txt") {
    const fs::path vocab = Beside(path, {"vocab.json", "encoder.json"}, ".json");
    if (vocab.empty()) throw ImportError(Code::kInvalidArgument, "needs vocab.json beside it", path.string());
    return ReadPair(vocab, path);
  }
  if (path.filename() == "vocab.txt" || LooksLikeWordPiece(bytes)) return ReadVocabularyLines(path, bytes);
  if (LooksLikeTiktoken(bytes)) {
    return Named(path, [&] { return ReadTiktoken(bytes); });
  }
  if (!LooksLikeJson(bytes)) {
    return Named(path, [&] { return ReadSentencePieceModel(bytes); });
  }
  // A vocabulary maps pieces to numbers; a tokenizer.json has an object called model.
  const Json root = Named(path, [&] { return ParseTokenizerFile(bytes); });
  if (Member(root, "model", "JSON").is_object()) {
    return Named(path, [&] { return ReadTokenizerJson(root, bytes.size()); });
  }
  const fs::path merges = Beside(path, {"merges.txt", "vocab.bpe"}, ".bpe");
  if (merges.empty()) {
    throw ImportError(Code::kInvalidArgument, "has no \"model\", and no merges.txt is beside it",
                      path.string());
  }
  return ReadPair(path, merges);
}

// The only file called x.tiktoken; empty where there is none.
fs::path TiktokenFileOf(const fs::path& directory) {
  fs::path found;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() != ".tiktoken") continue;
    if (!found.empty()) throw ImportError(Code::kInvalidArgument, "holds several .tiktoken files", directory.string());
    found = entry.path();
  }
  return found;
}

TokenizerModel LoadDirectory(const fs::path& directory) {
  const fs::path tokenizer_json = directory / "tokenizer.json";
  // T5 has another name for it.
  const fs::path sentencepiece = directory / (Exists(directory / "tokenizer.model") ? "tokenizer.model" : "spiece.model");
  const fs::path llama2c = directory / "tokenizer.bin";
  const fs::path vocab = directory / "vocab.json";
  const fs::path merges = directory / "merges.txt";
  const fs::path vocab_lines = directory / "vocab.txt";
  const fs::path config = directory / "tokenizer_config.json";
  if (Exists(llama2c) && (Exists(tokenizer_json) || Exists(sentencepiece) || Exists(vocab))) {
    throw ImportError(Code::kInvalidArgument,
                      "holds tokenizer.bin and another tokenizer: name one of the files", directory.string());
  }
  TokenizerModel model;
  if (Exists(sentencepiece)) {
    // A tokenizer.json beside it is the same vocabulary converted, plus tokens added later.
    try {
      model = LoadFile(sentencepiece);
    } catch (const ImportError& error) {
      if (error.code() != Code::kUnsupported || !Exists(tokenizer_json)) throw;
      model = LoadFile(tokenizer_json);
    }
    // tiktoken's file knows fewer of its own special pieces.
    if (model.kind == TokenizerKind::kByteLevelBpe && Exists(tokenizer_json)) model = LoadFile(tokenizer_json);
    if (model.kind != TokenizerKind::kByteLevelBpe && Exists(tokenizer_json)) {
      const std::string bytes = ReadFile(tokenizer_json);
      Named(tokenizer_json, [&] {
        const Json root = ParseTokenizerFile(bytes);
        AddTokens(Member(root, "added_tokens", "tokenizer.json"), model.pieces.size() + bytes.size(), &model);
        return 0;
      });
    }
  } else if (Exists(tokenizer_json)) {
    model = LoadFile(tokenizer_json);
  } else if (const fs::path tiktoken = TiktokenFileOf(directory); !tiktoken.empty()) {
    model = LoadFile(tiktoken);
  } else if (Exists(vocab) && Exists(merges)) {
    model = ReadPair(vocab, merges);
  } else if (Exists(vocab_lines)) {
    model = LoadFile(vocab_lines);
  } else if (Exists(llama2c)) {
    model = LoadFile(llama2c);
  } else {
    throw ImportError(
        Code::kInvalidArgument,
        "holds none of tokenizer.json, tokenizer.model, a .tiktoken file, vocab.json with merges.txt, vocab.txt, tokenizer.bin",
        directory.string());
  }
  // vocab.json and merges.txt do not say how text is split; only GPT-2's own classes imply GPT-2's pattern.
  if (Exists(config) && !Exists(tokenizer_json) && !Exists(sentencepiece) && Exists(vocab)) {
    const std::string bytes = ReadFile(config);
    Named(config, [&] {
      const std::string kind = StringMember(ParseTokenizerFile(bytes), "tokenizer_class", "tokenizer_config");
      if (!kind.empty() && !kind.starts_with("GPT2Tokenizer")) {
        throw ImportError(Code::kUnsupported, "tokenizer_class " + kind + " without tokenizer.json is not supported");
      }
      return 0;
    });
  }
  ReadBeside(directory, &model);
  return model;
}

}  // namespace

TokenizerModel LoadTokenizer(const std::filesystem::path& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? LoadDirectory(path) : LoadFile(path);
}

}  // namespace thimble
