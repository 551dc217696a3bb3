// Jinja text to tokens: white space control happens here. Private to this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace thimble::chat {

enum class TokenKind { kText, kBlockBegin, kBlockEnd, kOutBegin, kOutEnd, kName, kString, kInt, kFloat, kOperator, kEnd };

struct Token {
  TokenKind kind;
  std::string text;  // of strings: what they stand for
  size_t line, column;
};

std::vector<Token> Tokenise(std::string_view source);

}  // namespace thimble::chat
