// The tokenizer segment of a .thimble file: its binary layout, and the view that reads it in place.
//
// All numbers little-endian, the segment starts 4-byte aligned or better (the container gives 64). The
// sections follow each other without gaps in this order; their sizes follow from the counts, so no offset
// is stored:
//
//   bytes      type          what
//   0          u8[4]         magic "ttok"
//   4          u32           version, 2
//   8          u32           kind (TokenizerKind)
//   12         u32           split pattern (SplitPattern)
//   16         u32           flags (TokenizerFlag)
//   20         u32           V, pieces
//   24         u32           B, bytes of all pieces together
//   28         u32           I, entries of the index
//   32         u32           S, entries of the special index
//   36         u32           M, merges
//   40         u32           E, end-of-generation ids
//   44..59     u32[4]        bos, eos, unk, pad: an id, or 0xffffffff for none
//   60         u32           C, bytes of the character map, a multiple of 4; 0: there is none
//   64         u32[E]        end-of-generation ids: text ends when one of them is sampled
//              u32[256]      the id that stands for a single byte, or 0xffffffff
//              u32[V+1]      piece i is bytes [offset[i], offset[i+1]) of the last section
//              f32[V]        scores (SentencePiece kinds; 0 elsewhere)
//              u32[I]        where the pieces are found that merging may produce: for both kinds of BPE a table by their hash
//                            (piece_index.h; none where no piece is looked for by its bytes), for the others their ids, sorted
//                            by their bytes
//              u32[S]        ids that are matched as a whole in the text, sorted by their bytes
//              u32[4][M]     left id, right id, rank, merged id; sorted by (left, right)
//              u8[C]         the character map of SentencePiece ("precompiled_charsmap"): u32 T, then T bytes of
//                            a double array in units of 4, then zero-terminated texts, then up to 3 zeros
//              u8[V]         type of each piece (PieceType), with the kPiece... bits
//              u8[B]         the pieces, as the bytes that they stand for in text
//
// Pieces are real bytes: U+2581 of SentencePiece is stored as a space, "<0x0A>" as one byte 10, GPT-2's
// printable alphabet as the bytes it stands for. WordPiece's pieces at the start of a word have a space in front, which
// its vocabularies do not write, and those inside of one have lost their "##". Control pieces keep their name ("<s>"),
// which is how they are written in text.
//
// This file must not know how text is split or merged, and never allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/core/result.h"
#include "runtime/core/status.h"

