// Reads tiktoken's files (also the tokenizer.model of Llama 3): a line for each piece, its bytes in base64
// and its rank, which is its id. Two neighbours merge when their bytes together are a piece, the lowest rank
// first; written down as merges that is every way to cut a piece in two. The file does not say how text is
// split, nor which special pieces there are: its number of ranks does, for the files that are known.
#include <array>
#include <string>
#include <unordered_map>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/base64.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"

namespace thimble {
namespace {

struct Special {
  uint32_t id;
  const char* piece;
};

struct KnownFile {
  const char* name;
  uint32_t ranks;  // lines of the file
  SplitPattern split;
  uint32_t flags;
  const char *bos, *eos;
  std::vector<Special> specials;
  const char* reserved;  // further special pieces "<|reserved_special_token_" 2, 3, ... "|>" in the ids that remain
  uint32_t ids;          // of all
  uint32_t first_reserved;
  std::vector<uint32_t> ends;  // beside eos
};

const std::vector<KnownFile>& KnownFiles() {
  static const std::vector<KnownFile> files = {
      {"r50k_base (GPT-2)", 50256, SplitPattern::kGpt2, 0, "", "<|endoftext|>", {{50256, "<|endoftext|>"}},
       "", 50257, 0, {}},
      {"p50k_base", 50280, SplitPattern::kGpt2, 0, "", "<|endoftext|>", {{50256, "<|endoftext|>"}}, "", 50281, 0, {}},
      {"cl100k_base (GPT-4)",
       100256,
       SplitPattern::kLlama3,
       0,
       "",
       "<|endoftext|>",
       {{100257, "<|endoftext|>"},
        {100258, "<|fim_prefix|>"},
        {100259, "<|fim_middle|>"},
        {100260, "<|fim_suffix|>"},
        {100276, "<|endofprompt|>"}},
       "",
       100277,
       0,
       {}},
      {"o200k_base (GPT-4o)",
       199998,
       SplitPattern::kO200k,
       0,
       "",
       "<|endoftext|>",
       {{199999, "<|endoftext|>"}, {200018, "<|endofprompt|>"}},
       "",
       200019,
       0,
       {}},
      {"Llama 3",
       128000,
       SplitPattern::kLlama3,
       kTokenizerAddBos,
       "<|begin_of_text|>",
       "<|end_of_text|>",
       {{128000, "<|begin_of_text|>"},
        {128001, "<|end_of_text|>"},
        {128002, "<|reserved_special_token_0|>"},
        {128003, "<|reserved_special_token_1|>"},
        {128004, "<|finetune_right_pad_id|>"},
        {128006, "<|start_header_id|>"},
        {128007, "<|end_header_id|>"},
        {128008, "<|eom_id|>"},
        {128009, "<|eot_id|>"},
        {128010, "<|python_tag|>"}},
       "<|reserved_special_token_",
       128256,
       2,
       {128008, 128009}},
      {"Qwen",
       151643,
       SplitPattern::kQwen2,
       kTokenizerNfc,
       "",
       "<|endoftext|>",
       {{151643, "<|endoftext|>"}, {151644, "<|im_start|>"}, {151645, "<|im_end|>"}},
       "<|extra_",
       151851,
       0,
       {151645}},
  };
  return files;
}

// Of pieces, which have a few letters: the bytes that all ways to cut them in two would look up.
constexpr uint64_t kMaxCutBytes = 1u << 28;

// "aGVsbG8= 15339"
bool ParseLine(std::string_view line, std::string* piece, uint32_t* rank) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || !DecodeBase64(line.substr(0, space), piece)) return false;
  const std::string_view digits = line.substr(space + 1);
  if (digits.empty() || digits.size() > 8 || digits.find_first_not_of("0123456789") != std::string_view::npos)
    return false;
  *rank = 0;
  for (const char c : digits) *rank = *rank * 10 + static_cast<uint32_t>(c - '0');
  return *rank < kMaxTokenizerPieces;
}

std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

