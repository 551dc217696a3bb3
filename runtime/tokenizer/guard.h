// Special pieces in a text of which people wrote parts: none is read where one of its bytes is theirs. Inside of Encode; not for users.
#pragma once

#include <string_view>

#include "format/tokenizer_data.h"
#include "runtime/tokenizer/tokenizer.h"

namespace thimble {

class Guard {
 public:
  // All of a text is somebody else's, or all is ours.
  static Guard Of(std::string_view text, const EncodeOptions& options) { return Guard(text.data(), options.data, options.own, true); }

  bool on() const { return marks_ != nullptr; }
  // Of a part of the text, which `ready` is, normalised.
  Guard Part(std::string_view part, std::string_view ready) const {
    if (!on()) return *this;
    const uint8_t* marks = marks_ + (part.data() - text_);
    if (part == ready) return Guard(ready.data(), marks, own_, true);
    // Where the bytes have moved one mark stands for all.
    bool any = false;
    for (size_t i = 0; i < part.size(); ++i) any = any || marks[i] != 0;
    return Guard(ready.data(), any ? &kData : nullptr, own_, false);
  }

  // As TokenizerData::FindSpecial for the text from `rest` on. *hidden: a piece stands there, and must not be read.
  uint32_t Find(const TokenizerData& data, std::string_view rest, bool control, SpecialStage stage, bool* hidden) const {
    *hidden = false;
    if (!on()) return data.FindSpecial(rest, control, stage);
    size_t ours = 0;
    while (ours < rest.size() && ours < kMaxPieceBytes && !IsData(rest.data() + ours)) ++ours;
    uint32_t id = control ? data.FindSpecial(rest.substr(0, ours), true, stage) : kNoToken;
    const uint32_t ordinary = data.FindSpecial(rest, false, stage);
    const std::string_view piece = data.Piece(ordinary);
    if (ordinary == kNoToken || (id != kNoToken && piece.size() <= data.Piece(id).size())) return id;
    if (piece.size() <= ours || !IsMarker(piece)) return ordinary;
    *hidden = id == kNoToken;
    return id;
  }

 private:
  Guard(const char* text, const uint8_t* marks, std::string_view own, bool each) : text_(text), marks_(marks), own_(own), each_(each) {}

  static constexpr uint8_t kData = 1;
  bool IsData(const char* at) const { return marks_[each_ ? at - text_ : 0] != 0; }
  // White space is white space, whoever writes it.
  bool IsMarker(std::string_view piece) const {
    return piece.find_first_not_of(" \t\n\r") != std::string_view::npos && own_.find(piece) != std::string_view::npos;
  }

  const char* text_;
  const uint8_t* marks_;  // null: nothing is guarded
  std::string_view own_;  // what ordinary pieces are markers for
  bool each_;             // a mark for every byte
};

}  // namespace thimble