namespace thimble {

enum class TokenizerKind : uint32_t {
  kSpmBpe = 1,        // SentencePiece BPE: merge the adjacent pair whose piece has the best score, or, where
                      // there are merges, characters by their rank (Hugging Face's BPE with byte fallback)
  kByteLevelBpe = 2,  // GPT-2: split into words, then merge bytes by rank
  kUnigram = 3,       // SentencePiece unigram: the pieces whose scores have the highest sum
  kWordPiece = 4,     // BERT: words cut from the left into the longest pieces, or unk as a whole
};

// The number is what the file holds. Names are those of the models that brought them.
enum class SplitPattern : uint32_t {
  kNone = 0,  // kinds without splitting
  kGpt2 = 1,
  kLlama3 = 2,  // and cl100k_base
  kQwen2 = 3,   // Llama 3's with single digits
  kFalcon = 4,
  kDeepSeekCoder = 5,
  kDeepSeek3 = 6,
  kO200k = 7,  // GPT-4o
  kDeepSeekLlm = 8,
  kQwen35 = 9,      // Qwen2's with marks among the letters
  kTekken = 10,     // GPT-4o's with single digits and no contractions
  kKimiK2 = 11,     // GPT-4o's with ideographs apart
  kTinyAya = 12,    // GPT-4o's with digits in threes from the right
  kYoutu = 13,      // GPT-4o's with single digits and East Asian scripts apart
  kSeedCoder = 14,  // Qwen2's with line ends apart from what is before them
  kUfakzeka = 15,   // Qwen2's without contractions
  kLaguna = 16,     // Qwen2's on each side of line feeds
  kMiniCpm5 = 17,   // Llama 3's with digits apart
  kJais2 = 18,      // Llama 3's with white space in powers of two
  kExaoneMoe = 19,  // words joined by single spaces
  kBloom = 20,
  kViking = 21,     // BLOOM's with single digits
  kSuperBpe = 22,   // digits in threes from the right, nothing else
  kSpark25 = 23,    // DeepSeek 3's with single digits and line ends
  kAfmoe = 24,      // DeepSeek 3's with digits in threes from the right and more scripts apart
  kChameleon = 25,
  kLlamaCppDefault = 26,  // what llama.cpp does where a GGUF file says "default"
};
inline constexpr SplitPattern kLastSplitPattern = SplitPattern::kLlamaCppDefault;

// Bits of `flags`; unknown bits are refused.
enum TokenizerFlag : uint32_t {
  kTokenizerAddBos = 1u << 0,                  // a text starts with bos
  kTokenizerAddEos = 1u << 1,                  // a text ends with eos
  kTokenizerAddDummyPrefix = 1u << 2,          // a non-empty text gets a space in front
  kTokenizerEscapeWhitespace = 1u << 3,        // U+2581 in a text means the same as a space
  kTokenizerRemoveExtraWhitespaces = 1u << 4,  // runs of spaces become one, none at the ends
  kTokenizerByteFallback = 1u << 5,            // what has no piece becomes the ids of its bytes, not unk
  kTokenizerIgnoreMerges = 1u << 6,       // a word that is a piece is taken whole, whatever the merges say
  kTokenizerSplitDigits = 1u << 7,        // every numeric character is a word of its own
  kTokenizerPrefixUnlessSpace = 1u << 8,  // no dummy prefix where a space stands already
  kTokenizerPrefixFirstOnly = 1u << 9,    // no dummy prefix after a special piece
  kTokenizerNfc = 1u << 10,               // text is brought into normal form C first (byte-level BPE)
  kTokenizerLowercase = 1u << 11,         // (SentencePiece BPE and WordPiece)
  // WordPiece, which has of the others only the first two and kTokenizerLowercase:
  kTokenizerStripAccents = 1u << 12,      // canonical decomposition without nonspacing marks
  kTokenizerSpaceIdeographs = 1u << 13,   // every ideograph is a word of its own
  kTokenizerEachUnknown = 1u << 14,       // every character without a piece is unk, not a run of them once
  kTokenizerKeepLastSpace = 1u << 15,     // of runs of spaces that become one, that at the end stays
  kTokenizerExactSums = 1u << 16,         // unigram: scores are summed as doubles, not rounded after every piece
  kTokenizerLiteralEscapes = 1u << 17,    // U+2581 in a text is no white space: none of it is removed, nor added to
  kTokenizerSpaceIsCut = 1u << 18,        // white space is only where a word starts; unigram: and is left out in front of U+2581; BPE: and
                                          // is nothing itself
  kTokenizerOtherFirstSpace = 1u << 19,   // decoding drops a space at the start where encoding puts none, and keeps it where it does
  kTokenizerKnownFlags = (1u << 20) - 1,
};

enum class PieceType : uint8_t {
  kNormal = 1,
  kUnknown = 2,      // unk
  kControl = 3,      // bos, eos, ...: no text; matched in text only when asked
  kUserDefined = 4,  // always matched in text as a whole, before anything else
  kUnused = 5,       // never produced
  kByte = 6,         // one byte, used where no piece fits
};

// Bits beside the PieceType in `types`: a special piece that is matched in text takes the white space before
// it, or after it, with it; a late one is looked for when the text has been normalised and the other special
// pieces are out of it. An added one is cut out of the text as it stands, also where SentencePiece would look for it in the
// normalised text; if it consists of spaces, it is also a piece like others, and what is cut out is U+2581 for each of them.
inline constexpr uint8_t kPieceTypeMask = 0x0f;
inline constexpr uint8_t kPieceStripLeft = 0x10;
inline constexpr uint8_t kPieceStripRight = 0x20;
inline constexpr uint8_t kPieceLate = 0x40;
inline constexpr uint8_t kPieceAdded = 0x80;

inline constexpr uint32_t kNoToken = 0xffffffffu;
inline constexpr uint32_t kTokenizerVersion = 2;
inline constexpr size_t kTokenizerHeaderBytes = 64;
inline constexpr uint32_t kMaxTokenizerPieces = (1u << 24) - 1;  // a slot of the index has 24 bits for an id
// Longest piece; bounds the memory of a detokenizer, and how long looking for pieces takes at one place of a text. Real
// vocabularies stay below 200.
inline constexpr uint32_t kMaxPieceBytes = 1u << 10;
inline constexpr uint32_t kMaxCharsmapBytes = 1u << 26;

// Which special pieces are looked for.
enum class SpecialStage : uint8_t { kAny, kEarly, kLate };

struct TokenizerMerge {
  uint32_t left;
  uint32_t right;
  uint32_t rank;  // lower merges first
  uint32_t merged;
};
static_assert(sizeof(TokenizerMerge) == 16);

// A view into the segment. Counts are private copies and trusted; what the arrays hold may change under us
// (it is a file), so whoever reads an id, an offset or a type from them checks it again: the accessors
// below do.
struct TokenizerData {
  TokenizerKind kind = TokenizerKind::kSpmBpe;
  SplitPattern split = SplitPattern::kNone;
  uint32_t flags = 0;
  uint32_t bos = kNoToken;
  uint32_t eos = kNoToken;
  uint32_t unk = kNoToken;
  uint32_t pad = kNoToken;
  uint32_t piece_count = 0;    // V
  uint32_t piece_bytes = 0;    // B
  uint32_t index_count = 0;    // I
  uint32_t special_count = 0;  // S
  uint32_t merge_count = 0;    // M
  uint32_t eog_count = 0;      // E
  uint32_t charsmap_units = 0;
  uint32_t charsmap_text_bytes = 0;
  uint32_t max_piece_bytes = 0;
  bool has_late_pieces = false;
  bool has_added_pieces = false;
  uint64_t special_starts[4] = {};  // the bytes that special pieces start with, a bit for each
  uint64_t joined[4] = {};          // those before a space inside of a piece (SentencePiece BPE)
  uint64_t added_spaces[kMaxPieceBytes / 64 + 1] = {};  // of how many spaces added pieces of the index consist, a bit for each
  float min_score = 0;  // of the normal pieces
  float max_score = 0;
  const uint32_t* eog_ids = nullptr;
  const uint32_t* byte_ids = nullptr;  // [256]
  const uint32_t* offsets = nullptr;   // [V + 1]
  const float* scores = nullptr;       // [V]
  const uint32_t* index = nullptr;     // [I]
  const uint32_t* specials = nullptr;  // [S]
  const TokenizerMerge* merges = nullptr;
  const uint32_t* charsmap = nullptr;    // [charsmap_units]
  const char* charsmap_texts = nullptr;  // [charsmap_text_bytes]
  const uint8_t* types = nullptr;  // [V]
  const char* bytes = nullptr;     // [B]

