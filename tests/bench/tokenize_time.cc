// What encoding takes, again and again, in processor time and nothing else: for `check_tokenizers.py --speed`, which asks in turn with
// the library that the file comes from.
//
//   bench_tokenize TOKENIZER TEXT    then, a line each on standard input: "whole" or "lines"; answers "SECONDS IDS"
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "format/tokenizer_data.h"
#include "runtime/tokenizer/tokenizer.h"
#include "targets/convert/import_error.h"
#include "targets/convert/tokenizers/tokenizers.h"

namespace {

using namespace thimble;

double Seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

int Run(const char* tokenizer, const char* text_path) {
  const std::vector<uint8_t> bytes = WriteTokenizerSegment(LoadTokenizer(tokenizer));
  std::vector<uint32_t> segment((bytes.size() + 3) / 4);
  std::memcpy(segment.data(), bytes.data(), bytes.size());
  const Result<TokenizerData> parsed = ParseTokenizerData(segment.data(), bytes.size());
  if (!parsed.ok()) return 3;
  const TokenizerData& data = parsed.value();

  std::ifstream file(text_path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) lines.push_back(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  const EncodeOptions options = {.add_bos = false, .parse_special = false};
  const size_t room = EncodedTextBytes(data, text, options);
  std::vector<uint32_t> workspace(EncodeWorkspaceBytes(data, room) / 4 + 1);
  std::vector<int32_t> ids(EncodeMaxIds(data, room));

  char line[16];
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    const std::vector<std::string_view> whole = {text};
    const double start = Seconds();
    size_t sum = 0;
    for (const std::string_view one : std::strcmp(line, "whole\n") == 0 ? whole : lines) {
      size_t count = 0;
      if (!Encode(data, one, options, workspace.data(), workspace.size() * 4, ids.data(), ids.size(), &count).ok()) return 1;
      sum += count;
    }
    std::printf("%.9f %zu\n", Seconds() - start, sum);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_tokenize TOKENIZER TEXT\n");
    return 2;
  }
  try {
    return Run(argv[1], argv[2]);
  } catch (const ImportError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
}
