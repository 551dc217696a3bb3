#include "tests/support/tiny_tokenizer.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "format/piece_index.h"

namespace thimble::test {
namespace {

struct Pieces {
  std::vector<std::string> text;
  std::vector<PieceType> types;
  std::vector<TokenizerMerge> merges;
  uint32_t flags = 0, split = 0, bos = kNoToken, eos = kNoToken, unk = kNoToken;
  std::vector<uint32_t> byte_ids = std::vector<uint32_t>(256, kNoToken);

  uint32_t Add(const std::string& bytes, PieceType type) {
    text.push_back(bytes);
    types.push_back(type);
    return static_cast<uint32_t>(text.size()) - 1;
  }
};

Pieces Spm(uint32_t count) {
  Pieces p;
  p.flags = kTokenizerAddBos | kTokenizerAddDummyPrefix;
  p.unk = p.Add("<unk>", PieceType::kUnknown);
  p.bos = p.Add("<s>", PieceType::kControl);
  p.eos = p.Add("</s>", PieceType::kControl);
  p.Add(" ", PieceType::kNormal);
  for (char c = 'a'; c <= 'z'; ++c) p.Add(std::string(1, c), PieceType::kNormal);
  for (int i = 0; p.text.size() < count; ++i) {
    const std::string pair = {static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26 % 26)};
    p.Add(i < 676 ? pair : pair + std::to_string(i), PieceType::kNormal);
  }
  return p;
}

Pieces ByteLevel(uint32_t count) {
  Pieces p;
  p.split = static_cast<uint32_t>(SplitPattern::kGpt2);
  for (int byte = 0; byte < 256; ++byte) {
    p.byte_ids[static_cast<size_t>(byte)] =
        p.Add(std::string(1, static_cast<char>(byte)), PieceType::kNormal);
  }
  for (uint32_t i = 0; p.text.size() + 1 < count; ++i) {
    const uint32_t left = 'a' + i / 26 % 26, right = 'a' + i % 26;
    const uint32_t merged = p.Add(p.text[left] + p.text[right], PieceType::kNormal);
    p.merges.push_back({left, right, i, merged});
  }
  p.eos = p.Add("<|end|>", PieceType::kControl);
  p.bos = p.eos;
  return p;
}

class Bytes {
 public:
  void U32(uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) out_.push_back(static_cast<uint8_t>(value >> shift));
  }
  void Text(const std::string& text) { out_.insert(out_.end(), text.begin(), text.end()); }
  void U8(uint8_t value) { out_.push_back(value); }
  std::vector<uint8_t> Take() { return std::move(out_); }

 private:
  std::vector<uint8_t> out_;
};

// Four slots for a piece, each in the first free one from its home on.
std::vector<uint32_t> Hashed(const Pieces& p, const std::vector<uint32_t>& ids) {
  std::vector<uint32_t> slots(4 * ids.size() + kIndexReach, kFreeSlot);
  for (const uint32_t id : ids) {
    const uint32_t hash = HashOfPiece(p.text[id]);
    uint32_t at = HomeOf(hash, static_cast<uint32_t>(slots.size()));
    while (slots[at] != kFreeSlot) ++at;
    slots[at] = SlotOf(id, hash);
  }
  return slots;
}

}  // namespace

std::vector<uint8_t> TinyTokenizer(uint32_t count, TokenizerKind kind) {
  const bool spm = kind == TokenizerKind::kSpmBpe;
  if (count < (spm ? 40u : 260u) || count > 900) throw std::runtime_error("no tiny tokenizer of that size");
  const Pieces p = spm ? Spm(count) : ByteLevel(count);
  std::vector<uint32_t> index, specials;
  std::string all;
  for (uint32_t i = 0; i < count; ++i) {
    (p.types[i] == PieceType::kNormal ? index : specials).push_back(i);
    all += p.text[i];
  }
  const auto by_bytes = [&p](uint32_t a, uint32_t b) { return p.text[a] < p.text[b]; };
  index = spm ? Hashed(p, index) : std::vector<uint32_t>();
  std::sort(specials.begin(), specials.end(), by_bytes);

  Bytes out;
  out.Text("ttok");
  for (const uint32_t value : {kTokenizerVersion, static_cast<uint32_t>(kind), p.split, p.flags, count,
                               static_cast<uint32_t>(all.size()), static_cast<uint32_t>(index.size()),
                               static_cast<uint32_t>(specials.size()), static_cast<uint32_t>(p.merges.size()),
                               uint32_t{1}, p.bos, p.eos, p.unk, kNoToken, uint32_t{0}, p.eos}) {
    out.U32(value);
  }
  for (const uint32_t id : p.byte_ids) out.U32(id);
  uint32_t offset = 0;
  out.U32(offset);
  for (const std::string& text : p.text) out.U32(offset += static_cast<uint32_t>(text.size()));
  for (uint32_t i = 0; i < count; ++i) {
    const float score = spm ? -static_cast<float>(i) : 0.0f;
    uint32_t bits;
    std::memcpy(&bits, &score, sizeof bits);
    out.U32(bits);
  }
  for (const uint32_t id : index) out.U32(id);
  for (const uint32_t id : specials) out.U32(id);
  for (const TokenizerMerge& m : p.merges) {
    for (const uint32_t value : {m.left, m.right, m.rank, m.merged}) out.U32(value);
  }
  for (const PieceType type : p.types) out.U8(static_cast<uint8_t>(type));
  out.Text(all);
  return out.Take();
}

}  // namespace thimble::test
