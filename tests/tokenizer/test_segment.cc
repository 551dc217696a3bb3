// The tokenizer segment: what is written is read, damage is a named error or a working tokenizer.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <map>
#include <memory>

#include "format/piece_index.h"
#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/tokenizers.h"
#include "runtime/tokenizer/detokenizer.h"
#include "tests/tokenizer/tokenizer_testing.h"

using namespace thimble;
using namespace thimble::testing;

namespace {

TokenizerModel SmallModel(bool spm) {
  TokenizerModel model =
      spm ? SmallSpm({"ab", "a", "b", "abab", " "}) : SmallByteBpe({{"a", "b"}, {"ab", "ab"}});
  model.eog = {5};
  if (spm) model.types[260] = PieceType::kUserDefined;
  return model;
}

// Exactly `size` bytes on the heap, so that a sanitizer sees the first byte behind them.
std::unique_ptr<uint32_t[]> Copy(const std::vector<uint8_t>& bytes, size_t size) {
  std::unique_ptr<uint32_t[]> memory(static_cast<uint32_t*>(::operator new[](size == 0 ? 1 : size)));
  std::memcpy(memory.get(), bytes.data(), size);
  return memory;
}

// Everything that a tokenizer does, on a few texts.
void Use(const TokenizerData& data) {
  CheckTokenizerData(data);
  for (const std::string_view text :
       {std::string_view("abab <|end|> <s>b\xe2\x96\x81\xff 12 'll"), std::string_view("aaaabbbbabab  ")}) {
    std::vector<uint32_t> workspace(EncodeWorkspaceBytes(data, text.size()) / 4 + 1);
    std::vector<int32_t> ids(EncodeMaxIds(data, text.size()));
    size_t count = 0;
    const Status status = Encode(data, text, {.parse_special = true}, workspace.data(), workspace.size() * 4,
                                 ids.data(), ids.size(), &count);
    if (!status.ok()) continue;
    std::vector<char> buffer(Detokenizer::BufferBytes(data));
    Detokenizer detokenizer(data, buffer.data(), buffer.size());
    for (size_t i = 0; i < count; ++i) CHECK(detokenizer.Push(ids[i]).ok());
    detokenizer.Flush();
  }
}

void UseIfLegal(const void* bytes, size_t size) {
  const Result<TokenizerData> data = ParseTokenizerData(bytes, size);
  if (data.ok()) {
    Use(data.value());
  } else {
    REQUIRE(data.status().field[0] != 0);
    REQUIRE(data.status().what[0] != 0);
  }
}

}  // namespace

TEST_CASE("Tokenizer segment: what is written is read") {
  for (const bool spm : {true, false}) {
    const TokenizerModel model = SmallModel(spm);
    const std::vector<uint8_t> bytes = WriteTokenizerSegment(model);
    const auto memory = Copy(bytes, bytes.size());
    const Result<TokenizerData> parsed = ParseTokenizerData(memory.get(), bytes.size());
    REQUIRE(parsed.ok());
    const TokenizerData& data = parsed.value();
    CHECK(CheckTokenizerData(data).ok());
    CHECK(data.kind == model.kind);
    CHECK(data.split == model.split);
    CHECK(data.flags == model.flags);
    CHECK(data.bos == model.bos);
    CHECK(data.eos == model.eos);
    CHECK(data.unk == model.unk);
    CHECK(data.pad == model.pad);
    REQUIRE(data.piece_count == model.pieces.size());
    size_t longest = 0;
    for (uint32_t id = 0; id < data.piece_count; ++id) {
      CHECK(data.Piece(id) == model.pieces[id]);
      CHECK(data.Type(id) == model.types[id]);
      CHECK(data.Score(id) == (spm ? model.scores[id] : 0.0f));
      longest = std::max(longest, model.pieces[id].size());
    }
    CHECK(data.max_piece_bytes == longest);
    CHECK(data.merge_count == model.merges.size());
    CHECK(data.IsEndOfGeneration(5));
    CHECK(data.IsEndOfGeneration(model.eos));
    CHECK(!data.IsEndOfGeneration(6));
    CHECK(data.Piece(data.piece_count).empty());
    CHECK(data.Find("no such piece") == kNoToken);
    CHECK(data.Find("") == kNoToken);
  }
}

