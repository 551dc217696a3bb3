// Encode: checks the room, cuts the text at special pieces and hands the rest to the algorithm of the kind.
#include "runtime/tokenizer/tokenizer.h"

#include "runtime/core/checked.h"
#include "runtime/tokenizer/encode.h"

namespace thimble {
namespace {

// Symbols are numbered with 31 bits, which leaves room for the markers.
constexpr size_t kMaxTextBytes = 0x7ffffff0;

// Per byte of text: a symbol and a place in the heap; SentencePiece also keeps the normalised text, which
// may be one byte longer than the text.
size_t BytesPerSymbol(const TokenizerData& data) {
  return sizeof(Symbol) + sizeof(uint32_t) + (data.kind == TokenizerKind::kSpmBpe ? 1 : 0);
}
size_t ExtraSymbols(const TokenizerData& data) { return data.kind == TokenizerKind::kSpmBpe ? 1 : 0; }

void EncodeFragment(const TokenizerData& data, std::string_view fragment, const EncodeWorkspace& workspace,
                    IdSink* sink) {
  if (fragment.empty()) return;
  if (data.kind == TokenizerKind::kSpmBpe) {
    EncodeSpmBpe(data, fragment, workspace, sink);
  } else {
    EncodeByteBpe(data, fragment, workspace, sink);
  }
}

}  // namespace

size_t EncodeWorkspaceBytes(const TokenizerData& data, size_t text_bytes) {
  uint64_t symbols;
  uint64_t bytes;
  size_t size;
  if (!CheckedAdd(text_bytes, ExtraSymbols(data), &symbols)) return 0;
  if (!CheckedMul(symbols, BytesPerSymbol(data), &bytes)) return 0;
  return CheckedSize(bytes, &size) ? size : 0;
}

size_t EncodeTextBytes(const TokenizerData& data, size_t workspace_bytes) {
  const size_t symbols = workspace_bytes / BytesPerSymbol(data);
  const size_t text = symbols > ExtraSymbols(data) ? symbols - ExtraSymbols(data) : 0;
  return text < kMaxTextBytes ? text : kMaxTextBytes;
}

size_t EncodeMaxIds(const TokenizerData& data, size_t text_bytes) {
  // At most one id per byte of normalised text, bos and eos. A special piece of one byte followed by text
  // brings one more id for the space in front of that text: two bytes become three ids.
  const size_t prefixes = data.Has(kTokenizerAddDummyPrefix) ? 1 + text_bytes / 2 : 0;
  return text_bytes + prefixes + 2;
}

Status Encode(const TokenizerData& data, std::string_view text, const EncodeOptions& options,
              void* workspace_memory, size_t workspace_bytes, int32_t* ids, size_t capacity, size_t* count) {
  *count = 0;
  const size_t most = EncodeTextBytes(data, workspace_bytes);
  if (text.size() > most) {
    return Status::Error(Code::kTextTooLong, "does not fit the workspace that was planned")
        .Field("text")
        .Got(text.size())
        .Wanted(most);
  }
  const size_t symbols = text.size() + ExtraSymbols(data);
  EncodeWorkspace workspace;
  workspace.symbols = static_cast<Symbol*>(workspace_memory);
  workspace.heap = reinterpret_cast<uint32_t*>(workspace.symbols + symbols);
  workspace.text = reinterpret_cast<char*>(workspace.heap + symbols);

  IdSink sink{ids, capacity};
  if (options.add_bos && data.Has(kTokenizerAddBos)) sink.Push(data.bos);
  // Control pieces cut the text. User-defined ones do so in byte-level BPE; SentencePiece matches them
  // itself, inside the fragment, because they do not start a new text there.
  const bool cut_at_user_defined = data.kind == TokenizerKind::kByteLevelBpe;
  size_t begin = 0;
  size_t at = 0;
  while (at < text.size() && (options.parse_special || cut_at_user_defined) && data.special_count > 0) {
    const uint32_t id = data.FindSpecial(text.substr(at), options.parse_special);
    const size_t length = id == kNoToken ? 1 : data.Piece(id).size();
    if (id != kNoToken && (cut_at_user_defined || data.Type(id) != PieceType::kUserDefined)) {
      EncodeFragment(data, text.substr(begin, at - begin), workspace, &sink);
      sink.Push(id);
      begin = at + length;
    }
    // A piece that changed since it matched must not stop us, nor lead past the end.
    at += length > 0 ? length : 1;
  }
  if (begin < text.size()) EncodeFragment(data, text.substr(begin), workspace, &sink);
  if (options.add_bos && data.Has(kTokenizerAddEos)) sink.Push(data.eos);

  *count = sink.count;
  if (sink.count > capacity) {
    return Status::Error(Code::kTextTooLong, "becomes more ids than there is room for")
        .Field("ids")
        .Got(capacity)
        .Wanted(sink.count);
  }
  return Status::Ok();
}

}  // namespace thimble
