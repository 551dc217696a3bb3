#include "targets/cli/quantise_floats.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "targets/cli/calibration.h"
#include "targets/cli/calibration_text.h"
#include "targets/cli/error.h"
#include "targets/cli/input.h"
#include "targets/cli/options.h"
#include "targets/cli/output.h"
#include "targets/cli/progress.h"

namespace thimble::cli {
namespace {

constexpr size_t kMostIds = 8192;  // of a calibration text: more hardly help, and take their time
// Texts that become vectors are short, and have ids around them: windows of their own length and with these ids are like them. (Of 512
// ids all-MiniLM-L6-v2's vectors were a quarter further off.)
constexpr uint32_t kShortText = 128;

// Cuts `plain` into windows, each with what `whole`, of the same text, has in front and behind.
std::vector<int32_t> ShortTexts(const std::vector<int32_t>& whole, const std::vector<int32_t>& plain, size_t window) {
  const auto begin = std::search(whole.begin(), whole.end(), plain.begin(), plain.end());
  const size_t front = static_cast<size_t>(begin - whole.begin()), around = whole.size() - plain.size();
  if (begin == whole.end() || around >= window) return whole;
  std::vector<int32_t> ids;
  for (size_t at = 0; at < plain.size(); at += window - around) {
    const size_t count = std::min(window - around, plain.size() - at);
    ids.insert(ids.end(), whole.begin(), begin);
    ids.insert(ids.end(), plain.begin() + static_cast<std::ptrdiff_t>(at), plain.begin() + static_cast<std::ptrdiff_t>(at + count));
    ids.insert(ids.end(), whole.begin() + static_cast<std::ptrdiff_t>(front + plain.size()), whole.end());
  }
  return ids;
}

// Empty where the text means nothing to the model.
std::vector<int32_t> CalibrationIds(const Model& model, const QuantiseArguments& arguments) {
  if (!model.info().has_tokenizer) {
    if (!arguments.calibration.empty()) model.NeedTokenizer("leave --calibration out");
    return {};
  }
  const std::string text = arguments.calibration.empty() ? std::string(CalibrationText()) : ReadFile(arguments.calibration);
  std::vector<int32_t> ids = model.Tokenize(text, THIMBLE_ADD_BOS);
  if (arguments.vectors && !ids.empty()) ids = ShortTexts(ids, model.Tokenize(text, 0), std::min(kShortText, model.info().max_positions));
  if (ids.size() > kMostIds) ids.resize(kMostIds);
  if (ids.empty()) throw Error(kInvalidArgument, "--calibration: the text is empty");
  return ids;
}

}  // namespace

std::optional<double> BitsPerWeight(const std::string& weights) {
  // What a type of that name takes: q6_k, q5_k, q4_k.
  static constexpr struct {
    const char* name;
    double bits;
  } kNames[] = {{"q6", 6.5625}, {"q5", 5.625}, {"q4", 4.625}};
  for (const auto& [name, bits] : kNames)
    if (weights == name) return bits;
  if (weights.empty() || weights.find_first_not_of("0123456789.") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double bits = std::strtod(weights.c_str(), &end);
  if (*end != '\0' || !(bits >= 2) || bits > 9) return std::nullopt;
  return bits;
}

QuantisedFloats QuantiseFloats(const std::string& floats, const std::string& output, const QuantiseArguments& arguments) {
  QuantisedFloats result;
  ModelQuantiserOptions options;
  options.source = floats;
  options.output = output;
  options.bits = arguments.bits;
  options.turn = arguments.turn;
  options.fine_inputs = arguments.vectors;
  options.threads = static_cast<size_t>(arguments.threads);
  options.sensitivity = UsualSensitivity();

  std::optional<InputMoments> moments;
  ImportanceMatrix importance;
  if (!arguments.imatrix.empty()) {
    importance = ReadImportanceMatrix(arguments.imatrix);
    options.importance = &importance;
    result.inputs = "mean squares from " + arguments.imatrix;
  } else {
    std::vector<int32_t> ids;
    uint32_t threads = static_cast<uint32_t>(arguments.threads);
    {
      const Model model(floats);
      ids = CalibrationIds(model, arguments);
      if (threads == 0) threads = DefaultThreads(model.info().file_bytes);
    }
    moments.emplace(std::filesystem::absolute(output).parent_path());
    ProgressBar bar(arguments.quiet);
    const auto show = [&](const CalibrationStep& step) {
      return bar.Show(step.done_weights, step.total_weights, Format("calibrating, block %zu of %zu", step.block + 1, step.blocks));
    };
    if (ids.empty()) {
      result.inputs = "nothing: the model has no tokenizer to read a text with";
    } else if (Calibrate(floats, ids, arguments.vectors ? kShortText : kCalibrationWindow, threads, show, &*moments)) {
      options.moments = &*moments;
      result.inputs = Format("second moments over %zu tokens of ", ids.size()) +
                      (arguments.calibration.empty() ? std::string("the built-in text") : arguments.calibration);
    } else {
      result.inputs = "nothing: this kind of model cannot be calibrated";
    }
  }
  ProgressBar bar(arguments.quiet);
  options.progress = [&bar](const ConvertProgress& progress) { return bar.Show(progress); };
  result.model = QuantiseModel(options);
  return result;
}

}  // namespace thimble::cli