TEST_CASE("Tokenizer segment: special pieces match the longest") {
  TokenizerModel model = SmallByteBpe({});
  for (const char* piece : {"<a", "<ab>", "<abc", "<abcde>", "<~>"}) {
    model.pieces.push_back(piece);
    model.types.push_back(PieceType::kUserDefined);
  }
  model.types[260] = PieceType::kControl;  // "<abc"
  const LoadedTokenizer tokenizer(model);
  const auto find = [&](std::string_view text, bool control) {
    return std::string(tokenizer.data().Piece(tokenizer.data().FindSpecial(text, control)));
  };
  CHECK(find("<ab>x", false) == "<ab>");
  CHECK(find("<abx", false) == "<a");
  CHECK(find("<abcx", false) == "<a");
  CHECK(find("<abcx", true) == "<abc");
  CHECK(find("<abcde>", false) == "<abcde>");
  CHECK(find("<abcde", true) == "<abc");
  CHECK(find("<", true) == "");
  CHECK(find("x<a", true) == "");
  CHECK(find("<~>~", false) == "<~>");
  CHECK(find("<|end|>", true) == "<|end|>");
  CHECK(find("<|end|>", false) == "");
}

TEST_CASE("Tokenizer segment: cut anywhere it is an error that names a field") {
  for (const bool spm : {true, false}) {
    const std::vector<uint8_t> bytes = WriteTokenizerSegment(SmallModel(spm));
    for (size_t size = 0; size < bytes.size(); ++size) {
      const auto memory = Copy(bytes, size);
      const Result<TokenizerData> data = ParseTokenizerData(memory.get(), size);
      REQUIRE(data.status().code == Code::kTruncated);
      REQUIRE(data.status().field[0] != 0);
    }
    std::vector<uint8_t> longer = bytes;
    longer.push_back(0);
    const auto memory = Copy(longer, longer.size());
    CHECK(ParseTokenizerData(memory.get(), longer.size()).status().code == Code::kTrailingBytes);
  }
}

TEST_CASE("Tokenizer segment: every flipped byte is a working tokenizer or a named error") {
  for (const bool spm : {true, false}) {
    const std::vector<uint8_t> bytes = WriteTokenizerSegment(SmallModel(spm));
    const auto memory = Copy(bytes, bytes.size());
    uint8_t* damaged = reinterpret_cast<uint8_t*>(memory.get());
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (const uint8_t flip : {0x01, 0x80, 0xFF}) {
        damaged[at] = bytes[at] ^ flip;
        UseIfLegal(damaged, bytes.size());
      }
      damaged[at] = bytes[at];
    }
  }
}

TEST_CASE("Tokenizer segment: bytes that change after loading break nothing but the text") {
  Pcg32 random(9);
  for (const bool spm : {true, false}) {
    const std::vector<uint8_t> bytes = WriteTokenizerSegment(SmallModel(spm));
    const size_t rounds = Scaled(2000, 400);
    for (size_t round = 0; round < rounds; ++round) {
      const auto memory = Copy(bytes, bytes.size());
      const Result<TokenizerData> data = ParseTokenizerData(memory.get(), bytes.size());
      REQUIRE(data.ok());
      uint8_t* changed = reinterpret_cast<uint8_t*>(memory.get());
      for (int i = 0; i < 20; ++i) {
        const uint8_t value = static_cast<uint8_t>(random.Next() >> 24);
        changed[random.Next() % bytes.size()] = round % 2 == 0 ? value : 0xFF;
      }
      std::vector<uint32_t> workspace(EncodeWorkspaceBytes(data.value(), 20) / 4 + 1);
      int32_t ids[200];
      size_t count = 0;
      const Status status = Encode(data.value(), "abab<|end|>b\xff  a", {.parse_special = true},
                                   workspace.data(), workspace.size() * 4, ids, 200, &count);
      CHECK((status.ok() || status.code == Code::kTextTooLong || status.code == Code::kBufferTooSmall));
      std::vector<char> buffer(Detokenizer::BufferBytes(data.value()));
      Detokenizer detokenizer(data.value(), buffer.data(), buffer.size());
      for (int32_t id = 0; id < static_cast<int32_t>(data.value().piece_count); ++id)
        (void)detokenizer.Push(id);
    }
  }
}