const KnownFile& FindFile(uint32_t ranks, const std::string& option) {
  std::string known;
  for (const KnownFile& file : KnownFiles()) {
    const std::string name = file.name;
    if (option.empty() ? file.ranks == ranks : name.substr(0, name.find(' ')) == option) return file;
    known += (known.empty() ? "" : ", ") + name + " (" + std::to_string(file.ranks) + ")";
  }
  throw ImportError(Code::kUnsupported,
                    option.empty() ? "has " + std::to_string(ranks) +
                                         " ranks, which is none of the tiktoken files whose split pattern is known: " +
                                         known
                                   : "'" + option + "' is none of the known tiktoken files: " + known);
}

void AddSpecial(uint32_t id, const std::string& piece, TokenizerModel* model) {
  if (id >= model->pieces.size()) {
    model->pieces.resize(size_t{id} + 1);
    model->types.resize(size_t{id} + 1, PieceType::kUnused);
  }
  if (!model->pieces[id].empty()) {
    throw ImportError(Code::kInvalidModel, "rank " + std::to_string(id) + " is the id of " + piece);
  }
  model->pieces[id] = piece;
  model->types[id] = PieceType::kControl;
}

}  // namespace

bool LooksLikeTiktoken(std::string_view bytes) {
  std::string piece;
  uint32_t rank;
  return bytes.size() < (size_t{1} << 28) && ParseLine(TakeLine(&bytes), &piece, &rank);
}

TokenizerModel ReadTiktoken(std::string_view bytes, const std::string& known_file) {
  TokenizerModel model;
  model.kind = TokenizerKind::kByteLevelBpe;
  std::unordered_map<std::string, uint32_t> ranks;
  const size_t most = bytes.size();  // an id above it would make a short file large
  for (size_t number = 1; !bytes.empty(); ++number) {
    const std::string_view line = TakeLine(&bytes);
    const std::string name = "line " + std::to_string(number);
    if (line.empty()) continue;
    std::string piece;
    uint32_t rank;
    if (!ParseLine(line, &piece, &rank) || rank > most) {
      throw ImportError(Code::kInvalidModel, name + " must be a piece in base64, a space and its rank");
    }
    if (!ranks.emplace(piece, rank).second) throw ImportError(Code::kInvalidModel, name + " repeats a piece");
    if (rank >= model.pieces.size()) {
      model.pieces.resize(size_t{rank} + 1);
      model.types.resize(size_t{rank} + 1, PieceType::kUnused);
    }
    if (!model.pieces[rank].empty()) {
      throw ImportError(Code::kInvalidModel, name + " repeats the rank " + std::to_string(rank));
    }
    model.pieces[rank] = std::move(piece);
    model.types[rank] = PieceType::kNormal;
  }
  const KnownFile& file = FindFile(static_cast<uint32_t>(ranks.size()), known_file);
  uint64_t cut_bytes = 0;
  for (uint32_t rank = 0; rank < model.pieces.size(); ++rank) {
    const std::string& piece = model.pieces[rank];
    cut_bytes += uint64_t{piece.size()} * piece.size();  // of files below 2^28 bytes: cannot wrap
    if (cut_bytes > kMaxCutBytes) {
      throw ImportError(Code::kInvalidModel, "the piece of rank " + std::to_string(rank) + " has " +
                                               std::to_string(piece.size()) + " bytes; the limit for the squares of all lengths is " +
                                               std::to_string(kMaxCutBytes));
    }
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      const auto left = ranks.find(piece.substr(0, cut));
      if (left == ranks.end()) continue;
      const auto right = ranks.find(piece.substr(cut));
      if (right == ranks.end()) continue;
      model.merges.push_back({left->second, right->second, rank, rank});
    }
  }
  model.split = file.split;
  model.flags = kTokenizerIgnoreMerges | file.flags;
  for (const Special& special : file.specials) AddSpecial(special.id, special.piece, &model);
  uint32_t reserved = file.first_reserved;
  for (uint32_t id = file.ranks; *file.reserved != 0 && id < file.ids; ++id) {
    if (id < model.pieces.size() && !model.pieces[id].empty()) continue;
    AddSpecial(id, file.reserved + std::to_string(reserved++) + "|>", &model);
  }
  model.bos = FindSpecialPiece(model, file.bos);
  model.eos = FindSpecialPiece(model, file.eos);
  model.eog = file.ends;
  return model;
}

}  // namespace thimble
