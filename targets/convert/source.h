// Opens what the user names: which files it consists of, which family it is, and the texts that lie beside
// the weights.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "targets/convert/chat_templates.h"
#include "targets/convert/checkpoint.h"
#include "targets/convert/convert.h"
#include "targets/convert/plan.h"

namespace thimble {

struct Source {
  std::unique_ptr<Checkpoint> checkpoint;
  ModelPlan plan;
  std::filesystem::path directory;  // where tokenizer files may lie; empty for single files
  std::filesystem::path tokenizer;  // a file that holds the tokenizer, where that is known
  std::vector<ChatTemplateText> chat_templates;
  std::vector<uint32_t> eos;  // from config.json and generation_config.json
  std::optional<uint32_t> bos;
  std::vector<std::string> without_effect;  // fields of config.json that stand there and change nothing
  std::map<std::string, size_t> left_out;  // parts of the model that are no text, and how many tensors they have
};

// Sets everything of plan.model but the weight types, the tokenizer and the name. `shapes_only`: of a folder without weights these are made
// up (shapes_only.h).
Source OpenSource(const ConvertOptions& options, bool shapes_only);

// The tokenizer segment into `source.plan.model`, and the number of real ids with it. Refuses a tokenizer
// with more ids than the model has rows.
void AddTokenizer(const ConvertOptions& options, Source& source);

}  // namespace thimble
