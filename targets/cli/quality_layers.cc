#include "targets/cli/quality_layers.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "format/model_file.h"
#include "targets/cli/error.h"
#include "targets/cli/output.h"
#include "targets/cli/progress.h"
#include "targets/convert/exchange.h"

namespace thimble::cli {
namespace {

void Open(const std::string& path, ModelFile* file) {
  const Status status = file->Open(path.c_str());
  if (status.ok()) return;
  char text[248];
  FormatStatus(status, text, sizeof text);
  throw Error(static_cast<int>(status.code), path + ": " + text);
}

struct Group {
  std::string name;
  bool is_layer = false;
  std::vector<TensorPair> tensors;
};

// "layer.3.ffn.down.weight" belongs to "ffn.down.weight" and to "layer 3", "input.table" to itself.
std::vector<Group> Groups(const ModelFile& reference, const std::vector<TensorPair>& differing) {
  constexpr std::string_view kLayer = "layer.";
  std::map<std::string, std::vector<TensorPair>> kinds;
  std::map<int64_t, std::vector<TensorPair>> layers;
  for (const TensorPair& pair : differing) {
    std::string_view name = reference.header().tensor_name(pair.base);
    const size_t dot = name.starts_with(kLayer) ? name.find('.', kLayer.size()) : std::string_view::npos;
    if (dot != std::string_view::npos) {
      layers[std::strtoll(std::string(name.substr(kLayer.size())).c_str(), nullptr, 10)].push_back(pair);
      name.remove_prefix(dot + 1);
    }
    kinds[std::string(name)].push_back(pair);
  }
  std::vector<Group> groups;
  for (auto& [name, tensors] : kinds) groups.push_back({name, false, std::move(tensors)});
  for (auto& [layer, tensors] : layers) groups.push_back({"layer " + std::to_string(layer), true, std::move(tensors)});
  return groups;
}

}  // namespace

TensorLosses JudgeTensors(const Model& reference, const ContextOptions& context, const std::string& other_path,
                          const std::string& kernels, const std::string& saved_logits, const Windows& cut) {
  ModelFile base, other;
  Open(reference.path(), &base);
  Open(other_path, &other);
  const std::vector<Group> groups = Groups(base, DifferingTensors(base, other));
  ContextOptions others_kernels = context;
  others_kernels.kernels = kernels;
  std::unique_ptr<RowSource> reference_rows;
  if (saved_logits.empty()) reference_rows = std::make_unique<ModelRows>(reference, context, cut.window, false);
  TensorLosses losses;
  ProgressBar bar(false);
  const size_t ids = cut.windows * cut.window;
  for (size_t i = 0; i < groups.size(); ++i) {
    const FileImage image = ExchangeTensors(base, other, groups[i].tensors);
    const Model exchanged(image.data(), image.bytes(), reference.path() + " with " + groups[i].name + " of " + other_path);
    ModelRows rows(exchanged, others_kernels, cut.window, false);
    std::optional<LogitsReader> reader;
    if (!saved_logits.empty()) reference_rows = std::make_unique<SavedRows>(&reader.emplace(saved_logits));
    Comparison comparison;
    const auto show = [&](size_t done, double kl) {
      return bar.Show(i * ids + done, groups.size() * ids,
                      Format("%zu of %zu, %s: KL %.3g", i + 1, groups.size(), groups[i].name.c_str(), kl));
    };
    if (!Compare(*reference_rows, rows, cut, exchanged.info().outputs, -1, show, &comparison)) {
      losses.cancelled = true;
      break;
    }
    (groups[i].is_layer ? losses.layers : losses.kinds)
        .push_back({groups[i].name, groups[i].tensors.size(), Summarise(comparison.scores, cut.judged())});
  }
  const auto more = [](const TensorGroup& a, const TensorGroup& b) { return a.figures.kl_mean > b.figures.kl_mean; };
  std::stable_sort(losses.kinds.begin(), losses.kinds.end(), more);
  std::stable_sort(losses.layers.begin(), losses.layers.end(), more);
  return losses;
}

}  // namespace thimble::cli