  bool Has(TokenizerFlag flag) const { return (flags & flag) != 0; }

  // The bytes of a piece; empty for an id outside the vocabulary.
  std::string_view Piece(uint32_t id) const {
    if (id >= piece_count) return {};
    const uint32_t begin = offsets[id];
    const uint32_t end = offsets[id + 1];
    if (begin > end || end > piece_bytes) return {};
    return {bytes + begin, end - begin};
  }
  // kUnused for an id outside the vocabulary.
  PieceType Type(uint32_t id) const {
    return id < piece_count ? static_cast<PieceType>(types[id] & kPieceTypeMask) : PieceType::kUnused;
  }
  bool StripsLeft(uint32_t id) const { return id < piece_count && (types[id] & kPieceStripLeft) != 0; }
  bool StripsRight(uint32_t id) const { return id < piece_count && (types[id] & kPieceStripRight) != 0; }
  bool IsLate(uint32_t id) const { return id < piece_count && (types[id] & kPieceLate) != 0; }
  bool IsAdded(uint32_t id) const { return id < piece_count && (types[id] & kPieceAdded) != 0; }
  float Score(uint32_t id) const { return id < piece_count ? scores[id] : 0.0f; }
  // kNoToken when there is none.
  uint32_t ByteId(uint8_t byte) const {
    const uint32_t id = byte_ids[byte];
    return id < piece_count ? id : kNoToken;
  }
  // The piece with exactly these bytes among those of the index, or kNoToken. BPE: of kIndexReach slots at most; else O(log I).
  uint32_t Find(std::string_view piece) const;
  // The merge of two ids, or nullptr. O(log M). The caller checks `merged` before using it as an index.
  const TokenizerMerge* FindMerge(uint32_t left, uint32_t right) const;
  // May a special piece start with this byte?
  bool StartsSpecial(char c) const {
    const uint8_t byte = static_cast<uint8_t>(c);
    return (special_starts[byte / 64] >> (byte % 64) & 1) != 0;
  }
  // May a piece reach from a word that ends with this byte into the next?
  bool JoinsBehind(char c) const {
    const uint8_t byte = static_cast<uint8_t>(c);
    return (joined[byte / 64] >> (byte % 64) & 1) != 0;
  }
  // Is there an added piece of so many spaces?
  bool HasAddedSpaces(size_t count) const { return count <= kMaxPieceBytes && (added_spaces[count / 64] >> (count % 64) & 1) != 0; }
  // The longest special piece at the start of `text`: user-defined ones, with `control` also control and
  // unknown ones. kNoToken if none. O(length of the match * log S).
  uint32_t FindSpecial(std::string_view text, bool control, SpecialStage stage = SpecialStage::kAny) const;
  // What the character map makes of the start of `text`: the bytes that it takes (0: nothing matches), and what
  // they become.
  size_t MapCharacters(std::string_view text, std::string_view* becomes) const;
  bool IsEndOfGeneration(uint32_t id) const;
};

// Is `index` a table by hash?
inline bool IndexIsHashed(TokenizerKind kind) { return kind == TokenizerKind::kSpmBpe || kind == TokenizerKind::kByteLevelBpe; }

// Any bytes are legal input: a view that is safe to use, or a Status with the field. `bytes` stays alive
// and mapped for as long as the view. Checks every id, offset and type once, O(V + M); trusts no sorting (a
// wrong order gives other ids, never another access).
Result<TokenizerData> ParseTokenizerData(const void* bytes, size_t size);

// The deep checks of `verify`: an index that finds what is in it, special pieces and merges strictly sorted and free of duplicates,
// byte ids that name their byte, merges that build what they say. O(V + M).
Status CheckTokenizerData(const TokenizerData& data);

}  // namespace thimble
