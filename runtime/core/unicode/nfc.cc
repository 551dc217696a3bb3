// Most text is in normal form already. A character is safe when it is a starter that no character before it can
// compose with, and that does not change by itself; a safe character with another behind it is copied. What
// remains are segments: a safe character and the unsafe ones behind it. Nothing composes across their ends.
//
// In a segment the decomposed characters are walked over again instead of being stored, once for every combining
// class that a run of marks has: that sorts the run without memory.
#include "runtime/core/unicode/nfc.h"

#include <cstdint>
#include <cstring>
#include <iterator>

#include "runtime/core/unicode/unicode.h"

namespace thimble {
namespace {

#include "runtime/core/unicode/unicode_nfc.inc"

constexpr uint32_t kFirstUnsafe = 0x300;  // nothing below is
constexpr uint8_t kUnsafeStarter = 255;
constexpr uint32_t kNone = 0xffffffffu;
constexpr uint32_t kPartMask = (1u << 21) - 1;

// Hangul syllables are computed (annex 15): a leading consonant, a vowel, perhaps a trailing consonant.
constexpr uint32_t kSyllables = 0xAC00, kLeading = 0x1100, kVowels = 0x1161, kTrailing = 0x11A7;
constexpr uint32_t kLeadingCount = 19, kVowelCount = 21, kTrailingCount = 28;
constexpr uint32_t kSyllableCount = kLeadingCount * kVowelCount * kTrailingCount;

// 0 for what is safe, a combining class, or kUnsafeStarter.
uint8_t InfoOf(uint32_t code_point) {
  if (code_point < kFirstUnsafe) return 0;
  size_t low = 0;
  size_t high = std::size(kNfcRuns);
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    if (kNfcRuns[middle] >> 8 <= code_point) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return static_cast<uint8_t>(kNfcRuns[low] & 0xff);
}

// The decomposition into one or two parts, or 0 entries.
const uint64_t* FindDecomposition(uint32_t code_point) {
  size_t low = 0;
  size_t high = std::size(kNfcDecompositions);
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const uint32_t found = static_cast<uint32_t>(kNfcDecompositions[middle] >> 42);
    if (found == code_point) return &kNfcDecompositions[middle];
    if (found < code_point) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return nullptr;
}

// The character that the two make, or kNone.
uint32_t Compose(uint32_t first, uint32_t second) {
  if (first - kLeading < kLeadingCount && second - kVowels < kVowelCount) {
    return kSyllables + ((first - kLeading) * kVowelCount + second - kVowels) * kTrailingCount;
  }
  if (first - kSyllables < kSyllableCount && (first - kSyllables) % kTrailingCount == 0 &&
      second - kTrailing - 1 < kTrailingCount - 1) {
    return first + second - kTrailing;
  }
  const uint64_t wanted = uint64_t{first} << 21 | second;
  size_t low = 0;
  size_t high = std::size(kNfcComposites);
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const uint64_t entry = kNfcDecompositions[kNfcComposites[middle]];
    const uint64_t found = entry & ((uint64_t{1} << 42) - 1);
    if (found == wanted) return static_cast<uint32_t>(entry >> 42);
    if (found < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return kNone;
}

struct Sink {
  char* out;
  size_t capacity;
  size_t size = 0;

  void Copy(std::string_view text) {
    const size_t room = size < capacity ? capacity - size : 0;
    const size_t n = text.size() < room ? text.size() : room;
    if (n > 0) std::memcpy(out + size, text.data(), n);
    size += text.size();
  }
  void Character(uint32_t c) {
    char bytes[4];
    Copy({bytes, EncodeUtf8(c, bytes)});
  }
};

// A place between the decomposed characters of a segment: before part `part` of the character at byte `at`.
struct Place {
  size_t at = 0;
  uint32_t part = 0;

  bool operator==(const Place&) const = default;
};

class Segment {
 public:
  Segment(std::string_view text, Sink* sink) : text_(text), sink_(*sink) {}

  void Normalize() {
    uint32_t starter = kNone;
    Place place;
    for (;;) {
      const Run run = FindRun(place);
      uint32_t composed = starter;
      const size_t left = Marks(run, &composed, nullptr);
      const bool at_end = run.end.at >= text_.size();
      Place after = run.end;
      const uint32_t next = at_end ? kNone : Next(&after);
      if (!at_end && left == 0 && composed != kNone) {
        // Two starters side by side may compose, too.
        if (const uint32_t both = Compose(composed, next); both != kNone) {
          starter = both;
          place = after;
          continue;
        }
      }
      if (composed != kNone) sink_.Character(composed);
      if (left > 0) Marks(run, &starter, &sink_);
      if (at_end) return;
      starter = next;
      place = after;
    }
  }

 private:
  // Marks from `begin` on, up to a starter or the end, and which combining classes they have.
  struct Run {
    Place begin, end;
    uint64_t classes[4];
  };

  uint32_t Next(Place* place) const {
    const Utf8Char c = DecodeUtf8(text_.substr(place->at));
    uint32_t count;
    const uint32_t part = DecomposedPart(c.code_point, place->part, &count);
    if (++place->part == count) *place = {place->at + c.bytes, 0};
    return part;
  }

  Run FindRun(Place begin) const {
    Run run = {begin, begin, {}};
    while (run.end.at < text_.size()) {
      Place after = run.end;
      const uint8_t mark = CombiningClass(Next(&after));
      if (mark == 0) break;
      run.classes[mark / 64] |= uint64_t{1} << (mark % 64);
      run.end = after;
    }
    return run;
  }

  // Composes *starter with the marks of the run that may (kNone: with none); the others go to `sink` in their
  // order, if there is one. Returns how many they are.
  size_t Marks(const Run& run, uint32_t* starter, Sink* sink) const {
    size_t left = 0;
    for (uint32_t mark = 1; mark < 255; ++mark) {
      if ((run.classes[mark / 64] >> (mark % 64) & 1) == 0) continue;
      bool blocked = *starter == kNone;  // by a mark of the same class that stayed
      for (Place place = run.begin; place != run.end;) {
        const uint32_t c = Next(&place);
        if (CombiningClass(c) != mark) continue;
        const uint32_t both = blocked ? kNone : Compose(*starter, c);
        if (both != kNone) {
          *starter = both;
          continue;
        }
        blocked = true;
        ++left;
        if (sink != nullptr) sink->Character(c);
      }
    }
    return left;
  }

  std::string_view text_;
  Sink& sink_;
};

}  // namespace

uint8_t CombiningClass(uint32_t code_point) {
  const uint8_t info = InfoOf(code_point);
  return info == kUnsafeStarter ? 0 : info;
}

uint32_t DecomposedPart(uint32_t code_point, uint32_t index, uint32_t* count) {
  uint32_t parts[4] = {code_point};
  *count = 1;
  if (code_point - kSyllables < kSyllableCount) {
    const uint32_t syllable = code_point - kSyllables;
    const uint32_t trailing = syllable % kTrailingCount;
    parts[0] = kLeading + syllable / (kVowelCount * kTrailingCount);
    parts[1] = kVowels + syllable / kTrailingCount % kVowelCount;
    parts[2] = kTrailing + trailing;
    *count = trailing != 0 ? 3 : 2;
    return parts[index];
  }
  // Only the first part decomposes further; what follows it is found from the end.
  uint32_t tail[3];
  uint32_t tails = 0;
  uint32_t first = code_point;
  while (const uint64_t* entry = first < 0x80 ? nullptr : FindDecomposition(first)) {
    const uint32_t second = static_cast<uint32_t>(*entry) & kPartMask;
    first = static_cast<uint32_t>(*entry >> 21) & kPartMask;
    if (second != 0 && tails < 3) tail[tails++] = second;
  }
  parts[0] = first;
  for (uint32_t i = 0; i < tails; ++i) parts[1 + i] = tail[tails - 1 - i];
  *count = 1 + tails;
  return parts[index];
}

size_t NormalizeNfc(std::string_view text, char* out, size_t capacity) {
  Sink sink{out, capacity};
  size_t copied = 0;           // text before it is done
  size_t last = text.size();   // where the character before `at` starts; the size: nothing composes with it
  for (size_t at = 0; at < text.size();) {
    if (static_cast<uint8_t>(text[at]) < 0x80) {
      last = at++;
      continue;
    }
    const Utf8Char c = DecodeUtf8(text.substr(at));
    if (!c.valid || InfoOf(c.code_point) == 0) {
      last = c.valid ? at : text.size();
      at += c.bytes;
      continue;
    }
    const size_t begin = last < at ? last : at;
    do {
      at += DecodeUtf8(text.substr(at)).bytes;
      if (at >= text.size()) break;
      const Utf8Char next = DecodeUtf8(text.substr(at));
      if (!next.valid || InfoOf(next.code_point) == 0) break;
    } while (true);
    sink.Copy(text.substr(copied, begin - copied));
    Segment(text.substr(begin, at - begin), &sink).Normalize();
    copied = at;
    last = text.size();
  }
  sink.Copy(text.substr(copied));
  return sink.size;
}

}  // namespace thimble
