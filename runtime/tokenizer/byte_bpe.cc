// Byte-level BPE (Radford et al. 2019): words by the split pattern, then within each word the adjacent pair
// with the lowest rank merges first, leftmost on ties.
#include "runtime/tokenizer/encode.h"
#include "runtime/tokenizer/split.h"

namespace thimble {
namespace {

void Consider(const TokenizerData& data, Symbol* symbols, MergeQueue* queue, uint32_t i) {
  const uint32_t right = symbols[i].next;
  if (right != kNoSymbol) {
    if (const TokenizerMerge* merge = data.FindMerge(symbols[i].id, symbols[right].id); merge != nullptr) {
      queue->Set(i, merge->rank, merge->merged);
      return;
    }
  }
  queue->Remove(i);
}

void EncodeWord(const TokenizerData& data, std::string_view word, const EncodeWorkspace& workspace,
                IdSink* sink) {
  if (data.Has(kTokenizerIgnoreMerges)) {
    if (const uint32_t id = data.Find(word); id != kNoToken) return sink->Push(id);
  }
  // A byte without an id is unk, or nothing at all where the vocabulary has none: the same as in the
  // library that these vocabularies come from. Only bytes that no UTF-8 holds are affected in practice.
  Symbol* symbols = workspace.symbols;
  uint32_t count = 0;
  for (const char c : word) {
    uint32_t id = data.ByteId(static_cast<uint8_t>(c));
    if (id == kNoToken) id = data.unk;
    if (id == kNoToken) continue;
    symbols[count] = {count == 0 ? kNoSymbol : count - 1, count + 1, id, kNoToken, 0, kNoSymbol};
    ++count;
  }
  if (count == 0) return;
  symbols[count - 1].next = kNoSymbol;
  MergeQueue queue(symbols, workspace.heap);
  for (uint32_t i = 0; i + 1 < count; ++i) Consider(data, symbols, &queue, i);
  while (!queue.empty()) {
    const uint32_t i = queue.Pop();
    MergeWithNext(symbols, &queue, i);
    if (symbols[i].previous != kNoSymbol) Consider(data, symbols, &queue, symbols[i].previous);
    Consider(data, symbols, &queue, i);
  }
  for (uint32_t i = 0; i != kNoSymbol; i = symbols[i].next) sink->Push(symbols[i].id);
}

}  // namespace

void EncodeByteBpe(const TokenizerData& data, std::string_view text, const EncodeWorkspace& workspace, IdSink* sink) {
  Splitter splitter(data.split, data.Has(kTokenizerSplitDigits), text);
  std::string_view word;
  while (splitter.Next(&word)) EncodeWord(data, word, workspace, sink);
}

}  // namespace thimble
