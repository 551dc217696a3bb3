// Tokenizers: a segment of a .thimble file where the input starts like one, else any of the files that are brought in.
// What loads encodes a text, with the bytes that measuring promised.
#include <cstdio>
#include <cstring>

#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "format/tokenizer_data.h"
#include "runtime/tokenizer/tokenizer.h"
#include "tests/fuzz/fuzz.h"

namespace thimble::fuzz {
namespace {

void UseSegment(const uint8_t* data, size_t size) {
  std::vector<uint32_t> segment((size + 3) / 4);  // aligned
  std::memcpy(segment.data(), data, size);
  const Result<TokenizerData> parsed = ParseTokenizerData(segment.data(), size);
  if (!parsed.ok() || !CheckTokenizerData(parsed.value()).ok()) return;
  const TokenizerData& tokenizer = parsed.value();
  const std::string_view text = "ab a  b\n\xc3\xa4\xff<s>";
  for (const bool special : {false, true}) {
    const EncodeOptions options = {.parse_special = special};
    const size_t text_bytes = EncodedTextBytes(tokenizer, text, options);
    const size_t workspace_bytes = EncodeWorkspaceBytes(tokenizer, text_bytes);
    std::vector<uint32_t> workspace((workspace_bytes + 3) / 4);
    std::vector<int32_t> ids(EncodeMaxIds(tokenizer, text_bytes));
    size_t count = 0;
    (void)Encode(tokenizer, text, options, workspace.data(), workspace_bytes, ids.data(), ids.size(), &count);
  }
}

TokenizerModel Bytes(TokenizerKind kind) {
  TokenizerModel model;
  model.kind = kind;
  if (kind == TokenizerKind::kByteLevelBpe) {
    model.split = SplitPattern::kGpt2;
    model.pieces = {"a", "b", "ab", " ", "<s>"};
    model.merges = {{0, 1, 2}};
  } else if (kind == TokenizerKind::kWordPiece) {
    model.flags = kTokenizerLowercase | kTokenizerStripAccents | kTokenizerSpaceIdeographs;
    model.pieces = {" a", "b", " ab", " \xc3\xa4", "<s>", "<unk>"};
  } else {
    model.flags = kTokenizerEscapeWhitespace | kTokenizerAddDummyPrefix;
    model.pieces = {"a", "b", "ab", " ", "<s>", "<unk>", "\xff"};
    model.scores = {-1, -2, -3, -4, 0, 0, 0};
  }
  model.types.assign(model.pieces.size(), PieceType::kNormal);
  model.types[4] = PieceType::kControl;
  if (model.pieces.size() > 5) {
    model.types[5] = PieceType::kUnknown;
    if (kind != TokenizerKind::kWordPiece) model.types[6] = PieceType::kByte;
    model.unk = 5;
  }
  model.bos = 4;
  return model;
}

std::string Segment(TokenizerKind kind) {
  const std::vector<uint8_t> bytes = WriteTokenizerSegment(Bytes(kind));
  return {bytes.begin(), bytes.end()};
}

std::string ByteName(unsigned byte) {
  char name[8];
  std::snprintf(name, sizeof name, "<0x%02X>", byte);
  return name;
}

std::string SentencePiece() {
  const auto field = [](char number, const std::string& bytes) {
    return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(bytes.size()) + bytes;
  };
  const auto piece = [&](const std::string& text, char type) {
    return field(1, field(1, text) + std::string("\x15\0\0\x80\xbf", 5) + std::string("\x18") + type);
  };
  std::string bytes = piece("<unk>", 2) + piece("<s>", 3) + piece("</s>", 3);
  for (unsigned byte = 0; byte < 256; ++byte) bytes += piece(ByteName(byte), 6);
  return bytes + piece("\xe2\x96\x81", 1) + piece("a", 1) + field(2, std::string("\x18\2\x98\2\1", 5)) + field(3, field(1, "identity"));
}

std::string Llama2c() {
  std::string file("\x08\0\0\0", 4);
  const auto add = [&](const std::string& piece) {
    file += std::string("\0\0\x80\xbf", 4) + static_cast<char>(piece.size()) + std::string(3, '\0') + piece;
  };
  for (const char* name : {"<unk>", "\n<s>\n", "\n</s>\n"}) add(name);
  for (unsigned byte = 0; byte < 256; ++byte) add(ByteName(byte));
  add("a");
  add(" a");
  std::memset(file.data() + 4, 0, 4);  // a score of 0, by which the file is known
  return file;
}

// Nothing but a few ranks: the file is refused by their number.
std::string Tiktoken() { return "YQ== 0\nYg== 1\nYWI= 2\n"; }

}  // namespace

std::vector<std::string> Seeds() {
  const std::string json =
      R"({"added_tokens": [{"id": 3, "content": "<s>", "special": true}], "normalizer": {"type": "NFC"},)"
      R"( "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},)"
      R"( "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]},)"
      R"( "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["#version: 0.2", "a b"]}})";
  std::string bytes;
  for (unsigned byte = 0; byte < 256; ++byte) bytes += ", \"" + ByteName(byte) + "\": " + std::to_string(4 + byte);
  const std::string metaspace =
      R"({"added_tokens": [{"id": 0, "content": "<unk>", "special": true}], "normalizer": {"type": "Sequence", "normalizers":)"
      R"( [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},)"
      R"( "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>", "vocab": {"<unk>": 0, "▁": 1, "a": 2, "▁a": 3)" +
      bytes + R"(}, "merges": [["▁", "a"]]}})";
  const std::string word_piece =
      R"({"added_tokens": [{"id": 3, "content": "[CLS]", "special": true}], "normalizer": {"type": "BertNormalizer", "strip_accents": null},)"
      R"( "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": {"type": "BertProcessing", "sep": ["[CLS]", 3], "cls": ["[CLS]", 3]},)"
      R"( "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}}})";
  return {Segment(TokenizerKind::kSpmBpe), Segment(TokenizerKind::kByteLevelBpe), Segment(TokenizerKind::kUnigram),
          Segment(TokenizerKind::kWordPiece), json, metaspace, word_piece, "[UNK]\n[CLS]\n[SEP]\na\n##b\n", SentencePiece(), Llama2c(), Tiktoken()};
}

std::vector<std::string> Words() {
  return {"ttok", "\xe2\x96\x81", "▁", "\"id\":", "\"content\":", "\"special\":true", "\"normalized\":false", "\"lstrip\":true", "\"merges\":",
          "\"byte_fallback\":true", "\"type\":\"Metaspace\"", "\"type\":\"Split\"", "<0x41>", "a b", "=", "YWE= 3\n", "null", "{", "}", "[", "]"};
}

}  // namespace thimble::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace thimble;
  if (size >= 4 && std::memcmp(data, "ttok", 4) == 0) {
    fuzz::UseSegment(data, size);
    return 0;
  }
  try {
    const std::vector<uint8_t> segment = WriteTokenizerSegment(LoadTokenizer(fuzz::AsFile(data, size)));
    fuzz::UseSegment(segment.data(), segment.size());
  } catch (const ImportError&) {
  }
  return 0;
}
