#include "targets/cli/quality_report.h"

#include <algorithm>
#include <cmath>

#include "targets/cli/output.h"

namespace thimble::cli {
namespace {

constexpr size_t kRanges = 4;

std::string Row(const std::string& name, const QualityFigures& f) {
  return Format("%-10s %8.3g %8.3g %8.3g %8.3g %6.2f%% %6.2f%% %7.4f +-%.4f\n", name.c_str(), f.kl_mean, f.kl_median, f.kl_p99,
                f.kl_max, 100 * f.top1, 100 * f.top5, f.ratio, f.ratio_se);
}

std::string Name(const QualityRange& range) { return Format("%zu-%zu", range.begin, range.end - 1); }

void AddFigures(const QualityFigures& f, Json* json) {
  json->Update({{"positions", f.count},
                {"kl_mean", f.kl_mean},
                {"kl_mean_se", f.kl_mean_se},
                {"kl_median", f.kl_median},
                {"kl_p99", f.kl_p99},
                {"kl_max", f.kl_max},
                {"top1", f.top1},
                {"top5", f.top5},
                {"perplexity_ref", f.perplexity_reference},
                {"perplexity", f.perplexity},
                {"perplexity_ratio", f.ratio},
                {"perplexity_ratio_se", f.ratio_se},
                {"perplexity_ratio_se_windows", f.ratio_se_windows}});
}

std::string LossRows(const char* title, const std::vector<TensorGroup>& groups) {
  std::string text = Format("\n%-30s %7s %9s %9s %9s\n", title, "tensors", "KL mean", "p99", "ratio");
  for (const TensorGroup& group : groups)
    text += Format("%-30s %7zu %9.3g %9.3g %9.5f\n", group.name.c_str(), group.tensors, group.figures.kl_mean,
                   group.figures.kl_p99, group.figures.ratio);
  return text;
}

Json LossJson(const std::vector<TensorGroup>& groups) {
  Json list = Json::Array();
  for (const TensorGroup& group : groups) {
    Json row = {{"name", group.name}, {"tensors", group.tensors}};
    AddFigures(group.figures, &row);
    list.Push(std::move(row));
  }
  return list;
}

}  // namespace

void FillResult(const std::vector<PositionScore>& scores, QualityResult* result) {
  const size_t judged = result->window - result->first;
  result->all = {result->first, result->window, Summarise(scores, judged)};
  const size_t ranges = std::min(kRanges, judged);
  for (size_t i = 0; i < ranges; ++i) {
    const size_t begin = judged * i / ranges, end = judged * (i + 1) / ranges;
    result->ranges.push_back({result->first + begin, result->first + end,
                              Summarise(Slice(scores, judged, begin, end), end - begin)});
  }
  result->kl_by_position.assign(judged, 0);
  for (size_t i = 0; i < scores.size(); ++i) result->kl_by_position[i % judged] += scores[i].kl;
  for (double& kl : result->kl_by_position) kl /= static_cast<double>(result->windows);
}

std::string QualityText(const QualityResult& result) {
  const QualityFigures& all = result.all.figures;
  std::string text = "reference " + result.reference + "\nmodel     " + result.model + "\n" +
                     Format("%s positions: %zu windows of %zu ids, judged from position %zu%s\n\n",
                            Thousands(all.count).c_str(), result.windows, result.window, result.first,
                            result.cancelled ? " (cancelled before the end)" : "");
  text += Format("%-10s %8s %8s %8s %8s %7s %7s  perplexity ratio\n", "positions", "KL mean", "median", "p99", "max", "top-1",
                 "top-5");
  text += Row("all", all);
  for (const QualityRange& range : result.ranges) text += Row(Name(range), range.figures);
  text += Format("\nKL %.4g +- %.2g nats\nperplexity %.4f, reference %.4f: %+.3f %% +- %.3f over positions", all.kl_mean, all.kl_mean_se,
                 all.perplexity, all.perplexity_reference, 100 * (all.ratio - 1), 100 * all.ratio_se);
  if (std::isfinite(all.ratio_se_windows)) text += Format(", +- %.3f over windows", 100 * all.ratio_se_windows);
  text += "\n";
  if (result.losses)
    text += LossRows("as the model has them", result.losses->kinds) + LossRows("by layer", result.losses->layers);
  return text;
}

std::string QualityJson(const QualityResult& result) {
  Json json = result.facts;
  json.Update({{"windows", result.windows},
               {"window_tokens", result.window},
               {"first_position", result.first},
               {"cancelled", result.cancelled}});
  AddFigures(result.all.figures, &json);
  Json& ranges = json["ranges"] = Json::Array();
  for (const QualityRange& range : result.ranges) {
    Json row = {{"begin", range.begin}, {"end", range.end}};
    AddFigures(range.figures, &row);
    ranges.Push(std::move(row));
  }
  if (result.losses) json.Update({{"kinds", LossJson(result.losses->kinds)}, {"layers", LossJson(result.losses->layers)}});
  return JsonText(json) + "\n";
}

std::string QualityPlot(const QualityResult& result) {
  constexpr double kWidth = 720, kHeight = 360, kLeft = 80, kRight = 20, kTop = 40, kBottom = 50;
  constexpr size_t kMostPoints = 128;
  const std::vector<double>& kl = result.kl_by_position;
  const size_t points = std::min(kMostPoints, kl.size());
  std::vector<double> means(points);
  for (size_t i = 0; i < points; ++i) {
    const size_t begin = kl.size() * i / points, end = kl.size() * (i + 1) / points;
    for (size_t j = begin; j < end; ++j) means[i] += kl[j] / static_cast<double>(end - begin);
  }
  // A grid of 1, 2 or 5 times a power of ten, with at most five lines.
  const double most = *std::max_element(means.begin(), means.end());
  double step = most > 0 ? std::pow(10.0, std::floor(std::log10(most)) - 1) : 0.25;
  for (const double factor : {1.0, 2.0, 5.0, 10.0, 20.0}) {
    if (most / (step * factor) > 5) continue;
    step *= factor;
    break;
  }
  const double top = std::max(1.0, std::ceil(most / step)) * step;
  const auto x = [&](size_t i) {
    return kLeft + (kWidth - kLeft - kRight) * (static_cast<double>(i) + 0.5) / static_cast<double>(points);
  };
  const auto y = [&](double value) { return kHeight - kBottom - (kHeight - kTop - kBottom) * value / top; };
  std::string svg =
      "<!-- thimble quality -->\n" +
      Format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\">\n", kWidth, kHeight,
             kWidth, kHeight) +
      "<style>text{font:13px system-ui,sans-serif;fill:#222}.grid{stroke:#ddd}.back{fill:#fff}.line{stroke:#0b6bcb}"
      "@media(prefers-color-scheme:dark){text{fill:#e6e6e6}.grid{stroke:#3a3f45}.back{fill:#16191d}.line{stroke:#6cb6ff}}"
      "</style>\n<rect class=\"back\" width=\"100%\" height=\"100%\"/>\n" +
      Format("<text x=\"%g\" y=\"24\" style=\"font-weight:600\">KL from the reference by position, nats; mean %.3g over %s "
             "positions</text>\n",
             kLeft, result.all.figures.kl_mean, Thousands(result.all.figures.count).c_str());
  for (int i = 0; i * step <= top * (1 + 1e-9); ++i) {
    svg += Format("<line class=\"grid\" x1=\"%g\" y1=\"%.1f\" x2=\"%g\" y2=\"%.1f\"/><text x=\"%g\" y=\"%.1f\" "
                  "text-anchor=\"end\">%g</text>\n",
                  kLeft, y(i * step), kWidth - kRight, y(i * step), kLeft - 8, y(i * step) + 4, i * step);
  }
  for (const QualityRange& range : result.ranges) {
    const double at = kLeft + (kWidth - kLeft - kRight) * static_cast<double>(range.begin - result.first) /
                                  static_cast<double>(kl.size());
    svg += Format("<text x=\"%.1f\" y=\"%g\">%zu</text>\n", at, kHeight - kBottom + 20, range.begin);
  }
  svg += Format("<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">position in the window</text>\n", kWidth / 2, kHeight - 10);
  svg += "<polyline class=\"line\" fill=\"none\" stroke-width=\"1.5\" points=\"";
  for (size_t i = 0; i < points; ++i) svg += Format("%.1f,%.1f ", x(i), y(means[i]));
  return svg + "\"/>\n</svg>\n";
}

}  // namespace thimble::cli