TEST_CASE("Tokenizer segment: fields that contradict are refused by name") {
  const std::vector<uint8_t> bytes = WriteTokenizerSegment(SmallModel(true));
  const auto field_after = [&](size_t offset, uint32_t value) {
    std::vector<uint8_t> damaged = bytes;
    std::memcpy(damaged.data() + offset, &value, sizeof value);
    const auto memory = Copy(damaged, damaged.size());
    const Result<TokenizerData> data = ParseTokenizerData(memory.get(), damaged.size());
    REQUIRE(!data.ok());
    return std::string(data.status().field);
  };
  CHECK(field_after(0, 0) == "magic");
  CHECK(field_after(4, 1) == "version");
  CHECK(field_after(8, 5) == "kind");
  CHECK(field_after(12, 1) == "split");
  CHECK(field_after(16, kTokenizerStripAccents) == "flags");
  CHECK(field_after(20, 0) == "piece_count");
  CHECK(field_after(20, 0xFFFFFFFF) == "piece_count");
  CHECK(field_after(24, 0xFFFFFFFF) == "counts");
  CHECK(field_after(28, 0xFFFFFFFF) == "counts");
  CHECK(field_after(36, 1) == "counts");
  CHECK(field_after(44, 5000) == "bos");
  CHECK(field_after(44, kNoToken) == "bos");
  CHECK(field_after(48, 5000) == "eos");
  CHECK(field_after(52, 5000) == "unk");
  CHECK(field_after(56, 5000) == "pad");
  CHECK(field_after(60, 1) == "charsmap");
  CHECK(field_after(60, 4) == "counts");
  CHECK(field_after(60, 0x7ffffffc) == "charsmap");
  CHECK(field_after(64, 5000) == "end_of_generation");
  const size_t byte_ids = 64 + 4 * 2;
  CHECK(field_after(byte_ids, 5000) == "byte_ids");
  const size_t offsets = byte_ids + 4 * 256;
  CHECK(field_after(offsets, 1) == "offsets");
  CHECK(field_after(offsets + 40, 0xFFFFFFFF) == "offsets");
  const size_t scores = offsets + 4 * (264 + 1);
  CHECK(field_after(scores + 8, 0x7F800000) == "scores");
  CHECK(field_after(scores + 4 * 264, 264) == "index");
  CHECK(field_after(28, kIndexReach - 1) == "counts");
}

TEST_CASE("Tokenizer segment: the deep checks find disorder") {
  const std::vector<uint8_t> bytes = WriteTokenizerSegment(SmallModel(false));
  const Result<TokenizerData> whole = ParseTokenizerData(Copy(bytes, bytes.size()).get(), bytes.size());
  REQUIRE(whole.ok());
  const auto field_after_swap = [&](size_t a, size_t b, size_t size) {
    std::vector<uint8_t> damaged = bytes;
    for (size_t i = 0; i < size; ++i) std::swap(damaged[a + i], damaged[b + i]);
    const auto memory = Copy(damaged, damaged.size());
    const Result<TokenizerData> data = ParseTokenizerData(memory.get(), damaged.size());
    REQUIRE(data.ok());
    return std::string(CheckTokenizerData(data.value()).field);
  };
  const uint32_t v = whole.value().piece_count;
  const size_t eog = 64;
  const size_t byte_ids = eog + 4 * whole.value().eog_count;
  const size_t index = byte_ids + 4 * 256 + 4 * (v + 1) + 4 * v;
  const size_t specials = index + 4 * whole.value().index_count;
  const size_t merges = specials + 4 * whole.value().special_count;
  CHECK(field_after_swap(specials, specials + 4, 4) == "specials");
  CHECK(field_after_swap(merges, merges + 16, 16) == "merges");
  CHECK(field_after_swap(byte_ids, byte_ids + 4, 4) == "byte_ids");
}

namespace {

// What the deep checks say of the segment when one slot of its index is `slot`.
std::string FieldWithSlot(const std::vector<uint8_t>& bytes, uint32_t at, uint32_t slot) {
  std::vector<uint8_t> damaged = bytes;
  const auto memory = Copy(damaged, damaged.size());
  const Result<TokenizerData> whole = ParseTokenizerData(memory.get(), damaged.size());
  REQUIRE(whole.ok());
  const_cast<uint32_t*>(whole.value().index)[at] = slot;
  const Result<TokenizerData> data = ParseTokenizerData(memory.get(), damaged.size());
  return data.ok() ? CheckTokenizerData(data.value()).field : "refused";
}

// Every piece that merging may produce, and what is found for other texts. How many slots a look-up takes on average.
double CheckIndexOf(const TokenizerModel& model) {
  const LoadedTokenizer tokenizer(model);
  const TokenizerData& data = tokenizer.data();
  REQUIRE(data.index_count > 0);
  std::map<std::string_view, uint32_t> known;
  for (uint32_t i = 0; i < data.index_count; ++i) {
    if (data.index[i] != kFreeSlot) known[data.Piece(IdOfSlot(data.index[i]))] = IdOfSlot(data.index[i]);
  }
  size_t slots = 0;
  size_t wrong = 0;
  const auto look = [&](std::string_view text) {
    const auto found = known.find(text);
    wrong += data.Find(text) != (found == known.end() ? kNoToken : found->second);
    const uint32_t home = HomeOf(HashOfPiece(text), data.index_count);
    for (uint32_t i = 0; i < kIndexReach; ++i) {
      ++slots;
      const uint32_t slot = data.index[home + i];
      if (slot == kFreeSlot || data.Piece(IdOfSlot(slot)) == text) break;
    }
  };
  size_t lookups = 0;
  for (uint32_t id = 0; id < data.piece_count; ++id) {
    const PieceType type = data.Type(id);
    const std::string piece(data.Piece(id));
    wrong += type == PieceType::kNormal && !piece.empty() && !known.contains(piece);
    for (const std::string& text : {piece, piece + "e", " " + piece}) look(text);
    lookups += 3;
  }
  CHECK(wrong == 0);
  return static_cast<double>(slots) / static_cast<double>(lookups);
}

}  // namespace

