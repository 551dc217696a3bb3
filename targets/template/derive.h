// How a model's answers are read, derived from its template's program: conversations with words that stand nowhere else are rendered, and
// the texts around these words compared. What comes out was read back from more such conversations. Host only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/template/answer.h"
#include "targets/json/json.h"

namespace thimble::chat {

// AnswerFormat with texts of its own.
struct AnswerDraft {
  struct DraftPart {
    Part part;
    std::string text = {};
  };
  std::string lead, reasoning_open, reasoning_close, text_open, text_close;
  std::vector<std::string> ends;
  bool calls = false, python = false, arguments_as_text = false, no_content = false, null_content = false, name_in_id = false;
  std::string calls_open, calls_close, calls_between;
  std::vector<DraftPart> call;
  std::string fields_between;
  std::vector<DraftPart> field;
  std::string name_key, arguments_key, id_key, quote, text_type, raw_open, raw_close;
};

// The bytes that runtime/template/answer.h describes; texts around sections without white space around them. Nothing where it does not fit.
std::vector<uint8_t> WriteAnswerFormat(const AnswerDraft& draft);

struct DerivedAnswer {
  std::vector<uint8_t> bytes;  // passes VerifyAnswerFormat()
  bool calls = false;          // it says how calls are read
  std::string why;             // it does not, or not behind a text: in words
};

// `program` passes VerifyProgram(). `variables`: an object with what the template is given always: bos_token, eos_token, ...
DerivedAnswer DeriveAnswer(const std::vector<uint8_t>& program, const Json& variables);

// A description in lines that people read.
std::string AnswerText(const AnswerFormat& format);

}  // namespace thimble::chat
