// SentencePiece's unigram (Kudo 2018; unigram_model.cc, EncodeOptimized): of all ways to cut the text into
// pieces the one with the highest sum of scores, found from left to right with one node per byte. A character
// without a piece costs more than any piece. The sums are rounded like those of the library that the model comes from
// (SentencePiece: to floats after every piece; tokenizers: doubles), so that ties fall the same way.
#include "runtime/core/unicode/unicode.h"
#include "runtime/tokenizer/encode.h"
#include "runtime/tokenizer/prefix_walk.h"

namespace thimble {
namespace {

constexpr double kUnknownPenalty = 10.0;
constexpr double kUserDefinedPenalty = 0.1;
constexpr uint32_t kNoStart = 0xffffffffu;

void Offer(UnigramNode* node, double score, uint32_t start, uint32_t id, bool exact) {
  if (node->start != kNoStart && !(score > node->score)) return;
  *node = {id, start, exact ? score : static_cast<double>(static_cast<float>(score))};
}

void FindBestPath(const TokenizerData& data, std::string_view text, UnigramNode* nodes) {
  for (size_t i = 0; i <= text.size(); ++i) nodes[i] = {kNoToken, kNoStart, 0.0};
  const bool exact = data.Has(kTokenizerExactSums);
  const auto rounded = [exact](double sum) { return exact ? sum : static_cast<double>(static_cast<float>(sum)); };
  const double unknown_score = rounded(static_cast<double>(data.min_score) - kUnknownPenalty);
  for (size_t start = 0; start < text.size();) {
    const std::string_view rest = text.substr(start);
    const double here = nodes[start].score;
    const size_t character_bytes = DecodeUtf8(rest).bytes;
    bool has_character = false;
    PrefixWalk walk(data, data.index, data.index_count);
    for (size_t length = 1; length <= rest.size(); ++length) {
      if (!walk.Take(static_cast<uint8_t>(rest[length - 1]))) break;
      const uint32_t id = walk.Match(rest.substr(0, length));
      const PieceType type = data.Type(id);
      if (type == PieceType::kUnused) continue;  // also where the bytes are no piece yet
      const double score =
          type == PieceType::kUserDefined
              ? static_cast<double>(static_cast<float>(length) * data.max_score) - kUserDefinedPenalty
              : static_cast<double>(data.Score(id));
      Offer(&nodes[start + length], score + here, static_cast<uint32_t>(start), id, exact);
      if (length == character_bytes) has_character = true;
    }
    if (!has_character) {
      Offer(&nodes[start + character_bytes], rounded(unknown_score + here), static_cast<uint32_t>(start), kNoToken, exact);
    }
    start += character_bytes;
  }
}

}  // namespace

void EncodeUnigram(const TokenizerData& data, std::string_view text, const EncodeWorkspace& workspace, IdSink* sink) {
  if (text.empty()) return;
  UnigramNode* nodes = workspace.nodes;
  FindBestPath(data, text, nodes);
  // The path is known from its end; turn its links round.
  uint32_t next = kNoStart;
  for (uint32_t end = static_cast<uint32_t>(text.size()); end > 0;) {
    const uint32_t start = nodes[end].start;
    nodes[end].start = next;
    next = end;
    end = start;
  }
  SpmEmitter emitter(data, sink);
  uint32_t begin = 0;
  for (uint32_t end = next; end != kNoStart; end = nodes[end].start) {
    emitter.Push(nodes[end].id, text.substr(begin, end - begin));
    begin = end;
  }
  emitter.Finish();
}

}  // namespace thimble
