#include "targets/cli/convert_report.h"

#include <algorithm>

#include "targets/cli/error.h"
#include "targets/cli/progress.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

// The quantised tensors that lost most, worst first.
std::vector<ConvertedTensor> Worst(const ConvertReport& report) {
  std::vector<ConvertedTensor> worst;
  std::copy_if(report.tensors.begin(), report.tensors.end(), std::back_inserter(worst),
               [](const ConvertedTensor& tensor) { return tensor.relative_error > 0; });
  std::sort(worst.begin(), worst.end(),
            [](const auto& a, const auto& b) { return a.relative_error > b.relative_error; });
  return worst;
}

}  // namespace

std::string ConversionText(const ConversionFacts& facts) {
  const ConvertReport& report = facts.report;
  std::string text =
      Format("%s: %s, %s weights, %s bytes (%s) from %s bytes\n", facts.output.c_str(),
             report.family.c_str(), Thousands(report.weights).c_str(), Thousands(report.file_bytes).c_str(),
             HumanBytes(report.file_bytes).c_str(), Thousands(report.source_bytes).c_str());
  text += report.has_tokenizer ? Format("tokenizer   %s ids%s\n", Thousands(report.vocabulary).c_str(),
                                        report.has_chat_template ? ", chat template" : "")
                               : "tokenizer   none (--tokenizer FILE adds one; text needs it)\n";
  const std::vector<ConvertedTensor> worst = Worst(report);
  for (size_t i = 0; i < worst.size() && i < 3; ++i) {
    text += Format("%-11s %.3f%% %s, %s\n", i == 0 ? "worst error" : "", worst[i].relative_error * 100,
                   WeightTypeName(worst[i].type), worst[i].name.c_str());
  }
  return text + Format("took        %s, peak memory %s, buffers %s\n",
                       facts.seconds < 60 ? Format("%.1f s", facts.seconds).c_str()
                                          : DurationText(facts.seconds).c_str(),
                       HumanBytes(facts.peak_resident_bytes).c_str(),
                       HumanBytes(report.peak_buffer_bytes).c_str());
}

Json ConversionJson(const ConversionFacts& facts) {
  const ConvertReport& report = facts.report;
  Json tensors = Json::Array();
  double worst = 0;
  for (const ConvertedTensor& tensor : report.tensors) {
    worst = std::max(worst, tensor.relative_error);
    tensors.Push({{"name", tensor.name},
                  {"source_type", tensor.source_type},
                  {"type", WeightTypeName(tensor.type)},
                  {"shape", Json::Array({tensor.rows, tensor.cols})},
                  {"source_bytes", tensor.source_bytes},
                  {"bytes", tensor.bytes},
                  {"relative_error", tensor.relative_error},
                  {"largest_error", tensor.largest_error}});
  }
  return {{"report", "thimble conversion"},
          {"output", facts.output},
          {"name", report.name},
          {"family", report.family},
          {"weights_type", facts.weights},
          {"weights", report.weights},
          {"source_bytes", report.source_bytes},
          {"file_bytes", report.file_bytes},
          {"vocabulary", report.vocabulary},
          {"has_tokenizer", report.has_tokenizer},
          {"has_chat_template", report.has_chat_template},
          {"worst_relative_error", worst},
          {"seconds", facts.seconds},
          {"peak_resident_bytes", facts.peak_resident_bytes},
          {"peak_buffer_bytes", report.peak_buffer_bytes},
          {"tensors", std::move(tensors)}};
}

OutputKind ConversionReportKind(const std::string& path) {
  if (path.ends_with(".html")) return OutputKind::kConversionPage;
  if (path.ends_with(".json")) return OutputKind::kConversionJson;
  throw Error(kInvalidArgument, "--report: must end in .html or .json, got " + Quoted(path));
}

void WriteConversionReport(const OutputFile& file, const ConversionFacts& facts) {
  file.Write(file.kind() == OutputKind::kConversionPage ? ConversionHtml(facts)
                                                        : JsonText(ConversionJson(facts), 2) + "\n");
}

}  // namespace thimble::cli