TEST_CASE("Tokenizer segment: pieces are found by their hash, in few slots, and nothing else is") {
  for (const char* name : {"charsmap/bpe.model", "tokenizers/llama2/tokenizer.json", "tokenizers/mistral/tokenizer.json",
                           "tokenizers/gemma/tokenizer.json", "tokenizers/llama3/tokenizer.json"}) {
    INFO(name);
    CHECK(CheckIndexOf(LoadTokenizer(std::string(THIMBLE_GOLDEN_DIR) + "/" + name)) < 5);
  }
  // As many as real vocabularies have.
  TokenizerModel many = SmallSpm({});
  for (int i = 0; i < 60000; ++i) {
    many.pieces.push_back("w" + std::to_string(i * 7919));
    many.scores.push_back(static_cast<float>(-i));
    many.types.push_back(PieceType::kNormal);
  }
  CHECK(CheckIndexOf(many) < 5);
  // Byte-level BPE without whole words looks for nothing.
  CHECK(LoadedTokenizer(SmallModel(false)).data().index_count == 0);
}

TEST_CASE("Tokenizer segment: an index that does not find what is in it is named") {
  const std::vector<uint8_t> bytes = WriteTokenizerSegment(SmallModel(true));
  const auto memory = Copy(bytes, bytes.size());
  const TokenizerData data = ParseTokenizerData(memory.get(), bytes.size()).value();
  uint32_t full = 0, free = 0;
  while (data.index[full] == kFreeSlot) ++full;
  while (data.index[free] != kFreeSlot) ++free;
  CHECK(FieldWithSlot(bytes, full, data.index[full]).empty());
  CHECK(FieldWithSlot(bytes, full, data.index[full] ^ 1u << 24) == "index");            // another hash
  CHECK(FieldWithSlot(bytes, full, SlotOf(0, HashOfPiece("<unk>"))) == "index");        // not there, and of no such type
  CHECK(FieldWithSlot(bytes, free, data.piece_count) == "refused");                     // no piece
  CHECK(FieldWithSlot(bytes, full, 0xfffffffeu) == "refused");
}

TEST_CASE("The writer refuses pieces of which too many have one hash") {
  TokenizerModel model = SmallSpm({});
  // 2^32 hashes for texts of five bytes: found by trying is slow, so take what has the same home however large the table gets.
  uint32_t taken = 0;
  for (uint32_t i = 0; taken < 2 * kIndexReach; ++i) {
    const std::string piece = std::to_string(i);
    if (HashOfPiece(piece) >> 20 != 0) continue;
    model.pieces.push_back(piece);
    model.scores.push_back(0);
    model.types.push_back(PieceType::kNormal);
    ++taken;
  }
  CHECK_THROWS_AS(WriteTokenizerSegment(model), ImportError);
}

TEST_CASE("The writer refuses models that contradict themselves") {
  const auto refuses = [](auto change) {
    TokenizerModel model = SmallModel(false);
    change(&model);
    CHECK_THROWS_AS(WriteTokenizerSegment(model), ImportError);
  };
  refuses([](TokenizerModel* m) { m->pieces.clear(); });
  refuses([](TokenizerModel* m) { m->types.pop_back(); });
  refuses([](TokenizerModel* m) { m->scores = {1}; });
  refuses([](TokenizerModel* m) { m->bos = 100000; });
  refuses([](TokenizerModel* m) { m->eog = {100000}; });
  refuses([](TokenizerModel* m) { m->pieces[257] = m->pieces[1]; });
  refuses([](TokenizerModel* m) { m->merges.push_back(m->merges[0]); });
  refuses([](TokenizerModel* m) { m->merges[0].merged = 3; });
  refuses([](TokenizerModel* m) { m->merges[0].left = 100000; });
  refuses([](TokenizerModel* m) { m->split = SplitPattern::kNone; });
  refuses([](TokenizerModel* m) { m->flags = 1u << 31; });
  refuses([](TokenizerModel* m) { m->flags = kTokenizerAddBos; });
  refuses([](TokenizerModel* m) { m->pieces[5] = std::string(kMaxPieceBytes + 1, 'x'); });
}
