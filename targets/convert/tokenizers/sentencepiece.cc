// Reads a SentencePiece model (sentencepiece_model.proto). What would change ids and is not supported
// (white space as suffix, spaces that are not escaped) is refused by name.
#include <cmath>
#include <cstdio>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/protobuf.h"
#include "targets/convert/tokenizers/special_tokens.h"
#include "targets/convert/tokenizers/tokenizers.h"

namespace thimble {
namespace {

struct TrainerSpec {
  int64_t model_type = 1;  // unigram is the message's default
  bool byte_fallback = false;
  bool whitespace_as_suffix = false;
  int64_t unk_id = 0;
  int64_t bos_id = 1;
  int64_t eos_id = 2;
  int64_t pad_id = -1;
};

struct NormalizerSpec {
  std::string name;
  std::string charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

TrainerSpec ReadTrainerSpec(std::string_view bytes) {
  TrainerSpec spec;
  ProtoReader reader(bytes, "trainer_spec");
  while (reader.Next()) {
    switch (reader.field()) {
      case 3:
        spec.model_type = reader.Int();
        break;
      case 24:
        spec.whitespace_as_suffix = reader.Bool();
        break;
      case 35:
        spec.byte_fallback = reader.Bool();
        break;
      case 40:
        spec.unk_id = reader.Int();
        break;
      case 41:
        spec.bos_id = reader.Int();
        break;
      case 42:
        spec.eos_id = reader.Int();
        break;
      case 43:
        spec.pad_id = reader.Int();
        break;
    }
  }
  return spec;
}

NormalizerSpec ReadNormalizerSpec(std::string_view bytes, const char* name) {
  NormalizerSpec spec;
  ProtoReader reader(bytes, name);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1:
        spec.name = reader.Bytes();
        break;
      case 2:
        spec.charsmap = reader.Bytes();
        break;
      case 3:
        spec.add_dummy_prefix = reader.Bool();
        break;
      case 4:
        spec.remove_extra_whitespaces = reader.Bool();
        break;
      case 5:
        spec.escape_whitespaces = reader.Bool();
        break;
    }
  }
  return spec;
}

void ReadPiece(std::string_view bytes, TokenizerModel* model) {
  const std::string name = "pieces[" + std::to_string(model->pieces.size()) + "]";
  std::string piece;
  float score = 0.0f;
  int64_t type = 1;
  ProtoReader reader(bytes, name);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1:
        piece = reader.Bytes();
        break;
      case 2:
        score = reader.Float();
        break;
      case 3:
        type = reader.Int();
        break;
    }
  }
  if (type < 1 || type > 6) reader.Fail("type " + std::to_string(type) + " is unknown");
  if (piece.empty()) reader.Fail("is empty");
  if (!std::isfinite(score)) reader.Fail("score is not finite");
  model->pieces.push_back(std::move(piece));
  model->scores.push_back(score);
  model->types.push_back(static_cast<PieceType>(type));
}

// Pieces as the bytes that they stand for.
void DecodePieces(TokenizerModel* model) {
  for (size_t i = 0; i < model->pieces.size(); ++i) {
    std::string& piece = model->pieces[i];
    const std::string name = "pieces[" + std::to_string(i) + "]: ";
    switch (model->types[i]) {
      case PieceType::kByte:
        piece = std::string(1, static_cast<char>(ParseBytePiece(piece, name)));
        break;
      case PieceType::kNormal:
      case PieceType::kUserDefined:
      case PieceType::kUnused: {
        if (piece.find(' ') != std::string::npos) {
          throw ImportError(Code::kUnsupported, name + "holds a plain space, which no text can become");
        }
        piece = WithPlainSpaces(piece);
        break;
      }
      default:
        break;
    }
  }
}

// The id, if the vocabulary has it as a piece of this type: SentencePiece itself goes by the piece.
uint32_t IdOf(const TokenizerModel& model, int64_t id, PieceType type) {
  if (id < 0 || id >= static_cast<int64_t>(model.pieces.size())) return kNoToken;
  return model.types[static_cast<size_t>(id)] == type ? static_cast<uint32_t>(id) : kNoToken;
}

}  // namespace

uint8_t ParseBytePiece(std::string_view piece, const std::string& name) {
  unsigned value = 0;
  char end = 0;
  if (piece.size() == 6 && std::sscanf(std::string(piece).c_str(), "<0x%2X%c", &value, &end) == 2 &&
      end == '>') {
    return static_cast<uint8_t>(value);
  }
  throw ImportError(Code::kInvalidModel, name + "is a byte piece but not written as <0xNN>");
}

TokenizerModel ReadSentencePieceModel(std::string_view bytes) {
  TokenizerModel model;
  TrainerSpec trainer;
  NormalizerSpec normalizer;
  NormalizerSpec denormalizer;
  ProtoReader reader(bytes, "SentencePiece model");
  while (reader.Next()) {
    switch (reader.field()) {
      case 1:
        ReadPiece(reader.Bytes(), &model);
        break;
      case 2:
        trainer = ReadTrainerSpec(reader.Bytes());
        break;
      case 3:
        normalizer = ReadNormalizerSpec(reader.Bytes(), "normalizer_spec");
        break;
      case 5:
        denormalizer = ReadNormalizerSpec(reader.Bytes(), "denormalizer_spec");
        break;
    }
  }
  if (model.pieces.empty()) reader.Fail("has no pieces");
  const auto refuse = [](const std::string& text) { throw ImportError(Code::kUnsupported, text); };
  if (trainer.model_type != 1 && trainer.model_type != 2) {
    const char* names[] = {"", "unigram", "bpe", "word", "char"};
    const bool known = trainer.model_type >= 1 && trainer.model_type <= 4;
    refuse("trainer_spec.model_type " +
           (known ? names[trainer.model_type] : std::to_string(trainer.model_type)) +
           " is not supported (only unigram and bpe are)");
  }
  if (trainer.whitespace_as_suffix) refuse("trainer_spec.treat_whitespace_as_suffix is not supported");
  if (!denormalizer.charsmap.empty()) refuse("denormalizer_spec.precompiled_charsmap is not supported");
  if (!normalizer.escape_whitespaces) refuse("normalizer_spec.escape_whitespaces false is not supported");

  DecodePieces(&model);
  model.charsmap = normalizer.charsmap;
  model.kind = trainer.model_type == 1 ? TokenizerKind::kUnigram : TokenizerKind::kSpmBpe;
  model.flags = kTokenizerEscapeWhitespace;
  if (normalizer.add_dummy_prefix) model.flags |= kTokenizerAddDummyPrefix;
  if (normalizer.remove_extra_whitespaces) model.flags |= kTokenizerRemoveExtraWhitespaces;
  if (trainer.byte_fallback) model.flags |= kTokenizerByteFallback;
  model.unk = IdOf(model, trainer.unk_id, PieceType::kUnknown);
  model.bos = IdOf(model, trainer.bos_id, PieceType::kControl);
  model.eos = IdOf(model, trainer.eos_id, PieceType::kControl);
  model.pad = IdOf(model, trainer.pad_id, PieceType::kControl);
  // Models trained with these files start every text with bos; a tokenizer_config.json may say otherwise.
  if (model.bos != kNoToken) model.flags |= kTokenizerAddBos;
  return model;
}

}  // namespace thimble
