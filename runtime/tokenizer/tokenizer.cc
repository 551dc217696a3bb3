// Encode: checks the room, cuts the text at special pieces, normalises the rest, cuts that at the special pieces that
// are looked for late, and hands what remains to the algorithm of the kind.
#include "runtime/tokenizer/tokenizer.h"

#include <array>

#include "runtime/core/checked.h"
#include "runtime/core/unicode/unicode.h"
#include "runtime/tokenizer/encode.h"
#include "runtime/tokenizer/guard.h"
#include "runtime/tokenizer/normalize.h"

namespace thimble {
namespace {

// Symbols are numbered with 31 bits, which leaves room for the markers.
constexpr size_t kMaxTextBytes = 0x7ffffff0;

// Per byte of text: a symbol and a place in the heap, or a node for unigram; where text is normalised also that text,
// which may be one byte longer for SentencePiece. Unigram has a node for the end. WordPiece works without: its byte only
// says how long a text was planned for.
size_t BytesPerSymbol(const TokenizerData& data) {
  if (data.kind == TokenizerKind::kWordPiece) return 1;
  const size_t text = Normalizes(data) ? 1 : 0;
  return text + (data.kind == TokenizerKind::kUnigram ? sizeof(UnigramNode) : sizeof(Symbol) + sizeof(uint32_t));
}
size_t ExtraSymbols(const TokenizerData& data) {
  return data.kind == TokenizerKind::kUnigram ? 2 : data.kind == TokenizerKind::kSpmBpe ? 1 : 0;
}

bool IsSpace(const Utf8Char& c) { return c.valid && ClassOf(c.code_point) == CharClass::kSpace; }

// Where the white space starts that ends text[0, end); not below `begin`.
size_t WhiteSpaceBegin(std::string_view text, size_t begin, size_t end) {
  while (end > begin) {
    size_t at = end - 1;
    while (at > begin && end - at < 4 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) --at;
    const Utf8Char c = DecodeUtf8(text.substr(at, end - at));
    if (!IsSpace(c) || at + c.bytes != end) break;
    end = at;
  }
  return end;
}

size_t WhiteSpaceEnd(std::string_view text, size_t at) {
  while (at < text.size()) {
    const Utf8Char c = DecodeUtf8(text.substr(at));
    if (!IsSpace(c)) break;
    at += c.bytes;
  }
  return at;
}

constexpr std::string_view kEscapedSpace = "\xe2\x96\x81";  // U+2581

constexpr std::array<char, kMaxPieceBytes> kSpaces = [] {
  std::array<char, kMaxPieceBytes> spaces = {};
  for (char& c : spaces) c = ' ';
  return spaces;
}();

// The special pieces that Encode cuts at. Control pieces do so when asked; where they are not, they are passed over as
// text, whatever stands in them. User-defined ones do where merges have ranks; SentencePiece matches its own inside the
// fragment, because they do not start a new text there, and only those that were added to it are cut out.
struct Cutter {
  const TokenizerData& data;
  bool control;
  SpecialStage stage;
  Guard guard;

  // on_text(part) and on_piece(id) in the order of the text; parts may be empty.
  template <typename OnText, typename OnPiece>
  void Cut(std::string_view text, OnText on_text, OnPiece on_piece) const {
    size_t begin = 0;
    const bool any = data.special_count > 0 && (control || CutsAtUserDefined() || data.has_added_pieces);
    const bool literal = data.has_added_pieces && stage != SpecialStage::kLate;
    for (size_t at = 0; any && at < text.size();) {
      size_t bytes = 1;
      uint32_t id = kNoToken;
      bool hidden = false;
      if (data.StartsSpecial(text[at])) id = FindPiece(text.substr(at), &bytes, &hidden);
      if (hidden) {  // taken apart, so that nobody finds it whole
        do ++at;
        while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80);
        on_text(text.substr(begin, at - begin));
        begin = at;
        continue;
      }
      if (id == kNoToken && literal && text[at] == kEscapedSpace[0]) id = FindSpaces(text.substr(at), &bytes);
      if (id == kNoToken) {
        at += bytes;
        continue;
      }
      const size_t end = data.StripsLeft(id) ? WhiteSpaceBegin(text, begin, at) : at;
      on_text(text.substr(begin, end - begin));
      on_piece(id);
      at += bytes;
      if (data.StripsRight(id)) at = WhiteSpaceEnd(text, at);
      begin = at;
    }
    if (begin < text.size()) on_text(text.substr(begin));
  }

 private:
  bool CutsAtUserDefined() const {
    return data.kind == TokenizerKind::kByteLevelBpe || data.kind == TokenizerKind::kWordPiece || data.merge_count > 0;
  }

  // The special piece that `text` starts with, or kNoToken; *bytes of the text are done with then. *hidden: one stands there
  // that must not be read.
  uint32_t FindPiece(std::string_view text, size_t* bytes, bool* hidden) const {
    const uint32_t id = guard.on() ? guard.Find(data, text, control, stage, hidden) : data.FindSpecial(text, true, stage);
    const std::string_view piece = data.Piece(id);
    // One that changed since it matched must not stop us, nor lead past the end.
    *bytes = piece.empty() || piece.size() > text.size() ? 1 : piece.size();
    if (id == kNoToken || piece.empty()) return kNoToken;
    const bool cuts = data.Type(id) != PieceType::kUserDefined ? control
                                                               : CutsAtUserDefined() || (data.IsAdded(id) && piece[0] != ' ');
    return cuts ? id : kNoToken;
  }

