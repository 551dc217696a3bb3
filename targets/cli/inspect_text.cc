// The readable form of `thimble inspect`, made from its JSON.

#include "targets/cli/inspect_report.h"
#include "targets/cli/output.h"
#include "targets/json/json.h"

namespace thimble::cli {
namespace {

// A string without its quotes; names come from the file, so control characters stay escaped.
std::string Plain(const Json& value) {
  const std::string text = JsonText(value);
  return value.is_text() && text.size() >= 2 ? text.substr(1, text.size() - 2) : text;
}

// {"kind": "rms_norm", "eps": 1e-05} -> "kind rms_norm, eps 1e-05"; flags by their name alone.
std::string Facts(const Json& object) {
  std::string text;
  for (const auto& [key, value] : object.members()) {
    if (value.is_bool() && !value.as_bool()) continue;
    if (!text.empty()) text += ", ";
    if (value.is_object()) {
      text += key + " (" + Facts(value) + ")";
    } else {
      text += value.is_bool() ? key : key + " " + Plain(value);
    }
  }
  return text;
}

std::string Shape(const Json& tensor) {
  const uint64_t rows = tensor["shape"][0].as_unsigned(), columns = tensor["shape"][1].as_unsigned();
  return rows == 1 ? std::to_string(columns) : std::to_string(rows) + " x " + std::to_string(columns);
}

void AddLayers(const Json& layers, std::string* text) {
  for (size_t first = 0; first < layers.size();) {
    size_t last = first;
    while (last + 1 < layers.size() && layers[last + 1] == layers[first]) ++last;
    *text += first == last ? Format("\nlayer %zu\n", first)
                           : Format("\nlayers %zu to %zu, all alike\n", first, last);
    for (const Json& block : layers[first].items()) {
      for (const auto& [key, value] : block.members())
        *text += Format("  %-20s %s\n", key.c_str(), (value.is_object() ? Facts(value) : Plain(value)).c_str());
    }
    first = last + 1;
  }
}

}  // namespace

std::string InspectText(const Json& report) {
  const Json& container = report["container"];
  const Json& dimensions = report["dimensions"];
  const uint64_t file_bytes = container["file_bytes"].as_unsigned();
  std::string text = Plain(report["file"]) + ": " + Plain(report["name"]) + "\n";
  text += Format("  %-20s %s\n", "family", Plain(report["family"]).c_str());
  text += Format("  %-20s version %s, %s bytes (%s), header %s bytes, %s tensors in %s segments\n",
                 "container", Plain(container["version"]).c_str(), Thousands(file_bytes).c_str(),
                 HumanBytes(file_bytes).c_str(), Thousands(container["header_bytes"].as_unsigned()).c_str(),
                 Plain(container["tensors"]).c_str(), Plain(container["segments"]).c_str());
  text += Format("  %-20s %s\n", "dimensions", Facts(dimensions).c_str());
  text += Format("  %-20s %s\n", "input", Facts(report["input"]).c_str());
  text += Format("  %-20s %s\n", "output", Facts(report["output"]).c_str());
  text += Format("  %-20s %s\n", "tokenizer",
                 report["tokenizer"].is_null() ? "none" : Facts(report["tokenizer"]).c_str());
  for (const Json& format : report["chat_templates"].items()) {
    text += Format("  %-20s %s, %zu characters, program of %s bytes\n", "chat template", Plain(format["name"]).c_str(),
                   format["text"].as_text().size(), Thousands(format["program_bytes"].as_unsigned()).c_str());
  }
  for (const auto& [key, value] : report["metadata"].members())
    text += Format("  %-20s %s = %s\n", "metadata", Plain(Json(key)).c_str(), Plain(value).c_str());
  AddLayers(report["layers"], &text);

  text += Format("\n%-44s %-6s %-15s %14s  %s\n", "tensor", "type", "shape", "bytes", "segment");
  for (const Json& tensor : report["tensors"].items()) {
    std::string packing;
    if (tensor.Has("packing")) {
      const Json& p = tensor["packing"];
      packing = Format("  packed %s %sx%s s%s", Plain(p["packer"]).c_str(), Plain(p["nr"]).c_str(),
                       Plain(p["kr"]).c_str(), Plain(p["sr"]).c_str());
    }
    text += Format("%-44s %-6s %-15s %14s  %s%s\n", Plain(tensor["name"]).c_str(),
                   Plain(tensor["type"]).c_str(), Shape(tensor).c_str(), Thousands(tensor["bytes"].as_unsigned()).c_str(),
                   Plain(tensor["data_segment"]).c_str(), packing.c_str());
  }
  return text;
}

}  // namespace thimble::cli
