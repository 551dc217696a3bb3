#include "targets/cli/scored_text.h"

#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/output.h"

namespace thimble::cli {

void ScoredText::Add(CLI::App* app) {
  app->add_option("-f,--file", file, "A text of at most 64 MiB, - is standard input")->type_name("FILE");
  app->add_option("--ids", ids, "Token ids: a JSON list, or numbers with commas or spaces")->type_name("FILE");
  AddInteger(app, "--limit", &limit, 0, INT32_MAX, "Only the first ids of the text; 0 = all")->default_str("0");
}

std::vector<int32_t> ScoredText::Read(const Model& model) const {
  std::vector<int32_t> list;
  if (!ids.empty()) {
    list = ReadIds(ids);
  } else {
    model.NeedTokenizer("give ids with --ids");
    list = model.Tokenize(ReadFile(file), THIMBLE_ADD_BOS);
  }
  if (limit > 0 && list.size() > static_cast<size_t>(limit)) list.resize(static_cast<size_t>(limit));
  if (list.size() < 2)
    throw Error(kInvalidArgument, "at least two ids are needed: the second is the first that is scored");
  for (size_t i = 0; i < list.size(); ++i) {
    if (static_cast<uint32_t>(list[i]) < model.info().outputs) continue;
    throw Error(kOutOfRange, Format("id %d at place %zu is outside the vocabulary of %u", list[i], i, model.info().outputs));
  }
  return list;
}

}  // namespace thimble::cli
