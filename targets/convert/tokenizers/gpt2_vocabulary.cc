// Reads GPT-2's pair of files: vocab.json (piece to id) and merges.txt (one merge per line, best first).

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/byte_level.h"
#include "targets/convert/tokenizers/json_fields.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "targets/json/json.h"

namespace thimble {
namespace {

MergeList ReadMergeLines(std::string_view text) {
  MergeList merges;
  for (size_t line_number = 1; !text.empty(); ++line_number) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    merges.push_back(SplitMerge(line, "merges line ", line_number, ""));
  }
  return merges;
}

}  // namespace

TokenizerModel ReadGpt2Vocabulary(std::string_view vocab_json, std::string_view merges_text) {
  const Json vocab = ParseTokenizerFile(vocab_json);
  TokenizerModel model =
      MakeByteLevelModel(ReadVocabulary(vocab, "vocab.json"), ReadMergeLines(merges_text), vocab_json.size());
  // The only special piece of GPT-2 is bos, eos and unk in one; the pair of files does not say so. As unk
  // it would stand for bytes without a piece, of which there are none.
  for (uint32_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces[id] != "<|endoftext|>") continue;
    model.types[id] = PieceType::kControl;
    model.bos = model.eos = id;
  }
  return model;
}

}  // namespace thimble