  // The longest added piece of spaces that `text` starts with, written with U+2581, or kNoToken; *bytes as above.
  uint32_t FindSpaces(std::string_view text, size_t* bytes) const {
    size_t run = 0;
    while (run < kMaxPieceBytes && text.substr(run * kEscapedSpace.size()).starts_with(kEscapedSpace)) ++run;
    size_t longest = run;
    while (longest > 0 && !data.HasAddedSpaces(longest)) --longest;
    const uint32_t id = longest > 0 ? data.Find(std::string_view(kSpaces.data(), longest)) : kNoToken;
    if (data.IsAdded(id)) {
      *bytes = longest * kEscapedSpace.size();
      return id;
    }
    // What has no match here has none further on in the run, but another special piece may start there.
    if (run > 0 && !data.StartsSpecial(kEscapedSpace[0])) *bytes = run * kEscapedSpace.size();
    return kNoToken;
  }
};

void EncodeByKind(const TokenizerData& data, std::string_view text, const EncodeWorkspace& workspace, IdSink* sink) {
  switch (data.kind) {
    case TokenizerKind::kSpmBpe:
      return EncodeSpmBpe(data, text, workspace, sink);
    case TokenizerKind::kUnigram:
      return EncodeUnigram(data, text, workspace, sink);
    case TokenizerKind::kWordPiece:
      return EncodeWordPiece(data, text, sink);
    default:
      return EncodeByteBpe(data, text, workspace, sink);
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

size_t EncodedTextBytes(const TokenizerData& data, std::string_view text, const EncodeOptions& options) {
  if (!MayGrow(data)) return text.size();
  const Cutter early{data, options.parse_special, data.has_late_pieces ? SpecialStage::kEarly : SpecialStage::kAny,
                     Guard::Of(text, options)};
  size_t sum = 0;
  early.Cut(
      text,
      [&](std::string_view part) {
        const size_t size = NormalizeFragment(data, part, part.data() == text.data(), nullptr, 0);
        sum += part.size() > size ? part.size() : size;
      },
      [&](uint32_t id) { sum += data.Piece(id).size(); });
  return sum > text.size() ? sum : text.size();
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
  // Where normalising can make the text longer, all of the workspace is used for it.
  const size_t symbols = (MayGrow(data) ? most : text.size()) + ExtraSymbols(data);
  EncodeWorkspace workspace = {};
  if (data.kind == TokenizerKind::kUnigram) {
    workspace.nodes = static_cast<UnigramNode*>(workspace_memory);
    workspace.text = reinterpret_cast<char*>(workspace.nodes + symbols);
  } else if (data.kind != TokenizerKind::kWordPiece) {
    workspace.symbols = static_cast<Symbol*>(workspace_memory);
    workspace.heap = reinterpret_cast<uint32_t*>(workspace.symbols + symbols);
    workspace.text = reinterpret_cast<char*>(workspace.heap + symbols);
  }
  const size_t text_room = data.kind == TokenizerKind::kUnigram ? symbols - 1 : symbols;

  IdSink sink{ids, capacity};
  if (options.add_bos && data.Has(kTokenizerAddBos)) sink.Push(data.bos);
  size_t too_long = 0;
  const auto push = [&sink](uint32_t id) { sink.Push(id); };
  const Guard guard = Guard::Of(text, options);
  const Cutter early{data, options.parse_special, data.has_late_pieces ? SpecialStage::kEarly : SpecialStage::kAny, guard};
  early.Cut(
      text,
      [&](std::string_view part) {
        if (part.empty() || too_long > 0) return;
        std::string_view ready = part;
        if (Normalizes(data)) {
          const size_t size = NormalizeFragment(data, part, part.data() == text.data(), workspace.text, text_room);
          if (size > text_room) {
            too_long = size;
            return;
          }
          ready = {workspace.text, size};
        }
        if (!data.has_late_pieces) return EncodeByKind(data, ready, workspace, &sink);
        const Cutter late{data, options.parse_special, SpecialStage::kLate, guard.Part(part, ready)};
        late.Cut(ready, [&](std::string_view rest) { EncodeByKind(data, rest, workspace, &sink); }, push);
      },
      push);
  if (too_long > 0) {
    return Status::Error(Code::kTextTooLong, "becomes longer when it is normalised than the workspace that was planned")
        .Field("text")
        .Got(too_long)
        .Wanted(most);
  }
  if (options.add_bos && data.Has(kTokenizerAddEos)) sink.Push(data.eos);

  *count = sink.count;
  if (sink.count > capacity) {
    return Status::Error(Code::kBufferTooSmall, "becomes more ids than there is room for")
        .Field("ids")
        .Got(capacity)
        .Wanted(sink.count);
  }
  return Status::Ok();
}

}  // namespace thimble
