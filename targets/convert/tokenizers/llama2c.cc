// Reads llama2.c's tokenizer.bin: the longest piece's length (i32), then for each id its score (f32), its
// length (i32) and its bytes, with U+2581 already turned into a space. Ids 0, 1, 2 are unk, bos, eos and
// 3..258 the bytes, by convention.
#include <cmath>
#include <cstring>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"

namespace thimble {
namespace {

template <typename T>
T Take(std::string_view* rest, const std::string& field) {
  if (rest->size() < sizeof(T)) throw ImportError(Code::kTruncated, field + ": the file ends here");
  T value;
  std::memcpy(&value, rest->data(), sizeof value);
  rest->remove_prefix(sizeof value);
  return value;
}

}  // namespace

TokenizerModel ReadLlama2cTokenizer(std::string_view bytes) {
  TokenizerModel model;
  std::string_view rest = bytes;
  const int32_t longest = Take<int32_t>(&rest, "max_token_length");
  if (longest <= 0) throw ImportError(Code::kInvalidModel, "max_token_length must be above 0");
  while (!rest.empty()) {
    const std::string name = "pieces[" + std::to_string(model.pieces.size()) + "]";
    const float score = Take<float>(&rest, name + ".score");
    const int32_t length = Take<int32_t>(&rest, name + ".length");
    if (!std::isfinite(score)) throw ImportError(Code::kInvalidModel, name + ".score is not finite");
    if (length < 0 || static_cast<size_t>(length) > rest.size()) {
      throw ImportError(Code::kTruncated, name + ".length " + std::to_string(length) + " is more than the " +
                                              std::to_string(rest.size()) + " bytes that remain");
    }
    model.pieces.emplace_back(rest.substr(0, static_cast<size_t>(length)));
    model.scores.push_back(score);
    model.types.push_back(PieceType::kNormal);
    rest.remove_prefix(static_cast<size_t>(length));
  }
  if (model.pieces.size() < 259) {
    throw ImportError(Code::kInvalidModel, "has " + std::to_string(model.pieces.size()) +
                                               " pieces, fewer than unk, bos, eos and the 256 bytes");
  }
  const char* names[] = {"<unk>", "<s>", "</s>"};
  for (size_t id = 0; id < 3; ++id) {
    if (model.pieces[id].find(names[id]) == std::string::npos) {
      throw ImportError(Code::kInvalidModel, "pieces[" + std::to_string(id) + "] must be " + names[id]);
    }
    // The exporter puts line feeds around bos and eos for printing.
    model.pieces[id] = names[id];
    model.types[id] = id == 0 ? PieceType::kUnknown : PieceType::kControl;
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    const size_t id = 3 + byte;
    const std::string name = "pieces[" + std::to_string(id) + "] ";
    if (ParseBytePiece(model.pieces[id], name) != byte) {
      throw ImportError(Code::kInvalidModel, name + "must stand for byte " + std::to_string(byte));
    }
    model.pieces[id] = std::string(1, static_cast<char>(byte));
    model.types[id] = PieceType::kByte;
  }
  model.kind = TokenizerKind::kSpmBpe;
  model.flags = kTokenizerAddBos | kTokenizerAddDummyPrefix | kTokenizerByteFallback;
  model.unk = 0;
  model.bos = 1;
  model.eos = 2;
  return model;
}

}  // namespace thimble
