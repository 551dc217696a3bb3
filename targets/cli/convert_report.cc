#include "targets/cli/convert_report.h"

#include <algorithm>
#include <filesystem>
#include <map>

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

// Numbers and bytes of each type.
struct TypeCost {
  uint64_t weights = 0, bytes = 0;
};

TypeCost CostOf(const ConvertReport& report, std::optional<WeightType> type) {
  TypeCost cost;
  for (const ConvertedTensor& tensor : report.tensors) {
    if (type && tensor.type != *type) continue;
    cost.weights += uint64_t{tensor.rows} * tensor.cols;
    cost.bytes += tensor.bytes;
  }
  return cost;
}

double BitsPerWeight(const TypeCost& cost) {
  return cost.weights == 0 ? 0 : 8 * static_cast<double>(cost.bytes) / static_cast<double>(cost.weights);
}

// "5.21 bits per weight in all: q4 1.71 MiB, q8 307.5 KiB, f32 20.1 KiB"
std::string CostText(const ConvertReport& report) {
  const TypeCost all = CostOf(report, std::nullopt);
  std::string text = Format("%s bytes, %.2f bits per weight:", Thousands(all.bytes).c_str(), BitsPerWeight(all));
  const char* separator = " ";
  for (int type = kWeightTypeCount - 1; type >= 0; --type) {
    const TypeCost cost = CostOf(report, static_cast<WeightType>(type));
    if (cost.weights == 0) continue;
    text += separator + std::string(WeightTypeName(static_cast<WeightType>(type))) + " " + HumanBytes(cost.bytes);
    separator = ", ";
  }
  return text;
}

std::string Counted(size_t count, const std::string& what) {
  return Thousands(count) + " " + what + (count == 1 ? "" : "s");
}

// "kept  210 tensors as Q4_1, 1 as Q6_K", and those that could not be kept with the reason.
std::string KeptText(const ConvertReport& report) {
  std::map<std::string, size_t> kept;
  std::map<std::string, std::vector<std::string>> unkept;  // by what they became and why
  for (const ConvertedTensor& tensor : report.tensors) {
    if (tensor.kept) ++kept[tensor.source_type];
    if (!tensor.unkept.empty()) unkept[WeightTypeName(tensor.type) + std::string(": ") + tensor.unkept].push_back(tensor.name);
  }
  std::string list, text;
  for (const auto& [type, count] : kept) list += (list.empty() ? Counted(count, "tensor") : ", " + Thousands(count)) + " as " + type;
  if (!list.empty()) text += "kept        " + list + "\n";
  for (const auto& [why, names] : unkept) {
    text += "made anew   " + Counted(names.size(), "tensor") + " as " + why + " (" + names[0] +
            (names.size() > 1 ? " and others" : "") + ")\n";
  }
  return text;
}

// Of matrices that are rounded a second time.
std::string RoundedTwiceText(const ConvertReport& report) {
  size_t count = 0;
  for (const ConvertedTensor& tensor : report.tensors) count += !tensor.kept && tensor.type != WeightType::kF32 && tensor.quantised_source;
  if (count == 0) return {};
  return "warning     " + Counted(count, "tensor") + " of a quantised source rounded a second time; --weights as-is keeps its numbers\n";
}

}  // namespace

std::string ConversionText(const ConversionFacts& facts) {
  const ConvertReport& report = facts.report;
  std::string text =
      Format("%s: %s, %s weights, %s bytes (%s) from %s bytes\n", report.name.c_str(),
             report.family.c_str(), Thousands(report.weights).c_str(), Thousands(report.file_bytes).c_str(),
             HumanBytes(report.file_bytes).c_str(), Thousands(report.source_bytes).c_str());
  text += Format("weights     %s: %s\n            %s\n", facts.weights.c_str(), facts.reason.c_str(), CostText(report).c_str());
  text += KeptText(report) + RoundedTwiceText(report);
  for (const auto& [part, count] : report.left_out) {
    text += Format("left out    %s: %s of another sense or purpose than text\n", part.c_str(), Counted(count, "tensor").c_str());
  }
  if (!report.without_effect.empty()) {
    text += Format("config      %s in it without effect on what is computed (--json names them)\n", Counted(report.without_effect.size(), "field").c_str());
  }
  text += report.has_tokenizer ? Format("tokenizer   %s ids\n", Thousands(report.vocabulary).c_str())
                               : "tokenizer   none (--tokenizer FILE adds one; text needs it)\n";
  for (size_t i = 0; i < report.chat_templates.size(); ++i) {
    text += (i == 0 ? "chat        " : "            ") + report.chat_templates[i];
    if (i < report.no_calls.size()) text += report.no_calls[i].empty() ? "; tool calls are read" : "; tool calls are not read: " + report.no_calls[i];
    text += "\n";
  }
  if (report.has_tokenizer && report.chat_templates.empty()) text += "chat        no template (--chat-template FILE|NAME gives one; conversations need it)\n";
  const std::vector<ConvertedTensor> worst = Worst(report);
  for (size_t i = 0; i < worst.size() && i < 3; ++i) {
    text += Format("%-11s %.3f%% %s, %s\n", i == 0 ? "worst error" : "", worst[i].relative_error * 100,
                   WeightTypeName(worst[i].type), worst[i].name.c_str());
  }
  text += Format("took        %s, peak memory %s, buffers %s\n",
                       facts.seconds < 60 ? Format("%.1f s", facts.seconds).c_str()
                                          : DurationText(facts.seconds).c_str(),
                       HumanBytes(facts.peak_resident_bytes).c_str(),
                       HumanBytes(report.peak_buffer_bytes).c_str());
  for (const std::string& file : facts.files) text += "written to  " + std::filesystem::absolute(file).string() + "\n";
  return text;
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
                  {"kept", tensor.kept},
                  {"unkept_reason", tensor.unkept},
                  {"relative_error", tensor.relative_error},
                  {"largest_error", tensor.largest_error}});
  }
  Json chat_templates = Json::Array();
  for (const std::string& t : report.chat_templates) chat_templates.Push(t);
  Json no_calls = Json::Array();
  for (const std::string& why : report.no_calls) no_calls.Push(why);
  Json left_out = Json::Object();
  for (const auto& [part, count] : report.left_out) left_out[part] = count;
  Json without_effect = Json::Array();
  for (const std::string& field : report.without_effect) without_effect.Push(field);
  Json files = Json::Array();
  for (const std::string& file : facts.files) files.Push(std::filesystem::absolute(file).string());
  return {{"report", "thimble conversion"},
          {"output", facts.output},
          {"name", report.name},
          {"family", report.family},
          {"weights_type", facts.weights},
          {"weights_reason", facts.reason},
          {"weight_bytes", CostOf(report, std::nullopt).bytes},
          {"bits_per_weight", BitsPerWeight(CostOf(report, std::nullopt))},
          {"files", std::move(files)},
          {"weights", report.weights},
          {"source_bytes", report.source_bytes},
          {"file_bytes", report.file_bytes},
          {"vocabulary", report.vocabulary},
          {"has_tokenizer", report.has_tokenizer},
          {"chat_templates", std::move(chat_templates)},
          {"no_tool_calls", std::move(no_calls)},
          {"left_out", std::move(left_out)},
          {"fields_without_effect", std::move(without_effect)},
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
